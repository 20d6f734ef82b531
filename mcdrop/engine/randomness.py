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
_OF_PYTHON = (np.random.Generator, np.random.RandomState, random.Random)
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
KERAS, PYTHON = "keras", "python"
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
    drawn = set() if of_keras else _drawn(layer)
    if not (_holds_seed(layer) or drawn):
        return None
    rate = next((getattr(layer, name) for name in _RATES if hasattr(layer, name)), None)
    known = float(rate) if isinstance(rate, (int, float)) else float("nan")
    if type(layer).__name__ in STOCHASTIC_DEPTHS and layer._call_has_training_arg:
        return "drop_path", known
    if layer._call_has_training_arg:
        return "unregistered", known
    # Numbers of Python's are the same in all passes; that they reach an output is found in a trace.
    return None if drawn == {PYTHON} else ("always_on", known)


def draws_in_python(layer: Layer) -> bool:
    """Whether a layer holds a generator of NumPy's or Python's, or its code names their noise."""
    return _holds(layer, _OF_PYTHON) or PYTHON in _drawn(layer)


def is_augmentation(layer: Layer) -> bool:
    """Whether a layer is one of Keras's own for preprocessing and augmentation."""
    return any(
        kind.__module__.startswith("keras.src.layers.preprocessing.")
        for kind in type(layer).__mro__
    )


def _holds_seed(layer: Layer) -> bool:
    return _holds(layer, (keras.random.SeedGenerator, tf.random.Generator, *_OF_PYTHON))


def _holds(layer: Layer, kinds: tuple[type, ...]) -> bool:
    values: list[Any] = []
    for value in vars(layer).values():
        values += value if isinstance(value, (list, tuple)) else [value]
    return any(isinstance(value, kinds) for value in values)


def _drawn(layer: Layer) -> set[str]:
    """Returns whose random functions the code of a layer's `call` looks up: KERAS, PYTHON."""
    call = inspect.unwrap(type(layer).call)
    if not isinstance(call, FunctionType):
        return set()
    codes = _codes(call, type(layer), set(), _DEPTH)
    return {kind for code, function in codes for kind in _named(code, function)}


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
    return {i.argval for i in dis.get_instructions(code) if i.opname in _GLOBAL}


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _named(code: CodeType, function: FunctionType) -> Iterator[str]:
    """Yields whose random functions code names; KERAS for an attribute that may be anyone's."""
    if {"nn", "dropout"} <= set(code.co_names):
        yield KERAS
    owner: Any = None
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if instruction.opname in _GLOBAL:
            owner = function.__globals__.get(name)
            if _is_of_python(owner):
                yield PYTHON
            elif _is_of_noise(owner):
                yield KERAS
            continue
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and name == "random":
            yield PYTHON if owner is np or _is_of_python(owner) else KERAS
        owner = None


def _is_of_python(value: Any) -> bool:
    """Whether a value is the module `random` or NumPy's, or a function of one."""
    if isinstance(value, ModuleType):
        return value.__name__ in ("random", "numpy.random")
    return isinstance(getattr(value, "__self__", None), _OF_PYTHON)


def _is_of_noise(value: Any) -> bool:
    """Whether a value is a random module of the libraries, or a function of one."""
    if isinstance(value, ModuleType):
        return _is_module_of_noise(value.__name__)
    return isinstance(value, FunctionType) and _is_module_of_noise(value.__module__)


def _is_module_of_noise(module: str | None) -> bool:
    parts = (module or "").split(".")
    return parts[0] in _LIBRARIES and ("random" in parts or "random_ops" in parts)
