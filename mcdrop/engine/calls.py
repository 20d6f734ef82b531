"""The calls of layers in one trace: who called whom, what they cost, which were made before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from mcdrop.engine.costs import counts_inside, multiplications
from mcdrop.engine.functional import is_of_keras
from mcdrop.engine.numbering import Numbering

Layer = Any
Tensor = Any

_ROLES = ("query", "value", "key")


@dataclass
class Call:
    """One call of a layer.

    Attributes:
        layer: The layer, the user's own.
        multiplications: Its arithmetic for one example, without that of the layers inside.
        outputs: The tensors it returned.
    """

    layer: Layer
    multiplications: float = 0.0
    outputs: list[Tensor] = field(default_factory=list)


class Calls:
    """Records the calls of one run of a model, in the order in which they end.

    Args:
        graph: The graph that is traced.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.done: list[Call] = []
        self._open: list[Call] = []
        self._spans: list[tuple[range, str]] = []

    @property
    def path(self) -> str:
        """Names from the model, left out, down to the layer whose `call` runs right now."""
        names = [call.layer.name for call in self._open]
        return "/".join(names[1:]) or names[0]

    @property
    def caller(self) -> Layer | None:
        """The layer that called the current one."""
        return self._open[-2].layer if len(self._open) > 1 else None

    def run(self, layer: Layer, arguments: Any, function: Callable[[], Any]) -> Any:
        """Calls `function`, which runs `layer` on `arguments`, and records it."""
        call, start = Call(layer), self.graph.version
        self._open.append(call)
        try:
            outputs = function()
            self._count(call, arguments, outputs)
        finally:
            self._spans.append((range(start, self.graph.version), self.path))
            self._open.pop()
        return outputs

    def path_at(self, position: int) -> str:
        """Returns the path of the innermost layer that made an operation, by when it was made."""
        return next((path for span, path in self._spans if position in span), "")

    def _count(self, call: Call, arguments: Any, outputs: Any) -> None:
        outside = self._open[:-1]
        if any(counts_inside(other.layer) for other in outside):
            return
        call.outputs = _plain(outputs)
        read = _read(call.layer, *arguments)
        made = [value for value in tree.flatten(outputs) if tf.is_tensor(value)]
        if all(tensor.shape.rank is not None for tensor in (*read, *made)):
            sources, results = map(_shapes, (read, made))
            call.multiplications = multiplications(call.layer, sources, results)
        if all(tensor.graph is self.graph for tensor in call.outputs):
            self.done.append(call)
        else:  # inside a loop: the tensors are those of its body
            outside[-1].multiplications += call.multiplications


class Memory:
    """Calls of Keras' own layers in a first run, taken over by a second one in the same graph.

    A layer of Keras that holds nothing selected computes a function of its inputs, so what it
    made of equal inputs before can stand for what it would make now, and need not be traced
    again. Custom layers may read what another layer left somewhere; they are traced both times.

    Args:
        graph: The graph.
        selected: `id`s of the layers that sample.
    """

    def __init__(self, graph: Any, selected: frozenset[int]) -> None:
        self.numbering = Numbering(graph)
        self._graph = graph
        self._selected = selected
        self._known: dict[Any, Any] = {}
        self._pure: dict[int, bool] = {}

    def keep(self, layer: Layer, arguments: Any, outputs: Any, inside: list[Call]) -> None:
        """Remembers what a call returned, and the calls that it made itself."""
        key = self._key(layer, arguments)
        if key is None:
            return
        self._known[key] = outputs, inside
        for tensor in _plain(outputs):
            if tensor.graph is self._graph:
                self.numbering.settle(tensor)

    def recall(self, layer: Layer, arguments: Any) -> tuple[Any, list[Call]] | None:
        """Returns what an equal call returned and the calls it made, None if there was none."""
        key = self._key(layer, arguments)
        return None if key is None else self._known.get(key)

    def _key(self, layer: Layer, arguments: Any) -> Any:
        """Returns what identifies a call, None for one that must be traced."""
        if tf.compat.v1.get_default_graph() is not self._graph or not self._is_pure(layer):
            return None
        args, kwargs = arguments
        parts: list[Any] = [id(layer)]
        for name, value in (*enumerate(args), *sorted(kwargs.items())):
            leaves = tree.flatten(value)
            parts.append((name, len(leaves)))
            for leaf in leaves:
                if tf.is_tensor(leaf) and not tf.is_symbolic_tensor(leaf):
                    return None
                if tf.is_tensor(leaf):
                    parts += [type(leaf), *(self.numbering.first(t).ref() for t in _plain(leaf))]
                elif leaf is None or isinstance(leaf, (bool, int, float, str)):
                    parts.append((type(leaf), leaf))
                else:
                    return None
        return tuple(parts)

    def _is_pure(self, layer: Layer) -> bool:
        if id(layer) not in self._pure:
            inside = layer._flatten_layers()
            self._pure[id(layer)] = not isinstance(layer, keras.Model) and all(
                is_of_keras(child) and id(child) not in self._selected for child in inside
            )
        return self._pure[id(layer)]


def _plain(values: Any) -> list[Tensor]:
    """Returns the tensors in nested values, for ragged and sparse ones their components."""
    found = [value for value in tree.flatten(values) if tf.is_tensor(value)]
    plain: list[Tensor] = tf.nest.flatten(found, expand_composites=True)
    return plain


def _read(layer: Layer, args: Any, kwargs: Any) -> list[Tensor]:
    """Returns the tensors that count for a layer's arithmetic, in order."""
    if isinstance(layer, (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)):
        named = dict(zip(_ROLES, args, strict=False)) | kwargs
        return [named[role] for role in _ROLES if named.get(role) is not None]
    return [value for value in tree.flatten((args, kwargs)) if tf.is_tensor(value)]


def _shapes(tensors: list[Tensor]) -> list[tuple[int | None, ...]]:
    return [tuple(tensor.shape.as_list()) for tensor in tensors]
