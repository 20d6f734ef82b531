"""Cutting a traced graph where random numbers reach it: what they do not reach runs once.

Forward from the operations that draw noise, everything is random; it forms the passes. The rest
forms the prefix. The tensors that cross from one to the other are the frontier. The passes can be
cut again, at the places where noise enters (calls of stochastic layers in order of execution), into
stages that run one after the other: an operation belongs to the last stage whose noise it feels.

A stage computes several passes of several examples at once, folded into axis 0 ("rows"). So a
tensor can cross only in one of three ways:

- ROWS: axis 0 is open and holds one row an example. It is repeated for every pass.
- SOURCE: the same, read by one dropout alone, which gives every pass its own mask of it. It is
  not repeated: copying a wide activation for every pass would cost more than to drop it.
- SIZES: the shape of a tensor of rows, whose first entry grows with the passes.

Whatever else would cross (a scalar, a tensor with time in front, the inside of a loop) is computed
again in the stage from tensors that can. That is always possible, since inputs of a model are rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any
Operation = Any

ROWS, SOURCE, SIZES = "rows", "source", "sizes"

_SIZES_ONLY = ("Shape", "ShapeN", "Size", "Rank", "TensorArraySizeV3", "TensorListLength")
_HEAVY = ("MatMul", "BatchMatMul", "Conv", "Einsum", "While", "StatelessWhile", "If", "StatelessIf")
_NO_ROWS = (tf.resource, tf.variant)


@dataclass(frozen=True)
class Crossing:
    """A tensor that a stage reads and does not make.

    Attributes:
        tensor: The tensor of the traced graph.
        kind: ROWS, SOURCE or SIZES.
    """

    tensor: Tensor
    kind: str


@dataclass(frozen=True)
class Part:
    """Some operations of a traced graph that compute tensors from others.

    Attributes:
        operations: What they are, in the order of the graph.
        inputs: What enters from outside, the arguments and variables aside.
        outputs: What they are for.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[Crossing, ...]
    outputs: tuple[Tensor, ...]

    def repeated(self, level: Callable[[Tensor], int]) -> list[Operation]:
        """Returns the heavy operations in it that are the same in every pass."""
        heavy = [op for op in self.operations if op.outputs and op.type.startswith(_HEAVY)]
        return [operation for operation in heavy if level(operation.outputs[0]) == 0]

    def tensors(self) -> list[Tensor]:
        """Returns all tensors that it makes."""
        return [tensor for operation in self.operations for tensor in operation.outputs]


class Levels:
    """To which stage each operation of a traced graph belongs.

    Level 0 is the same in every pass; level k > 0 first feels the noise of stage k.

    Args:
        graph: The graph.
        foreign: Operations that are random by themselves; ours read an entry.
        entries: The tensors through which noise enters, in order of execution.
        starts: Numbers of the entries at which a stage begins, the first 0.
        data: The model's inputs.
        sources: The entry of the dropout that reads each tensor that crosses as SOURCE, by `id`.
    """

    def __init__(
        self,
        graph: Any,
        foreign: Collection[Operation],
        entries: Sequence[Tensor],
        starts: Sequence[int],
        data: Iterable[Tensor],
        sources: Mapping[int, Tensor],
    ) -> None:
        stage_of = {
            id(tensor): sum(start <= number for start in starts)
            for number, tensor in enumerate(entries)
        }
        # What is made of a source is for its dropout alone: it has no row for every pass either.
        stage_of |= {key: stage_of[id(entry)] for key, entry in sources.items()}
        self._level: dict[Operation, int] = {}
        self._position: dict[Operation, int] = {}
        self._holds_data: dict[Operation, bool] = {tensor.op: True for tensor in data}
        for position, op in enumerate(graph.get_operations()):
            self._position[op] = position
            own = [stage_of.get(id(tensor), 0) for tensor in op.inputs]
            before = [self._level.get(tensor.op, 0) for tensor in op.inputs]
            # Foreign random numbers have no place, so they belong to the first stage. What depends
            # on the seed alone is no pass yet: each stage computes it for itself.
            self._level[op] = max((int(op in foreign), *own, *before))
            if op not in self._holds_data:
                inputs = any(self._holds_data.get(tensor.op, False) for tensor in op.inputs)
                self._holds_data[op] = inputs and op.type not in _SIZES_ONLY

    def of(self, operation: Operation) -> int:
        """Returns the level of an operation."""
        return self._level.get(operation, 0)

    def position(self, operation: Operation) -> int:
        """Returns when an operation was made, counted from 0."""
        return self._position[operation]

    def holds_data(self, operation: Operation) -> bool:
        """Whether what an operation returns depends on more of the inputs than their sizes."""
        return self._holds_data.get(operation, False)


class Cutter:
    """Cuts one traced graph into parts.

    Args:
        levels: Where each operation belongs.
        arguments: Tensors that every part is given: the inputs of the graph, variables.
        sources: `id`s of tensors that cross as SOURCE.
        barred: Names of tensors that cannot cross: they hold other rows than one an example.
        first: Returns the first of equal tensors.
    """

    def __init__(
        self,
        levels: Levels,
        arguments: Iterable[Tensor],
        sources: Iterable[int],
        barred: frozenset[str],
        first: Callable[[Tensor], Tensor],
    ) -> None:
        self._levels = levels
        self._arguments = {tensor.op for tensor in arguments}
        self._sources = frozenset(sources)
        self._barred = barred
        self._first = first

    def level(self, tensor: Tensor) -> int:
        """Returns the level of a tensor."""
        return self._levels.of(tensor.op)

    def prefix(self, outputs: Sequence[Tensor]) -> Part:
        """Returns what computes tensors of level 0 from the inputs of the graph."""
        return self._part(outputs, 0, lambda tensor: None)

    def stage(self, outputs: Sequence[Tensor], level: int) -> Part:
        """Returns what computes tensors from the noise of one stage and from stages before."""

        def crossing(tensor: Tensor) -> Crossing | None:
            if self._levels.of(tensor.op) >= level:
                return None
            if id(tensor) in self._sources:
                return Crossing(tensor, SOURCE)
            if tensor.op.type == "Shape":
                of = tensor.op.inputs[0]
                grows = self._is_rows(of) and of.name not in self._barred
                return Crossing(tensor, SIZES) if grows else None
            if self._is_rows(tensor) and tensor.name not in self._barred:
                return Crossing(tensor, ROWS)
            return None

        return self._part(outputs, level, crossing)

    def _part(
        self,
        outputs: Sequence[Tensor],
        level: int,
        crossing: Callable[[Tensor], Crossing | None],
    ) -> Part:
        wanted = tuple(self._first(tensor) for tensor in outputs)
        inside: dict[Operation, None] = {}
        inputs: dict[int, Crossing] = {}
        waiting = list(wanted)
        while waiting:
            tensor = self._first(waiting.pop())
            if tensor.op in inside or id(tensor) in inputs:
                continue
            found = crossing(tensor)
            if found is not None:
                inputs[id(tensor)] = found
            elif tensor.op not in self._arguments:
                for operation in self._with_assertions(tensor.op, level):
                    inside[operation] = None
                    waiting.extend(operation.inputs)
        order = sorted(inside, key=self._levels.position)
        return Part(tuple(order), tuple(inputs.values()), wanted)

    def _with_assertions(self, operation: Operation, level: int) -> list[Operation]:
        """Returns an operation with those that only have to run before it: checks of the user's.

        TensorFlow also puts the stateful operations of a function in order; that of another
        level, a loop over time in the prefix say, is no part of this one.
        """
        found = [operation]
        for each in found:
            before = (op for op in each.control_inputs if op not in found)
            found += [op for op in before if self._levels.of(op) == level or "Assert" in op.name]
        return found

    def _is_rows(self, tensor: Tensor) -> bool:
        shape = tensor.shape
        return (
            shape.rank is not None
            and shape.rank > 0
            and shape[0] is None
            and tensor.dtype not in _NO_ROWS
            and (self._levels.holds_data(tensor.op) or self._levels.of(tensor.op) > 0)
        )
