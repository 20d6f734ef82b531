"""Data sets by name: the embedded digits, Keras's own, and those in the folder MCDROP_DATA."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop._checks import check_choice
from mcdrop.errors import DataError
from mcdrop.files.archives import ByteSource, list_members
from mcdrop.loading.rows import npy_rows, read

DATA_VARIABLE = "MCDROP_DATA"
SPLITS = ("train", "test")

_KERAS_CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}
KNOWN_NAMES = ("digits", *_KERAS_CLASS_NAMES)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images, their labels, and the names of the classes where the labels count them from 0."""

    x: NDArray[Any]
    y: NDArray[Any]
    class_names: tuple[str, ...] | None


def is_named(name: str) -> bool:
    """Returns whether `name` is a known data set, or one in the folder MCDROP_DATA."""
    plain = name.replace("_", "").isalnum()
    return plain and (name in KNOWN_NAMES or _find_file(name, "test") is not None)


def load_named(name: str, *, split: str = "test") -> ImageSet:
    """Returns one part of a data set by name.

    `digits` is scikit-learn's and needs no network: 8x8 images of shape (N, 8, 8, 1) in
    [0, 1], a third of them in the test part. `mnist`, `fashion_mnist` and `cifar10` are uint8
    images in [0, 255] as Keras gives them, taken from `NAME.npz` or `NAME_SPLIT.npz` in the
    folder that the environment variable MCDROP_DATA names, and downloaded by Keras
    otherwise. Any other such file in that folder can be named too.

    Args:
        name: Name of the data set.
        split: "train" or "test".

    Raises:
        DataError: The name is unknown, or the data can be neither found nor downloaded.

    Example:
        >>> load_named("digits").x.shape
        (599, 8, 8, 1)
    """
    check_choice("split", split, SPLITS)
    if name == "digits":
        return _load_digits(split)
    file = _find_file(name, split)
    if file is not None:
        return _load_file(name, file, split)
    if name not in _KERAS_CLASS_NAMES:
        raise DataError(
            f"There is no data set {name!r}. Known are {', '.join(KNOWN_NAMES)}, and NAME.npz in "
            f"the folder that {DATA_VARIABLE} names."
        )
    return _download(name, split)


def _load_digits(split: str) -> ImageSet:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images[..., np.newaxis] / 16.0).astype(np.float32)
    parts = train_test_split(
        images, digits.target, test_size=599, stratify=digits.target, random_state=0
    )
    which = SPLITS.index(split)
    return ImageSet(parts[which], parts[2 + which].astype(np.int64), tuple("0123456789"))


def _find_file(name: str, split: str) -> Path | None:
    """Returns the file of a data set in the folder MCDROP_DATA, when both exist."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        return None
    candidates = (Path(folder) / f"{name}_{split}.npz", Path(folder) / f"{name}.npz")
    return next((path for path in candidates if path.is_file()), None)


def _load_file(name: str, file: Path, split: str) -> ImageSet:
    members = list_members(file, DataError)
    keys = (f"x_{split}.npy", f"y_{split}.npy")
    if not set(keys) <= set(members):
        raise DataError(
            f"{file} has no x_{split} and y_{split}; it has {', '.join(sorted(members))}."
        )
    x, y = (_read_member(file, key) for key in keys)
    names = _KERAS_CLASS_NAMES.get(name)
    if "class_names.npy" in members:
        names = tuple(str(value) for value in _read_member(file, "class_names.npy"))
    labels = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if labels.dtype.kind in "iu" and labels.ndim == 1:
        labels = labels.astype(np.int64)
        names = names or tuple(map(str, range(int(labels.max()) + 1)))
    return ImageSet(x, labels, names)


def _read_member(file: Path, member: str) -> NDArray[Any]:
    return read(npy_rows(f"{member} in {file}", ByteSource(file, member)))


def _download(name: str, split: str) -> ImageSet:
    import keras

    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress to stdout
            parts = getattr(keras.datasets, name).load_data()
    except Exception as problem:  # Keras wraps every network failure in a plain Exception
        raise DataError(
            f"The data set {name} could not be downloaded ({problem}). Put {name}.npz into a "
            f"folder and name that folder in the environment variable {DATA_VARIABLE}."
        ) from None
    x, y = parts[SPLITS.index(split)]
    return ImageSet(x, y.reshape(-1).astype(np.int64), _KERAS_CLASS_NAMES[name])
