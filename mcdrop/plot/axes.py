"""What all drawings share: the axes to draw on, and the look of their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcdrop.plot.palette import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DASHED: Any = (0, (4, 3))


def current_axes(ax: Axes | None) -> Axes:
    """Returns the axes given, or those of the current figure of pyplot."""
    if ax is not None:
        return ax
    # Importing pyplot chooses a backend, which a page that brings its own axes has no use for.
    from matplotlib import pyplot

    current: Axes = pyplot.gca()
    return current


def tidy(ax: Axes) -> Axes:
    """Takes the frame off and returns the axes."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def limit(
    ax: Axes, *, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None
) -> None:
    """Sets limits that hold the drawing, and what was drawn before on axes that share them."""
    if x is not None:
        ax.set_xlim(x if ax.get_autoscalex_on() else _union(x, ax.get_xlim()))
    if y is not None:
        ax.set_ylim(y if ax.get_autoscaley_on() else _union(y, ax.get_ylim()))


def _union(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return min(first[0], second[0]), max(first[1], second[1])


def legend(ax: Axes, **options: Any) -> None:
    """Adds a legend without a frame where there is something to tell."""
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        ax.legend(handles, labels, frameon=False, handlelength=1.4, **options)


def diagonal(ax: Axes, ends: tuple[float, float] = (0.0, 1.0)) -> None:
    """Draws the line of agreement."""
    ax.plot(ends, ends, color=LIGHT["soft"], lw=1.0, ls=DASHED, zorder=1)


def percent_tick(value: float, _position: float = 0.0) -> str:
    """Returns a share as the label of a tick, with no more digits than it needs."""
    return f"{value:.4%}".rstrip("%").rstrip("0").rstrip(".").replace("-", "\N{MINUS SIGN}") + "%"


def point_tick(value: float, _position: float = 0.0) -> str:
    """Returns a difference of shares in points as the label of a tick."""
    text = percent_tick(value)[:-1]
    return f"+{text}" if value > 0 else text
