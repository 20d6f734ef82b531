"""The drawing of every example's doubt, and how much of it the passes disagree about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_number
from mcdrop.diagnostics.doubt import STEPS, DoubtMap
from mcdrop.diagnostics.doubt import doubt_map as compute_doubt_map
from mcdrop.errors import DataError
from mcdrop.evaluation.assessing import match_targets
from mcdrop.evaluation.detection import check_same_model
from mcdrop.plot.axes import DASHED, current_axes, legend, limit, tidy
from mcdrop.plot.palette import LIGHT
from mcdrop.plot.uncertainty import DATA
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]

THRESHOLD = "threshold"
"""Id of the line of the threshold in an SVG, by which a page moves it."""

# Marker of the legend, width and opacity of the lines whose ends are the marks.
_MARKS = {"right": ("o", 3.4, 0.4), DATA[1]: ("_", 2.0, 0.6), "wrong": ("s", 4.2, 0.85)}
_ENDS: Any = {"o": "round", "s": "projecting", "_": "butt"}
_COLOURS = {"right": "right", DATA[1]: "ood", "wrong": "wrong"}


def doubt_map(
    prediction: Prediction,
    y_true: ArrayLike,
    *,
    out_of_distribution: Prediction | None = None,
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws every example by its predictive entropy and its mutual information.

    To the right lies doubt, upward the part of it on which the passes disagree. An example near
    the diagonal is one that each pass is sure of in its own way; one near the bottom is one that
    every pass finds hard. Right answers are dots, wrong ones squares, other data dashes. Places
    are rounded to 1/255 of each axis.

    Args:
        prediction: A Prediction of one class an example ("classification" or "binary").
        y_true: Labels, shape (N,).
        out_of_distribution: Prediction of other data by the same model.
        threshold: Predictive entropy in nats above which predictions are handed over.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: The prediction is not of one class an example, its passes are not known, or
            labels or other data do not fit, or the threshold is no number of at least 0.

    References:
        Houlsby et al. (2011), arXiv:1112.5745; Mukhoti et al. (2023), arXiv:2102.11582.

    Example:
        >>> import mcdrop
        >>> from matplotlib.figure import Figure
        >>> passes = np.random.default_rng(0).dirichlet([2, 1], (20, 30))
        >>> prediction = mcdrop.from_samples(passes, passes[0], task="classification")
        >>> doubt_map(prediction, np.zeros(30, int), ax=Figure().subplots()).get_xlabel()
        'Predictive entropy (nats)'
    """
    if threshold is not None:
        check_number("threshold", threshold, low=0.0, high=math.inf)
    targets = match_targets(prediction, y_true)
    if not has_map(prediction):
        raise DataError(
            f"The prediction's task is {prediction.task!r} and its mean has shape "
            f"{prediction.mean.shape}, expected one class an example, of passes that are known."
        )
    if out_of_distribution is not None:
        check_same_model(prediction, out_of_distribution)
    found = map_of(prediction, targets.y, out_of_distribution)
    return draw_doubt_map(found, threshold, current_axes(ax))


def has_map(prediction: Prediction) -> bool:
    """Returns whether a prediction is of one class an example, and its passes are known."""
    ranks = {"classification": 2, "binary": 1}
    is_single = prediction.mean.ndim == ranks.get(prediction.task)
    return is_single and prediction.expected_entropy is not None


def map_of(prediction: Prediction, labels: Array, other: Prediction | None) -> DoubtMap:
    """Returns the map of a prediction, beside other data where there are any."""
    both = prediction.predictive_entropy, prediction.mutual_information
    right, known = prediction.predicted_class == labels, labels >= 0
    kinds = {
        kind: (both[0][chosen], both[1][chosen])
        for kind, chosen in (("right", right & known), ("wrong", ~right & known))
    }
    if other is not None:
        other = other if other.dropped is None else other.take(~other.dropped)
        kinds[DATA[1]] = (other.predictive_entropy, other.mutual_information)
    return compute_doubt_map(kinds)


def draw_doubt_map(found: DoubtMap, threshold: float | None, ax: Axes) -> Axes:
    """Draws a map of doubt, and the threshold where there is one."""
    top = min(found.entropy, found.information)
    ax.plot((0.0, top), (0.0, top), color=LIGHT["soft"], lw=1.0, ls=DASHED, zorder=1)
    # No example lies above the largest information, so there the legend covers nothing.
    reach = (1.03 * found.entropy, 1.26 * found.information)
    limit(ax, x=(-0.015 * reach[0], reach[0]), y=(-0.02 * reach[1], reach[1]))
    for order, kind in enumerate(_MARKS):
        if kind in found.cells and len(found.cells[kind]):
            cells = found.cells[kind] / STEPS * [found.entropy, found.information]
            number = int(found.counts[kind].sum())
            _add_marks(ax, cells, kind, f"{kind} ({number:,})", 2 + order)
    if threshold is not None:
        line = ax.axvline(threshold, color=LIGHT["ink"], lw=1.2, gid=THRESHOLD, label="threshold")
        line.set_ydata((0.0, 0.82))  # it ends below the legend
    ax.set(xlabel="Predictive entropy (nats)", ylabel="Mutual information (nats)")
    legend(ax, loc="upper left", ncols=2)
    return tidy(ax)


def _add_marks(ax: Axes, places: Array, kind: str, label: str, order: int) -> None:
    """Adds marks as one path of ends of lines: ten thousand markers would be a large drawing."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    marker, width, alpha = _MARKS[kind]
    colour = LIGHT[_COLOURS[kind]]
    wide = 0.008 if marker == "_" else 0.0004
    step = np.array([wide * np.ptp(ax.get_xlim()), 0.0])
    vertices = np.stack([places - step / 2, places + step / 2], axis=1).reshape(-1, 2)
    path = Path(vertices, np.tile([Path.MOVETO, Path.LINETO], len(places)))
    path.should_simplify = False  # it would drop what is shorter than a pixel
    lines = PathPatch(
        path, fill=False, edgecolor=colour, lw=width, capstyle=_ENDS[marker], alpha=alpha,
        zorder=order, clip_on=False, snap=False,
    )  # fmt: skip
    ax.add_patch(lines)
    ax.plot([], [], marker, color=colour, ms=6, mew=2 if marker == "_" else 0, label=label)
