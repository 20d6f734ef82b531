"""Images made worse by degrees: turned, moved, blurred, noisy.

Degrees are in parts of the image's width, so that they mean the same for images of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Images = NDArray[np.float32]

SEVERITIES = (0, 1, 2, 3, 4, 5)
"""Degrees of a corruption; 0 leaves the images as they are."""

_DEGREES_A_STEP = 15.0
_WIDTH_A_STEP = 1 / 14  # two pixels of 28
_BLUR_A_STEP = 1 / 56  # half a pixel of 28
_NOISE_A_STEP = 0.15


def rotated(images: Images, severity: int, generator: np.random.Generator) -> Images:
    """Returns images turned by 15 degrees a step, by cubic splines, with black corners."""
    turned = ndimage.rotate(images, _DEGREES_A_STEP * severity, axes=(2, 1), reshape=False, order=3)
    return _in_range(turned)


def translated(images: Images, severity: int, generator: np.random.Generator) -> Images:
    """Returns images moved to the right by a fourteenth of their width a step, cyclically."""
    return np.roll(images, round(severity * _WIDTH_A_STEP * images.shape[2]), axis=2)


def blurred(images: Images, severity: int, generator: np.random.Generator) -> Images:
    """Returns images under a Gaussian of standard deviation 1/56 of their width a step."""
    width = severity * _BLUR_A_STEP * images.shape[2]
    return _in_range(ndimage.gaussian_filter(images, (0.0, width, width, 0.0)))


def noisy(images: Images, severity: int, generator: np.random.Generator) -> Images:
    """Returns images plus Gaussian noise of standard deviation 0.15 a step, cut to [0, 1]."""
    noise = generator.normal(scale=_NOISE_A_STEP * severity, size=images.shape)
    return _in_range(images + noise)


CORRUPTIONS: Mapping[str, Callable[[Images, int, np.random.Generator], Images]] = {
    "rotated": rotated,
    "translated": translated,
    "blurred": blurred,
    "noisy": noisy,
}
"""The corruptions by name: images (N, height, width, channels) in [0, 1], degree, generator."""


def corrupt(images: Images, name: str, severity: int) -> Images:
    """Returns corrupted images, the same ones at each call.

    Example:
        >>> images = np.zeros((1, 14, 14, 1), dtype=np.float32)
        >>> images[0, 7, 3] = 1.0
        >>> np.argwhere(corrupt(images, "translated", 2)[0, ..., 0]).tolist()
        [[7, 5]]
    """
    if severity == 0:
        return images
    generator = np.random.default_rng([list(CORRUPTIONS).index(name), severity])
    return CORRUPTIONS[name](images, severity, generator)


def shuffled(images: Images) -> Images:
    """Returns images whose pixels lie in one random order: the same grey values, no shapes."""
    count, height, width, channels = images.shape
    order = np.random.default_rng(0).permutation(height * width)
    return images.reshape(count, -1, channels)[:, order].reshape(images.shape)


def _in_range(images: NDArray[np.floating]) -> Images:
    return np.asarray(np.clip(images, 0.0, 1.0), dtype=np.float32)
