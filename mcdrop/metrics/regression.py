"""Scores of regression: errors of the mean and log-likelihoods.

Targets have shape (N,) or (N, ..., D). Several outputs are scored one by one (marginally) and
averaged, so that a score does not grow with their number. Each score that is a mean over examples
has a form that ends in `_per_example` and returns that mean's terms, shape (N,), for a paired
bootstrap over examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from mcdrop._checks import as_matched, as_passes
from mcdrop.errors import DataError
from mcdrop.metrics._examples import (
    FloatArray,
    as_gaussian,
    as_mixture,
    as_noise,
)
from mcdrop.weighted.arrays import mean_per_example


def squared_error_per_example(mean: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns the squared error (mean - y)^2 of each example, averaged over its outputs.

    Unit: that of y, squared. Range: [0, inf); lower is better.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        y: Targets, the same shape.

    Returns:
        Squared errors, shape (N,).

    Raises:
        DataError: The shapes differ, or a value is not finite.

    Example:
        >>> squared_error_per_example([1.0, 2.0], [1.0, 5.0])
        array([0., 9.])
    """
    predicted, targets = as_matched(mean=mean, y=y)
    return mean_per_example((predicted - targets) ** 2)


def root_mean_squared_error(mean: ArrayLike, y: ArrayLike) -> float:
    """Returns the root mean squared error, sqrt(mean((mean - y)^2)).

    Unit: that of y. Range: [0, inf); lower is better.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        y: Targets, the same shape.

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: The shapes differ, or a value is not finite.

    Example:
        >>> root_mean_squared_error([0.0, 0.0], [3.0, 4.0])
        3.5355339059327378
    """
    return float(np.sqrt(squared_error_per_example(mean, y).mean()))


def absolute_error_per_example(mean: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns the absolute error |mean - y| of each example, averaged over its outputs.

    Unit: that of y. Range: [0, inf); lower is better.

    Args:
        mean: Predicted means (or medians), shape (N,) or (N, ..., D).
        y: Targets, the same shape.

    Returns:
        Absolute errors, shape (N,).

    Raises:
        DataError: The shapes differ, or a value is not finite.

    Example:
        >>> absolute_error_per_example([1.0, 2.0], [1.0, 5.0])
        array([0., 3.])
    """
    predicted, targets = as_matched(mean=mean, y=y)
    return mean_per_example(np.abs(predicted - targets))


def mean_absolute_error(mean: ArrayLike, y: ArrayLike) -> float:
    """Returns the mean absolute error, mean(|mean - y|).

    Unit: that of y. Range: [0, inf); lower is better.

    Args:
        mean: Predicted means (or medians), shape (N,) or (N, ..., D).
        y: Targets, the same shape.

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: The shapes differ, or a value is not finite.

    Example:
        >>> mean_absolute_error([0.0, 0.0], [3.0, 4.0])
        3.5
    """
    return float(absolute_error_per_example(mean, y).mean())


def _log_normal(mean: FloatArray, variance: FloatArray, y: FloatArray) -> FloatArray:
    """Returns the log density of y under Normal(mean, variance), element by element."""
    return -0.5 * (np.log(2 * np.pi * variance) + (y - mean) ** 2 / variance)


def gaussian_log_likelihood_per_example(
    mean: ArrayLike, variance: ArrayLike, y: ArrayLike
) -> FloatArray:
    """Returns log Normal(y; mean, variance) of each example, averaged over its outputs.

    Unit: nats (of the density in the unit of y). Range: (-inf, inf); higher is better.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        variance: Total predictive variances, the same shape, above 0.
        y: Targets, the same shape.

    Returns:
        Log-likelihoods, shape (N,).

    Raises:
        DataError: The shapes differ, a value is not finite, or a variance is not above 0.

    Example:
        >>> gaussian_log_likelihood_per_example([0.0], [1.0], [0.0]).round(6)
        array([-0.918939])
    """
    return mean_per_example(_log_normal(*as_gaussian(mean, variance, y)))


def gaussian_log_likelihood(mean: ArrayLike, variance: ArrayLike, y: ArrayLike) -> float:
    """Returns the mean of log Normal(y; mean, variance) over points.

    -(log(2 pi variance) + (y - mean)^2 / variance) / 2. Unit: nats; scaling the target by a
    lowers it by log(a). Range: (-inf, inf); higher is better.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        variance: Total predictive variances, the same shape, above 0.
        y: Targets, the same shape.

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: The shapes differ, a value is not finite, or a variance is not above 0.

    References:
        Nix and Weigend (1994), doi:10.1109/ICNN.1994.374138.

    Example:
        >>> round(gaussian_log_likelihood([0.0, 0.0], [1.0, 1.0], [0.0, 2.0]), 6)
        -1.918939
    """
    return float(gaussian_log_likelihood_per_example(mean, variance, y).mean())


def mixture_log_likelihood_per_example(
    sample_means: ArrayLike,
    y: ArrayLike,
    *,
    noise_variance: ArrayLike | None = None,
    sample_variances: ArrayLike | None = None,
) -> FloatArray:
    """Returns the mixture log-likelihood of each example, averaged over its outputs.

    The terms whose mean `mixture_log_likelihood` is; see there.

    Args:
        sample_means: Predicted mean of each pass, shape (T, N) or (T, N, ..., D).
        y: Targets, shape (N,) or (N, ..., D).
        noise_variance: Gal's 1 / tau, one number or one for each output.
        sample_variances: Predicted variance of each pass, the shape of `sample_means`.

    Returns:
        Log-likelihoods in nats, shape (N,).

    Raises:
        DataError: Neither or both variances are given, shapes do not fit, or a variance is not
            above 0.

    Example:
        >>> mixture_log_likelihood_per_example([[0.0], [1.0]], [0.0], noise_variance=1.0).round(6)
        array([-1.138009])
    """
    if sample_variances is not None and noise_variance is None:
        means, variances, targets = as_mixture(sample_means, sample_variances, y, prefix="sample_")
    elif noise_variance is not None and sample_variances is None:
        (targets,) = as_matched(y=y)
        means = as_passes("sample_means", sample_means, targets.shape)
        variances = as_noise(noise_variance, targets.shape)
    else:
        raise DataError(
            "`noise_variance` and `sample_variances` are both given or both missing, expected one. "
            "Give noise_variance=1/tau for a model of the mean alone, sample_variances for a "
            "Gaussian head."
        )
    densities = _log_normal(means, variances, targets)
    return mean_per_example(logsumexp(densities, axis=0) - np.log(means.shape[0]))


def mixture_log_likelihood(
    sample_means: ArrayLike,
    y: ArrayLike,
    *,
    noise_variance: ArrayLike | None = None,
    sample_variances: ArrayLike | None = None,
) -> float:
    """Returns the mean over points of log((1/T) sum_t Normal(y; m_t, s_t^2)).

    The log of the mean density over the passes, never the mean of the logs. With
    `noise_variance` = 1 / tau it is Gal's predictive log-likelihood
    logsumexp_t(-tau (y - m_t)^2 / 2) - log T - log(2 pi) / 2 + log(tau) / 2, which cannot exceed
    log(tau / (2 pi)) / 2. Unit: nats, in the unit of y. Range: (-inf, inf); higher is better.
    Biased low by about Var_t[density] / (2 T density^2) at finite T.

    Args:
        sample_means: Predicted mean of each pass, shape (T, N) or (T, N, ..., D).
        y: Targets, shape (N,) or (N, ..., D).
        noise_variance: Variance of the observation noise in the squared unit of y: one number,
            or one for each output. For a model that predicts the mean alone.
        sample_variances: Predicted variance of each pass, the shape of `sample_means`. For a
            model with a Gaussian head.

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: Neither or both variances are given, shapes do not fit, or a variance is not
            above 0.

    References:
        Gal and Ghahramani (2016), arXiv:1506.02142.

    Example:
        >>> round(mixture_log_likelihood([[0.0], [2.0]], [1.0], noise_variance=0.25), 6)
        -2.225791
    """
    terms = mixture_log_likelihood_per_example(
        sample_means, y, noise_variance=noise_variance, sample_variances=sample_variances
    )
    return float(terms.mean())
