"""Models whose code makes another computation each time it is traced.

A compiled pass repeats what Python computed while it was traced: a number of NumPy's or of the
module `random`, the time, a count of calls. Such a number looks random to who wrote the layer and
is the same in all passes. So a model with code that is not Keras' own runs twice with its dropout
on, in one graph, and both runs must compute the same from the inputs and the noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from mcdrop.engine import inspection

Tensor = Any
Operation = Any

_NAMELESS = ("i", "f", "b", "type", "shape", "tensor", "list")
"""Fields of attributes that hold no name, which differs between equal computations."""


class Comparison:
    """Compares computations of one graph by their structure, not by the names in them.

    Args:
        graph: The graph.
        entries: Tensors that stand for each other in the runs, by `id`: the numbers that each draw
            of noise reads.
    """

    def __init__(self, graph: Any, entries: dict[int, int]) -> None:
        self._graph = graph
        self._entries = entries
        self._of: dict[Operation, int] = {}
        self._numbers: dict[Any, int] = {}
        self._functions: dict[str, int] = {}

    def first_difference(
        self, ours: Sequence[Tensor], theirs: Sequence[Tensor]
    ) -> Operation | None:
        """Returns the first operation that makes `ours` and has no equal among those of `theirs`.

        None where both are the same computation.
        """
        known = {self._of[op] for op in self._number_all(theirs)}
        made = self._number_all(ours)
        if [self._of[tensor.op] for tensor in ours] == [self._of[tensor.op] for tensor in theirs]:
            return None
        unknown = (op for op in made if self._of[op] not in known)
        return next(unknown, made[-1])

    def _number_all(self, tensors: Iterable[Tensor]) -> list[Operation]:
        """Numbers the operations that make tensors, and returns them, inputs before readers."""
        made: dict[Operation, None] = {}
        waiting = [tensor.op for tensor in tensors]
        while waiting:
            operation = waiting[-1]
            missing = [t.op for t in operation.inputs if t.op not in made]
            if operation in made or not missing:
                made[waiting.pop()] = None
                self._number(operation)
            else:
                waiting.extend(missing)
        return list(made)

    def _number(self, operation: Operation) -> None:
        if operation in self._of:
            return
        entry = next((self._entries.get(id(t)) for t in operation.outputs), None)
        key: Any = "entry", entry
        if entry is None and operation.type == "Placeholder":
            key = "argument", operation.name
        elif entry is None:
            inputs = tuple((self._of[t.op], t.value_index) for t in operation.inputs)
            key = self._describe(operation.type, operation.node_def), inputs
        self._of[operation] = self._numbers.setdefault(key, len(self._numbers))

    def _describe(self, kind: str, node: Any) -> Any:
        if inspection.is_random(kind):
            return kind  # TensorFlow gives each a seed of its own
        return kind, tuple(
            (name, self._value(value))
            for name, value in sorted(node.attr.items())
            if not name.startswith("_")
        )

    def _value(self, value: Any) -> Any:
        field = value.WhichOneof("value")
        if field == "func":
            return self._function(value.func.name)
        if field == "list" and value.list.func:
            return tuple(self._function(function.name) for function in value.list.func)
        if field == "tensor":
            array = tf.make_ndarray(value.tensor)
            # Minus zero is no other number.
            return str(array.dtype), array.shape, (array + 0 if _adds(array) else array).tobytes()
        return value.SerializeToString(deterministic=True) if field in _NAMELESS else None

    def _function(self, name: str) -> int:
        """Returns the number of a function that the graph calls, by what it does."""
        if name not in self._functions:
            self._functions[name] = -1
            nodes = self._library[name].node_def if name in self._library else ()
            described = Counter(self._describe(node.op, node) for node in nodes)
            key = "function", frozenset(described.items())
            self._functions[name] = self._numbers.setdefault(key, len(self._numbers))
        return self._functions[name]

    @cached_property
    def _library(self) -> dict[str, Any]:
        functions = self._graph.as_graph_def().library.function
        return {function.signature.name: function for function in functions}


def _adds(array: Any) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))
