"""Regression data with fixed splits: the folders of the UCI experiments, and one that is embedded.

A folder holds, in itself or in `data/`, the table `data.txt`, the column numbers
`index_features.txt` and `index_target.txt`, the row numbers `index_train_I.txt` and
`index_test_I.txt` of each split I, and the grid: `dropout_rates.txt`, `tau_values.txt` (precisions
of the noise) and `n_hidden.txt` (units). Results of others lie in `results/` beside `data/`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from mcdrop.errors import DataError

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]

EMBEDDED = "diabetes"
_TABLE = "data.txt"
_SCORE_FILES = {"rmse": "test_MC_rmse", "log_likelihood": "test_ll"}
_NUM_EMBEDDED_SPLITS = 20


@dataclass(frozen=True, eq=False)
class RegressionData:
    """A table with its splits and the grid that is searched on it.

    Attributes:
        name: Name for a reader.
        x: Inputs, shape (N, D).
        y: Targets, shape (N,).
        splits: Row numbers of training and test set of each split.
        rates: Dropout rates to choose from.
        precisions: Precisions of the noise to choose from, in the unit of 1 / y squared.
        hidden: Units of the hidden layer.
        published: Test scores of others by name, one number a split; empty where there are none.
        published_epochs: How long theirs were trained; None where that is not known.
    """

    name: str
    x: FloatArray
    y: FloatArray
    splits: Sequence[tuple[Indices, Indices]]
    rates: Sequence[float]
    precisions: Sequence[float]
    hidden: int
    published: dict[str, FloatArray] = field(default_factory=dict)
    published_epochs: int | None = None


def load(source: str) -> list[RegressionData]:
    """Returns the data sets of a folder of the layout, or of a folder of such folders.

    Args:
        source: The folder; or "diabetes", scikit-learn's table, which needs none.

    Raises:
        DataError: There is no such folder, or a file of it is missing or does not fit.
    """
    if source == EMBEDDED:
        return [_diabetes()]
    folder = Path(source)
    if _holds_table(folder):
        return [_read(folder)]
    found = (
        sorted(path for path in folder.iterdir() if _holds_table(path)) if folder.is_dir() else []
    )
    if not found:
        raise DataError(
            f"{source!r} is no folder with {_TABLE}, or of such folders: the study uci reads "
            f"tables with fixed splits. Name such a folder, or {EMBEDDED!r}."
        )
    return [_read(path) for path in found]


def _holds_table(folder: Path) -> bool:
    return any((place / _TABLE).is_file() for place in (folder, folder / "data"))


def _read(folder: Path) -> RegressionData:
    place = folder if (folder / _TABLE).is_file() else folder / "data"
    table = _numbers(place / _TABLE, ndim=2)
    features = _whole(place / "index_features.txt", table.shape[1])
    target = _whole(place / "index_target.txt", table.shape[1])
    if target.size != 1 or target[0] in features:
        raise DataError(
            f"{place / 'index_target.txt'} names the columns {target.tolist()}, expected one that "
            "is not among the features."
        )
    splits = [_split(place, number, len(table)) for number in range(_count_splits(place))]
    published, multiplier = _published(folder / "results", len(splits))
    lengths = place / "n_epochs.txt"
    known = published and lengths.is_file()
    return RegressionData(
        folder.resolve().name,
        table[:, features],
        table[:, target[0]],
        splits,
        _grid(place / "dropout_rates.txt", below=1.0),
        _grid(place / "tau_values.txt", below=np.inf),
        int(_grid(place / "n_hidden.txt", below=np.inf)[0]),
        published,
        int(multiplier * _grid(lengths, below=np.inf)[0]) if known else None,
    )


def _count_splits(place: Path) -> int:
    """Returns the number of splits: one more than the highest that a file is named for."""
    numbers = [
        int(match[1])
        for path in place.glob("index_t*_*.txt")
        if (match := re.fullmatch(r"index_(?:train|test)_(\d+)", path.stem))
    ]
    if not numbers:
        raise DataError(f"{place} holds no index_train_0.txt: the splits are missing.")
    return max(numbers) + 1


def _split(place: Path, number: int, num_rows: int) -> tuple[Indices, Indices]:
    train, test = (
        _whole(place / f"index_{part}_{number}.txt", num_rows) for part in ("train", "test")
    )
    shared = np.intersect1d(train, test)
    if shared.size:
        raise DataError(
            f"Split {number} in {place} has row {shared[0]} both for training and for testing. "
            "Mend its index files."
        )
    return train, test


def _grid(path: Path, *, below: float) -> list[float]:
    values = _numbers(path, ndim=1)
    if (values <= 0.0).any() or (values >= below).any():
        raise DataError(f"{path} holds {values.tolist()}, expected numbers in (0, {below}).")
    return [float(value) for value in values]


def _whole(path: Path, limit: int) -> Indices:
    """Returns different whole numbers below a limit."""
    values = _numbers(path, ndim=1)
    whole = values.astype(np.intp)
    if (whole != values).any() or (whole < 0).any() or (whole >= limit).any():
        raise DataError(f"{path} holds other than whole numbers from 0 to {limit - 1}.")
    if len(np.unique(whole)) != len(whole):
        raise DataError(f"{path} names a row or column twice.")
    return whole


def _numbers(path: Path, *, ndim: Literal[1, 2]) -> FloatArray:
    try:
        values = np.loadtxt(path, ndmin=ndim)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as numbers: {error}.") from None
    if values.size == 0 or values.ndim != ndim or not np.isfinite(values).all():
        raise DataError(
            f"{path} holds numbers of shape {values.shape}, or some that are not finite; expected "
            f"{'a table' if ndim == 2 else 'a list'} of finite numbers."
        )
    return np.asarray(values)


def _published(folder: Path, num_splits: int) -> tuple[dict[str, FloatArray], int]:
    """Returns the scores that others left of their longest training, and its multiple of epochs."""
    found = {}
    multiplier = 0
    for score, stem in _SCORE_FILES.items():
        by_length = {
            int(match[1]): path
            for path in folder.glob(f"{stem}_*.txt")
            if (match := re.fullmatch(rf"{stem}_(\d+)_xepochs_1_hidden_layers", path.stem))
        }
        if not by_length:
            return {}, 0
        multiplier = max(by_length)
        path = by_length[multiplier]
        values = _numbers(path, ndim=1)
        if values.size != num_splits:
            raise DataError(f"{path} has {values.size} numbers for {num_splits} splits.")
        found[score] = values
    return found, multiplier


def _diabetes() -> RegressionData:
    """Returns scikit-learn's diabetes data; the precisions lie about that of the residuals."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    splits = []
    for seed in range(_NUM_EMBEDDED_SPLITS):
        order = np.random.default_rng(seed).permutation(len(y))
        cut = len(y) * 9 // 10
        splits.append((order[:cut], order[cut:]))
    precisions = [ratio / y.var() for ratio in (1.5, 2.0, 2.5)]
    return RegressionData(EMBEDDED, x, y, splits, (0.005, 0.01, 0.05, 0.1), precisions, 50)
