"""A structural copy of a model: its own layers, the same variables.

What a trace does to a layer (override its `call`, leave a mask or a tensor on it) it does to the
copy. The user's model is read and never written, so no other thread can meet a trace of it, and
nothing has to be put back.

Copied are layers, the nodes of Functional graphs, the containers they stand in, and objects of the
user's that hold layers. Shared is all else: variables, seed generators, metrics, optimizers,
arrays, functions.
"""

from __future__ import annotations

import functools
import re
import types
from collections import OrderedDict, defaultdict
from typing import Any

import keras

from mcdrop.engine.private_keras import BOUND_WRAPPERS, MASKS_OF_CELLS, Node, Tracker

Layer = Any

_SHARED = (keras.Variable, keras.random.SeedGenerator, keras.metrics.Metric, keras.losses.Loss)
_LIBRARIES = ("keras", "tensorflow", "numpy", "builtins", "functools", "collections")
_NODES = ("_inbound_nodes", "_outbound_nodes")
_MOST_SCANNED = 1000
_OUTSIDE_SCOPES = re.compile(r"[^A-Za-z0-9_.-]")


class Replica:
    """A copy of a model, and which of its layers stands for which.

    Attributes:
        model: The copy.
    """

    def __init__(self, model: Layer) -> None:
        copier = _Copier()
        self.model: Layer = copier.of(model)
        copier.fill()
        self._copies = copier.copies
        self._originals = copier.originals  # also keeps the originals' ids theirs

    def of(self, layer: Layer) -> Layer:
        """Returns the copy of a layer of the model."""
        return self._copies[id(layer)]

    def layers(self) -> list[tuple[Layer, Layer]]:
        """Returns all (original, copy) of layers, those that Keras does not list included."""
        pairs = ((original, self._copies[key]) for key, original in self._originals.items())
        return [pair for pair in pairs if isinstance(pair[0], keras.layers.Layer)]


class _Copier:
    """Copies what holds layers, each object once."""

    def __init__(self) -> None:
        self.copies: dict[int, Any] = {}
        self.originals: dict[int, Any] = {}
        self._empty: list[Any] = []

    def fill(self) -> None:
        """Gives the copies their attributes: not at once, since graphs of layers are deep."""
        while self._empty:
            original = self._empty.pop()
            copy = self.copies[id(original)]
            attributes = dict(original.__dict__)
            # Nodes of a layer lead to every other model that it is part of, and no call reads them.
            nodes = {name: list(attributes.pop(name)) for name in _NODES if name in attributes}
            copy.__dict__.update(self._items(attributes), **nodes)
            if isinstance(original, keras.Operation):
                _separate(copy)
            elif isinstance(original, Tracker):
                stores = {name: store for name, (_, store) in copy.config.items()}
                copy.stored_ids = {name: set(map(id, store)) for name, store in stores.items()}

    def of(self, value: Any) -> Any:
        """Returns the copy of a value, or the value itself where it is shared."""
        if id(value) in self.copies:
            return self.copies[id(value)]
        if isinstance(value, _SHARED):
            return value
        if isinstance(value, (keras.Operation, Node, Tracker)):
            return self._object(value)
        if isinstance(value, (list, dict, set, tuple)):
            return self._container(value)
        if isinstance(value, types.MethodType):
            owner = self.of(value.__self__)
            return value if owner is value.__self__ else types.MethodType(value.__func__, owner)
        if isinstance(value, functools.partial):
            return functools.partial(
                self.of(value.func), *map(self.of, value.args), **self._items(value.keywords)
            )
        return self._object(value) if _is_helper(value) and _holds_layer(value) else value

    def _remember(self, value: Any, copy: Any) -> Any:
        self.copies[id(value)], self.originals[id(value)] = copy, value
        return copy

    def _items(self, items: dict[Any, Any]) -> dict[Any, Any]:
        # Another thread may add an item meanwhile, so it is read in one step.
        return {self.of(key): self.of(item) for key, item in list(items.items())}

    def _object(self, value: Any) -> Any:
        self._empty.append(value)
        return self._remember(value, object.__new__(type(value)))

    def _container(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind.__module__.startswith("tensorflow"):
            # A proxy for checkpoints around a plain one: the copy is never saved.
            kind = next(plain for plain in (list, dict, tuple, set) if isinstance(value, plain))
            return self._remember(value, self._container(kind(value)))
        if isinstance(value, tuple):
            # A tuple cannot change, so an equal one need not be new.
            items = [self.of(item) for item in value]
            if all(a is b for a, b in zip(items, value, strict=True)):
                return value
            copy = kind(*items) if hasattr(value, "_fields") else kind(items)
            return self._remember(value, copy)
        copy = self._remember(value, kind.__new__(kind))
        if hasattr(value, "__dict__"):
            copy.__dict__.update(self._items(value.__dict__))
        if isinstance(value, list):
            list.extend(copy, [self.of(item) for item in list(value)])
        elif isinstance(value, set):
            set.update(copy, {self.of(item) for item in list(value)})
        else:
            if isinstance(value, defaultdict):
                copy.default_factory = value.default_factory
            store = OrderedDict if isinstance(value, OrderedDict) else dict
            for key, item in self._items(value).items():
                store.__setitem__(copy, key, item)
        return copy


def _separate(layer: Layer) -> None:
    """Takes off a copied layer what belongs to the original or to a call of another thread."""
    for name in BOUND_WRAPPERS:
        layer.__dict__.pop(name, None)
    for name in MASKS_OF_CELLS:
        if name in layer.__dict__:
            layer.__dict__[name] = None
    if "name" in layer.__dict__:
        # TensorFlow refuses some names as scopes, and Keras then leaves the scope open for good.
        layer.__dict__["name"] = _OUTSIDE_SCOPES.sub("_", layer.name).lstrip("_-") or "layer"


def _is_helper(value: Any) -> bool:
    """Whether a value is an instance of a class of the user's, with attributes."""
    kind = type(value)
    plain = not isinstance(value, (type, types.ModuleType, types.FunctionType))
    return plain and hasattr(value, "__dict__") and kind.__module__.split(".")[0] not in _LIBRARIES


def _holds_layer(value: Any) -> bool:
    """Whether a helper object holds a layer, directly or in its containers and helpers."""
    seen: set[int] = set()
    waiting = [value]
    while waiting and len(seen) < _MOST_SCANNED:
        item = waiting.pop()
        if isinstance(item, keras.layers.Layer):
            return True
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting.extend(list(item.values())[:_MOST_SCANNED])
        elif isinstance(item, (list, tuple, set)):
            waiting.extend(list(item)[:_MOST_SCANNED])
        elif _is_helper(item):
            waiting.extend(dict(item.__dict__).values())
    return False
