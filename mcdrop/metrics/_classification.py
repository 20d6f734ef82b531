"""What the metrics of class probabilities share: their inputs, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_labels, as_probabilities
from mcdrop.errors import DataError

FloatArray = NDArray[np.float64]


def as_scored(p: ArrayLike, y: ArrayLike) -> tuple[FloatArray, NDArray[np.int64]]:
    """Returns probabilities of shape (N, C) and labels of shape (N,), checked to fit."""
    probabilities = as_probabilities("p", p)
    return probabilities, as_labels("y", y, probabilities.shape[:1], probabilities.shape[1])


def top_label(p: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Returns each example's highest probability and 1 where that class, the first, is right."""
    probabilities, labels = as_scored(p, y)
    correct = probabilities.argmax(axis=1) == labels
    return probabilities.max(axis=1), correct.astype(np.float64)


def as_flags(name: str, values: FloatArray) -> NDArray[np.bool_]:
    """Returns `values` as booleans, checked to be 0 or 1."""
    if not np.isin(values, (0.0, 1.0)).all():
        raise DataError(
            f"`{name}` has values in [{values.min():.4g}, {values.max():.4g}], expected only 0 "
            "(correct) and 1 (wrong), as from predicted_class != y."
        )
    return values.astype(np.bool_)
