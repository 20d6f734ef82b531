"""A calibration is fitted on held-out data, written, and applied to new data."""

import json
import os

import numpy as np
import pandas as pd
import pytest

import mcdrop
from mcdrop import recalibrate
from mcdrop.recalibrate.calibrations import Fingerprint

keras = pytest.importorskip("keras")


@pytest.fixture
def calibrate(run, shelf, tmp_path):
    """Fits a calibration on data of every class, or on others; returns what was said."""
    with np.load(shelf / "more.npz") as more:
        np.savez(tmp_path / "every.npz", x=more["x"], y=np.arange(60) % 3)

    def fit(method, *options, model="model.keras", data=tmp_path / "every.npz"):
        arguments = ["calibrate", shelf / model, shelf / data, "--method", method]
        status, out, err = run(*arguments, "-o", "c.json", "--samples", 6, "--force", *options)
        assert status == 0, err
        return out

    return fit


@pytest.fixture
def predict(run, shelf):
    def go(name, *options, model="model.keras", data="data.npz"):
        status, out, err = run(
            *("predict", shelf / model, shelf / data, "-o", name, "--samples", 6, "--force"),
            *("--calibration", "c.json", *options),
        )
        assert status == 0, err
        return out, err

    return go


def plain(run, shelf, model="model.keras", data="data.npz"):
    run("predict", shelf / model, shelf / data, "-o", "plain.npz", "--samples", 6, "--force")
    return mcdrop.Prediction.load("plain.npz")


def digest(*blocks):
    return Fingerprint.of(np.array(block, dtype=object) for block in blocks)


def test_texts_have_one_fingerprint_however_they_are_cut_and_no_other_texts_have_it():
    assert digest(["ab", "c"]) == digest(["ab"], ["c"])
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["a, b"]) != digest(["a", "b"])
    assert digest([["a"], ["b"]]) == digest([["a"]], [["b"]])


@pytest.mark.parametrize("method", ["temperature", "vector", "beta", "isotonic"])
def test_repaired_probabilities_are_those_of_the_library(run, shelf, calibrate, predict, method):
    assert "no guarantee" in calibrate(method)
    predict("p.npz", "--batch-size", 7)
    expected = recalibrate.load("c.json").transform(plain(run, shelf).mean)
    np.testing.assert_allclose(mcdrop.Prediction.load("p.npz").mean, expected, atol=1e-6)


@pytest.mark.parametrize("method", ["conformal", "conformal-by-class"])
@pytest.mark.parametrize("batch", [7, 100])
def test_conformal_sets_are_columns(run, shelf, calibrate, predict, method, batch):
    said = calibrate(method, "--level", 0.8)
    assert "sets hold the label" in said
    assert "with probability at least 0.8" in said
    assert "60 examples" in said
    predict("p.parquet", "--batch-size", batch)
    found = pd.read_parquet("p.parquet")
    expected = recalibrate.load("c.json").transform(plain(run, shelf).mean)
    np.testing.assert_array_equal(found[["in_set_0", "in_set_1", "in_set_2"]], expected)
    np.testing.assert_array_equal(found["set_size"], expected.sum(axis=1))
    assert "probability" in " ".join(found.columns)


def test_conformal_intervals_are_columns(run, shelf, calibrate, predict):
    settings = {"model": "regression.keras", "data": "held-out.npz"}
    assert "intervals hold each target" in calibrate("conformal", **settings)
    predict("p.csv", model="regression.keras", data="table.npz")
    found = pd.read_csv("p.csv")
    prediction = plain(run, shelf, "regression.keras", "table.npz")
    low, high = recalibrate.load("c.json").transform(prediction.mean, prediction.std)
    np.testing.assert_allclose(found["conformal_low"], low.reshape(-1), rtol=1e-5)
    np.testing.assert_allclose(found["conformal_high"], high.reshape(-1), rtol=1e-5)


def test_repaired_variances_are_those_of_the_library(run, shelf, calibrate, predict):
    calibrate("variance", model="regression.keras", data="held-out.npz")
    predict("p.npz", model="regression.keras", data="table.npz")
    prediction = plain(run, shelf, "regression.keras", "table.npz")
    expected = recalibrate.load("c.json").apply(prediction)
    np.testing.assert_allclose(
        mcdrop.Prediction.load("p.npz").variance, expected.variance, rtol=1e-5
    )


def test_the_json_states_level_size_and_guarantee(calibrate, predict):
    found = json.loads(calibrate("conformal", "--json"))
    assert (found["level"], found["num_examples"], found["task"]) == (0.9, 60, "classification")
    coverage = recalibrate.conformal_coverage(60, level=0.9)
    assert f"between {coverage.low:.3f} and {coverage.high:.3f}" in found["guarantee"]
    out, _ = predict("p.csv", "--json")
    assert json.loads(out)["calibration"] == {k: v for k, v in found.items() if k != "output"}


def test_a_calibration_covers_what_it_states(tmp_path, monkeypatch):
    """Over many calibration sets of 20 the mean coverage is k / (n + 1)."""
    from mcdrop.recalibrate.calibrations import fit

    generator = np.random.default_rng(0)
    hits = []
    for _ in range(300):
        passes = generator.dirichlet(np.ones(3), size=(4, 40))
        y = np.array([generator.choice(3, p=row) for row in passes.mean(axis=0)])
        whole = mcdrop.from_samples(passes, passes[0], task="classification")
        sets = fit("conformal", whole.take(np.arange(20)), y[:20], 0.8).transform(whole.mean[20:])
        hits.append(sets[np.arange(20), y[20:]].mean())
    expected = 17 / 21
    assert abs(np.mean(hits) - expected) < 4 * np.std(hits) / np.sqrt(len(hits))


def test_predicting_the_calibration_data_brings_a_warning(calibrate, predict):
    calibrate("temperature")
    assert "the data that c.json was fitted on" in predict("p.csv", data="more.npz")[1]
    assert "fitted on" not in predict("p.csv")[1]


def test_other_passes_bring_a_warning(calibrate, predict):
    calibrate("temperature", "--samples", 4, "--masks", "shared")
    _, err = predict("p.csv")
    assert "fitted on predictions with 4 passes, not 6 and shared masks, not independent" in err


def test_a_calibration_for_another_model_is_refused(calibrate, fails, shelf):
    calibrate("temperature")
    rest = ["-o", "p.csv", "--calibration", "c.json"]
    line = fails("predict", shelf / "regression.keras", shelf / "table.npz", *rest)
    assert "c.json was made for classification with 3 classes; this model's task is" in line


def test_wrong_calibrations_are_told_before_sampling(
    calibrate, fails, shelf, tmp_path, monkeypatch
):
    calibrate("conformal")
    sound = json.loads((tmp_path / "c.json").read_text())
    arguments = ["predict", shelf / "model.keras", shelf / "data.npz", "--calibration", "c.json"]
    monkeypatch.setattr("mcdrop.cli.work.import_keras", None)
    assert "cannot hold conformal sets" in fails(*arguments, "-o", "p.npz")
    for change, words in [
        ({"made_for": None}, "does not say what it was made for"),
        ({"made_for": sound["made_for"] | {"task": "evil"}}, "is damaged"),
        ({"made_for": sound["made_for"] | {"num_outputs": "3"}}, "'num_outputs'"),
        ({"made_for": sound["made_for"] | {"method": "temperature"}}, "holds no temperature"),
    ]:
        (tmp_path / "c.json").write_text(json.dumps(sound | change))
        assert words in fails(*arguments, "-o", "p.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "variance"], "--method variance is for regression and gaussian"),
        (["--method", "temperature", "--tolerance", "0.1"], "leave --tolerance out"),
    ],
)
def test_methods_that_do_not_apply_are_told(fails, shelf, options, words):
    arguments = ["calibrate", shelf / "model.keras", shelf / "more.npz", "-o", "c.json"]
    assert words in fails(*arguments, *options)


def test_the_calibration_is_never_overwritten_by_the_predictions(calibrate, fails, shelf):
    calibrate("temperature")
    os.link("c.json", "p.csv")
    arguments = ["predict", shelf / "model.keras", shelf / "data.npz", "--calibration", "c.json"]
    assert "is the input c.json itself" in fails(*arguments, "-o", "p.csv", "--force")


def test_a_calibration_of_another_model_is_refused(run, shelf, calibrate):
    calibrate("conformal")
    arguments = ["predict", shelf / "other.keras", shelf / "data.npz", "-o", "p.parquet"]
    status, _, err = run(*arguments, "--samples", 6, "--calibration", "c.json")
    assert status == 1
    assert "c.json was fitted on predictions of another model" in err


def test_too_few_examples_for_a_level_are_told(calibrate):
    said = calibrate("conformal", "--level", 0.99, "--limit", 30)
    assert "every set holds all classes: 30 examples are too few for the level 0.99" in said
    assert "needs 99" in said
