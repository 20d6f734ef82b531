"""Images and maps as small PNG data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE = 72
"""Longest side of a thumbnail in pixels; larger images are reduced, smaller ones kept."""
MAX_MAP_SIDE = 128

_PALETTE_SIZE = 128
# A perceptually ordered ramp, dark blue over teal to pale yellow: its lightness rises
# steadily, so that it also reads in grey and for every kind of colour blindness.
_RAMP = np.array(
    [
        (14, 18, 46),
        (26, 52, 94),
        (22, 94, 122),
        (40, 138, 134),
        (106, 178, 130),
        (190, 212, 128),
        (250, 242, 164),
    ],
    dtype=np.float64,
)
# Okabe and Ito's colours, which stay apart for colour-blind readers.
_CLASS_COLOURS = (
    (230, 230, 230),
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (240, 228, 66),
    (60, 60, 60),
)


def value_range(images: NDArray[Any]) -> tuple[float, float]:
    """Returns the values shown as black and white: [0, 1] or [0, 255] when the data fit them."""
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and 128 <= high <= 255:
        return 0.0, 255.0
    return low, high


def image_uri(image: NDArray[Any], limits: tuple[float, float], max_side: int = MAX_SIDE) -> str:
    """Returns an image of shape (H, W, channels) as a PNG data URI.

    One channel shows as grey, three as colour, four as colour without the fourth; any other
    number of channels is averaged to grey.
    """
    channels = image.shape[-1]
    picture = image[..., :3] if channels in (3, 4) else image.mean(axis=-1)
    return _uri(Image.fromarray(_as_bytes(picture, limits)), max_side, smooth=True)


def map_uri(values: NDArray[Any], limits: tuple[float, float]) -> str:
    """Returns a map of shape (H, W) as a PNG data URI, dark for low and bright for high."""
    shares = _as_bytes(values, limits).astype(np.float64) / 255.0
    positions = np.linspace(0.0, 1.0, len(_RAMP))
    planes = [np.interp(shares, positions, _RAMP[:, channel]) for channel in range(3)]
    return _uri(Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8)), MAX_MAP_SIDE)


def label_uri(labels: NDArray[Any], num_classes: int) -> str:
    """Returns a map of class labels of shape (H, W) as a PNG data URI; -1 shows as black."""
    colours = np.array([*class_colours(num_classes), (0, 0, 0)], dtype=np.uint8)
    return _uri(Image.fromarray(colours[labels]), MAX_MAP_SIDE)


def class_colours(num_classes: int) -> Sequence[tuple[int, int, int]]:
    """Returns a colour for each class; beyond nine they repeat at other brightness."""
    colours = []
    for index in range(num_classes):
        turn, place = divmod(index, len(_CLASS_COLOURS))
        dimmed = 0.72**turn
        red, green, blue = _CLASS_COLOURS[place]
        colours.append((int(red * dimmed), int(green * dimmed), int(blue * dimmed)))
    return colours


def ramp_css() -> str:
    """Returns the ramp of the maps as a CSS gradient, for their legend."""
    stops = ", ".join("#" + "".join(f"{int(c):02x}" for c in colour) for colour in _RAMP)
    return f"linear-gradient(to right, {stops})"


def _as_bytes(values: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = limits
    span = high - low if high > low else 1.0
    shares = np.clip((values.astype(np.float64) - low) / span, 0.0, 1.0)
    return np.round(shares * 255.0).astype(np.uint8)


def _uri(picture: Image.Image, max_side: int, *, smooth: bool = False) -> str:
    longest = max(picture.size)
    if longest > max_side:
        size = tuple(max(1, round(side * max_side / longest)) for side in picture.size)
        how = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
        picture = picture.resize((size[0], size[1]), how)
    if picture.mode == "RGB":
        # A palette halves the bytes again and cannot be told apart at this size.
        picture = picture.quantize(_PALETTE_SIZE, method=Image.Quantize.MEDIANCUT)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
