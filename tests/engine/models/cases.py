"""The register of models, and the data to run them on.

Building one twice gives equal weights, so that a test may change the second as it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Case:
    """A model of one kind.

    Attributes:
        build: Returns the model.
        draw: Returns its inputs, for `NUM_EXAMPLES` examples.
        kinds: Kinds to sample, None for the default.
        sampled: How many layers sample then.
        replayable: Every one of them is a Dropout that multiplies by a mask of one draw.
        constant_outputs: Outputs that no sampled layer feeds.
        rowwise: Keras too draws a mask for every example.
        distribution: Keras has the same distribution in training, and is quick enough for it.
        compiled: Draw masks with XLA, which takes a second for each layer.
        tolerance: Relative error of a prediction by rounding.
    """

    build: Callable[[], Any]
    draw: Callable[[], Any]
    sampled: int = 1
    kinds: tuple[str, ...] | None = None
    replayable: bool = True
    constant_outputs: tuple[int, ...] = ()
    rowwise: bool = True
    distribution: bool = True
    compiled: bool = True
    tolerance: float = 1e-5


CASES: dict[str, Case] = {}


def case(draw: Callable[[], Any], **options: Any) -> Callable[[Callable[[], Any]], Any]:
    """Registers the model that a function builds, under the function's name."""

    def decorate(build: Callable[[], Any]) -> Callable[[], Any]:
        def seeded() -> Any:
            keras.utils.set_random_seed(7)
            model = build()
            _settle(model)
            return model

        CASES[build.__name__] = Case(seeded, draw, **options)
        return seeded

    return decorate


def numbers(*shape: int) -> Callable[[], Any]:
    """Returns a function that draws standard normal inputs of a shape, examples first."""
    return lambda: np.random.default_rng(1).normal(size=(NUM_EXAMPLES, *shape)).astype(np.float32)


def tokens(length: int = 5) -> Any:
    """Returns token numbers padded with 0, each example of another length."""
    drawn = np.random.default_rng(1).integers(1, 9, size=(NUM_EXAMPLES, length))
    for example in range(NUM_EXAMPLES):
        drawn[example, length - example :] = 0
    return drawn.astype(np.int32)


def _settle(model: Any) -> None:
    """Gives biases, norms and their statistics values that make mistakes visible."""
    generator = np.random.default_rng(3)
    for weight in model.weights:
        if weight.path.endswith(("bias", "beta", "moving_mean")):
            weight.assign(generator.normal(0, 0.3, size=weight.shape))
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(generator.uniform(0.5, 2.0, size=weight.shape))
