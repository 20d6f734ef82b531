"""Temperature scaling of the Monte Carlo predictive: one number, no change of the ranking."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from mcdrop._checks import as_labels, as_probabilities, as_samples, check_choice, check_number
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.prediction import Prediction
from mcdrop.recalibrate._classes import FloatArray, log_probabilities, softmax
from mcdrop.recalibrate._io import require_fit
from mcdrop.recalibrate._predictions import (
    ClassCalibrator,
    check_prediction,
    repaired_deterministic,
)

LOWEST, HIGHEST = 0.01, 100.0
"""Range in which the temperature is sought."""


@final
@dataclass(frozen=True)
class TemperatureScaling(ClassCalibrator):
    """Divides log-probabilities by one temperature, fitted by the negative log-likelihood.

    Two ways of applying it, which give different results, and no third:

    - "predictive": p^(1/temperature) of the Monte Carlo mean, renormalised. The predicted class
      never changes. Takes the mean probabilities, shape (N, C).
    - "passes": p_t^(1/temperature) of each pass, renormalised, and then the mean over passes.
      The predicted class may change. Takes the samples, shape (T, N, C). Laves et al. fit the
      mean of the log of each pass; here the log of the mean is fitted, which is the score of
      what `transform` returns.

    Fit with the number of passes and the kind of masks that will be used later: both change the
    sharpness of the mean, and so the best temperature.

    Attributes:
        apply_to: "predictive" or "passes".
        temperature: The fitted number, above 0; above 1 it lowers the confidence. None before
            the fit.

    References:
        Guo et al. (2017), arXiv:1706.04599; Laves et al. (2019), arXiv:1909.13550.

    Example:
        >>> p = [[0.9, 0.1]] * 10
        >>> fitted = TemperatureScaling().fit(p, [0] * 7 + [1] * 3)
        >>> fitted.transform(p)[0].round(4)
        array([0.7, 0.3])
    """

    apply_to: str = "predictive"
    temperature: float | None = None

    def __post_init__(self) -> None:
        check_choice("apply_to", self.apply_to, ("predictive", "passes"))
        if self.temperature is not None:
            check_number("temperature", self.temperature, low=0, high=math.inf, open_ends=True)

    def fit(self, probabilities: ArrayLike, y: ArrayLike) -> TemperatureScaling:
        """Returns a copy with the temperature of the lowest negative log-likelihood.

        Args:
            probabilities: Of held-out examples: mean probabilities (N, C) for "predictive",
                samples (T, N, C) for "passes".
            y: Their integer labels, shape (N,).

        Returns:
            A fitted calibrator.

        Raises:
            DataError: Shapes do not fit, a row is no distribution, a label is no class, or the
                best temperature lies outside [0.01, 100].
        """
        logits = log_probabilities(self._checked(probabilities))
        labels = as_labels("y", y, logits.shape[-2:-1], logits.shape[-1])
        search = _best_for_mean if self.apply_to == "predictive" else _best_for_passes
        return replace(self, temperature=search(logits, labels))

    def transform(self, probabilities: ArrayLike) -> FloatArray:
        """Returns the recalibrated predictive probabilities.

        Args:
            probabilities: As in `fit`: (N, C) for "predictive", (T, N, C) for "passes".

        Returns:
            Probabilities, shape (N, C).

        Raises:
            DataError: The calibrator is not fitted, the rank is wrong, or a row is no
                distribution.
        """
        temperature = require_fit(self.temperature, self)
        array = self._checked(probabilities)
        if self.apply_to == "predictive":
            return softmax(log_probabilities(array) / temperature)
        total = np.zeros(array.shape[1:])
        for sample in array:
            total += softmax(log_probabilities(sample) / temperature)
        return np.asarray(total / array.shape[0])

    def apply(
        self, prediction: Prediction, *, deterministic: ClassCalibrator | None = None
    ) -> Prediction:
        """Returns the prediction recalibrated, ready for `mcdrop.evaluate`.

        With "predictive" as `ClassCalibrator.apply` says, but for the votes: a temperature does
        not change which class a pass puts first, so they and the variation ratio stay. With
        "passes" every pass is recalibrated and all measures of the prediction are those of the
        repaired passes, which are kept.

        Args:
            prediction: Of task "classification" or "binary", with the number of passes and the
                masks of the fit. "passes" needs `samples`.
            deterministic: A calibrator fitted on `deterministic_class_probabilities` of the
                same held-out examples; without it that side stays as it is.

        Returns:
            A prediction of the same examples.

        Raises:
            DataError: The calibrator is not fitted, the task is another, or the passes that
                "passes" needs were not kept.
        """
        if self.apply_to == "predictive":
            repaired = super().apply(prediction, deterministic=deterministic)
            return replace(repaired, votes=prediction.votes)
        temperature = require_fit(self.temperature, self)
        check_prediction(prediction, ("classification", "binary"))
        if prediction.samples is None:
            raise DataError(
                "`prediction` holds no samples, which apply_to='passes' recalibrates one by one. "
                "Predict with keep_samples=True."
            )
        passes = replace(prediction, mean=prediction.samples).class_probabilities
        passes = softmax(log_probabilities(passes) / temperature)
        repaired = from_samples(
            passes[..., 1] if prediction.task == "binary" else passes,
            repaired_deterministic(prediction, deterministic),
            task=prediction.task,
            splitting=prediction.splitting,
        )
        return replace(repaired, masks=prediction.masks, balanced=prediction.balanced)

    def _checked(self, probabilities: ArrayLike) -> FloatArray:
        """Returns the probabilities, checked to have the rank that `apply_to` takes."""
        rank = np.ndim(probabilities)
        expected = 2 if self.apply_to == "predictive" else 3
        if rank != expected:
            raise DataError(
                f"`probabilities` has rank {rank}; apply_to={self.apply_to!r} takes "
                "(N, C), the mean over passes, for 'predictive' and (T, N, C), the samples, for "
                "'passes'. Change one of the two."
            )
        if rank == 2:
            return as_probabilities("probabilities", probabilities)
        return as_samples("probabilities", probabilities)


def _best_for_mean(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Returns the temperature for the mean: the loss is convex in 1/temperature, so one root."""
    of_label = logits[np.arange(labels.size), labels].mean()

    def slope(inverse: float) -> float:
        expected = (softmax(logits * inverse) * logits).sum(axis=1)
        return float(expected.mean() - of_label)

    if slope(1 / HIGHEST) >= 0:
        raise _no_optimum(HIGHEST)
    if slope(1 / LOWEST) <= 0:
        raise _no_optimum(LOWEST)
    return float(1 / brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-12, rtol=1e-12))


def _best_for_passes(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Returns the temperature for the passes: a grid first, since the loss is not convex."""
    examples = np.arange(labels.size)

    def loss(log_temperature: float) -> float:
        inverse = math.exp(-log_temperature)
        likelihood = np.zeros(labels.size)
        for sample in logits:
            likelihood += softmax(sample * inverse)[examples, labels]
        return float(-log_probabilities(likelihood / logits.shape[0]).mean())

    grid = np.linspace(math.log(LOWEST), math.log(HIGHEST), 25)
    best = int(np.argmin([loss(point) for point in grid]))
    if best in (0, grid.size - 1):
        raise _no_optimum(HIGHEST if best else LOWEST)
    bounds = (grid[best - 1], grid[best + 1])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(math.exp(found.x))


def _no_optimum(end: float) -> DataError:
    """Returns the error for a loss that keeps falling towards one end of the range."""
    reason = (
        "every confident prediction is right"
        if end == LOWEST
        else "the predictions are no better than guessing"
    )
    return DataError(
        f"`temperature` has no best value in [{LOWEST:g}, {HIGHEST:g}]: {reason}. Give more "
        "calibration data, or leave the model as it is."
    )
