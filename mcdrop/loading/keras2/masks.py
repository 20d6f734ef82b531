"""Masks where Keras 3 treats them in another way than Keras 2.

A mask travels with a tensor while a model is being made, and each layer that uses one gets it as
an argument that is saved with the model. So a mask that is set here holds later too.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import keras
from keras import ops

from mcdrop.engine.private_keras import mask_of, set_mask
from mcdrop.loading.keras2.record import UntranslatableError

DROP_MASKS = (keras.layers.Identity, keras.layers.Normalization, keras.layers.Rescaling)
"""The layers that keep a mask in Keras 3 and lost it in Keras 2."""

MERGES = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
"""The layers that masked a step where any input was masked, and now where all inputs are."""


def merge(layer: Any, inputs: list[Any]) -> Any:
    """Returns the result of a merging layer with the mask that Keras 2 gave it.

    Raises:
        UntranslatableError: Keras 2 had no mask for it either.
    """
    masks = [mask_of(part) for part in inputs if is_masked(part)]
    result = layer([unmasked(part) for part in inputs])
    if not masks:
        return result
    rank = len(result.shape)
    if not isinstance(layer, keras.layers.Concatenate) or layer.axis in (-1, rank - 1):
        set_mask(result, reduce(ops.logical_and, masks))
    elif layer.axis == 1 and len(masks) == len(inputs):
        set_mask(result, ops.concatenate(masks, axis=1))
    else:
        raise UntranslatableError(f"masked inputs along axis {layer.axis} are not translated")
    return result


def is_masked(tensor: Any) -> bool:
    """Whether a tensor between layers carries a mask."""
    return mask_of(tensor) is not None


def unmasked(value: Any) -> Any:
    """Returns a tensor without its mask, which operations do not pass on."""
    return ops.add(value, 0) if is_masked(value) else value
