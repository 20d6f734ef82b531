"""The continuous ranked probability score (CRPS) of samples, a Gaussian and a Gaussian mixture.

CRPS(F, y) is the integral over z of (F(z) - 1{y <= z})^2. It is proper, has the unit of the
target, and is the absolute error when F is a single point, so that a deterministic prediction is
comparable. Several outputs are scored one by one and averaged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf

from mcdrop._checks import as_matched, as_passes, check_choice
from mcdrop.metrics._examples import FloatArray, as_gaussian, as_mixture
from mcdrop.weighted.arrays import mean_per_example


def _mean_absolute_normal(mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """Returns E|X| of X ~ Normal(mean, deviation^2), which is |mean| for a deviation of 0."""
    ratio = np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 0)
    spread = deviation * np.sqrt(2 / np.pi) * np.exp(-0.5 * ratio**2)
    return np.where(deviation > 0, mean * erf(ratio / np.sqrt(2)) + spread, np.abs(mean))


def crps_per_example(samples: ArrayLike, y: ArrayLike, *, estimator: str = "fair") -> FloatArray:
    """Returns the CRPS of each example from its samples, averaged over its outputs.

    The terms whose mean `crps` is; see there.

    Args:
        samples: Draws of the predictive distribution, shape (T, N) or (T, N, ..., D).
        y: Targets, shape (N,) or (N, ..., D).
        estimator: "fair" or "ensemble".

    Returns:
        Scores, shape (N,). Single terms of "fair" may be negative.

    Raises:
        DataError: Shapes do not fit, a value is not finite, or T is 1 with "fair".

    Example:
        >>> crps_per_example([[0.0], [2.0]], [1.0], estimator="ensemble")
        array([0.5])
    """
    fair = check_choice("estimator", estimator, ("fair", "ensemble")) == "fair"
    (targets,) = as_matched(y=y)
    draws = as_passes("samples", samples, targets.shape, minimum=2 if fair else 1)
    # Errors rather than values are sorted: the weights below sum to 0, so a large common offset
    # would only lose digits.
    errors = np.sort(draws - targets, axis=0)
    num_samples = draws.shape[0]
    weights = 2 * np.arange(num_samples) - num_samples + 1
    pairs = num_samples * (num_samples - 1) if fair else num_samples**2
    half_spread = np.tensordot(weights, errors, axes=1) / pairs
    return mean_per_example(np.abs(errors).mean(axis=0) - half_spread)


def crps(samples: ArrayLike, y: ArrayLike, *, estimator: str = "fair") -> float:
    """Returns the mean CRPS of sampled predictions, E|X - y| - E|X - X'| / 2.

    "fair" takes the second mean over the T (T - 1) pairs of different passes: its expected value
    is the score of the distribution that the passes are drawn from, whatever T. "ensemble" takes
    it over all T^2 pairs: the exact score of the T samples as they are, larger by about
    E|X - X'| / (2 T). Unit: that of y. Range: [0, inf) for "ensemble" and, up to the Monte Carlo
    error, for "fair"; lower is better.

    The samples must be draws of the target itself. Dropout passes of a model without a noise term
    spread less than the target does; for a Gaussian head use `crps_gaussian_mixture`.

    Args:
        samples: Draws of the predictive distribution, shape (T, N) or (T, N, ..., D).
        y: Targets, shape (N,) or (N, ..., D).
        estimator: "fair" (T at least 2) or "ensemble".

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: Shapes do not fit, a value is not finite, or T is 1 with "fair".

    References:
        Gneiting and Raftery (2007), doi:10.1198/016214506000001437; for the fair form
        Ferro (2014), doi:10.1002/qj.2270.

    Example:
        >>> crps([[0.0], [2.0]], [1.0], estimator="ensemble")
        0.5
        >>> crps([[0.0], [2.0]], [1.0])
        0.0
    """
    return float(crps_per_example(samples, y, estimator=estimator).mean())


def crps_gaussian_per_example(mean: ArrayLike, variance: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns the CRPS of Normal(mean, variance) of each example, averaged over its outputs.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        variance: Total predictive variances, the same shape, at least 0.
        y: Targets, the same shape.

    Returns:
        Scores in the unit of y, shape (N,); lower is better.

    Raises:
        DataError: The shapes differ, a value is not finite, or a variance is negative.

    Example:
        >>> crps_gaussian_per_example([0.0], [1.0], [0.0]).round(6)
        array([0.233695])
    """
    predicted, variances, targets = as_gaussian(mean, variance, y, allow_zero=True)
    deviation = np.sqrt(variances)
    error = _mean_absolute_normal(targets - predicted, deviation)
    return mean_per_example(error - deviation / np.sqrt(np.pi))


def crps_gaussian(mean: ArrayLike, variance: ArrayLike, y: ArrayLike) -> float:
    """Returns the mean CRPS of Gaussian predictions, in closed form.

    s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (y - mean) / s; |y - mean| when the
    variance is 0. Unit: that of y. Range: [0, inf); lower is better.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        variance: Total predictive variances, the same shape, at least 0.
        y: Targets, the same shape.

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: The shapes differ, a value is not finite, or a variance is negative.

    References:
        Gneiting et al. (2005), doi:10.1175/MWR2904.1, equation 5.

    Example:
        >>> round(crps_gaussian([0.0], [1.0], [0.0]), 6)
        0.233695
    """
    return float(crps_gaussian_per_example(mean, variance, y).mean())


def crps_gaussian_mixture_per_example(
    means: ArrayLike, variances: ArrayLike, y: ArrayLike
) -> FloatArray:
    """Returns the CRPS of each example under its Gaussian mixture, averaged over its outputs.

    The terms whose mean `crps_gaussian_mixture` is; see there.

    Args:
        means: Predicted mean of each pass, shape (T, N) or (T, N, ..., D).
        variances: Predicted variance of each pass, the same shape, at least 0.
        y: Targets, shape (N,) or (N, ..., D).

    Returns:
        Scores in the unit of y, shape (N,); lower is better.

    Raises:
        DataError: Shapes do not fit, a value is not finite, or a variance is negative.

    Example:
        >>> crps_gaussian_mixture_per_example([[0.0], [2.0]], [[0.0], [0.0]], [1.0])
        array([0.5])
    """
    centers, spreads, targets = as_mixture(means, variances, y, allow_zero=True)
    num_samples = centers.shape[0]
    error = _mean_absolute_normal(centers - targets, np.sqrt(spreads)).mean(axis=0)
    # A pass with itself, then each pass with all later ones: half the pairs, in memory of (T, N).
    within = 2 / np.sqrt(np.pi) * np.sqrt(spreads).sum(axis=0)
    between = np.zeros_like(targets)
    for first in range(num_samples - 1):
        gap = centers[first + 1 :] - centers[first]
        deviation = np.sqrt(spreads[first + 1 :] + spreads[first])
        between += _mean_absolute_normal(gap, deviation).sum(axis=0)
    return mean_per_example(error - (within + 2 * between) / (2 * num_samples**2))


def crps_gaussian_mixture(means: ArrayLike, variances: ArrayLike, y: ArrayLike) -> float:
    """Returns the mean CRPS of the equal mixture of T Gaussians, in closed form.

    With A(m, s) = E|Normal(m, s^2)|: (1/T) sum_t A(y - m_t, s_t) -
    (1 / (2 T^2)) sum_tu A(m_t - m_u, sqrt(s_t^2 + s_u^2)). Unit: that of y. Range: [0, inf);
    lower is better. Time grows as T^2 N, memory as T N.

    Args:
        means: Predicted mean of each pass, shape (T, N) or (T, N, ..., D).
        variances: Predicted variance of each pass, the same shape, at least 0. For a model of the
            mean alone with noise variance v, np.full_like(means, v).
        y: Targets, shape (N,) or (N, ..., D).

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: Shapes do not fit, a value is not finite, or a variance is negative.

    References:
        Grimit et al. (2006), doi:10.1256/qj.05.235.

    Example:
        >>> round(crps_gaussian_mixture([[0.0], [0.0]], [[1.0], [1.0]], [0.0]), 6)
        0.233695
    """
    return float(crps_gaussian_mixture_per_example(means, variances, y).mean())
