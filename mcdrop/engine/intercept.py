"""Switching chosen layers on while a model is traced.

A layer is switched on by an override of `call` in the instance dictionary of its copy (see
`replica`). The override runs the layer's own `call` with `training=True`, so masks, data types,
name scopes and every subclass's own code behave as in training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from mcdrop.engine.audit import Leaf, recurrent_cells
from mcdrop.engine.calls import Calls, Memory
from mcdrop.engine.folding import Folding
from mcdrop.engine.functional import is_plain
from mcdrop.engine.private_keras import takes_training, training_flag
from mcdrop.engine.redirect import Draws, redirect
from mcdrop.engine.replica import Replica
from mcdrop.engine.shadow import can_convert, in_data_type

Layer = Any
Tensor = Any
Behaviour = Callable[..., Any]
"""Runs the bound `call` of a layer, its first argument, on the others."""

LOCK = threading.RLock()
"""Held while tracing: the functions of `keras.random` are replaced for the process."""


class Interception:
    """What happens in place of the `call` of each layer, in one run of a model.

    Args:
        leaves: The stochastic layers.
        draws: The noise; without rows every layer is in inference.
        calls: Where the calls are recorded.
        memory: Calls of an earlier run; None records and recalls nothing.
        folding: Moves shared masks onto weights; None leaves them on activations.
        compute_dtype: Data type of the layers that are different in every pass.
        final: `id`s of the layers that make the model's outputs, which stay as they are.

    Attributes:
        draws: The noise.
        calls: The calls of layers so far.
    """

    def __init__(
        self,
        leaves: tuple[Leaf, ...],
        draws: Draws,
        calls: Calls,
        memory: Memory,
        *,
        folding: Folding | None = None,
        compute_dtype: str | None = None,
        final: frozenset[int] = frozenset(),
    ) -> None:
        self.draws = draws
        self.calls = calls
        self._memory = memory
        self._folding = folding
        self._compute_dtype = compute_dtype
        self._final = final
        self._behaviours = _behaviours(leaves, draws)
        self._selected = {id(leaf.layer) for leaf in leaves if leaf.info.selected}

    @contextmanager
    def tracing(self, replica: Replica) -> Iterator[None]:
        """Runs of the replica inside the block see the selected leaves on, and all else off."""
        layers = replica.layers()
        before = [copy.__dict__.get("call") for _, copy in layers]
        for original, copy in layers:
            copy.__dict__["call"] = self._override(original, copy, copy.call)
        try:
            with LOCK, keras.StatelessScope(), redirect(self.draws):
                yield
        finally:
            for (_, copy), call in zip(layers, before, strict=True):
                copy.__dict__.pop("call")
                copy.__dict__ |= {} if call is None else {"call": call}

    def _override(self, original: Layer, copy: Layer, call: Callable[..., Any]) -> Any:
        behaviour = self._behaviours.get(id(original), _as_it_is)

        def overridden(*args: Any, **kwargs: Any) -> Any:
            def run() -> Any:
                return self._run(original, copy, behaviour, call, args, kwargs)

            return self.calls.run(original, (args, kwargs), run)

        return overridden

    def _run(
        self,
        original: Layer,
        copy: Layer,
        behaviour: Behaviour,
        call: Callable[..., Any],
        args: Any,
        kwargs: Any,
    ) -> Any:
        if self.draws.rows is None:
            before = self.draws.foreign, len(self.calls.done)
            outputs = behaviour(copy, call, *args, **kwargs)
            if self.draws.foreign == before[0]:
                inside = self.calls.done[before[1] :]
                self._memory.keep(original, (args, kwargs), outputs, inside)
            return outputs
        known = self._memory.recall(original, (args, kwargs))
        if known is not None:
            outputs, inside = known
            self.calls.done.extend(inside)
            return outputs
        half = self._half(original, copy, behaviour, args)

        def run() -> Any:
            if half is None:
                return behaviour(copy, call, *args, **kwargs)
            outputs = half(*args, **kwargs)
            # Code of the user's may mix data types in ways that only Keras' graphs put right.
            return outputs if is_plain(self.calls.caller) else tf.cast(outputs, tf.float32)

        if self._folding is None:
            return run()
        return self._folding.call(original, half or copy, self.draws, args, run)

    def _half(self, original: Layer, copy: Layer, behaviour: Behaviour, args: Any) -> Layer | None:
        """Returns a copy that computes in half precision; None for a layer that must not."""
        if self._compute_dtype is None or id(original) in self._final or not can_convert(copy):
            return None
        random = id(original) in self._selected or any(
            tf.is_tensor(value) and self.draws.is_random(value) for value in tree.flatten(args)
        )
        if not random:
            return None
        half = in_data_type(copy, self._compute_dtype)
        call = type(copy).call.__get__(half)
        half.__dict__["call"] = lambda *args, **kwargs: behaviour(half, call, *args, **kwargs)
        return half


def _behaviours(leaves: tuple[Leaf, ...], draws: Draws) -> dict[int, Behaviour]:
    """Returns what each layer does other than its own `call`, by the `id` of the layer."""
    on = draws.rows is not None
    table: dict[int, Behaviour] = {}
    for leaf in leaves:
        if on and leaf.info.selected:
            for child in leaf.layer._flatten_layers(include_self=False):
                table.setdefault(id(child), _switched_off)
        elif leaf.info.kind == "rnn":
            table[id(leaf.layer)] = _muted(draws)
    for leaf in leaves:
        # A selected leaf inside another keeps its own.
        if on and leaf.info.selected:
            table[id(leaf.layer)] = _switched_on(leaf, draws)
    return table


def _as_it_is(layer: Layer, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return call(*args, **kwargs)


def _switched_on(leaf: Leaf, draws: Draws) -> Behaviour:
    def run(layer: Layer, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if takes_training(layer):
            kwargs["training"] = True
        if leaf.info.kind == "rnn":
            _forget_masks(layer)
        with draws.owned_by(leaf.ordinal), training_flag(True):
            return call(*args, **kwargs)

    return run


def _muted(draws: Draws) -> Behaviour:
    """An RNN draws masks in inference too, and does not use them."""

    def run(layer: Layer, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        _forget_masks(layer)
        with draws.mute():
            return call(*args, **kwargs)

    return run


def _switched_off(layer: Layer, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if takes_training(layer) and not _is_cell_of_recurrent(layer):
        kwargs["training"] = False
    with training_flag(kwargs.get("training", False)):
        return call(*args, **kwargs)


def _is_cell_of_recurrent(layer: Layer) -> bool:
    """Cells and stacks of cells get the RNN's own flag: their masks are the RNN's dropout."""
    return bool(recurrent_cells(layer)) or isinstance(layer, keras.layers.StackedRNNCells)


def _forget_masks(layer: Layer) -> None:
    """Drops the masks of a call before: a cell that is called without an RNN keeps them."""
    for cell in recurrent_cells(layer):
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
