"""Folders of images by class, and images inside tables, decoded block by block."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Array = NDArray[Any]


@dataclass(frozen=True)
class ImageOptions:
    """How images are decoded: `channels` 1, 3 or 4, and `size` (height, width) or None to keep."""

    channels: int = 3
    size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Image files of one size, shape (N, height, width, channels)."""

    paths: Sequence[Path]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    options: ImageOptions

    def blocks(self, size: int) -> Iterator[Array]:
        """Yields decoded images: uint8 as stored, float32 in [0, 255] when resized."""
        for start in range(0, len(self.paths), size):
            chosen = self.paths[start : start + size]
            yield np.stack([decode(path, str(path), self.options) for path in chosen])


def open_folder(
    folder: Path, options: ImageOptions
) -> tuple[ImageRows, NDArray[np.int64] | None, tuple[str, ...] | None]:
    """Returns the images of a folder, their labels and the class names.

    Each subfolder is a class, numbered in alphabetical order as
    `keras.utils.image_dataset_from_directory` does. A folder without subfolders gives images
    without labels.

    Raises:
        DataError: There is no image, a file is no image, or the sizes differ.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    groups = [_list_images(path) for path in classes] if classes else [_list_images(folder)]
    paths = [path for group in groups for path in group]
    if not paths:
        raise DataError(
            f"{folder} holds no images ({', '.join(SUFFIXES)}); expected one subfolder a class."
        )
    size = options.size or _common_size(paths)
    dtype = np.dtype(np.uint8 if options.size is None else np.float32)
    rows = ImageRows(paths, (len(paths), *size, options.channels), dtype, options)
    if not classes:
        return rows, None, None
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return rows, labels, tuple(path.name for path in classes)


def decode(source: Path | bytes, name: str, options: ImageOptions) -> Array:
    """Returns one image as an array of shape (height, width, channels)."""
    with _opened(source, name) as image:
        if image.mode[0] in "IF":
            raise DataError(
                f"{name} has pixels of more than 8 bits (mode {image.mode}). Save the images as "
                "arrays in an .npz file instead."
            )
        try:
            pixels = np.asarray(image.convert(_MODES[options.channels]))
        except (OSError, ValueError, SyntaxError) as problem:
            raise DataError(f"{name} is a damaged image ({problem}).") from None
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    return pixels if options.size is None else _resize(pixels, options.size)


def _list_images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Returns the (height, width) that all images share; reads headers only."""
    sizes: dict[tuple[int, int], Path] = {}
    for path in paths:
        with _opened(path, str(path)) as image:
            sizes.setdefault((image.height, image.width), path)
        if len(sizes) > 1:
            (first, path_a), (second, path_b) = sizes.items()
            raise DataError(
                f"The images have different sizes: {path_a} is {first[0]}x{first[1]}, {path_b} is "
                f"{second[0]}x{second[1]}. Pass the size the model was trained on, as in "
                f"--image-size {first[0]}x{first[1]}."
            )
    return next(iter(sizes))


def _opened(source: Path | bytes, name: str) -> Any:
    """Opens an image, refusing files that are none and images of absurd size."""
    from PIL import Image, UnidentifiedImageError

    file: Path | IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file)
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image, whatever its name says.") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as problem:
        raise DataError(f"{name} is too large an image ({problem}).") from None
    except OSError as problem:
        raise DataError(f"{name} cannot be read ({problem}).") from None


def _resize(pixels: Array, size: tuple[int, int]) -> Array:
    """Resizes as `keras.utils.image_dataset_from_directory` does, so as to match training."""
    import keras

    resized = keras.ops.image.resize(pixels.astype(np.float32), size, interpolation="bilinear")
    return keras.ops.convert_to_numpy(resized)
