"""Writers of predictions that hold one batch at a time, whatever the number of examples."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from mcdrop.errors import DataError
from mcdrop.prediction import FORMAT_VERSION, Prediction

ROW_GROUP = 16384
"""Rows of a Parquet row group: small enough for memory, large enough to be read fast."""


class Writer(Protocol):
    """Writes the predictions of consecutive examples to a file."""

    def write(self, prediction: Prediction) -> None:
        """Appends a batch."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_writer(path: Path, num_examples: int) -> Writer:
    """Returns the writer for the suffix of `path`.

    Raises:
        DataError: The suffix is none of .parquet, .csv and .npz.
    """
    check_suffix(path)
    if path.suffix == ".npz":
        return NpzWriter(path, num_examples)
    return ParquetWriter(path) if path.suffix == ".parquet" else CsvWriter(path)


def check_suffix(path: Path) -> None:
    """Raises DataError unless there is a writer for the suffix of `path`."""
    if path.suffix not in (".parquet", ".csv", ".npz"):
        raise DataError(
            f"{path} ends in {path.suffix or 'no suffix'!r}, expected .parquet, .csv or .npz."
        )


class CsvWriter:
    """Writes one line an example, the columns of `Prediction.to_frame` after its number."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._count = 0

    def write(self, prediction: Prediction) -> None:
        """Appends a batch."""
        frame = _numbered_frame(prediction, self._count)
        frame.to_csv(self._file, header=self._count == 0, index=False)
        self._count += len(prediction)

    def __enter__(self) -> Self:
        """Returns the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._file.close()


class ParquetWriter:
    """Writes the columns of `Prediction.to_frame` in row groups."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        self._held: list[Any] = []
        self._count = 0

    def write(self, prediction: Prediction) -> None:
        """Appends a batch, once there are enough rows for a row group."""
        self._held.append(_numbered_frame(prediction, self._count))
        self._count += len(prediction)
        if sum(map(len, self._held)) >= ROW_GROUP:
            self._flush()

    def __enter__(self) -> Self:
        """Returns the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Writes the last row group and closes the file."""
        if kind is None:
            self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._held:
            return
        table = pa.Table.from_pandas(pd.concat(self._held), preserve_index=False)
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema)
        self._file.write_table(table)
        self._held.clear()


class NpzWriter:
    """Writes what `Prediction.load` reads, each array on disk from the first batch on."""

    def __init__(self, path: Path, num_examples: int) -> None:
        self._path = path
        self._num_examples = num_examples
        self._count = 0
        self._drafts: dict[str, Path] = {}
        self._header: dict[str, Any] = {}

    def write(self, prediction: Prediction) -> None:
        """Appends a batch."""
        stop = self._count + len(prediction)
        for field in fields(prediction):
            value = getattr(prediction, field.name)
            if isinstance(value, np.ndarray):
                self._write_array(field.name, value, slice(self._count, stop))
        passes = max(prediction.num_samples, self._header.get("num_samples", 0))
        self._header = {
            "format": "mcdrop.Prediction",
            "version": FORMAT_VERSION,
            "task": prediction.task,
            "num_samples": passes,
            "masks": prediction.masks,
            "balanced": prediction.balanced,
        }
        self._count = stop

    def __enter__(self) -> Self:
        """Returns the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Packs the arrays into the archive."""
        if kind is None:
            with zipfile.ZipFile(self._path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                with archive.open("header.npy", "w") as file:
                    np.lib.format.write_array(file, np.array(json.dumps(self._header)))
                for name, draft in self._drafts.items():
                    archive.write(draft, f"{name}.npy")
        for draft in self._drafts.values():
            draft.unlink()

    def _write_array(self, name: str, value: Any, rows: slice) -> None:
        # Statistics of groups of passes have the groups on axis 0 and the examples on axis 1.
        axis = 1 if name.startswith("group_") else 0
        draft = self._drafts.get(name)
        if draft is None:
            draft = self._drafts[name] = self._path.with_name(f"{name}.npy")
            shape = (*value.shape[:axis], self._num_examples, *value.shape[axis + 1 :])
            np.lib.format.open_memmap(draft, "w+", value.dtype, shape).flush()
        # Mapped anew for each batch, so that written pages do not stay in memory.
        array = np.lib.format.open_memmap(draft, "r+")
        array[(slice(None),) * axis + (rows,)] = value


def _numbered_frame(prediction: Prediction, first: int) -> Any:
    frame = prediction.to_frame()
    frame.insert(0, "example", np.arange(first, first + len(prediction)))
    return frame
