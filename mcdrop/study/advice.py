"""The common rules about dropout, each as a paired experiment on the networks of tutorials.

Grey images train the networks that tutorials train on MNIST, coloured ones that for CIFAR-10.
The network without dropout is the same network without its dropout layers. A widespread tutorial
puts dense layers in their place, which compares two architectures; "dense in place" does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import pandas as pd

from mcdrop.study import networks
from mcdrop.study.answers import TRAINED, answer
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import load_images, plan_networks
from mcdrop.study.networks import Shape
from mcdrop.study.paired import summarize
from mcdrop.study.plan import Plan, Request, beside

layers = keras.layers

LEARNING_RATE = 1e-3
"""Adam's own; "faster" is three times that."""


def perceptron(
    input_shape: Shape,
    num_classes: int,
    *,
    hidden: tuple[int, ...] = (128, 64),
    rates: tuple[float, ...] = (0.0, 0.0),
    dense_in_place: bool = False,
    learning_rate: float = LEARNING_RATE,
    **arguments: Any,
) -> keras.Model:
    """Returns a compiled perceptron of a tutorial; see `networks.mlp`.

    Args:
        input_shape: Shape of one example.
        num_classes: C.
        hidden: Units of the hidden layers.
        rates: Dropout rate behind each.
        dense_in_place: Put a dense layer of the same units wherever dropout would be.
        learning_rate: That of Adam.
        arguments: Others of `networks.mlp`.
    """
    if dense_in_place:
        hidden = tuple(units for units in hidden for _ in range(2))
        rates = (0.0,) * len(hidden)
    model = networks.mlp(input_shape, num_classes, hidden=hidden, rates=rates, **arguments)
    model.optimizer.learning_rate = learning_rate
    return model


def spatial_cnn(
    input_shape: Shape, num_classes: int, *, rates: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> keras.Model:
    """Returns a compiled network with SpatialDropout2D behind both convolutions.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: C.
        rates: Dropout rates behind the first and second convolution and the dense layer.
    """
    first, second, dense = rates
    steps = [
        keras.Input(input_shape),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        *networks.dropout(first, layers.SpatialDropout2D),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        *networks.dropout(second, layers.SpatialDropout2D),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        *networks.dropout(dense),
    ]
    return networks.classifier(steps, num_classes)


def colour_cnn(
    input_shape: Shape,
    num_classes: int,
    *,
    rates: tuple[float, float, float] = (0.0, 0.0, 0.0),
    augmentation: bool = True,
) -> keras.Model:
    """Returns the compiled network of the CIFAR-10 tutorials: two blocks, with augmentation.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: C.
        rates: Dropout rates behind the blocks and the dense layer.
        augmentation: Mirror and move the training images at random.
    """
    moved = [layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1)]
    steps: list[Any] = [keras.Input(input_shape), *(moved if augmentation else [])]
    for filters, rate in zip((32, 64), rates[:2], strict=True):
        steps += [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(),
            *networks.dropout(rate),
        ]
    dense = [layers.Flatten(), layers.Dense(512, activation="relu"), *networks.dropout(rates[2])]
    return networks.classifier([*steps, *dense], num_classes)


_BUILDERS: Mapping[str, Callable[..., keras.Model]] = {
    "perceptron": perceptron,
    "spatial_cnn": spatial_cnn,
    "colour_cnn": colour_cnn,
}

Settings = Mapping[str, tuple[str, Mapping[str, Any]]]

_TUTORIAL, _SWAPPED = {"rates": (0.2, 0.3)}, {"rates": (0.3, 0.2)}
_WIDE = {"hidden": (256, 128)}
_FAST = {"learning_rate": 3 * LEARNING_RATE}
_THREE = {"hidden": (128, 256, 128)}

_GREY: Settings = {
    "128-64, none": ("perceptron", {}),
    "128-64, 0.2 and 0.3": ("perceptron", _TUTORIAL),
    "128-64, 0.3 and 0.2": ("perceptron", _SWAPPED),
    "128-64, 0.5 and 0.5": ("perceptron", {"rates": (0.5, 0.5)}),
    "128-64, 0.2, none before the output": ("perceptron", {"rates": (0.2, 0.0)}),
    "128-64, L2": ("perceptron", {"l2": 1e-4}),
    "128-64, L2, 0.2 and 0.3": ("perceptron", {"l2": 1e-4, **_TUTORIAL}),
    "128-64, faster, none": ("perceptron", _FAST),
    "128-64, faster, 0.2 and 0.3": ("perceptron", {**_FAST, **_TUTORIAL}),
    "128-64, twice as wide, none": ("perceptron", _WIDE),
    "128-64, twice as wide, 0.2 and 0.3": ("perceptron", {**_WIDE, **_TUTORIAL}),
    "128-64, dense in place": ("perceptron", {"dense_in_place": True}),
    "128-256-128, none": ("perceptron", {**_THREE, "rates": (0.0, 0.0, 0.0)}),
    "128-256-128, 0.2, 0.4 and 0.3": ("perceptron", {**_THREE, "rates": (0.2, 0.4, 0.3)}),
    "128-256-128, 0.4, 0.2 and 0.3": ("perceptron", {**_THREE, "rates": (0.4, 0.2, 0.3)}),
    "128-256-128, dense in place": ("perceptron", {**_THREE, "dense_in_place": True}),
    "spatial cnn, none": ("spatial_cnn", {}),
    "spatial cnn, 0.2, 0.3 and 0.4": ("spatial_cnn", {"rates": (0.2, 0.3, 0.4)}),
    "spatial cnn, 0.4, 0.3 and 0.2": ("spatial_cnn", {"rates": (0.4, 0.3, 0.2)}),
}
_GREY_REFERENCES = beside(_GREY, "none") | {
    "128-64, 0.3 and 0.2": "128-64, 0.2 and 0.3",
    "128-64, 0.2, none before the output": "128-64, 0.2 and 0.3",
    "128-64, L2, 0.2 and 0.3": "128-64, 0.2 and 0.3",
    "128-64, faster, 0.2 and 0.3": "128-64, 0.2 and 0.3",
    "128-64, twice as wide, 0.2 and 0.3": "128-64, 0.2 and 0.3",
    "128-256-128, 0.4, 0.2 and 0.3": "128-256-128, 0.2, 0.4 and 0.3",
    "spatial cnn, 0.4, 0.3 and 0.2": "spatial cnn, 0.2, 0.3 and 0.4",
}
_COLOUR: Settings = {
    "colour cnn, none": ("colour_cnn", {}),
    "colour cnn, 0.25, 0.25 and 0.5": ("colour_cnn", {"rates": (0.25, 0.25, 0.5)}),
    "colour cnn, 0.5, 0.25 and 0.25": ("colour_cnn", {"rates": (0.5, 0.25, 0.25)}),
    "colour cnn, no augmentation, none": ("colour_cnn", {"augmentation": False}),
    "colour cnn, no augmentation, 0.25, 0.25 and 0.5": (
        "colour_cnn",
        {"augmentation": False, "rates": (0.25, 0.25, 0.5)},
    ),
}
_COLOUR_REFERENCES = beside(_COLOUR, "none") | {
    "colour cnn, 0.5, 0.25 and 0.25": "colour cnn, 0.25, 0.25 and 0.5",
    "colour cnn, no augmentation, 0.25, 0.25 and 0.5": "colour cnn, no augmentation, none",
}

_SECOND_REFERENCES = {
    "128-64, 0.2 and 0.3": "128-64, dense in place",
    "128-256-128, 0.2, 0.4 and 0.3": "128-256-128, dense in place",
    "128-64, faster, 0.2 and 0.3": "128-64, faster, none",
    "128-64, twice as wide, 0.2 and 0.3": "128-64, none",
    "128-64, L2, 0.2 and 0.3": "128-64, L2",
}
"""Comparisons that the sentences add: what the confusion would report, and what each rule joins."""


def plan(request: Request) -> Plan:
    """Returns the study for the images that were asked for."""
    sets = load_images(request)
    coloured = sets.train.x.shape[-1] > 1
    settings = _COLOUR if coloured else _GREY
    study = Plan(
        name="advice",
        question=STUDIES["advice"],
        references=_COLOUR_REFERENCES if coloured else _GREY_REFERENCES,
        headline="colour cnn, 0.25, 0.25 and 0.5" if coloured else "128-64, 0.2 and 0.3",
        **TRAINED,
        **plan_networks(request, settings, sets=sets, builders=_BUILDERS),
    )
    return replace(study, answers=partial(_answers, study))


def _answers(plan: Plan, runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Returns a sentence a setting, and those of the second references."""
    others = [name for name, base in plan.references.items() if name not in (base, plan.headline)]
    first = [answer(plan, summary, name) for name in (plan.headline, *others)]
    second = {name: base for name, base in _SECOND_REFERENCES.items() if name in plan.settings}
    if not second:
        return first
    references = {**plan.references, **second}
    again = summarize(runs, references)
    twice = replace(plan, references=references)
    return [*first, *(answer(twice, again, name) for name in second)]
