"""Drawings of what uncertainty is good for: handing over, telling apart, and enough passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_number
from mcdrop.diagnostics.selective import SelectiveCurve, accuracy_curves, error_curves
from mcdrop.plot.axes import DASHED, current_axes, limit, percent_tick, tidy
from mcdrop.plot.inputs import Forecasts, class_forecasts, regression_targets
from mcdrop.plot.palette import LIGHT, MARKERS, MODELS, OFF, series_colours
from mcdrop.prediction import CLASS_TASKS, Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]

SETTLED = 0.1
"""Coverage from which a curve is shown in full: its first examples waver."""

BEST_COLOURED = 3
"""Of more than six models only the best three forecasts have a colour, so that none repeats."""


def risk_coverage(
    forecast: Forecasts,
    y_true: ArrayLike,
    *,
    confidence_level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draws the quality of the accepted predictions against the share accepted.

    The predictions are accepted in the order of their uncertainty, the most certain first:
    predictive entropy for classes (quality is the accuracy), standard deviation for a
    regression (quality is the root mean squared error). The band of the first forecast is the
    interval of the quality over examples; the dashed line is its quality when all are accepted.

    Args:
        forecast: A Prediction, drawn beside its deterministic prediction where that states an
            uncertainty; class probabilities, (N, C) or (N, ..., C); or several by name.
        y_true: Labels or targets that fit.
        confidence_level: Level of the band.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: Forecast and targets do not fit each other.

    References:
        Geifman & El-Yaniv (2017), arXiv:1705.08500.

    Example:
        >>> from matplotlib.figure import Figure
        >>> p = np.random.default_rng(0).dirichlet([1, 1, 1], 50)
        >>> risk_coverage(p, p.argmax(axis=1), ax=Figure().subplots()).get_ylabel()
        'Accuracy of those'
    """
    check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    if isinstance(forecast, Prediction) and forecast.task not in CLASS_TASKS:
        targets = regression_targets(forecast, y_true)
        curves = error_curves(forecast, targets, confidence_level=confidence_level)
    else:
        forecasts = class_forecasts(forecast, y_true)
        curves = accuracy_curves(forecasts, confidence_level=confidence_level)
    return draw_risk_coverage(curves, current_axes(ax))


def draw_risk_coverage(
    curves: Mapping[str, SelectiveCurve], ax: Axes, *, best: Sequence[str] = ()
) -> Axes:
    """Draws curves by name, labelled at their ends; of many only the `best` have a colour."""
    first = next(iter(curves.values()))
    colours = series_colours(list(curves))
    if len({name.removesuffix(OFF) for name in curves}) > len(MODELS):
        bright = series_colours(best[:BEST_COLOURED])
        colours = {name: bright.get(name, LIGHT["line"]) for name in curves}
    known = set(curves) <= {"MC dropout", "deterministic"}
    if known or len(curves) == 1:
        ax.fill_between(
            first.coverage,
            first.low,
            first.high,
            color=colours[next(iter(curves))],
            alpha=0.15,
            lw=0,
        )
        ax.axhline(first.value[-1], color=LIGHT["soft"], lw=1.0, ls=DASHED)
    for place, (name, curve) in reversed(list(enumerate(curves.items()))):
        every = max(1, curve.coverage.size // 8)
        ax.plot(
            curve.coverage,
            curve.value,
            marker="" if known else MARKERS[place % len(MARKERS)],
            ls="--" if name.endswith(OFF) else "-",
            markevery=(every // 2, every),
            color=colours[name],
            label=name,
            lw=2.0,
            ms=5,
        )
    share = first.quality == "accuracy"
    label = "Accuracy" if share else "Root mean squared error"
    ax.set(xlabel="Coverage: share of predictions accepted", ylabel=f"{label} of those")
    limits = np.array([_limits(curve, with_band=known) for curve in curves.values()])
    limit(ax, x=(0.0, 1.0), y=(float(limits[:, 0].min()), float(limits[:, 1].max())))
    ax.xaxis.set_major_formatter(percent_tick)
    if share:
        ax.yaxis.set_major_formatter(percent_tick)
    _label_ends(ax, curves, colours)
    return tidy(ax)


def _label_ends(ax: Axes, curves: Mapping[str, SelectiveCurve], colours: Mapping[str, str]) -> None:
    """Writes each name at the right end of its line, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    step = min(0.07, 0.95 / len(curves)) * (high - low)
    order = sorted(curves, key=lambda name: float(curves[name].value[-1]))
    places = np.array([float(curves[name].value[-1]) for name in order])
    places = np.maximum(places, low + 0.6 * step)  # above the numbers of the axis
    for index in range(1, places.size):
        places[index] = max(places[index], places[index - 1] + step)
    places[-1] = min(places[-1], high - 0.3 * step)
    for index in range(places.size - 1, 0, -1):
        places[index - 1] = min(places[index - 1], places[index] - step)
    for name, place in zip(order, places, strict=True):
        faint = colours[name] == LIGHT["line"]
        colour = LIGHT["soft"] if faint else colours[name]
        ax.annotate(
            name, (1.0, place), xytext=(8, 0), textcoords="offset points", color=colour,
            va="center", annotation_clip=False,
        )  # fmt: skip


def _limits(curve: SelectiveCurve, *, with_band: bool) -> tuple[float, float]:
    """Returns limits that show the curve, not the wide intervals of its first few examples."""
    settled = curve.coverage >= SETTLED
    shown = [curve.value, curve.low, curve.high] if with_band else [curve.value]
    ends = np.stack(shown)[:, settled]
    bottom, top = float(np.nanmin(ends)), float(np.nanmax(ends))
    pad = 0.06 * (top - bottom) or 0.01
    if curve.quality == "accuracy":
        return max(0.0, bottom - pad), min(top + pad, 1.0 + 0.4 * pad)
    return max(0.0, bottom - pad), top + pad
