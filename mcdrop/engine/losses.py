"""The loss a model was compiled with, and what it says about the model's outputs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

REGRESSION = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "poisson",
)
"""Losses of plain outputs; that of `poisson` is the rate."""

CLASSES = (
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
)
LABELS = ("binary_crossentropy", "binary_focal_crossentropy")
OVERLAPS = ("dice", "tversky")
"""Losses of class probabilities, of probabilities of labels, and of either of the two."""

MARGINS = ("hinge", "squared_hinge", "categorical_hinge")
"""Losses of scores that are no logits: their softmax or sigmoid is no probability."""

VALUES = (*REGRESSION, "cosine_similarity", "circle", "ctc")
"""Losses of outputs that are no class probabilities, nor logits of them."""


@dataclass(frozen=True)
class Loss:
    """What the loss of one output says.

    Attributes:
        name: The name of Keras's own loss function, or "the custom loss NAME".
        from_logits: Whether a cross-entropy takes logits; None for other losses.
        axis: The axis of the classes, for cross-entropies of classes; None for other losses.
    """

    name: str
    from_logits: bool | None = None
    axis: int | None = None


def loss_of(model: Any, index: int, names: Sequence[str]) -> Loss | None:
    """Returns the loss a model was compiled with for one flat output, None without.

    Args:
        model: The model.
        index: The number of the flat output.
        names: The names of all flat outputs; those of nested dicts are joined by "/".
    """
    if not getattr(model, "compiled", False):
        return None
    loss = _choose(model, getattr(model, "loss", None), index, names)
    return None if loss is None else _read(loss)


def _choose(model: Any, loss: Any, index: int, names: Sequence[str]) -> Any:
    """Returns the part of a compiled loss that is for one output."""
    if isinstance(loss, Mapping):
        return _by_key(model, loss, index, names)
    if isinstance(loss, (list, tuple)):
        parts = tree.flatten(loss)
        return parts[index] if index < len(parts) else None
    return loss


def _by_key(model: Any, losses: Mapping[str, Any], index: int, names: Sequence[str]) -> Any:
    """Returns the loss of an output by its key, by its layer, or the only one there is."""
    paths = tree.flatten_with_path(dict(losses))
    flat = {"/".join(map(str, path)): loss for path, loss in paths}
    layers = list(getattr(model, "output_names", None) or [])
    own = [names[index], *(layers[index : index + 1] if len(layers) == len(names) else [])]
    for name in own:
        if name in flat:
            return flat[name]
    # Keras takes a dict for a model with one output, whatever its key.
    return next(iter(flat.values())) if len(names) == 1 and len(flat) == 1 else None


def _read(loss: Any) -> Loss:
    settings: dict[str, Any] = {}
    function = loss
    if isinstance(loss, str):
        try:
            function = keras.losses.get(loss)
        except ValueError:
            return Loss(f"the custom loss {loss}")
    if isinstance(function, functools.partial):
        settings, function = dict(function.keywords), function.func
    if isinstance(function, keras.losses.Loss):
        settings = dict(getattr(function, "_fn_kwargs", None) or {})
        function = _function_of(function)
    name = getattr(function, "__name__", None) or type(function).__name__
    if getattr(keras.losses, str(name), None) is not function:
        return Loss(f"the custom loss {name}")
    logits = None
    if name in (*CLASSES, *LABELS):
        logits = bool(settings.get("from_logits", False))
    return Loss(name, logits, int(settings.get("axis", -1)) if name in CLASSES else None)


def _function_of(loss: Any) -> Any:
    """Returns Keras's function behind a loss object, the object itself where there is none.

    The name of the object is the user's to choose, and a subclass may compute anything.
    """
    for loss_class in type(loss).__mro__:
        if "call" in vars(loss_class):
            return loss.fn if loss_class.__module__.startswith("keras.") else loss
    return loss
