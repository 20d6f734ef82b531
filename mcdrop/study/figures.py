"""The figures of a study: curves over epochs, and differences with their intervals."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mcdrop.study.plan import Plan, short_name

_SIZE = (5.2, 3.4)
_STYLE = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8a8a",
    "axes.labelcolor": "#6b6b6b",
    "xtick.color": "#6b6b6b",
    "ytick.color": "#6b6b6b",
    "text.color": "#6b6b6b",
    "svg.fonttype": "none",
    "svg.hashsalt": "mcdrop",
}


def curves(plan: Plan, runs: pd.DataFrame, settings: list[str], name: str, *, legend: bool) -> str:
    """Returns a score over the study's axis, one line a setting, the mean over seeds, as SVG.

    Args:
        plan: The study.
        runs: Its table.
        settings: The settings to draw, of one group.
        name: Column of `runs`.
        legend: Whether to name the lines, beside the axes.
    """
    score = plan.scores[name]
    chosen = runs[runs["setting"].isin(settings)]
    palette = dict(zip(settings, sns.color_palette("viridis", len(settings)), strict=True))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.subplots()
        sns.lineplot(
            chosen.assign(**{name: chosen[name] * score.scale}),
            x=plan.axis,
            y=name,
            hue="setting",
            hue_order=settings,
            palette=palette,
            errorbar=None,
            legend=False,
            ax=axes,
        )
        unit = f", {score.unit}" if score.unit else ""
        axes.set(xlabel=plan.axis.replace("_", " "), ylabel=f"{score.title}{unit}")
        if plan.logarithmic:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if legend:
            lines = [Line2D([], [], color=palette[setting]) for setting in settings]
            figure.legend(
                lines,
                [short_name(setting) for setting in settings],
                loc="outside upper center",
                ncols=4,
                frameon=False,
                fontsize=8,
            )
        return _svg(figure)


def differences(plan: Plan, summary: pd.DataFrame, settings: list[str], name: str) -> str:
    """Returns the differences of settings to their references with their intervals, as SVG."""
    score = plan.scores[name]
    rows = summary[(summary["score"] == name) & summary["setting"].isin(settings)]
    with matplotlib.rc_context(_STYLE):
        figure = Figure((_SIZE[0], 0.9 + 0.3 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, (_, row) in enumerate(rows.iterrows()):
            ends = [row[key] * score.scale for key in ("difference_low", "difference_high")]
            axes.plot(ends, [place, place], color="#3a6ea5", linewidth=1.4)
            axes.plot(row["difference"] * score.scale, place, "o", color="#3a6ea5", markersize=4)
        axes.axvline(0.0, color="#8a8a8a", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [short_name(setting) for setting in rows["setting"]])
        axes.invert_yaxis()
        unit = f", {score.unit}" if score.unit else ""
        axes.set_xlabel(f"difference of {score.name}{unit}")
        return _svg(figure)


def histograms(layers: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    """Returns how the values above 0 of each layer are distributed, as pixels (height, width, 3).

    Args:
        layers: Activations of each layer, of any shape.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure((_SIZE[0], 2.2), dpi=100, layout="constrained", facecolor="white")
        canvas = FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(layers), squeeze=False)[0]
        for place, (axes, layer) in enumerate(zip(panels, layers, strict=True), start=1):
            positive = layer[layer > 0.0]
            axes.hist(positive, bins=40, density=positive.size > 0, color="#3a6ea5")
            zeros = f"{1.0 - positive.size / layer.size:.0%} zeros" if layer.size else ""
            axes.set(title=f"hidden layer {place}, {zeros}", yticks=[])
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
