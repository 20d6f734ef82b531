"""Which operations of a traced graph depend on the noise, found while it grows."""

from __future__ import annotations

from typing import Any

from mcdrop.engine import inspection

Tensor = Any
Operation = Any


class Dependence:
    """Whether tensors of a graph depend on random numbers.

    Args:
        graph: The graph.
        seed: The tensor that every draw of mcdrop reads.
    """

    def __init__(self, graph: Any, seed: Tensor) -> None:
        self._graph = graph
        self._known: dict[Operation, bool] = {seed.op: True}

    def __call__(self, tensor: Tensor) -> bool:
        """Returns whether a tensor is random; one in the body of a loop may always be."""
        return tensor.graph is not self._graph or self.of(tensor.op)

    def of(self, operation: Operation) -> bool:
        """Returns whether what an operation returns is random."""
        waiting = [operation]
        while waiting:
            last = waiting[-1]
            missing = [t.op for t in last.inputs if t.op not in self._known]
            if last in self._known:
                waiting.pop()
            elif missing:
                waiting.extend(missing)
            else:
                inputs = any(self._known[t.op] for t in last.inputs)
                self._known[waiting.pop()] = inputs or inspection.draws_itself(last)
        return self._known[operation]
