"""Folders of images, one subfolder a class, decoded block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.archives import list_folder, read_start
from mcdrop.loading.columns import listed
from mcdrop.loading.images import SUFFIXES, Header, decode, read_header
from mcdrop.loading.options import ImageOptions

PARTS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
)
"""Names of the parts of a data set, which are no classes."""

_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Image files of one size, shape (N, height, width, channels)."""

    paths: Sequence[Path]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    options: ImageOptions

    def blocks(self, size: int, start: int = 0) -> Iterator[Array]:
        """Yields decoded images: uint8 as stored, float32 in [0, 255] when some are resized."""
        for first in range(start, len(self.paths), size):
            chosen = self.paths[first : first + size]
            decoded = [decode(path, str(path), self.options) for path in chosen]
            yield np.stack(decoded).astype(self.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class OpenedFolder:
    """A folder as examples.

    Attributes:
        images: The images.
        labels: Number of each image's class, or None for a folder without subfolders.
        class_names: Names of the subfolders, or None.
        readings: What to say about how the folder was read.
    """

    images: ImageRows
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...] | None
    readings: tuple[str, ...]


def open_folder(folder: Path, options: ImageOptions) -> OpenedFolder:
    """Returns the images of a folder and their classes.

    Each subfolder is a class, numbered in alphabetical order as
    `keras.utils.image_dataset_from_directory` does. Hidden files and those that systems leave
    behind (`._*`, `.DS_Store`, `Thumbs.db`, `__MACOSX`) are no data.

    Raises:
        DataError: There is no image, a file or folder cannot be read or is a link that leaves
            the folder, the subfolders are parts of a data set, or the images have different
            sizes and `options` gives none.
    """
    classes = [path for path in _list(folder) if path.is_dir()]
    _check_classes(folder, classes)
    above = (realpath(folder),)
    groups = [_find_images(path, folder, above) for path in classes]
    groups = groups or [_find_images(folder, folder)]
    paths = [path for group in groups for path in group]
    if not paths:
        raise DataError(
            f"{folder} holds no images ({', '.join(SUFFIXES)}); expected one subfolder a class."
        )
    headers = [read_header(path, str(path)) for path in paths]
    size = options.size or _common_size(paths, headers)
    options = ImageOptions(options.channels, size)
    is_resized = any(header.size != size for header in headers)
    dtype = np.dtype(np.float32 if is_resized else np.uint8)
    images = ImageRows(paths, (len(paths), *size, options.channels), dtype, options)
    readings = [*_tell_headers(headers, size), *_tell_left_out(folder, classes, groups)]
    if not classes:
        return OpenedFolder(images, None, None, tuple(readings))
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    names = tuple(path.name for path in classes)
    readings.append(f"The classes are the subfolders in alphabetical order: {_numbered(names)}.")
    return OpenedFolder(images, labels, names, tuple(readings))


def _numbered(names: Sequence[str]) -> str:
    return listed(f"{number} {name}" for number, name in enumerate(names))


def _list(folder: Path) -> list[Path]:
    """Returns what is in a folder in alphabetical order, without what systems leave behind."""
    found = list_folder(folder, DataError)
    return [path for path in found if path.name[0] != "." and path.name.lower() not in _LITTER]


def _find_images(folder: Path, root: Path, above: tuple[str, ...] = ()) -> list[Path]:
    """Returns the images in a folder and the folders below it."""
    place = realpath(folder)
    if place in above:
        raise DataError(f"{folder} is a link to a folder that it lies in. Remove it.")
    found = []
    for path in _list(folder):
        _check_link(path, root)
        if path.is_dir():
            found += _find_images(path, root, (*above, place))
        elif path.suffix.lower() in SUFFIXES:
            read_start(path, DataError)
            found.append(path)
    return found


def _check_link(path: Path, root: Path) -> None:
    if path.is_symlink() and not Path(realpath(path)).is_relative_to(realpath(root)):
        raise DataError(
            f"{path} is a link that leaves {root}, which mcdrop does not follow. Copy what it "
            "leads to into the folder."
        )


def _check_classes(folder: Path, classes: Sequence[Path]) -> None:
    """Refuses subfolders that are surely no classes."""
    names = [path.name for path in classes]
    if names and PARTS.issuperset(name.lower() for name in names):
        raise DataError(
            f"{folder} holds {listed(names)}: parts of a data set, not classes. Name one of them, "
            f"as in {folder / sorted(names)[0]}."
        )
    for path in classes:
        _check_link(path, folder)
    if len(classes) == 1 and not any(_is_image(path) for path in _list(classes[0])):
        inner = [path.name for path in _list(classes[0]) if path.is_dir()]
        if inner:
            raise DataError(
                f"{folder} holds the one folder {names[0]}, with {listed(inner)} inside. Name that "
                f"folder: {classes[0]}."
            )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def _common_size(paths: Sequence[Path], headers: Sequence[Header]) -> tuple[int, int]:
    """Returns the (height, width) that all images share."""
    first = headers[0].size
    for path, header in zip(paths, headers, strict=True):
        if header.size != first:
            raise DataError(
                f"The images have different sizes: {paths[0]} is {first[0]}x{first[1]}, {path} is "
                f"{header.size[0]}x{header.size[1]}, and the model takes any. Pass the size it was "
                "trained on, as in --image-size 224x224."
            )
    return first


def _tell_headers(headers: Sequence[Header], size: tuple[int, int]) -> Iterator[str]:
    """Yields what is done to images that are not already what the model takes."""
    sizes = Counter(header.size for header in headers if header.size != size)
    if sizes:
        examples = listed(f"{height}x{width}" for (height, width), _ in sizes.most_common())
        yield (
            f"{sum(sizes.values())} of {len(headers)} images are resized to {size[0]}x{size[1]} "
            f"(from {examples}) as keras.utils.image_dataset_from_directory does: bilinear, the "
            "whole image stretched."
        )
    for count, what in (
        (sum(header.is_deep for header in headers), "have 16 bits, of which the upper 8 are kept"),
        (sum(header.is_rotated for header in headers), "carry a rotation, which is not applied"),
        (sum(header.is_animated for header in headers), "have several frames; the first is read"),
    ):
        if count:
            yield f"{count} of {len(headers)} images {what}, as in Keras."


def _tell_left_out(
    folder: Path, classes: Sequence[Path], groups: Sequence[Sequence[Path]]
) -> Iterator[str]:
    """Yields what of the folder is not used."""
    beside = sum(_is_image(path) for path in _list(folder)) if classes else 0
    if beside:
        yield f"{beside} images beside the subfolders of {folder.name} are left out."
    others = sum(
        not path.is_dir() and not _is_image(path) for top in classes for path in _list(top)
    )
    if others:
        yield f"{others} files in the subfolders of {folder.name} are no images and left out."
    empty = [path.name for path, group in zip(classes, groups, strict=False) if not group]
    if empty:
        yield f"Classes without an image: {listed(empty)}."
