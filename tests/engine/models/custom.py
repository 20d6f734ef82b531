"""Subclassed models and layers, preprocessing inside a model, keras.applications."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from .cases import case, numbers


@case(numbers(4, 3))
def lambda_and_operations():
    inputs = keras.Input((4, 3))
    squared = layers.Lambda(lambda x: x * x)(inputs)
    dropped = layers.Dropout(0.3)(ops.concatenate([squared, inputs], axis=-1))
    return keras.Model(inputs, ops.sum(ops.tanh(dropped) * 2.0, axis=1) + squared[:, 0, :1])


class Block(layers.Layer):
    """A composite whose call has no `training`, as many are written."""

    def __init__(self, units, rate, **options):
        super().__init__(**options)
        self.dense = layers.Dense(units, activation="relu")
        self.norm = layers.BatchNormalization()
        self.dropout = layers.Dropout(rate)

    def build(self, shape):
        self.dense.build(shape)
        self.norm.build((*shape[:-1], self.dense.units))
        self.built = True

    def call(self, inputs):
        return self.dropout(self.norm(self.dense(inputs)))


class Subclassed(keras.Model):
    """A model with layers in a list, a dict and an attribute, and a `training` argument."""

    def __init__(self):
        super().__init__()
        self.blocks = [Block(4, 0.2), Block(5, 0.5)]
        self.parts = {"head": keras.Sequential([layers.Dropout(0.3), layers.Dense(2)])}

    def call(self, inputs, training=False):
        for block in self.blocks:
            inputs = block(inputs, training=training)
        return self.parts["head"](inputs, training=training)


class SubclassedWithoutTraining(keras.Model):
    """A model that leaves the flag to Keras, and returns a dict."""

    def __init__(self):
        super().__init__()
        self.block = Block(4, 0.4)
        self.head = layers.Dense(2)

    def call(self, inputs):
        hidden = self.block(inputs["features"])
        return {"prediction": self.head(hidden), "input": ops.abs(inputs["features"])}


class NormAfterRecurrence(keras.Model):
    """A layer that is switched on before one that takes its flag from what was called last."""

    def __init__(self):
        super().__init__()
        self.recurrent = layers.GRU(3, dropout=0.3, return_sequences=True)
        self.attention = layers.Attention(dropout=0.3)
        self.norm = layers.BatchNormalization()

    def call(self, inputs):
        hidden = self.recurrent(inputs)
        return self.norm(self.attention([hidden, hidden]))


class Doubled(keras.Model):
    """A Functional model whose `call` adds to what its graph does."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs, training=training, mask=mask)


@case(numbers(3), sampled=2)
def composite_layers_without_training():
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(2)(Block(4, 0.4)(Block(5, 0.3)(inputs))))


@case(numbers(3), sampled=3)
def subclassed_model():
    model = Subclassed()
    model(np.zeros((1, 3), np.float32))
    return model


@case(lambda: {"features": numbers(3)()}, sampled=1, constant_outputs=(0,))
def subclassed_model_without_training():
    model = SubclassedWithoutTraining()
    model({"features": np.zeros((1, 3), np.float32)})
    return model


@case(numbers(4, 3), sampled=2, replayable=False)
def subclassed_model_with_a_norm_after_recurrence():
    model = NormAfterRecurrence()
    model(np.zeros((1, 4, 3), np.float32))
    return model


@case(numbers(3), sampled=1)
def functional_subclass_with_its_own_call():
    inputs = keras.Input((3,))
    return Doubled(inputs, layers.Dense(2)(layers.Dropout(0.4)(layers.Dense(4)(inputs))))


@case(numbers(8, 8, 3), sampled=1)
def augmentation_and_normalizations():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip(),
            layers.RandomRotation(0.3),
            layers.RandomContrast(0.5),
            layers.GaussianNoise(0.5),
            layers.Flatten(),
            layers.SpectralNormalization(layers.Dense(5)),
            layers.BatchNormalization(),
            layers.Dropout(0.4),
            layers.SpectralNormalization(layers.Dense(2)),
            layers.BatchNormalization(),
        ]
    )


def _images():
    return np.random.default_rng(1).uniform(0, 255, size=(2, 32, 32, 3)).astype(np.float32)


@case(_images, distribution=False, compiled=False)
def mobilenet():
    return keras.applications.MobileNet(
        weights=None, input_shape=(32, 32, 3), classes=5, alpha=0.25, dropout=0.3
    )


@case(_images, distribution=False, compiled=False)
def mobilenet_v3():
    return keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), classes=5)


@case(_images, distribution=False, compiled=False)
def efficientnet():
    return keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=5)


@case(_images, sampled=9, kinds=("drop_path",), distribution=False, compiled=False)
def efficientnet_with_stochastic_depth():
    return keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=5)
