"""Recalibration of regression: the variance by a factor, the quantiles by a rising curve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from mcdrop._checks import VARIANCE_FIX, as_float, as_matched, check_positive
from mcdrop.errors import DataError
from mcdrop.prediction import Prediction
from mcdrop.recalibrate._io import Calibrator, require_fit
from mcdrop.recalibrate._outputs import FloatArray, by_output, check_outputs
from mcdrop.recalibrate._predictions import check_prediction


@final
@dataclass(frozen=True)
class VarianceScaling(Calibrator):
    """Multiplies the predictive variance by a factor, one for each output; the mean stays.

    factor = mean((y - mean)^2 / variance), which has the highest Gaussian likelihood. It repairs
    the scale of a variance that already ranks the errors; it cannot tell noise that is the same
    everywhere from variance of the passes.

    Attributes:
        factors: One for each output (last axis of targets of rank 2 and more), above 0; above 1
            it widens the predictions. None before the fit.

    References:
        Laves et al. (2021), arXiv:2104.12376; Levi et al. (2019), arXiv:1905.11659.

    Example:
        >>> fitted = VarianceScaling().fit([0.0, 0.0], [1.0, 4.0], [2.0, -4.0])
        >>> fitted.transform([1.0, 4.0])
        array([ 4., 16.])
    """

    factors: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.factors is not None:
            factors = as_float("factors", self.factors)
            check_positive("factors", factors, fix="Let `fit` make them.")

    def fit(self, mean: ArrayLike, variance: ArrayLike, y: ArrayLike) -> VarianceScaling:
        """Returns a copy with the factors of greatest Gaussian likelihood.

        Args:
            mean: Predicted means of held-out examples, shape (N,) or (N, ..., D).
            variance: Their predictive variances, the same shape, above 0.
            y: Their targets, the same shape.

        Returns:
            A fitted calibrator.

        Raises:
            DataError: Shapes differ, a variance is not above 0, or all errors of an output are 0.
        """
        means, variances, targets = as_matched(mean=mean, variance=variance, y=y)
        check_positive("variance", variances, fix=VARIANCE_FIX)
        ratios = by_output((targets - means) ** 2 / variances).mean(axis=0)
        if not ratios.all():
            raise DataError(
                f"`mean` equals `y` for all examples of output {int(np.argmin(ratios))}, expected "
                "some error. Fit on examples that the model has not seen."
            )
        return replace(self, factors=tuple(ratios.tolist()))

    def transform(self, variance: ArrayLike) -> FloatArray:
        """Returns the recalibrated variances.

        Args:
            variance: Predictive variances, shape (N,) or (N, ..., D), at least 0.

        Returns:
            Variances, the same shape.

        Raises:
            DataError: The calibrator is not fitted, a variance is negative, or the number of
                outputs differs from the fit's.
        """
        factors = np.array(require_fit(self.factors, self))
        (variances,) = as_matched(variance=variance)
        check_positive("variance", variances, fix=VARIANCE_FIX, allow_zero=True)
        check_outputs("variance", variances, factors.size)
        return np.asarray((by_output(variances) * factors).reshape(variances.shape))

    def apply(
        self, prediction: Prediction, *, deterministic: VarianceScaling | None = None
    ) -> Prediction:
        """Returns the prediction with its variance scaled, ready for `mcdrop.evaluate`.

        The mean, and how far it wavers with the passes (`monte_carlo_error`), stay; the variance
        over the passes is in `epistemic_variance`. Quantiles, intervals and scores are those of
        the normal distribution of mean and scaled variance, under which the factor was fitted:
        kept samples are dropped, and `aleatoric_variance` too, since the factor does not tell
        one part from the other.

        Args:
            prediction: Of task "regression" or "gaussian", with the number of passes and the
                masks of the fit.
            deterministic: Scaling fitted on the variance predicted with dropout off, "gaussian"
                only; without it that side stays as it is.

        Returns:
            A prediction of the same examples.

        Raises:
            DataError: The calibrator is not fitted, the task or the number of outputs is another,
                or there is no deterministic variance to scale.

        Example:
            >>> import mcdrop
            >>> passes = [[1.0, 2.0], [3.0, 6.0]]
            >>> prediction = mcdrop.from_samples(passes, [2.0, 4.0], task="regression")
            >>> repaired = VarianceScaling(factors=(4.0,)).apply(prediction)
            >>> repaired.variance.tolist(), repaired.epistemic_variance.tolist()
            ([8.0, 32.0], [2.0, 8.0])
        """
        check_prediction(prediction, ("regression", "gaussian"))
        without_dropout = prediction.deterministic_variance
        if deterministic is not None:
            if without_dropout is None:
                raise DataError(
                    "`prediction` has no deterministic variance for `deterministic` to scale. "
                    "Leave it out: only models of task 'gaussian' predict one."
                )
            without_dropout = deterministic.transform(without_dropout)
        over_passes = prediction.epistemic_variance
        return replace(
            prediction,
            variance=self.transform(prediction.variance),
            epistemic_variance=prediction.variance if over_passes is None else over_passes,
            aleatoric_variance=None,
            deterministic_variance=without_dropout,
            samples=None,
            sample_variances=None,
        )


@final
@dataclass(frozen=True)
class IsotonicQuantileCalibration(Calibrator):
    """Maps cumulative probabilities by the distribution that they have on held-out data.

    The curve R(p) is the share of held-out targets whose predicted cumulative probability is at
    most p: the empirical distribution of the probability integral transform, linear between its
    points. It rises by itself, so the isotonic regression of Kuleshov et al. changes nothing.
    `transform` maps a probability integral transform to one that is uniform; `model_level` tells
    which quantile of the model has a wished-for level. Quantiles of samples cannot leave the
    range of the samples: for passes that spread far too little use `VarianceScaling` or
    `SplitConformalRegressor`.

    Attributes:
        predicted: Cumulative probabilities, rising from 0 to 1; None before the fit.
        observed: The share of held-out targets at each; None before the fit.

    References:
        Kuleshov, Fenner and Ermon (2018), arXiv:1807.00263.

    Example:
        >>> fitted = IsotonicQuantileCalibration().fit([0.1, 0.3, 0.5, 0.7])
        >>> fitted.model_level([0.5]).round(6)
        array([0.4])
        >>> fitted.transform([0.4]).round(6)
        array([0.5])
    """

    predicted: tuple[float, ...] | None = None
    observed: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.predicted is None and self.observed is None:
            return
        given = {"predicted": self.predicted, "observed": self.observed}
        rows = [as_float(name, () if row is None else row) for name, row in given.items()]
        fits = rows[0].ndim == 1 and rows[0].shape == rows[1].shape and rows[0].size > 0
        if not (fits and (np.diff(rows) > 0).all()):
            raise DataError(
                "`predicted` and `observed` are no rising curve, expected two rows of one length "
                "in upward order. Let `fit` make them."
            )

    def fit(self, pit: ArrayLike) -> IsotonicQuantileCalibration:
        """Returns a copy with the curve of held-out data.

        Args:
            pit: Probability integral transform of held-out targets, of any shape; all outputs
                share one curve.

        Returns:
            A fitted calibrator.

        Raises:
            DataError: There is no value, or one is outside [0, 1].
        """
        values = np.sort(_as_cumulative("pit", pit), axis=None)
        knots, first, counts = np.unique(values, return_index=True, return_counts=True)
        # Half of the targets at a knot count as below it, so that no end of the range is lost.
        heights = (first + counts / 2) / values.size
        if knots[0] > 0:
            knots, heights = np.insert(knots, 0, 0.0), np.insert(heights, 0, 0.0)
        if knots[-1] < 1:
            knots, heights = np.append(knots, 1.0), np.append(heights, 1.0)
        return replace(self, predicted=tuple(knots.tolist()), observed=tuple(heights.tolist()))

    def transform(self, pit: ArrayLike) -> FloatArray:
        """Returns the recalibrated cumulative probabilities R(p).

        Args:
            pit: Cumulative probabilities, of any shape.

        Returns:
            Values within [0, 1], the same shape.

        Raises:
            DataError: The calibrator is not fitted, or a value is outside [0, 1].
        """
        predicted, observed = require_fit(self.predicted, self), require_fit(self.observed, self)
        return np.asarray(np.interp(_as_cumulative("pit", pit), predicted, observed))

    def model_level(self, level: ArrayLike) -> FloatArray:
        """Returns the level at which to take the model's quantile for a calibrated one.

        The inverse of `transform`: the calibrated 5% quantile is the model's quantile of level
        `model_level(0.05)`.

        Args:
            level: Wished-for levels, of any shape, within [0, 1].

        Returns:
            Levels within [0, 1], the same shape.

        Raises:
            DataError: The calibrator is not fitted, or a level is outside [0, 1].
        """
        predicted, observed = require_fit(self.predicted, self), require_fit(self.observed, self)
        return np.asarray(np.interp(_as_cumulative("level", level), observed, predicted))


def _as_cumulative(name: str, values: ArrayLike) -> FloatArray:
    """Returns the values, checked to be at least one and to lie in [0, 1]."""
    array = as_float(name, values)
    if array.size == 0 or (array < 0).any() or (array > 1).any():
        raise DataError(
            f"`{name}` of shape {array.shape} is empty or leaves [0, 1], expected cumulative "
            "probabilities. Compute them with metrics.probability_integral_transform."
        )
    return array
