"""Figures as SVG: the only place that imports matplotlib and seaborn.

Each function draws one panel from plain numbers. Colours are written as CSS variables with a
light fallback, so that one figure serves the light and the dark page; text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from mcdrop.report.content import Convergence, Histogram, Regression, Selective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mcdrop.metrics.calibration import ReliabilityCurve

Array = NDArray[Any]

COLOURS = {
    "mc": "#0b5fc1",
    "det": "#767c85",
    "wrong": "#c8480a",
    "ood": "#a3458e",
    "ink": "#1b1f24",
    "soft": "#5b636d",
    "line": "#d3d7dc",
    "paper": "#fefefe",
    "m0": "#0b5fc2",
    "m1": "#c8480b",
    "m2": "#00876c",
    "m3": "#a3458f",
    "m4": "#b07d05",
    "m5": "#2f94c4",
}
"""CSS variable and light value of each colour; the values differ, so each maps to one variable."""
MODEL_COLOURS = ("m0", "m1", "m2", "m3", "m4", "m5")
MODEL_MARKS = ("o", "s", "^", "D", "v", "P")

FEW = 10
"""Bins of fewer answers are drawn hollow."""

_PANEL = (6.0, 4.4)
_SMALL = (4.3, 3.6)
_WIDE = (6.9, 4.4)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mcdrop",
    "font.size": 12.5,
    "axes.labelsize": 12.5,
    "axes.titlesize": 12.5,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.linewidth": 1.0,
    "xtick.color": COLOURS["line"],
    "ytick.color": COLOURS["line"],
    "xtick.labelcolor": COLOURS["soft"],
    "ytick.labelcolor": COLOURS["soft"],
    "text.color": COLOURS["ink"],
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": True,
    "path.simplify": True,
    "hatch.linewidth": 0.8,
}
"""Every setting that the look depends on, so that a user's matplotlibrc does not change it."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Attributes:
        name: File name without ending, unique within a report.
        svg: The figure with plain colours, a file of its own.
        alt: What it shows, for those who cannot see it.
        plot_area: Left, right, top and bottom of the axes in the SVG's units.
        limits: Left, right, top and bottom of the axes in data units.
    """

    name: str
    svg: str
    alt: str
    plot_area: tuple[float, float, float, float]
    limits: tuple[float, float, float, float]

    @property
    def inline(self) -> str:
        """The figure as an element of the page: themed, its ids made unique by its name."""
        text = self.svg[self.svg.index("<svg") :]
        for name, colour in COLOURS.items():
            text = text.replace(colour, f"var(--{name}, {colour})")
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{self.name}-", text)
        label = self.alt.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


@contextmanager
def _panel(size: tuple[float, float] = _PANEL) -> Iterator[Axes]:
    with mpl.rc_context(), sns.axes_style("ticks"):
        mpl.rcParams.update(_STYLE)
        canvas = Canvas(figsize=size, layout="constrained")
        yield canvas.subplots()


def _finish(axes: Axes, name: str, alt: str) -> Figure:
    """Returns the drawn axes as a figure; must run within the settings of `_panel`."""
    sns.despine(ax=axes, trim=False)
    canvas = cast(Canvas, axes.figure)
    buffer = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas.savefig(buffer, format="svg", metadata=empty)
    box = axes.get_window_extent().transformed(canvas.transFigure.inverted())
    width, height = (72.0 * side for side in canvas.get_size_inches())
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    return Figure(
        name=name,
        svg=re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL),
        alt=alt,
        plot_area=(
            float(box.x0 * width),
            float(box.x1 * width),
            float((1.0 - box.y1) * height),
            float((1.0 - box.y0) * height),
        ),
        limits=(float(left), float(right), float(top), float(bottom)),
    )


def reliability(curve: ReliabilityCurve, name: str, colour: str, title: str) -> Figure:
    """Draws accuracy against confidence; empty bins stay empty."""
    filled = curve.count > 0
    share = curve.count / max(int(curve.count.sum()), 1)
    with _panel((6.0, 5.6)) as axes:
        axes.plot([0, 1], [0, 1], color=COLOURS["soft"], lw=1.0, ls=(0, (4, 3)), zorder=1)
        # How many answers each bin holds, along the foot of the panel, at a fifth of its height.
        heights = 0.2 * share / max(float(share.max()), 1e-12)
        axes.bar(
            curve.edges[:-1],
            heights,
            np.diff(curve.edges),
            align="edge",
            color=COLOURS["line"],
            edgecolor="none",
            zorder=0,
        )
        _bins_with_intervals(axes, curve, COLOURS[colour])
        axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="Confidence", ylabel="Accuracy")
        axes.set_aspect("equal")
        alt = (
            f"Reliability diagram, {title}: accuracy against confidence in "
            f"{int(filled.sum())} filled bins of {filled.size}."
        )
        return _finish(axes, name, alt)


def _bins_with_intervals(axes: Axes, curve: ReliabilityCurve, colour: str) -> None:
    """Draws the filled bins; those of few answers are hollow."""
    filled = curve.count > 0
    confidence, accuracy = curve.confidence[filled], curve.accuracy[filled]
    axes.vlines(confidence, curve.low[filled], curve.high[filled], color=colour, lw=1.6)
    few = curve.count[filled] < FEW
    axes.plot(confidence[~few], accuracy[~few], color=colour, lw=1.2, alpha=0.55)
    for chosen, face in ((~few, colour), (few, COLOURS["paper"])):
        style = {"markerfacecolor": face, "markeredgewidth": 1.6, "markersize": 5.5}
        (dots,) = axes.plot(confidence[chosen], accuracy[chosen], "o", color=colour, zorder=3)
        dots.set(**style, clip_on=False)
        # Dots at the rim must not change the size of the panel beside its neighbour.
        dots.set_in_layout(False)


def histogram(
    found: Histogram, name: str, label: str, kinds: tuple[str, str], colours: tuple[str, str]
) -> Figure:
    """Draws the shares of two kinds of examples over one measure."""
    with _panel() as axes:
        for shares, colour in zip((found.first, found.second), colours, strict=True):
            axes.stairs(shares, found.edges, fill=True, color=COLOURS[colour], alpha=0.18)
            axes.stairs(shares, found.edges, color=COLOURS[colour], lw=1.8)
        axes.set(xlabel=label, ylabel="Share of each kind", xlim=found.edges[[0, -1]])
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(_percent_ticks)
        alt = f"Distribution of {label.lower()} for {kinds[0]} and {kinds[1]}."
        return _finish(axes, name, alt)


def risk_coverage(found: Selective, name: str) -> Figure:
    """Draws the quality of what is accepted against the share accepted."""
    label = "Accuracy" if found.quality == "accuracy" else "Root mean squared error"
    with _panel(_WIDE) as axes:
        axes.fill_between(
            found.coverage, found.low, found.high, color=COLOURS["mc"], alpha=0.15, lw=0
        )
        axes.axhline(found.value[-1], color=COLOURS["soft"], lw=1.0, ls=(0, (4, 3)))
        if found.deterministic_coverage.size:
            axes.plot(
                found.deterministic_coverage,
                found.deterministic_value,
                color=COLOURS["det"],
                lw=1.8,
            )
        axes.plot(found.coverage, found.value, color=COLOURS["mc"], lw=2.2)
        axes.set(xlabel="Coverage: share of predictions accepted", ylabel=f"{label} of those")
        axes.set_xlim(0, 1)
        axes.set_ylim(*_selective_limits(found))
        axes.xaxis.set_major_formatter(_percent_ticks)
        if found.quality == "accuracy":
            axes.yaxis.set_major_formatter(_percent_ticks)
        alt = f"{label} of the accepted predictions against the share accepted."
        return _finish(axes, name, alt)


def _selective_limits(found: Selective) -> tuple[float, float]:
    """Returns limits that show the curve, not the wide intervals of its first few examples."""
    settled = found.coverage >= 0.1
    low = float(np.min(found.low[settled]))
    high = float(np.max(found.high[settled]))
    if found.deterministic_value.size:
        low = min(low, float(found.deterministic_value[found.deterministic_coverage >= 0.1].min()))
    pad = 0.06 * (high - low) or 0.01
    if found.quality == "accuracy":
        return max(0.0, low - pad), min(high + pad, 1.0 + 0.4 * pad)
    return max(0.0, low - pad), high + pad


def convergence(found: Convergence, name: str) -> Figure:
    """Draws a metric and its Monte Carlo error against the number of passes."""
    with _panel(_SMALL) as axes:
        low, high = found.value - 2 * found.error, found.value + 2 * found.error
        axes.fill_between(found.passes, low, high, color=COLOURS["mc"], alpha=0.15, lw=0)
        axes.plot(found.passes, found.value, "o-", color=COLOURS["mc"], lw=1.8, ms=5)
        if found.deterministic is not None:
            axes.axhline(found.deterministic, color=COLOURS["det"], lw=1.8)
        axes.set(xlabel="Passes")
        axes.set_xlim(0, float(found.passes[-1]) * 1.04)
        if found.name == "accuracy":
            axes.yaxis.set_major_formatter(_percent_ticks)
        alt = f"{found.title} against the number of passes, with its Monte Carlo error."
        return _finish(axes, name, alt)


def predicted_against_true(found: Regression, output: int, name: str) -> Figure:
    """Draws predictions with their intervals against the targets, for one output."""
    mine = found.output == output
    true, mean, low, high = (
        values[mine] for values in (found.true, found.mean, found.low, found.high)
    )
    with _panel((6.0, 5.6)) as axes:
        ends = np.array([min(true.min(), low.min()), max(true.max(), high.max())])
        axes.plot(ends, ends, color=COLOURS["soft"], lw=1.0, ls=(0, (4, 3)))
        missed = (true < low) | (true > high)
        for chosen, colour in ((~missed, "mc"), (missed, "wrong")):
            axes.vlines(
                true[chosen], low[chosen], high[chosen], color=COLOURS[colour], lw=0.9, alpha=0.45
            )
            axes.plot(true[chosen], mean[chosen], "o", color=COLOURS[colour], ms=3.4)
        axes.set(xlabel="Target", ylabel="Prediction with its interval")
        alt = f"Prediction against target for {true.size} points, {int(missed.sum())} outside."
        return _finish(axes, name, alt)


def quantile_calibration(found: Regression, name: str) -> Figure:
    """Draws observed against nominal quantile levels."""
    with _panel((6.0, 5.6)) as axes:
        axes.plot([0, 1], [0, 1], color=COLOURS["soft"], lw=1.0, ls=(0, (4, 3)))
        axes.fill_between(
            found.nominal,
            found.observed_low,
            found.observed_high,
            color=COLOURS["mc"],
            alpha=0.15,
            lw=0,
        )
        axes.plot(found.nominal, found.observed, "o-", color=COLOURS["mc"], lw=1.6, ms=4.5)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="Predicted level of the quantile")
        axes.set_ylabel("Share of targets below it")
        axes.set_aspect("equal")
        return _finish(axes, name, "Observed against predicted quantile levels.")


def pit(found: Regression, name: str) -> Figure:
    """Draws the histogram of the probability integral transform with its band."""
    with _panel() as axes:
        axes.axhspan(*found.pit_band, color=COLOURS["line"], alpha=0.6, lw=0)
        axes.stairs(found.pit_share, found.pit_edges, fill=True, color=COLOURS["mc"], alpha=0.2)
        axes.stairs(found.pit_share, found.pit_edges, color=COLOURS["mc"], lw=1.6)
        axes.set(xlim=(0, 1), xlabel="Where the target falls in its prediction")
        axes.set_ylabel("Share of targets")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(_percent_ticks)
        return _finish(axes, name, "Histogram of the probability integral transform.")


def error_against_spread(found: Regression, name: str) -> Figure:
    """Draws the error in bins of the predicted standard deviation."""
    with _panel() as axes:
        ends = np.array([0.0, float(max(found.bin_std.max(), np.nanmax(found.bin_error)))])
        axes.plot(ends, ends, color=COLOURS["soft"], lw=1.0, ls=(0, (4, 3)))
        axes.vlines(found.bin_std, found.bin_low, found.bin_high, color=COLOURS["mc"], lw=1.6)
        axes.plot(found.bin_std, found.bin_error, "o-", color=COLOURS["mc"], lw=1.2, ms=5.5)
        axes.set(xlabel="Predicted standard deviation", ylabel="Root mean squared error")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        return _finish(axes, name, "Root mean squared error against predicted deviation.")


def compared_selective(curves: Sequence[Selective], name: str) -> Figure:
    """Draws the curves of several models over coverage, one colour and mark each."""
    accuracy = curves[0].quality == "accuracy"
    label = "Accuracy" if accuracy else "Root mean squared error"
    with _panel(_WIDE) as axes:
        for index, curve in enumerate(curves):
            place = index % len(MODEL_COLOURS)
            axes.plot(
                curve.coverage,
                curve.value,
                color=COLOURS[MODEL_COLOURS[place]],
                lw=1.9,
                marker=MODEL_MARKS[place],
                markevery=max(1, curve.coverage.size // 10),
                ms=5,
            )
        axes.set(xlabel="Coverage: share of predictions accepted", ylabel=f"{label} of those")
        limits = np.array([_selective_limits(curve) for curve in curves])
        axes.set_xlim(0, 1)
        axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        axes.xaxis.set_major_formatter(_percent_ticks)
        if accuracy:
            axes.yaxis.set_major_formatter(_percent_ticks)
        return _finish(axes, name, f"{label} against coverage for {len(curves)} models.")


def _percent_ticks(value: float, _position: float) -> str:
    return f"{value:.4%}".rstrip("%").rstrip("0").rstrip(".") + "%"
