"""Weighted statistics that depend on the order of a score: detection and selective prediction.

Tied scores are never ordered by chance. Areas take the expected value over all orders of a
tied group; thresholds accept a tied group as a whole or not at all. Scores come as an array,
shape (n,), or as the groups of its ties, which metrics of one ranking can share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from mcdrop.weighted.arrays import (
    FloatArray,
    OfWeights,
    TiedGroups,
    divide,
    group_ties,
    in_row_blocks,
)

Scores = FloatArray | TiedGroups

RELATIVE_TOLERANCE = 1e-12
"""Slack, as a share of the total weight, for comparing sums that rounding has touched."""


def auroc_statistic(score: Scores, positive: NDArray[Any]) -> OfWeights:
    """Returns the area under the ROC curve; NaN when one of the two kinds is absent.

    Args:
        score: Higher should mean positive.
        positive: 1 or true for what the score should find, shape (n,).
    """
    groups = group_ties(score)

    def auroc(weights: FloatArray) -> FloatArray:
        (sizes, reached), (positives, found) = _both(groups, weights, positive)
        below = (reached - found) - 0.5 * (sizes - positives)
        won = (positives * below).sum(axis=1)
        total = found[:, -1]
        return divide(won, total * (reached[:, -1] - total), np.nan)

    return in_row_blocks(auroc)


def _both(
    groups: TiedGroups, weights: FloatArray, factor: NDArray[Any]
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Returns the sums, alone and cumulative, of the weights and of the weighted factor."""
    return groups.totals(weights), groups.totals(weights, factor)


def _descending(sums: FloatArray, reached: FloatArray) -> FloatArray:
    """Returns cumulative sums over groups from the highest score downward, shape (R, G)."""
    return np.asarray((reached[:, -1:] - reached + sums)[:, ::-1])


def average_precision_statistic(score: Scores, positive: NDArray[Any]) -> OfWeights:
    """Returns the average precision, the step-wise area under the precision-recall curve."""
    groups = group_ties(score)

    def average_precision(weights: FloatArray) -> FloatArray:
        (sizes, reached), (positives, found) = _both(groups, weights, positive)
        called = reached[:, -1:] - reached + sizes
        precision = divide(found[:, -1:] - found + positives, called, 0.0)
        total = found[:, -1]
        area = divide((positives * precision).sum(axis=1), total, np.nan)
        return np.where(total < reached[:, -1], area, np.nan)

    return in_row_blocks(average_precision)


def false_positive_rate_statistic(
    score: Scores, positive: NDArray[Any], *, true_positive_rate: float
) -> OfWeights:
    """Returns the false positive rate at the highest threshold that finds enough positives."""
    groups = group_ties(score)

    def false_positive_rate(weights: FloatArray) -> FloatArray:
        whole, positives = _both(groups, weights, positive)
        found, called = _descending(*positives), _descending(*whole)
        total = found[:, -1]
        needed = true_positive_rate * total - RELATIVE_TOLERANCE * called[:, -1]
        first = np.argmax(found >= needed[:, np.newaxis], axis=1)
        rows = np.arange(weights.shape[0])
        false = called[rows, first] - found[rows, first]
        rate = divide(false, called[:, -1] - total, np.nan)
        return np.where(total > 0, rate, np.nan)

    return in_row_blocks(false_positive_rate)


def area_under_risk_coverage_statistic(uncertainty: Scores, error: FloatArray) -> OfWeights:
    """Returns (1/n) sum_k (mean error of the k most certain), expected over the order of ties.

    Inside a tied group the expected sum of errors grows evenly, so that the sum over its
    positions k = b+1, ..., a of (E_b + (k - b) e) / k has a closed form in harmonic numbers.
    Written by the group in which an error sits instead of by k, only groups that hold an
    error count, and float weights need no positions at all.
    """
    groups = group_ties(uncertainty)
    holds_error = np.add.reduceat(np.abs(error)[groups.order], groups.starts) > 0

    def area(weights: FloatArray) -> FloatArray:
        # The excess area needs the same once more; the error is kept for its place in memory.
        name = f"area {id(error)}"
        return groups.remembered(weights, name, lambda: (error, computed(weights)))[1]

    def computed(weights: FloatArray) -> FloatArray:
        (sizes, after), (errors, _) = _both(groups, weights, error)
        total = after[:, -1:]
        sizes, after, errors = sizes[:, holds_error], after[:, holds_error], errors[:, holds_error]
        before = np.maximum(after - sizes, 0.0)
        harmonic = digamma(after + 1.0)
        later = errors * (digamma(total + 1.0) - harmonic)
        rate = divide(errors, sizes, 0.0)
        inside = errors - rate * before * (harmonic - digamma(before + 1.0))
        return np.asarray((later + inside).sum(axis=1) / total[:, 0])

    return in_row_blocks(area)


def excess_area_under_risk_coverage_statistic(uncertainty: Scores, error: FloatArray) -> OfWeights:
    """Returns the area minus that of the best order, in which the error is its own score."""
    area = area_under_risk_coverage_statistic(uncertainty, error)
    best = area_under_risk_coverage_statistic(error, error)

    def excess(weights: NDArray[Any]) -> FloatArray:
        # Rounding alone can put the best order a few ulp above an equally good one.
        return np.maximum(area(weights) - best(weights), 0.0)

    return excess


def area_under_generalized_risk_coverage_statistic(
    uncertainty: Scores, error: FloatArray
) -> OfWeights:
    """Returns the trapezoidal area under (share accepted, sum of accepted errors / n)."""
    groups = group_ties(uncertainty)

    def area(weights: FloatArray) -> FloatArray:
        (sizes, reached), (errors, made) = _both(groups, weights, error)
        accepted = made - 0.5 * errors
        return np.asarray((accepted * sizes).sum(axis=1) / reached[:, -1] ** 2)

    return in_row_blocks(area)


def coverage_at_risk_statistic(uncertainty: Scores, error: FloatArray, *, risk: float) -> OfWeights:
    """Returns the largest share that a threshold accepts at a mean error of at most `risk`."""
    groups = group_ties(uncertainty)

    def coverage(weights: FloatArray) -> FloatArray:
        (_, accepted), (_, errors) = _both(groups, weights, error)
        limit = risk * accepted
        allowed = errors <= limit + RELATIVE_TOLERANCE * np.maximum(np.abs(errors), np.abs(limit))
        return np.asarray(np.where(allowed, accepted, 0.0).max(axis=1) / accepted[:, -1])

    return in_row_blocks(coverage)


def risk_at_coverage_statistic(
    uncertainty: Scores, error: FloatArray, *, coverage: float
) -> OfWeights:
    """Returns the mean error at the smallest threshold that accepts a share of `coverage`."""
    groups = group_ties(uncertainty)

    def risk(weights: FloatArray) -> FloatArray:
        (_, accepted), (_, errors) = _both(groups, weights, error)
        needed = (coverage - RELATIVE_TOLERANCE) * accepted[:, -1:]
        first = np.argmax(accepted >= needed, axis=1)
        rows = np.arange(weights.shape[0])
        return np.asarray(errors[rows, first] / accepted[rows, first])

    return in_row_blocks(risk)
