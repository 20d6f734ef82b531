"""Arguments of a wrong type: always an error of mcdrop's own, or taken."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from matplotlib.figure import Figure

import mcdrop
from mcdrop import plot, recalibrate
from mcdrop.errors import DataError, McdropError

WRONG = [None, 3, -1, 1.5, "three", b"x", [], {}, {"a": 1}, object(), [None], ["a"], float("nan")]
WRONG += [10**30, [[1], [2, 3]], np.zeros((0, 3)), np.array("a")]
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
    [
        "layers",
        "masks",
        "balanced",
        "task",
        "output",
        "gaussian_scale",
        "compute_dtype",
        "splitting",
        "jit_compile",
    ],
)
def test_settings_of_a_model(model, name, value):
    said = fault(mcdrop.MCDropout, model, **{name: value})
    assert said is None or name in said or "random" in said


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        "num_samples",
        "seed",
        "batch_size",
        "tolerance",
        "on_nonfinite",
        "progress",
        "keep_samples",
        "examples",
    ],
)
def test_settings_of_a_prediction(mc, name, value):
    said = fault(mc.predict, X, **{"num_samples": 2, name: value})
    assert said is None or name in said


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_settings_of_what_comes_after(mc, prediction, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y, forecasts = np.array([0, 1, 0, 1]), {"a": prediction, "b": prediction.deterministic}
    calls = {
        "metrics": lambda: mcdrop.evaluate(prediction, y, metrics=value, num_resamples=100),
        "y_true": lambda: mcdrop.evaluate(prediction, value, num_resamples=100),
        "reference": lambda: mcdrop.compare(forecasts, y, reference=value, num_resamples=100),
        "kind": lambda: mcdrop.register(layers.Layer, kind=value),
        "layer_class": lambda: mcdrop.register(value),
        "force": lambda: mc.export("out", num_samples=2, force=value),
    }
    if not isinstance(value, str):
        calls["path"] = lambda: mc.export(value, num_samples=2)
    for name, call in calls.items():
        said = fault(call)
        if value is not None or name not in ("metrics", "reference"):
            assert said is not None, name
        assert said is None or name in said, (name, said)


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_data_and_indices(mc, prediction, value):
    for call in (mc.predict, mc.sample, prediction.take):
        said = fault(call, value)
        assert said is None or "`x" in said or "`indices`" in said


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_figures_and_files(prediction, value):
    functions = [getattr(mcdrop.plot, name) for name in mcdrop.plot.__all__]
    for draw in functions:
        axes = Figure().subplots()
        fault(draw, value, np.array([0, 1, 0, 1]), ax=axes)
        fault(draw, prediction, value, ax=axes)
    for read in (mcdrop.Prediction.load, mcdrop.recalibrate.load, prediction.save):
        if not isinstance(value, str):
            assert "expected a path" in fault(read, value)


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


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_parameters_of_calibrators(value):
    for build, fitting in (
        (recalibrate.IsotonicCalibration, {"curves": (((0.1, 0.5), (0.2, 0.3)),)}),
        (recalibrate.IsotonicQuantileCalibration, {"predicted": (0, 1), "observed": (0, 1)}),
        (recalibrate.VectorScaling, {"weights": (1.0, 1.0), "biases": (0.0, 0.0)}),
        (recalibrate.BetaCalibration, {"parameters": ((1.0, 1.0, 0.0),)}),
        (recalibrate.VarianceScaling, {"factors": (1.0,)}),
        (recalibrate.TemperatureScaling, {"temperature": 1.0}),
    ):
        build(**fitting)
        for name in fitting:
            said = fault(build, **fitting | {name: value})
            assert said is not None or value is None or name in ("factors", "temperature")


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_settings_of_drawings(prediction, value):
    y = np.array([0, 1, 0, 1])
    for draw, name in (
        (plot.confusion_matrix, "class_names"),
        (plot.doubt_map, "threshold"),
        (plot.reliability_diagram, "confidence_level"),
        (plot.risk_coverage, "confidence_level"),
    ):
        said = fault(draw, prediction, y, ax=Figure().subplots(), **{name: value})
        assert said is None or name in said
    said = fault(plot.image_grid, np.zeros((2, 4, 4)), titles=value)
    assert said is None or "titles" in said
