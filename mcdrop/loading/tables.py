"""Parquet and CSV tables as inputs: columns of numbers, of lists of numbers, or of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.loading.images import ImageOptions, decode

LABEL_COLUMNS = ("y", "label", "labels", "target", "class")

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class TableRows:
    """Columns of a table: one column as it is, several stacked to (N, number of columns)."""

    path: Path
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    images: ImageOptions

    def blocks(self, size: int) -> Iterator[Array]:
        """Yields the columns of each batch of the file."""
        for batch in _batches(self.path, self.columns, size):
            yield _stack(self.path, batch, self.columns, self.images)


def open_table(
    path: Path,
    x_columns: Sequence[str] | None,
    y_column: str | None,
    images: ImageOptions,
) -> tuple[TableRows, TableRows | None]:
    """Returns the inputs and the labels of a `.parquet` or `.csv` file.

    Without names, the labels are the one column called y, label, labels, target or class,
    and the inputs are all other columns in order.

    Raises:
        DataError: The file is damaged, a named column is missing, or a column holds
            something other than numbers or images.
    """
    names, count = _describe(path)
    label = y_column or _find_label(path, names)
    chosen = tuple(x_columns or (name for name in names if name != label))
    missing = [name for name in (*chosen, *([label] if label else [])) if name not in names]
    if missing or not chosen:
        what = f"no column {missing[0]!r}" if missing else "no input column"
        raise DataError(f"{path} has {what}; its columns are {', '.join(names)}.")
    if count == 0:
        raise DataError(f"{path} is empty; at least one example is needed.")
    x = _rows(path, chosen, count, images)
    return x, _rows(path, (label,), count, images) if label else None


def _find_label(path: Path, names: Sequence[str]) -> str | None:
    found = [name for name in names if name.lower() in LABEL_COLUMNS]
    if len(found) > 1:
        raise DataError(
            f"{path} has several columns that may be the labels: {', '.join(found)}. Name one, as "
            f"in --y-key {found[0]}."
        )
    return found[0] if found else None


def _rows(path: Path, columns: tuple[str, ...], count: int, images: ImageOptions) -> TableRows:
    first = next(iter(_batches(path, columns, 1)))
    block = _stack(path, first, columns, images)
    return TableRows(path, columns, (count, *block.shape[1:]), block.dtype, images)


def _describe(path: Path) -> tuple[list[str], int]:
    """Returns the names of the columns and the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                return list(file.schema_arrow.names), file.metadata.num_rows
        with _open_csv(path, None) as reader:
            return list(reader.schema.names), sum(batch.num_rows for batch in reader)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{path} cannot be read as a {path.suffix} table ({problem}).") from None


def _open_csv(path: Path, columns: Sequence[str] | None) -> Any:
    from pyarrow import csv

    return csv.open_csv(path, convert_options=csv.ConvertOptions(include_columns=columns))


def _batches(path: Path, columns: tuple[str, ...], size: int) -> Iterator[Any]:
    """Yields record batches of at most `size` rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(size, columns=list(columns))
            return
        with _open_csv(path, columns) as reader:
            for batch in reader:
                for start in range(0, batch.num_rows, size):
                    yield batch.slice(start, size)
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{path} cannot be read as a {path.suffix} table ({problem}).") from None


def _stack(path: Path, batch: Any, columns: tuple[str, ...], images: ImageOptions) -> Array:
    arrays = [
        _to_numpy(f"column {name!r} of {path}", batch.column(name), images) for name in columns
    ]
    if len(arrays) == 1:
        return arrays[0]
    if any(array.ndim > 1 for array in arrays):
        raise DataError(
            f"{path} mixes columns of lists or images with others ({', '.join(columns)}). Name the "
            f"input column, as in --x-key {columns[0]}."
        )
    return np.stack(arrays, axis=1)


def _to_numpy(name: str, column: Any, images: ImageOptions) -> Array:
    """Returns a column as an array with one row an example."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_struct(kind) and "bytes" in {field.name for field in kind}:
        column = column.field("bytes")
        kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return np.stack([decode(data.as_py() or b"", name, images) for data in column])
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return _list_to_numpy(name, column, images)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise DataError(
            f"{name} holds values of type {kind}, expected numbers. Encode it as numbers, or "
            "choose the input columns with --x-key."
        )
    return column.to_numpy(zero_copy_only=False)


def _list_to_numpy(name: str, column: Any, images: ImageOptions) -> Array:
    lengths = set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise DataError(f"{name} holds lists of different lengths, expected one length.")
    values = _to_numpy(name, column.flatten(), images)
    return values.reshape(len(column), lengths.pop(), *values.shape[1:])
