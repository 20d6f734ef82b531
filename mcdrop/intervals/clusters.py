"""Intervals of shares of units that come in clusters: pixels of images, labels of examples.

Clusters are independent, their units are not: a cluster is weighed whole. Clopper and Pearson
on the units would be several times too short.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcdrop.intervals.interval import Bounds, Interval, absent, too_few
from mcdrop.intervals.means import ABSOLUTE, factor_of, mean_with_atoms

Array = NDArray[np.float64]

MINIMUM_CLUSTERS = 2
"""Clusters below which a share of units carries no interval."""


def cluster_share(
    parts: Array, sizes: Array, level: float = 0.95, *, bounds: Bounds = (0.0, 1.0)
) -> Interval:
    """Returns the interval of a share, or bounded mean, of the units of all clusters.

    The Bayesian bootstrap of sum(parts) / sum(sizes) with one more cluster, all of whose
    units are at the lower or at the upper bound. For clusters of one unit these are
    the limits of Clopper and Pearson.

    Args:
        parts: Sum over the units of each cluster, shape (n,).
        sizes: Units of each cluster that count, shape (n,).
        level: Confidence level, within (0, 1).
        bounds: Least and greatest value of a unit.

    Returns:
        The interval, within `bounds`; none below 2 clusters with units.

    References:
        Gaffke (2005), Mathematical Methods of Statistics 14(4), 451-467.

    Example:
        >>> found = cluster_share(np.array([90.0, 60.0, 99.0]), np.full(3, 100.0))
        >>> round(found.low, 2), round(found.high, 2)
        (0.23, 0.98)
    """
    counted = sizes > 0
    few = too_few([int(counted.sum())], MINIMUM_CLUSTERS, "clusters")
    if few is not None:
        return few
    return mean_with_atoms(parts[counted], *bounds, level, sizes=sizes[counted]).within(bounds)


def cluster_share_difference(
    first: Array, second: Array, sizes: Array, level: float = 0.95
) -> Interval:
    """Returns the interval of the difference of two shares of the same units in clusters.

    The Bayesian bootstrap of sum(first - second) / sum(sizes), with one more cluster on either
    side of the median, farther off by a factor (`ABSOLUTE`) than the farthest cluster seen, and
    at least one unit from no difference: where one image in ten differs, those seen may all
    differ one way.

    Args:
        first: Sum over the units of each cluster, shape (n,).
        second: The same of the other forecast, shape (n,).
        sizes: Units of each cluster, shape (n,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval of first minus second, within [-1, 1]; none below 2 clusters.

    Example:
        >>> found = cluster_share_difference(np.arange(9.0), np.ones(9), np.full(9, 10.0))
        >>> round(found.low, 2), round(found.high, 2)
        (-0.12, 0.57)
    """
    counted = sizes > 0
    few = too_few([int(counted.sum())], MINIMUM_CLUSTERS, "clusters")
    if few is not None:
        return few
    gaps, sizes = (first - second)[counted], sizes[counted]
    if not sizes.size:
        return absent("nothing to count")
    shares = gaps / sizes
    unit = 1.0 / float(sizes.mean())
    middle, reach = float(np.median(shares)), factor_of(ABSOLUTE, shares.size)
    reach *= float(np.abs(shares - middle).max())
    low, high = max(min(middle - reach, -unit), -1.0), min(max(middle + reach, unit), 1.0)
    return mean_with_atoms(gaps, low, high, level, sizes=sizes)
