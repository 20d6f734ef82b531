"""Predictions in tables that can be scored: every array of a `Prediction`, as columns of lists.

Column `state.NAME` holds the values of field NAME, flat, one list an example. What they are of,
and their shapes, stands in the metadata of the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.distributed.parts import finished_parts
from mcdrop.errors import DataError
from mcdrop.prediction import (
    EXAMPLE,
    EXAMPLE_AXIS,
    Prediction,
    check_prediction,
    header_of,
    join,
)
from mcdrop.splitting import check_splitting

_PREFIX, _METADATA = "state.", b"mcdrop.prediction"
_NOT_STORED = ("format", "version")


def with_state(table: Any, prediction: Prediction) -> Any:
    """Returns an Arrow table with columns for the arrays of its prediction."""
    import pyarrow as pa

    shapes: dict[str, list[int]] = {}
    for field in fields(prediction):
        values = getattr(prediction, field.name)
        if isinstance(values, np.ndarray) and field.name != "examples":
            rows = np.moveaxis(values, EXAMPLE_AXIS.get(field.name, 0), 0)
            shapes[field.name] = list(rows.shape[1:])
            flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
            size = int(np.prod(rows.shape[1:], dtype=np.int64))
            column = pa.FixedSizeListArray.from_arrays(flat, size)
            table = table.append_column(_PREFIX + field.name, column)
    document = json.dumps({"header": header_of(prediction), "shapes": shapes})
    metadata = table.schema.metadata or {}
    return table.replace_schema_metadata({**metadata, _METADATA: document.encode()})


@dataclass(frozen=True, eq=False)
class StoredPredictions:
    """The predictions in a folder of parts, of which only the numbers of the examples are read.

    Attributes:
        folder: The folder.
        paths: Its parts, whole.
        numbers: Number of each example in the order of the parts, shape (N,).
    """

    folder: Path
    paths: Sequence[Path]
    numbers: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path) -> StoredPredictions:
        """Returns what a folder holds.

        Raises:
            DataError: A part is missing or damaged, or an example was predicted twice.
        """
        import pyarrow.parquet as pq

        paths = finished_parts(folder)
        read = (pq.read_table(path, columns=[EXAMPLE]).column(EXAMPLE) for path in paths)
        numbers = np.concatenate([column.to_numpy() for column in read])
        if len(np.unique(numbers)) != len(numbers):
            raise DataError(f"{folder} predicts an example more than once.")
        return cls(folder, paths, numbers)

    def read(self, wanted: NDArray[np.int64]) -> Prediction:
        """Returns the predictions of some examples, by their numbers in rising order.

        Parts are read one by one, and what is not wanted is left at once; what is returned is
        held, as if it had been sampled.

        Raises:
            DataError: The parts were written without what scores need.
        """
        kept = np.isin(self.numbers, wanted, assume_unique=True)
        whole = join(self._parts(kept), int(kept.sum()))
        most = int(whole.num_samples_per_example.max(initial=0))
        if most > whole.num_samples:  # passes differ where each example stops by itself
            whole = replace(whole, num_samples=most)
        numbers = whole.example_numbers
        if (np.diff(numbers) < 0).any():
            whole = whole.take(np.argsort(numbers, kind="stable"))
        check_prediction(str(self.folder), whole)
        return whole

    def _parts(self, kept: NDArray[np.bool_]) -> Iterator[Prediction]:
        import pyarrow.parquet as pq

        start = 0
        for path in self.paths:
            stop = start + pq.read_metadata(path).num_rows
            chosen, start = np.flatnonzero(kept[start:stop]), stop
            if len(chosen):
                yield _read_part(path).take(chosen)


def _read_part(path: Path) -> Prediction:
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    try:
        document = json.loads(schema.metadata[_METADATA])
        header, shapes = document["header"], document["shapes"]
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{path} does not hold what scores need. Predict with --scorable, as in mcdrop "
            "predict MODEL DATA --output DIR --scorable."
        ) from None
    table = pq.read_table(path, columns=[EXAMPLE, *(_PREFIX + name for name in shapes)])
    scalars = {name: value for name, value in header.items() if name not in _NOT_STORED}
    if scalars["splitting"] is not None:
        scalars["splitting"] = check_splitting(scalars["splitting"])
    arrays: dict[str, Any] = dict(_arrays(table, shapes))
    return Prediction(**scalars, **arrays, examples=table.column(EXAMPLE).to_numpy())


def _arrays(table: Any, shapes: dict[str, list[int]]) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, shape in shapes.items():
        flat = table.column(_PREFIX + name).combine_chunks().flatten()
        rows = flat.to_numpy(zero_copy_only=False).reshape(len(table), *shape)
        yield name, np.moveaxis(rows, 0, EXAMPLE_AXIS.get(name, 0))
