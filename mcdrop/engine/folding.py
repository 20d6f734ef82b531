"""Shared masks on weights: dropout in front of a Dense layer drops rows of its kernel instead.

With one mask a pass for all examples, (mask * x) W = x (mask * W). Masking the kernel costs
as much as one example, and the kernels of several passes side by side make one large matrix
product that reads the inputs once.
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


@dataclass(frozen=True)
class Fold:
    """A selected Dropout whose only use is, through Flatten layers, the input of a Dense.

    Attributes:
        leaf: The dropout.
        source: Reference of the frontier tensor it drops.
        skipped: Indices of the steps that need not run: the dropout and the Flatten layers.
    """

    leaf: Leaf
    source: int
    skipped: frozenset[int]


def find_folds(flattened: Flattened, cut: Cut, leaves: tuple[Leaf, ...]) -> dict[int, Fold]:
    """Returns the foldable dropouts by the index of their Dense step."""
    by_layer = {id(leaf.layer): leaf for leaf in leaves if leaf.info.selected}
    folds = {}
    for index, step in cut.suffix:
        leaf = by_layer.get(id(step.operation))
        if leaf is None or not _is_plain_dropout(step.operation, leaf):
            continue
        if len(step.inputs) != 1 or step.inputs[0] not in cut.frontier:
            continue
        skipped, rank = [index], step.rank
        user = _only_user(step, flattened, cut)
        while user is not None and _is_flatten(user[1].operation):
            skipped.append(user[0])
            rank = user[1].rank
            user = _only_user(user[1], flattened, cut)
        if user is not None and rank == 2 and _is_plain_dense(user[1].operation):
            folds[user[0]] = Fold(leaf, step.inputs[0], frozenset(skipped))
    return folds


def run_fold(fold: Fold, dense: Any, inputs: Tensor, draws: Draws, rows: masks.Rows) -> Tensor:
    """Returns what the Dense layer makes of the dropped inputs.

    Args:
        fold: The fold.
        dense: The Dense layer, or its copy in another data type.
        inputs: The frontier tensor before the dropout, shape (E, ...).
        draws: The noise of the trace.
        rows: Its rows, which share masks.

    Returns:
        Tensor of shape (F * E, units).
    """
    rate = fold.leaf.info.rate
    units_in, units_out = dense.kernel.shape
    with draws.owned_by(fold.leaf.ordinal):
        keep = masks.keep_mask(rate, units_in, draws.stream(), rows)[:, 0]
    kernel = tf.cast(tf.convert_to_tensor(dense.kernel), dense.compute_dtype)
    scale = 1.0 / (1.0 - masks.Bernoulli.of_rate(rate).rate)
    flat = tf.reshape(tf.cast(inputs, dense.compute_dtype), [-1, units_in])
    mask_kernels = tf.function(_masked_kernels, jit_compile=rows.compiled or None, autograph=False)
    products = tf.matmul(flat, mask_kernels(keep, kernel * tf.cast(scale, kernel.dtype)))
    by_pass = tf.reshape(products, [tf.shape(inputs)[0], tf.shape(keep)[0], units_out])
    outputs = tf.reshape(tf.transpose(by_pass, [1, 0, 2]), [-1, units_out])
    if dense.bias is not None:
        outputs = outputs + tf.cast(tf.convert_to_tensor(dense.bias), outputs.dtype)
    return outputs if dense.activation is None else dense.activation(outputs)


def _masked_kernels(keep: Tensor, kernel: Tensor) -> Tensor:
    """Returns the kernels of all passes side by side, shape (inputs, F * outputs)."""
    chosen = tf.where(
        tf.transpose(keep)[:, :, None], kernel[:, None, :], tf.zeros((), kernel.dtype)
    )
    return tf.reshape(chosen, [tf.shape(kernel)[0], -1])


def _only_user(step: Step, flattened: Flattened, cut: Cut) -> tuple[int, Step] | None:
    """Returns the one step that reads a step's output; None when there are more, or it is kept."""
    users = [(i, s) for i, s in cut.suffix if set(step.outputs) & set(s.inputs)]
    kept = set(step.outputs) & set(flattened.outputs)
    return users[0] if len(users) == 1 and not kept and len(users[0][1].inputs) == 1 else None


def _is_plain_dropout(operation: Any, leaf: Leaf) -> bool:
    plain = type(operation) is keras.layers.Dropout and operation.noise_shape is None
    return plain and 0.0 < leaf.info.rate < 1.0


def _is_flatten(operation: Any) -> bool:
    return type(operation) is keras.layers.Flatten and operation.data_format == "channels_last"


def _is_plain_dense(operation: Any) -> bool:
    return (
        type(operation) is keras.layers.Dense
        and operation.quantization_mode is None
        and not operation.lora_enabled
    )
