"""Sampling disturbs nobody: not the model, not other wraps of it, not other threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import mcdrop
from mcdrop.errors import ModelError

from .harness import Snapshot, run_inference, without_xla
from .models import CASES, numbers

X = numbers(4, 3)()


class Trap(layers.Layer):
    """Raises or runs what its `action` says, on the thread that traces, once."""

    def __init__(self, action=None, **options):
        super().__init__(**options)
        self.__dict__["action"] = action

    def call(self, inputs):
        action = self.__dict__["action"]
        if action is not None and not tf.executing_eagerly():
            action()
        return inputs


class TrappedCell(layers.LSTMCell):
    """A cell that runs an action inside the loop over time steps."""

    def call(self, inputs, states, training=False):
        if self.__dict__.get("action") is not None and not tf.executing_eagerly():
            self.__dict__["action"]()
        return super().call(inputs, states, training=training)


def trapped_model():
    """Returns a model with every kind of override, the trap behind all of them, and the trap."""
    keras.utils.set_random_seed(0)
    trap = Trap()
    inputs = keras.Input((4, 3))
    hidden = layers.BatchNormalization()(layers.Dense(4)(inputs))
    hidden = layers.Attention(dropout=0.2)([layers.Dropout(0.5)(hidden), hidden])
    hidden = layers.LSTM(3, dropout=0.3, recurrent_dropout=0.2)(hidden)
    return keras.Model(inputs, layers.Dense(2)(trap(hidden))), trap


def fail_with(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ValueError("no such luck"), ModelError),
        (RuntimeError("no such luck"), ModelError),
        (KeyboardInterrupt("no such luck"), KeyboardInterrupt),
    ],
)
def test_the_model_is_untouched_when_tracing_raises(error, raised):
    model, trap = trapped_model()
    expected = run_inference(model, X)
    snapshot = Snapshot(model)
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    trap.__dict__["action"] = fail_with(error)
    with pytest.raises(raised, match="no such luck"):
        mc.predict(X, num_samples=4)
    trap.__dict__["action"] = None
    snapshot.check()
    # Neither the model nor the wrapper remembers the failure, for any batch size.
    assert run_inference(model, X[:1])[0].shape == (1, 2)
    np.testing.assert_array_equal(run_inference(model, X), expected)
    assert mc.sample(X, num_samples=2).std(axis=0).min() > 0


def test_the_model_is_untouched_when_an_override_raises_halfway():
    """The trace of the passes fails, not the deterministic one before it."""
    keras.utils.set_random_seed(0)

    class Fails(layers.Layer):
        def call(self, inputs, training=False):
            if training:
                raise ValueError("cannot train")
            return inputs

    mcdrop.register(Fails)
    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), Fails(), layers.Dense(2)])
    snapshot = Snapshot(model)
    with pytest.raises(ModelError, match="cannot train"):
        without_xla(mcdrop.MCDropout(model, layers=["custom", "dropout"])).sample(
            numbers(3)(), num_samples=2
        )
    snapshot.check()


def test_the_model_is_untouched_when_running_raises():
    keras.utils.set_random_seed(0)

    def check(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 100.0, "too large")]):
            return tf.identity(x)

    model = keras.Sequential(
        [keras.Input((3,)), layers.Dropout(0.5), layers.Lambda(check), layers.Dense(2)]
    )
    snapshot = Snapshot(model)
    mc = without_xla(mcdrop.MCDropout(model))
    # 99 passes with dropout off, and fails once a pass doubles it.
    with pytest.raises(ModelError, match="too large"):
        mc.sample(np.full((2, 3), 99.0, np.float32), num_samples=8)
    snapshot.check()
    assert mc.sample(np.ones((2, 3), np.float32), num_samples=8).shape == (8, 2, 2)


@pytest.mark.parametrize("name", ["multilayer_perceptron", "lstm", "multi_head_attention"])
def test_another_thread_that_runs_the_model_while_it_is_traced_sees_it_as_it_is(name):
    """The trap runs the model on another thread in the middle of every trace."""
    case = CASES[name]
    inner, x = case.build(), case.draw()
    expected = run_inference(inner, x)[0]
    training = np.concatenate([x] * 50)
    seen, trained = [], []

    def elsewhere():
        seen.append(run_inference(inner, x[:2])[0])
        trained.append(np.asarray(inner(training, training=True)))
        seen.append(run_inference(inner, x)[0])

    def action():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    trap = Trap(action)
    inputs = keras.Input(x.shape[1:])
    first = ops.sum(inner(trap(inputs)), axis=-1, keepdims=True)
    again = trap(inputs + ops.reshape(first, (-1, *[1] * (x.ndim - 1))))
    outer = keras.Model(inputs, inner(again))
    mc = without_xla(mcdrop.MCDropout(outer))
    samples = mc.sample(x, num_samples=4)
    trap.__dict__["action"] = None
    alone = without_xla(mcdrop.MCDropout(outer)).sample(x, num_samples=4)
    np.testing.assert_allclose(samples, alone, rtol=1e-6)
    assert len(seen) >= 4
    for outputs in seen:
        np.testing.assert_allclose(outputs, expected[: len(outputs)], rtol=1e-5, atol=1e-6)
    for outputs in trained:  # dropout of Keras's own, one mask an example
        assert np.isfinite(outputs).all()
        assert outputs[:: len(x)].std(axis=0).min() > 0


def test_another_thread_can_run_a_recurrent_model_inside_its_time_loop():
    """Keras keeps the masks of a cell on the cell, where two threads would mix them up."""
    keras.utils.set_random_seed(0)
    cell = TrappedCell(3, dropout=0.3, recurrent_dropout=0.3)
    model = keras.Sequential([keras.Input((4, 3)), layers.RNN(cell), layers.Dense(2)])
    expected = run_inference(model, X)
    alone = without_xla(mcdrop.MCDropout(model)).sample(X, num_samples=4)
    seen = []

    def action():
        thread = threading.Thread(target=lambda: seen.append(run_inference(model, X)))
        thread.start()
        thread.join()

    cell.__dict__["action"] = action
    samples = without_xla(mcdrop.MCDropout(model)).sample(X, num_samples=4)
    cell.__dict__["action"] = None
    np.testing.assert_allclose(samples, alone, rtol=1e-6)
    assert seen
    for outputs in seen:
        np.testing.assert_array_equal(outputs, expected)
    assert run_inference(model, X[:1])[0].shape == (1, 2)


def test_two_wraps_of_one_model_do_not_disturb_each_other():
    model = CASES["functional_nested_three_deep"].build()
    x = CASES["functional_nested_three_deep"].draw()
    snapshot = Snapshot(model)
    first_path, second_path = (info.path for info in mcdrop.MCDropout(model).stochastic_layers)
    wraps = [
        {"layers": [first_path]},
        {"layers": [second_path]},
        {"masks": "shared"},
        {"balanced": True},
        {},
    ]

    def sample(mc):
        return mc.sample(x, num_samples=6, seed=3)

    alone = [sample(without_xla(mcdrop.MCDropout(model, **options))) for options in wraps]
    together = [without_xla(mcdrop.MCDropout(model, **options)) for options in wraps]
    for _ in range(2):
        for mc, expected in zip(together, alone, strict=True):
            np.testing.assert_array_equal(sample(mc), expected)
    for number, samples in enumerate(alone):
        assert not any(np.array_equal(samples, other) for other in alone[:number])
    snapshot.check()


def test_threads_that_sample_one_model_do_not_disturb_each_other():
    model, x = CASES["multilayer_perceptron"].build(), CASES["multilayer_perceptron"].draw()
    inference = run_inference(model, x)[0]
    snapshot = Snapshot(model)
    shared = without_xla(mcdrop.MCDropout(model))
    expected = shared.sample(x, num_samples=5)

    def work(number):
        if number % 3 == 0:
            return np.array_equal(run_inference(model, x)[0], inference)
        mc = shared if number % 3 == 1 else without_xla(mcdrop.MCDropout(model))
        return np.allclose(mc.sample(x, num_samples=5), expected, rtol=1e-6)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(24)))
    snapshot.check()


def test_what_a_layer_keeps_of_its_call_is_taken_off_again():
    class Keeps(layers.Layer):
        def call(self, inputs):
            self.last = inputs
            self.seen = [*getattr(self, "seen", ()), inputs]
            return inputs

    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), Keeps(), layers.Dense(2)])
    model(np.ones((1, 3), np.float32))
    snapshot = Snapshot(model)
    without_xla(mcdrop.MCDropout(model)).sample(numbers(3)(), num_samples=2)
    snapshot.check()
    assert ops.shape(model.layers[1].last) == (1, 3)


def test_losses_of_activity_regularizers_do_not_leak_into_the_model():
    keras.utils.set_random_seed(0)
    dense = layers.Dense(3, activity_regularizer="l2")
    model = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), dense])
    without_xla(mcdrop.MCDropout(model)).sample(numbers(3)(), num_samples=2)
    model(numbers(3)())
    assert [type(loss).__name__ for loss in model.losses] == ["EagerTensor"]
