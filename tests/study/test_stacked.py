"""Stacked networks: each is trained as if it were alone."""

import keras
import numpy as np
import pytest

from mcdrop import MCDropout
from mcdrop.study.stacked import Stack, initial_weights, network_penalty, train

RATE = 0.2
OPTIONS = {"epochs": 3, "batch_size": 16, "seed": 4}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 3, 2))
    return x, x[..., 0] - 0.5 * x[..., 1]


def stack(seeds):
    return Stack(RATE, initial_weights(seeds, inputs=2, hidden=5))


def trained(seeds, x, y, penalties):
    ticks = []
    found = train(
        stack(seeds), x, y, penalties=penalties, on_epoch=lambda: ticks.append(1), **OPTIONS
    )
    assert len(ticks) == OPTIONS["epochs"]
    return found


def test_a_network_comes_out_of_a_stack_as_alone(data):
    x, y = data
    together = trained([7, 8, 9], x, y, [0.0, 0.01, 0.1])
    alone = trained([8], x[:, 1:2], y[:, 1:2], [0.01])
    for a, b in zip(together.take([1]).weights, alone.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_training_lowers_the_error_and_the_penalty_shrinks_the_weights(data):
    x, y = data
    x, y = x[:, :2].repeat(20, axis=0), y[:, :2].repeat(20, axis=0)
    x[:, 1], y[:, 1] = x[:, 0], y[:, 0]
    found = trained([7, 7], x, y, [0.0, 1.0])
    outputs = np.asarray(found.model()(x.astype("float32"), training=False))
    before = np.asarray(stack([7]).model()(x[:, :1].astype("float32"), training=False))
    assert ((outputs - y) ** 2)[:, 0].mean() < ((before - y[:, :1]) ** 2).mean()
    free, bound = found.weights[0]
    assert np.square(bound).sum() < 0.9 * np.square(free).sum()


def test_a_single_network_is_that_of_keras(data):
    x, _ = data
    one = stack([3])
    kernel, bias, head, offset = (weight[0] for weight in one.weights)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.set_weights([kernel, bias, head, offset])
    inputs = x[:, :1].astype("float32")
    np.testing.assert_allclose(
        one.model()(inputs, training=False), model(inputs[:, 0]), rtol=1e-5, atol=1e-6
    )


def test_the_networks_of_a_stack_drop_units_independently(data):
    x, _ = data
    twins = stack([3, 3]).model()
    inputs = np.repeat(x[:, :1], 2, axis=1).astype("float32")
    passes = MCDropout(twins, task="regression").sample(inputs, num_samples=400, seed=0)
    first, second = np.moveaxis(passes - passes.mean(axis=0), -1, 0)
    correlation = (first * second).mean() / np.sqrt((first**2).mean() * (second**2).mean())
    assert abs(correlation) < 4 / np.sqrt(400)  # 40 rows of 400 passes: far above its error


def test_the_penalty_of_a_network_is_its_own():
    kernel = np.array([[[1.0, 2.0]], [[3.0, 0.0]]])
    assert float(network_penalty([0.5, 2.0])(kernel)) == pytest.approx(0.5 * 5.0 + 2.0 * 9.0)
