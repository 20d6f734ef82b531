"""Writers of predictions that hold one batch at a time, whatever the number of examples."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import numpy as np

from mcdrop.distributed.columns import Columns
from mcdrop.distributed.stored import with_state
from mcdrop.errors import DataError
from mcdrop.files import Kind
from mcdrop.prediction import EXAMPLE, EXAMPLE_AXIS, SAVED_PREDICTION, Prediction, header_of

ROW_GROUP = 16384
"""Rows of a Parquet row group: small enough for memory, large enough to be read fast."""


class Writer(Protocol):
    """Writes the predictions of consecutive examples to a file."""

    def write(self, prediction: Prediction, columns: Columns) -> None:
        """Appends a batch, and columns of its examples by name."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_writer(path: Path, num_examples: int) -> Writer:
    """Returns the writer for the suffix of `path`, as `kind_of_file` checked it."""
    if path.suffix == ".npz":
        return NpzWriter(path, num_examples)
    return (ParquetWriter if path.suffix == ".parquet" else CsvWriter)(path)


def kind_of_file(path: Path) -> Kind:
    """Returns the kind of output that the suffix of `path` asks for.

    Raises:
        DataError: There is no writer for the suffix.
    """
    kinds = {
        ".parquet": Kind("a table of predictions", _is_parquet_of_predictions),
        ".csv": Kind("a table of predictions", _is_csv_of_predictions),
        ".npz": SAVED_PREDICTION,
    }
    if path.suffix not in kinds:
        raise DataError(
            f"{path} ends in {path.suffix or 'no suffix'!r}, expected .parquet, .csv or .npz."
        )
    return kinds[path.suffix]


def _is_csv_of_predictions(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(EXAMPLE) + 1).decode("latin-1") == f"{EXAMPLE},"


def _is_parquet_of_predictions(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return bool(pq.read_schema(path).names[:1] == [EXAMPLE])
    except (pa.ArrowException, OSError):
        return False


class CsvWriter:
    """Writes one line an example, the columns of `Prediction.to_frame`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._count = 0

    def write(self, prediction: Prediction, columns: Columns) -> None:
        """Appends a batch."""
        frame = prediction.to_frame().assign(**columns)
        frame.to_csv(self._file, header=self._count == 0, index=False)
        self._count += len(prediction)

    def __enter__(self) -> Self:
        """Returns the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file."""
        self._file.close()


class ParquetWriter:
    """Writes the columns of `Prediction.to_frame` in row groups.

    Args:
        path: The file to write.
        scorable: Whether to write also what scores are made of.
    """

    def __init__(self, path: Path, *, scorable: bool = False) -> None:
        self._path = path
        self._scorable = scorable
        self._file: Any = None
        self._held: list[Any] = []

    def write(self, prediction: Prediction, columns: Columns) -> None:
        """Appends a batch, once there are enough rows for a row group."""
        import pyarrow as pa

        frame = prediction.to_frame().assign(**columns)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        self._held.append(with_state(table, prediction) if self._scorable else table)
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
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._held:
            return
        table = pa.concat_tables(self._held)
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
        self._drafts: dict[str, _Draft] = {}
        self._header: dict[str, Any] = {}

    def write(self, prediction: Prediction, columns: Columns) -> None:
        """Appends a batch; a saved prediction has no place for columns.

        Raises:
            DataError: There are columns.
        """
        if columns:
            raise DataError(f"A saved prediction (.npz) cannot hold {', '.join(columns)}.")
        for field in fields(prediction):
            value = getattr(prediction, field.name)
            if isinstance(value, np.ndarray):
                self._write_array(field.name, value, self._count)
        passes = max(prediction.num_samples, self._header.get("num_samples", 0))
        self._header = header_of(prediction) | {"num_samples": passes}
        self._count += len(prediction)

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
                    archive.write(draft.path, f"{name}.npy")
        for draft in self._drafts.values():
            draft.path.unlink()

    def _write_array(self, name: str, value: Any, start: int) -> None:
        parts = value if EXAMPLE_AXIS.get(name) else value[np.newaxis]
        draft = self._drafts.get(name)
        if draft is None:
            shape = (*parts.shape[:1], self._num_examples, *parts.shape[2:])
            shape = shape if parts is value else shape[1:]
            draft = self._drafts[name] = _Draft.make(self._path.parent, name, value.dtype, shape)
        row_bytes = draft.dtype.itemsize * int(np.prod(parts.shape[2:], dtype=np.int64))
        # Plain writing, not a memory map: a full disk is then an error, and not the process's end.
        with draft.path.open("r+b") as file:
            for group, part in enumerate(parts):
                file.seek(draft.start + (group * self._num_examples + start) * row_bytes)
                file.write(np.ascontiguousarray(part, draft.dtype).data)


@dataclass(frozen=True)
class _Draft:
    """An `.npy` file of known shape that is filled piece by piece; its values begin at `start`."""

    path: Path
    dtype: np.dtype[Any]
    start: int

    @classmethod
    def make(cls, folder: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> _Draft:
        path = folder / f"{name}.npy"
        description = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": description, "fortran_order": False, "shape": shape}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            _reserve(file, start + dtype.itemsize * int(np.prod(shape, dtype=np.int64)))
        return cls(path, dtype, start)


def _reserve(file: IO[bytes], size: int) -> None:
    """Takes the space of a file at once, so that a full disk is told before the long run."""
    file.flush()
    file.truncate(size)
    if hasattr(os, "posix_fallocate") and size:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # it cannot be told there
                raise
