"""Intervals of shares of independent examples, and of their differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mcdrop.intervals.interval import Interval, absent, normal_quantile, tail

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHARE = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)


def share(successes: int, count: int, level: float = 0.95) -> Interval:
    """Returns the exact interval of a share, as the accuracy, a recall or a precision.

    The limits are the shares that would show at least, or at most, as many successes with
    probability (1 - level) / 2. They hold for every true share and every count.

    Args:
        successes: k, within [0, count].
        count: n; 0 leaves the interval out.
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [0, 1].

    References:
        Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.

    Example:
        >>> found = share(199, 200)
        >>> round(found.low, 5), round(found.high, 5)
        (0.97246, 0.99987)
    """
    if count == 0:
        return absent("nothing to count")
    failures = count - successes
    low = special.betaincinv(successes, failures + 1, tail(level)) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 1 - tail(level)) if failures else 1.0
    return Interval(float(low), float(high))


def paired_share_difference(
    only_first: int, only_second: int, count: int, level: float = 0.95
) -> Interval:
    """Returns the interval of the difference of two shares of the same examples.

    With b and c the examples on which only the first and only the second succeeds:
    (b - c) / n ± z sqrt(b + c + 2 - (b - c)² / (n + 8)) / n, the Wald interval with one more
    pair of each kind in its variance. Agresti and Min add half a pair to each of the four
    cells, so one in all to b + c, which covers .88 where few pairs differ. With two, exact
    enumeration finds at least .935 at 95% for n from 3 on; without the 8, which matters
    where nearly all pairs differ one way, .75.

    Args:
        only_first: b.
        only_second: c.
        count: n; 0 leaves the interval out.
        level: Confidence level, within (0, 1).

    Returns:
        The interval of first minus second, within [-1, 1].

    References:
        Agresti & Min (2005), doi:10.1002/sim.1781.

    Example:
        >>> found = paired_share_difference(3, 1, 100)
        >>> round(found.low, 4), round(found.high, 4)
        (-0.0279, 0.0679)
    """
    if count == 0:
        return absent("nothing to count")
    gap = only_first - only_second
    spread = np.sqrt(only_first + only_second + 2 - gap**2 / (count + 8))
    half = normal_quantile(level) * float(spread)
    return Interval((gap - half) / count, (gap + half) / count).within(DIFFERENCE)


def recovered_difference(first: tuple[float, Interval], second: tuple[float, Interval]) -> Interval:
    """Returns the interval of a difference from the interval of either value.

    The method of variance estimates recovery: the distance from a value to the end of its
    interval stands for its standard error there. The two count as independent: of values of the
    same examples, which mostly rise and fall together, it is too long.

    Args:
        first: A value and its interval.
        second: The same of what is subtracted.

    References:
        Zou & Donner (2008), doi:10.1002/sim.3095.

    Example:
        >>> found = recovered_difference((0.5, Interval(0.2, 0.8)), (0.5, Interval(0.1, 0.9)))
        >>> round(found.low, 3), round(found.high, 3)
        (-0.5, 0.5)
    """
    (p, a), (q, b) = first, second

    low = p - q - float(np.hypot(p - a.low, b.high - q))
    return Interval(low, p - q + float(np.hypot(a.high - p, q - b.low)))
