"""What every model is checked by: a snapshot of it, and two ways to sample it without mcdrop.

`replay` runs a second copy of the model in inference, with the masks that mcdrop documents put
in by hand. `keras_training` runs a copy in Keras's own training mode, with every layer that is
to stay off silenced in its configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, tree
from keras.src.backend.common import global_state
from keras.src.backend.tensorflow import random as backend_random

from mcdrop.engine.audit import Leaf, find_leaves, recurrent_cells
from mcdrop.engine.masks import Bernoulli, Rows, keep_mask

STANDARD_ERRORS = 5.0
"""Bound on the difference of two Monte Carlo estimates. All comparisons of this folder, about
2000, stay within it by chance with probability 1 - 2000 * 5.7e-7 = 0.999; seeds are fixed."""

_DRAWING = ("dropout", "uniform", "normal", "truncated_normal", "randint", "categorical")


class Snapshot:
    """Everything that a model is made of, compared to the bit and by identity."""

    def __init__(self, model: Any) -> None:
        self._kept: list[Any] = []  # keeps objects alive, so that no id is used twice
        self._model = model
        self._before = self._take()

    def check(self) -> None:
        """Fails when anything differs from when the snapshot was taken."""
        after = self._take()
        assert self._before.keys() == after.keys(), self._before.keys() ^ after.keys()
        changed = [name for name, value in self._before.items() if after[name] != value]
        assert not changed, changed

    def _take(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for number, operation in enumerate(_operations(self._model)):
            who = f"{number} {operation.name}"
            for name, value in operation.__dict__.items():
                state[f"{who}.{name}"] = self._fingerprint(value)
            state[f"{who} nodes"] = len(operation._inbound_nodes), len(operation._outbound_nodes)
        for name in _DRAWING:
            state[f"keras.random.{name}"] = id(getattr(backend_random, name))
        shared = global_state.get_global_attribute("global_seed_generator")
        state["global seed"] = None if shared is None else shared.state.numpy().tolist()
        state["numpy seed"] = str(np.random.get_state())
        return state

    def _fingerprint(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, (bool, int, float, str, bytes, type(None))):
            return value
        if isinstance(value, keras.Variable):
            content = value.numpy()
            return "variable", id(value), str(content.dtype), content.tobytes()
        if isinstance(value, keras.random.SeedGenerator):
            return "seed", id(value), value.state.numpy().tolist()
        self._kept.append(value)
        if depth < 5 and isinstance(value, dict):
            items = [(key, self._fingerprint(item, depth + 1)) for key, item in value.items()]
            return id(value), str(items)
        if depth < 5 and isinstance(value, (list, tuple)):
            return len(value), [self._fingerprint(item, depth + 1) for item in value]
        if depth < 5 and isinstance(value, (set, frozenset)):
            return id(value), sorted(str(item) for item in value)
        return id(value)


def without_xla(mc: Any) -> Any:
    """Returns a wrapped model with its masks drawn by ordinary operations, quicker to trace."""
    for sampler in mc._samplers:
        sampler.settings = replace(sampler.settings, compiled_masks=False)
    return mc


def run_inference(model: Any, x: Any) -> list[np.ndarray]:
    """Returns the model's flat outputs in inference, with its variables left alone."""
    with keras.StatelessScope():
        return _flat(model(x, training=False))


def replay(model: Any, leaves: tuple[Leaf, ...], x: Any, *, number: int, seed: int) -> list[Any]:
    """Returns the flat outputs of one pass of a copy, its dropout replaced by masks of ours.

    Args:
        model: A copy of the wrapped model that may be changed.
        leaves: The leaves of this copy; those that are selected sample.
        x: Inputs.
        number: Number of the pass.
        seed: The seed.
    """
    num_examples = len(tree.flatten(x)[0])
    for leaf in leaves:
        if leaf.info.selected:
            leaf.layer.__dict__["call"] = _masked_call(leaf, number, seed, num_examples)
    outputs = run_inference(model, x)
    for leaf in leaves:
        leaf.layer.__dict__.pop("call", None)
    return outputs


def keras_training(
    model: Any, x: Any, selected: Iterable[int], *, count: int, rowwise: bool
) -> list[np.ndarray]:
    """Returns `count` passes of Keras's training mode, each flat output of shape (count, N, ...).

    Args:
        model: A copy of the wrapped model that may be changed.
        x: Inputs.
        selected: Ordinals of the layers that stay random.
        count: Number of passes.
        rowwise: Fold the passes into the batch.
    """
    keras.utils.set_random_seed(11)
    _silence(model, set(selected))
    if not rowwise:
        passes = [_flat(model(x, training=True)) for _ in range(count)]
        return [np.stack(parts) for parts in zip(*passes, strict=True)]
    repeated = tree.map_structure(lambda a: np.concatenate([a] * count), x)
    return [
        value.reshape(count, -1, *value.shape[1:])
        for value in _flat(model(repeated, training=True))
    ]


def check_same_distribution(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Fails when means or variances over axis 0 differ by more than chance allows.

    The variance of a mean of n values is v / n, and of a sample variance (m4 - v^2) / n with
    the fourth central moment m4; rounding adds `tolerance` of the largest value.
    """
    moments = [_moments(np.asarray(values, np.float64)) for values in (ours, theirs)]
    (mean, mean_error, variance, variance_error), (mean_2, error_2, variance_2, v_error_2) = moments
    rounding = tolerance * max(1.0, float(np.abs(theirs).max()))
    allowed = STANDARD_ERRORS * np.sqrt(mean_error + error_2) + rounding
    np.testing.assert_array_less(np.abs(mean - mean_2), allowed)
    allowed = STANDARD_ERRORS * np.sqrt(variance_error + v_error_2) + rounding
    np.testing.assert_array_less(np.abs(variance - variance_2), allowed)


def _moments(values: np.ndarray) -> tuple[np.ndarray, ...]:
    count = len(values)
    mean = values.mean(axis=0)
    centred = values - mean
    variance = (centred**2).mean(axis=0)
    return mean, variance / count, variance, ((centred**4).mean(axis=0) - variance**2) / count


def _operations(model: Any) -> list[Any]:
    """Returns every layer and operation of a model, and the model itself."""
    found = {id(layer): layer for layer in model._flatten_layers()}
    for layer in list(found.values()):
        found |= {id(op): op for op in getattr(layer, "_operations", None) or []}
        inner = getattr(layer, "_functional", None)
        if inner is not None:
            found[id(inner)] = inner
            found |= {id(op): op for op in inner._operations}
    return list(found.values())


def _flat(outputs: Any) -> list[np.ndarray]:
    return [
        np.asarray(tf.cast(v, tf.float32) if v.dtype.size == 2 else v)
        for v in tree.flatten(outputs)
    ]


def _masked_call(leaf: Leaf, number: int, seed: int, num_examples: int) -> Any:
    """Returns a `call` that multiplies by the masks that the layer with this ordinal draws."""
    calls = iter(range(100))
    rows = Rows(
        tf.constant([seed, 0], tf.uint32),
        tf.range(num_examples, dtype=tf.int64) + tf.zeros([], tf.int64),
        tf.constant([number], tf.uint32),
        one_pass=True,
        compiled=False,
    )

    def call(inputs: Any, training: bool = False) -> Any:
        stream = leaf.ordinal << 20 | next(calls) << 8
        if leaf.info.rate == 1.0:
            return tf.zeros_like(inputs)
        sizes = _mask_sizes(leaf.layer, tuple(inputs.shape))
        parts = inputs.shape[0] // num_examples if sizes[0] != 1 else 1
        keep = keep_mask(
            leaf.info.rate, parts * int(np.prod(sizes[1:])), stream, _rows(rows, sizes)
        )
        scale = 1.0 / (1.0 - Bernoulli.of_rate(leaf.info.rate).rate)
        factor = tf.reshape(tf.cast(keep, inputs.dtype), sizes) * tf.cast(scale, inputs.dtype)
        return inputs * factor

    return call


def _rows(rows: Rows, sizes: tuple[int, ...]) -> Rows:
    examples = tf.cast(rows.examples, tf.uint32)
    return Rows(
        rows.seed, examples, rows.passes, shared=sizes[0] == 1, one_pass=True, compiled=False
    )


def _mask_sizes(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of the mask that a dropout layer draws, as Keras documents it."""
    if isinstance(layer, (layers.SpatialDropout2D, layers.SpatialDropout3D)):
        between = [1] * (len(shape) - 2)
        first = layer.data_format == "channels_first"
        return (shape[0], shape[1], *between) if first else (shape[0], *between, shape[-1])
    if isinstance(layer, layers.SpatialDropout1D):
        return shape[0], 1, shape[2]
    if layer.noise_shape is None:
        return shape
    return tuple(
        size if wanted is None else wanted
        for wanted, size in zip(layer.noise_shape, shape, strict=True)
    )


def _silence(model: Any, selected: set[int]) -> None:
    """Turns off, by configuration, all that training would change but the selected layers."""
    for leaf in find_leaves(model, None if selected else lambda _: True):
        if leaf.ordinal in selected:
            continue
        for cell in recurrent_cells(leaf.layer):
            cell.dropout = cell.recurrent_dropout = 0.0
        for name in ("rate", "stddev", "dropout"):
            if hasattr(leaf.layer, name) and not recurrent_cells(leaf.layer):
                setattr(leaf.layer, name, 0.0)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
        if isinstance(layer, layers.SpectralNormalization) or type(layer).__name__.startswith(
            "Random"
        ):
            layer.__dict__["call"] = _in_inference(layer.call)


def _in_inference(original: Any) -> Any:
    def call(inputs: Any, training: bool = False) -> Any:
        return original(inputs, training=False)

    return call
