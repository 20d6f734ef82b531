"""The end of a model: its last activation, and the axis that it puts the classes on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mcdrop.engine import private_keras
from mcdrop.engine.functional import graph_of, is_plain

Operation = Any
Shape = tuple[int | None, ...]

_SAME_AXES = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Cast",
    "ActivityRegularization",
)
"""Operations of Keras that leave what the values mean, and their axes, as they were."""

_RESHAPES = ("Reshape", "Flatten", "Squeeze", "ExpandDims")
_MATRIX_LAYERS = (
    "Dense",
    "EinsumDense",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
)
"""Layers whose activation is the last thing that they compute."""

_ELEMENTWISE = {
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "Softplus": "softplus",
    "Exp": "exponential",
    "Relu": "relu",
    "ReLU": "relu",
    "Relu6": "relu6",
    "LeakyReLU": "leaky_relu",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "ELU": "elu",
    "Selu": "selu",
    "Silu": "silu",
    "Gelu": "gelu",
    "Tanh": "tanh",
    "Abs": "absolute value",
    "Absolute": "absolute value",
    "Square": "square",
    "Clip": "clip",
}
_OVER_CLASSES = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sparsemax": "sparsemax"}
_TENSORFLOW = ("softmax", "sigmoid", "softplus", "relu", "tanh", "elu", "selu", "log_softmax")


@dataclass(frozen=True)
class Head:
    """What the end of a model computes.

    Attributes:
        activation: Name of the last activation as `keras.activations` spells it, "linear" for
            none; None when it cannot be read.
        axis: Axis of the classes or channels in the model's output, the examples being axis 0;
            None when it is unknown.
        width: The size of that axis where the activation acts, None when it is unknown.
        name: The name of the layer that computes it.
    """

    activation: str | None = None
    axis: int | None = None
    width: int | None = None
    name: str = ""


def read_head(model: Any, index: int) -> Head:
    """Returns what is behind a flat output of a model; nothing of one with its own `call`."""
    return _of_tensor(graph_of(model)._outputs[index]) if is_plain(model) else Head()


def read_last_half(model: Any, index: int) -> Head:
    """Returns what is behind the second half of a flat output's channels.

    It differs from the whole output's head where tensors are put side by side at the end.
    """
    if not is_plain(model):
        return Head()
    tensor = graph_of(model)._outputs[index]
    while _is_of_keras(operation := _operation(tensor), _SAME_AXES) or _is_linear(operation):
        tensor = private_keras.sources(tensor)[0]
    if isinstance(operation, keras.Model) and is_plain(operation):
        return read_last_half(operation, private_keras.origin(tensor)[2])
    if not _is_of_keras(operation, ("Concatenate", "Stack")):
        return _of_tensor(tensor)
    rank = len(tensor.shape)
    axis = operation.axis % rank
    parts = private_keras.sources(tensor)
    widths = [1 if type(operation).__name__ == "Stack" else part.shape[axis] for part in parts]
    if None in widths:
        return Head()
    ends = np.cumsum(widths)
    if ends[-1] % 2 or ends[-1] // 2 not in ends:
        return Head()
    heads = [_of_tensor(p) for p, end in zip(parts, ends, strict=True) if end > ends[-1] // 2]
    alike = len({head.activation for head in heads}) == 1
    return replace(heads[0], axis=axis, width=int(ends[-1])) if alike else Head()


def _of_tensor(tensor: Any) -> Head:
    """Returns the head that ends in a tensor of a Functional graph."""
    operation = _operation(tensor)
    if isinstance(operation, keras.Model):
        return read_head(operation, private_keras.origin(tensor)[2])
    if isinstance(operation, keras.layers.TimeDistributed):
        return _of_every_step(operation.layer, tensor)
    own = _of_operation(operation, tuple(tensor.shape))
    if own is not None:
        return own
    moved = _moved_axes(operation, tensor)
    if moved is None:
        return Head()
    source = _of_tensor(private_keras.sources(tensor)[0])
    axis = None if source.axis is None else moved(source.axis)
    activation = _elementwise(operation) or source.activation
    return Head(activation, axis, source.width, source.name)


def _of_every_step(layer: Any, tensor: Any) -> Head:
    """Returns the head of a layer that runs on every step of axis 1."""
    shape = tuple(tensor.shape)
    if _is_of_keras(layer, _SAME_AXES):
        return _of_tensor(private_keras.sources(tensor)[0])
    if isinstance(layer, keras.Model):
        inner = read_head(layer, 0)
    else:
        inner = _of_operation(layer, (shape[0], *shape[2:])) or Head(_elementwise(layer))
    return replace(inner, axis=None if inner.axis is None else inner.axis + 1)


def _of_operation(operation: Operation, shape: Shape) -> Head | None:
    """Returns the head that an operation is by itself, None when it needs that of its input."""
    rank = len(shape)
    name = getattr(operation, "name", "")
    if _is_of_keras(operation, tuple(_OVER_CLASSES)):
        axis = _single_axis(operation.axis, rank)
        activation = _OVER_CLASSES[type(operation).__name__]
        return Head(activation, axis, None if axis is None else shape[axis], name)
    if _is_of_keras(operation, ("Activation",)):
        return _of_activation(operation.activation, shape, None, name)
    if _is_of_keras(operation, _MATRIX_LAYERS):
        first = getattr(operation, "data_format", None) == "channels_first"
        channels = 1 if first else rank - 1
        found = _of_activation(operation.activation, shape, channels, name)
        return found or Head(_activation_name(operation.activation), channels, shape[channels])
    return None


def _of_activation(activation: Any, shape: Shape, channels: int | None, name: str) -> Head | None:
    """Returns the head that an activation function is; None when its input's axes matter."""
    if isinstance(activation, keras.layers.Layer):
        own = _of_operation(activation, shape)
        return own or Head(_elementwise(activation), channels, _size(shape, channels), name)
    label = _activation_name(activation)
    if label in _OVER_CLASSES.values():
        return Head(label, len(shape) - 1, shape[-1], name)
    if label is None:
        return Head(None, None, None, name)
    return None if channels is None else Head(label, channels, shape[channels], name)


def _size(shape: Shape, axis: int | None) -> int | None:
    return None if axis is None else shape[axis]


def _moved_axes(operation: Operation, tensor: Any) -> Callable[[int], int | None] | None:
    """Returns where an operation moves each axis of its input to.

    None for an operation that changes what the values mean; a function that returns None for an
    axis that is merged with others.
    """
    if (
        _is_of_keras(operation, _SAME_AXES)
        or _elementwise(operation)
        or _is_of_keras(operation, ("Activation",))
    ):
        return lambda axis: axis
    sources = private_keras.sources(tensor)
    if not sources:
        return None
    before, after = tuple(sources[0].shape), tuple(tensor.shape)
    if _is_of_keras(operation, _RESHAPES):
        return functools.partial(_reshaped, before, after)
    order = _order(operation, len(after))
    return None if order is None else order.index


def _order(operation: Operation, rank: int) -> list[int] | None:
    """Returns which axis of the input each axis of the output was, for transpositions."""
    if _is_of_keras(operation, ("Permute",)):
        return [0, *operation.dims]
    if _is_of_keras(operation, ("Transpose",)):
        return list(operation.axes or reversed(range(rank)))
    if _is_of_keras(operation, ("Swapaxes",)):
        return list(np.swapaxes(np.empty(range(rank)), operation.axis1, operation.axis2).shape)
    if _is_of_keras(operation, ("Moveaxis",)):
        moved = np.moveaxis(np.empty(range(rank)), operation.source, operation.destination)
        return list(moved.shape)
    return None


def _reshaped(before: Shape, after: Shape, axis: int) -> int | None:
    """Returns where an axis is after a reshape, None when it is split or merged with others."""
    if axis == 0 or before[axis] is None:
        return None
    inner, size = before[axis + 1 :], before[axis]
    for place in range(1, len(after)):
        same_inner = _product(after[place + 1 :]) == _product(inner)
        if after[place] == size and same_inner and None not in (*inner, *after[place + 1 :]):
            return place
    return None


def _product(sizes: Shape) -> int:
    return int(np.prod([size or 1 for size in sizes], dtype=np.int64))


def _elementwise(operation: Operation) -> str | None:
    """Returns the activation that an operation applies to every element, None for others."""
    if _is_of_keras(operation, ("Activation",)):
        label = _activation_name(operation.activation)
        return None if label == "linear" or label in _OVER_CLASSES.values() else label
    kind = type(operation).__name__
    return _ELEMENTWISE[kind] if _is_of_keras(operation, tuple(_ELEMENTWISE)) else None


def _activation_name(activation: Any) -> str | None:
    """Returns the name of an activation of Keras or TensorFlow, None for a function of the user's.

    A name alone proves nothing: a function called softmax may work on any axis.
    """
    name = getattr(activation, "__name__", "")
    for module in (keras.activations, keras.ops):
        if name and getattr(module, name, None) is activation:
            return {"exp": "exponential", "swish": "silu"}.get(name, str(name))
    return next((label for label in _TENSORFLOW if getattr(tf.nn, label) is activation), None)


def _is_linear(operation: Operation) -> bool:
    """Whether an operation is a linear activation, which only changes the data type."""
    linear = keras.activations.linear
    return _is_of_keras(operation, ("Activation",)) and operation.activation is linear


def _single_axis(axis: Any, rank: int) -> int | None:
    axes = [axis] if isinstance(axis, int) else list(axis if axis is not None else [])
    return axes[0] % rank if len(axes) == 1 else None


def _is_of_keras(operation: Operation, names: tuple[str, ...]) -> bool:
    """Whether an operation runs the code of one of these classes of Keras.

    A subclass with a `call` of its own may compute anything.
    """
    kinds = type(operation).__mro__
    runs = next((kind for kind in kinds if "call" in vars(kind)), object)
    return runs.__module__.startswith("keras.") and any(
        kind.__name__ in names and kind.__module__.startswith("keras.") for kind in kinds
    )


def _operation(tensor: Any) -> Operation:
    return private_keras.origin(tensor)[0]
