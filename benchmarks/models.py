"""The models of the benchmark table, with inputs of the right shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: Title of the row.
        build: Returns a fresh model.
        inputs: Returns N inputs.
        num_examples: N.
        num_samples: T.
        task: Task of the model, which is not compiled.
    """

    name: str
    build: Callable[[], Any]
    inputs: Callable[[int], Any]
    num_examples: int
    num_samples: int
    task: str = "classification"


def images(*shape: int) -> Callable[[int], Any]:
    return lambda n: np.random.default_rng(0).random((n, *shape), np.float32)


def tokens(length: int, vocabulary: int) -> Callable[[int], Any]:
    return lambda n: np.random.default_rng(0).integers(1, vocabulary, (n, length)).astype(np.int32)


def mnist_cnn() -> Any:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def spatial_cnn() -> Any:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def cifar_cnn() -> Any:
    inputs = keras.Input((32, 32, 3))
    x = inputs
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def mlp() -> Any:
    hidden = [layers.Dense(512, activation="relu"), layers.Dropout(0.2)]
    again = [layers.Dense(512, activation="relu"), layers.Dropout(0.2)]
    head = layers.Dense(10, activation="softmax")
    return keras.Sequential([keras.Input((784,)), *hidden, *again, head])


def mobilenet() -> Any:
    """The transfer recipe: a MobileNet without top, pooled, with a Dropout before the new head."""
    base = keras.applications.MobileNet(
        input_shape=(128, 128, 3), include_top=False, pooling="avg", weights=None
    )
    inputs = keras.Input((128, 128, 3))
    x = layers.Dropout(0.2)(base(inputs, training=False))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def mobilenet_1000() -> Any:
    return keras.applications.MobileNet(input_shape=(128, 128, 3), weights=None)


def lstm() -> Any:
    return keras.Sequential(
        [
            keras.Input((40,)),
            layers.Embedding(2000, 64),
            layers.LSTM(64, dropout=0.2, recurrent_dropout=0.2),
            layers.Dense(2, activation="softmax"),
        ]
    )


def transformer() -> Any:
    inputs = keras.Input((40,))
    x = layers.Embedding(2000, 64)(inputs)
    for _ in range(2):
        attention = layers.MultiHeadAttention(4, 16, dropout=0.1)
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(attention(x, x)))
        hidden = layers.Dense(64)(layers.Dense(128, activation="relu")(x))
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(hidden))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def narrow_mlp() -> Any:
    hidden = [layers.Dense(128, activation="relu"), layers.Dropout(0.2)]
    again = [layers.Dense(64, activation="relu"), layers.Dropout(0.2)]
    head = layers.Dense(10, activation="softmax")
    return keras.Sequential([keras.Input((784,)), *hidden, *again, head])


def unet(pixels: int = 64, filters: tuple[int, ...] = (16, 32, 64), classes: int = 3) -> Any:
    def block(x: Any, width: int) -> Any:
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        return layers.Dropout(0.2)(x)

    x = inputs = keras.Input((pixels, pixels, 1))
    skips = []
    for width in filters[:-1]:
        skips.append(block(x, width))
        x = layers.MaxPooling2D()(skips[-1])
    x = block(x, filters[-1])
    for width, skip in zip(filters[-2::-1], reversed(skips), strict=True):
        x = block(layers.Concatenate()([layers.UpSampling2D()(x), skip]), width)
    return keras.Model(inputs, layers.Conv2D(classes, 1, activation="softmax")(x))


@keras.saving.register_keras_serializable(package="benchmarks")
class SubclassedCNN(keras.Model):
    """The layers of the MNIST CNN, behind a `call` of its own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.steps = list(mnist_cnn().layers)

    def call(self, inputs: Any, training: bool = False) -> Any:
        for step in self.steps:
            inputs = step(inputs)
        return inputs


CASES = {
    "mnist": Case("MNIST CNN", mnist_cnn, images(28, 28, 1), 1024, 50),
    "spatial": Case("SpatialDropout2D CNN", spatial_cnn, images(28, 28, 1), 1024, 50),
    "cifar": Case("CIFAR CNN", cifar_cnn, images(32, 32, 3), 256, 50),
    "mlp": Case("MLP 784-512-512-10", mlp, images(784), 1024, 50),
    "narrow": Case("MLP 784-128-64-10", narrow_mlp, images(784), 10_000, 50),
    "mobilenet": Case("MobileNet 128 px, new head", mobilenet, images(128, 128, 3), 32, 100),
    "mobilenet1000": Case(
        "MobileNet 128 px, 1,000 classes", mobilenet_1000, images(128, 128, 3), 32, 100
    ),
    "lstm": Case("LSTM, recurrent dropout", lstm, tokens(40, 2000), 256, 50),
    "transformer": Case("Transformer, two blocks", transformer, tokens(40, 2000), 256, 50),
    "unet": Case("U-Net 64 px", unet, images(64, 64, 1), 32, 20),
}
