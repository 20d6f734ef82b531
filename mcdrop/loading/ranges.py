"""Inputs that a model was not trained on: raw pixels, pixels scaled twice, columns far off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.loading.data import Data
from mcdrop.loading.matching import pixel_hint
from mcdrop.loading.rows import ArrayRows

Array = NDArray[Any]

MOST_EXAMPLES = 256
"""Examples at the beginning of the data that are looked at."""

FAR = 10.0
"""Standard deviations from the mean of the training that half of the inputs have to lie within."""

LARGEST_FACTOR = 1.0 / 100.0
"""A Rescaling layer of a smaller factor expects pixels from 0 to 255."""


def input_warnings(data: Data, fitted: Data, model: Any, scale: str) -> dict[str, str]:
    """Returns what of the first examples does not fit the model, a sentence by a short key.

    Args:
        data: The data as they were given.
        fitted: The same as the model takes them.
        model: A built Keras model.
        scale: As for `fit_to_model`.
    """
    found = {}
    block = next(iter(fitted.blocks(MOST_EXAMPLES)), None)
    arrays = [block] if isinstance(block, np.ndarray) else []
    hint = pixel_hint(data, model, scale)
    if hint is None and arrays and _are_whole_pixels(arrays[0]):
        pixels = {name: ArrayRows(arrays[0].astype(np.uint8)) for name in fitted.inputs}
        hint = pixel_hint(Data(data.name, pixels), model, scale)
    if hint is not None:
        found["raw_pixels"] = hint
    for array in arrays:
        found |= _of_first_layer(data.name, array, model)
    return found


def _are_whole_pixels(array: Array) -> bool:
    """Returns whether numbers that could be images are whole ones from 0 to about 255."""
    if array.dtype.kind not in "iuf" or array.ndim < 4:
        return False
    low, high = float(array.min()), float(array.max())
    return bool(low >= 0.0 and 64.0 <= high <= 255.0 and (array == np.rint(array)).all())


def _of_first_layer(name: str, array: Array, model: Any) -> dict[str, str]:
    """Returns the warning of inputs that do not fit what a first layer scales them by."""
    if array.dtype.kind not in "iuf" or array.size == 0:
        return {}
    layer: Any = next(_computing_layers(model), None)
    kind = type(layer).__name__
    if kind == "Rescaling" and np.ndim(layer.scale) == 0 and 0 < layer.scale < LARGEST_FACTOR:
        most = float(np.abs(array).max())
        if 0.0 < most <= 1.0:
            return {
                "scaled_twice": (
                    f"{name} holds numbers up to {most:.3g}, and the model itself multiplies them "
                    f"by {layer.scale:.3g}: if they were divided before, leave that out."
                )
            }
    center, spread = _expected(layer, kind)
    if center is None or spread is None or array.shape[-1] != np.size(center):
        return {}
    apart = np.abs(array.astype(np.float64) - center) / np.maximum(spread, 1e-7)
    typical = float(np.median(apart))
    if typical <= FAR:
        return {}
    return {
        "far_inputs": (
            f"half of the inputs in {name} lie more than {typical:.3g} standard deviations from "
            "those of the training, by the model's first layer: look at their units and scaling."
        )
    }


def _expected(layer: Any, kind: str) -> tuple[Array | None, Array | None]:
    """Returns mean and standard deviation of the inputs that a first layer was made for."""
    if kind == "Normalization" and not layer.invert and layer.mean is not None:
        return np.ravel(layer.mean), np.sqrt(np.ravel(layer.variance))
    if kind == "BatchNormalization":
        return np.ravel(layer.moving_mean), np.sqrt(np.ravel(layer.moving_variance))
    return None, None


def _computing_layers(model: Any) -> Iterator[Any]:
    """Yields the layers of a plain chain of them in their order; none of other models."""
    layers = [each for each in model.layers if type(each).__name__ != "InputLayer"]
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) == 1:
        yield from layers
