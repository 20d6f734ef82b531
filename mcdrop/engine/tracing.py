"""Tracing a model into one graph: once with its dropout off, once with the chosen layers on.

Both runs go into the same graph, so that what they have in common can be computed once. The
second run takes over from the first the calls of Keras' own layers that no noise has reached yet.
Nothing is cut here, see `cutting`; nothing of the user's model is touched, see `replica`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from mcdrop.engine.audit import Leaf
from mcdrop.engine.calls import Call, Calls, Memory
from mcdrop.engine.dependence import Dependence
from mcdrop.engine.folding import Folding
from mcdrop.engine.functional import is_of_keras
from mcdrop.engine.intercept import Interception
from mcdrop.engine.masks import Rows
from mcdrop.engine.redirect import Draws
from mcdrop.engine.repeating import Comparison
from mcdrop.engine.replica import Replica
from mcdrop.errors import ModelError

Tensor = Any


@dataclass(frozen=True)
class Settings:
    """How passes are drawn; see `MCDropout`.

    Attributes:
        shared: One mask a pass for all examples.
        balanced: Masks are balanced over the passes.
        compute_dtype: Data type of the passes, None for that of the model.
        jit_compile: Leave the passes as a whole to XLA.
        compiled_masks: Leave the drawing of masks to XLA where that pays.
        nested: Passes share their early masks, so their numbers may start anywhere.
    """

    shared: bool = False
    balanced: bool = False
    compute_dtype: str | None = None
    jit_compile: bool = False
    compiled_masks: bool = True
    nested: bool = False


@dataclass(frozen=True)
class Trace:
    """A traced model.

    Attributes:
        graph: The graph of both runs.
        seed: The user's seed in it, shape (2,).
        examples: Numbers of the examples, shape (E,).
        passes: Numbers of the passes, shape (F,).
        inputs: The model's flat inputs.
        deterministic: Flat outputs with dropout off, shape (E, ...).
        outputs: Flat outputs of the passes, shape (F * E, ...).
        structure: How the outputs are nested.
        draws: The noise of the second run.
        calls: The calls of layers in the second run.
        memory: Which tensors of the two runs are equal.
        is_random: Whether a tensor depends on the noise.
        folded: Shared masks are applied to weights.
    """

    graph: Any
    seed: Tensor
    examples: Tensor
    passes: Tensor
    inputs: tuple[Tensor, ...]
    deterministic: list[Tensor]
    outputs: list[Tensor]
    structure: Any
    draws: Draws
    calls: list[Call]
    memory: Memory
    is_random: Dependence
    folded: bool

    def first(self, tensor: Tensor) -> Tensor:
        """Returns the first of the tensors that hold the same value, in both runs together."""
        return tensor if self.is_random(tensor) else self.memory.numbering.first(tensor)


def trace(
    model: Any,
    leaves: tuple[Leaf, ...],
    settings: Settings,
    specs: Sequence[tf.TensorSpec],
    structure: Any,
    *,
    one_pass: bool,
    barred: frozenset[str],
) -> Trace:
    """Traces a model in both ways.

    Args:
        model: The model.
        leaves: Its stochastic layers.
        settings: How passes are drawn.
        specs: Shapes and types of the flat inputs, their batch axes open.
        structure: How the inputs are nested.
        one_pass: A step holds a single pass.
        barred: Names of tensors that hold other rows than one an example.
    """
    found: list[Trace] = []

    def both(seed: Tensor, examples: Tensor, passes: Tensor, *inputs: Tensor) -> list[Tensor]:
        graph = tf.compat.v1.get_default_graph()
        memory = Memory(graph, frozenset(id(f.layer) for f in leaves if f.info.selected))
        packed = tree.pack_sequence_as(structure, list(inputs))
        still = Calls(graph)
        off = Interception(leaves, Draws(None, who=lambda: still.path), still, memory)
        reference = _run(Replica(model), off, packed)
        is_random = Dependence(graph, seed)
        rows = Rows(
            seed,
            examples,
            passes,
            shared=settings.shared,
            balanced=settings.balanced,
            one_pass=one_pass,
            aligned=not settings.nested,
            compiled=settings.compiled_masks,
        )
        folding = Folding(leaves, static=settings.jit_compile) if settings.shared else None

        def switched_on(calls: Calls) -> Interception:
            return Interception(
                leaves,
                Draws(rows, is_random, lambda: calls.path, barred),
                calls,
                memory,
                folding=folding,
                compute_dtype=settings.compute_dtype,
                final=_final(still, reference),
            )

        replica, calls = Replica(model), Calls(graph)
        on = switched_on(calls)
        sampled = _run(replica, on, packed)
        if not all(map(is_of_keras, model._flatten_layers())):
            _check_repeats(replica, on.draws, sampled, switched_on(Calls(graph)), packed)
        found.append(
            Trace(
                graph=graph,
                seed=seed,
                examples=examples,
                passes=passes,
                inputs=inputs,
                deterministic=_flat(reference),
                outputs=_flat(sampled),
                structure=tree.map_structure(lambda _: 0, reference),
                draws=on.draws,
                calls=calls.done,
                memory=memory,
                is_random=is_random,
                folded=folding is not None and folding.used,
            )
        )
        return [*found[0].deterministic, *found[0].outputs]

    vector = tf.TensorSpec([None], tf.uint32)
    arguments = [tf.TensorSpec([2], tf.uint32), vector, vector, *specs]
    tf.function(both, autograph=False).get_concrete_function(*arguments)
    return found[0]


def _run(replica: Replica, interception: Interception, inputs: Any) -> Any:
    with interception.tracing(replica):
        return replica.model(inputs, training=False)


def _check_repeats(
    replica: Replica, draws: Draws, sampled: Any, again: Interception, inputs: Any
) -> None:
    """Raises ModelError when a second run with dropout on computes something else.

    It runs on the copy of the first, so that what a layer counts there goes on.
    """
    repeated = _run(replica, again, inputs)
    both = zip(draws.places, again.draws.places, strict=False)
    entries = {id(place.passes): n for n, pair in enumerate(both) for place in pair}
    comparison = Comparison(tf.compat.v1.get_default_graph(), entries)
    different = comparison.first_difference(_tensors(repeated), _tensors(sampled))
    if different is None:
        return
    where = again.calls.path_at(different.graph.get_operations().index(different))
    raise ModelError(
        f"The code of {where!r} computes something else each time it runs: "
        "it uses NumPy's or Python's random numbers, the time or a count of its calls. All passes, "
        "which are compiled, would repeat what it had once. Draw from keras.random there."
    )


def _tensors(outputs: Any) -> list[Tensor]:
    flat = tf.nest.flatten(tree.flatten(outputs), expand_composites=True)
    return [value for value in flat if tf.is_symbolic_tensor(value)]


def _final(calls: Calls, outputs: Any) -> frozenset[int]:
    """Returns the `id`s of the layers that make the model's outputs."""
    last = {id(tensor) for tensor in tree.flatten(outputs)}
    return frozenset(
        id(call.layer) for call in calls.done if last.intersection(map(id, call.outputs))
    )


def _flat(outputs: Any) -> list[Tensor]:
    """Returns flat outputs, half precision widened to float32, in which statistics are made."""
    flat = tree.flatten(outputs)
    for tensor in flat:
        if not tf.is_tensor(tensor):
            raise ModelError(
                f"The model returns a {type(tensor).__name__} among its outputs, expected "
                "tensors only."
            )
    narrow = ("float16", "bfloat16")
    kinds = [keras.backend.standardize_dtype(tensor.dtype) for tensor in flat]
    return [
        tf.cast(tensor, tf.float32) if kind in narrow else tensor
        for tensor, kind in zip(flat, kinds, strict=True)
    ]
