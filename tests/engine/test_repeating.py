"""Numbers of Python's that a compiled pass would repeat are refused, and only those."""

from __future__ import annotations

import random
import time
from random import random as imported

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import mcdrop
from mcdrop.errors import ModelError

from .harness import without_xla

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


class OfNumPy(layers.Layer):
    def call(self, inputs):
        return inputs + np.random.normal()


class InTraining(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.generator = np.random.default_rng(0)

    def call(self, inputs, training=False):
        return inputs * self.generator.random() if training else inputs


class OfPython(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.generator = random.Random(0)  # noqa: S311

    def call(self, inputs, training=False):
        return inputs * self.generator.random() if training else inputs


class Clock(layers.Layer):
    def call(self, inputs):
        return inputs * (time.perf_counter() % 1.0)


class Counter(layers.Layer):
    calls = 0

    def call(self, inputs):
        self.__dict__["calls"] = self.calls + 1
        return inputs * 0.9**self.calls


class Cell(layers.Layer):
    state_size = output_size = 3

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3))

    def call(self, inputs, states):
        outputs = inputs @ self.kernel + np.random.normal()
        return outputs, [outputs]


def recurrent(**settings):
    return keras.Sequential([layers.Reshape((2, 2)), layers.RNN(Cell(**settings))])


def activation(**settings):
    return layers.Dense(4, activation=lambda x: x * np.random.normal(), **settings)


def function(**settings):
    return layers.Lambda(lambda x: x + np.random.normal(size=4).astype("float32"), **settings)


def model_with(layer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layer(layers.Dropout(0.5)(layers.Dense(4)(inputs)))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))


def sample(layer, **settings):
    mc = without_xla(mcdrop.MCDropout(model_with(layer), **settings))
    return mc.sample(X, num_samples=4)


@pytest.mark.parametrize("make", [OfNumPy, Clock, Counter, activation, function])
def test_a_number_that_python_makes_anew_in_each_call_is_refused(make):
    with pytest.raises(ModelError, match=r"code of 'mine' computes something else each time"):
        sample(make(name="mine"))


class Coin(layers.Layer):
    """Falls so seldom that two runs agree."""

    def call(self, inputs, training=False):
        if training and np.random.random() < 1e-9:
            return 0.0 * inputs
        return keras.random.dropout(inputs, 0.5) if training else inputs


class ImportedCoin(layers.Layer):
    def call(self, inputs, training=False):
        if training and imported() < 1e-9:  # noqa: S311
            return 0.0 * inputs
        return keras.random.dropout(inputs, 0.5) if training else inputs


class Product(layers.Layer):
    """Uses NumPy, and noise of Keras' only."""

    def call(self, inputs, training=False):
        rate = float(np.prod([0.5, 1.0]))
        return keras.random.dropout(inputs, rate) if training else inputs


@pytest.mark.parametrize("layer_class", [Coin, ImportedCoin, Product])
def test_a_chosen_layer_that_names_a_coin_of_python_is_told(layer_class, recwarn):
    found = sample(layer_class(name="mine"), layers=["dropout", "mine"])
    assert found.std(axis=0).min() > 0
    told = [str(each.message) for each in recwarn if each.category is mcdrop.ModelWarning]
    assert len(told) == (layer_class is not Product)
    for warning in told:
        assert "mine may draw random numbers of NumPy's or Python's, which are the same" in warning


def test_a_layer_that_names_numbers_of_python_alone_is_not_called_always_random():
    paths = [
        layer.path for layer in mcdrop.MCDropout(model_with(OfNumPy(name="mine"))).stochastic_layers
    ]
    assert "mine" not in paths


def test_it_is_seen_inside_of_a_loop_over_time():
    with pytest.raises(ModelError, match=r"code of '.*rnn.*' computes something else each time"):
        sample(recurrent())


@pytest.mark.parametrize("make", [InTraining, OfPython])
def test_a_number_that_is_drawn_in_training_only_is_refused_when_the_layer_samples(make):
    assert "mine" in [
        layer.path for layer in mcdrop.MCDropout(model_with(make(name="mine"))).stochastic_layers
    ]
    settings = {"layers": ["dropout", "mine"]}
    with pytest.raises(ModelError, match="code of 'mine' computes something else each time"):
        sample(make(name="mine"), **settings)


def test_a_layer_that_does_not_sample_may_draw_in_training():
    assert sample(InTraining(), layers=["dropout"]).std(axis=0).min() > 0


def test_what_does_not_reach_the_outputs_is_no_reason():
    """Counts of calls, coins of layers that are skipped in training, the time in messages."""

    class Counts(layers.Layer):
        calls = 0

        def call(self, inputs, training=False):
            self.__dict__["calls"] = self.calls + 1
            self.__dict__["seen"] = inputs
            keep = np.random.uniform()
            tf.debugging.assert_less(inputs, 1e9, message=f"at {time.perf_counter()}")
            return 2.0 * inputs if training and keep < 0.5 else inputs

    assert sample(Counts()).shape == (4, 5, 3)


def test_what_a_layer_keeps_of_its_first_call_may_be_used_in_the_next():
    class Caches(layers.Layer):
        table = None

        def call(self, inputs):
            if self.table is None:
                self.__dict__["table"] = ops.sin(ops.arange(4, dtype="float32"))
            return inputs + self.table

    model = model_with(Caches(name="caches"))
    model.get_layer("caches").__dict__["table"] = None
    mc = without_xla(mcdrop.MCDropout(model))
    assert mc.sample(X, num_samples=4).shape == (4, 5, 3)


def test_a_subclassed_model_with_noise_of_numpy_is_refused():
    class Noisy(keras.Model):
        def __init__(self):
            super().__init__(name="noisy")
            self.drop, self.head = layers.Dropout(0.5), layers.Dense(2)

        def call(self, inputs):
            return self.head(self.drop(inputs)) * np.random.normal()

    model = Noisy()
    model(X)
    with pytest.raises(ModelError, match="code of 'noisy' computes something else each time"):
        without_xla(mcdrop.MCDropout(model, task="regression")).predict(X, num_samples=4)


@pytest.mark.parametrize("settings", [{}, {"masks": "shared"}, {"splitting": (2, 2)}], ids=str)
def test_code_of_the_user_that_repeats_itself_is_sampled(settings):
    """Masks, loops and functions of the two runs have other names, and are the same."""

    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.rnn = layers.GRU(4, recurrent_dropout=0.3)
            self.drop = layers.Dropout(0.3)

        def call(self, inputs):
            steps = self.rnn(ops.reshape(inputs, (-1, 2, 2)))
            rows = ops.map(lambda row: ops.cond(row[0] > 0, lambda: row, lambda: -row), steps)
            return self.drop(rows)

    mc = mcdrop.MCDropout(model_with(Block()), **settings)
    assert mc.sample(X, num_samples=None if "splitting" in settings else 4).shape == (4, 5, 3)


def test_random_operations_of_tensorflow_are_no_numbers_of_python():
    tf.random.set_seed(0)

    class OfTensorFlow(layers.Layer):
        def call(self, inputs):
            return inputs + tf.random.normal(tf.shape(inputs))

    with pytest.warns(mcdrop.ModelWarning, match="TensorFlow operations"):
        assert sample(OfTensorFlow()).std() > 0


def test_a_generator_of_tensorflow_which_sampling_would_advance_is_refused():
    class Generator(layers.Layer):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.generator = tf.random.Generator.from_seed(1)

        def call(self, inputs, training=False):
            return inputs + self.generator.normal(tf.shape(inputs)) if training else inputs

    layer = Generator(name="mine")
    before = layer.generator.state.numpy()
    with pytest.raises(ModelError, match=r"keras\.random, not from a tf\.random\.Generator"):
        sample(layer, layers=["dropout", "mine"])
    np.testing.assert_array_equal(layer.generator.state.numpy(), before)
    assert sample(layer).std() > 0
