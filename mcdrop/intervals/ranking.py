"""Intervals of areas under curves over a ranking: ROC and precision-recall.

Positives are what the score should find: errors, or examples from elsewhere. Ties count half
throughout (mid-ranks), so that the order of the rows never matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from mcdrop.intervals.interval import (
    Interval,
    absent,
    central,
    hull,
    normal_quantile,
    tail,
    too_few,
)
from mcdrop.intervals.resampled import pseudo, reflected
from mcdrop.intervals.shares import share_limits

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHARE = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)

MINIMUM_AREA = 2
"""Positives, and negatives, below which an area under the ROC curve carries no interval."""

MINIMUM_PRECISION = 3
"""Positives below which an average precision carries no interval."""

MINIMUM_DIFFERENCE = 7
"""Positives of both sides below which a difference of such areas carries no interval."""


def auroc(score: Array, positive: Flags, level: float = 0.95) -> Interval:
    """Returns the interval of the area under the ROC curve.

    The hull of two: Newcombe's method 5, which solves for the areas whose variance, by Hanley
    and McNeil's formula with equal group sizes, would just allow the one seen, and so has the
    right shape for few positives; and DeLong's on the logit, which is right where some
    positives are easy and some hopeless.

    Args:
        score: Higher should mean positive, shape (n,).
        positive: Shape (n,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [0, 1]; none with fewer than 2 positives or 2 negatives.

    References:
        Newcombe (2006), doi:10.1002/sim.2324. DeLong, DeLong & Clarke-Pearson (1988),
        doi:10.2307/2531595.

    Example:
        >>> found = auroc(np.arange(6.0), np.arange(6) > 3)
        >>> round(found.low, 3), round(found.high, 3)
        (0.472, 1.0)
    """
    counts = [int(positive.sum()), int((~positive).sum())]
    few = too_few(counts, MINIMUM_AREA, "positives and negatives")
    if few is not None:
        return few
    above, below = placements(score, positive)
    area = float(above.mean())
    return hull(_newcombe(area, above.size, below.size, level), _delong(above, below, level))


def placements(score: Array, positive: Flags) -> tuple[Array, Array]:
    """Returns the share of negatives below each positive, and of positives above each negative.

    Example:
        >>> above, below = placements(np.array([1.0, 2.0, 2.0]), np.array([False, False, True]))
        >>> above.tolist(), below.tolist()
        ([0.75], [1.0, 0.5])
    """
    lower, higher = score[~positive], score[positive]
    ranks = stats.rankdata(np.concatenate([lower, higher]))
    above = (ranks[lower.size :] - stats.rankdata(higher)) / lower.size
    below = 1.0 - (ranks[: lower.size] - stats.rankdata(lower)) / higher.size
    return above, below


def _newcombe(area: float, num_positives: int, num_negatives: int, level: float) -> Interval:
    """Returns Newcombe's method 5 for the area and the numbers of both kinds."""
    star = (num_positives + num_negatives) / 2.0 - 1.0
    quantile = normal_quantile(level)

    def reach(truth: float) -> float:
        shape = 1.0 + star * (1.0 - truth) / (2.0 - truth) + star * truth / (1.0 + truth)
        variance = truth * (1.0 - truth) * shape / (num_positives * num_negatives)
        return float((area - truth) ** 2 - quantile**2 * variance)

    # With an area of 1 the equation has a second root at 1 itself: stay off both ends.
    tiny, near = 1e-12, min(max(area, 1e-9), 1.0 - 1e-9)
    low = optimize.brentq(reach, tiny, near) if reach(tiny) > 0 > reach(near) else 0.0
    high = optimize.brentq(reach, near, 1.0 - tiny) if reach(1.0 - tiny) > 0 > reach(near) else 1.0
    return Interval(float(low), float(high))


def _delong(above: Array, below: Array, level: float) -> Interval:
    """Returns DeLong's interval on the logit scale; none for an area of 0 or 1."""
    area = float(above.mean())
    if not 0.0 < area < 1.0:
        return absent("an area at the end of its range")
    error = np.sqrt(above.var(ddof=1) / above.size + below.var(ddof=1) / below.size)
    half = normal_quantile(level) * float(error) / (area * (1.0 - area))
    low, high = special.expit(special.logit(area) + half * np.array([-1.0, 1.0]))
    return Interval(float(low), float(high))


@dataclass(frozen=True, eq=False)
class Detection:
    """One side of a difference of areas under the ROC curve.

    Attributes:
        replicates: The area on resamples, shape (R,).
        positive_weight: Weight of the positives in each, shape (R,), in examples' units.
        as_positive: For each example the share of negatives below it, shape (n,): the area
            that it would add were it a positive.
        num_positives: Number of positives.
    """

    replicates: Array
    positive_weight: Array
    as_positive: Array
    num_positives: int


def as_positive(score: Array, positive: Flags) -> Array:
    """Returns for each example the share of negatives that its score exceeds, ties half.

    Example:
        >>> as_positive(np.array([1.0, 2.0, 2.0]), np.array([False, False, True])).tolist()
        [0.25, 0.75, 0.75]
    """
    negative = np.sort(score[~positive])
    below = np.searchsorted(negative, score) + np.searchsorted(negative, score, "right")
    return np.asarray(below / (2.0 * max(negative.size, 1)), dtype=np.float64)


def auroc_difference(
    first: Detection, second: Detection, atom_weight: Array, level: float = 0.95
) -> Interval:
    """Returns the interval of the difference of two areas over the same examples.

    The replicates with one more positive of the weight of half an example: at the low end the
    example which, were it a positive under both, would lower the difference most, at the high
    end the one that would raise it most.

    Args:
        first: Replicates of the first area.
        second: Replicates of the second on the same weights.
        atom_weight: Gamma(1/2) weights, scaled as the replicates' weights, shape (R,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval of first minus second, within [-1, 1]; none below 7 positives.

    Example:
        >>> side = Detection(np.full(9, 0.8), np.full(9, 10.0), np.array([0.1, 0.9]), 10)
        >>> auroc_difference(side, side, np.full(9, 0.5))
        Interval(low=0.0, high=0.0, reason='')
    """
    counts = [first.num_positives, second.num_positives]
    few = too_few(counts, MINIMUM_DIFFERENCE, "positives")
    if few is not None:
        return few
    gap = first.as_positive - second.as_positive

    def replicates(example: int) -> Array:
        sides = (
            (side.replicates * side.positive_weight + atom_weight * side.as_positive[example])
            / (side.positive_weight + atom_weight)
            for side in (first, second)
        )
        return np.asarray(next(sides) - next(sides))

    low = float(np.nanquantile(replicates(int(gap.argmin())), tail(level)))
    high = float(np.nanquantile(replicates(int(gap.argmax())), 1.0 - tail(level)))
    return Interval(low, high).within(DIFFERENCE)


def average_precision(
    value: float, num_positives: int, wrong: Array, right: Array, level: float = 0.95
) -> Interval:
    """Returns the interval of an average precision.

    The hull of the exact limits of a share, of the pseudo interval, and of the reflection of the
    rightly labelled replicates downward. The average precision is taken for a share of the
    positives, as by Boyd, Eng and Page, whose limits on the logit scale, though, reach to 0 where
    all positives come first, and are the shorter the more of them do not.

    Args:
        value: The average precision.
        num_positives: Number of positives.
        wrong: Its values with wrongly labelled pseudo-examples, shape (R,).
        right: Its values with rightly labelled ones, shape (R,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval, within [0, 1]; none below 3 positives.

    References:
        Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404. Boyd, Eng & Page (2013),
        doi:10.1007/978-3-642-40994-3_29.

    Example:
        >>> average_precision(1.0, 2, np.ones(9), np.ones(9)).reason
        'fewer than 3 positives (2)'
    """
    few = too_few([num_positives], MINIMUM_PRECISION, "positives")
    if few is not None:
        return few
    found = np.array([value * num_positives])
    low, high = share_limits(found, np.array([num_positives]), level)
    mirrored = 2.0 * value - central(right, level).high
    parts = (
        Interval(float(low[0]), float(high[0])),
        pseudo(wrong, right, level),
        Interval(min(mirrored, value), value),
    )
    return hull(*parts).within(SHARE)


def average_precision_difference(
    difference: float, replicates: Array, num_positives: int, level: float = 0.95
) -> Interval:
    """Returns the interval of a difference of two average precisions of the same examples.

    Args:
        difference: First minus second.
        replicates: The same on resamples, shape (R,).
        num_positives: The smaller number of positives of the two.
        level: Confidence level, within (0, 1).

    Returns:
        The central interval and its reflection, within [-1, 1]; none below 7 positives.

    Example:
        >>> average_precision_difference(0.1, np.linspace(-0.1, 0.2, 101), 9).reason
        ''
    """
    few = too_few([num_positives], MINIMUM_DIFFERENCE, "positives")
    return reflected(difference, replicates, level, bounds=DIFFERENCE) if few is None else few
