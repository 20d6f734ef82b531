"""Intervals of scores at a threshold on a ranking, from exact limits of shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from mcdrop.intervals.interval import Bounds, Interval, absent, tail
from mcdrop.intervals.shares import paired_share_difference, share

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def false_positive_rate(
    negatives: Array, positives: Array, true_positive_rate: float = 0.95, level: float = 0.95
) -> Interval:
    """Returns the interval of the false positive rate at a true positive rate.

    The threshold lies, with the level, between two order statistics of the positives' scores;
    the rate at each is a share of the negatives with its exact limits. With few positives the
    lower order statistic is beyond the least, and the high end is 1: below 72 positives at a
    rate of 95% and a level of 95%.

    Args:
        negatives: Scores of the negatives, shape (n,).
        positives: Scores of the positives, higher than the negatives' if all is well, (m,).
        true_positive_rate: Share of positives that are found, within (0, 1).
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [0, 1].

    References:
        David & Nagaraja (2003), Order Statistics, section 7.1. Clopper & Pearson (1934),
        doi:10.1093/biomet/26.4.404.

    Example:
        >>> scores = np.arange(100.0)
        >>> found = false_positive_rate(scores, scores + 80.0)
        >>> round(found.low, 3), round(found.high, 3)
        (0.049, 0.292)
    """
    if not negatives.size or not positives.size:
        return absent("nothing to count")
    ordered = np.sort(positives)
    missed = 1.0 - true_positive_rate
    below = int(stats.binom.ppf(tail(level), positives.size, missed))
    above = int(stats.binom.ppf(1.0 - tail(level), positives.size, missed)) + 1
    lowest = ordered[below - 1] if below >= 1 else -np.inf
    highest = ordered[above - 1] if above <= positives.size else np.inf
    low = share(int((negatives >= highest).sum()), negatives.size, level).low
    return Interval(low, share(int((negatives >= lowest).sum()), negatives.size, level).high)


def coverage_scan(uncertainty: Array, error: Flags, risk: float, level: float = 0.95) -> Interval:
    """Returns the coverages up to which exact limits of the risk allow, and do not rule out, it.

    The low end is the largest coverage whose upper limit of the risk is at most `risk`, the
    high end the largest whose lower limit is. Equal uncertainties are accepted together.

    Args:
        uncertainty: Higher is rejected first, shape (n,).
        error: Shape (n,).
        risk: Mean error that is allowed, within (0, 1).
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [0, 1].

    References:
        Geifman & El-Yaniv (2017), arXiv:1705.08500, whose bound is the low end.

    Example:
        >>> coverage_scan(np.arange(100.0), np.arange(100) > 79, 0.1)
        Interval(low=0.82, high=0.96, reason='')
    """
    if not error.size:
        return absent("no examples")
    order = np.argsort(uncertainty, kind="stable")
    ordered = uncertainty[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    errors = np.cumsum(error[order])[last]
    accepted = np.flatnonzero(last) + 1
    right = accepted - errors
    over = np.where(
        right > 0, special.betaincinv(errors + 1, np.maximum(right, 1), 1.0 - tail(level)), 1.0
    )
    under = np.where(
        errors > 0, special.betaincinv(np.maximum(errors, 1), right + 1, tail(level)), 0.0
    )
    low, high = (
        float(accepted[allowed].max(initial=0)) / error.size
        for allowed in (over <= risk, under <= risk)
    )
    return Interval(low, high)


def risk_difference(
    first: tuple[Flags, Flags],
    second: tuple[Flags, Flags],
    coverage: float,
    level: float = 0.95,
    *,
    bounds: Bounds = (-1.0, 1.0),
) -> Interval:
    """Returns the interval of the difference of two risks at one coverage.

    An example counts where only one of the two accepts it and errs: the paired difference of
    shares of all examples, divided by the coverage.

    Args:
        first: Which examples the first accepts and on which it errs, shape (n,) each.
        second: The same of the second.
        coverage: Share that both accept, within (0, 1].
        level: Confidence level, within (0, 1).
        bounds: Possible range of the difference.

    Returns:
        The interval of first minus second, within `bounds`.

    Example:
        >>> accepted, error = np.ones(100, bool), np.arange(100) < 3
        >>> found = risk_difference((accepted, error), (accepted, ~accepted), 1.0)
        >>> round(found.low, 4), round(found.high, 4)
        (-0.0135, 0.0735)
    """
    terms = (first[0] & first[1]).astype(int) - (second[0] & second[1])
    counts = int((terms > 0).sum()), int((terms < 0).sum())
    found = paired_share_difference(*counts, terms.size, level)
    if not found.defined:
        return found
    return Interval(found.low / coverage, found.high / coverage).within(bounds)
