"""Scores of predicted intervals [low, high]: coverage, width and the interval score.

Bounds and targets have shape (N,) or (N, ..., D). Several outputs are scored one by one and
averaged. For several levels, call once a level; `metrics.interval_calibration_curve` gives the
coverage at all levels at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mcdrop._checks import as_matched, check_number
from mcdrop.errors import DataError
from mcdrop.metrics._examples import FloatArray
from mcdrop.weighted.arrays import mean_per_example


def _as_interval(**arrays: ArrayLike) -> tuple[FloatArray, ...]:
    """Returns low, high and what follows as arrays of one shape, with low <= high."""
    matched = as_matched(**arrays)
    crossed = matched[0] > matched[1]
    if crossed.any():
        index = tuple(int(i) for i in np.argwhere(crossed)[0])
        raise DataError(
            f"`low` is above `high` for {np.count_nonzero(crossed)} value(s), the first at index "
            f"{index}, expected low <= high. Check the order of the bounds."
        )
    return matched


def interval_coverage_per_example(low: ArrayLike, high: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns the fraction of each example's outputs with low <= y <= high; both ends count.

    Args:
        low: Lower bounds, shape (N,) or (N, ..., D).
        high: Upper bounds, the same shape.
        y: Targets, the same shape.

    Returns:
        Fractions in [0, 1], shape (N,).

    Raises:
        DataError: The shapes differ, a value is not finite, or low > high.

    Example:
        >>> interval_coverage_per_example([0.0, 0.0], [1.0, 1.0], [0.5, 2.0])
        array([1., 0.])
    """
    lower, upper, targets = _as_interval(low=low, high=high, y=y)
    return mean_per_example(((lower <= targets) & (targets <= upper)).astype(np.float64))


def interval_coverage(low: ArrayLike, high: ArrayLike, y: ArrayLike) -> float:
    """Returns the fraction of targets inside their interval (PICP); both ends count as inside.

    Unit: none. Range: [0, 1]; best when equal to the level of the intervals.

    Args:
        low: Lower bounds, shape (N,) or (N, ..., D).
        high: Upper bounds, the same shape.
        y: Targets, the same shape.

    Returns:
        One number; over examples and outputs.

    Raises:
        DataError: The shapes differ, a value is not finite, or low > high.

    References:
        Khosravi et al. (2011), doi:10.1109/TNN.2010.2096824.

    Example:
        >>> interval_coverage([0.0, 0.0], [1.0, 1.0], [1.0, 2.0])
        0.5
    """
    return float(interval_coverage_per_example(low, high, y).mean())


def interval_width_per_example(low: ArrayLike, high: ArrayLike) -> FloatArray:
    """Returns the width high - low of each example, averaged over its outputs.

    Args:
        low: Lower bounds, shape (N,) or (N, ..., D).
        high: Upper bounds, the same shape.

    Returns:
        Widths in the unit of the target, shape (N,).

    Raises:
        DataError: The shapes differ, a value is not finite, or low > high.

    Example:
        >>> interval_width_per_example([0.0, 0.0], [1.0, 3.0])
        array([1., 3.])
    """
    lower, upper = _as_interval(low=low, high=high)
    return mean_per_example(upper - lower)


def interval_width(low: ArrayLike, high: ArrayLike) -> float:
    """Returns the mean width of the intervals, mean(high - low) (MPIW).

    Unit: that of the target. Range: [0, inf); lower is better at equal coverage.

    Args:
        low: Lower bounds, shape (N,) or (N, ..., D).
        high: Upper bounds, the same shape.

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: The shapes differ, a value is not finite, or low > high.

    References:
        Khosravi et al. (2011), doi:10.1109/TNN.2010.2096824.

    Example:
        >>> interval_width([0.0, 0.0], [1.0, 3.0])
        2.0
    """
    return float(interval_width_per_example(low, high).mean())


def interval_score_per_example(
    low: ArrayLike, high: ArrayLike, y: ArrayLike, *, level: float
) -> FloatArray:
    """Returns the interval score of each example, averaged over its outputs.

    The terms whose mean `interval_score` is; see there.

    Args:
        low: Lower bounds, shape (N,) or (N, ..., D).
        high: Upper bounds, the same shape.
        y: Targets, the same shape.
        level: Nominal coverage of the intervals, within (0, 1).

    Returns:
        Scores in the unit of y, shape (N,); lower is better.

    Raises:
        DataError: The shapes differ, low > high, or the level is outside (0, 1).

    Example:
        >>> interval_score_per_example([0.0, 0.0], [1.0, 1.0], [0.5, 2.0], level=0.5)
        array([1., 5.])
    """
    lower, upper, targets = _as_interval(low=low, high=high, y=y)
    tail = 1 - check_number("level", level, low=0, high=1, open_ends=True)
    missed = np.maximum(lower - targets, 0) + np.maximum(targets - upper, 0)
    return mean_per_example(upper - lower + 2 / tail * missed)


def interval_score(low: ArrayLike, high: ArrayLike, y: ArrayLike, *, level: float) -> float:
    """Returns the mean interval (Winkler) score: the width, plus a fine for each miss.

    high - low + (2 / (1 - level)) (max(low - y, 0) + max(y - high, 0)). Proper: the central
    interval of the true distribution has the lowest expected score. Unit: that of y. Range:
    [0, inf); lower is better.

    Args:
        low: Lower bounds, shape (N,) or (N, ..., D).
        high: Upper bounds, the same shape.
        y: Targets, the same shape.
        level: Nominal coverage of the intervals, within (0, 1).

    Returns:
        One number; the mean is over examples and outputs.

    Raises:
        DataError: The shapes differ, low > high, or the level is outside (0, 1).

    References:
        Gneiting and Raftery (2007), doi:10.1198/016214506000001437, equation 43.

    Example:
        >>> interval_score([0.0, 0.0], [1.0, 1.0], [0.5, 2.0], level=0.5)
        3.0
    """
    return float(interval_score_per_example(low, high, y, level=level).mean())
