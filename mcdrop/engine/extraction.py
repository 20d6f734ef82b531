"""Parts of a traced graph put into other functions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context

from mcdrop.engine.cutting import Part

Tensor = Any

_COMPILED = "_XlaMustCompile"
_SUFFIX = "_plain"


class Extractor:
    """Takes parts out of one traced graph.

    Args:
        graph: The graph of a traced function.
        first: Returns the tensor of the graph that is computed in place of another.
    """

    def __init__(self, graph: Any, first: Callable[[Tensor], Tensor]) -> None:
        definition = graph.as_graph_def()
        self._nodes = {node.name: node for node in definition.node}
        self._library = definition.library
        self._captured = {id(inside): outside for outside, inside in graph.captures}
        self._first = first
        self._registered: set[str] = set()
        weakref.finalize(self, _forget, self._registered)

    def compute(
        self, part: Part, given: Mapping[int, Tensor], *, compiled: bool = True
    ) -> list[Tensor]:
        """Adds a part to the function that is being traced, and returns its outputs there.

        Args:
            part: The part.
            given: Values of what enters it, by `id` of the tensor of the traced graph.
            compiled: Leave what is marked for XLA to XLA; the numbers are the same without.
        """
        inside = set(part.operations)
        definition = tf.compat.v1.GraphDef()
        definition.versions.producer = tf.version.GRAPH_DEF_VERSION
        definition.library.CopyFrom(self._library)
        entries: dict[int, tuple[str, Tensor]] = {}

        def name_of(tensor: Tensor) -> str:
            if tensor.op in inside:
                return str(tensor.name)
            if id(tensor) not in entries:
                entries[id(tensor)] = f"mcdrop_input_{len(entries)}", self._value(tensor, given)
            return entries[id(tensor)][0]

        for operation in part.operations:
            node = definition.node.add()
            node.CopyFrom(self._nodes[operation.name])
            _drop(node.attr, "_class")
            inputs = [name_of(self._first(tensor)) for tensor in operation.inputs]
            before = [f"^{op.name}" for op in operation.control_inputs if op in inside]
            del node.input[:]
            node.input.extend([*inputs, *before])
        made = [tensor for tensor in part.outputs if tensor.op in inside]
        if not compiled:
            self._register(_leave_uncompiled(definition))
        computed = tf.graph_util.import_graph_def(
            definition,
            input_map={f"{name}:0": value for name, value in entries.values()},
            return_elements=[str(tensor.name) for tensor in made],
            name="part",
        )
        values = dict(zip(map(id, made), computed, strict=True))
        return [
            _with_shape(values[id(tensor)], tensor)
            if id(tensor) in values
            else self._value(tensor, given)
            for tensor in part.outputs
        ]

    def _register(self, functions: list[Any]) -> None:
        """Makes functions known to TensorFlow, which looks them up by name when they run."""
        for function in functions:
            if function.signature.name not in self._registered:
                self._registered.add(function.signature.name)
                context.context().add_function_def(function)

    def _value(self, tensor: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        graph = tf.compat.v1.get_default_graph()
        value = given[id(tensor)] if id(tensor) in given else self._captured[id(tensor)]
        # A variable, or a tensor of the function around a loop.
        return graph.capture(value)


def _with_shape(value: Tensor, tensor: Tensor) -> Tensor:
    """Returns an imported tensor with the shape that it was known to have in its own graph."""
    if value.dtype in (tf.resource, tf.variant) or tensor.shape.rank is None:
        return value
    return tf.ensure_shape(value, tensor.shape)


def _forget(names: set[str]) -> None:
    for name in names:
        context.context().remove_function(name)


def _leave_uncompiled(definition: Any) -> list[Any]:
    """Takes the marks for XLA off a graph, and returns the functions that got a new name by it."""
    functions = {function.signature.name: function for function in definition.library.function}
    marked = {name for name, function in functions.items() if _COMPILED in function.attr}
    grown = True
    while grown:  # also those that call one
        callers = {
            name
            for name, function in functions.items()
            if any(marked.intersection(_called(node)) for node in function.node_def)
        }
        grown = not callers <= marked
        marked |= callers
    for name in marked:
        functions[name].signature.name += _SUFFIX
        _drop(functions[name].attr, _COMPILED)
        for node in functions[name].node_def:
            _rename_calls(node, marked)
    for node in definition.node:
        _rename_calls(node, marked)
    return [functions[name] for name in sorted(marked)]


def _called(node: Any) -> set[str]:
    """Returns the names of the functions that a node calls."""
    values = [
        function for value in node.attr.values() for function in (value.func, *value.list.func)
    ]
    return {node.op, *(function.name for function in values)}


def _rename_calls(node: Any, names: set[str]) -> None:
    _drop(node.attr, _COMPILED)
    if node.op in names:
        node.op += _SUFFIX
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            if function.name in names:
                function.name += _SUFFIX


def _drop(attributes: Any, name: str) -> None:
    if name in attributes:
        del attributes[name]
