"""The look of the notebooks' figures: one palette, light axes, no chart junk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import seaborn as sns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE = "#0b5fc1"
GREY = "#767c85"
ORANGE = "#c8480a"
PURPLE = "#a3458e"
GREEN = "#00876c"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, GREY)
"""Blue is MC dropout, grey the deterministic prediction, orange what is wrong, purple what is
foreign, green what was repaired."""

_SETTINGS = {
    "figure.dpi": 90,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#b4bac1",
    "axes.labelcolor": "#3d444d",
    "axes.titlecolor": "#1b1f24",
    "axes.titlelocation": "left",
    "grid.color": "#e6e9ec",
    "xtick.color": "#b4bac1",
    "ytick.color": "#b4bac1",
    "xtick.labelcolor": "#3d444d",
    "ytick.labelcolor": "#3d444d",
    "legend.frameon": False,
}


def use_style() -> None:
    """Sets the look for all figures that follow."""
    sns.set_theme(context="notebook", style="ticks", palette=PALETTE, font_scale=0.85, rc=_SETTINGS)


def show_image(axes: Axes, image: Any, title: str = "", **options: Any) -> None:
    """Draws an image without ticks; grey images in [0, 1] come out black on white."""
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    grey = {} if image.ndim == 3 else {"cmap": "gray_r", "vmin": 0, "vmax": 1}
    axes.imshow(image, **(grey | options))
    axes.set_title(title, fontsize=9, loc="center")
    axes.set(xticks=[], yticks=[])
    sns.despine(ax=axes, left=True, bottom=True)
