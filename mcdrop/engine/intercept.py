"""Switching chosen layers on while a model is traced, and leaving no trace on the model.

A layer is switched on by an override of `call` in its instance dictionary for the time of
one trace, on one thread. The override runs the layer's own `call` with `training=True`, so
masks, data types, name scopes and every subclass's own code behave as in training.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state

from mcdrop.engine.audit import Leaf, recurrent_cells
from mcdrop.engine.redirect import Draws, redirect

Layer = Any
Override = Callable[..., Any]
Table = dict[tuple[int, str], tuple[Layer, Override]]
"""Overrides of (id of a layer, name of its method)."""

_MASKS_OF_CELLS = {"_dropout_mask", "_recurrent_dropout_mask"}

LOCK = threading.RLock()
"""Held while tracing: the overrides, and the functions of `keras.random`, are shared."""


@contextmanager
def stochastic_scope(model: Layer, leaves: tuple[Leaf, ...], draws: Draws) -> Iterator[None]:
    """Traces inside the block see the selected leaves on, and everything else in inference.

    Nothing of the model is changed when the block ends: variables are read through a
    StatelessScope, and instance dictionaries are put back as they were.
    """
    on = draws.rows is not None
    table: Table = {}
    for leaf in leaves:
        if on and leaf.info.selected:
            table[id(leaf.layer), "call"] = leaf.layer, _switched_on(leaf, draws)
            for child in leaf.layer._flatten_layers(include_self=False):
                table.setdefault((id(child), "call"), (child, _switched_off))
        elif leaf.info.kind == "rnn":
            table[id(leaf.layer), "call"] = leaf.layer, _muted(draws)
    for leaf in leaves:
        # A selected leaf inside another keeps its own override.
        if on and leaf.info.selected:
            table[id(leaf.layer), "call"] = leaf.layer, _switched_on(leaf, draws)
    for layer in model._flatten_layers():
        for cell in recurrent_cells(layer):
            table.update(_own_masks(cell))
    with LOCK, _preserved(model), keras.StatelessScope(), redirect(draws), _overridden(table):
        yield


def _switched_on(leaf: Leaf, draws: Draws) -> Override:
    def call(layer: Layer, original: Override, *args: Any, **kwargs: Any) -> Any:
        if _takes_training(layer):
            kwargs["training"] = True
        if leaf.info.kind == "rnn":
            _forget_masks(layer)
        with draws.owned_by(leaf.ordinal), _training_flag(True):
            return original(*args, **kwargs)

    return call


def _muted(draws: Draws) -> Override:
    def call(layer: Layer, original: Override, *args: Any, **kwargs: Any) -> Any:
        _forget_masks(layer)
        with draws.mute():
            return original(*args, **kwargs)

    return call


def _switched_off(layer: Layer, original: Override, *args: Any, **kwargs: Any) -> Any:
    if _takes_training(layer) and not _is_cell_of_recurrent(layer):
        kwargs["training"] = False
    with _training_flag(kwargs.get("training", False)):
        return original(*args, **kwargs)


def _takes_training(layer: Layer) -> bool:
    return bool(layer._call_has_training_arg)


def _is_cell_of_recurrent(layer: Layer) -> bool:
    """Cells and stacks of cells get the RNN's own flag: their masks are the RNN's dropout."""
    return bool(recurrent_cells(layer)) or isinstance(layer, keras.layers.StackedRNNCells)


def _forget_masks(layer: Layer) -> None:
    """Drops masks left by a call that failed, or that was made on a cell without an RNN."""
    for cell in recurrent_cells(layer):
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()


def _own_masks(cell: Layer) -> Table:
    """Keeps a cell's masks here; on the cell, another thread that calls it would meet them."""
    held: dict[str, Any] = {}

    def get(name: str) -> Override:
        def masks(cell: Layer, _: Override, step_input: Any) -> Any:
            rate = getattr(cell, name)
            if name not in held and rate > 0:
                held[name] = cell._create_dropout_mask(step_input, rate)
            return held.get(name)

        return masks

    def reset(name: str) -> Override:
        return lambda *_: held.pop(name, None)

    return {
        (id(cell), f"{verb}_{name}_mask"): (cell, override(name))
        for verb, override in (("get", get), ("reset", reset))
        for name in ("dropout", "recurrent_dropout")
    }


@contextmanager
def _training_flag(value: bool) -> Iterator[None]:
    """Sets the `training` of the surrounding call and restores it: Keras itself does not."""
    context = global_state.get_global_attribute("current_call_ctx")
    if context is None:
        yield
        return
    before = context.get_value("training")
    context.set_value("training", value)
    try:
        yield
    finally:
        context.set_value("training", before)


@contextmanager
def _overridden(table: Table) -> Iterator[None]:
    """Overrides methods of layers for this thread; others still run the original."""
    thread = threading.get_ident()
    for (_, name), (layer, override) in table.items():
        layer.__dict__[name] = _gate(thread, layer, getattr(layer, name), override)
    yield


def _gate(thread: int, layer: Layer, original: Override, override: Override) -> Override:
    def call(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(*args, **kwargs)
        return override(layer, original, *args, **kwargs)

    return call


@contextmanager
def _preserved(model: Layer) -> Iterator[None]:
    """Puts every instance dictionary of the model's layers back as it was, lists in it too.

    The masks of recurrent cells are left alone: the trace does not use them, and one that
    another thread is using now must not come back when that thread is done with it.
    """
    layers = model._flatten_layers()
    before = [dict(layer.__dict__) for layer in layers]
    contents = [
        (value, list(value) if isinstance(value, list) else dict(value))
        for attributes in before
        for value in attributes.values()
        if isinstance(value, (list, dict))
    ]
    try:
        yield
    finally:
        for layer, attributes in zip(layers, before, strict=True):
            current = layer.__dict__
            for name in current.keys() - attributes.keys() - _MASKS_OF_CELLS:
                del current[name]
            for name in attributes.keys() - _MASKS_OF_CELLS:
                if current.get(name) is not attributes[name]:
                    current[name] = attributes[name]
        for container, content in contents:
            _restore(container, content)


def _restore(container: Any, content: Any) -> None:
    """Puts back what a list or dict held, past the classes of Keras that track changes."""
    if isinstance(container, list):
        if len(container) != len(content) or any(map(operator.is_not, container, content)):
            list.__setitem__(container, slice(None), content)
    elif container.keys() != content.keys() or any(
        container[key] is not content[key] for key in content
    ):
        dict.clear(container)
        dict.update(container, content)
