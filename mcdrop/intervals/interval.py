"""An interval with both ends, or none with the reason why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, nan

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Bounds = tuple[float, float]

UNBOUNDED: Bounds = (-inf, inf)


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end; NaN where the data cannot carry an interval.
        high: Upper end; NaN likewise.
        reason: Why there is none, as "fewer than 2 positives (1)"; "" where there is one.

    Example:
        >>> Interval(0.1, 0.4)
        Interval(low=0.1, high=0.4, reason='')
    """

    low: float
    high: float
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether there are ends."""
        return not isnan(self.low)

    def within(self, bounds: Bounds) -> Interval:
        """Returns the interval cut at the ends of the possible range."""
        low, high = (min(max(end, bounds[0]), bounds[1]) for end in (self.low, self.high))
        return Interval(low, high) if self.defined else self


def absent(reason: str) -> Interval:
    """Returns the interval of data that cannot carry one."""
    return Interval(nan, nan, reason)


def hull(*intervals: Interval) -> Interval:
    """Returns the smallest interval that holds those that are defined.

    Example:
        >>> hull(Interval(0.2, 0.3), absent("no errors"), Interval(0.1, 0.25))
        Interval(low=0.1, high=0.3, reason='')
    """
    defined = [interval for interval in intervals if interval.defined]
    if not defined:
        return intervals[0]
    return Interval(
        min(interval.low for interval in defined), max(interval.high for interval in defined)
    )


def central(replicates: Array, level: float) -> Interval:
    """Returns the central interval of replicates, shape (R,); NaN among them are left out.

    Example:
        >>> central(np.arange(101.0), 0.5)
        Interval(low=25.0, high=75.0, reason='')
    """
    defined = replicates[~np.isnan(replicates)]
    if 2 * defined.size < replicates.size or not defined.size:
        return absent("not defined in most resamples")
    low, high = np.quantile(defined, [tail(level), 1.0 - tail(level)])
    return Interval(float(low), float(high))


def tail(level: float) -> float:
    """Returns the probability outside either end of a central interval."""
    return (1.0 - level) / 2.0


def normal_quantile(level: float) -> float:
    """Returns the half width of a central normal interval in standard deviations."""
    return float(special.ndtri(1.0 - tail(level)))


def too_few(counts: Sequence[int], minimum: int, what: str) -> Interval | None:
    """Returns the absent interval where a count is below `minimum`, else None.

    Example:
        >>> too_few([1, 199], 2, "positives and negatives").reason
        'fewer than 2 positives and negatives (1, 199)'
    """
    if min(counts) >= minimum:
        return None
    return absent(f"fewer than {minimum} {what} ({', '.join(map(str, counts))})")
