"""Selective prediction: what is gained by answering only where the model is certain.

A prediction is accepted when its uncertainty is at most a threshold. Coverage is the share
accepted, risk the mean error of those. Examples of equal uncertainty cannot be told apart by
a threshold: curves and operating points take them as a whole, areas average over their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import SIMPLEX_TOLERANCE, as_float, as_matched, check_count, check_number
from mcdrop.errors import DataError
from mcdrop.metrics._classification import as_flags
from mcdrop.weighted.arrays import divide, group_ties, plain_value
from mcdrop.weighted.calibration import binned_calibration_statistic
from mcdrop.weighted.ranking import (
    area_under_generalized_risk_coverage_statistic,
    area_under_risk_coverage_statistic,
    coverage_at_risk_statistic,
    excess_area_under_risk_coverage_statistic,
    risk_at_coverage_statistic,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RiskCoverageCurve:
    """Risk against coverage, one point for each distinct uncertainty, from certain to uncertain.

    Attributes:
        coverage: Share of examples with an uncertainty of at most the threshold, shape (G,).
        risk: Mean error of those, shape (G,).
        threshold: The uncertainty up to which predictions are accepted, shape (G,).
    """

    coverage: FloatArray
    risk: FloatArray
    threshold: FloatArray


@dataclass(frozen=True)
class UncertaintyAccuracyCurve:
    """How uncertainty and accuracy go together, over thresholds of the uncertainty.

    An example is certain when its uncertainty is at most the threshold.

    Attributes:
        threshold: Thresholds, shape (G,).
        accurate_given_certain: Share of correct among the certain; NaN when none is certain.
        uncertain_given_inaccurate: Share of uncertain among the wrong; NaN when none is wrong.
        pavpu: Share that is either correct and certain or wrong and uncertain.
    """

    threshold: FloatArray
    accurate_given_certain: FloatArray
    uncertain_given_inaccurate: FloatArray
    pavpu: FloatArray


def _checked(uncertainty: ArrayLike, error: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Returns uncertainty and error as vectors, dense outputs flattened."""
    scores, errors = as_matched(uncertainty=uncertainty, error=error)
    return scores.ravel(), errors.ravel()


def risk_coverage_curve(uncertainty: ArrayLike, error: ArrayLike) -> RiskCoverageCurve:
    """Returns the risk at every coverage that a threshold can reach.

    For threshold t: coverage = #{u_i <= t} / N, risk = mean of e_i over u_i <= t. Coverage is
    a fraction; risk has the unit of the error; lower is better.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: Error of each prediction, the same shape: 0 or 1 for classes, or any loss.

    Returns:
        The curve; examples of equal uncertainty are one point.

    Raises:
        DataError: The shapes differ or a value is not finite.

    References:
        El-Yaniv & Wiener (2010), jmlr.org/papers/v11/el-yaniv10a; Geifman & El-Yaniv (2017),
        arXiv:1705.08500.

    Example:
        >>> risk_coverage_curve([0.1, 0.2, 0.2, 0.9], [0, 0, 1, 1]).risk.round(4)
        array([0.    , 0.3333, 0.5   ])
    """
    scores, errors = _checked(uncertainty, error)
    groups = group_ties(scores)
    accepted = np.r_[groups.starts[1:], scores.size].astype(np.float64)
    total_errors = groups.sums(errors[np.newaxis])[0].cumsum()
    return RiskCoverageCurve(
        coverage=accepted / scores.size, risk=total_errors / accepted, threshold=groups.keys
    )


def area_under_risk_coverage(uncertainty: ArrayLike, error: ArrayLike) -> float:
    """Returns the area under the risk-coverage curve (AURC).

    (1/N) sum_{k=1..N} (mean error of the k most certain), the expected value over all orders
    of tied examples. Unit of the error; within [0, 1] for 0/1 errors; lower is better. It
    mixes the quality of the predictions with that of their order: see the excess area.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: Error of each prediction, the same shape: 0 or 1 for classes, or any loss.

    Returns:
        Area; the mean error when all uncertainties are equal.

    Raises:
        DataError: The shapes differ or a value is not finite.

    References:
        Geifman, Uziel & El-Yaniv (2019), arXiv:1805.08206; Zhou et al. (2024),
        arXiv:2410.15361.

    Example:
        >>> area_under_risk_coverage([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 1])
        0.0625
    """
    scores, errors = _checked(uncertainty, error)
    return plain_value(area_under_risk_coverage_statistic(scores, errors), scores.size)


def excess_area_under_risk_coverage(uncertainty: ArrayLike, error: ArrayLike) -> float:
    """Returns the AURC above that of the best order of the same errors (E-AURC).

    AURC(u, e) - AURC(e, e): the second term orders the examples by their error itself, at the
    same N, instead of by the large-sample formula r + (1 - r) log(1 - r). Unit of the error;
    at least 0; lower is better; 0 for an order without fault.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: Error of each prediction, the same shape: 0 or 1 for classes, or any loss.

    Returns:
        Excess area.

    Raises:
        DataError: The shapes differ or a value is not finite.

    References:
        Geifman, Uziel & El-Yaniv (2019), arXiv:1805.08206.

    Example:
        >>> excess_area_under_risk_coverage([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 1])
        0.0
    """
    scores, errors = _checked(uncertainty, error)
    return plain_value(excess_area_under_risk_coverage_statistic(scores, errors), scores.size)


def area_under_generalized_risk_coverage(uncertainty: ArrayLike, error: ArrayLike) -> float:
    """Returns the area under the generalized risk-coverage curve (AUGRC).

    The generalized risk at a threshold is the sum of the accepted errors over N, that is
    coverage times risk; the area is trapezoidal from (0, 0), which is the expected value over
    the order of ties. Unit of the error; within [0, 0.5] for 0/1 errors; lower is better. For
    0/1 errors of rate r it is (1 - AUROC) r (1 - r) + r^2 / 2 exactly, the AUROC being that of
    error detection: unlike AURC it does not put most weight on the few most certain examples.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: Error of each prediction, the same shape: 0 or 1 for classes, or any loss.

    Returns:
        Area; half the mean error when all uncertainties are equal.

    Raises:
        DataError: The shapes differ or a value is not finite.

    References:
        Traub et al. (2024), arXiv:2407.01032.

    Example:
        >>> area_under_generalized_risk_coverage([0.1, 0.2, 0.3, 0.4], [0, 0, 0, 1])
        0.03125
    """
    scores, errors = _checked(uncertainty, error)
    statistic = area_under_generalized_risk_coverage_statistic(scores, errors)
    return plain_value(statistic, scores.size)


def coverage_at_risk(uncertainty: ArrayLike, error: ArrayLike, *, risk: float) -> float:
    """Returns the largest coverage that a threshold reaches at a mean error of at most `risk`.

    max {coverage(t) : risk(t) <= risk}. A fraction; within [0, 1]; higher is better. The risk
    need not rise with coverage; the largest coverage counts even if the risk is exceeded
    before it. The value is of these examples: a threshold picked on them carries no guarantee
    for others.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: Error of each prediction, the same shape: 0 or 1 for classes, or any loss.
        risk: Mean error that may not be exceeded, in the unit of the error.

    Returns:
        Coverage; 0 when no threshold keeps the risk.

    Raises:
        DataError: The shapes differ, a value is not finite, or the risk is not a number.

    References:
        Geifman & El-Yaniv (2017), arXiv:1705.08500.

    Example:
        >>> coverage_at_risk([0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], risk=0.3)
        1.0
    """
    scores, errors = _checked(uncertainty, error)
    limit = check_number("risk", risk, low=-np.inf, high=np.inf, open_ends=True)
    return plain_value(coverage_at_risk_statistic(scores, errors, risk=limit), scores.size)


def risk_at_coverage(uncertainty: ArrayLike, error: ArrayLike, *, coverage: float) -> float:
    """Returns the mean error at the smallest threshold that accepts a share of `coverage`.

    risk(t) at t = min {t : coverage(t) >= coverage}. Unit of the error; lower is better. Where
    ties make that share unreachable, the whole tied group is accepted.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: Error of each prediction, the same shape: 0 or 1 for classes, or any loss.
        coverage: Share of examples to accept, above 0 and at most 1.

    Returns:
        Risk.

    Raises:
        DataError: The shapes differ, a value is not finite, or the coverage is out of range.

    References:
        Geifman & El-Yaniv (2017), arXiv:1705.08500.

    Example:
        >>> risk_at_coverage([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], coverage=0.75).__round__(4)
        0.3333
    """
    scores, errors = _checked(uncertainty, error)
    if check_number("coverage", coverage, low=0.0, high=1.0) == 0.0:
        raise DataError("`coverage` is 0, expected a number above 0: no answer has no risk.")
    statistic = risk_at_coverage_statistic(scores, errors, coverage=float(coverage))
    return plain_value(statistic, scores.size)


def uncertainty_accuracy_curve(
    uncertainty: ArrayLike, error: ArrayLike, *, thresholds: ArrayLike | None = None
) -> UncertaintyAccuracyCurve:
    """Returns PAvPU and its two conditional shares over thresholds of the uncertainty.

    With n_ac accurate and certain, n_au, n_ic and n_iu examples alike:
    p(accurate | certain) = n_ac / (n_ac + n_ic), p(uncertain | inaccurate) =
    n_iu / (n_ic + n_iu), PAvPU = (n_ac + n_iu) / N. Fractions; within [0, 1]; higher is better.
    They depend on the threshold, so compare models over the whole sweep. PAvPU at a threshold
    above all is the accuracy. For dense outputs every pixel is an example, without patches.

    Args:
        uncertainty: Shape (N,) or (N, ...); higher is less certain.
        error: 1 or True where the prediction is wrong, else 0; the same shape.
        thresholds: Thresholds, shape (G,); by default every distinct uncertainty.

    Returns:
        The curve.

    Raises:
        DataError: The shapes differ, a value is not finite, an error is neither 0 nor 1, or
            the thresholds are not a vector.

    References:
        Mukhoti & Gal (2018), arXiv:1811.12709.

    Example:
        >>> uncertainty_accuracy_curve([0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1]).pavpu
        array([0.75, 1.  , 0.75, 0.5 ])
    """
    scores, errors = _checked(uncertainty, error)
    wrong = as_flags("error", errors)
    levels = np.unique(scores) if thresholds is None else as_float("thresholds", thresholds)
    if levels.ndim != 1:
        raise DataError(f"`thresholds` has shape {levels.shape}, expected (G,).")
    accurate_certain = np.searchsorted(np.sort(scores[~wrong]), levels, side="right")
    inaccurate_certain = np.searchsorted(np.sort(scores[wrong]), levels, side="right")
    num_wrong = np.full(levels.size, np.count_nonzero(wrong))
    inaccurate_uncertain = num_wrong - inaccurate_certain
    return UncertaintyAccuracyCurve(
        threshold=levels,
        accurate_given_certain=divide(
            accurate_certain, accurate_certain + inaccurate_certain, np.nan
        ),
        uncertain_given_inaccurate=divide(inaccurate_uncertain, num_wrong, np.nan),
        pavpu=(accurate_certain + inaccurate_uncertain) / scores.size,
    )


def uncertainty_calibration_error(
    uncertainty: ArrayLike, error: ArrayLike, *, num_bins: int = 15
) -> float:
    """Returns how far the uncertainty is from the share of errors made at it (UCE).

    sum_b n_b/N |mean error_b - mean uncertainty_b| over equal-width bins of [0, 1]. A fraction;
    within [0, 1]; lower is better. Laves et al. use the predictive entropy over log C. A
    calibrated model need not have entropy / log C equal to its error rate, so that UCE does
    not reach 0 for it; 1 - confidence has that property, and gives the top-label ECE.

    Args:
        uncertainty: Within [0, 1] (up to 1.001, for rounding), shape (N,) or (N, ...).
        error: 1 or True where the prediction is wrong, else 0; the same shape.
        num_bins: Number of bins on [0, 1].

    Returns:
        Error.

    Raises:
        DataError: The shapes differ, an uncertainty is outside [0, 1], an error is neither 0
            nor 1, or there is no bin.

    References:
        Laves et al. (2019), arXiv:1909.13550.

    Example:
        >>> round(uncertainty_calibration_error([0.1, 0.1, 0.8, 0.8], [0, 0, 1, 1]), 4)
        0.15
    """
    scores, errors = _checked(uncertainty, error)
    outcome = as_flags("error", errors).astype(np.float64)
    if scores.min() < 0 or scores.max() > 1 + SIMPLEX_TOLERANCE:
        raise DataError(
            f"`uncertainty` has values in [{scores.min():.4g}, {scores.max():.4g}], expected "
            "[0, 1]. Divide an entropy by the log of the number of classes."
        )
    check_count("num_bins", num_bins, minimum=1)
    statistic = binned_calibration_statistic(
        np.minimum(scores, 1.0), outcome, num_bins=num_bins, strategy="uniform", norm="l1"
    )
    return plain_value(statistic, scores.size)
