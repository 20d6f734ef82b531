"""Calibration of whole distributions: the probability integral transform and its curves.

The probability integral transform (PIT) of a target is F(y), its predicted cumulative
probability. It is uniform on [0, 1] when the predictions are calibrated: a mound in the middle
tells of too wide, a hollow of too narrow, a slope of shifted predictions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr

from mcdrop._checks import as_float, as_matched, as_passes, check_number, check_seed
from mcdrop.errors import DataError
from mcdrop.metrics._examples import FloatArray, as_gaussian, as_mixture


@dataclass(frozen=True)
class QuantileCalibrationCurve:
    """Observed against nominal frequency; calibrated predictions lie on the diagonal.

    Attributes:
        level: Nominal levels, shape (L,).
        observed: Fraction of targets at or below the predicted quantile of each level (or inside
            the central interval of each level), shape (L,).
        low: Lower ends of the exact binomial (Clopper-Pearson) interval of `observed`, shape (L,).
        high: Upper ends, shape (L,). Both take the points as independent.
        count: Number of points.
    """

    level: FloatArray
    observed: FloatArray
    low: FloatArray
    high: FloatArray
    count: int

    @property
    def error(self) -> float:
        """Mean of |observed - level| over the levels, within [0, 1]; lower is better."""
        return float(np.abs(self.observed - self.level).mean())


def probability_integral_transform(
    samples: ArrayLike, y: ArrayLike, *, seed: int = 0
) -> FloatArray:
    """Returns the randomised rank of each target among its samples, scaled to [0, 1].

    (below + U (equal + 1)) / (T + 1), with U uniform on [0, 1): exactly uniform, for every T and
    with ties, when target and samples are draws of one distribution. Unit: none; the target is
    uniformity.

    Args:
        samples: Draws of the predictive distribution, shape (T, N) or (T, N, ..., D).
        y: Targets, shape (N,) or (N, ..., D).
        seed: Seed of U.

    Returns:
        Values within [0, 1), the shape of y. High means that y lies above its prediction.

    Raises:
        DataError: Shapes do not fit, or a value is not finite.

    References:
        Czado, Gneiting and Held (2009), doi:10.1111/j.1541-0420.2009.01191.x.

    Example:
        >>> 0.75 <= probability_integral_transform([[1.0], [2.0], [3.0]], [9.0])[0] < 1.0
        np.True_
    """
    (targets,) = as_matched(y=y)
    draws = as_passes("samples", samples, targets.shape)
    below = np.count_nonzero(draws < targets, axis=0)
    equal = np.count_nonzero(draws == targets, axis=0)
    generator = np.random.default_rng(check_seed("seed", seed))
    return np.asarray(
        (below + generator.random(targets.shape) * (equal + 1)) / (draws.shape[0] + 1)
    )


def probability_integral_transform_gaussian(
    mean: ArrayLike, variance: ArrayLike, y: ArrayLike
) -> FloatArray:
    """Returns Phi((y - mean) / sqrt(variance)), the PIT of Gaussian predictions.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        variance: Total predictive variances, the same shape, above 0.
        y: Targets, the same shape.

    Returns:
        Values within [0, 1], the shape of y. High means that y lies above its prediction.

    Raises:
        DataError: The shapes differ, a value is not finite, or a variance is not above 0.

    References:
        Gneiting, Balabdaoui and Raftery (2007), doi:10.1111/j.1467-9868.2007.00587.x.

    Example:
        >>> probability_integral_transform_gaussian([0.0], [4.0], [2.0]).round(4)
        array([0.8413])
    """
    predicted, variances, targets = as_gaussian(mean, variance, y)
    return np.asarray(ndtr((targets - predicted) / np.sqrt(variances)))


def probability_integral_transform_gaussian_mixture(
    means: ArrayLike, variances: ArrayLike, y: ArrayLike
) -> FloatArray:
    """Returns the mean over passes of Phi((y - m_t) / s_t), the PIT of the Gaussian mixture.

    Args:
        means: Predicted mean of each pass, shape (T, N) or (T, N, ..., D).
        variances: Predicted variance of each pass, the same shape, above 0.
        y: Targets, shape (N,) or (N, ..., D).

    Returns:
        Values within [0, 1], the shape of y. High means that y lies above its prediction.

    Raises:
        DataError: Shapes do not fit, a value is not finite, or a variance is not above 0.

    References:
        Gneiting, Balabdaoui and Raftery (2007), doi:10.1111/j.1467-9868.2007.00587.x.

    Example:
        >>> probability_integral_transform_gaussian_mixture([[0.0], [2.0]], [[1.0], [1.0]], [1.0])
        array([0.5])
    """
    centers, spreads, targets = as_mixture(means, variances, y)
    return np.asarray(ndtr((targets - centers) / np.sqrt(spreads)).mean(axis=0))


def quantile_calibration_curve(
    pit: ArrayLike, *, levels: ArrayLike | None = None, confidence_level: float = 0.95
) -> QuantileCalibrationCurve:
    """Returns how often the target lies at or below the predicted quantile of each level.

    observed(q) = mean(F(y) <= q), over all points. Unit: none. Best on the diagonal: above it the
    predicted quantiles are too high, below it too low.

    Args:
        pit: Values of a probability integral transform, shape (N,) or any other.
        levels: Nominal levels within (0, 1), shape (L,); None is 0.05, 0.10, ..., 0.95.
        confidence_level: Level of the interval of each observed fraction.

    Returns:
        The curve; its `error` is the mean distance from the diagonal.

    Raises:
        DataError: A value of `pit` is outside [0, 1], or a level outside (0, 1).

    References:
        Kuleshov, Fenner and Ermon (2018), arXiv:1807.00263.

    Example:
        >>> curve = quantile_calibration_curve([0.1, 0.2, 0.3, 0.9], levels=[0.5])
        >>> curve.observed
        array([0.75])
    """
    values = _as_pit(pit)
    nominal = _as_levels(levels)
    below = np.searchsorted(np.sort(values), nominal, side="right")
    low, high = _binomial_interval(below, values.size, confidence_level)
    return QuantileCalibrationCurve(nominal, below / values.size, low, high, values.size)


def interval_calibration_curve(
    pit: ArrayLike, *, levels: ArrayLike | None = None, confidence_level: float = 0.95
) -> QuantileCalibrationCurve:
    """Returns how often the target lies inside the central interval of each level.

    observed(l) = mean(|2 F(y) - 1| <= l): the coverage of the intervals at all levels at once.
    Unit: none. Best on the diagonal: above it the intervals are too wide, below it too narrow.
    It does not see a shift that errors of the other side make up for; the quantile curve does.

    Args:
        pit: Values of a probability integral transform, shape (N,) or any other.
        levels: Nominal levels within (0, 1), shape (L,); None is 0.05, 0.10, ..., 0.95.
        confidence_level: Level of the interval of each observed fraction.

    Returns:
        The curve; its `error` is the mean distance from the diagonal.

    Raises:
        DataError: A value of `pit` is outside [0, 1], or a level outside (0, 1).

    Example:
        >>> interval_calibration_curve([0.1, 0.4, 0.6, 0.9], levels=[0.5]).observed
        array([0.5])
    """
    return quantile_calibration_curve(
        np.abs(2 * _as_pit(pit) - 1), levels=levels, confidence_level=confidence_level
    )


def _as_pit(pit: ArrayLike) -> FloatArray:
    """Returns the values as one axis, checked to lie in [0, 1]."""
    (values,) = as_matched(pit=pit)
    if (values < 0).any() or (values > 1).any():
        raise DataError(
            f"`pit` has values in [{values.min():.4g}, {values.max():.4g}], expected cumulative "
            "probabilities in [0, 1]. Compute them with probability_integral_transform."
        )
    return values.ravel()


def _as_levels(levels: ArrayLike | None) -> FloatArray:
    """Returns the nominal levels, shape (L,), checked to lie in (0, 1)."""
    nominal = np.arange(1, 20) / 20 if levels is None else as_float("levels", levels)
    if nominal.ndim != 1 or nominal.size == 0 or (nominal <= 0).any() or (nominal >= 1).any():
        raise DataError(
            f"`levels` has shape {nominal.shape} and values {nominal.tolist()}, expected a "
            "sequence of numbers in (0, 1). Give fractions, not percent."
        )
    return nominal


def _binomial_interval(
    successes: NDArray[np.intp], count: int, confidence_level: float
) -> tuple[FloatArray, FloatArray]:
    """Returns the Clopper-Pearson interval of a fraction."""
    level = check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    tail = (1 - level) / 2
    low = betaincinv(np.maximum(successes, 1), count - successes + 1, tail)
    high = betaincinv(successes + 1, np.maximum(count - successes, 1), 1 - tail)
    return np.where(successes == 0, 0.0, low), np.where(successes == count, 1.0, high)
