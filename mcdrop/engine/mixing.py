"""Models whose prediction of an example depends on the other examples of its batch.

Passes of several examples are folded into one batch, so in such a model they would reach into each
other, and results would change with the size of batches. It is seen on the user's first examples:
each must come out the same alone and among others. Models of Keras' own layers keep axis 0 apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mcdrop.engine.functional import graph_of, is_of_keras, is_plain
from mcdrop.engine.masks import split_seed
from mcdrop.engine.program import Program
from mcdrop.errors import ModelError

_ROWS = 4
_ROUNDING = 1e-3
"""Share of the largest output by which float32 may differ with the size of a product."""

_HALF_ROUNDING = 0.05


def may_mix(model: Any) -> bool:
    """Whether a model holds code other than that of Keras' own layers along their usual axes."""
    return not (is_plain(model) and all(map(_keeps_apart, _operations(model))))


def check_apart(model: Any, program: Program, inputs: Sequence[Any], *, balanced: bool) -> None:
    """Raises ModelError when an example comes out otherwise alone than among others.

    Args:
        model: The model.
        program: Its program.
        inputs: Examples of the user's as flat inputs.
        balanced: Masks of a pass depend on how many there are.
    """
    if program.draws_itself:
        return  # no two runs are alike
    rows = np.arange(min(len(inputs[0]), _ROWS))
    if len(rows) == 1:
        rows = np.zeros(2, np.int64)  # beside itself, under other masks
    many = 1 if program.one_pass else 2
    together = _run(program, inputs, rows, np.arange(len(rows)), many)
    rounding = _HALF_ROUNDING if _computes_in_half(model, program) else _ROUNDING
    for number in (0, len(rows) - 1):
        few = many if balanced else 1
        alone = _run(program, inputs, rows[number:][:1], np.array([number]), few)
        for among, single in zip(together, alone, strict=True):
            if _differs(among, among[number], single[0], rounding):
                raise ModelError(
                    "What the model makes of an example changes with the other examples of its "
                    "batch, and passes run side by side in one batch. Compute within each example: "
                    "not over axis 0, as a mean over the batch, a sort of it or x @ transpose(x)."
                )


def _run(program: Program, inputs: Sequence[Any], rows: Any, numbers: Any, many: int) -> list[Any]:
    """Returns deterministic outputs and the first pass of some rows of the inputs."""
    frontier, outputs = program.begin(*[tf.convert_to_tensor(value[rows]) for value in inputs])
    sampled = program.run(
        tf.constant(split_seed(0), tf.uint32),
        tf.constant(numbers.astype(np.uint32)),
        tf.constant(np.arange(len(rows)), tf.int32),
        tf.constant(np.arange(many), tf.uint32),
        tf.constant(len(rows), tf.int32),
        *frontier,
        compiled=False,
    )
    return [*[value.numpy() for value in outputs], *[value.numpy()[0] for value in sampled]]


def _differs(every: Any, among: Any, alone: Any, rounding: float) -> bool:
    if among.shape != alone.shape:
        return True
    if among.dtype.kind not in "fiu":
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        finite = np.isfinite(alone)
        if np.any(finite & ~np.isfinite(among)):
            return True
        scale = np.max(np.abs(every[np.isfinite(every)]), initial=0.0)
        return bool(np.any(np.abs(among - alone)[finite] > rounding * scale))


def _computes_in_half(model: Any, program: Program) -> bool:
    policies = {str(layer.compute_dtype) for layer in model._flatten_layers()}
    return program.compute_dtype is not None or not policies <= {"float32", "float64"}


def _operations(model: Any) -> Iterator[Any]:
    for operation in graph_of(model).operations:
        if isinstance(operation, keras.Model) and is_plain(operation):
            yield from _operations(operation)
        else:
            yield operation


def _keeps_apart(operation: Any) -> bool:
    axis = getattr(operation, "axis", None)
    return (
        isinstance(operation, keras.layers.Layer)
        and all(map(is_of_keras, operation._flatten_layers()))
        and 0 not in (axis if isinstance(axis, (list, tuple)) else [axis])
    )
