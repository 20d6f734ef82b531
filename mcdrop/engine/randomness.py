"""Layers that mcdrop does not know: do they draw random numbers, and when?

A layer that holds a seed says so by itself. Others draw from the global seed, which only their
code tells: the names that `call`, and what it calls, look up. Nothing is run.
"""

from __future__ import annotations

import dis
import inspect
import random
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Layer = Any

STOCHASTIC_DEPTHS = ("StochasticDepth", "DropPath")
"""Names under which keras.applications, KerasHub and Keras's examples have stochastic depth."""

_RATES = ("drop_path_rate", "drop_prob", "rate", "drop_rate")
_GENERATORS = (
    keras.random.SeedGenerator,
    tf.random.Generator,
    np.random.Generator,
    np.random.RandomState,
    random.Random,
)
_LIBRARIES = ("keras", "tensorflow", "numpy", "jax", "torch")
_DEPTH = 4


def describe_unknown(layer: Layer) -> tuple[str, float] | None:
    """Returns kind and rate of a random layer of a class that mcdrop has no rule for.

    The kinds are "drop_path", "augmentation", "always_on" for a layer that has no `training`
    to tell inference by, and "unregistered" for the others; None for a layer that draws nothing.
    """
    if is_augmentation(layer):
        return ("augmentation", float("nan")) if _holds_seed(layer) else None
    of_keras = type(layer).__module__.startswith("keras.src.layers.")
    if not (_holds_seed(layer) or (not of_keras and _draws(layer))):
        return None
    rate = next((getattr(layer, name) for name in _RATES if hasattr(layer, name)), None)
    known = float(rate) if isinstance(rate, (int, float)) else float("nan")
    if type(layer).__name__ in STOCHASTIC_DEPTHS and layer._call_has_training_arg:
        return "drop_path", known
    return "unregistered" if layer._call_has_training_arg else "always_on", known


def is_augmentation(layer: Layer) -> bool:
    """Whether a layer is one of Keras's own for preprocessing and augmentation."""
    return any(
        kind.__module__.startswith("keras.src.layers.preprocessing.")
        for kind in type(layer).__mro__
    )


def _holds_seed(layer: Layer) -> bool:
    values: list[Any] = []
    for value in vars(layer).values():
        values += value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(value, _GENERATORS) for value in values)


def _draws(layer: Layer) -> bool:
    """Whether the code of a layer's `call` looks up a random function."""
    call = inspect.unwrap(type(layer).call)
    return isinstance(call, FunctionType) and any(
        _is_random(code, function) for code, function in _codes(call, type(layer), set(), _DEPTH)
    )


def _codes(
    function: FunctionType, owner: type, seen: set[int], depth: int
) -> Iterator[tuple[CodeType, FunctionType]]:
    """Yields the code of a function, and of the user's functions and methods that it names."""
    # The layer's own `call` is looked at whoever wrote it: keras.applications has random layers.
    of_library = function.__module__.split(".")[0] in _LIBRARIES and depth < _DEPTH
    if id(function) in seen or depth == 0 or of_library:
        return
    seen.add(id(function))
    for code in _nested(function.__code__):
        yield code, function
        looked_up = _globals_of(code)
        named = [function.__globals__.get(name) for name in looked_up]
        named += [inspect.getattr_static(owner, name, None) for name in code.co_names]
        for other in named:
            if isinstance(other, FunctionType):
                yield from _codes(other, owner, seen, depth - 1)


def _globals_of(code: CodeType) -> set[str]:
    """Returns the global names that code looks up, without the attributes of other things."""
    return {
        i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _is_random(code: CodeType, function: FunctionType) -> bool:
    names = set(code.co_names)
    if "random" in names or {"nn", "dropout"} <= names:
        return True
    for name in _globals_of(code):
        value = function.__globals__.get(name)
        module = (
            value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        )
        if isinstance(value, (FunctionType, ModuleType)) and _is_module_of_noise(module):
            return True
    return False


def _is_module_of_noise(module: str | None) -> bool:
    parts = (module or "").split(".")
    return parts[0] in _LIBRARIES and ("random" in parts or "random_ops" in parts)
