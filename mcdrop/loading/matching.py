"""Fitting data to a model: shapes checked, a missing channel axis added, pixels scaled."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop._checks import check_choice
from mcdrop.errors import DataError
from mcdrop.loading.columns import listed
from mcdrop.loading.data import Data
from mcdrop.loading.expected import InputSpec, Shape, input_specs, takes_dict
from mcdrop.loading.rows import MappedRows, Rows, rows_at_once

SCALES: Mapping[str, tuple[float, float]] = {
    "none": (1.0, 0.0),
    "unit": (1.0 / 255.0, 0.0),
    "symmetric": (1.0 / 127.5, -1.0),
}
"""Factor and offset of each way to scale pixels from [0, 255]."""

_SCALING_LAYERS = frozenset({"Rescaling", "Normalization"})
_SCALING_OPERATIONS = frozenset({"TrueDivide", "Divide", "Multiply", "Subtract"})
_FIRST_NORMALIZER = "BatchNormalization"

Array = NDArray[Any]
Numbers = range | NDArray[np.intp]


def fit_to_model(data: Data, model: Any, *, scale: str = "none") -> Data:
    """Returns the data as the model takes it; every block is checked to be finite on reading.

    The one repair of shapes is a channel axis of size 1, added when only it is missing and
    dropped when only it is too many.

    Args:
        data: Opened data.
        model: Built Keras model.
        scale: "none" leaves pixels as they are, "unit" divides by 255, "symmetric" maps
            [0, 255] to [-1, 1]; applied to uint8 and floating inputs, never to other
            integers, which are no pixels.

    Raises:
        DataError: The inputs do not fit the model, or are not numbers.

    Example:
        >>> import keras
        >>> from mcdrop.loading import Data, rows
        >>> images = np.array([[[0, 255], [51, 102]]], np.uint8)
        >>> model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
        >>> data = Data("images", {"x": rows.ArrayRows(images)})
        >>> fit_to_model(data, model, scale="unit").x().reshape(-1).astype(float).round(1).tolist()
        [0.0, 1.0, 0.2, 0.4]
    """
    check_choice("scale", scale, tuple(SCALES))
    specs = input_specs(model)
    data = _read_pixels(data, specs)
    inputs = _match_inputs(data, specs)
    fitted = {
        name: _fit_rows(
            f"Input `{name}` of {data.name}" if len(inputs) > 1 else f"The input of {data.name}",
            rows,
            specs[name] if specs else None,
            scale,
            data,
        )
        for name, rows in inputs.items()
    }
    if scale != "none" and not any(_is_scalable(rows) for rows in inputs.values()):
        raise DataError(
            f"{data.name} holds whole numbers other than 8-bit pixels, which --scale leaves alone. "
            "Save pixels from 0 to 255 as uint8, as in x.astype('uint8')."
        )
    return replace(data, inputs=fitted, listed=not takes_dict(model))


def _read_pixels(data: Data, specs: Mapping[str, InputSpec] | None) -> Data:
    """Returns a table of pixels in columns as images, where that is the only reading.

    One channel has one order, row by row, in which the published tables of pixels are written.
    Two axes that might be a sequence of features are images only when all values are pixels.
    """
    if not data.columns or not specs or len(specs) != 1:
        return data
    (rows,), (spec,) = data.inputs.values(), specs.values()
    sizes = [size or 0 for size in spec.shape]
    has_one_channel = len(sizes) == 3 and sizes[-1] == 1
    if rows.shape[1:] != (int(np.prod(sizes)),) or not (has_one_channel or len(sizes) == 2):
        return data
    hold_pixels = rows.dtype.kind in "iu" and _are_pixels(rows)
    if min(sizes[:2]) == 1 or not (has_one_channel or hold_pixels):
        return data
    dtype = np.dtype(np.uint8) if hold_pixels else rows.dtype
    shape = tuple(sizes)
    images = MappedRows(
        rows, lambda block, _: block.astype(dtype).reshape(-1, *shape), shape, dtype
    )
    note = (
        f"The {len(data.columns)} columns of {data.name} are read as images of {sizes[0]}x"
        f"{sizes[1]}, row by row."
    )
    return replace(data, inputs={"x": images}, columns=(), readings=(*data.readings, note))


def _are_pixels(rows: Rows) -> bool:
    """Returns whether all values are from 0 to 255, after reading all of them once."""
    blocks = rows.blocks(rows_at_once([rows]))
    return all(block.min() >= 0 and block.max() <= 255 for block in blocks)


def pixel_hint(data: Data, model: Any, scale: str) -> str | None:
    """Returns a warning when raw pixels go into a model that seems not to rescale them."""
    raw = data.is_images or any(
        rows.dtype == np.uint8 and len(rows.shape) > 2 for rows in data.inputs.values()
    )
    if not raw or scale != "none" or _rescales(model):
        return None
    return (
        f"{data.name} holds raw pixels from 0 to 255 and the model has no Rescaling layer; if it "
        "was trained on pixels divided by 255, add --scale unit."
    )


def _match_inputs(data: Data, specs: Mapping[str, InputSpec] | None) -> dict[str, Rows]:
    """Returns the rows under the names of the model's inputs."""
    rows = dict(data.inputs)
    if specs is None:
        return rows
    if len(specs) == 1 and len(rows) == 1:
        return {next(iter(specs)): next(iter(rows.values()))}
    if set(rows) != set(specs):
        given = f"the columns {listed(data.columns)}" if data.columns else listed(rows)
        raise DataError(
            f"The model has {len(specs)} input(s) ({listed(specs)}), but {data.name} gives "
            f"{len(rows)} ({given}). Name one array an input, as in --x-key {','.join(specs)}."
        )
    return {name: rows[name] for name in specs}


def _fit_rows(name: str, rows: Rows, spec: InputSpec | None, scale: str, data: Data) -> Rows:
    is_text = rows.dtype.kind in "OUST"
    if not is_text and rows.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {rows.dtype}, expected numbers.")
    if spec is not None and is_text != spec.is_text:
        kinds = ("text", "numbers") if is_text else ("numbers", "text")
        raise DataError(f"{name} holds {kinds[0]}, expected {kinds[1]}, which the model takes.")
    shape = rows.shape[1:] if spec is None else _fit_shape(name, rows.shape, spec.shape, data)
    if is_text:
        return MappedRows(rows, _text_converter(name, shape, data.numbers), shape, np.dtype(object))
    applied = scale if _is_scalable(rows) else "none"
    dtype = rows.dtype if applied == "none" else np.dtype(np.float32)
    return MappedRows(rows, _converter(name, shape, applied, data), shape, dtype)


def _is_scalable(rows: Rows) -> bool:
    return rows.dtype == np.uint8 or rows.dtype.kind == "f"


def _fit_shape(name: str, shape: tuple[int, ...], expected: Shape, data: Data) -> tuple[int, ...]:
    """Returns the row shape after adding or dropping a channel axis of size 1."""
    row, columns = shape[1:], data.columns
    for candidate in (row, (*row, 1), row[:-1] if row[-1:] == (1,) else row):
        if _fits(candidate, expected):
            return candidate
    wanted = ", ".join("any" if size is None else str(size) for size in expected)
    if columns and not _can_be_reshaped(row, expected):
        shown = wanted if len(expected) == 1 else f"(N, {wanted})"
        raise DataError(
            f"{name} has {len(columns)} columns ({listed(columns)}), but the model takes {shown}. "
            f"{_naming(data)}"
        )
    raise DataError(
        f"{name} has shape {shape}, but the model takes (N, {wanted}). {_advice(row, expected)}"
    )


def _naming(data: Data) -> str:
    """Says which option names the columns that are meant."""
    if data.labels is not None:
        return "Name the inputs with --x-key."
    last = shlex.quote(data.columns[-1])
    return f"Name the inputs with --x-key and the labels with --y-key, as in --y-key {last}."


def _fits(row: tuple[int, ...], expected: Shape) -> bool:
    return len(row) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(row, expected, strict=True)
    )


def _can_be_reshaped(row: tuple[int, ...], expected: Shape) -> bool:
    return math.prod(row) == math.prod(size or 0 for size in expected)


def _advice(row: tuple[int, ...], expected: Shape) -> str:
    """Says how to repair a shape, as far as it can be told."""
    if len(row) == 3 == len(expected):
        if _fits((*row[1:], row[0]), expected):
            return "Put the channels last with np.moveaxis(x, 1, -1)."
        if _fits(row[:2], expected[:2]):
            return f"Convert the images from {row[2]} to {expected[2]} channel(s)."
        return "Resize the images, or use --image-size for a folder of images."
    if _can_be_reshaped(row, expected):
        return f"Reshape it with x.reshape((-1, {', '.join(map(str, expected))}))."
    return "Pass data of the kind that the model was trained on."


def _converter(
    name: str, row_shape: tuple[int, ...], scale: str, data: Data
) -> Callable[[Array, int], Array]:
    """Returns the function that turns a block as stored into a block for the model."""
    factor, offset = SCALES[scale]

    def convert(block: Array, start: int) -> Array:
        finite = np.isfinite(block).reshape(len(block), -1)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            place = f", column {data.columns[column]!r}" if data.columns else ""
            raise DataError(
                f"{name} has NaN or infinite values, the first in example "
                f"{data.numbers[start + row]}{place}. Remove or impute them first."
            )
        shaped = block.reshape(len(block), *row_shape)
        if scale == "none":
            return shaped
        return shaped.astype(np.float32) * np.float32(factor) + np.float32(offset)

    return convert


def _text_converter(
    name: str, row_shape: tuple[int, ...], numbers: Numbers
) -> Callable[[Array, int], Array]:
    """Returns the function that turns a block of text into one for the model."""

    def convert(block: Array, start: int) -> Array:
        texts = block.astype(object).reshape(len(block), *row_shape)
        lacking = (texts == None).reshape(len(block), -1).any(axis=1)  # noqa: E711
        if lacking.any():
            raise DataError(
                f"{name} has missing texts, the first in example "
                f"{numbers[start + int(np.argmax(lacking))]}. Fill them in first."
            )
        return texts

    return convert


def _rescales(model: Any) -> bool:
    """Returns whether a model seems to scale its inputs itself."""
    layers = list(model._flatten_layers()) if hasattr(model, "_flatten_layers") else []
    kinds = [type(layer).__name__ for layer in layers]
    if not _SCALING_LAYERS.isdisjoint(kinds):
        return True
    operations = getattr(model, "operations", None) or getattr(model, "layers", [])
    computing = [type(op).__name__ for op in operations if type(op).__name__ != "InputLayer"]
    first = computing[0] if computing else ""
    return first in _SCALING_OPERATIONS or first == _FIRST_NORMALIZER
