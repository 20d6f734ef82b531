"""What dropout does to hidden activations: their distribution, sparsity and variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mcdrop.study.catalog import STUDIES
from mcdrop.study.figures import histograms
from mcdrop.study.images import plan_networks
from mcdrop.study.pictures import stretched, tiles
from mcdrop.study.plan import POINTS, Found, Plan, Request, Row, Score, Tick, beside
from mcdrop.study.training import Trainer, accuracy, predict_probabilities

_MEASURED = 500
"""Test images on which activations are measured."""

_HISTOGRAMS = "{}: activations above 0 of each hidden layer after training, dropout off."
_MAPS = "{}: a test image, and what the first convolution makes of it after training."
_SETTINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "mlp, none": ("mlp", {}),
    "mlp, rate 0.2": ("mlp", {"rates": (0.2, 0.2)}),
    "mlp, rate 0.5": ("mlp", {"rates": (0.5, 0.5)}),
    "cnn, none": ("cnn", {}),
    "cnn, rate 0.2": ("cnn", {"convolution_rate": 0.2, "dense_rate": 0.2}),
    "cnn, rate 0.5": ("cnn", {"convolution_rate": 0.5, "dense_rate": 0.5}),
}
_MEASURES = {
    "sparsity": Score("share of zeros", "points", POINTS, 2),
    "variance": Score("variance over images"),
    "dead": Score("units never active", "points", POINTS, 2),
}


def _scores() -> dict[str, Score]:
    found = {"test_accuracy": Score("Test accuracy", "points", POINTS, 2)}
    for place in (1, 2, 3):
        for name, score in _MEASURES.items():
            title = f"Hidden layer {place}: {score.title}"
            found[f"{name}_{place}"] = replace(score, title=title)
            if name != "dead":
                found[f"{name}_{place}_with_dropout"] = replace(score, title=f"{title}, dropout on")
    return found


def plan(request: Request) -> Plan:
    """Returns the study; every setting is set beside the same network without dropout."""
    return Plan(
        name="activations",
        question=STUDIES["activations"],
        references=beside(_SETTINGS, "none"),
        headline="mlp, rate 0.5",
        scores=_scores(),
        spoken=("sparsity_1", "variance_1", "sparsity_2", "variance_2", "test_accuracy"),
        drawn=("sparsity_1", "variance_1", "sparsity_2", "variance_2"),
        pictures={
            **{f"{_slug(name)}-distribution": _HISTOGRAMS.format(name) for name in _SETTINGS},
            **{f"{_slug(name)}-maps": _MAPS.format(name) for name in _SETTINGS},
        },
        **plan_networks(request, _SETTINGS, _measure),
    )


def _slug(setting: str) -> str:
    return setting.replace(", ", "-").replace(" ", "-")


def _measure(trainer: Trainer, setting: str, seed: int, tick: Tick) -> Found:
    """Returns the measures of every epoch, and pictures for the first seed."""
    model, test = trainer.model(seed), trainer.sets.test
    x = test.x[:_MEASURED]
    hidden = hidden_outputs(model)
    rows: list[Row] = []

    def measure(epoch: int, logs: Any) -> None:
        right = accuracy(predict_probabilities(model, test.x), test.y)
        row: Row = {"setting": setting, "seed": seed, "epoch": epoch + 1, "test_accuracy": right}
        rows.append(row | measures(hidden(x, training=False), hidden(x, training=True)))
        tick()

    trainer.train(model, seed, [keras.callbacks.LambdaCallback(on_epoch_end=measure)])
    if seed != 0:
        return Found(rows)
    outputs = [np.asarray(output) for output in hidden(x, training=False)]
    pictures = {f"{_slug(setting)}-distribution": histograms(outputs)}
    if outputs[0].ndim == 4:
        images = x[0, ..., 0], *np.moveaxis(outputs[0][0], -1, 0)
        pictures[f"{_slug(setting)}-maps"] = tiles([stretched(np.stack(images))])
    return Found(rows, pictures)


def hidden_outputs(model: keras.Model) -> Any:
    """Returns a function of images that gives the activations of every hidden layer."""
    weighted = keras.layers.Dense, keras.layers.Conv2D
    layers = [layer for layer in model.layers if isinstance(layer, weighted)][:-1]
    inner = keras.Model(model.inputs, [layer.output for layer in layers])
    return tf.function(lambda x, training: inner(x, training=training))


def measures(plain: Any, dropped: Any) -> Row:
    """Returns sparsity, variance and dead units of each hidden layer.

    The sparsity is the share of zeros, the variance that of a unit over images, averaged over the
    units, and a unit is dead that is 0 for all images.

    Args:
        plain: Activations of each layer with dropout off, shapes (N, ...).
        dropped: The same with dropout on.
    """
    found: Row = {}
    for place, (off, on) in enumerate(zip(plain, dropped, strict=True), start=1):
        for suffix, output in (("", np.asarray(off)), ("_with_dropout", np.asarray(on))):
            found[f"sparsity_{place}{suffix}"] = float((output == 0.0).mean())
            found[f"variance_{place}{suffix}"] = float(output.var(axis=0, dtype=np.float64).mean())
        found[f"dead_{place}"] = float((np.asarray(off) == 0.0).all(axis=0).mean())
    return found
