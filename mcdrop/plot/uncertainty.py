"""Drawings of uncertainty: over two kinds of examples, and against the number of passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_choice
from mcdrop.diagnostics.convergence import Convergence
from mcdrop.diagnostics.convergence import convergence as compute_convergence
from mcdrop.diagnostics.separation import Histogram, histogram
from mcdrop.errors import DataError
from mcdrop.evaluation.assessing import match_targets
from mcdrop.plot.axes import current_axes, legend, limit, percent_tick, tidy
from mcdrop.plot.inputs import class_forecasts
from mcdrop.plot.palette import LIGHT
from mcdrop.prediction import CLASS_TASKS, Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]

TITLES = {
    "predictive_entropy": "Predictive entropy (nats)",
    "mutual_information": "Mutual information (nats)",
    "std": "Standard deviation",
    "epistemic_std": "Epistemic standard deviation",
}
ANSWERS = ("right", "wrong")
DATA = ("evaluated data", "out of distribution")
_COLOURS = {"right": "right", "wrong": "wrong", DATA[0]: "right", DATA[1]: "ood"}


def uncertainty_histogram(
    forecast: Prediction | ArrayLike,
    y_true: ArrayLike | None = None,
    *,
    out_of_distribution: Prediction | None = None,
    measure: str = "predictive_entropy",
    ax: Axes | None = None,
) -> Axes:
    """Draws an uncertainty over right and wrong answers, or over known and other data.

    Each outline holds 100% of its kind. A kind of fewer than 30 members is drawn as one mark
    each, since its histogram would show chance.

    Args:
        forecast: A Prediction of classes, or class probabilities, shape (N, C) or (N, ..., C).
        y_true: Labels; right answers are set beside wrong ones.
        out_of_distribution: Prediction of other data by the same model; all of the first are
            set beside all of these. Either this or `y_true` is given.
        measure: "predictive_entropy" or "mutual_information" (a Prediction only).
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: Both or neither of labels and other data are given, they do not fit, all
            answers are of one kind, or the measure is not known of the forecast.

    Example:
        >>> from matplotlib.figure import Figure
        >>> p = np.random.default_rng(0).dirichlet([1, 1, 1], 200)
        >>> labels = np.random.default_rng(1).integers(0, 3, 200)
        >>> uncertainty_histogram(p, labels, ax=Figure().subplots()).get_xlabel()
        'Predictive entropy (nats)'
    """
    check_choice("measure", measure, ("predictive_entropy", "mutual_information"))
    if (y_true is None) == (out_of_distribution is None):
        raise DataError("Give either `y_true` or `out_of_distribution`, and not both.")
    if out_of_distribution is not None:
        kinds, parts = DATA, [_of_examples(p, measure) for p in (forecast, out_of_distribution)]
    else:
        kinds, parts = ANSWERS, _right_and_wrong(forecast, y_true, measure)
    found = histogram(*parts)
    if found is None:
        raise DataError(
            f"All answers are {kinds[0] if parts[1].size == 0 else kinds[1]}, so there is nothing "
            "to set apart."
        )
    return draw_histogram(found, TITLES[measure], kinds, current_axes(ax))


def _right_and_wrong(
    forecast: Prediction | ArrayLike, y_true: ArrayLike | None, measure: str
) -> list[Array]:
    answers = next(iter(class_forecasts(forecast, y_true).values()))
    values = getattr(answers, measure)
    if values is None:
        raise DataError(f"`{measure}` is not known without passes. Give a Prediction.")
    return [values[answers.correct == 1.0], values[answers.correct == 0.0]]


def _of_examples(prediction: Any, measure: str) -> Array:
    """Returns one number an example: means over pixels or labels."""
    if not isinstance(prediction, Prediction) or prediction.task not in CLASS_TASKS:
        raise DataError("Data out of distribution are compared for Predictions of classes only.")
    values: Array = getattr(prediction, measure)
    return np.asarray(values.reshape(len(prediction), -1).mean(axis=1))


def draw_histogram(found: Histogram, label: str, kinds: tuple[str, str], ax: Axes) -> Axes:
    """Draws two kinds over one measure; the few members of a kind as marks."""
    top = 0.0
    few: list[tuple[str, Array, str]] = []
    for kind, shares, count, values in (
        (kinds[0], found.first, found.first_count, found.first_values),
        (kinds[1], found.second, found.second_count, found.second_values),
    ):
        colour, name = LIGHT[_COLOURS[kind]], f"{kind} ({count:,})"
        if values.size:
            few.append((name, values, colour))
            continue
        top = max(top, float(shares.max()))
        ax.stairs(shares, found.edges, fill=True, color=colour, alpha=0.16)
        ax.stairs(shares, found.edges, color=colour, lw=1.8, label=name)
    top = top or 1.0
    for row, (name, values, colour) in enumerate(few):
        height = top * (1.08 + 0.1 * row) if len(few) < 2 else 0.6 - 0.25 * row
        ax.plot(
            values, np.full(values.size, height), "o", color=colour, ms=6, alpha=0.75, mew=0,
            label=name, clip_on=False,
        )  # fmt: skip
    ax.set_xlabel(label)
    height = top * (1.06 + 0.1 * len(few)) if len(few) < 2 else 1.0
    limit(ax, x=(float(found.edges[0]), float(found.edges[-1])), y=(0.0, height))
    if len(few) < 2:
        ax.set_ylabel("Share of each kind")
        ax.yaxis.set_major_formatter(percent_tick)
    else:
        ax.set_yticks([])
    legend(ax, loc="best")
    return tidy(ax)


def convergence(
    prediction: Prediction,
    y_true: ArrayLike,
    *,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a metric and its Monte Carlo error against the number of passes.

    Each point averages the metric over choices of so many of the passes that were made; the
    band is two Monte Carlo standard errors. Where the curve is flat and the band thin, more
    passes would change little.

    Args:
        prediction: Prediction of at least three groups of passes (T of 3 or more).
        y_true: Labels or targets that fit.
        metric: "negative_log_likelihood", "accuracy" or "predictive_entropy" for classes,
            "root_mean_squared_error" for a regression; None takes the first.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: There are too few passes, the metric is unknown, or the targets do not fit.

    Example:
        >>> import mcdrop
        >>> from matplotlib.figure import Figure
        >>> passes = np.random.default_rng(0).dirichlet([2, 1], (20, 30))
        >>> prediction = mcdrop.from_samples(passes, passes[0], task="classification")
        >>> convergence(prediction, np.zeros(30, int), ax=Figure().subplots()).get_xlabel()
        'Passes'
    """
    targets = match_targets(prediction, y_true).y
    curves = {curve.name: curve for curve in compute_convergence(prediction, targets)}
    if not curves:
        raise DataError(
            f"The prediction has {prediction.num_samples} passes, too few to draw against their "
            "number. Make at least 3."
        )
    name = check_choice("metric", next(iter(curves)) if metric is None else metric, tuple(curves))
    return draw_convergence(curves[name], current_axes(ax))


def draw_convergence(curve: Convergence, ax: Axes) -> Axes:
    """Draws a metric against the number of passes."""
    low, high = curve.value - 2 * curve.error, curve.value + 2 * curve.error
    ax.fill_between(curve.passes, low, high, color=LIGHT["mc"], alpha=0.15, lw=0)
    ax.plot(curve.passes, curve.value, "o-", color=LIGHT["mc"], lw=1.8, ms=5, label="MC dropout")
    if curve.deterministic is not None:
        ax.axhline(curve.deterministic, color=LIGHT["det"], lw=1.8, label="deterministic")
    ax.set(xlabel="Passes", ylabel=curve.title)
    limit(ax, x=(0.0, float(curve.passes[-1]) * 1.04))
    if curve.name == "accuracy":
        ax.yaxis.set_major_formatter(percent_tick)
    return tidy(ax)
