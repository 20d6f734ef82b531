"""Shared masks on kernels give what shared masks on activations give."""

import keras
import numpy as np
import pytest
from keras import layers

from mcdrop import MCDropout
from mcdrop.engine import tracing


def flattened_cnn():
    return [
        keras.Input((6, 6, 2)),
        layers.Conv2D(3, 3, activation="relu"),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(5, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(4, activation="softmax"),
    ]


def no_bias():
    return [
        keras.Input((6,)),
        layers.Dropout(0.3),
        layers.Dense(4, use_bias=False),
        layers.Softmax(),
    ]


def dense_on_positions():
    return [keras.Input((5, 6)), layers.Dropout(0.3), layers.Dense(4, activation="softmax")]


def sample(model, *, fold, monkeypatch, **options):
    if not fold:
        monkeypatch.setattr(tracing, "find_folds", lambda *_: {})
    mc = MCDropout(model, masks="shared", task="classification", **options)
    shape = model.input_shape[1:]
    x = np.random.default_rng(0).normal(size=(9, *shape)).astype("float32")
    samples = mc.sample(x, num_samples=37, seed=2)
    (program,) = mc._samplers[0]._programs.values()
    return samples, program.folded


@pytest.mark.parametrize("build", [flattened_cnn, no_bias])
@pytest.mark.parametrize("balanced", [False, True])
def test_folded_passes_equal_passes_with_masked_activations(build, balanced, monkeypatch):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(build())
    folded, used = sample(model, fold=True, monkeypatch=monkeypatch, balanced=balanced)
    plain, unused = sample(model, fold=False, monkeypatch=monkeypatch, balanced=balanced)
    assert used
    assert not unused
    np.testing.assert_allclose(folded, plain, atol=1e-6)
    assert folded.std(axis=0).min() > 1e-4


def test_a_dense_layer_on_every_position_is_not_folded(monkeypatch):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(dense_on_positions())
    samples, folded = sample(model, fold=True, monkeypatch=monkeypatch)
    assert not folded
    # Each position has a mask of its own, which one mask on the kernel could not give.
    equal = np.full((1, 5, 6), 1.0, np.float32)
    positions = MCDropout(model, masks="shared", task="classification").sample(equal, num_samples=8)
    assert np.ptp(positions, axis=2).max() > 1e-3
    assert samples.shape == (37, 9, 5, 4)


def test_a_dropout_that_two_layers_read_is_not_folded(monkeypatch):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = layers.Dropout(0.5)(inputs)
    outputs = layers.Add()([layers.Dense(3)(x), layers.Dense(3)(x)])
    model = keras.Model(inputs, layers.Softmax()(outputs))
    folded, used = sample(model, fold=True, monkeypatch=monkeypatch)
    assert not used
    assert folded.std(axis=0).min() > 1e-4
