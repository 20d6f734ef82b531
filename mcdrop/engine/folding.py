"""Shared masks on weights: dropout around a Dense layer drops rows and columns of its kernel.

With one mask a pass for all examples, (mask * x) W = x (mask * W). Masking the kernel costs
as much as one example, and the kernels of several passes side by side make one large matrix
product that reads the inputs once. Where the outputs are dropped too, the columns of dropped
units are left out of the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mcdrop.engine import masks
from mcdrop.engine.audit import Leaf
from mcdrop.engine.graph import Cut, Flattened, Step
from mcdrop.engine.redirect import Draws

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
class Fold:
    """A selected Dropout whose only use is, through Flatten layers, the input of a Dense.

    Attributes:
        leaf: The dropout.
        source: Reference of the frontier tensor it drops.
        following: A selected dropout that is the only use of the Dense, None if there is none.
        target: Reference of what the fold makes: the output of the Dense or of `following`.
        skipped: Indices of the steps that need not run: the dropouts and the Flatten layers.
    """

    leaf: Leaf
    source: int
    following: Leaf | None
    target: int
    skipped: frozenset[int]


def find_folds(
    flattened: Flattened, cut: Cut, leaves: tuple[Leaf, ...], *, static: bool
) -> dict[int, Fold]:
    """Returns the foldable dropouts by the index of their Dense step.

    Args:
        flattened: The model.
        cut: Where it is cut.
        leaves: Its stochastic layers.
        static: Only shapes that do not depend on the masks, so no dropped columns.
    """
    dropouts = {
        id(leaf.layer): leaf
        for leaf in leaves
        if leaf.info.selected and _is_plain_dropout(leaf.layer, leaf)
    }
    folds = {}
    for index, step in cut.suffix:
        leaf = dropouts.get(id(step.operation))
        if leaf is None or len(step.inputs) != 1 or step.inputs[0] not in cut.frontier:
            continue
        skipped, user = _next_dense(index, step, flattened, cut)
        if user is None:
            continue
        dense_index, dense = user
        target, following = dense.outputs[0], None
        after = None if static else _only_user(dense, flattened, cut)
        dropout = None if after is None else dropouts.get(id(after[1].operation))
        if after is not None and dropout and _saves_columns(dense.operation, dropout):
            skipped.append(after[0])
            target, following = after[1].outputs[0], dropout
        folds[dense_index] = Fold(leaf, step.inputs[0], following, target, frozenset(skipped))
    return folds


def run_fold(fold: Fold, dense: Any, inputs: Tensor, draws: Draws, rows: masks.Rows) -> Tensor:
    """Returns what the Dense layer, and the dropout after it, make of the dropped inputs.

    Args:
        fold: The fold.
        dense: The Dense layer, or its copy in another data type.
        inputs: The frontier tensor before the dropout, shape (E, ...).
        draws: The noise of the trace.
        rows: Its rows, which share masks.

    Returns:
        Tensor of shape (F * E, units).
    """
    units_in, units_out = dense.kernel.shape
    keep, scale = _draw(fold.leaf, units_in, draws, rows)
    num_passes, num_examples = tf.shape(keep)[0], tf.shape(inputs)[0]
    columns = tf.range(num_passes * units_out)
    kept = None
    if fold.following is not None:
        kept, scale_after = _draw(fold.following, units_out, draws, rows)
        columns = tf.boolean_mask(columns, tf.reshape(kept, [-1]))
    passes, units = columns // units_out, columns % units_out
    kernel = tf.cast(tf.transpose(dense.kernel), dense.compute_dtype)
    zero = tf.zeros((), kernel.dtype)
    kernel = tf.gather(kernel * tf.cast(scale, kernel.dtype), units)
    kernel = tf.where(tf.gather(keep, passes), kernel, zero)
    flat = tf.reshape(tf.cast(inputs, kernel.dtype), [-1, units_in])
    outputs = tf.matmul(flat, kernel, transpose_b=True)
    if dense.bias is not None:
        outputs += tf.gather(tf.cast(tf.convert_to_tensor(dense.bias), kernel.dtype), units)
    if kept is not None:
        outputs = dense.activation(outputs) * tf.cast(scale_after, kernel.dtype)
        outputs = _spread(outputs, tf.reshape(kept, [-1]))
    by_pass = tf.reshape(outputs, [num_examples, num_passes, units_out])
    outputs = tf.reshape(tf.transpose(by_pass, [1, 0, 2]), [-1, units_out])
    return outputs if kept is not None else dense.activation(outputs)


def _draw(leaf: Leaf, units: int, draws: Draws, rows: masks.Rows) -> tuple[Tensor, float]:
    """Returns which units a dropout keeps, shape (F, units), and what it multiplies them by."""
    rate = leaf.info.rate
    with draws.owned_by(leaf.ordinal):
        keep = masks.keep_mask(rate, units, draws.stream(), rows)[:, 0]
    return keep, 1.0 / (1.0 - masks.Bernoulli.of_rate(rate).rate)


def _spread(values: Tensor, kept: Tensor) -> Tensor:
    """Returns the columns of `values` at the places that are kept, and zeros elsewhere."""
    position = tf.cumsum(tf.cast(kept, tf.int32)) - 1
    position = tf.where(kept, position, tf.shape(values)[1])
    return tf.gather(tf.pad(values, [[0, 0], [0, 1]]), position, axis=1)


def _next_dense(
    index: int, step: Step, flattened: Flattened, cut: Cut
) -> tuple[list[int], tuple[int, Step] | None]:
    """Returns the steps from a dropout to a Dense that can be folded, and the Dense if any."""
    skipped, rank = [index], step.rank
    user = _only_user(step, flattened, cut)
    while user is not None and _is_flatten(user[1].operation):
        skipped.append(user[0])
        rank = user[1].rank
        user = _only_user(user[1], flattened, cut)
    foldable = user is not None and rank == 2 and _is_narrow_dense(user[1].operation)
    return skipped, user if foldable else None


def _only_user(step: Step, flattened: Flattened, cut: Cut) -> tuple[int, Step] | None:
    """Returns the one step that reads a step's output; None when there are more, or it is kept."""
    users = [(i, s) for i, s in cut.suffix if set(step.outputs) & set(s.inputs)]
    kept = set(step.outputs) & set(flattened.outputs)
    return users[0] if len(users) == 1 and not kept and len(users[0][1].inputs) == 1 else None


def _is_plain_dropout(operation: Any, leaf: Leaf) -> bool:
    plain = type(operation) is keras.layers.Dropout and operation.noise_shape is None
    return plain and 0.0 < leaf.info.rate < 1.0


def _saves_columns(dense: Any, dropout: Leaf) -> bool:
    """Whether the units of a Dense layer that a dropout drops are better left out."""
    return (
        dense.activation in _ELEMENTWISE
        and dense.compute_dtype == dropout.layer.compute_dtype
        and dropout.info.rate * dense.kernel.shape[0] >= SAVING
    )


def _is_flatten(operation: Any) -> bool:
    return type(operation) is keras.layers.Flatten and operation.data_format == "channels_last"


def _is_narrow_dense(operation: Any) -> bool:
    return (
        type(operation) is keras.layers.Dense
        and operation.quantization_mode is None
        and not operation.lora_enabled
        and operation.kernel.shape[0] >= NARROWING * operation.kernel.shape[1]
    )
