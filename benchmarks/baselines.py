"""What people write today, and the floor that no way of sampling can beat by much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mcdrop.engine.audit import find_leaves
from mcdrop.engine.graph import cut, flatten, stochastic_steps

Work = Callable[[], Any]


def eager_loop(model: Any, x: Any, passes: int) -> Work:
    """(a) np.stack([model(x, training=True) for _ in range(T)]), the recipe of the tutorials."""
    return lambda: np.stack([np.asarray(model(x, training=True)) for _ in range(passes)])


def compiled_loop(model: Any, x: Any, passes: int) -> Work:
    """(a) The same with the model in a tf.function."""
    function = tf.function(lambda inputs: model(inputs, training=True))
    tensor = tf.constant(x)
    return lambda: np.stack([function(tensor).numpy() for _ in range(passes)])


def predict_loop(model: Any, x: Any, passes: int) -> Work:
    """(b) model.predict in a loop, over a clone whose dropout is always on."""

    def always_on(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Dropout):
            return layer.__class__.from_config(layer.get_config())
        kind = type(layer)
        on = type(f"AlwaysOn{kind.__name__}", (kind,), {"call": _call_on(kind)})
        return on.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=always_on)
    clone.set_weights(model.get_weights())
    return lambda: np.stack([clone.predict(x, verbose=0) for _ in range(passes)])


def _call_on(kind: Any) -> Callable[..., Any]:
    return lambda self, inputs, training=None: kind.call(self, inputs, training=True)


def deterministic(model: Any, x: Any) -> Work:
    """D: one compiled pass with dropout off."""
    function = tf.function(lambda inputs: model(inputs, training=False))
    tensor = tf.constant(x)
    return lambda: function(tensor).numpy()


def floor_parts(model: Any, x: Any) -> tuple[Work, Work]:
    """(c) P and S: the prefix once, and one compiled deterministic pass of the suffix."""
    selected = {id(leaf.layer) for leaf in find_leaves(model, None) if leaf.info.selected}
    flattened = flatten(model, selected, 0)
    parts = cut(flattened, stochastic_steps(flattened, selected))

    def run(steps: Any, values: dict[int, Any]) -> None:
        for _, step in steps:
            values.update(zip(step.outputs, step.run(values, step.operation), strict=True))

    @tf.function
    def prefix(inputs: Any) -> list[Any]:
        values = {0: inputs}
        run(parts.prefix, values)
        return [values[ref] for ref in parts.frontier]

    @tf.function
    def suffix(*frontier: Any) -> list[Any]:
        values = dict(zip(parts.frontier, frontier, strict=True))
        run(parts.suffix, values)
        return [values[ref] for ref in flattened.outputs]

    tensor = tf.constant(x)
    frontier = prefix(tensor)
    # Reading one number waits for the computation without copying the frontier.
    first = lambda: [tf.reduce_sum(t).numpy() for t in prefix(tensor)]  # noqa: E731
    return first, lambda: [output.numpy() for output in suffix(*frontier)]
