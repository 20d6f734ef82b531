"""Interval of a rank correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcdrop.intervals.interval import Interval, absent, normal_quantile, too_few

Array = NDArray[np.float64]

MINIMUM_PAIRS = 10
"""Pairs below which a rank correlation carries no interval."""


def rank_correlation(correlation: float, count: int, level: float = 0.95) -> Interval:
    """Returns the interval of Spearman's rank correlation, by Fisher's transformation.

    tanh(artanh r ± z sqrt(1.06 / (n - 3))); at r = ±1 r is drawn in by half a pair, so that the
    interval keeps a width.

    Args:
        correlation: r, within [-1, 1]; NaN where one side is constant.
        count: Number of pairs n.
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [-1, 1]; none below 10 pairs or for a constant.

    References:
        Fieller, Hartley & Pearson (1957), doi:10.1093/biomet/44.3-4.470.

    Example:
        >>> found = rank_correlation(0.5, 103)
        >>> round(found.low, 3), round(found.high, 3)
        (0.334, 0.636)
    """
    if np.isnan(correlation):
        return absent("one side is constant")
    few = too_few([count], MINIMUM_PAIRS, "pairs")
    if few is not None:
        return few
    reach = 1.0 - 1.0 / (2.0 * count)
    half = normal_quantile(level) * np.sqrt(1.06 / (count - 3))
    center = np.arctanh(np.clip(correlation, -reach, reach))
    low, high = np.tanh([center - half, center + half])
    return Interval(min(float(low), correlation), max(float(high), correlation))
