"""Parquet and text tables as inputs: columns of numbers, of text, of lists, or of images."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.archives import check_regular
from mcdrop.loading import delimited
from mcdrop.loading.columns import (
    check_apart,
    check_unique,
    holds_other_sizes,
    is_number,
    listed,
    to_numpy,
)
from mcdrop.loading.expected import InputSpec, fill_images
from mcdrop.loading.options import DataOptions, ImageOptions
from mcdrop.loading.parquet import PARQUET_SUFFIXES, open_parquet, parquet_files

LABEL_COLUMNS = ("y", "label", "labels", "target", "class")
COMPRESSED = (".gz", ".bz2")

_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)*")
Array = NDArray[Any]
Names = tuple[tuple[str, ...] | None, tuple[str, ...] | None]


class TableFile(Protocol):
    """A table on disk with one type a column."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    @property
    def num_rows(self) -> int:
        """Number of examples."""
        ...

    @property
    def index_names(self) -> tuple[str, ...]:
        """Columns that hold the index of a pandas table."""
        ...

    @property
    def readings(self) -> tuple[str, ...]:
        """What was found out about the file without being told."""
        ...

    def has_missing(self, columns: Sequence[str]) -> bool:
        """Returns whether a value of some columns is missing."""
        ...

    def name_classes(self, column: str) -> Names:
        """Returns names that the file gives to the numbers of a column, and categories in order."""
        ...

    def batches(
        self, columns: Sequence[str], size: int, *, as_text: bool = False, start: int = 0
    ) -> Iterator[Any]:
        """Yields record batches of at most `size` rows, from row `start` on."""
        ...


@dataclass(frozen=True, eq=False)
class TableRows:
    """Columns of a table: one column as it is, several stacked to (N, number of columns)."""

    table: TableFile
    columns: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    images: ImageOptions
    as_text: bool = False

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields the columns of each batch of the file."""
        for batch in self.table.batches(self.columns, size, as_text=self.as_text, start=start):
            block = _stack(self.table, batch, self.columns, self.images)
            yield block.astype(self.dtype, casting="same_kind", copy=False)


@dataclass(frozen=True, eq=False)
class OpenedTable:
    """A table as examples.

    Attributes:
        inputs: Rows of each input; a single input has the name "x".
        labels: Rows of the labels, or None.
        class_names: What the file calls the labels, or None.
        categories: The order in which pandas holds the names that are the labels, or None.
        columns: Names of the columns behind a single input of stacked columns, else empty.
        readings: What to say about how the file was read.
    """

    inputs: Mapping[str, TableRows]
    labels: TableRows | None
    class_names: tuple[str, ...] | None
    categories: tuple[str, ...] | None
    columns: tuple[str, ...]
    readings: tuple[str, ...]


def is_table(path: Path) -> bool:
    """Returns whether the name of a file is that of a table, or a folder holds Parquet files."""
    if path.is_dir():
        return bool(parquet_files(path))
    return _kind(path) in (*PARQUET_SUFFIXES, *delimited.SUFFIXES)


def _kind(path: Path) -> str:
    """Returns the suffix that tells the format, in lower case and without that of compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] in COMPRESSED:
        return suffixes[-2]
    return suffixes[-1] if suffixes else ""


def open_table(
    path: Path, options: DataOptions, expected: Mapping[str, InputSpec] | None = None
) -> OpenedTable:
    """Returns the inputs and the labels of a table.

    Without names, the labels are the one column called y, label, labels, target or class, the
    index of a pandas table is left out, and the inputs are all other columns in order; each
    becomes an input of its own for a model whose several inputs have the names of columns.

    Raises:
        DataError: The file is damaged, a named column is missing, or a column holds
            something other than numbers, text or images.
    """
    table = _open_file(path, options)
    check_unique(path, table.names)
    if table.num_rows == 0:
        raise DataError(f"{path} is empty; at least one example is needed.")
    index, readings = _find_index(table)
    features = [name for name in table.names if name not in index]
    x_keys = options.x_names(table.names)
    unclaimed = [name for name in features if name not in x_keys]
    y_keys = options.y_names(table.names) or _find_label(path, unclaimed)
    _check_columns(table, (*x_keys, *y_keys))
    check_apart(x_keys, y_keys)
    chosen = x_keys or tuple(name for name in features if name not in y_keys)
    if not chosen:
        raise DataError(
            f"{path} has no input column; its columns are {listed(table.names)}. Name the inputs "
            "with --x-key and the labels with --y-key."
        )
    images = fill_images(options.images, expected)
    inputs = _open_inputs(table, chosen, images, expected or {})
    labels = _rows(table, y_keys, images) if y_keys else None
    names, categories = (None, None) if len(y_keys) != 1 else table.name_classes(y_keys[0])
    columns = chosen if len(inputs) == 1 and len(chosen) > 1 else ()
    notes = (*table.readings, *readings)
    return OpenedTable(inputs, labels, names, categories, columns, notes)


def _open_file(path: Path, options: DataOptions) -> TableFile:
    if path.is_dir() or _kind(path) in PARQUET_SUFFIXES:
        return open_parquet(path)
    check_regular(path, DataError)
    return delimited.open_delimited(path, options.text, present=options.class_names or ())


def _open_inputs(
    table: TableFile,
    chosen: tuple[str, ...],
    images: ImageOptions,
    expected: Mapping[str, InputSpec],
) -> dict[str, TableRows]:
    if len(expected) > 1 and set(expected) <= set(chosen):
        return {
            name: _rows(table, (name,), images, as_text=spec.is_text)
            for name, spec in expected.items()
        }
    as_text = len(expected) == 1 and next(iter(expected.values())).is_text
    if as_text and len(chosen) > 1:
        raise DataError(
            f"The model takes one text, but {table.path} has {len(chosen)} input columns "
            f"({listed(chosen)}). Name the text, as in --x-key {shlex.quote(chosen[0])}, and the "
            "labels with --y-key."
        )
    rows = _rows(table, chosen, images, as_text=as_text)
    if expected and not as_text and rows.dtype.kind == "O":
        raise _not_numbers(table, chosen[0])
    return {"x": rows}


def _find_index(table: TableFile) -> tuple[tuple[str, ...], list[str]]:
    """Returns the columns that are no data: the index of a pandas table, and empty unnamed ones.

    Also notes on them. Lines that all end with a separator have an empty column at their end.
    """
    unnamed = [name for name in table.names if _UNNAMED.fullmatch(name)]
    empty = [name for name in unnamed if _is_empty(table, name)]
    first = takewhile(unnamed.__contains__, table.names)  # where pandas writes its index
    index = [*table.index_names, *(name for name in first if name not in empty)]
    notes = []
    for names, what in ((index, "the index of a pandas table"), (empty, "without name or value")):
        if names:
            kind, verb = ("column", "is") if len(names) == 1 else ("columns", "are")
            notes.append(
                f"The {kind} {listed(names)} of {table.path.name}, {what}, {verb} left out."
            )
    return (*index, *empty), notes


def _is_empty(table: TableFile, name: str) -> bool:
    """Returns whether a column holds nothing."""
    batches = table.batches((name,), 65536)
    return all(batch.column(0).null_count == batch.num_rows for batch in batches)


def _find_label(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    found = [name for name in names if name.strip().lower() in LABEL_COLUMNS]
    if len(found) > 1:
        raise DataError(
            f"{path} has several columns that may be the labels: {', '.join(found)}. Name one, as "
            f"in --y-key {found[0]}."
        )
    return tuple(found)


def _check_columns(table: TableFile, wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in table.names:
            close = difflib.get_close_matches(name, table.names, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DataError(
                f"{table.path} has no column {name!r}; its columns are {listed(table.names)}.{hint}"
            )


def _rows(
    table: TableFile, columns: tuple[str, ...], images: ImageOptions, *, as_text: bool = False
) -> TableRows:
    first = next(iter(table.batches(columns, 1, as_text=as_text)))
    block = _stack(table, first, columns, images)
    dtype = block.dtype
    if as_text and dtype.kind != "O":
        raise DataError(
            f"Column {columns[0]!r} of {table.path} holds numbers, but the model takes text there."
        )
    if dtype.kind in "biu" and table.has_missing(columns):
        dtype = np.dtype(np.float64)
    if dtype == np.uint8 and _are_resized(table, columns, images.size):
        dtype = np.dtype(np.float32)
    return TableRows(table, columns, (table.num_rows, *block.shape[1:]), dtype, images, as_text)


def _are_resized(table: TableFile, columns: tuple[str, ...], size: tuple[int, int] | None) -> bool:
    """Returns whether encoded images are brought to a size that not all of them have."""
    return size is not None and any(
        holds_other_sizes(f"column {name!r} of {table.path}", batch.column(name), size)
        for batch in table.batches(columns, 256)
        for name in columns
    )


def _stack(table: TableFile, batch: Any, columns: tuple[str, ...], images: ImageOptions) -> Array:
    arrays = [
        to_numpy(f"column {name!r} of {table.path}", batch.column(name), images) for name in columns
    ]
    if len(arrays) == 1:
        return arrays[0]
    for name, array in zip(columns, arrays, strict=True):
        if array.dtype.kind == "O":
            raise _not_numbers(table, name)
    if any(array.ndim > 1 for array in arrays):
        raise DataError(
            f"{table.path} mixes columns of lists or images with others ({listed(columns)}). Name "
            f"the input column, as in --x-key {columns[0]}."
        )
    return np.stack(arrays, axis=1)


def _not_numbers(table: TableFile, name: str) -> DataError:
    """Returns the error for a column that holds a word where numbers are expected."""
    words = (
        word
        for batch in table.batches((name,), 4096)
        for word in to_numpy(name, batch.column(0), ImageOptions())
        if word is not None and not is_number(word)
    )
    word = next(words, None)
    if word is None:
        return DataError(
            f"column {name!r} of {table.path} holds numbers written as text. Save it as numbers."
        )
    message = f"column {name!r} of {table.path} holds text ({word[:40]!r}), expected numbers. "
    if re.fullmatch(r"[-+]?\d+([.,]\d+)+", word):
        return DataError(
            f"{message}If the comma stands before the fraction, add --decimal ','; if it groups "
            "thousands, write the numbers without it."
        )
    if len(table.names) == 1:
        return DataError(
            f"{message}If it is several columns, say what separates them: --separator."
        )
    return DataError(
        f"{message}Encode it as numbers as for the training, choose the input columns with "
        "--x-key, or name the labels with --y-key."
    )
