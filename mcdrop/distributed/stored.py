"""Predictions in tables that can be scored: every array of a `Prediction`, as columns of lists.

Column `state.NAME` holds the values of field NAME, flat, one list an example. What they are of,
and their shapes, stands in the metadata of the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
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


def read_predictions(folder: Path) -> Prediction:
    """Returns the prediction that the parts of a folder hold, sorted by the number of examples.

    They are read one by one; what is returned is held, as if it had been sampled.

    Raises:
        DataError: A part is missing or damaged, or was written without what scores need.
    """
    import pyarrow.parquet as pq

    paths = finished_parts(folder)
    count = sum(pq.read_metadata(path).num_rows for path in paths)
    whole = join(map(_read_part, paths), count)
    most = int(whole.num_samples_per_example.max(initial=0))
    if most > whole.num_samples:  # passes differ where each example stops by itself
        whole = replace(whole, num_samples=most)
    numbers = whole.example_numbers
    if (np.diff(numbers) < 0).any():
        whole = whole.take(np.argsort(numbers, kind="stable"))
    check_prediction(str(folder), whole)
    return whole


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
