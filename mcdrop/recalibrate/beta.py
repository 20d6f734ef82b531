"""Beta calibration: a rising three-parameter curve for each class, against the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from mcdrop._checks import as_float
from mcdrop.errors import DataError
from mcdrop.recalibrate._classes import (
    FloatArray,
    as_known_classes,
    as_labelled,
    as_row,
    mapped_classes,
    normalize_classes,
)
from mcdrop.recalibrate._io import require_fit
from mcdrop.recalibrate._predictions import ClassCalibrator

SMALLEST_GAP = float(np.finfo(np.float32).eps)
"""Probabilities are kept this far from 0 and 1: nearer, 1 - p is rounding of a float32 softmax."""

NO_REGULARIZATION = 1e10
"""scikit-learn's inverse penalty, so large that the fit is that of maximum likelihood."""


@final
@dataclass(frozen=True)
class BetaCalibration(ClassCalibrator):
    """Maps the probability of each class by expit(a log p - b log(1 - p) + c), then renormalises.

    Applied to the Monte Carlo mean; the fit is scikit-learn's logistic regression, with a and b
    at least 0 so that the curve rises. (a, b, c) = (1, 1, 0) changes nothing, a = b is
    temperature scaling of two classes. With two classes one curve, that of class 1, serves both.

    Attributes:
        parameters: (a, b, c) for each class (for class 1 alone of two); None before the fit.

    References:
        Kull, Silva Filho and Flach (2017), doi:10.1214/17-EJS1338SI.

    Example:
        >>> p = [[0.9, 0.1]] * 10 + [[0.1, 0.9]] * 10
        >>> fitted = BetaCalibration().fit(p, [0] * 7 + [1] * 3 + [0] * 3 + [1] * 7)
        >>> fitted.transform([[0.9, 0.1]]).round(3)
        array([[0.7, 0.3]])
    """

    parameters: tuple[tuple[float, float, float], ...] | None = None

    def __post_init__(self) -> None:
        if self.parameters is None:
            return
        rows = as_float("parameters", self.parameters)
        if rows.ndim != 2 or rows.shape[1] != 3 or len(rows) in (0, 2) or (rows[:, :2] < 0).any():
            raise DataError(
                f"`parameters` has shape {rows.shape}, expected (a, b, c) for each class, "
                "for one of two, with a and b at least 0. Let `fit` make them."
            )

    def fit(self, probabilities: ArrayLike, y: ArrayLike) -> BetaCalibration:
        """Returns a copy with the parameters of greatest likelihood.

        Args:
            probabilities: Mean probabilities of held-out examples, shape (N, C).
            y: Their integer labels, shape (N,).

        Returns:
            A fitted calibrator.

        Raises:
            DataError: Shapes do not fit, a row is no distribution, a label is no class, or a
                class has no example.
        """
        array, labels = as_labelled(probabilities, y, all_classes=True)
        classes = mapped_classes(array.shape[1])
        fits = [_fit_curve(_features(array[:, c]), labels == c) for c in classes]
        return replace(self, parameters=tuple(fits))

    def transform(self, probabilities: ArrayLike) -> FloatArray:
        """Returns the recalibrated probabilities.

        Args:
            probabilities: Mean probabilities, shape (N, C).

        Returns:
            Probabilities, shape (N, C).

        Raises:
            DataError: The calibrator is not fitted, a row is no distribution, or the number of
                classes differs from the fit's.
        """
        parameters = require_fit(self.parameters, self)
        num_classes = max(2, len(parameters))
        array = as_known_classes(probabilities, num_classes)
        classes = mapped_classes(num_classes)
        mapped = [_curve(array[:, c], row) for c, row in zip(classes, parameters, strict=True)]
        return normalize_classes(np.stack(mapped, axis=1))


def _features(probability: FloatArray) -> FloatArray:
    """Returns log p and -log(1 - p), shape (N, 2), of probabilities kept off 0 and 1."""
    kept = np.clip(probability, SMALLEST_GAP, 1 - SMALLEST_GAP)
    return np.stack([np.log(kept), -np.log1p(-kept)], axis=1)


def _curve(probability: FloatArray, parameters: tuple[float, float, float]) -> FloatArray:
    """Returns the probabilities mapped by one fitted curve."""
    return np.asarray(expit(_features(probability) @ np.array(parameters[:2]) + parameters[2]))


def _fit_curve(features: FloatArray, positive: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Returns (a, b, c) of the logistic regression; a feature with a falling effect is dropped."""
    from sklearn.linear_model import LogisticRegression

    kept = [0, 1]
    while kept:
        model = LogisticRegression(C=NO_REGULARIZATION, tol=1e-8, max_iter=10_000)
        model.fit(features[:, kept], positive)
        slopes = model.coef_[0]
        if (slopes >= 0).all():
            weights = np.zeros(2)
            weights[kept] = slopes
            a, b, c = as_row([*weights, model.intercept_[0]])
            return a, b, c
        del kept[int(np.argmin(slopes))]
    return 0.0, 0.0, float(logit(positive.mean()))
