"""Reading traced graphs: what is random in them, what they change, how large they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
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


def random_steps(graph: Graph, marks: list[tuple[int, int]]) -> set[int]:
    """Returns the steps that added a TensorFlow random operation to the graph.

    Args:
        graph: The graph being traced.
        marks: (step, number of operations after it), in the order of execution.
    """
    found: set[int] = set()
    operations = graph.get_operations()
    start = 0
    for step, end in marks:
        if any(_is_random(operation.type) for operation in operations[start:end]):
            found.add(step)
        start = end
    return found


def uncontrolled_random_operations(graph: Graph) -> list[str]:
    """Returns the types of random operations in a graph; mcdrop's own noise has none."""
    return sorted({kind for kind in _operation_types(graph) if _is_random(kind)})


def check_no_assignment(*graphs: Graph) -> None:
    """Raises ModelError when a graph would change a variable."""
    for graph in graphs:
        kinds = sorted(kind for kind in _operation_types(graph) if kind.startswith("Assign"))
        if kinds:
            raise ModelError(
                f"The model changes variables when it predicts ({', '.join(kinds)}), so sampling "
                "would alter it. Move the update into training."
            )


def largest_row(graph: Graph) -> int:
    """Returns the bytes of the largest tensor of a graph for one row of the batch axis."""
    sizes = [
        row_bytes(tensor) for operation in graph.get_operations() for tensor in operation.outputs
    ]
    return max(sizes, default=1)


def row_bytes(tensor: Any) -> int:
    """Returns the bytes of one row of a tensor; 0 when it has no open batch axis."""
    shape = tensor.shape
    if shape.rank is None or shape.rank == 0 or shape[0] is not None:
        return 0
    return int(np.prod([size or 1 for size in shape[1:]], initial=1)) * max(tensor.dtype.size, 1)


def is_keras_dropout(operation: Any) -> bool:
    """Whether an operation is one of Keras's own dropout layers, its `call` not overridden."""
    own = (
        keras.layers.Dropout,
        keras.layers.SpatialDropout1D,
        keras.layers.SpatialDropout2D,
        keras.layers.SpatialDropout3D,
    )
    return type(operation) in own


def _operation_types(graph: Graph) -> Iterator[str]:
    """Yields the types of all operations, those of loop and branch bodies included."""
    for operation in graph.get_operations():
        yield operation.type
    for function in graph.as_graph_def().library.function:
        for node in function.node_def:
            yield node.op


def _is_random(kind: str) -> bool:
    return kind.startswith(_RANDOM_PREFIXES) and not kind.startswith(_NOT_RANDOM)
