"""Drawings of calibration: of class probabilities, and of the quantiles of a regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_float, check_not_empty, check_number
from mcdrop.diagnostics.calibration import CalibrationCurve, calibration_curves
from mcdrop.diagnostics.regression import PitHistogram, pit_of
from mcdrop.diagnostics.regression import pit_histogram as compute_pit_histogram
from mcdrop.metrics.quantile import QuantileCalibrationCurve, quantile_calibration_curve
from mcdrop.plot.axes import (
    DASHED,
    current_axes,
    diagonal,
    legend,
    limit,
    percent_tick,
    point_tick,
    tidy,
)
from mcdrop.plot.inputs import Forecasts, class_forecasts, regression_targets
from mcdrop.plot.palette import LIGHT, MARKERS, OFF, series_colours
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]


def reliability_diagram(
    forecast: Forecasts,
    y_true: ArrayLike,
    *,
    confidence_level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draws how far accuracy lies from confidence, in bins of equal mass.

    Each mark is a bin of about as many answers as every other: accuracy minus confidence, in
    percentage points, against mean confidence. Below 0 a model is overconfident. The bars
    behind are the band of chance: where the bins of a calibrated model of these confidences
    would lie, at the confidence level.

    Args:
        forecast: A Prediction, drawn beside its deterministic prediction; class probabilities
            of shape (N, C), or (N, ..., C) for dense outputs; or several of these by name.
        y_true: Integer labels, shape (N,) or (N, ...).
        confidence_level: Level of the band, within (0, 1).
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: Forecast and labels do not fit each other.

    References:
        Niculescu-Mizil & Caruana (2005), doi:10.1145/1102351.1102430; Bröcker & Smith (2007),
        doi:10.1175/WAF993.1.

    Example:
        >>> from matplotlib.figure import Figure
        >>> p = np.random.default_rng(0).dirichlet([1, 1, 1], 300)
        >>> ax = reliability_diagram(p, p.argmax(axis=1), ax=Figure().subplots())
        >>> ax.get_xlabel()
        'Confidence'
    """
    forecasts = class_forecasts(forecast, y_true)
    check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    curves = calibration_curves(forecasts, confidence_level=confidence_level)
    return draw_reliability(curves, current_axes(ax))


def draw_reliability(curves: Mapping[str, CalibrationCurve], ax: Axes) -> Axes:
    """Draws calibration curves by name."""
    colours = series_colours(list(curves))
    least = min(float(curve.confidence.min()) for curve in curves.values())
    ax.axhline(0.0, color=LIGHT["soft"], lw=1.0, ls=DASHED, zorder=1)
    for place, (name, curve) in enumerate(curves.items()):
        x, colour = curve.confidence, colours[name]
        low, high = curve.chance_low - x, curve.chance_high - x
        if x.size > 1:
            ax.fill_between(x, low, high, color=colour, alpha=0.13, lw=0, zorder=0)
        else:
            ax.vlines(x, low, high, color=colour, alpha=0.25, lw=5, zorder=0)
        marker = MARKERS[place % len(MARKERS)]
        ax.plot(
            x, curve.gap, marker, ls="--" if name.endswith(OFF) else "-", color=colour, lw=1.3,
            ms=6, label=name, zorder=3, clip_on=False,
        )  # fmt: skip
    ax.set(xlabel="Confidence", ylabel="Accuracy minus confidence (points)")
    reach = max(
        float(np.abs([*curve.gap, *(curve.chance_low - curve.confidence)]).max())
        for curve in curves.values()
    )
    reach = 1.08 * reach or 0.01
    limit(ax, x=(max(0.0, least - 0.04), 1.0), y=(-reach, reach))
    ax.xaxis.set_major_formatter(percent_tick)
    ax.yaxis.set_major_formatter(point_tick)
    legend(ax, loc="best")
    return tidy(ax)


def quantile_calibration(
    forecast: Prediction | ArrayLike,
    y_true: ArrayLike | None = None,
    *,
    confidence_level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draws how often targets lie below the predicted quantiles.

    On the diagonal a predicted 80% quantile exceeds 80% of the targets. Flatter than the
    diagonal the intervals are too narrow, steeper too wide.

    Args:
        forecast: A Prediction of a regression, or values of a probability integral transform.
        y_true: Targets, the shape of `Prediction.mean`; None with a transform.
        confidence_level: Level of the band, which takes targets as independent.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: The prediction is no regression, or the targets do not fit it.

    References:
        Kuleshov, Fenner & Ermon (2018), arXiv:1807.00263.

    Example:
        >>> from matplotlib.figure import Figure
        >>> pit = np.linspace(0.01, 0.99, 50)
        >>> quantile_calibration(pit, ax=Figure().subplots()).get_ylabel()
        'Share of targets below it'
    """
    pit = _transform(forecast, y_true)
    check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    curve = quantile_calibration_curve(pit, confidence_level=confidence_level)
    return draw_quantile_calibration({"MC dropout": curve}, current_axes(ax))


def draw_quantile_calibration(curves: Mapping[str, QuantileCalibrationCurve], ax: Axes) -> Axes:
    """Draws curves of quantile calibration by name."""
    diagonal(ax)
    colours = series_colours(list(curves))
    for place, (name, curve) in enumerate(curves.items()):
        colour, marker = colours[name], MARKERS[place % len(MARKERS)]
        ax.fill_between(curve.level, curve.low, curve.high, color=colour, alpha=0.15, lw=0)
        ax.plot(curve.level, curve.observed, marker + "-", color=colour, lw=1.5, ms=4.5, label=name)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="Predicted level of the quantile")
    ax.set_ylabel("Share of targets below it")
    ax.set_aspect("equal")
    if len(curves) > 1:
        legend(ax, loc="upper left")
    return tidy(ax)


def pit_histogram(
    forecast: Prediction | ArrayLike, y_true: ArrayLike | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draws where targets fall in their predictive distributions.

    Flat within the grey band (95% of the bars of a calibrated forecast) is calibrated: a valley
    tells of too narrow intervals, a hill of too wide ones, a slope of a shift.

    Args:
        forecast: A Prediction of a regression, or values of a probability integral transform.
        y_true: Targets, the shape of `Prediction.mean`; None with a transform.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: The prediction is no regression, or the targets do not fit it.

    References:
        Gneiting, Balabdaoui & Raftery (2007), doi:10.1111/j.1467-9868.2007.00587.x.

    Example:
        >>> from matplotlib.figure import Figure
        >>> pit_histogram(np.linspace(0, 1, 50), ax=Figure().subplots()).get_ylabel()
        'Share of targets'
    """
    pit = _transform(forecast, y_true)
    return draw_pit_histogram(compute_pit_histogram(pit), current_axes(ax))


def draw_pit_histogram(histogram: PitHistogram, ax: Axes) -> Axes:
    """Draws the histogram of a probability integral transform with its band."""
    ax.axhspan(*histogram.band, color=LIGHT["line"], alpha=0.6, lw=0)
    ax.stairs(histogram.share, histogram.edges, fill=True, color=LIGHT["mc"], alpha=0.2)
    ax.stairs(histogram.share, histogram.edges, color=LIGHT["mc"], lw=1.6)
    ax.set(xlim=(0, 1), xlabel="Where the target falls in its prediction")
    ax.set_ylabel("Share of targets")
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(percent_tick)
    return tidy(ax)


def _transform(forecast: Prediction | ArrayLike, y_true: ArrayLike | None) -> Array:
    """Returns the probability integral transform of a prediction, or the one given."""
    if not isinstance(forecast, Prediction):
        transform = np.atleast_1d(as_float("forecast", forecast))
        check_not_empty("forecast", transform)
        return transform
    return pit_of(forecast, regression_targets(forecast, y_true), seed=0)
