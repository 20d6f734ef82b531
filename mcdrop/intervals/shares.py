"""Intervals of shares of independent examples, and of their differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    low, high = share_limits(np.array([successes]), np.array([count]), level)
    return Interval(float(low[0]), float(high[0]))


def share_limits(successes: Array, counts: Array, level: float) -> tuple[Array, Array]:
    """Returns the exact limits of many shares; those of a count of 0 are 0 and 1.

    Args:
        successes: Shape (K,), whole or in between.
        counts: Shape (K,).
        level: Confidence level, within (0, 1).
    """
    failures = counts - successes
    low = special.betaincinv(np.where(successes > 0, successes, 1), failures + 1, tail(level))
    high = special.betaincinv(successes + 1, np.where(failures > 0, failures, 1), 1 - tail(level))
    return np.where(successes > 0, low, 0.0), np.where(failures > 0, high, 1.0)


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


@dataclass(frozen=True, eq=False)
class ClassShares:
    """One share of each class of independent examples, or a rising function of it.

    Attributes:
        successes: Shape (K,).
        counts: Of how many, shape (K,); a share of none counts as 0.
        weights: What each counts in the mean, shape (K,), adding up to 1.
        transform: The function, from shares to values.
    """

    successes: Array
    counts: Array
    weights: Array
    transform: Callable[[Array], Array] = lambda share: share

    def reaches(self, level: float) -> tuple[Array, Array, Array]:
        """Returns weighted values, and how far their limits lie below and above, (K,) each."""
        value = self.transform(self.successes / np.maximum(self.counts, 1))
        low, high = map(self.transform, share_limits(self.successes, self.counts, level))
        return self.weights * value, self.weights * (value - low), self.weights * (high - value)


def mean_share(shares: ClassShares, level: float = 0.95) -> Interval:
    """Returns the interval of the mean over classes of a share, as the macro recall.

    The distances to the exact limits of each class are added as standard errors of independent
    values are: what is seen of one class says nothing of another. A class of which no
    share is known, as the precision of one that is never predicted, may have any.

    Args:
        shares: The share of each of K classes.
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [0, 1].

    References:
        Zou & Donner (2008), doi:10.1002/sim.3095.

    Example:
        >>> successes, counts = np.array([90.0, 1.0]), np.array([100.0, 2.0])
        >>> found = mean_share(ClassShares(successes, counts, np.full(2, 0.5)))
        >>> round(found.low, 3), round(found.high, 3)
        (0.453, 0.945)
    """
    values, below, above = shares.reaches(level)
    mean, is_known = float(values.sum()), shares.counts > 0
    low, high = mean - _added(below, is_known), mean + _added(above, is_known)
    return Interval(low, high).within(SHARE)


def _added(reaches: Array, is_known: Flags) -> float:
    """Returns the distances of all classes together; unknown shares are off all one way."""
    return float(np.linalg.norm(reaches[is_known]) + reaches[~is_known].sum())


SHRINKAGE = 2.0
"""Examples as many as which halve the correlation of two shares."""


def mean_share_difference(
    first: ClassShares, second: ClassShares, products: Array, level: float = 0.95
) -> Interval:
    """Returns the interval of the difference of two such means of the same examples.

    That of each class is recovered from both exact intervals with the correlation of the two
    shares; of a handful of examples, which may agree by chance, with less.

    Args:
        first: The shares of K classes under one forecast.
        second: The same under the other.
        products: Sum over the examples of each class of the product of both residuals, shape
            (K,): of (success - share) where the example counts, else of 0.
        level: Confidence level, within (0, 1).

    Returns:
        The interval of first minus second, within [-1, 1].

    References:
        Zou & Donner (2008), doi:10.1002/sim.3095. Zou (2007), doi:10.1037/1082-989X.12.4.399,
        for correlated estimates.

    Example:
        >>> side = ClassShares(np.array([54.0, 30.0]), np.array([60.0, 40.0]), np.full(2, 0.5))
        >>> found = mean_share_difference(side, side, np.array([5.4, 7.5]))
        >>> round(found.low, 3), round(found.high, 3)
        (-0.038, 0.038)
    """
    squares = [
        side.successes * (1.0 - side.successes / np.maximum(side.counts, 1))
        for side in (first, second)
    ]
    norms = np.sqrt(squares[0] * squares[1])
    correlation = np.where(norms > 0, products, 0.0) / np.where(norms > 0, norms, 1.0)
    fewest = np.minimum(first.counts, second.counts)
    correlation *= fewest / (fewest + SHRINKAGE)
    (a, below_a, above_a), (b, below_b, above_b) = first.reaches(level), second.reaches(level)
    gap = float((a - b).sum())

    def reach(left: Array, right: Array) -> float:
        terms = left**2 + right**2 - 2.0 * correlation * left * right
        return _added(np.sqrt(np.maximum(terms, 0.0)), fewest > 0)

    return Interval(gap - reach(below_a, above_b), gap + reach(above_a, below_b)).within(DIFFERENCE)
