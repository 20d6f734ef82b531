"""Activations, initializers, regularizers, constraints and data types of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mcdrop.loading.keras2.activations import hard_sigmoid_of_keras2
from mcdrop.loading.keras2.record import NotImportedError, Record, UntranslatableError
from mcdrop.loading.keras2.values import plain

_SAME_ACTIVATIONS = (
    "elu",
    "exponential",
    "gelu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
)
"""The activations that Keras 2 knew by name and that Keras 3 computes by the same formula."""

_RENAMED = {"softmax_v2": "softmax", "sigmoid_v2": "sigmoid", "leakyrelu": "leaky_relu"}

_TRAINING_ONLY = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}
"""What shapes the training of a layer and not its function, by the last word of the option."""


def registered(name: str) -> Any:
    """Returns the class or function that was registered with Keras 3 under a name, or None.

    Keras 2 wrote the bare name of most custom objects, so a registration under any package
    counts when there is only one of that name.
    """
    known = keras.saving.get_custom_objects()
    if name in known:
        return known[name]
    found = [value for key, value in known.items() if key.split(">")[-1] == name.split(">")[-1]]
    return found[0] if len(found) == 1 else None


def activation(value: Any, record: Record, make_layer: Any) -> Any:
    """Returns what Keras 3 calls the activation, or raises UntranslatableError.

    Args:
        value: The name, or the serialized function or layer.
        record: Notes what keeps its old meaning.
        make_layer: Makes a layer out of its serialized form.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        if isinstance(value.get("config"), Mapping):
            return make_layer(value)
        value = value.get("config") or value.get("class_name")
    name = _RENAMED.get(str(value), str(value))
    if name == "hard_sigmoid":
        record.remark("hard_sigmoid is clip(0.2 x + 0.5, 0, 1), as Keras 2 defined it")
        return hard_sigmoid_of_keras2
    if name in _SAME_ACTIVATIONS:
        return getattr(keras.activations, name)
    custom = registered(name)
    if custom is None:
        raise NotImportedError(f"it needs the custom activation {name!r}, which is not imported")
    return custom


def training_only(option: str, value: Any, record: Record) -> Any:
    """Returns an initializer, regularizer or constraint, or None when Keras 3 lacks it.

    None of these changes what a trained model computes, so that an unknown one is left out
    with a remark.
    """
    room = _TRAINING_ONLY[option.rsplit("_", 1)[-1]]
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return registered(value) or room.get(value)
        name, config = value["class_name"], dict(plain(value.get("config") or {}))
        custom = registered(name)
        if custom is not None:
            return custom.from_config(config) if hasattr(custom, "from_config") else custom
        config.pop("dtype", None)
        found = getattr(room, name, None)
        return room.get(name) if found is None else found(**config)
    except Exception:  # each kind of object refuses options in its own way
        known = value.get("config") if isinstance(value, Mapping) else value
        name = known if isinstance(known, str) else value["class_name"]
        record.remark(f"the {option} {name} was left out; it matters in training only")
        return None


def data_type(value: Any) -> Any:
    """Returns the data type or mixed precision policy that a layer was saved with."""
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config.get("name") if isinstance(config, Mapping) else None
        if value is None:
            raise UntranslatableError("its data type policy has no name")
    if value in (None, "_infer", "policy_v1"):
        return None
    return value
