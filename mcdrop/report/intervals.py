"""Intervals of shares and of areas under the ROC curve, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

Array = NDArray[Any]


@dataclass(frozen=True)
class Interval:
    """A value with both ends of its interval, all NaN when it is not defined."""

    value: float
    low: float
    high: float


UNDEFINED = Interval(float("nan"), float("nan"), float("nan"))
"""The interval of a value that is not defined, as the accuracy of an empty class."""


def binomial_interval(
    successes: int, count: int, level: float, *, design_effect: float = 1.0
) -> Interval:
    """Returns a share with its Wilson interval; NaN when there is nothing to count.

    `design_effect` is how many of the counted answers weigh as much as one independent one.

    References:
        Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Example:
        >>> interval = binomial_interval(9, 10, 0.95)
        >>> interval.value, round(interval.low, 4), round(interval.high, 4)
        (0.9, 0.5958, 0.9821)
    """
    if count == 0:
        return UNDEFINED
    effective = np.array([successes, count]) / design_effect
    low, high = wilson(effective[:1], effective[1:], level)
    return Interval(successes / count, float(low[0]), float(high[0]))


def wilson(successes: Array, counts: Array, level: float) -> tuple[Array, Array]:
    """Returns both ends of the Wilson intervals of shares, elementwise; counts are positive."""
    z = normal_quantile(level)
    share = successes / counts
    shrink = 1.0 + z**2 / counts
    center = (share + z**2 / (2.0 * counts)) / shrink
    half = z * np.sqrt(share * (1.0 - share) / counts + z**2 / (4.0 * counts**2)) / shrink
    low = np.where(successes == 0, 0.0, center - half)
    high = np.where(successes == counts, 1.0, center + half)
    return low, high


def auroc_interval(
    low_scores: Array, high_scores: Array, level: float, *, design_effect: float = 1.0
) -> Interval:
    """Returns the chance that a high score exceeds a low one, with DeLong's interval.

    The interval is taken on the logit scale, so that it stays within [0, 1]. When the two
    kinds do not overlap the variance is estimated as 0; the end is then that of n separate
    pairs without one miss, n the size of the smaller kind.

    References:
        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3), 837-845.

    Example:
        >>> auroc_interval(np.array([0.1, 0.4]), np.array([0.3, 0.9]), 0.95).value
        0.75
    """
    few, many = low_scores.size, high_scores.size
    if few == 0 or many == 0:
        return UNDEFINED
    ranks = rankdata(np.concatenate([low_scores, high_scores]))
    above = (ranks[few:] - rankdata(high_scores)) / few
    below = 1.0 - (ranks[:few] - rankdata(low_scores)) / many
    area = float(above.mean())
    if area in (0.0, 1.0) or min(few, many) < 2:
        pairs = min(few, many)
        return binomial_interval(round(area * pairs), pairs, level, design_effect=design_effect)
    error = np.sqrt((above.var(ddof=1) / many + below.var(ddof=1) / few) * design_effect)
    spread = normal_quantile(level) * float(error) / (area * (1.0 - area))
    center = np.log(area / (1.0 - area))
    low, high = 1.0 / (1.0 + np.exp(-(center + spread * np.array([-1.0, 1.0]))))
    return Interval(area, float(low), float(high))


def mean_interval(
    values: Array, level: float, *, design_effect: float = 1.0, most: float = np.inf
) -> Interval:
    """Returns a mean with its normal interval, cut at `most`; no ends for fewer than two values.

    Example:
        >>> found = mean_interval(np.array([1.0, 2.0, 3.0]), 0.95)
        >>> found.value, round(found.high, 4)
        (2.0, 3.1316)
    """
    if values.size == 0:
        return UNDEFINED
    mean = float(values.mean())
    if values.size < 2:
        return Interval(mean, float("nan"), float("nan"))
    error = float(values.std(ddof=1)) * np.sqrt(design_effect / values.size)
    half = normal_quantile(level) * float(error)
    return Interval(mean, mean - half, min(mean + half, most))


def ratio_interval(parts: Array, wholes: Array, level: float) -> Interval:
    """Returns the ratio of two sums over examples with its linearised interval, within [0, 1].

    References:
        Cochran (1977), Sampling Techniques, section 2.11.

    Example:
        >>> ratio_interval(np.array([1.0, 3.0]), np.array([2.0, 6.0]), 0.95)
        Interval(value=0.5, low=0.5, high=0.5)
    """
    whole = float(wholes.sum())
    if whole == 0:
        return UNDEFINED
    ratio = float(parts.sum()) / whole
    if parts.size < 2:
        return Interval(ratio, float("nan"), float("nan"))
    spread = float(np.square(parts - ratio * wholes).sum()) * parts.size / (parts.size - 1)
    half = normal_quantile(level) * float(np.sqrt(spread)) / whole
    return Interval(ratio, max(ratio - half, 0.0), min(ratio + half, 1.0))


def rank_correlation_interval(first: Array, second: Array, level: float) -> Interval:
    """Returns Spearman's rank correlation with Fisher's interval; NaN where one is constant.

    References:
        Fieller, Hartley & Pearson (1957), doi:10.1093/biomet/44.3-4.470: the transformed
        correlation has a variance of about 1.06 / (n - 3).

    Example:
        >>> x = np.arange(10.0)
        >>> round(rank_correlation_interval(x, x**2, 0.95).value, 6)
        1.0
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return UNDEFINED
    value = float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
    if first.size < 5:
        return Interval(value, -1.0, 1.0)
    half = normal_quantile(level) * np.sqrt(1.06 / (first.size - 3))
    center = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    low, high = np.tanh(center + half * np.array([-1.0, 1.0]))
    return Interval(value, float(low), float(high))


def normal_quantile(level: float) -> float:
    """Returns the half width of a central normal interval in standard deviations."""
    return float(ndtri((1.0 + level) / 2.0))
