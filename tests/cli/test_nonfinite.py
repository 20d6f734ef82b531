"""Examples for which a model puts out NaN: an error, or part of no score and no picture."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def overflowing(shelf, tmp_path):
    """Data of the shelf of which row 2 overflows in the first layer, and the same without it."""
    with np.load(shelf / "data.npz") as data:
        x, y = np.array(data["x_test"][:20]), data["y_test"][:20]
    np.savez(tmp_path / "clean.npz", x=np.delete(x, 2, axis=0), y=np.delete(y, 2))
    x[2] = 3e38
    np.savez(tmp_path / "bad.npz", x=x, y=y)


DROP = ("--on-nonfinite", "drop", "--samples", 4)


def read(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_report_leaves_out_what_the_model_overflows_for(run, shelf, overflowing, tmp_path):
    arguments = ("report", shelf / "model.keras", "bad.npz", "--samples", 4, "--output")
    status, _, err = run(*arguments, "no")
    assert (status, "row 2" in err) == (1, True)
    held_out = ("--recalibrate", "temperature", "--calibration-data", "more.npz")
    with np.load(shelf / "more.npz") as more:
        x = np.array(more["x"])
        x[5] = 3e38
        np.savez("more.npz", x=x, y=more["y"])
    status, _, err = run(*arguments, "out", *DROP, *held_out)
    assert status == 0, err
    report = read(tmp_path / "out")
    assert report["evaluation"]["num_examples"] == 19
    assert report["evaluation"]["warnings"]["dropped_examples"].startswith(
        "1 of 20 examples were dropped"
    )
    assert report["recalibration"]["num_fitted"] == 59
    rows = pd.read_parquet("out/predictions.parquet")["example"].tolist()
    assert rows == [number for number in range(20) if number != 2]
    # Drawn again under the numbers that the examples have in the whole data.
    assert {len(item["passes"]) for item in report["gallery"]} == {4}
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "1 of 20 examples were dropped" in page


def test_a_comparison_scores_all_models_on_what_none_overflows_for(run, shelf, overflowing):
    models = [shelf / f"{name}.keras" for name in ("model", "other", "plain")]
    status, out, err = run("compare", *models, "bad.npz", "--output", "bad", *DROP, "--json")
    assert status == 0, err
    found = json.loads(out)["evaluations"]
    assert {each["num_examples"] for each in found.values()} == {19}
    status, out, err = run("compare", *models, "clean.npz", "--output", "clean", "--json", *DROP)
    expected = json.loads(out)["evaluations"]
    for name in ("model", "other"):
        off = [each[name]["metrics"][0]["deterministic"]["value"] for each in (found, expected)]
        assert off[0] == pytest.approx(off[1])


def test_when_nothing_is_left_it_is_an_error(run, shelf, tmp_path):
    np.savez("all.npz", x=np.full((4, 4, 4, 1), 3e38, np.float32), y=np.zeros(4, int))
    status, _, err = run("report", shelf / "model.keras", "all.npz", "-o", "out", *DROP)
    assert status == 1
    assert "All examples were dropped" in err
