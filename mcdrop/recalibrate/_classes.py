"""What the calibrators of class probabilities share: checks, logarithms and one-against-rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_labels, as_probabilities
from mcdrop.errors import DataError
from mcdrop.metrics.scoring import SMALLEST_PROBABILITY

FloatArray = NDArray[np.float64]


def as_row(values: ArrayLike) -> tuple[float, ...]:
    """Returns an array of one axis as a tuple of floats."""
    return tuple(float(value) for value in np.asarray(values))


def as_labelled(
    probabilities: ArrayLike, y: ArrayLike, *, all_classes: bool = False
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Returns probabilities (N, C) and labels (N,); with `all_classes` each must have a label."""
    array = as_probabilities("probabilities", probabilities)
    labels = as_labels("y", y, array.shape[:1], array.shape[1])
    counts = np.bincount(labels, minlength=array.shape[1])
    if all_classes and not counts.all():
        raise DataError(
            f"`y` has no example of class {int(np.argmin(counts))}, expected all {array.shape[1]} "
            "classes. Give more calibration data, or use temperature scaling."
        )
    return array, labels


def as_known_classes(probabilities: ArrayLike, num_classes: int) -> FloatArray:
    """Returns probabilities (N, C), checked to have the classes that the fit had."""
    array = as_probabilities("probabilities", probabilities)
    if array.shape[1] != num_classes:
        raise DataError(
            f"`probabilities` has {array.shape[1]} classes, shape {array.shape}; the calibrator "
            f"was fitted on {num_classes}. Fit it on outputs of the same model."
        )
    return array


def log_probabilities(probabilities: FloatArray) -> FloatArray:
    """Returns the logarithms; a probability below 2^-126 counts as 2^-126."""
    return np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))


def softmax(logits: FloatArray) -> FloatArray:
    """Returns the softmax over the last axis."""
    scaled = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True))


def mapped_classes(num_classes: int) -> range:
    """Returns the classes that get a curve of their own: class 1 alone of two, else all."""
    return range(1, 2) if num_classes == 2 else range(num_classes)


def normalize_classes(mapped: FloatArray) -> FloatArray:
    """Returns rows that sum to 1; of a single column p the rows (1 - p, p); of zeros, uniform."""
    if mapped.shape[1] == 1:
        return np.concatenate([1 - mapped, mapped], axis=1)
    total = mapped.sum(axis=1, keepdims=True)
    uniform = np.full_like(mapped, 1 / mapped.shape[1])
    return np.asarray(np.divide(mapped, total, out=uniform, where=total > 0))
