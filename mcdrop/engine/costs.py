"""How much arithmetic the layers of a model are, estimated from the shapes of a trace.

Weights times the positions they are used at: a kernel once for every pixel or time step of
the output, the weights of an RNN once for every step. Sizes that are unknown count as 1.
Looking up rows of a table, and what is done element by element or by operations outside of
layers, count nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

Layer = Any
Shape = tuple[int | None, ...]

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


def multiplications(layer: Layer, sources: Sequence[Shape], results: Sequence[Shape]) -> float:
    """Estimates the multiply-accumulates of one call of a layer, for one example.

    What the layers inside of it do is theirs to count, but for those of `counts_inside`.

    Args:
        layer: The layer.
        sources: Shapes of the tensors it reads; for attention those of query, value and key.
        results: Shapes of the tensors it makes.
    """
    if not sources or not results or isinstance(layer, keras.layers.Embedding):
        return 0.0
    if isinstance(layer, keras.layers.RNN):
        weights = sum(_size(weight.shape) for weight in layer.weights if _is_matrix(weight))
        pixels = _without_time(results) if layer.return_sequences else results
        return (sources[0][1] or 1) * weights * _positions(pixels[0], layer)
    if isinstance(layer, keras.layers.MultiHeadAttention):
        return _count_products(layer.num_heads, layer.key_dim, layer.value_dim, sources)
    if isinstance(layer, keras.layers.GroupQueryAttention):
        width = layer.head_dim
        return _count_products(layer.num_query_heads, width, width, sources)
    if isinstance(layer, (keras.layers.Attention, keras.layers.AdditiveAttention)):
        return _count_products(1, sources[0][-1] or 1, sources[1][-1] or 1, sources)
    own = sum(_size(weight.shape) for weight in _matrices(layer, results))
    return own * _uses(layer, sources, results)


def counts_inside(layer: Layer) -> bool:
    """Whether the count of a layer holds that of the layers inside: cells run in a time loop."""
    return isinstance(layer, keras.layers.RNN)


def _count_products(
    heads: int, key_width: int, value_width: int, sources: Sequence[Shape]
) -> float:
    """Counts what every query does with every key, and every weight with its value."""
    query, value = [*sources, sources[-1]][:2]
    pairs = _size(query[1:-1]) * _size(value[1:-1])
    return heads * pairs * (key_width + value_width)


def _matrices(layer: Layer, results: Sequence[Shape]) -> list[Any]:
    """Returns the weights that a layer itself multiplies matrices by.

    Those of the shape of its output are applied element by element, unless they are kernels.
    """
    elsewhere = {id(weight) for child in layer._layers for weight in child.weights}
    return [
        weight
        for weight in layer.weights
        if id(weight) not in elsewhere
        and _is_matrix(weight)
        and ("kernel" in weight.name or tuple(weight.shape) != results[0][-len(weight.shape) :])
    ]


def _is_matrix(weight: Any) -> bool:
    """Whether a weight is no vector or bias."""
    wide = "bias" not in weight.name and sum(size > 1 for size in weight.shape) > 1
    return wide or "kernel" in weight.name


def _uses(layer: Layer, sources: Sequence[Shape], results: Sequence[Shape]) -> int:
    """Returns how often a layer uses each of its weights for one example."""
    if isinstance(layer, _TRANSPOSED):
        return _positions(sources[0], layer)
    if isinstance(layer, keras.layers.EinsumDense) and "..." not in layer.equation:
        _, kernel, output = layer.equation.replace("->", ",").split(",")
        if len(output) == len(results[0]):
            sizes = zip(output[1:], results[0][1:], strict=True)
            return _size([size for letter, size in sizes if letter not in kernel])
    return max(_positions(shape, layer) for shape in results)


def _positions(shape: Shape, layer: Layer) -> int:
    """Returns the number of pixels or time steps of a shape: all but examples and channels."""
    first = getattr(layer, "data_format", None) == "channels_first"
    return _size(shape[2:] if first else shape[1:-1])


def _without_time(shapes: Sequence[Shape]) -> list[Shape]:
    return [(shape[0], *shape[2:]) for shape in shapes]


def _size(sizes: Sequence[int | None]) -> int:
    return int(np.prod([size or 1 for size in sizes], dtype=np.int64))
