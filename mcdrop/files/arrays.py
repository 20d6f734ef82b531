"""Headers of NumPy's `.npy` format, checked before memory is taken for what they announce."""

from __future__ import annotations

import math
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MOST_AXES = 32
_LARGEST_HEADER = 2**16
"""Bytes of a header; a plain array needs 118."""


@dataclass(frozen=True)
class ArrayHeader:
    """What an `.npy` stream says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool


def read_header(stream: IO[bytes], num_bytes: int) -> ArrayHeader:
    """Reads the header of an `.npy` stream of so many bytes, up to the first value.

    Raises:
        ValueError: It is no header, its shape or type is none of a plain array, or it announces
            more values than the stream can hold. NumPy raises others for damaged ones; see
            `mcdrop.files.archives.DAMAGES`.
    """
    version = np.lib.format.read_magic(stream)
    try:
        if version == (1, 0):
            found = np.lib.format.read_array_header_1_0(stream, max_header_size=_LARGEST_HEADER)
        elif version == (2, 0):
            found = np.lib.format.read_array_header_2_0(stream, max_header_size=_LARGEST_HEADER)
        else:
            raise ValueError(f"version {version} of the format is unknown")
    except (SyntaxError, TokenError, TypeError, AttributeError) as problem:  # a broken literal
        raise ValueError(f"its header cannot be read: {problem}") from None
    header = ArrayHeader(tuple(map(int, found[0])), found[2], bool(found[1]))
    _check(header, num_bytes)
    return header


def _check(header: ArrayHeader, num_bytes: int) -> None:
    if len(header.shape) > MOST_AXES or any(size < 0 for size in header.shape):
        raise ValueError(f"its header has the impossible shape {header.shape}")
    if header.dtype.shape or header.dtype.names:
        raise ValueError(f"its values are records of type {header.dtype}, expected plain values")
    if header.dtype.hasobject:  # pickled, so of any size; refused by whoever asked
        return
    wanted = math.prod(header.shape) * header.dtype.itemsize
    # Values of no bytes, as empty texts, could be announced in any number.
    if wanted > num_bytes or (header.dtype.itemsize == 0 and math.prod(header.shape) > num_bytes):
        raise ValueError(
            f"its header announces shape {header.shape} of {header.dtype}, {wanted:,} bytes, but "
            f"there are {num_bytes:,}"
        )


def read_array(stream: IO[bytes], num_bytes: int) -> NDArray[Any]:
    """Returns the array of an `.npy` stream of so many bytes; objects are never unpickled.

    Raises:
        ValueError: As `read_header`; or the values are Python objects, or end too early.
    """
    header = read_header(stream, num_bytes)
    if header.dtype.hasobject:
        raise ValueError("it holds Python objects, which are never unpickled")
    shape = header.shape[::-1] if header.fortran_order else header.shape
    values = read_values(stream, shape, header.dtype)
    return values.T if header.fortran_order else values


def read_values(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns the next values of a stream in the machine's byte order, the last axis fastest.

    Raises:
        ValueError: The stream ends too early.
    """
    wanted = math.prod(shape) * dtype.itemsize
    if not wanted:  # nothing, or texts without a character
        return np.zeros(shape, dtype)
    data = stream.read(wanted)
    if len(data) != wanted:
        raise ValueError("it ends too early: the file was not written completely")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
