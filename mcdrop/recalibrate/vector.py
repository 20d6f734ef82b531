"""Vector scaling: one weight and one bias for each class."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from mcdrop._checks import as_float, check_number
from mcdrop.errors import DataError
from mcdrop.recalibrate._classes import (
    FloatArray,
    as_known_classes,
    as_labelled,
    as_row,
    log_probabilities,
    softmax,
)
from mcdrop.recalibrate._io import require_fit
from mcdrop.recalibrate._predictions import ClassCalibrator


@final
@dataclass(frozen=True)
class VectorScaling(ClassCalibrator):
    """Returns softmax(weights * log p + biases), fitted by the negative log-likelihood.

    Applied to the Monte Carlo mean. It can move the predicted class. The fit is convex; the
    penalty keeps it finite where classes are separable.

    Attributes:
        penalty: Factor of mean((weights - 1)^2) + mean(biases^2), added to the loss; at least 0.
        weights: One for each class; None before the fit.
        biases: One for each class; None before the fit.

    References:
        Guo et al. (2017), arXiv:1706.04599.

    Example:
        >>> p = [[0.9, 0.1]] * 10
        >>> fitted = VectorScaling().fit(p, [0] * 7 + [1] * 3)
        >>> fitted.transform(p)[0].round(2)
        array([0.7, 0.3])
    """

    penalty: float = 1e-4
    weights: tuple[float, ...] | None = None
    biases: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_number("penalty", self.penalty, low=0, high=math.inf)
        if self.weights is None and self.biases is None:
            return
        given = {"weights": self.weights, "biases": self.biases}
        rows = [as_float(name, () if row is None else row) for name, row in given.items()]
        if rows[0].ndim != 1 or rows[0].size < 2 or rows[0].shape != rows[1].shape:
            raise DataError(
                f"`weights` has shape {rows[0].shape} and `biases` {rows[1].shape}, expected (C,) "
                "of both. Give one of each for each class."
            )

    def fit(self, probabilities: ArrayLike, y: ArrayLike) -> VectorScaling:
        """Returns a copy with the weights and biases of the lowest penalised loss.

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
        logits = log_probabilities(array)
        num_examples, num_classes = logits.shape
        one_hot = np.eye(num_classes)[labels]

        def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
            weights, biases = parameters.reshape(2, num_classes)
            predicted = softmax(weights * logits + biases)
            miss = (predicted - one_hot) / num_examples
            value = -log_probabilities(predicted[np.arange(num_examples), labels]).mean()
            value += self.penalty * (((weights - 1) ** 2).mean() + (biases**2).mean())
            shrink = 2 * self.penalty / num_classes
            slope_weights = (miss * logits).sum(axis=0) + shrink * (weights - 1)
            slope_biases = miss.sum(axis=0) + shrink * biases
            return float(value), np.concatenate([slope_weights, slope_biases])

        start = np.concatenate([np.ones(num_classes), np.zeros(num_classes)])
        options = {"maxiter": 5_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
        weights, biases = found.x.reshape(2, num_classes)
        return replace(self, weights=as_row(weights), biases=as_row(biases))

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
        weights = np.array(require_fit(self.weights, self))
        biases = np.array(require_fit(self.biases, self))
        array = as_known_classes(probabilities, weights.size)
        return softmax(weights * log_probabilities(array) + biases)
