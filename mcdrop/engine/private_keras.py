"""Everything of Keras that is used here and is not part of its public interface.

One module, so that a new Keras can be judged by reading one page (docs/new-keras.md). Names are
looked up when this module is imported; if Keras lacks one, the error names all that are
missing, in place of an AttributeError in the middle of a trace.

Of two ways to the same thing the one that every supported version has is used: attributes
(`context.training`) in place of accessors that came with Keras 3.10, duck typing
(`get_dropout_mask`) in place of a base class.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from mcdrop.errors import ModelError

Layer = Any

_NAMES = {
    "keras.src.backend.tensorflow.random": (
        "dropout",
        "uniform",
        "normal",
        "truncated_normal",
        "randint",
        "categorical",
        "beta",
        "binomial",
        "gamma",
        "shuffle",
    ),
    "keras.src.backend.common.global_state": ("get_global_attribute",),
    "keras.src.models.functional": ("Functional",),
    "keras.src.ops.node": ("Node",),
    "keras.src.utils.tracking": ("Tracker",),
}
_ATTRIBUTES = {
    "Layer": ("_flatten_layers",),
    "Sequential": ("call",),
}
_INSTANCE_ATTRIBUTES = ("_layers", "_tracker", "_inbound_nodes", "_call_has_training_arg")


def check_names() -> None:
    """Raises ModelError that lists what Keras lacks of all that is used of its inside."""
    missing = [
        f"{module}.{name}"
        for module, names in _NAMES.items()
        for name in names
        if not _has(module, name)
    ]
    missing += [
        f"keras.{owner}.{name}"
        for owner, names in _ATTRIBUTES.items()
        for name in names
        if not hasattr(getattr(keras, owner), name)
    ]
    probe = keras.layers.Layer(name="mcdrop_probe")
    missing += [
        f"keras.Layer().{name}" for name in _INSTANCE_ATTRIBUTES if not hasattr(probe, name)
    ]
    if missing:
        raise ModelError(
            f"Keras {keras.__version__} lacks what mcdrop uses of its inside: "
            f"{', '.join(missing)}. Install a version that mcdrop supports, see docs/new-keras.md."
        )


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False


check_names()

backend_random: Any = importlib.import_module("keras.src.backend.tensorflow.random")
"""The module that `keras.random` and every Keras layer draw from."""

Functional: Any = importlib.import_module("keras.src.models.functional").Functional
Node: Any = importlib.import_module("keras.src.ops.node").Node
Tracker: Any = importlib.import_module("keras.src.utils.tracking").Tracker

MASKS_OF_CELLS = ("_dropout_mask", "_recurrent_dropout_mask")
"""Attributes in which a recurrent cell keeps its masks between time steps."""

BOUND_WRAPPERS = ("build", "quantize")
"""Functions that `Layer.__new__` puts on every instance, closed over it."""


def draws_masks(cell: Layer) -> bool:
    """Whether a layer is a recurrent cell that draws dropout masks."""
    return hasattr(cell, "get_dropout_mask") and hasattr(cell, "get_recurrent_dropout_mask")


def takes_training(layer: Layer) -> bool:
    """Whether the `call` of a layer has an argument `training`."""
    return bool(layer._call_has_training_arg)


def layers_within(layer: Layer) -> list[Layer]:
    """Returns a layer and all layers inside of it, at any depth."""
    return list(layer._flatten_layers())


def origin(tensor: Any) -> tuple[Any, int, int]:
    """Returns (operation, number of its call, number of the output) of a tensor between layers."""
    history = tensor._keras_history
    return history.operation, history.node_index, history.tensor_index


def sources(tensor: Any) -> list[Any]:
    """Returns the tensors that the operation which made a tensor was called on."""
    operation, call, _ = origin(tensor)
    return list(operation._inbound_nodes[call].input_tensors)


def mask_of(tensor: Any) -> Any:
    """Returns the mask that a tensor between layers carries, None without one."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> None:
    """Gives a tensor between layers a mask."""
    tensor._keras_mask = mask


@contextmanager
def training_flag(value: bool) -> Iterator[None]:
    """Sets the `training` of the surrounding call and restores it: Keras itself does not."""
    state = importlib.import_module("keras.src.backend.common.global_state")
    context = state.get_global_attribute("current_call_ctx")
    if context is None:
        yield
        return
    before = getattr(context, "training", None)
    context.training = value
    try:
        yield
    finally:
        context.training = before
