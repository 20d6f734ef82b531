"""How the cost grows: with the passes, with the examples, with the place of the dropout."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

import mcdrop
from benchmarks import baselines
from benchmarks.measure import interleaved
from benchmarks.models import CASES, images


def by_passes(rounds: int) -> dict[int, float]:
    """Returns the cost of the MNIST CNN over D, by T, N = 512."""
    case = CASES["mnist"]
    model, x = case.build(), case.inputs(512)
    mc = mcdrop.MCDropout(model)
    ways: dict[Any, Any] = {"D": baselines.deterministic(model, x)}
    for count in (2, 10, 25, 50, 100, 200):
        ways[count] = lambda count=count: mc.predict(x, num_samples=count)
    seconds = interleaved(ways, rounds)
    return {count: seconds[count] / seconds["D"] for count in ways if count != "D"}


def by_examples(rounds: int) -> dict[int, float]:
    """Returns microseconds for one pass of one example of the MNIST CNN, by N, T = 50."""
    case = CASES["mnist"]
    model = case.build()
    mc = mcdrop.MCDropout(model)
    ways: dict[int, Any] = {}
    for count in (1, 8, 64, 512, 2048):
        x = case.inputs(count)
        ways[count] = lambda x=x: mc.predict(x, num_samples=50)
    seconds = interleaved(ways, rounds)
    return {count: 1e6 * s / (50 * count) for count, s in seconds.items()}


def by_position(rounds: int) -> dict[str, tuple[float, float]]:
    """Returns (share that runs once, cost over D) by the block that the one Dropout follows."""
    results = {}
    x = images(32, 32, 3)(256)
    for position in range(1, 5):
        keras.utils.set_random_seed(0)
        model = _one_dropout(position)
        mc = mcdrop.MCDropout(model)
        ways = {
            "D": baselines.deterministic(model, x),
            "mc": lambda mc=mc: mc.predict(x, num_samples=50),
        }
        seconds = interleaved(ways, rounds)
        name = f"after block {position}" if position < 4 else "before the last layer"
        results[name] = (mc.share_run_once, seconds["mc"] / seconds["D"])
    return results


def _one_dropout(position: int) -> Any:
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for block, filters in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation="relu")(x))
        if block == position:
            x = layers.Dropout(0.25)(x)
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    if position == 4:
        x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
