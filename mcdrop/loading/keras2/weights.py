"""The weights of Keras 2, put into the variables of Keras 3.

Keras 2 wrote the weights of each layer in a list: what can be trained first, then the rest, each
in the order of the layers inside. Names are compared where both versions use the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mcdrop.engine.private_keras import layers_within
from mcdrop.loading.keras2.graphs import is_model, layers_of
from mcdrop.loading.keras2.layers import allowed_name, class_name, name_of
from mcdrop.loading.keras2.operations import OPERATION_LAYERS
from mcdrop.loading.keras2.record import UntranslatableError
from mcdrop.loading.keras2.stored import Stored

_NEVER_TRAINED = ("mean", "moving_mean", "moving_variance", "variance", "vector_u")
_SAME_NAMES = (
    "beta",
    "bias",
    "embeddings",
    "gamma",
    "kernel",
    "moving_mean",
    "moving_variance",
    "recurrent_kernel",
)


@dataclass(frozen=True, eq=False)
class Slot:
    """A variable, and how it follows from the array in the file."""

    variable: Any
    convert: Callable[[Any], Any] = lambda array: array


def assign(layer: Any, serialized: Mapping[str, Any], arrays: Sequence[Stored]) -> None:
    """Puts the arrays of one layer, or of a model inside the model, into its variables.

    Raises:
        UntranslatableError: They do not fit.
    """
    slots = slots_of(layer, serialized)
    # Counters of adapted layers and the states of random ones are whole numbers, and no weights.
    arrays = [array for array in arrays if np.issubdtype(array.dtype, np.floating)]
    label = f"the layer {name_of(serialized)!r}"
    if len(slots) != len(arrays):
        raise UntranslatableError(
            f"{label} has {len(slots)} weights, and the file holds {len(arrays)} of it"
        )
    for slot, array in zip(slots, arrays, strict=True):
        _assign(slot, array, label)
    for part in _adapted(layer):
        part.finalize_state()


def slots_of(layer: Any, serialized: Mapping[str, Any]) -> list[Slot]:
    """Returns the places of a layer's weights, in the order of Keras 2."""
    trained, others = _slots(layer, serialized)
    unique = {id(slot.variable): slot for slot in reversed([*trained, *others])}
    return [slot for slot in reversed(unique.values()) if "int" not in str(slot.variable.dtype)]


def _slots(layer: Any, serialized: Mapping[str, Any]) -> tuple[list[Slot], list[Slot]]:
    """Returns the places of the weights that could be trained, and of the others."""
    parts = [_slots(part, config) for part, config in _parts(layer, serialized)]
    if parts:
        trained = [slot for part, _ in parts for slot in part]
        others = [slot for _, part in parts for slot in part]
    else:
        trained, others = _own_slots(layer, class_name(serialized))
    config = serialized["config"]
    if isinstance(config, dict) and config.get("trainable") is False:
        return [], [*trained, *others]
    return trained, others


def _parts(layer: Any, serialized: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yields the layers inside a model or a wrapper, each with its serialized form."""
    if is_model(serialized) and isinstance(layer, keras.Model):
        for part in layers_of(serialized):
            if class_name(part) not in ("InputLayer", *OPERATION_LAYERS):
                yield layer.get_layer(allowed_name(name_of(part))), part
    elif isinstance(layer, keras.layers.Bidirectional):
        forward = serialized["config"]["layer"]
        yield layer.forward_layer, forward
        yield layer.backward_layer, serialized["config"].get("backward_layer") or forward
    elif isinstance(layer, keras.layers.TimeDistributed):
        yield layer.layer, serialized["config"]["layer"]


def _own_slots(layer: Any, name: str) -> tuple[list[Slot], list[Slot]]:
    slots = [Slot(variable) for variable in layer.weights]
    if name == "CuDNNLSTM":
        slots = _cudnn_slots(slots, 4, lambda bias: sum(np.split(bias, 2)))
    if name == "CuDNNGRU":
        slots = _cudnn_slots(slots, 3, lambda bias: bias.reshape(2, -1))
    never = [slot.variable.name in _NEVER_TRAINED for slot in slots]
    return (
        [slot for slot, fixed in zip(slots, never, strict=True) if not fixed],
        [slot for slot, fixed in zip(slots, never, strict=True) if fixed],
    )


def _cudnn_slots(slots: Sequence[Slot], gates: int, bias: Callable[[Any], Any]) -> list[Slot]:
    """Returns slots that reorder the weights of a cuDNN layer, which lie gate by gate."""

    def per_gate(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda array: np.hstack([function(part) for part in np.hsplit(array, gates)])

    kernel = per_gate(lambda part: part.T.reshape(part.shape, order="F"))
    recurrent = per_gate(lambda part: part.T)
    return [
        Slot(slot.variable, convert)
        for slot, convert in zip(slots, (kernel, recurrent, bias), strict=True)
    ]


def _assign(slot: Slot, array: Stored, label: str) -> None:
    expected = tuple(slot.variable.shape)
    fits = np.prod(array.shape, dtype=float) <= 2 * np.prod(expected, dtype=float)
    values = slot.convert(array.read()) if fits else None
    if values is None or values.shape != expected:
        raise UntranslatableError(
            f"{label} has a weight {slot.variable.name!r} of shape {expected}, and the file holds "
            f"{array.name!r} of shape {array.shape}"
        )
    name = array.name.rsplit("/", 1)[-1].split(":")[0]
    if {name, slot.variable.name} <= set(_SAME_NAMES) and name != slot.variable.name:
        raise UntranslatableError(
            f"{label} has a weight {slot.variable.name!r} where the file holds {array.name!r}"
        )
    slot.variable.assign(values)


def _adapted(layer: Any) -> Iterator[Any]:
    """Yields the layers whose statistics are computed once from their weights."""
    for part in layers_within(layer):
        if isinstance(part, keras.layers.Normalization) and part.built:
            yield part
