"""Arrays that are read block by block, so that a file larger than memory can be predicted.

Every kind of source offers the same three things: `shape` with the number of examples first,
`dtype`, and `blocks(size, start)`, which goes through the examples once, in order. Arrays in `.npy`
files, images and Parquet tables are read from `start` on; others are read, and dropped, up to it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.archives import DAMAGES, ByteSource, damage_told, describe
from mcdrop.files.arrays import ArrayHeader, read_header, read_values

Array = NDArray[Any]

_AGAIN = "Save or copy it again."
_BLOCK_BYTES = 2**25
_TEXT_BYTES = 2**10
"""What a text is taken to need in memory, where its length is not known."""


class Rows(Protocol):
    """Examples that can be read in order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole, (N, ...)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values that `blocks` yields."""
        ...

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields arrays of at most `size` examples that make up the whole from `start` on."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayRows:
    """Examples of an array in memory."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""
        return self.array.dtype

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields slices of the array."""
        for first in range(start, len(self.array), size):
            yield self.array[first : first + size]


@dataclass(frozen=True, eq=False)
class NpyRows:
    """Examples of an `.npy` file or of a member of an `.npz` file, read as a stream."""

    name: str
    open: ByteSource
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields blocks in the machine's byte order; column-major files are read whole first."""
        if self.fortran_order:
            yield from ArrayRows(self._read_columns()).blocks(size, start)
            return
        with self._values() as stream:
            row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
            stream.seek(start * row_bytes, os.SEEK_CUR)
            for first in range(start, self.shape[0], size):
                count = min(size, self.shape[0] - first)
                yield read_values(stream, (count, *self.shape[1:]), self.dtype)

    def _read_columns(self) -> Array:
        with self._values() as stream:
            return read_values(stream, self.shape[::-1], self.dtype).transpose()

    @contextlib.contextmanager
    def _values(self) -> Iterator[IO[bytes]]:
        """Opens the stream at its first value."""
        with damage_told(self.name, DataError, _AGAIN), self.open() as stream:
            _read_header(stream, self.name, self.open.num_bytes)
            yield stream


def npy_rows(name: str, open_stream: ByteSource) -> NpyRows:
    """Returns the rows of an `.npy` stream after reading its header.

    Raises:
        DataError: The stream is not an array, or an array of Python objects, which would
            have to be unpickled.
    """
    with damage_told(name, DataError, _AGAIN), open_stream() as stream:
        header = _read_header(stream, name, open_stream.num_bytes)
    shape, dtype = header.shape, header.dtype
    if dtype.hasobject:
        raise DataError(
            f"{name} is an array of Python objects, which mcdrop never unpickles. Save plain "
            "arrays instead: text as np.array(texts, dtype=str), numbers as from np.stack(arrays)."
        )
    if not shape:
        raise DataError(f"{name} is a single number, expected an array with one row an example.")
    return NpyRows(name, open_stream, shape, dtype, header.fortran_order)


def _read_header(stream: IO[bytes], name: str, num_bytes: int) -> ArrayHeader:
    try:
        return read_header(stream, num_bytes)
    except DAMAGES as problem:
        raise DataError(f"{name} is not an array written by NumPy ({describe(problem)}).") from None


@dataclass(frozen=True, eq=False)
class ChosenRows:
    """Some examples of a source, in the order of the source."""

    source: Rows
    indices: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the chosen examples."""
        return (len(self.indices), *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the source."""
        return self.source.dtype

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields what is chosen of each block of the source."""
        indices = self.indices[start:]
        if not len(indices):
            return
        first = int(indices[0])
        for block in self.source.blocks(size, first):
            stop = first + len(block)
            low, high = np.searchsorted(indices, (first, stop))
            if low < high:
                yield block[indices[low:high] - first]
            first = stop
            if high == len(indices):
                return


@dataclass(frozen=True, eq=False)
class MappedRows:
    """A source whose blocks go through a function, told the number of the first example."""

    source: Rows
    function: Callable[[Array, int], Array]
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape after the function."""
        return (self.source.shape[0], *self.row_shape)

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields the blocks of the source after the function."""
        for block in self.source.blocks(size, start):
            yield self.function(block, start)
            start += len(block)


def rows_at_once(sources: Iterable[Rows]) -> int:
    """Returns how many examples of some sources to read at a time, about 32 MiB of them."""
    row_bytes = sum(
        int(np.prod(rows.shape[1:], dtype=np.int64)) * _value_bytes(rows.dtype) for rows in sources
    )
    return max(1, _BLOCK_BYTES // max(1, row_bytes))


def _value_bytes(dtype: np.dtype[Any]) -> int:
    return _TEXT_BYTES if dtype.kind == "O" else dtype.itemsize


def read(rows: Rows) -> Array:
    """Returns all examples as one array."""
    if isinstance(rows, ArrayRows):
        return rows.array
    whole = np.empty(rows.shape, rows.dtype)
    start = 0
    for block in rows.blocks(rows_at_once([rows])):
        # A block of a wider type than declared must never be cut down to it.
        np.copyto(whole[start : start + len(block)], block, casting="same_kind")
        start += len(block)
    return whole
