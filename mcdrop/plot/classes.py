"""Drawings of classes: which is taken for which, and the images themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_array, check_count
from mcdrop.diagnostics.confusion import confusion_counts
from mcdrop.errors import DataError
from mcdrop.plot.axes import current_axes
from mcdrop.plot.inputs import class_forecasts
from mcdrop.plot.palette import LIGHT
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[Any]

LONGEST_NAME = 16


def confusion_matrix(
    forecast: Prediction | ArrayLike,
    y_true: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws how often each class was answered for each true class.

    The shade is the share of the true class (its row); the numbers are counts. Cells off the
    diagonal are mistakes.

    Args:
        forecast: A Prediction of classes, or class probabilities, shape (N, C) or (N, ..., C).
        y_true: Integer labels that fit.
        class_names: One name a class; numbers when None.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: Forecast and labels do not fit, or there is not one name a class.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = confusion_matrix([[0.9, 0.1], [0.8, 0.2]], [0, 1], ax=Figure().subplots())
        >>> [text.get_text() for text in ax.texts]
        ['1', '1']
    """
    answers = next(iter(class_forecasts(forecast, y_true).values()))
    num_classes = answers.probabilities.shape[1]
    names = _as_texts("class_names", range(num_classes) if class_names is None else class_names)
    if len(names) != num_classes:
        raise DataError(f"`class_names` holds {len(names)} names, expected {num_classes}.")
    counts = confusion_counts(answers.labels, answers.probabilities.argmax(axis=1), num_classes)
    return draw_confusion_matrix(counts, names, current_axes(ax))


def draw_confusion_matrix(counts: Array, names: Sequence[str], ax: Axes) -> Axes:
    """Draws a matrix of counts, true class by answered class, shape (C, C)."""
    from matplotlib.colors import to_rgba

    total = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(total, 1)
    right = np.eye(len(names), dtype=bool)
    picture = np.empty((*counts.shape, 4))
    picture[right], picture[~right] = to_rgba(LIGHT["right"]), to_rgba(LIGHT["wrong"])
    # A single mistake among many must still be seen.
    picture[..., 3] = np.where(counts > 0, 0.08 + 0.72 * share, 0.0)
    ax.imshow(picture)
    for true, answered in np.argwhere(counts > 0):
        dark = picture[true, answered, 3] > 0.5
        ax.text(
            answered, true, f"{counts[true, answered]:,}", ha="center", va="center",
            color=LIGHT["paper"] if dark else LIGHT["ink"],
        )  # fmt: skip
    places = np.arange(len(names))
    short = [n if len(n) <= LONGEST_NAME else f"{n[: LONGEST_NAME - 1]}…" for n in names]
    ax.set_xticks(places, short, rotation=90 if max(map(len, short)) > 3 else 0)
    ax.set_yticks(places, short)
    ax.tick_params(length=0)
    ax.set(xlabel="answered", ylabel="true")
    ax.spines[:].set_visible(False)
    return ax


def image_grid(
    images: ArrayLike,
    titles: Sequence[str] | None = None,
    *,
    num_columns: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Draws images side by side on one pair of axes, each with a title below it.

    Args:
        images: Shape (N, H, W) or (N, H, W, channels) with 1, 3 or 4 channels; whole numbers
            up to 255 or fractions up to 1; other ranges are stretched to the data.
        titles: One short text an image, such as the answer and its uncertainty.
        num_columns: Images in a row.
        ax: Axes to draw on; None takes the current ones of pyplot.

    Returns:
        The axes.

    Raises:
        DataError: The array holds no images, or there is not one title an image.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = image_grid(np.zeros((3, 8, 8)), ["a", "b", "c"], ax=Figure().subplots())
        >>> len(ax.images), [text.get_text() for text in ax.texts]
        (3, ['a', 'b', 'c'])
    """
    pixels = as_array("images", images)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 3 else pixels
    if pixels.ndim != 4 or pixels.size == 0 or pixels.shape[-1] not in (1, 3, 4):
        raise DataError(
            f"`images` has shape {np.shape(images)}, expected (N, H, W) or (N, H, W, channels) "
            "with 1, 3 or 4 channels."
        )
    titles = None if titles is None else _as_texts("titles", titles)
    if titles is not None and len(titles) != len(pixels):
        raise DataError(f"`titles` holds {len(titles)} texts for {len(pixels)} images.")
    check_count("num_columns", num_columns, minimum=1)
    ax = current_axes(ax)
    low, high = _value_range(pixels)
    height, width = pixels.shape[1:3]
    columns, gap = min(num_columns, len(pixels)), 0.12 * width
    line = 0.32 * height if titles is not None else 0.0
    for index, image in enumerate(np.clip((pixels - low) / (high - low), 0.0, 1.0)):
        row, column = divmod(index, columns)
        left, top = column * (width + gap), row * (height + gap + line)
        shown = image[..., 0] if image.shape[-1] == 1 else image
        ax.imshow(
            shown, extent=(left, left + width, top + height, top), cmap="gray", vmin=0, vmax=1
        )
        if titles is not None:
            ax.text(
                left + width / 2, top + height + 0.5 * gap, titles[index], ha="center", va="top",
                fontsize="small", color=LIGHT["ink"],
            )  # fmt: skip
    rows = -(-len(pixels) // columns)
    ax.set(xlim=(0, columns * (width + gap) - gap), ylim=(rows * (height + gap + line), 0))
    ax.set_axis_off()
    return ax


def _value_range(pixels: Array) -> tuple[float, float]:
    """Returns the values shown as black and white: [0, 1] or [0, 255] when the data fit them."""
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and 128 <= high <= 255:
        return 0.0, 255.0
    return low, high if high > low else low + 1.0


def _as_texts(name: str, values: Any) -> list[str]:
    """Returns one text for each of some values."""
    single = isinstance(values, str) or getattr(values, "ndim", 1) == 0
    if single or not isinstance(values, Iterable):
        raise DataError(f"`{name}` is {values!r}, expected a list of texts.")
    return [str(value) for value in values]
