"""Shared masks on weights: dropout around a Dense layer drops rows and columns of its kernel.

With one mask a pass for all examples, (mask * x) W = x (mask * W). Masking the kernel costs
as much as one example, and the kernels of several passes side by side make one large matrix
product that reads the inputs once. Where the outputs are dropped too, the columns of dropped
units are left out of the product.

It is done while the model is traced: a Dense layer that is given what dropout made of a tensor
of the prefix multiplies that tensor by the masked kernel. The masked activations, and a product
with all columns, are then read by nothing and are cut away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mcdrop.engine import masks
from mcdrop.engine.audit import Leaf
from mcdrop.engine.redirect import Draws, Dropped

Layer = Any
Tensor = Any

NARROWING = 4
"""A Dense layer with fewer inputs an output is cheaper to feed with masked activations."""

SAVING = 256
"""Multiplications saved for an output, on average, from which leaving out columns pays."""

_ELEMENTWISE = frozenset(
    getattr(keras.activations, name)
    for name in ("linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh")
)
"""Activations that can be computed for some units of a layer alone."""


@dataclass(frozen=True)
class _Product:
    """A Dense layer that was given dropped inputs: what makes its outputs.

    Attributes:
        dense: The layer, or its copy in another data type.
        inputs: How its inputs were dropped.
    """

    dense: Layer
    inputs: Dropped


class Folding:
    """The folds of one trace.

    Args:
        leaves: The stochastic layers.
        static: Only shapes that do not depend on the masks, so no dropped columns.

    Attributes:
        used: Whether there is a fold.
    """

    def __init__(self, leaves: tuple[Leaf, ...], *, static: bool) -> None:
        self.used = False
        self._static = static
        self._plain = {
            id(leaf.layer): leaf
            for leaf in leaves
            if leaf.info.selected and _is_plain_dropout(leaf.layer, leaf)
        }
        # By `id` of the tensor, which is kept so that the id stays its own.
        self._dropped: dict[int, tuple[Tensor, Dropped]] = {}
        self._products: dict[int, tuple[Tensor, _Product]] = {}

    def call(
        self,
        layer: Layer,
        copy: Layer,
        draws: Draws,
        args: tuple[Any, ...],
        run: Callable[[], Any],
    ) -> Any:
        """Returns what a layer makes of its inputs, by a fold where there is one.

        Args:
            layer: The layer.
            copy: Its copy to compute with.
            draws: The noise of the trace.
            args: Its positional arguments.
            run: Calls it as it is.
        """
        inputs: Any = args[0] if len(args) == 1 else None
        if id(layer) in self._plain:
            return self._drop(self._plain[id(layer)], inputs, draws, run)
        dropped = self._dropped.get(id(inputs))
        if dropped is None:
            return run()
        if _is_flatten(layer):
            outputs = run()
            self._dropped[id(outputs)] = outputs, dropped[1]
            return outputs
        if inputs.shape.rank != 2 or not _is_narrow_dense(layer):
            return run()
        product = _Product(copy, dropped[1])
        outputs = _multiply(product, None, draws)
        self.used = True
        self._products[id(outputs)] = outputs, product
        return outputs

    def _drop(self, leaf: Leaf, inputs: Any, draws: Draws, run: Callable[[], Any]) -> Any:
        """Runs a dropout, on the columns of the product before it if that pays."""
        product = self._products.get(id(inputs))
        if product is not None and not self._static and _saves_columns(product[1].dense, leaf):
            return _multiply(product[1], leaf, draws)
        outputs = run()
        dropped = draws.dropped.get(id(outputs))
        if dropped is not None:
            self._dropped[id(outputs)] = outputs, dropped[1]
        return outputs


def _multiply(product: _Product, following: Leaf | None, draws: Draws) -> Tensor:
    """Returns what the Dense layer, and the dropout after it, make of the dropped inputs.

    Args:
        product: The layer, and its inputs before the dropout, shape (E, ...).
        following: The dropout after it, if columns are to be left out.
        draws: The noise of the trace, which shares masks.

    Returns:
        Tensor of shape (F * E, units).
    """
    dense, inputs = product.dense, product.inputs.source
    units_in, units_out = dense.kernel.shape
    before = product.inputs
    keep = masks.keep_mask(before.rate, units_in, before.stream, before.rows)[:, 0]
    num_passes, num_examples = tf.shape(keep)[0], tf.shape(inputs)[0]
    columns = tf.range(num_passes * units_out)
    kept = None
    if following is not None:
        with draws.owned_by(following.ordinal):
            rate = following.info.rate
            rows: Any = draws.source()
            stream = draws.stream(rows, [units_out])
            kept = masks.keep_mask(rate, units_out, stream, rows)[:, 0]
        columns = tf.boolean_mask(columns, tf.reshape(kept, [-1]))
    passes, units = columns // units_out, columns % units_out
    kernel = tf.cast(tf.transpose(dense.kernel), dense.compute_dtype)
    zero = tf.zeros((), kernel.dtype)
    kernel = tf.gather(kernel * tf.cast(_scale(before.rate), kernel.dtype), units)
    kernel = tf.where(tf.gather(keep, passes), kernel, zero)
    flat = tf.reshape(tf.cast(inputs, kernel.dtype), [-1, units_in])
    outputs = tf.matmul(flat, kernel, transpose_b=True)
    if dense.bias is not None:
        outputs += tf.gather(tf.cast(tf.convert_to_tensor(dense.bias), kernel.dtype), units)
    if kept is not None:
        outputs = dense.activation(outputs) * tf.cast(_scale(rate), kernel.dtype)
        outputs = _spread(outputs, tf.reshape(kept, [-1]))
    by_pass = tf.reshape(outputs, [num_examples, num_passes, units_out])
    outputs = tf.reshape(tf.transpose(by_pass, [1, 0, 2]), [-1, units_out])
    return outputs if kept is not None else dense.activation(outputs)


def _scale(rate: float) -> float:
    """Returns what a dropout multiplies the units by that it keeps."""
    return 1.0 / (1.0 - masks.Bernoulli.of_rate(rate).rate)


def _spread(values: Tensor, kept: Tensor) -> Tensor:
    """Returns the columns of `values` at the places that are kept, and zeros elsewhere."""
    position = tf.cumsum(tf.cast(kept, tf.int32)) - 1
    position = tf.where(kept, position, tf.shape(values)[1])
    return tf.gather(tf.pad(values, [[0, 0], [0, 1]]), position, axis=1)


def _is_plain_dropout(layer: Layer, leaf: Leaf) -> bool:
    plain = type(layer) is keras.layers.Dropout and layer.noise_shape is None
    return plain and 0.0 < leaf.info.rate < 1.0


def _saves_columns(dense: Any, dropout: Leaf) -> bool:
    """Whether the units of a Dense layer that a dropout drops are better left out."""
    return (
        dense.activation in _ELEMENTWISE
        and dense.compute_dtype == dropout.layer.compute_dtype
        and dropout.info.rate * dense.kernel.shape[0] >= SAVING
    )


def _is_flatten(layer: Layer) -> bool:
    return type(layer) is keras.layers.Flatten and layer.data_format == "channels_last"


def _is_narrow_dense(layer: Layer) -> bool:
    return (
        type(layer) is keras.layers.Dense
        and layer.quantization_mode is None
        and not layer.lora_enabled
        and layer.kernel.shape[0] >= NARROWING * layer.kernel.shape[1]
    )
