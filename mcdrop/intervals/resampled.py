"""Intervals from values of a score on resamples that hold a pseudo-example.

`wrong` and `right` are the values on the same weights (mcdrop.weighted.resampling), the
pseudo-examples labelled once with a wrong class, drawn by the model's own odds, and once with
the class it predicts. The interval is the hull of both, so that neither a rare error that
happened not to occur nor one that happened to occur decides alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcdrop.intervals.interval import UNBOUNDED, Bounds, Interval, central, hull, too_few
from mcdrop.intervals.shares import recovered_difference

Array = NDArray[np.float64]

MINIMUM_ERRORS_AREA = 10
"""Errors below which a difference of areas under the risk-coverage curve has no interval."""

MINIMUM_ERRORS_CALIBRATION = 2
"""Errors below which a difference of calibration errors has no interval."""

FEW_ERRORS = 10
"""Errors below which such a difference holds the one recovered from both intervals too."""


def pseudo(
    wrong: Array, right: Array, level: float = 0.95, *, bounds: Bounds = UNBOUNDED
) -> Interval:
    """Returns the hull of the central intervals of both sets of replicates.

    For NLL, Brier, the area under the risk-coverage curve, the risk at a coverage; printed at
    0 errors too.

    Args:
        wrong: Values with wrongly labelled pseudo-examples, shape (R,).
        right: Values with rightly labelled ones, shape (R,).
        level: Confidence level, within (0, 1).
        bounds: Possible range of the score.

    Returns:
        The interval, within `bounds`.

    References:
        Rubin (1981), doi:10.1214/aos/1176345338.

    Example:
        >>> pseudo(np.arange(1.0, 102.0), np.arange(0.0, 101.0), 0.5)
        Interval(low=25.0, high=76.0, reason='')
    """
    return hull(central(wrong, level), central(right, level)).within(bounds)


def pseudo_difference(
    wrong: Array,
    right: Array,
    num_errors: int,
    level: float = 0.95,
    *,
    minimum: int = MINIMUM_ERRORS_AREA,
    bounds: Bounds = UNBOUNDED,
) -> Interval:
    """Returns the same of paired differences, for at least `minimum` errors of both forecasts.

    Args:
        wrong: First minus second with wrongly labelled pseudo-examples, shape (R,).
        right: The same with rightly labelled ones, shape (R,).
        num_errors: The smaller number of errors of the two forecasts.
        level: Confidence level, within (0, 1).
        minimum: Errors below which there is no interval.
        bounds: Possible range of the difference.

    Returns:
        The interval, within `bounds`.

    Example:
        >>> pseudo_difference(np.zeros(9), np.zeros(9), 4).reason
        'fewer than 10 errors (4)'
    """
    few = too_few([num_errors], minimum, "errors")
    return pseudo(wrong, right, level, bounds=bounds) if few is None else few


def reflected(
    value: float, replicates: Array, level: float = 0.95, *, bounds: Bounds = UNBOUNDED
) -> Interval:
    """Returns the hull of the central interval and of its reflection about the value.

    For scores that resampling shifts: where the score itself has the shift too, the central
    interval lies off by twice the shift and the reflected one right; where it has not, the
    other way round.

    Args:
        value: The score.
        replicates: Its values on resamples, shape (R,).
        level: Confidence level, within (0, 1).
        bounds: Possible range of the score.

    Returns:
        The interval, within `bounds`.

    References:
        Davison & Hinkley (1997), Bootstrap Methods and their Application, section 5.2.

    Example:
        >>> reflected(40.0, np.arange(101.0), 0.9)
        Interval(low=-15.0, high=95.0, reason='')
    """
    found = central(replicates, level)
    mirrored = Interval(2.0 * value - found.high, 2.0 * value - found.low, found.reason)
    return hull(found, mirrored).within(bounds)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the interval of a binned calibration error needs.

    Attributes:
        value: The error, at least 0.
        wrong: Its values with wrongly labelled pseudo-examples, shape (R,).
        right: Its values with rightly labelled ones, shape (R,).
        floor: The error that a calibrated model of these confidences stays below.
    """

    value: float
    wrong: Array
    right: Array
    floor: float


def calibration_error(
    found: Calibration,
    noise: Array | None = None,
    level: float = 0.95,
    *,
    bounds: Bounds = (0.0, np.inf),
) -> Interval:
    """Returns the interval of a calibration error, which chance alone pushes upward.

    With q and Q the pseudo quantiles, v the value and e the `level` quantile of the noise:
    from min(q, 2v - Q, v - e) to max(Q, 2v - q), and from 0 where v is within the floor.

    Args:
        found: Value, replicates and floor.
        noise: Sum over bins of |gap on the resample - gap|, the gaps weighted by the bins'
            shares, shape (R,); None leaves v - e out.
        level: Confidence level, within (0, 1).
        bounds: Possible range of the error.

    Returns:
        The interval, within `bounds`.

    Example:
        >>> same = np.linspace(0.01, 0.05, 101)
        >>> round(calibration_error(Calibration(0.02, same, same, floor=0.03)).high, 3)
        0.049
    """
    low, high = _mirrored(found.value, pseudo(found.wrong, found.right, level))
    if noise is not None:
        low = min(low, found.value - float(np.quantile(noise, level)))
    if found.value <= found.floor:
        low = bounds[0]
    return Interval(low, high).within(bounds)


def calibration_error_difference(
    first: Calibration,
    second: Calibration,
    num_errors: int,
    level: float = 0.95,
    *,
    bounds: Bounds = UNBOUNDED,
) -> Interval:
    """Returns the interval of the difference of two calibration errors of the same examples.

    The pseudo interval and its reflection; an error within its floor may be 0, so that its
    end moves on by the whole of it. Below 10 errors the hull with the difference recovered from
    the intervals of both, as if they were independent.

    Args:
        first: Value, replicates and floor of the first forecast.
        second: The same of the second, on the same weights.
        num_errors: The smaller number of errors of the two forecasts.
        level: Confidence level, within (0, 1).
        bounds: Possible range of the difference.

    Returns:
        The interval of first minus second; none below 2 errors.

    Example:
        >>> same = np.linspace(0.01, 0.05, 101)
        >>> side = Calibration(0.02, same, same, floor=0.03)
        >>> found = calibration_error_difference(side, side, 10)
        >>> found.low, found.high
        (-0.02, 0.02)
    """
    few = too_few([num_errors], MINIMUM_ERRORS_CALIBRATION, "errors")
    if few is not None:
        return few
    drawn = pseudo(first.wrong - second.wrong, first.right - second.right, level)
    low, high = _mirrored(first.value - second.value, drawn)
    low -= first.value if first.value <= first.floor else 0.0
    high += second.value if second.value <= second.floor else 0.0
    found = Interval(low, high)
    if num_errors < FEW_ERRORS:
        sides = [(side.value, calibration_error(side, level=level)) for side in (first, second)]
        found = hull(found, recovered_difference(sides[0], sides[1]))
    return found.within(bounds)


def _mirrored(value: float, drawn: Interval) -> tuple[float, float]:
    """Returns the hull of an interval and of its reflection about the value."""
    return min(drawn.low, 2.0 * value - drawn.high), max(drawn.high, 2.0 * value - drawn.low)
