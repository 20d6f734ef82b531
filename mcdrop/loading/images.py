"""Encoded images: what their headers say, and their pixels as Keras reads them."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.loading.options import ImageOptions

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ORIENTATION = 0x0112
_DECODED_BY_KERAS = frozenset({"JPEG", "MPO", "PNG"})
"""Formats whose pixels Pillow rounds otherwise than TensorFlow, which Keras decodes with."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Header:
    """What the header of an image says.

    Attributes:
        size: Height and width.
        is_deep: Whether its pixels have 16 bits.
        is_rotated: Whether a camera noted that it is to be shown rotated.
        is_animated: Whether it holds more than one frame.
    """

    size: tuple[int, int]
    is_deep: bool
    is_rotated: bool
    is_animated: bool


def is_image(data: bytes) -> bool:
    """Returns whether some bytes are an encoded image, going by their start."""
    try:
        with _opened(data, ""):
            return True
    except DataError:
        return False


def read_header(source: Path | bytes, name: str) -> Header:
    """Returns what the header of an image says, without decoding it."""
    with _opened(source, name) as image:
        return Header(
            (image.height, image.width),
            _is_deep(image),
            image.getexif().get(_ORIENTATION, 1) != 1,
            getattr(image, "n_frames", 1) > 1,
        )


def decode(source: Path | bytes, name: str, options: ImageOptions) -> Array:
    """Returns one image as an array of shape (height, width, channels).

    As in Keras, 16-bit pixels keep their upper 8 bits, transparency is dropped, a noted
    rotation is not applied, and of several frames the first is taken. The values are uint8, or
    float32 in [0, 255] when the image had to be resized.

    Raises:
        DataError: The source is no image, is damaged, or has 32-bit pixels.
    """
    with _opened(source, name) as image:
        if image.format in _DECODED_BY_KERAS:
            pixels = _decode_as_keras(source, name, options.channels)
        else:
            pixels = _read_pixels(image, name, options.channels)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if options.size in (None, pixels.shape[:2]):
        return pixels
    return _resize(pixels, options.size)


def _decode_as_keras(source: Path | bytes, name: str, channels: int) -> Array:
    """Returns the pixels of an image to the bit as `keras.utils.image_dataset_from_directory`."""
    import tensorflow as tf

    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        return tf.io.decode_image(data, channels, expand_animations=False).numpy()
    except tf.errors.OpError:
        raise DataError(f"{name} is a damaged image (its pixels cannot be decoded).") from None


def _read_pixels(image: Any, name: str, channels: int) -> Array:
    from PIL import Image

    if _is_deep(image):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode[0] in "IF":
        raise DataError(
            f"{name} has pixels of 32 bits (mode {image.mode}), which no image model is trained on "
            "as a file. Save the images as arrays in an .npz file instead."
        )
    return np.asarray(image.convert(_MODES[channels]))


def _is_deep(image: Any) -> bool:
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")


@contextlib.contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[Any]:
    """Opens an image, refusing files that are none, are damaged, or of absurd size."""
    from PIL import Image, UnidentifiedImageError

    file: Path | IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged notes of a camera harm no pixel
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                yield image
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image, whatever its name says.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
        raise DataError(f"{name} is too large an image ({problem}).") from None
    except PermissionError as problem:
        raise DataError(f"{name} cannot be read ({problem.strerror}).") from None
    except (DataError, MemoryError):
        raise
    except Exception as problem:  # Pillow's readers raise what they like for damaged files
        raise DataError(f"{name} is a damaged image ({problem}).") from None


def _resize(pixels: Array, size: tuple[int, int]) -> Array:
    """Resizes as `keras.utils.image_dataset_from_directory` does, so as to match training."""
    import keras
    import tensorflow as tf

    try:
        resized = keras.ops.image.resize(pixels.astype(np.float32), size, interpolation="bilinear")
    except tf.errors.ResourceExhaustedError:
        raise MemoryError from None
    return keras.ops.convert_to_numpy(resized)
