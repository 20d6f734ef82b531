"""What people write today, and the floor that no way of sampling can beat by much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import mcdrop
from mcdrop.engine.cutting import Part

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
    program = mcdrop.MCDropout(model, task="regression")._samplers[0].program([x], 0)
    trace, crossings = program._trace, program._frontier
    # A dropout reads a copy of its own of what comes before it.
    held = [
        trace.first(c.tensor.op.inputs[0] if c.kind == "source" else c.tensor) for c in crossings
    ]
    parts = [_between(trace, trace.inputs, held), _between(trace, held, trace.deterministic)]

    @tf.function
    def prefix(inputs: Any) -> list[Any]:
        return program._extractor.compute(parts[0], {id(trace.inputs[0]): inputs})

    @tf.function
    def suffix(*frontier: Any) -> list[Any]:
        given = {id(key): value for key, value in zip(held, frontier, strict=True)}
        return program._extractor.compute(parts[1], given)

    tensor = tf.constant(x)
    frontier = prefix(tensor)
    # Reading one number waits for the computation without copying the frontier.
    first = lambda: [tf.reduce_sum(t).numpy() for t in prefix(tensor)]  # noqa: E731
    return first, lambda: [output.numpy() for output in suffix(*frontier)]


def _between(trace: Any, inputs: Any, outputs: Any) -> Part:
    """Returns what computes some tensors of a traced graph from others."""
    wanted = tuple(trace.first(tensor) for tensor in outputs)
    stop = {id(tensor) for tensor in inputs}
    inside, waiting = set(), list(wanted)
    while waiting:
        tensor = trace.first(waiting.pop())
        if id(tensor) not in stop and tensor.op.type != "Placeholder" and tensor.op not in inside:
            inside.add(tensor.op)
            waiting.extend(tensor.op.inputs)
    order = [operation for operation in trace.graph.get_operations() if operation in inside]
    return Part(tuple(order), (), wanted)
