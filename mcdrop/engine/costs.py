"""How much arithmetic the layers of a model are, estimated without running them.

Weights times the positions they are used at: a kernel once for every pixel or time step of
the output, the weights of an RNN once for every step. Sizes that are unknown count as 1, and
so do the positions inside a composite layer with a `call` of its own: it is taken to keep the
positions of its output. Looking up rows of a table, and what is done element by element,
count nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose

from mcdrop.engine.functional import graph_of, is_plain

Layer = Any
Shape = tuple[int | None, ...]


def multiplications(node: Any) -> float:
    """Estimates the multiply-accumulates of one node of a Functional graph, for one example."""
    layer = node.operation
    tensors = node.arguments.keras_tensors
    if isinstance(layer, (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)):
        roles = ("query", "value", "key")
        named = dict(zip(roles, node.arguments.args, strict=False)) | node.arguments.kwargs
        tensors = [named[role] for role in roles if named.get(role) is not None]
    return _count(layer, [t.shape for t in tensors], [t.shape for t in tree.flatten(node.outputs)])


def _count(layer: Layer, sources: Sequence[Shape], results: Sequence[Shape]) -> float:
    """Counts for a layer that makes tensors of shapes `results` of tensors of shapes `sources`."""
    if not isinstance(layer, keras.layers.Layer) or not sources or not results:
        return 0.0
    if is_plain(layer):
        nodes = [node for depth in graph_of(layer)._nodes_by_depth.values() for node in depth]
        return sum(multiplications(node) for node in nodes if not node.is_input)
    if isinstance(layer, keras.layers.Embedding):
        return 0.0
    if isinstance(layer, keras.layers.Bidirectional):
        both = (layer.forward_layer, layer.backward_layer)
        return sum(_count(half, sources, results) for half in both)
    if isinstance(layer, keras.layers.TimeDistributed):
        step = _count(layer.layer, _without_time(sources), _without_time(results))
        return _steps(sources) * step
    if isinstance(layer, keras.layers.RNN):
        weights = sum(_size(weight.shape) for weight in layer.weights if _is_matrix(weight))
        pixels = _without_time(results) if layer.return_sequences else results
        return _steps(sources) * weights * _positions(pixels[0], layer)
    if isinstance(layer, (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)):
        return _count_heads(layer, sources, results)
    if isinstance(layer, (keras.layers.Attention, keras.layers.AdditiveAttention)):
        return _count_products(1, sources[0][-1] or 1, sources[1][-1] or 1, sources)
    own = sum(_size(weight.shape) for weight in _matrices(layer, results))
    inner = sum(_count(child, sources, results) for child in layer._layers)
    return own * _uses(layer, sources, results) + inner


def _count_heads(layer: Layer, sources: Sequence[Shape], results: Sequence[Shape]) -> float:
    """Counts the projections of all heads, and the products of queries, keys and values."""
    if isinstance(layer, keras.layers.MultiHeadAttention):
        heads = key_heads = layer.num_heads
        key_width, value_width = layer.key_dim, layer.value_dim
    else:
        heads, key_heads = layer.num_query_heads, layer.num_key_value_heads
        key_width = value_width = layer.head_dim
    query, value, key = [*sources, sources[-1], sources[-1]][:3]
    projections = (
        _size(query[1:]) * heads * key_width
        + _size(key[1:]) * key_heads * key_width
        + _size(value[1:]) * key_heads * value_width
        + _size(results[0][1:]) * heads * value_width
    )
    return projections + _count_products(heads, key_width, value_width, (query, value))


def _count_products(
    heads: int, key_width: int, value_width: int, sources: Sequence[Shape]
) -> float:
    """Counts what every query does with every key, and every weight with its value."""
    pairs = _size(sources[0][1:-1]) * _size(sources[1][1:-1])
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
    if isinstance(layer, BaseConvTranspose):
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


def _steps(sources: Sequence[Shape]) -> int:
    return sources[0][1] or 1


def _size(sizes: Sequence[int | None]) -> int:
    return int(np.prod([size or 1 for size in sizes], dtype=np.int64))
