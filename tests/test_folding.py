"""Shared masks on kernels give what shared masks on activations give."""

import keras
import numpy as np
import pytest
from keras import layers

from mcdrop import MCDropout
from mcdrop.engine import folding


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


def sigmoid_units():
    return [
        keras.Input((6,)),
        layers.Dropout(0.3),
        layers.Dense(7, activation="sigmoid", bias_initializer="ones"),
        layers.Dropout(0.4),
        layers.Dense(4, activation="softmax"),
    ]


def softmax_units():
    return [
        keras.Input((6,)),
        layers.Dropout(0.3),
        layers.Dense(7, activation="softmax"),
        layers.Dropout(0.4),
        layers.Dense(4, activation="softmax"),
    ]


def two_readers_of_the_dropped_units():
    inputs = keras.Input((6,))
    x = layers.Dense(7, activation="relu")(layers.Dropout(0.3)(inputs))
    x = layers.Concatenate()([layers.Dropout(0.4)(x), x])
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def dropped_outputs():
    return [keras.Input((6,)), layers.Dropout(0.3), layers.Dense(4), layers.Dropout(0.5)]


def no_bias():
    return [
        keras.Input((6,)),
        layers.Dropout(0.3),
        layers.Dense(4, use_bias=False),
        layers.Softmax(),
    ]


def dense_on_positions():
    return [keras.Input((5, 6)), layers.Dropout(0.3), layers.Dense(4, activation="softmax")]


@pytest.fixture(autouse=True)
def small_layers_fold_too(monkeypatch):
    monkeypatch.setattr(folding, "NARROWING", 0)
    monkeypatch.setattr(folding, "SAVING", 0)


def sample(model, *, fold, monkeypatch, **options):
    if not fold:
        monkeypatch.setattr(folding, "_is_narrow_dense", lambda _: False)
    mc = MCDropout(model, masks="shared", task="classification", **options)
    shape = model.input_shape[1:]
    x = np.random.default_rng(0).normal(size=(9, *shape)).astype("float32")
    samples = mc.sample(x, num_samples=37, seed=2)
    (program,) = mc._samplers[0]._programs.values()
    return samples, program.folded


FOLDED = [
    flattened_cnn,
    no_bias,
    sigmoid_units,
    softmax_units,
    two_readers_of_the_dropped_units,
    dropped_outputs,
]


@pytest.mark.parametrize("build", FOLDED)
@pytest.mark.parametrize("options", [{}, {"balanced": True}, {"jit_compile": True}], ids=str)
def test_folded_passes_equal_passes_with_masked_activations(build, options, monkeypatch):
    keras.utils.set_random_seed(0)
    built = build()
    model = keras.Sequential(built) if isinstance(built, list) else built
    folded, used = sample(model, fold=True, monkeypatch=monkeypatch, **options)
    plain, unused = sample(model, fold=False, monkeypatch=monkeypatch, **options)
    assert used
    assert not unused
    np.testing.assert_allclose(folded, plain, atol=1e-6)
    assert folded.std(axis=0).min() > 1e-4


@pytest.mark.parametrize(
    ("build", "expected"), [(flattened_cnn, True), (sigmoid_units, True), (softmax_units, False)]
)
def test_dropped_units_are_left_out_of_the_product_where_they_can_be(build, expected, monkeypatch):
    followed = []
    multiply = folding._multiply

    def keep(product, following, draws):
        followed.append(following is not None)
        return multiply(product, following, draws)

    monkeypatch.setattr(folding, "_multiply", keep)
    sample(keras.Sequential(build()), fold=True, monkeypatch=monkeypatch)
    assert any(followed) == expected


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


def test_a_dropout_that_two_layers_read_has_one_mask_for_both(monkeypatch):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = layers.Dropout(0.5)(inputs)
    first, second = layers.Dense(3), layers.Dense(3)
    model = keras.Model(inputs, layers.Softmax()(layers.Add()([first(x), second(x)])))
    folded, used = sample(model, fold=True, monkeypatch=monkeypatch)
    plain, _ = sample(model, fold=False, monkeypatch=monkeypatch)
    assert used
    np.testing.assert_allclose(folded, plain, atol=1e-6)
    assert folded.std(axis=0).min() > 1e-4


@pytest.mark.parametrize(("units_in", "units_out", "expected"), [(16, 4, True), (15, 4, False)])
def test_only_layers_that_narrow_are_folded(units_in, units_out, expected, monkeypatch):
    monkeypatch.setattr(folding, "NARROWING", 4)
    dense = layers.Dense(units_out, activation="softmax")
    model = keras.Sequential([keras.Input((units_in,)), layers.Dropout(0.5), dense])
    assert sample(model, fold=True, monkeypatch=monkeypatch)[1] == expected
