"""The report on stored predictions gives the numbers of the report that samples itself."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("keras")

COMMON = ("--samples", 12, "--seed", 3)


@pytest.fixture
def labels(shelf, tmp_path):
    with np.load(shelf / "data.npz") as data:
        np.save(tmp_path / "y.npy", data["y_test"])
    return "y.npy"


def scores(folder):
    return json.loads(Path(folder, "report.json").read_text())["evaluation"]


def assert_close(found, wanted, path=""):
    assert type(found) is type(wanted), path
    if isinstance(found, dict):
        assert list(found) == list(wanted), path
        for name in found:
            assert_close(found[name], wanted[name], f"{path}/{name}")
    elif isinstance(found, list):
        assert len(found) == len(wanted), path
        for place, pair in enumerate(zip(found, wanted, strict=True)):
            assert_close(*pair, f"{path}/{place}")
    elif isinstance(found, float):
        assert found == pytest.approx(wanted, abs=1e-6), path
    else:
        assert found == wanted, path


@pytest.fixture
def both(run):
    """Runs predict and report on the parts, and the report that samples; returns both scores."""

    def run_both(model, data, options=(), labels="y.npy"):
        predict = ("predict", model, data, *COMMON, *options, "--scorable", "--part-size", 7)
        status, _, err = run(*predict, "--output", "parts")
        assert status == 0, err
        status, _, err = run("report", "--predictions", "parts", "--labels", labels, "-o", "stored")
        assert status == 0, err
        more = ("--labels", labels) if str(data).endswith(".npy") else ()
        status, _, err = run("report", model, data, *COMMON, *options, *more, "-o", "sampled")
        assert status == 0, err
        return scores("stored"), scores("sampled")

    return run_both


@pytest.mark.parametrize(
    "options",
    [(), ("--tolerance", 0.08, "--samples", 160), ("--balanced",), ("--masks", "shared")],
)
def test_classes(both, shelf, labels, options):
    assert_close(*both(shelf / "model.keras", shelf / "data.npz", options))
    found, wanted = (
        pd.read_parquet(f"{name}/predictions.parquet") for name in ("stored", "sampled")
    )
    pd.testing.assert_frame_equal(found, wanted, atol=1e-6)


def test_values(both, shelf, tmp_path):
    with np.load(shelf / "table.npz") as data:
        np.save(tmp_path / "y.npy", data["y"])
    assert_close(*both(shelf / "regression.keras", shelf / "table.npz"))


def test_labels_are_found_by_the_number_of_the_example(both, shelf, labels):
    assert_close(*both(shelf / "model.keras", shelf / "data.npz", ("--limit", 25)))


def test_some_examples_are_those_that_the_report_with_a_limit_samples(run, shelf, labels, parts):
    stored = ("report", "--predictions", parts, "--labels", labels, "--output", "stored")
    sampled = ("report", shelf / "model.keras", shelf / "data.npz", *COMMON, "--output", "sampled")
    for command in (stored, sampled):
        status, _, err = run(*command, "--limit", 23)
        assert status == 0, err
    assert_close(scores("stored"), scores("sampled"))
    assert scores("stored")["num_examples"] == 23


def test_examples_that_were_dropped_are_left_out_alike(both, shelf, labels):
    with np.load(shelf / "data.npz") as data:
        x = data["x_test"]
    x[17] = 3e38
    x[17, 0] = -3e38
    np.savez("x.npz", x=x, y=np.load(labels))
    found, wanted = both(shelf / "model.keras", "x.npz", ("--on-nonfinite", "drop"))
    assert found["num_examples"] == 39
    assert_close(found, wanted)


@pytest.fixture
def parts(run, shelf):
    command = ("predict", shelf / "model.keras", shelf / "data.npz", *COMMON)
    status, _, err = run(*command, "--scorable", "--part-size", 7, "--output", "parts")
    assert status == 0, err
    return "parts"


def test_missing_labels_are_told_or_left_out(run, fails, parts, tmp_path):
    np.save("gaps.npy", np.where(np.arange(40) % 9 == 2, np.nan, np.arange(40) % 3))
    command = ("report", "--predictions", parts, "--labels", "gaps.npy", "--output", "out")
    assert "--drop-missing" in fails(*command)
    status, _, err = run(*command, "--drop-missing")
    assert status == 0, err
    assert scores("out")["num_examples"] == 35
    table = pd.read_parquet("out/predictions.parquet")
    assert table["example"].tolist() == [number for number in range(40) if number % 9 != 2]
    assert (table["label"] == table["example"] % 3).all()


def test_a_requirement_is_judged(run, parts, labels):
    command = ("report", "--predictions", parts, "--labels", labels, "--output", "out")
    assert run(*command, "--require", "accuracy>=0.999")[0] == 3


def test_a_damaged_or_missing_part_is_told(fails, parts, labels):
    command = ("report", "--predictions", parts, "--labels", labels, "--output", "out")
    part = Path(parts, "part-00002.parquet")
    content = part.read_bytes()
    part.write_bytes(content[:100] + b"x" + content[101:])
    assert "lacks examples 14 to 20: a part is missing or damaged" in fails(*command)
    part.unlink()
    assert "lacks examples 14 to 20" in fails(*command)
    part.write_bytes(content)
    lines = Path(parts, "_parts.jsonl")
    lines.write_text("\n".join(lines.read_text().splitlines()[:-1]))
    assert "holds parts that its _parts.jsonl does not vouch for" in fails(*command)


def test_what_cannot_be_scored_is_told(run, fails, shelf, labels, parts):
    status, _, err = run("predict", shelf / "model.keras", shelf / "data.npz", "-o", "plain")
    assert status == 0, err
    report = ("report", "--labels", labels, "--output", "out")
    assert "Predict with --scorable" in fails(*report, "--predictions", "plain")
    assert "holds no predictions" in fails(*report, "--predictions", shelf)
    np.save("few.npy", np.zeros(39, int))
    line = fails(*report[:1], "--labels", "few.npy", "-o", "out", "--predictions", parts)
    assert "has 39 labels, but parts predicts example 39" in line
    assert "needs --labels" in fails("report", "--predictions", parts, "--output", "out")
    line = fails(*report[:1], shelf / "model.keras", *report[1:], "--predictions", parts)
    assert "so MODEL has no use" in line
    stored = (*report, "--predictions", parts)
    for options in (("--samples", 50), ("--masks", "shared"), ("--import", "json")):
        assert f"so {options[0]} has no use" in fails(*stored, *options)
    assert "A report needs MODEL and DATA" in fails(*report)


def test_only_a_folder_can_be_scored(fails, shelf):
    command = ("predict", shelf / "model.keras", shelf / "data.npz", "--scorable")
    assert "need a folder of parts" in fails(*command, "--output", "p.parquet")
