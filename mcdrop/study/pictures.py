"""Images laid out in a grid, for the pages of studies that show some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GAP = 1


def tiles(rows: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    """Returns rows of grey images as one picture, white between them.

    Args:
        rows: Images of each row, shape (N, height, width) and values in [0, 1]; one size in all.

    Example:
        >>> tiles([np.zeros((3, 2, 2)), np.ones((3, 2, 2))]).shape
        (5, 8)
    """
    count, height, width = max(len(row) for row in rows), *rows[0].shape[1:3]
    shape = len(rows) * (height + _GAP) - _GAP, count * (width + _GAP) - _GAP
    sheet = np.full(shape, 255, dtype=np.uint8)
    for place, row in enumerate(rows):
        top = place * (height + _GAP)
        for column, image in enumerate(np.round(np.clip(row, 0.0, 1.0) * 255.0).astype(np.uint8)):
            left = column * (width + _GAP)
            sheet[top : top + height, left : left + width] = image
    return sheet


def stretched(images: NDArray[Any]) -> NDArray[np.float64]:
    """Returns images scaled together so that the largest value is 1, where it is above 0."""
    largest = float(images.max())
    return np.asarray(images / largest if largest > 0.0 else images, dtype=np.float64)
