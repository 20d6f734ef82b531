"""Figures as SVG for the page: the drawings of `mcdrop.plot`, themed and self-contained.

Colours are written as CSS variables with a light fallback, so that one figure serves the light
and the dark page; text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from mcdrop.plot.palette import LIGHT

UNIT = 72.0
"""Drawing units an inch; type has one size because figures are drawn at the size they show."""

SIZES = {"panel": (5.2, 3.9), "square": (4.8, 4.4), "small": (3.65, 3.1), "wide": (5.8, 4.0)}
"""Width and height of a figure in inches: each fits its column of the page unscaled."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mcdrop",
    "font.family": ["sans-serif"],
    "font.size": 12.0,
    "axes.labelsize": 12.0,
    "axes.titlesize": 12.0,
    "legend.fontsize": 12.0,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "axes.edgecolor": LIGHT["line"],
    "axes.labelcolor": LIGHT["soft"],
    "axes.linewidth": 1.0,
    "xtick.color": LIGHT["line"],
    "ytick.color": LIGHT["line"],
    "xtick.labelcolor": LIGHT["soft"],
    "ytick.labelcolor": LIGHT["soft"],
    "text.color": LIGHT["ink"],
    "grid.color": LIGHT["line"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": True,
    "path.simplify": True,
}
"""What the look depends on, on top of matplotlib's own defaults: a user's settings change none."""


@dataclass(frozen=True)
class Figure:
    """A drawn figure.

    Attributes:
        name: File name without ending, unique within a report.
        svg: The figure with plain colours, a file of its own.
        alt: What it shows, for those who cannot see it.
        width: Width in units of the page's pixels.
        plot_area: Left, right, top and bottom of the axes in the SVG's units.
        limits: Left, right, top and bottom of the axes in data units.
    """

    name: str
    svg: str
    alt: str
    width: float
    plot_area: tuple[float, float, float, float]
    limits: tuple[float, float, float, float]

    @property
    def inline(self) -> str:
        """The figure as an element of the page: themed, its ids made unique by its name."""
        text = self.svg[self.svg.index("<svg") :]
        for name, colour in LIGHT.items():
            text = text.replace(colour, f"var(--{name}, {colour})")
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{self.name}-", text)
        label = self.alt.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        style = f"max-width:{self.width:g}px"
        return text.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1)


def draw(name: str, alt: str, drawing: Callable[[Axes], Axes], size: str = "panel") -> Figure:
    """Returns what `drawing` draws on axes of its own."""
    with _look():
        canvas = Canvas(figsize=SIZES[size], layout="constrained")
        return _finish(drawing(canvas.subplots()), name, alt)


@contextmanager
def _look() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _finish(axes: Axes, name: str, alt: str) -> Figure:
    """Returns the drawn axes as a figure; must run within `_look`."""
    canvas = cast(Canvas, axes.figure)
    buffer = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas.savefig(buffer, format="svg", metadata=empty)
    box = axes.get_window_extent().transformed(canvas.transFigure.inverted())
    width, height = (UNIT * side for side in canvas.get_size_inches())
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    return Figure(
        name=name,
        svg=_rounded(
            re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
        ),
        alt=alt,
        # Twelve units of type become about 13.5 pixels, the size of captions.
        width=round(width * 1.12),
        plot_area=(
            float(box.x0 * width),
            float(box.x1 * width),
            float((1.0 - box.y1) * height),
            float((1.0 - box.y0) * height),
        ),
        limits=(float(left), float(right), float(top), float(bottom)),
    )


def _rounded(svg: str) -> str:
    """Returns an SVG with the coordinates of its paths in hundredths of a unit: half the size."""

    def shorter(path: re.Match[str]) -> str:
        return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", path[0])

    return re.sub(r'(?<= d=")[^"]+', shorter, svg)
