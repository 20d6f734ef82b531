"""Averaging over sub-networks: exact means, and the figure against the number of passes."""

import keras
import numpy as np
import pytest

from mcdrop import MCDropout
from mcdrop.study import averaging
from mcdrop.study.averaging import means_of_all, vanilla_difference
from mcdrop.study.networks import mlp
from mcdrop.study.training import forward
from study.reduced import run_reduced


def small_model(hidden, rate, input_rate=0.0):
    keras.utils.set_random_seed(0)
    rates = (rate,) * len(hidden)
    return mlp((5,), 3, hidden=hidden, rates=rates, input_rate=input_rate)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(7, 5)).astype("float32")


def test_weight_scaling_is_the_geometric_mean_of_one_layer(x):
    # Exact for a softmax of dropped units (Srivastava et al. 2014): logits are linear in the masks.
    model = small_model((6,), 0.3)
    mean, geometric = means_of_all(model, x, 0.3)
    np.testing.assert_allclose(geometric, forward(model, x), atol=1e-6)
    assert np.abs(mean - geometric).max() > 1e-3
    np.testing.assert_allclose(mean.sum(axis=1), 1.0)


def test_passes_have_the_mean_of_all_sub_networks(x):
    model = small_model((4, 3), 0.4)
    mean, geometric = means_of_all(model, x, 0.4)
    passes = MCDropout(model, task="classification").sample(x, num_samples=2000)
    error = passes.std(axis=0) / np.sqrt(2000)
    assert (np.abs(passes.mean(axis=0) - mean) < 5 * error + 1e-6).all()
    assert np.abs(geometric - forward(model, x)).max() > 1e-4  # two layers: no longer exact


def test_vanilla_and_inverted_dropout_are_one_function(x):
    model = small_model((8, 6), 0.5, input_rate=0.2)
    assert vanilla_difference(model, x, seed=3) < 1e-5


def test_the_study_in_small(tmp_path, monkeypatch):
    small = {"one layer of 12": (4,), "two layers of 6": (3, 2)}
    monkeypatch.setattr(averaging, "_SMALL", small)
    plan, runs, page, _ = run_reduced("averaging", tmp_path)
    assert set(runs["setting"]) == set(plan.settings)
    passes = runs[runs["setting"] == "mlp, ordinary"]["passes"].tolist()
    assert passes == [1, 2, 4, 8]
    assert runs[runs["setting"] == "mlp, split"]["passes"].tolist() == [8]
    exact = runs[runs["setting"] == "two layers of 6, mean of all"]["distance"]
    assert exact.max() == 0.0
    assert "Vanilla and inverted dropout are one function" in page
