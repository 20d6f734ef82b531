"""What passes that share masks are worth, beside ordinary and balanced ones at equal time.

Trains four small models on MNIST and CIFAR-10 and writes what it measured of each into a folder,
one file for each model and way of sampling; what is there is not computed again. Prints the tables
of docs/how-to/choose-passes.md:

    MCDROP_DATA=... python -m benchmarks.splitting FOLDER
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

import mcdrop
from benchmarks.models import mnist_cnn, unet

Array = npt.NDArray[Any]

NUM_SAMPLES = 30
"""Ordinary passes whose processor time the other ways take, and whose error "auto" is to reach."""

POOL, EXAMPLES, MAPS = 240, 24, 4
"""Test examples, and how many of them, the least certain, are looked at; of maps, which have a
hundred predictions each, fewer."""

SEEDS, COPIES = 10, 30
"""300 runs: in each of 10 seeds every example comes 30 times, with masks of its own each time."""

REFERENCE_PASSES, REFERENCE_SEED = 6000, 10**6
WAYS = ("ordinary", "balanced", "split", "split, balanced", "auto", "auto, balanced")
"""Split passes take the time of the ordinary ones; those of "auto" are to have their error."""

NEVER_CHOSEN = 4
"""Draws of the last layer's masks that are shown where `splitting="auto"` takes ordinary passes."""


def images(name: str, part: str, count: int) -> tuple[Array, Array]:
    """Returns images in [0, 1] and labels."""
    folder = Path(os.environ["MCDROP_DATA"])
    file = f"cifar10_{part}.npz" if name == "cifar10" else "mnist.npz"
    with np.load(folder / file, allow_pickle=False) as archive:
        x, y = archive[f"x_{part}"], archive[f"y_{part}"]
    x = x if x.ndim == 4 else x[..., None]
    return x[:count].astype(np.float32) / 255.0, y[:count].reshape(-1).astype(np.int64)


def digits(part: str, count: int) -> tuple[Array, Array]:
    return images("mnist", part, count)


def pictures(part: str, count: int) -> tuple[Array, Array]:
    return images("cifar10", part, count)


def rows_of_digits(part: str, count: int) -> tuple[Array, Array]:
    """Returns digits as sequences of their 28 rows."""
    x, y = digits(part, count)
    return x[..., 0], y


def maps_of_digits(part: str, count: int) -> tuple[Array, Array]:
    """Returns digits of 16 x 16 pixels, and of each pixel the digit that it belongs to, or none."""
    x, y = digits(part, count)
    small = np.pad(x[:, ::2, ::2], ((0, 0), (1, 1), (1, 1), (0, 0)))
    return small, np.where(small[..., 0] > 0.25, 1 + y[:, None, None], 0)


def small_cifar_cnn() -> Any:
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Dropout(0.25)(layers.MaxPooling2D()(x))
    x = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def row_transformer() -> Any:
    inputs = keras.Input((28, 28))
    place = layers.Embedding(28, 32)(np.arange(28)[None])
    x = layers.Dense(32)(inputs) + place
    for _ in range(2):
        attention = layers.MultiHeadAttention(2, 16, dropout=0.1)
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(attention(x, x)))
        hidden = layers.Dense(32)(layers.Dense(64, activation="relu")(x))
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(hidden))
    x = layers.Dropout(0.5)(layers.Dense(64, activation="relu")(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def small_unet() -> Any:
    return unet(16, (8, 16, 32), classes=11)


Read = Callable[[str, int], tuple[Array, Array]]
MODELS: dict[str, tuple[str, Callable[[], Any], Read, int]] = {
    "mnist": ("CNN, MNIST", mnist_cnn, digits, 2),
    "cifar": ("CNN, CIFAR-10", small_cifar_cnn, pictures, 5),
    "transformer": ("Transformer, rows of MNIST", row_transformer, rows_of_digits, 4),
    "unet": ("U-Net, maps of MNIST", small_unet, maps_of_digits, 4),
}
"""Title, model, data, and epochs of training on 10,000 examples."""


def trained(name: str, folder: Path) -> tuple[Any, Array]:
    """Returns a model, trained once and kept in the folder, and the test examples."""
    _, build, read, epochs = MODELS[name]
    path = folder / f"{name}.keras"
    if not path.exists():
        keras.utils.set_random_seed(0)
        model = build()
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(*read("train", 10_000), epochs=epochs, batch_size=64, verbose=0)
        model.save(path)
    return keras.models.load_model(path), read("test", POOL)[0]


def counts_at_equal_time(auto: mcdrop.MCDropout, chosen: tuple[int, ...] | None) -> tuple[int, ...]:
    """Returns the chosen draws of the later stages, and as many first ones as the time allows."""
    (program, *_) = auto._samplers[0]._programs.values()
    work = np.array(program.costs(program.stages))
    counts = chosen or (0, *(1,) * (len(work) - 2), NEVER_CHOSEN)
    draws = np.cumprod((1, *counts[1:]))
    return (max(2, int(NUM_SAMPLES * work.sum() // (work @ draws))), *counts[1:])


def measure(name: str, folder: Path) -> None:
    """Writes what is missing of one model."""
    model, pool = trained(name, folder)
    ordinary = mcdrop.MCDropout(model)
    spread = ordinary.predict(pool, num_samples=20, seed=REFERENCE_SEED).variance
    count = EXAMPLES if spread.ndim == 2 else MAPS
    least_certain = np.argsort(-spread.reshape(POOL, -1).sum(axis=1))[:count]
    x = pool[least_certain]
    reference = _reference(ordinary, x, folder / f"{name}-reference.npz")
    autos = [mcdrop.MCDropout(model, splitting="auto", balanced=even) for even in (False, True)]
    chosen = [auto.choose_splitting(pool, num_samples=NUM_SAMPLES) for auto in autos]
    counts = counts_at_equal_time(autos[0], chosen[0].splitting)
    for way in WAYS:
        path = folder / f"{name}-{way.replace(', ', '-')}.json"
        even = way.endswith("balanced")
        splitting = {"split": counts, "auto": chosen[even].splitting}.get(way.split(",")[0])
        if path.exists() or (splitting is None and way.startswith("auto")):
            continue
        mc = mcdrop.MCDropout(model, balanced=even, splitting=splitting)
        found = _errors(mc, x, reference, None if splitting else NUM_SAMPLES)
        about = {"counts": splitting or (NUM_SAMPLES,), "reason": chosen[even].splitting_reason}
        path.write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")
        print(name, way, about, found, flush=True)


QUANTITIES = {
    "mean": "mean",
    "variance": "variance",
    "predictive_entropy": "predictive_entropy",
    "mutual_information": "mutual_information",
    "mutual_information_corrected": "mutual_information",
}
"""What is looked at, and what of the reference it estimates."""

STATED = {"mean": "monte_carlo_error", "mutual_information_corrected": "mutual_information_error"}


def _reference(mc: mcdrop.MCDropout, x: Array, path: Path) -> mcdrop.Prediction:
    if not path.exists():
        mc.predict(x, num_samples=REFERENCE_PASSES, seed=REFERENCE_SEED).save(path)
    return mcdrop.Prediction.load(path)


def _errors(
    mc: mcdrop.MCDropout, x: Array, reference: mcdrop.Prediction, num_samples: int | None
) -> dict[str, float]:
    """Returns root mean squared errors, biases and stated errors over all runs, and the time."""
    many = np.concatenate([x] * COPIES)
    squares = dict.fromkeys(QUANTITIES, 0.0)
    biases, stated = dict.fromkeys(QUANTITIES, 0.0), dict.fromkeys(STATED, 0.0)
    seconds = []
    for seed in range(SEEDS):
        start = time.process_time()
        found = mc.predict(many, num_samples=num_samples, seed=seed)
        seconds.append(time.process_time() - start)
        for quantity, truth in QUANTITIES.items():
            true = getattr(reference, truth)
            off = getattr(found, quantity).reshape(COPIES, *true.shape) - true
            squares[quantity] += float(np.square(off).mean()) / SEEDS
            biases[quantity] += float(off.mean() / true.mean()) / SEEDS
        for quantity, error in STATED.items():
            stated[quantity] += float(np.square(getattr(found, error)).mean()) / SEEDS
    result = {f"error_{name}": value**0.5 for name, value in squares.items()}
    result |= {f"bias_{name}": value for name, value in biases.items()}
    result |= {f"stated_{name}": value**0.5 for name, value in stated.items()}
    return result | {"seconds": float(np.median(seconds))}


def to_markdown(folder: Path) -> str:
    """Returns the tables of what is in the folder."""
    lines = [
        "| model, passes | time | mean | stated | variance | entropy | mutual information | "
        "corrected | stated | bias: variance | mutual information | corrected |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (title, *_) in MODELS.items():
        first: dict[str, Any] | None = None
        for way in WAYS:
            path = folder / f"{name}-{way.replace(', ', '-')}.json"
            if not path.exists():
                continue
            found = json.loads(path.read_text(encoding="utf-8"))
            first = first or found
            lines.append(_row(title if found is first else "", way, found, first))
    return "\n".join(lines)


def _row(title: str, way: str, found: dict[str, Any], first: dict[str, Any]) -> str:
    """Returns one row: errors as parts of those of ordinary passes, stated ones of the true."""
    counts = " x ".join(str(count) for count in found["counts"] if count > 1)
    more = f" = {prod(found['counts'])}" if len(found["counts"]) > 1 else ""
    cells = [f"{title}: {way}, {counts}{more} passes".removeprefix(": ")]
    cells.append(f"{found['seconds'] / first['seconds']:.2f}")
    for quantity in QUANTITIES:
        error = found[f"error_{quantity}"]
        cells.append(f"{error / first[f'error_{quantity}']:.2f}")
        if quantity in STATED:
            cells.append(f"{found[f'stated_{quantity}'] / error:.2f}")
    for quantity in ("variance", "mutual_information", "mutual_information_corrected"):
        cells.append(f"{100 * found[f'bias_{quantity}']:+.0f}%")
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.splitting", description=__doc__)
    parser.add_argument("folder", type=Path, help="where models and measurements are kept")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        measure(name, options.folder)
    print(to_markdown(options.folder))


if __name__ == "__main__":
    main()
