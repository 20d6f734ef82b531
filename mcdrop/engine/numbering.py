"""Equal computations of one traced graph, found by their structure.

A model is traced twice into one graph, with its dropout off and on. What lies before the first
dropout is then there twice, and must be computed once. Operations are equal when they have the
same type, the same attributes and equal inputs (value numbering, as compilers do it).
"""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework import op_def_registry

Tensor = Any
Operation = Any

_MOST_BYTES = 2**16
"""Attributes above this size, large constants say, are not compared."""


class Numbering:
    """Finds the first of equal tensors of a graph.

    Args:
        graph: The graph; tensors of loop bodies and branches in it are left alone.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._first: dict[Operation, Operation] = {}
        self._by_key: dict[Any, Operation] = {}
        self._stateful: dict[str, bool] = {}

    def first(self, tensor: Tensor) -> Tensor:
        """Returns the first tensor of the graph that holds the same value as this one."""
        if tensor.graph is not self._graph:
            return tensor
        waiting = [tensor.op]
        while waiting:
            operation = waiting[-1]
            if operation in self._first:
                waiting.pop()
                continue
            missing = [t.op for t in operation.inputs if t.op not in self._first]
            if missing:
                waiting.extend(missing)
            else:
                self._number(waiting.pop())
        return self._first[tensor.op].outputs[tensor.value_index]

    def settle(self, tensor: Tensor) -> None:
        """Takes a tensor for the first of its kind, whatever it is made of."""
        self._first.setdefault(tensor.op, tensor.op)

    def _number(self, operation: Operation) -> None:
        first = operation
        if self._is_pure(operation):
            description = operation.node_def
            attributes = sorted(
                (name, value.SerializeToString(deterministic=True))
                for name, value in description.attr.items()
                if name != "_class"
            )
            if sum(len(value) for _, value in attributes) <= _MOST_BYTES:
                inputs = tuple((self._first[t.op], t.value_index) for t in operation.inputs)
                key = operation.type, tuple(attributes), inputs
                first = self._by_key.setdefault(key, operation)
        self._first[operation] = first

    def _is_pure(self, operation: Operation) -> bool:
        """Whether equal inputs give equal outputs: reading a variable does, none is assigned."""
        kind = operation.type
        if operation.name.rsplit("/", 1)[-1].startswith("mcdrop_"):
            return False  # copies of a tensor that must be told apart from it
        if kind in ("ReadVariableOp", "ResourceGather"):
            return True
        if kind in ("Placeholder", "PartitionedCall") or operation.control_inputs:
            return False
        if kind not in self._stateful:
            definition = op_def_registry.get(kind)
            self._stateful[kind] = definition is None or definition.is_stateful
        return not self._stateful[kind]
