"""Reading traced graphs: what is random in them, what they change, how large they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from mcdrop.errors import ModelError

Graph = Any

_RANDOM_PREFIXES = (
    "RandomUniform",
    "RandomStandardNormal",
    "RandomGamma",
    "RandomPoisson",
    "RandomShuffle",
    "TruncatedNormal",
    "ParameterizedTruncatedNormal",
    "Multinomial",
    "Stateful",
    "StatelessRandom",
    "StatelessTruncatedNormal",
    "StatelessMultinomial",
    "StatelessParameterizedTruncatedNormal",
)
_NOT_RANDOM = ("StatefulPartitionedCall",)
_ASSIGNING = ("Assign", "RngSkip", "RngReadAndSkip")
_CALLING = (
    "While",
    "StatelessWhile",
    "If",
    "StatelessIf",
    "Case",
    "StatelessCase",
    "PartitionedCall",
    "StatefulPartitionedCall",
)


def draws_itself(operation: Any) -> bool:
    """Whether an operation is random by itself, or calls a function of the graph that is."""
    return bool(random_types(operation))


def random_types(operation: Any) -> set[str]:
    """Returns the types of what is random in an operation: its own, or those in what it calls."""
    if is_random(operation.type):
        return {operation.type}
    if operation.type not in _CALLING:
        return set()
    library = {f.signature.name: f for f in operation.graph.as_graph_def().library.function}
    called = [value.func.name for value in operation.node_def.attr.values() if value.func.name]
    seen: set[str] = set()
    found: set[str] = set()
    while called:
        name = called.pop()
        if name in seen or name not in library:
            continue
        seen.add(name)
        for node in library[name].node_def:
            found |= {node.op} if is_random(node.op) else set()
            called += [value.func.name for value in node.attr.values() if value.func.name]
    return found


def check_no_assignment(*graphs: Graph) -> None:
    """Raises ModelError when a graph would change a variable."""
    for graph in graphs:
        kinds = sorted({kind for kind in _operation_types(graph) if kind.startswith(_ASSIGNING)})
        if kinds:
            generator = all(kind.startswith("Rng") for kind in kinds)
            way_out = "Draw from keras.random, not from a tf.random.Generator"
            raise ModelError(
                f"The model changes variables when it predicts ({', '.join(kinds)}), so sampling "
                f"would alter it. {way_out if generator else 'Move the update into training'}."
            )


def largest_row(tensors: Iterable[Any]) -> int:
    """Returns the bytes of the largest of some tensors for one row of the batch axis."""
    return max(map(row_bytes, tensors), default=1)


def row_bytes(tensor: Any) -> int:
    """Returns the bytes of one row of a tensor; 0 when it has no open batch axis."""
    shape = tensor.shape
    if shape.rank is None or shape.rank == 0 or shape[0] is not None:
        return 0
    return int(np.prod([size or 1 for size in shape[1:]], initial=1)) * max(tensor.dtype.size, 1)


def _operation_types(graph: Graph) -> Iterator[str]:
    """Yields the types of all operations, those of loop and branch bodies included."""
    for operation in graph.get_operations():
        yield operation.type
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            yield node.op


def is_random(kind: str) -> bool:
    """Returns whether operations of this type are random by themselves."""
    return kind.startswith(_RANDOM_PREFIXES) and not kind.startswith(_NOT_RANDOM)
