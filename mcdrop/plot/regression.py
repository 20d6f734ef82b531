"""Drawings of a regression: predictions beside targets, errors beside stated deviations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_matched, check_count
from mcdrop.diagnostics.regression import (
    IntervalPoints,
    SpreadBins,
    interval_points,
    spread_bins,
    units_of,
)
from mcdrop.errors import DataError
from mcdrop.plot.axes import current_axes, diagonal, legend, limit, tidy
from mcdrop.plot.inputs import regression_targets
from mcdrop.plot.palette import LIGHT
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]


def predictive_intervals(
    forecast: Prediction | ArrayLike,
    y_true: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    level: float = 0.95,
    output: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draws predictions with their intervals against the targets.

    Points on the dashed diagonal are exact; the intervals that miss their target are drawn in
    the colour of what is wrong. Of more than 400 targets some are drawn at random.

    Args:
        forecast: A Prediction of a regression, or predicted numbers, shape (N,) or (N, D).
        y_true: Targets, the same shape.
        low: Lower ends of the intervals, the same shape; with predicted numbers only.
        high: Upper ends, likewise.
        level: Level of the intervals of a Prediction.
        output: Which of several outputs to draw, one of the first four.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: The shapes differ, the intervals are missing, or there is no such output.

    Example:
        >>> from matplotlib.figure import Figure
        >>> y = np.arange(9.0)
        >>> ax = predictive_intervals(y, y, low=y - 1, high=y + 1, ax=Figure().subplots())
        >>> ax.get_xlabel()
        'Target'
    """
    if isinstance(forecast, Prediction):
        targets, mean = regression_targets(forecast, y_true), forecast.mean
        bottom, top = forecast.interval(level)
    elif low is None or high is None:
        raise DataError("`low` and `high` are missing, expected the intervals of the forecast.")
    else:
        mean, targets, bottom, top = as_matched(
            forecast=forecast, y_true=y_true, low=low, high=high
        )
    points = interval_points(targets, mean, bottom, top)
    last = int(points.output.max())
    if check_count("output", output, minimum=0) > last:
        raise DataError(f"`output` is {output!r}, expected one of 0 to {last}.")
    return draw_predictive_intervals(points.of(output), current_axes(ax))


def draw_predictive_intervals(points: IntervalPoints, ax: Axes) -> Axes:
    """Draws points with their intervals."""
    # Long intervals are no reason to crush the targets together.
    first, last = float(points.true.min()), float(points.true.max())
    margin = 0.04 * (last - first) or 1.0
    diagonal(ax, (first, last))
    limit(ax, x=(first - margin, last + margin))
    missed = points.missed
    for chosen, colour, name in ((~missed, "mc", "covered"), (missed, "wrong", "missed")):
        true = points.true[chosen]
        ax.vlines(
            true, points.low[chosen], points.high[chosen], color=LIGHT[colour], lw=0.9, alpha=0.45
        )
        marker = "o" if colour == "mc" else "s"
        label = f"target {name} ({true.size:,})"
        ax.plot(true, points.mean[chosen], marker, color=LIGHT[colour], ms=3.6, label=label)
    ax.set(xlabel="Target", ylabel="Prediction with its interval")
    legend(ax, loc="best")
    return tidy(ax)


def error_by_deviation(
    prediction: Prediction, y_true: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Draws the root mean squared error in bins of the stated standard deviation.

    Ten bins of equal size. Above the diagonal errors are larger than the model says, below
    smaller; a flat line means that it cannot tell where they are large. The lines are 95%
    intervals over examples. Several outputs are in standard deviations of each one's targets.

    Args:
        prediction: A Prediction of a regression.
        y_true: Targets, the shape of its mean.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: The prediction is no regression, or the targets do not fit it.

    References:
        Levi et al. (2022), arXiv:1905.11659.

    Example:
        >>> import mcdrop
        >>> from matplotlib.figure import Figure
        >>> passes = np.random.default_rng(0).normal(size=(20, 30))
        >>> prediction = mcdrop.from_samples(passes, np.zeros(30), task="regression")
        >>> error_by_deviation(prediction, np.zeros(30), ax=Figure().subplots()).get_ylabel()
        'Root mean squared error'
    """
    targets = regression_targets(prediction, y_true)
    unit = units_of(targets)
    squares = np.square((prediction.mean - targets) / unit)
    found = spread_bins(prediction.variance / unit**2, squares)
    return draw_error_by_deviation(found, current_axes(ax))


def draw_error_by_deviation(found: SpreadBins, ax: Axes) -> Axes:
    """Draws the error in bins of the stated deviation."""
    diagonal(ax, (0.0, float(max(found.std.max(), np.nanmax(found.error)))))
    ax.vlines(found.std, found.low, found.high, color=LIGHT["mc"], lw=1.6)
    ax.plot(found.std, found.error, "o-", color=LIGHT["mc"], lw=1.2, ms=5.5)
    ax.set(xlabel="Stated standard deviation", ylabel="Root mean squared error")
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    return tidy(ax)
