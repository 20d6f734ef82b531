"""Models that are nothing but their graph of layers, and that graph."""

from __future__ import annotations

from typing import Any

import keras

from mcdrop.engine.private_keras import Functional


def is_plain(model: Any) -> bool:
    """Whether a model runs its Functional graph as it is, with no `call` of its own."""
    if isinstance(model, keras.Sequential):
        return type(model).call is keras.Sequential.call and model._functional is not None
    return isinstance(model, Functional) and type(model).call is Functional.call


def graph_of(model: Any) -> Any:
    """Returns the Functional graph that a plain model runs."""
    return model._functional if isinstance(model, keras.Sequential) else model
