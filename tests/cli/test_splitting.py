"""`--splitting`: passes that share their early masks, from the command line to the files."""

import json
from pathlib import Path

import numpy as np
import pytest

from mcdrop.prediction import Prediction

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose last dropout comes behind a wide layer, and data that fit it."""
    folder = tmp_path_factory.mktemp("split")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    keras.Sequential(
        [
            keras.Input((60,)),
            layers.Dropout(0.05, name="early"),
            layers.Dense(300, activation="relu"),
            layers.Dense(300, activation="relu"),
            layers.Dropout(0.5, name="late"),
            layers.Dense(3, activation="softmax"),
        ]
    ).save(folder / "model.keras")
    generator = np.random.default_rng(0)
    for name, count in (("data", 40), ("more", 60)):
        x = generator.normal(size=(count, 60)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=x, y=generator.integers(0, 3, count))
    return folder


def predict(run, folder, output, *options):
    arguments = ("predict", folder / "model.keras", folder / "data.npz", "-o", output, "--json")
    status, out, err = run(*arguments, *options)
    assert status == 0, err
    return json.loads(out), err


def test_auto_says_what_it_chose_and_the_counts_repeat_it(run, folder):
    found, said = predict(run, folder, "auto.npz", "--splitting", "auto", "--samples", "40")
    first = Prediction.load("auto.npz")
    assert tuple(found["splitting"]) == first.splitting
    assert f"splitting={first.splitting}" in said
    assert found["num_samples"] == first.num_samples == np.prod(first.splitting)
    counts = ",".join(map(str, first.splitting))
    again, _ = predict(run, folder, "counts.npz", "--splitting", counts)
    assert again["num_samples"] == found["num_samples"]
    np.testing.assert_array_equal(Prediction.load("counts.npz").mean, first.mean)
    np.testing.assert_array_equal(
        Prediction.load("counts.npz").variance_components, first.variance_components
    )


def test_parts_are_resumed_with_the_same_splitting_alone(run, folder):
    options = ("--splitting", "6,4", "--part-size", "15")
    predict(run, folder, "parts", *options)
    predict(run, folder, "parts", *options, "--resume")
    arguments = ("predict", folder / "model.keras", folder / "data.npz", "-o", "parts")
    status, _, err = run(*arguments, "--splitting", "6,5", "--part-size", "15", "--resume")
    assert status == 1
    assert "another samples, splitting" in err


def test_parts_of_chosen_layers_are_resumed(run, folder):
    predict(run, folder, "some", "--layers", "late", "--samples", "4")
    predict(run, folder, "some", "--layers", "late", "--samples", "4", "--resume")


def test_a_report_and_a_comparison_are_split(run, folder):
    model, data = folder / "model.keras", folder / "data.npz"
    status, _, err = run(
        "report", model, data, "-o", "out", "--splitting", "auto", "--ood", folder / "more.npz"
    )
    assert status == 0, err
    assert "Draws of each stage" in Path("out/index.html").read_text(encoding="utf-8")
    assert "splitting=" in err
    other = folder / "other.keras"
    keras.models.load_model(model).save(other)
    status, out, err = run(
        "compare", model, other, data, "-o", "two", "--splitting", "6,4", "--json"
    )
    assert status == 0, err
    assert {each["num_samples"] for each in json.loads(out)["evaluations"].values()} == {24}


def test_a_calibration_says_when_the_passes_share_other_masks(run, folder):
    model = folder / "model.keras"
    fitted = ("calibrate", model, folder / "more.npz", "--method", "vector", "-o", "c.json")
    status, _, err = run(*fitted, "--splitting", "6,4")
    assert status == 0, err
    _, err = predict(run, folder, "a.parquet", "--calibration", "c.json", "--splitting", "6,4")
    assert "may not hold" not in err
    _, err = predict(run, folder, "b.parquet", "--calibration", "c.json", "--samples", "24")
    assert "--splitting 6,4, not ordinary passes" in err
