import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcdrop.cli import writers
from mcdrop.prediction import Prediction

keras = pytest.importorskip("keras")


def expected(shelf, **settings):
    """What the library predicts for the same data."""
    from mcdrop import MCDropout

    with np.load(shelf / "data.npz") as data:
        x = data["x_test"]
    return MCDropout(keras.models.load_model(shelf / "model.keras")).predict(x, **settings)


@pytest.fixture
def predict(run, shelf):
    def run_predict(output, *options):
        status, out, err = run(
            *("predict", shelf / "model.keras", shelf / "data.npz", "--output", output),
            *("--samples", 6, "--seed", 3, *options),
        )
        assert status == 0, err
        return out

    return run_predict


@pytest.mark.parametrize("batch", [7, 100])
def test_an_npz_file_is_the_prediction_of_the_library(predict, shelf, monkeypatch, batch):
    predict("p.npz", "--batch-size", batch)
    found = Prediction.load("p.npz")
    wanted = expected(shelf, num_samples=6, seed=3)
    assert found.task == "classification"
    assert found.num_samples == 6
    for name in ("mean", "variance", "deterministic", "group_means", "votes", "expected_entropy"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-6)
    np.testing.assert_array_equal(found.group_counts, wanted.group_counts)


def test_tables_hold_the_columns_of_to_frame(predict, shelf, monkeypatch):
    monkeypatch.setattr(writers, "ROW_GROUP", 10)
    wanted = expected(shelf, num_samples=6, seed=3).to_frame()
    for name, read in (("p.parquet", pd.read_parquet), ("p.csv", pd.read_csv)):
        predict(name, "--batch-size", 8)
        found = read(name)
        assert found["example"].tolist() == list(range(40))
        pd.testing.assert_frame_equal(found, wanted, atol=1e-6)


def test_the_json_says_what_was_written(predict):
    assert json.loads(predict("p.csv", "--json")) == {
        "output": "p.csv",
        "task": "classification",
        "num_examples": 40,
        "num_samples": 6,
        "seed": 3,
    }


def test_quiet_says_nothing(predict):
    assert predict("p.csv", "--quiet") == ""


def test_force_replaces_a_file(predict):
    predict("p.csv", "--limit", 3)
    predict("p.csv", "--force")
    assert len(pd.read_csv("p.csv")) == 40


def test_early_stopping_counts_the_passes_of_each_example(predict):
    predict("p.npz", "--tolerance", 0.06, "--samples", 160)
    found = Prediction.load("p.npz")
    counts = found.num_samples_per_example
    assert found.num_samples == counts.max()
    assert counts.min() < 160
    assert (found.monte_carlo_error.max(axis=1)[counts < 160] <= 0.06).all()


def test_several_inputs_and_one_of_several_outputs(run, shelf):
    status, _, err = run(
        *("predict", shelf / "heads.keras", shelf / "pair.npz", "--x-key", "image,meta"),
        *("--model-output", "flag", "--output", "p.npz", "--samples", 4),
    )
    assert status == 0, err
    found = Prediction.load("p.npz")
    assert found.task == "binary"
    assert found.mean.shape == (40,)


def test_raw_pixels_bring_a_hint(run, shelf, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 4, 4), np.uint8))
    arguments = ["predict", shelf / "model.keras", "x.npy", "--output", "p.csv", "--samples", 2]
    _, _, err = run(*arguments)
    assert "mcdrop: warning: x.npy holds raw pixels" in err
    _, _, err = run(*arguments, "--force", "--scale", "unit")
    assert "warning" not in err


def test_nothing_of_the_data_is_read_whole(predict, monkeypatch):
    def refuse(self):
        raise AssertionError("read whole")

    monkeypatch.setattr("mcdrop.loading.Data.x", refuse)
    predict("p.npz")


def test_a_full_disk_is_one_line_and_the_old_file_stays(predict, run, shelf):
    import resource

    predict("p.npz", "--limit", 3)
    before = Path("p.npz").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        arguments = ["predict", shelf / "model.keras", shelf / "data.npz", "--output", "p.npz"]
        status, _, err = run(*arguments, "--samples", 2, "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    assert err.endswith(
        "p.npz cannot be written: file too large. What was there before is as it was.\n"
    )
    assert [path.name for path in Path().iterdir()] == ["p.npz"]
    assert Path("p.npz").read_bytes() == before


@pytest.mark.parametrize("name", ["p.csv", "p.parquet", "p.npz"])
def test_a_file_that_is_no_table_of_predictions_is_kept(run, shelf, name):
    frame = pd.DataFrame({"x": [1.0], "y": [2]})
    if name == "p.npz":
        np.savez(name, x=np.ones(3))
    else:
        frame.to_csv(name) if name == "p.csv" else frame.to_parquet(name)
    before = Path(name).read_bytes()
    arguments = ["predict", shelf / "model.keras", shelf / "data.npz", "--output", name, "--force"]
    status, _, err = run(*arguments)
    assert status == 1
    assert "that mcdrop wrote, so it is not replaced" in err
    assert Path(name).read_bytes() == before


def test_abstaining_marks_what_is_above_the_threshold(predict, shelf):
    entropy = expected(shelf, num_samples=6, seed=3).predictive_entropy
    low, high = np.sort(entropy)[[19, 20]]
    threshold = (float(low) + float(high)) / 2.0
    out = predict("p.csv", "--abstain-above", threshold, "--batch-size", 7)
    np.testing.assert_array_equal(pd.read_csv("p.csv")["abstain"], entropy > threshold)
    assert "20 of 40 are for a person: column 'abstain'." in out


def test_a_row_without_uncertainty_abstains(run, shelf):
    with np.load(shelf / "data.npz") as data:
        x = np.array(data["x_test"][:5], np.float32)
    x[2] = 3e38  # the first layer overflows
    np.save("x.npy", x)
    status, _, err = run(
        *("predict", shelf / "model.keras", "x.npy", "--output", "p.csv", "--samples", 4),
        *("--on-nonfinite", "drop", "--abstain-above", 1000),
    )
    assert status == 0, err
    assert pd.read_csv("p.csv")["abstain"].tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("threshold", ["-0.1", "nan", "inf"])
def test_a_threshold_that_means_nothing_is_wrong_usage(run, shelf, capfd, threshold):
    with pytest.raises(SystemExit, match="2"):
        run(
            *("predict", shelf / "model.keras", shelf / "data.npz", "--output", "p.csv"),
            f"--abstain-above={threshold}",
        )
    assert "out of range" in capfd.readouterr().err


def test_a_saved_prediction_has_no_place_for_abstentions(run, shelf):
    status, _, err = run(
        *("predict", shelf / "model.keras", shelf / "data.npz", "--output", "p.npz"),
        *("--abstain-above", 0.5),
    )
    assert status == 1
    assert "write it to a .parquet or .csv file" in err


COMMON = ("--samples", 6, "--seed", 3)


@pytest.fixture
def with_gaps(shelf, tmp_path):
    """The examples of the shelf, the labels of some of them missing."""
    with np.load(shelf / "data.npz") as data:
        x, labels = data["x_test"], data["y_test"].astype(float)
    labels[[3, 8, 20]] = np.nan
    np.savez(tmp_path / "gaps.npz", x=x, y=labels)
    return "gaps.npz"


@pytest.mark.parametrize("options", [("--limit", 9), ("--drop-missing",)])
@pytest.mark.parametrize("name", ["p.npz", "p.parquet", "p.csv", "parts"])
def test_examples_that_are_left_keep_their_numbers_and_masks(run, shelf, with_gaps, options, name):
    whole = expected(shelf, num_samples=6, seed=3)
    command = ("predict", shelf / "model.keras", with_gaps, *options, *COMMON)
    status, _, err = run(*command, "--output", name, *(["--part-size", 4] * (name == "parts")))
    assert status == 0, err
    if name == "p.npz":
        found = Prediction.load(name).to_frame()
    else:
        parts = sorted(Path(name).glob("part-*")) or [name]
        found = pd.concat(map(pd.read_csv if name == "p.csv" else pd.read_parquet, parts))
        found = found.reset_index(drop=True)
    left = found["example"].to_numpy()
    assert len(left) == (9 if "--limit" in options else 37)
    assert not np.array_equal(left, np.arange(len(left)))
    frame = whole.take(left).to_frame()
    pd.testing.assert_frame_equal(found[list(frame)], frame, atol=1e-6)


def test_a_report_numbers_the_examples_that_are_left(run, shelf, with_gaps):
    command = ("report", shelf / "model.keras", with_gaps, "--drop-missing", *COMMON)
    status, _, err = run(*command, "--output", "out")
    assert status == 0, err
    found = pd.read_parquet("out/predictions.parquet")
    left = np.setdiff1d(np.arange(40), [3, 8, 20])
    assert list(found)[:2] == ["example", "label"]
    frame = expected(shelf, num_samples=6, seed=3).take(left).to_frame()
    pd.testing.assert_frame_equal(found[list(frame)], frame, atol=1e-6)
    gallery = json.loads(Path("out/report.json").read_text())["gallery"]
    assert max(item["index"] for item in gallery) == 39
