"""Values with their intervals, of units that may come several to an example."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.evaluation.records import Estimate
from mcdrop.intervals import Interval

Array = NDArray[Any]

UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"), reason="nothing to count")


def estimate(value: float, interval: Interval) -> Estimate:
    """Returns a value with its interval, which is made to hold the value against rounding."""
    low, high = min(interval.low, value), max(interval.high, value)
    if not interval.defined:
        low = high = float("nan")
    return Estimate(value, low, high, reason=interval.reason)


def share(flags: Array, example: Array | None = None, level: float = 0.95) -> Estimate:
    """Returns the share of units that succeed.

    Args:
        flags: 0 or 1, shape (M,).
        example: Example of each unit, shape (M,); None where each is its own.
        level: Confidence level.
    """
    if not flags.size:
        return UNDEFINED
    if example is None:
        successes = round(float(flags.sum()))
        return estimate(successes / flags.size, intervals.share(successes, flags.size, level))
    return mean(flags, example, level, bounds=(0.0, 1.0))


def mean(
    values: Array, example: Array | None, level: float, *, bounds: tuple[float, float]
) -> Estimate:
    """Returns the mean of values that lie within bounds, one a unit."""
    if not values.size:
        return UNDEFINED
    sums, sizes = by_example(values, example)
    return estimate(
        float(values.mean()), intervals.cluster_share(sums, sizes, level, bounds=bounds)
    )


def by_example(values: Array, example: Array | None) -> tuple[Array, Array]:
    """Returns the sum over the units of each example that has some, and their numbers."""
    if example is None:
        return np.asarray(values, dtype=np.float64), np.ones(values.size)
    _, place = np.unique(example, return_inverse=True)
    return np.bincount(place, values), np.bincount(place).astype(np.float64)
