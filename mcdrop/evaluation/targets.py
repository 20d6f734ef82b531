"""Targets, checked against what predictions say, and how their units belong to examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_array, as_float, as_labels, is_one_hot
from mcdrop.errors import DataError
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.weighted.units import Units

Array = NDArray[Any]

VOID_LABEL = -1
"""Label of pixels, or of single labels of an example, that count nowhere."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets in the shape that the forecasts call for.

    Attributes:
        task: Task of the forecasts.
        y: Labels, shape (N,) or (N, ...); numbers of the shape of the predicted means.
        num_classes: C; 0 for a regression.
        level: Level of the predictive intervals of a regression.
    """

    task: str
    y: Array
    num_classes: int
    level: float

    def __len__(self) -> int:
        """Returns N."""
        return int(self.y.shape[0])

    @property
    def is_dense(self) -> bool:
        """Whether a class belongs to each place of an output, as to each pixel of an image."""
        return self.num_classes > 0 and self.y.ndim > (2 if self.task == "multilabel" else 1)

    @cached_property
    def units(self) -> Units:
        """How the units, those without a label left out, belong to examples."""
        if self.num_classes == 0 or self.y.ndim == 1:
            return Units(len(self))
        return Units(len(self), self._places // (self.y.size // len(self)))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Labels of the units, shape (M,); class tasks only."""
        return np.asarray(self.flat(self.y))

    @cached_property
    def position(self) -> NDArray[np.intp] | None:
        """Which of several labels each unit is, shape (M,); multilabel only."""
        return self._places % self.y.shape[-1] if self.task == "multilabel" else None

    def flat(self, values: Array) -> Array:
        """Returns values of the shape of `y`, and any axes behind it, as one a unit, (M, ...)."""
        if self.y.ndim == 1:
            return values
        return values.reshape(self.y.size, *values.shape[self.y.ndim :])[self._places]

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.y.reshape(-1) != VOID_LABEL)


def shape_of(prediction: Prediction) -> tuple[int, ...]:
    """Returns the shape of its class probabilities, or of its mean for a regression."""
    if prediction.task in CLASS_TASKS:
        return prediction.class_probabilities.shape
    return prediction.mean.shape


def as_targets(y_true: ArrayLike, task: str, shape: tuple[int, ...], level: float) -> Targets:
    """Returns targets, checked.

    Args:
        y_true: What the user gave.
        task: Task of the forecasts.
        shape: Shape of their class probabilities, or of their means for a regression.
        level: Level of the predictive intervals of a regression.

    Raises:
        DataError: The targets do not fit, or miss values.
    """
    if task in CLASS_TASKS:
        return Targets(task, _as_classes(y_true, shape), shape[-1], level)
    return Targets(task, _as_numbers(y_true, shape), 0, level)


def _as_classes(y_true: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Returns labels, numbers or one-hot, in the shape of the predicted classes; void ones stay."""
    *places, num_classes = shape
    labels = as_array("y_true", y_true)
    if labels.shape == (*places, 1):
        labels = labels[..., 0]
    elif labels.shape == shape and is_one_hot(labels):
        labels = labels.argmax(axis=-1)
    if len(places) == 1 or labels.shape != tuple(places):
        return as_labels("y_true", labels, tuple(places), num_classes)
    void = labels == VOID_LABEL
    if void.all():
        raise DataError(f"`y_true` is {VOID_LABEL}, void, everywhere; expected some labels.")
    checked = as_labels("y_true", np.where(void, 0, labels), tuple(places), num_classes)
    return np.where(void, VOID_LABEL, checked)


def _as_numbers(y_true: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Returns targets in the shape of the predicted means."""
    targets = as_float("y_true", y_true)
    if targets.shape != shape and targets.shape not in (shape[:-1], (*shape, 1)):
        raise DataError(
            f"`y_true` has shape {targets.shape}, expected {shape}, the shape of the predictions."
        )
    if targets.size != prod(shape):
        raise DataError(
            f"`y_true` has shape {targets.shape}, expected {shape}, one target for each output."
        )
    return targets.reshape(shape)
