"""Stopping early: the stated error is right, and passes that agree by luck do not stop."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import mcdrop
from mcdrop.stopping import FIRST_LOOK, PATIENCE, SECOND_LOOK, TwoLooks, unseen_variance

REPLICAS = 3000


def rare_unit(activation):
    """Returns a model whose one unit is dropped in 2% of the passes, and its true mean."""
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dropout(0.02), layers.Dense(1, activation=activation)]
    )
    model.set_weights([np.array([[6.0]]), np.array([-3.0])])
    link = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "linear": lambda z: z}[activation]
    return model, 0.98 * link(6 / 0.98 - 3) + 0.02 * link(-3.0)


@pytest.mark.parametrize("tolerance", [0.02, 0.01])
def test_the_stated_error_of_rare_disagreement_is_right(tolerance):
    model, truth = rare_unit("sigmoid")
    mc = mcdrop.MCDropout(model, task="binary")
    found = mc.predict(np.ones((REPLICAS, 1)), num_samples=2000, tolerance=tolerance, seed=1)
    error = np.sqrt(np.square(found.mean - truth).mean())
    # The ratio of two root mean squares of 3,000 replicas has a standard error of about 0.02.
    stated = np.sqrt(np.square(found.monte_carlo_error).mean())
    assert 0.9 < error / stated < 1.1
    assert error < tolerance
    assert (found.monte_carlo_error > 0).all()
    assert found.num_samples_per_example.min() >= np.sqrt(2) * 0.95 / tolerance


def test_a_regression_that_agrees_by_luck_is_not_stopped():
    model, truth = rare_unit("linear")
    mc = mcdrop.MCDropout(model, task="regression")
    found = mc.predict(np.ones((REPLICAS, 1)), num_samples=1000, tolerance=0.1, seed=1)
    # A unit that was never dropped leaves a variance of 0: no reason to stop.
    stopped = found.num_samples_per_example < 1000
    assert (found.variance[stopped] > 0).all()
    assert stopped.mean() > 0.9
    error = np.sqrt(np.square(found.mean - truth).mean())
    assert 0.85 < error / np.sqrt(np.square(found.monte_carlo_error).mean()) < 1.1


def test_a_constant_output_is_believed_in_the_end():
    model = keras.Sequential([keras.Input((2,)), layers.Dropout(0.5), layers.Dense(1)])
    mc = mcdrop.MCDropout(model, task="regression")
    found = mc.predict(np.array([[0.0, 0.0], [1.0, 2.0]]), num_samples=400, tolerance=1e-6)
    assert found.num_samples_per_example.tolist() == [SECOND_LOOK * PATIENCE, 400]
    assert found.monte_carlo_error[0] == 0.0


def test_a_prediction_of_a_fixed_number_of_passes_has_the_plain_error():
    model, _ = rare_unit("sigmoid")
    fixed = mcdrop.MCDropout(model, task="binary").predict(np.ones((50, 1)), num_samples=40)
    assert fixed.tolerance is None
    np.testing.assert_allclose(fixed.monte_carlo_error, np.sqrt(fixed.variance / 40))


def test_the_tolerance_is_saved(tmp_path):
    model, _ = rare_unit("sigmoid")
    mc = mcdrop.MCDropout(model, task="binary")
    found = mc.predict(np.ones((5, 1)), num_samples=64, tolerance=0.1)
    found.save(tmp_path / "p.npz")
    loaded = mcdrop.Prediction.load(tmp_path / "p.npz")
    assert loaded.tolerance == 0.1
    np.testing.assert_array_equal(loaded.monte_carlo_error, found.monte_carlo_error)


def test_two_looks_are_needed_and_the_first_comes_late():
    looks, rows = TwoLooks(3, 0.1), np.arange(3)
    small, large = np.array([0.0, 0.05, 0.2]), np.array([0.0, 0.3, 0.05])
    assert looks.go_on(rows, small, FIRST_LOOK - 16).all()
    assert looks.go_on(rows, small, FIRST_LOOK).all()
    # The second example fails its second look, and begins anew; the third passes its first.
    assert looks.go_on(rows, large, 48).tolist() == [False, True, True]
    assert looks.go_on(rows[1:], np.array([0.05, 0.05]), 64).tolist() == [True, True]
    assert looks.go_on(rows[1:], np.array([0.05, 0.05]), 80).tolist() == [True, False]


def test_the_bound_on_what_was_not_seen_is_a_posterior_mean():
    generator = np.random.default_rng(0)
    for count in (5, 40):
        chance = generator.random(2_000_000)
        unseen = generator.random(len(chance)) < (1 - chance) ** count
        squares = np.square(0.7 * chance[unseen])
        bound = unseen_variance(np.array(count), np.array(0.7))
        spread = squares.std() / np.sqrt(len(squares))
        assert abs(squares.mean() - bound) < 5 * spread
