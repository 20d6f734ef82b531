"""Data of the notebooks: from a folder, from Keras, or embedded, so that each runs offline.

Looked for in this order:

1. the folder that the environment variable MCDROP_DATA names, with files such as `mnist.npz`
   (`x_train`, `y_train`, `x_test`, `y_test`) and `uci/power-plant/data/data.txt`;
2. Keras's own data sets, which it downloads, unless MCDROP_QUICK is set;
3. a stand-in made of what scikit-learn and Pillow carry with them.

Every set says in `source` which of them it is. MCDROP_QUICK=1 makes everything small.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mcdrop.errors import DataError
from mcdrop.loading import load_named

Array = NDArray[np.float32]
Number = TypeVar("Number", int, float)

QUICK = os.environ.get("MCDROP_QUICK", "") not in ("", "0")
"""Whether the notebooks run small, as in continuous integration."""

NETWORK_TIMEOUT = 20.0
"""Seconds without an answer after which a download is given up."""

_TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
_LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images in [0, 1] with a last axis of channels, and their labels.

    Attributes:
        source: What the images are and where they came from, for a reader.
        x_train: Shape (N, H, W, channels), float32.
        y_train: Shape (N,), labels from 0.
        x_test: The same for the test part.
        y_test: The same for the test part.
        class_names: One name a class.
    """

    source: str
    x_train: Array
    y_train: NDArray[np.int64]
    x_test: Array
    y_test: NDArray[np.int64]
    class_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TableData:
    """Numbers in columns: features (N, D), and the target (N,) with its name and unit."""

    source: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    feature_names: tuple[str, ...]
    target_name: str


def pick(full: Number, quick: Number) -> Number:
    """Returns the first number, or the second when MCDROP_QUICK is set."""
    return quick if QUICK else full


def load_images(name: str, *, num_train: int, num_test: int) -> ImageData:
    """Returns at most so many images of "mnist", "fashion_mnist" or "cifar10", always the same."""
    place = _find(name)
    if place is None:
        return _embedded_images(name, num_train, num_test)
    train, test = load_named(name, split="train"), load_named(name, split="test")
    return ImageData(
        f"{_TITLES[name]}, {place}",
        *_some(train.x, train.y, num_train),
        *_some(test.x, test.y, num_test),
        train.class_names,
    )


def load_letters(num_images: int) -> tuple[str, Array]:
    """Returns a description and images (N, 28, 28, 1) of the letters A to J: no class of ours."""
    if _folder() is not None:
        with contextlib.suppress(DataError):
            found = load_named("notmnist", split="test")
            images, _ = _some(found.x, found.y, num_images)
            return "notMNIST, from the folder MCDROP_DATA", images
    return "letters drawn with Pillow, in place of notMNIST", _draw_letters(num_images)


def load_table() -> TableData:
    """Returns a regression: the power plant of UCI, California housing, or diabetes."""
    folder = _folder()
    if folder is not None and (folder / "uci/power-plant/data/data.txt").is_file():
        table = np.loadtxt(folder / "uci/power-plant/data/data.txt")
        names = ("temperature", "vacuum", "pressure", "humidity")
        source = "UCI combined cycle power plant, from the folder MCDROP_DATA"
        return TableData(source, table[:, :-1], table[:, -1], names, "energy output (MW)")
    return _download_housing() or _embedded_table()


def _folder() -> Path | None:
    folder = os.environ.get("MCDROP_DATA")
    return Path(folder) if folder and Path(folder).is_dir() else None


def _find(name: str) -> str | None:
    """Returns where a data set of Keras comes from, None when only a stand-in is to be had."""
    folder = _folder()
    if folder is not None and any(folder.glob(f"{name}*.npz")):
        return "from the folder MCDROP_DATA"
    if QUICK:
        return None
    with _patient_for(NETWORK_TIMEOUT), contextlib.suppress(DataError):
        load_named(name, split="test")
        return "downloaded by Keras"
    return None


@contextlib.contextmanager
def _patient_for(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _some(x: NDArray, y: NDArray, count: int) -> tuple[Array, NDArray[np.int64]]:
    """Returns `count` examples in a fixed random order, the images as floats with channels."""
    chosen = np.random.default_rng(0).permutation(len(x))[:count]
    images = x[chosen] if x.ndim == 4 else x[chosen][..., np.newaxis]
    return (images / np.float32(255)).astype(np.float32), y[chosen].astype(np.int64)


def _embedded_images(name: str, num_train: int, num_test: int) -> ImageData:
    colour = name == "cifar10"
    train, test = load_named("digits", split="train"), load_named("digits", split="test")
    size = 32 if colour else 28
    parts = []
    for seed, (part, count) in enumerate(((train, num_train), (test, num_test))):
        images = np.stack([_enlarge(image[..., 0], size) for image in part.x[:count]])
        labels = part.y[:count]
        parts += [_on_photographs(images, seed) if colour else images[..., np.newaxis], labels]
    what = "coloured digits on photographs" if colour else f"8x8 digits enlarged to {size}x{size}"
    source = f"scikit-learn's {what}, in place of {_TITLES[name]}"
    return ImageData(source, *parts, train.class_names)


def _enlarge(image: Array, size: int) -> Array:
    """Returns an 8x8 image at `size`, with the empty border that MNIST has."""
    inner = size - 8
    small = Image.fromarray(np.uint8(255 * image))
    large = small.resize((inner, inner), Image.Resampling.BICUBIC)
    return np.pad(np.asarray(large, dtype=np.float32) / 255, 4)


def _on_photographs(images: Array, seed: int) -> Array:
    """Returns the images painted in random colours over random crops of two photographs."""
    from sklearn.datasets import load_sample_images

    generator = np.random.default_rng(seed)
    photographs = [photo[::4, ::4] / np.float32(255) for photo in load_sample_images().images]
    size = images.shape[1]
    crops = []
    for _ in images:
        photo = photographs[generator.integers(len(photographs))]
        row, column = (generator.integers(side - size + 1) for side in photo.shape[:2])
        crops.append(photo[row : row + size, column : column + size])
    colours = generator.uniform(0.3, 1.0, (len(images), 1, 1, 3))
    ink = images[..., np.newaxis]
    return (ink * colours + (1 - ink) * np.stack(crops)).astype(np.float32)


def _draw_letters(num_images: int) -> Array:
    generator = np.random.default_rng(0)
    drawn = []
    for index in range(num_images):
        picture = Image.new("L", (28, 28))
        font = ImageFont.load_default(size=int(generator.integers(18, 26)))
        place = tuple(14 + generator.integers(-2, 3, size=2))
        letter = _LETTERS[index % len(_LETTERS)]
        ImageDraw.Draw(picture).text(place, letter, fill=255, font=font, anchor="mm")
        angle = float(generator.uniform(-20, 20))
        drawn.append(np.asarray(picture.rotate(angle, Image.Resampling.BICUBIC)))
    return np.stack(drawn)[..., np.newaxis].astype(np.float32) / 255


def _download_housing() -> TableData | None:
    if QUICK:
        return None
    import keras

    with _patient_for(NETWORK_TIMEOUT), contextlib.redirect_stdout(sys.stderr):
        try:
            x, y = keras.datasets.california_housing.load_data(test_split=0)[0]
        except Exception:  # Keras wraps every network failure in a plain Exception
            return None
    names = ("longitude", "latitude", "age", "rooms", "bedrooms", "people", "households", "income")
    source = "California housing, downloaded by Keras"
    return TableData(source, x.astype(float), y / 1000.0, names, "median price (1000 dollars)")


def _embedded_table() -> TableData:
    from sklearn.datasets import load_diabetes

    table = load_diabetes()
    source = "scikit-learn's diabetes, in place of the UCI power plant"
    return TableData(source, table.data, table.target, tuple(table.feature_names), "progression")
