"""The networks that the built-in studies train: small, and the same but for what is studied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

Layer = Any
MakeDropout = Callable[[float], Layer]
Shape = tuple[int, ...]

layers = keras.layers


def mlp(
    input_shape: Shape,
    num_classes: int,
    *,
    hidden: Sequence[int] = (128, 64),
    rates: Sequence[float] = (0.0, 0.0),
    input_rate: float = 0.0,
    dropout_first: bool = False,
    l2: float = 0.0,
    batch_normalization: bool = False,
) -> keras.Model:
    """Returns a compiled multilayer perceptron, dropout behind each hidden layer.

    Args:
        input_shape: Shape of one example.
        num_classes: C.
        hidden: Units of the hidden layers.
        rates: Dropout rate of each hidden layer; a layer of rate 0 is left out.
        input_rate: Dropout rate of the inputs.
        dropout_first: Put the dropout before the dense layer in place of behind it.
        l2: Weight of the squared kernels in the loss.
        batch_normalization: Normalize behind each hidden layer.
    """
    steps: list[Layer] = [keras.Input(input_shape), layers.Flatten(), *dropout(input_rate)]
    for units, rate in zip(hidden, rates, strict=True):
        dense = layers.Dense(units, activation="relu", kernel_regularizer=_penalty(l2))
        normalization = [layers.BatchNormalization()] if batch_normalization else []
        drop = dropout(rate)
        steps += [*drop, dense, *normalization] if dropout_first else [dense, *normalization, *drop]
    return classifier(steps, num_classes)


def cnn(
    input_shape: Shape,
    num_classes: int,
    *,
    convolution_rate: float = 0.0,
    pooling_rate: float = 0.0,
    dense_rate: float = 0.0,
    output_rate: float = 0.0,
    convolution_dropout: MakeDropout = layers.Dropout,
    global_pooling: bool = False,
) -> keras.Model:
    """Returns a compiled convolutional network with two blocks and a dense layer.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: C.
        convolution_rate: Dropout rate behind each convolution.
        pooling_rate: Dropout rate behind the pooling.
        dense_rate: Dropout rate behind the dense layer.
        output_rate: Dropout rate of the logits, before the softmax.
        convolution_dropout: Makes the dropout behind convolutions from its rate.
        global_pooling: Average over all pixels in place of flattening them.
    """
    steps = [
        keras.Input(input_shape),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        *dropout(convolution_rate, convolution_dropout),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        *dropout(convolution_rate, convolution_dropout),
        layers.MaxPooling2D(),
        *dropout(pooling_rate),
        layers.GlobalAveragePooling2D() if global_pooling else layers.Flatten(),
        layers.Dense(64, activation="relu"),
        *dropout(dense_rate),
    ]
    return classifier(steps, num_classes, output_rate)


def strided_cnn(
    input_shape: Shape, num_classes: int, *, pooling_rate: float = 0.0, dense_rate: float = 0.0
) -> keras.Model:
    """Returns a compiled convolutional network whose strides take the place of pooling.

    Two convolutions of 32 filters, 4 by 4, and a dense layer of 128, as Gal, Islam and Ghahramani
    (2017) train it, but for the strides: they take a tenth of the multiplications.

    Args:
        input_shape: Height, width and channels of one image.
        num_classes: C.
        pooling_rate: Dropout rate behind the convolutions.
        dense_rate: Dropout rate behind the dense layer.
    """
    convolutions = [
        layers.Conv2D(32, 4, strides=2, padding="same", activation="relu") for _ in range(2)
    ]
    steps = [
        keras.Input(input_shape),
        *convolutions,
        *dropout(pooling_rate),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        *dropout(dense_rate),
    ]
    return classifier(steps, num_classes)


def dropout(rate: float, make: MakeDropout = layers.Dropout) -> list[Layer]:
    """Returns the dropout layer of a rate in a list, an empty one for rate 0.

    So the network without dropout is the same network without its dropout layers.
    """
    return [make(rate)] if rate > 0 else []


def classifier(steps: list[Layer], num_classes: int, output_rate: float = 0.0) -> keras.Model:
    """Returns layers with a softmax on top, compiled: Adam and the negative log-likelihood.

    Args:
        steps: The input and the layers.
        num_classes: C.
        output_rate: Dropout rate of the logits, before the softmax.
    """
    head = [layers.Dense(num_classes), *dropout(output_rate), layers.Softmax()]
    model = keras.Sequential([*steps, *head])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _penalty(weight: float) -> Any:
    return keras.regularizers.L2(weight) if weight > 0 else None
