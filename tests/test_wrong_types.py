"""Arguments of a wrong type: always an error of mcdrop's own, or taken."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import mcdrop
from mcdrop.errors import DataError, McdropError

WRONG = [None, 3, -1, 1.5, "three", b"x", [], {}, {"a": 1}, object(), [None], ["a"], float("nan")]
X = np.ones((4, 3), np.float32)


def fault(call, *args, **settings):
    """Returns what mcdrop says against a call, None when it takes it; other errors come out."""
    try:
        call(*args, **settings)
    except McdropError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def model():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dropout(0.5), layers.Dense(2, activation="softmax")]
    )


@pytest.fixture(scope="module")
def mc(model):
    return mcdrop.MCDropout(model)


@pytest.fixture(scope="module")
def prediction(mc):
    return mc.predict(X, num_samples=4)


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize(
    "name",
    ["layers", "masks", "task", "output", "gaussian_scale", "compute_dtype"],
)
def test_settings_of_a_model(model, name, value):
    said = fault(mcdrop.MCDropout, model, **{name: value})
    assert said is None or name in said or "random" in said


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize(
    "name",
    ["num_samples", "seed", "batch_size", "tolerance", "on_nonfinite", "progress"],
)
def test_settings_of_a_prediction(mc, name, value):
    said = fault(mc.predict, X, **{"num_samples": 2, name: value})
    assert said is None or name in said


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_data_and_indices(mc, prediction, value):
    for call in (mc.predict, mc.sample, prediction.take):
        said = fault(call, value)
        assert said is None or "`x" in said or "`indices`" in said


def test_examples_that_are_not_there(prediction):
    for wrong in ([99], [-5], [True, False], [[0]], 1.5):
        with pytest.raises(DataError, match="`indices`"):
            prediction.take(wrong)
    assert len(prediction.take([])) == 0
    assert len(prediction.take([-1, 0])) == 2
    assert len(prediction.take(slice(1, 3))) == 2


def test_a_prediction_is_not_saved_onto_a_folder(prediction, tmp_path):
    with pytest.raises(DataError):
        prediction.save(tmp_path)


def test_progress_may_be_a_bar_a_function_or_nothing(mc):
    expected = mc.predict(X, num_samples=2).mean
    seen = []
    for progress in (None, False, True, lambda done, total: seen.append((done, total))):
        found = mc.predict(X, num_samples=2, progress=progress)
        np.testing.assert_array_equal(found.mean, expected)
    assert seen == [(4, 4)]
