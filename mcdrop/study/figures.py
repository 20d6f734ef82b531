"""The figures of a study: curves over epochs, and differences with their intervals."""

from __future__ import annotations

import io
from typing import Any

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mcdrop.study.answers import QUANTITIES

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


def curves(runs: pd.DataFrame, settings: list[str], score: str, title: str, *, legend: bool) -> str:
    """Returns a score over epochs, one line a setting, the mean over seeds, as SVG.

    Args:
        runs: One row a run and epoch.
        settings: The settings to draw, of one network.
        score: Column of `runs`.
        title: Label of the axis.
        legend: Whether to name the lines, beside the axes.
    """
    chosen = runs[runs["setting"].isin(settings)]
    palette = dict(zip(settings, sns.color_palette("viridis", len(settings)), strict=True))
    with matplotlib.rc_context(_STYLE):
        figure = Figure(_SIZE, layout="constrained")
        axes = figure.subplots()
        sns.lineplot(
            chosen,
            x="epoch",
            y=score,
            hue="setting",
            hue_order=settings,
            palette=palette,
            errorbar=None,
            legend=False,
            ax=axes,
        )
        axes.set(xlabel="epoch", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if legend:
            lines = [Line2D([], [], color=palette[name]) for name in settings]
            figure.legend(
                lines,
                [short(name) for name in settings],
                loc="outside upper center",
                ncols=4,
                frameon=False,
                fontsize=8,
            )
        return _svg(figure)


def differences(summary: pd.DataFrame, settings: list[str], score: str) -> str:
    """Returns the differences of settings to their references with their intervals, as SVG."""
    quantity = QUANTITIES[score]
    rows = summary[(summary["score"] == score) & summary["setting"].isin(settings)]
    with matplotlib.rc_context(_STYLE):
        figure = Figure((_SIZE[0], 0.9 + 0.3 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for place, (_, row) in enumerate(rows.iterrows()):
            ends = [row[key] * quantity.scale for key in ("difference_low", "difference_high")]
            axes.plot(ends, [place, place], color="#3a6ea5", linewidth=1.4)
            axes.plot(row["difference"] * quantity.scale, place, "o", color="#3a6ea5", markersize=4)
        axes.axvline(0.0, color="#8a8a8a", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [short(name) for name in rows["setting"]])
        axes.invert_yaxis()
        unit = f", {quantity.unit}" if quantity.unit else ""
        axes.set_xlabel(f"difference of {quantity.title[0].lower()}{quantity.title[1:]}{unit}")
        return _svg(figure)


def short(setting: str) -> str:
    """Returns the name of a setting without that of its network, which the heading gives."""
    return setting.split(", ", 1)[-1]


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
