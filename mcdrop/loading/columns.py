"""Columns of Arrow tables as NumPy arrays: numbers, text, lists, and encoded images."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.loading.images import decode, is_image, read_header
from mcdrop.loading.options import ImageOptions

MOST_LISTED = 10
"""Names or rows that a message lists before it only counts the rest."""

_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
Array = NDArray[Any]


def listed(names: Any) -> str:
    """Returns names separated by commas, at most ten of them and the number of the rest.

    Example:
        >>> listed(["a", "b"]), listed(range(12))
        ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more')
    """
    texts = [str(name) for name in names]
    more = len(texts) - MOST_LISTED
    return ", ".join(texts[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def is_number(text: str) -> bool:
    """Returns whether a word is a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def check_unique(path: Path, names: Sequence[str]) -> None:
    """Raises DataError when two columns have one name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError(
            f"{path} has {names.count(repeated[0])} columns named {repeated[0]!r}; its columns are "
            f"{listed(names)}. Give each a name of its own, so that --x-key and --y-key can tell "
            "them apart."
        )


def check_apart(inputs: Sequence[str], labels: Sequence[str]) -> None:
    """Raises DataError when an array or column is named twice, or as an input and a label."""
    for option, names in (("--x-key", inputs), ("--y-key", labels)):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{option} names {listed(map(repr, twice))} twice. Name each once.")
    both = [name for name in inputs if name in labels]
    if both:
        raise DataError(
            f"{listed(map(repr, both))} is named by --x-key and by --y-key, but cannot be an input "
            "and a label. Name it in one of them."
        )


def to_numpy(name: str, column: Any, images: ImageOptions) -> Array:
    """Returns an Arrow array as a NumPy array with one row an example.

    Numbers keep their type, with NaN where a value is missing; text becomes an array of `str`,
    with None where it is missing; encoded images are decoded.

    Raises:
        DataError: The values are of another kind, as dates are, or images are missing or damaged.
    """
    import pyarrow.types as types

    column = _plain(column)
    kind = column.type
    if _is_binary(kind):
        return _decode_images(name, column, images)
    if _is_list(kind):
        return _lists_to_numpy(name, column, images)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return np.array(column.to_pylist(), dtype=object)
    if types.is_boolean(kind) and column.null_count:
        column = column.cast("int8")
    if types.is_decimal(kind) or types.is_null(kind):
        column = column.cast("float64")
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise DataError(
            f"{name} holds values of type {kind}, expected numbers. Encode it as numbers, or "
            "choose the input columns with --x-key."
        )
    array: Array = column.to_numpy(zero_copy_only=False)
    return array


def has_nulls(column: Any) -> bool:
    """Returns whether a value of an Arrow array is missing, also inside of lists."""
    column = _plain(column)
    inside = _is_list(column.type) and has_nulls(column.flatten())
    return column.null_count > 0 or inside


def holds_other_sizes(name: str, column: Any, size: tuple[int, int]) -> bool:
    """Returns whether an encoded image in an Arrow array has not this height and width."""
    column = _plain(column)
    if _is_list(column.type):
        return holds_other_sizes(name, column.flatten(), size)
    return _is_binary(column.type) and any(
        read_header(data.as_py() or b"", name).size != size for data in column
    )


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_list(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _plain(column: Any) -> Any:
    """Returns the values themselves of categories and extension types, and text as text.

    Encoded images may be wrapped as Hugging Face does; other bytes are text where they can be.
    """
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_struct(column.type) and "bytes" in {field.name for field in column.type}:
        column = column.field("bytes")
    if _is_binary(column.type):
        first = next((data.as_py() for data in column if data.is_valid), b"")
        with contextlib.suppress(pa.ArrowInvalid):
            return column if not first or is_image(first) else column.cast(pa.large_string())
    return column


def _decode_images(name: str, column: Any, images: ImageOptions) -> Array:
    decoded = [decode(data.as_py() or b"", name, images) for data in column]
    sizes = {image.shape for image in decoded}
    if len(sizes) > 1:
        (height, width, _), *_ = sorted(sizes)
        raise DataError(
            f"{name} holds images of different sizes. Pass the size the model was trained on, as "
            f"in --image-size {height}x{width}."
        )
    return np.stack(decoded)


def _lists_to_numpy(name: str, column: Any, images: ImageOptions) -> Array:
    lengths = set(column.value_lengths().to_pylist())
    if len(lengths) != 1 or None in lengths:
        raise DataError(f"{name} holds lists of different lengths, expected one length.")
    values = to_numpy(name, column.flatten(), images)
    return values.reshape(len(column), lengths.pop(), *values.shape[1:])
