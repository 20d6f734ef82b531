"""Many small regression networks trained at once: their weights stacked along a first axis.

A network of 50 units keeps no processor busy; 60 of them in one matrix product do. The stack is a
plain Keras model of `Dropout` and `EinsumDense`, trained by `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_NETWORKS_FIRST = "kni,kio->kno"
_EXAMPLES_FIRST = "nki,kio->nko"


@dataclass(frozen=True, eq=False)
class Stack:
    """K networks of one hidden layer and one dropout rate, before the inputs and the output.

    Attributes:
        rate: Dropout rate.
        weights: Kernels and biases, shapes (K, D, H), (K, H), (K, H, 1), (K, 1).
    """

    rate: float
    weights: tuple[FloatArray, ...]

    def model(self) -> keras.Model:
        """Returns the networks as one model from inputs (N, K, D) to outputs (N, K)."""
        count, inputs, hidden = self.weights[0].shape
        dropout = [keras.layers.Dropout(self.rate) for _ in range(2)]
        steps = _layers(_EXAMPLES_FIRST, dropout, (count, hidden), (count, 1))
        model = keras.Sequential(
            [keras.Input((count, inputs)), *steps, keras.layers.Reshape((count,))]
        )
        _set_weights(model, self.weights)
        return model

    def take(self, networks: Sequence[int]) -> Stack:
        """Returns some of the networks."""
        return Stack(self.rate, tuple(weight[list(networks)] for weight in self.weights))


def network_penalty(weights: Sequence[float]) -> Callable[[Any], Any]:
    """Returns a regularizer with a weight for each network, where Keras' own L2 has one for all.

    Args:
        weights: Weight of the squared kernel of each network, shape (K,).
    """

    def penalty(kernel: Any) -> Any:
        squares = keras.ops.sum(keras.ops.square(kernel), axis=(1, 2))
        return keras.ops.sum(keras.ops.convert_to_tensor(weights, squares.dtype) * squares)

    return penalty


def initial_weights(seeds: Sequence[int], inputs: int, hidden: int) -> tuple[FloatArray, ...]:
    """Returns Glorot's uniform weights for each network, a function of its seed alone.

    References:
        Glorot and Bengio (2010), Understanding the difficulty of training deep networks.

    Example:
        >>> kernel, bias, _, _ = initial_weights([0, 1, 0], inputs=3, hidden=4)
        >>> kernel.shape, bias.shape, bool((kernel[0] == kernel[2]).all())
        ((3, 3, 4), (3, 4), True)
    """

    def glorot(generator: np.random.Generator, rows: int, columns: int) -> NDArray[np.float64]:
        limit = np.sqrt(6.0 / (rows + columns))
        return generator.uniform(-limit, limit, (rows, columns))

    first, second = [], []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        first.append(glorot(generator, inputs, hidden))
        second.append(glorot(generator, hidden, 1))
    count = len(seeds)
    stacked = np.stack(first), np.zeros((count, hidden)), np.stack(second), np.zeros((count, 1))
    return tuple(weight.astype(np.float32) for weight in stacked)


def train(
    stack: Stack,
    x: NDArray[Any],
    y: NDArray[Any],
    *,
    penalties: Sequence[float],
    epochs: int,
    batch_size: int,
    seed: int,
    on_epoch: Callable[[], None],
) -> Stack:
    """Returns the networks after training each on its own data.

    The loss of a network is its mean squared error in the batch plus its penalty, and the
    networks' losses are added: none feels the others. They see the rows of a batch at the same
    places and share the masks of a step, which for each alone are ordinary masks; so a network
    comes out the same whatever it is stacked with, up to rounding.

    Args:
        stack: The networks with their initial weights.
        x: Inputs, shape (N, K, D).
        y: Targets, shape (N, K).
        penalties: Weight of the squared kernels of each network, shape (K,).
        epochs: Passes over the data.
        batch_size: Rows of a step.
        seed: Decides masks and the order of the rows.
        on_epoch: Called after each epoch.
    """
    model = _trainable(stack, penalties, seed)
    per_epoch = -(-len(x) // batch_size)
    model.compile("adam", _added_errors, steps_per_execution=per_epoch, jit_compile=False)
    rows = tf.data.Dataset.from_tensor_slices((x.astype(np.float32), y.astype(np.float32)))
    batches = rows.shuffle(len(x), seed=seed).batch(batch_size).map(_networks_first)
    model.fit(
        batches.repeat().prefetch(2),
        steps_per_epoch=per_epoch,
        shuffle=False,
        epochs=epochs,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch())],
    )
    trained = zip(model.get_weights(), stack.weights, strict=True)
    return Stack(stack.rate, tuple(new.reshape(old.shape) for new, old in trained))


def _trainable(stack: Stack, penalties: Sequence[float], seed: int) -> keras.Model:
    """Returns the networks as a model from (K, N, D) to (K, N, 1): products need no transposes."""
    count, inputs, hidden = stack.weights[0].shape
    dropout = [
        keras.layers.Dropout(stack.rate, noise_shape=(1, None, None), seed=2 * seed + place)
        for place in range(2)
    ]
    steps = _layers(_NETWORKS_FIRST, dropout, (None, hidden), (None, 1), penalties)
    model = keras.Sequential([keras.Input(batch_shape=(count, None, inputs)), *steps])
    _set_weights(model, stack.weights)
    return model


def _layers(
    equation: str,
    dropout: Sequence[Any],
    hidden_shape: tuple[int | None, ...],
    output_shape: tuple[int | None, ...],
    penalties: Sequence[float] = (),
) -> list[Any]:
    def dense(shape: tuple[int | None, ...], activation: str) -> Any:
        return keras.layers.EinsumDense(
            equation,
            shape,
            activation=activation,
            bias_axes="ko",
            kernel_regularizer=network_penalty(list(penalties)) if penalties else None,
        )

    return [dropout[0], dense(hidden_shape, "relu"), dropout[1], dense(output_shape, "linear")]


def _set_weights(model: keras.Model, weights: Sequence[FloatArray]) -> None:
    pairs = zip(model.weights, weights, strict=True)
    model.set_weights([new.reshape(tuple(old.shape)) for old, new in pairs])


def _networks_first(x: Any, y: Any) -> tuple[Any, Any]:
    return tf.transpose(x, (1, 0, 2)), tf.transpose(y)[..., None]


def _added_errors(y: Any, output: Any) -> Any:
    """Returns the mean squared errors of the networks, added."""
    return keras.ops.sum(keras.ops.mean(keras.ops.square(y - output), axis=(1, 2)))
