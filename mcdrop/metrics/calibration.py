"""Calibration of class probabilities by bins: do events of probability 0.8 happen 80% of the time.

All functions of this module but `classwise_calibration_error` are about the top label: the
highest probability of each row, the confidence, and whether that class is right. Bins always
cover [0, 1], whatever the number of classes. Equal-width bins ("uniform") are [lower, upper),
the last one closed, so that a confidence of exactly 1 is counted; equal-mass bins ("quantile")
follow the ranks and never part equal confidences. Empty bins have weight 0 and are shown as
empty.

A binned error is above 0 even for a perfectly calibrated model: see `calibration_error_floor`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from mcdrop._checks import as_probabilities, check_choice, check_count, check_number, check_seed
from mcdrop.metrics._classification import as_scored, top_label
from mcdrop.weighted.arrays import divide, plain_value
from mcdrop.weighted.calibration import (
    assign_bins,
    binned_calibration_statistic,
    debiased_calibration_statistic,
    errors_by_chance,
    make_binner,
    sweep_calibration_statistic,
)
from mcdrop.weighted.classwise import classwise_calibration_statistic

FloatArray = NDArray[np.float64]

STRATEGIES = ("uniform", "quantile")
NORMS = ("l1", "l2", "max")


@dataclass(frozen=True)
class ReliabilityCurve:
    """Accuracy against confidence by bin; empty bins hold NaN and a count of 0.

    Attributes:
        edges: Bin edges on [0, 1], shape (num_bins + 1,).
        confidence: Mean confidence, shape (num_bins,).
        accuracy: Share of correct predictions, shape (num_bins,).
        count: Number of examples, shape (num_bins,).
        low: Lower end of the Wilson interval of the accuracy, shape (num_bins,).
        high: Upper end, shape (num_bins,).
    """

    edges: FloatArray
    confidence: FloatArray
    accuracy: FloatArray
    count: NDArray[np.int64]
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class CalibrationFloor:
    """What a perfectly calibrated model of the same confidences would score at the same N.

    Attributes:
        mean: Mean calibration error over the simulations.
        low: 2.5% quantile.
        high: 97.5% quantile; an error below it is no evidence of bad calibration.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, errors: FloatArray) -> CalibrationFloor:
        """Returns the floor of simulated errors, shape (R,)."""
        low, high = np.quantile(errors, [0.025, 0.975])
        return cls(mean=float(np.mean(errors)), low=float(low), high=float(high))


def _check_options(num_bins: int, strategy: str, norm: str) -> None:
    """Raises DataError for an unknown option of a binned error."""
    check_count("num_bins", num_bins, minimum=1)
    check_choice("strategy", strategy, STRATEGIES)
    check_choice("norm", norm, NORMS)


def reliability_curve(
    p: ArrayLike,
    y: ArrayLike,
    *,
    num_bins: int = 15,
    strategy: str = "uniform",
    confidence_level: float = 0.95,
) -> ReliabilityCurve:
    """Returns accuracy against confidence by bin, with an interval for each accuracy.

    Fractions; within [0, 1]; a calibrated model lies on accuracy = confidence. The intervals
    are Wilson's, bin by bin: of 15 bins of a calibrated model about one misses at 95%.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).
        num_bins: Number of bins.
        strategy: "uniform", equal width, or "quantile", equal mass.
        confidence_level: Level of the intervals, between 0 and 1.

    Returns:
        The curve; with many equal confidences some "quantile" bins are empty, of width 0.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or an
            option is unknown or out of range.

    References:
        DeGroot & Fienberg (1983), doi:10.2307/2987588; Niculescu-Mizil & Caruana (2005),
        doi:10.1145/1102351.1102430; Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Example:
        >>> curve = reliability_curve([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]], [0, 1, 0], num_bins=2)
        >>> curve.count, curve.accuracy.round(4)
        (array([0, 3]), array([   nan, 0.6667]))
    """
    confidence, correct = top_label(p, y)
    _check_options(num_bins, strategy, NORMS[0])
    level = check_number("confidence_level", confidence_level, low=0.0, high=1.0, open_ends=True)
    sums = make_binner(confidence, correct, num_bins, strategy)(np.ones((1, correct.size)))
    count = sums.weight[0]
    accuracy = divide(sums.outcome[0], count, np.nan)
    low, high = _wilson_interval(accuracy, count, level)
    return ReliabilityCurve(
        edges=_edges(confidence, num_bins, strategy),
        confidence=divide(sums.confidence[0], count, np.nan),
        accuracy=accuracy,
        count=np.rint(count).astype(np.int64),
        low=low,
        high=high,
    )


def _wilson_interval(
    rate: FloatArray, count: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Returns the ends of Wilson's interval of a rate, NaN where the count is 0."""
    z = float(ndtri(0.5 + 0.5 * level))
    per_count = divide(np.ones_like(count), count, np.nan)
    center = rate + 0.5 * z**2 * per_count
    half = z * np.sqrt(rate * (1.0 - rate) * per_count + (0.5 * z * per_count) ** 2)
    scale = 1.0 + z**2 * per_count
    # At a rate of 0 or 1 the end is that rate; rounding would leave it an ulp outside.
    return np.maximum((center - half) / scale, 0.0), np.minimum((center + half) / scale, 1.0)


def _edges(confidence: FloatArray, num_bins: int, strategy: str) -> FloatArray:
    """Returns the bin edges; those of equal-mass bins lie midway between neighbours."""
    if strategy == "uniform":
        return np.linspace(0.0, 1.0, num_bins + 1)
    ordered = np.sort(confidence)
    bins = np.sort(assign_bins(confidence, num_bins, strategy))
    firsts = np.searchsorted(bins, np.arange(1, num_bins))
    padded = np.r_[0.0, ordered, 1.0]
    midway = 0.5 * (padded[firsts] + padded[firsts + 1])
    inner = np.where(firsts == 0, 0.0, np.where(firsts == ordered.size, 1.0, midway))
    return np.asarray(np.r_[0.0, inner, 1.0])


def expected_calibration_error(
    p: ArrayLike,
    y: ArrayLike,
    *,
    num_bins: int = 15,
    strategy: str = "uniform",
    norm: str = "l1",
) -> float:
    """Returns the binned calibration error of the top label (ECE).

    With gap_b = |accuracy_b - confidence_b| and weight n_b/N: "l1" is sum_b n_b/N gap_b (ECE),
    "l2" the root of sum_b n_b/N gap_b^2 (RMSCE), "max" the largest gap of a filled bin (MCE).
    A fraction; within [0, 1]; lower is better. High by chance, the more so the fewer examples
    a bin has: report it with `calibration_error_floor`. Not proper: a constant prediction of
    the class frequencies scores 0.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).
        num_bins: Number of bins.
        strategy: "uniform", equal width, or "quantile", equal mass.
        norm: "l1", "l2" or "max".

    Returns:
        Calibration error.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or an
            option is unknown.

    References:
        Naeini, Cooper & Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602; Guo et al. (2017),
        arXiv:1706.04599; Nixon et al. (2019), arXiv:1904.01685.

    Example:
        >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2]], [0, 1], num_bins=5), 4)
        0.35
    """
    confidence, correct = top_label(p, y)
    _check_options(num_bins, strategy, norm)
    statistic = binned_calibration_statistic(
        confidence, correct, num_bins=num_bins, strategy=strategy, norm=norm
    )
    return plain_value(statistic, correct.size)


def classwise_calibration_error(
    p: ArrayLike,
    y: ArrayLike,
    *,
    num_bins: int = 15,
    strategy: str = "uniform",
    norm: str = "l1",
) -> float:
    """Returns the mean over classes of the calibration error of one class against the rest.

    For class c the stated probability is p_c for every example, whatever its label or
    prediction, and the outcome 1{y = c}; see `expected_calibration_error` for the norms. A
    fraction; within [0, 1]; lower is better. With many classes most probabilities are near 0,
    and so is the value: compare it only at one number of classes. For two classes both have
    the same error (up to probabilities on a bin edge), that of the positive class.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,). A class without examples counts all the same.
        num_bins: Number of bins.
        strategy: "uniform", equal width, or "quantile", equal mass.
        norm: "l1", "l2" or "max", taken within a class; the mean over classes is plain.

    Returns:
        Classwise calibration error.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or an
            option is unknown.

    References:
        Kull et al. (2019), arXiv:1910.12656; Nixon et al. (2019), arXiv:1904.01685.

    Example:
        >>> round(classwise_calibration_error([[0.9, 0.1], [0.85, 0.15]], [0, 1], num_bins=5), 4)
        0.375
    """
    probabilities, labels = as_scored(p, y)
    _check_options(num_bins, strategy, norm)
    statistic = classwise_calibration_statistic(
        probabilities, labels, num_bins=num_bins, strategy=strategy, norm=norm
    )
    return plain_value(statistic, labels.size)


def debiased_calibration_error(p: ArrayLike, y: ArrayLike, *, num_bins: int = 15) -> float:
    """Returns the debiased L2 calibration error of the top label.

    The root of sum_b n_b/N (gap_b^2 - a_b (1 - a_b) / (n_b - 1)) over equal-mass bins, a_b being
    the accuracy: the second term is the chance part of the squared gap. The sum is unbiased for
    the squared error of the binned model, and about 0, below it half of the time, for a
    calibrated one; a negative sum gives 0. A fraction; within [0, 1]; lower is better. A bin
    with a single example counts 0.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).
        num_bins: Number of bins.

    Returns:
        Calibration error.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or
            there is no bin.

    References:
        Kumar, Liang & Ma (2019), arXiv:1909.10155; Broecker (2012),
        doi:10.1007/s00382-011-1191-1; Ferro & Fricker (2012), doi:10.1002/qj.1924.

    Example:
        >>> rows = np.repeat([[0.9, 0.1]], 10, axis=0)
        >>> round(debiased_calibration_error(rows, [0] * 5 + [1] * 5, num_bins=1), 4)
        0.3636
    """
    confidence, correct = top_label(p, y)
    check_count("num_bins", num_bins, minimum=1)
    statistic = debiased_calibration_statistic(confidence, correct, num_bins=num_bins)
    return plain_value(statistic, correct.size)


def calibration_error_sweep(p: ArrayLike, y: ArrayLike, *, norm: str = "l1") -> float:
    """Returns the calibration error with as many equal-mass bins as keep accuracy monotone.

    The number of bins grows from 1 until the accuracy first falls from one bin to the next; the
    error is that of the number before. It needs no choice of bins and is less biased than
    fixed bins. A fraction; within [0, 1]; lower is better.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).
        norm: "l1", "l2" or "max"; see `expected_calibration_error`.

    Returns:
        Calibration error.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or
            the norm is unknown.

    References:
        Roelofs et al. (2022), arXiv:2012.08668.

    Example:
        >>> p = [[0.6, 0.4], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1]]
        >>> round(calibration_error_sweep(p, [1, 1, 0, 0]), 4)
        0.4
    """
    confidence, correct = top_label(p, y)
    check_choice("norm", norm, NORMS)
    statistic = sweep_calibration_statistic(confidence, correct, norm=norm)
    return plain_value(statistic, correct.size)


def calibration_error_floor(
    p: ArrayLike,
    *,
    num_bins: int = 15,
    strategy: str = "uniform",
    norm: str = "l1",
    num_simulations: int = 1000,
    seed: int = 0,
) -> CalibrationFloor:
    """Returns what `expected_calibration_error` is by chance for a perfectly calibrated model.

    Each simulation keeps the confidences and draws every prediction right with a probability
    equal to its confidence. A fraction; within [0, 1]. An error inside [low, high] is what
    perfect calibration gives; below the mean it is no better than that.

    Args:
        p: Class probabilities, shape (N, C); no labels are used.
        num_bins: Number of bins.
        strategy: "uniform", equal width, or "quantile", equal mass.
        norm: "l1", "l2" or "max".
        num_simulations: Number of simulations.
        seed: Seed of the simulations; equal seeds give equal floors.

    Returns:
        Mean and central 95% of the simulated errors.

    Raises:
        DataError: A row is not on the simplex, or an option is unknown or out of range.

    References:
        Broecker & Smith (2007), doi:10.1175/WAF993.1; Vaicenavicius et al. (2019),
        arXiv:1902.06977.

    Example:
        >>> floor = calibration_error_floor(np.repeat([[0.8, 0.2]], 100, axis=0))
        >>> bool(0.02 < floor.mean < 0.05)
        True
    """
    confidence = as_probabilities("p", p).max(axis=1)
    _check_options(num_bins, strategy, norm)
    check_count("num_simulations", num_simulations, minimum=1)
    check_seed("seed", seed)
    errors = errors_by_chance(
        confidence,
        num_bins=num_bins,
        strategy=strategy,
        norm=norm,
        num_simulations=num_simulations,
        seed=seed,
    )
    return CalibrationFloor.of(errors)
