"""What a predicted variance is made of, how small it is, and whether the errors bear it out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mcdrop._checks import VARIANCE_FIX, as_matched, as_passes, check_count, check_positive
from mcdrop.errors import DataError
from mcdrop.metrics._examples import FloatArray, as_gaussian
from mcdrop.weighted.arrays import group_ties, mean_per_example


@dataclass(frozen=True)
class VarianceDecomposition:
    """The law of total variance, each of shape (N, ...), in squared units of the target.

    Attributes:
        aleatoric: Mean over the passes of the predicted variance, E[s^2].
        epistemic: Variance over the passes of the predicted mean, Var[m], divided by T - 1.
        total: Their sum.
    """

    aleatoric: FloatArray
    epistemic: FloatArray
    total: FloatArray


def decompose_variance(
    sample_means: ArrayLike, sample_variances: ArrayLike
) -> VarianceDecomposition:
    """Splits the predictive variance of a Gaussian head by the law of total variance.

    Var[y] = E_t[s_t^2] + Var_t[m_t]. Both terms are unbiased in T: the first is a mean of
    variances (not of deviations, nor the exponential of a mean log-variance), the second divides
    by T - 1. Unit: that of the target, squared. Range: [0, inf).

    Args:
        sample_means: Predicted mean of each pass, shape (T, N, ...), T at least 2.
        sample_variances: Predicted variance of each pass, the same shape, at least 0.

    Returns:
        The aleatoric, epistemic and total variance, each of shape (N, ...).

    Raises:
        DataError: The shapes differ, T is 1, a value is not finite, or a variance is negative.

    References:
        Kendall and Gal (2017), arXiv:1703.04977, equation 9.

    Example:
        >>> decompose_variance([[0.0], [2.0]], [[1.0], [3.0]])
        VarianceDecomposition(aleatoric=array([2.]), epistemic=array([2.]), total=array([4.]))
    """
    means, variances = as_matched(sample_means=sample_means, sample_variances=sample_variances)
    as_passes("sample_means", means, means.shape[1:], minimum=2)
    check_positive("sample_variances", variances, fix=VARIANCE_FIX, allow_zero=True)
    aleatoric = variances.mean(axis=0)
    epistemic = means.var(axis=0, ddof=1)
    return VarianceDecomposition(aleatoric, epistemic, aleatoric + epistemic)


def variance_per_example(variance: ArrayLike) -> FloatArray:
    """Returns the predicted variance of each example, averaged over its outputs.

    The terms whose mean is the square of `sharpness`.

    Args:
        variance: Predictive variances, shape (N,) or (N, ..., D), at least 0.

    Returns:
        Variances, shape (N,).

    Raises:
        DataError: A value is negative or not finite, or there is none.

    Example:
        >>> variance_per_example([[1.0, 3.0]])
        array([2.])
    """
    (values,) = as_matched(variance=variance)
    check_positive("variance", values, fix=VARIANCE_FIX, allow_zero=True)
    return mean_per_example(values)


def sharpness(variance: ArrayLike) -> float:
    """Returns the root mean predicted variance, sqrt(mean(variance)).

    Unit: that of the target. Range: [0, inf); lower is sharper, which is better only among
    calibrated predictions. Equal to the root mean squared error for a calibrated prediction.

    Args:
        variance: Predictive variances, shape (N,) or (N, ..., D), at least 0.

    Returns:
        One number.

    Raises:
        DataError: A value is negative or not finite, or there is none.

    References:
        Gneiting, Balabdaoui and Raftery (2007), doi:10.1111/j.1467-9868.2007.00587.x.

    Example:
        >>> sharpness([9.0, 16.0])
        3.5355339059327378
    """
    return float(np.sqrt(variance_per_example(variance).mean()))


def expected_normalized_calibration_error(
    mean: ArrayLike, variance: ArrayLike, y: ArrayLike, *, num_bins: int = 10
) -> float:
    """Returns how far the error is from the predicted deviation, over bins of the deviation.

    (1/B) sum_b |RMV_b - RMSE_b| / RMV_b, where RMV_b is the root mean variance and RMSE_b the
    root mean squared error of bin b; the bins hold equal numbers of points, in order of the
    variance. Where equal variances reach into several bins, each bin gets its share of the mean
    of their squared errors, so that the order of the rows does not matter. Unit: none. Range:
    [0, inf); lower is better. A calibrated prediction scores about sqrt(B / (pi N)), not 0.

    Args:
        mean: Predicted means, shape (N,) or (N, ..., D).
        variance: Total predictive variances, the same shape, above 0.
        y: Targets, the same shape. Outputs are pooled: their units must be comparable.
        num_bins: Number of bins B, at most the number of points.

    Returns:
        One number.

    Raises:
        DataError: Shapes differ, a variance is not above 0, or there are fewer points than bins.

    References:
        Levi et al. (2019), arXiv:1905.11659.

    Example:
        >>> expected_normalized_calibration_error([0.0, 0.0], [1.0, 4.0], [1.0, 1.0], num_bins=2)
        0.25
    """
    predicted, variances, targets = as_gaussian(mean, variance, y)
    bins = check_count("num_bins", num_bins, minimum=1)
    if bins > targets.size:
        raise DataError(
            f"`num_bins` is {bins} for {targets.size} points, expected no more bins than points."
        )
    groups = group_ties(variances.ravel())
    starts = np.arange(bins) * targets.size // bins
    counts = np.diff(starts, append=targets.size)
    sizes = np.diff(groups.starts, append=targets.size)

    def root_mean(values: FloatArray) -> FloatArray:
        of_groups = groups.sums(values.reshape(1, -1))[0] / sizes
        return np.asarray(np.sqrt(np.add.reduceat(np.repeat(of_groups, sizes), starts) / counts))

    error, deviation = root_mean((predicted - targets) ** 2), root_mean(variances)
    return float(np.mean(np.abs(deviation - error) / deviation))
