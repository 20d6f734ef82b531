"""Models that are nothing but their graph of layers, and that graph."""

from __future__ import annotations

from typing import Any

import keras

from mcdrop.engine.private_keras import Functional

_OF_KERAS = ("keras.src.activations.", "keras.src.layers.")
_ACTIVATIONS = ("activation", "recurrent_activation")


def is_plain(model: Any) -> bool:
    """Whether a model runs its Functional graph as it is, with no `call` of its own."""
    if isinstance(model, keras.Sequential):
        return type(model).call is keras.Sequential.call and model._functional is not None
    return isinstance(model, Functional) and type(model).call is Functional.call


def is_of_keras(layer: Any) -> bool:
    """Whether a layer runs code of Keras alone, that of the layers inside of it aside."""
    if isinstance(layer, keras.Model):
        return is_plain(layer)
    functions = (getattr(layer, name, None) for name in _ACTIVATIONS)
    return (
        type(layer).__module__.startswith("keras.src.")
        and not isinstance(layer, keras.layers.Lambda)
        and all(
            getattr(function, "__module__", "").startswith(_OF_KERAS)
            for function in functions
            if function is not None
        )
    )


def graph_of(model: Any) -> Any:
    """Returns the Functional graph that a plain model runs."""
    return model._functional if isinstance(model, keras.Sequential) else model
