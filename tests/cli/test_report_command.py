import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("keras")


@pytest.fixture
def report(run, shelf):
    def run_report(*options, model="model.keras", data="data.npz"):
        status, out, err = run(
            "report", shelf / model, shelf / data, "--output", "out", "--samples", 6, *options
        )
        assert status == 0, err
        return out

    return run_report


def test_a_report_is_written_and_its_scores_are_shown(report, tmp_path):
    out = report()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"index.html", "report.json", "predictions.parquet"} <= names
    assert "Accuracy" in out
    assert "The report is in out/index.html." in out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "--samples 6" in page  # the command that reproduces it
    assert "bee" in page  # a class name, from the data


def test_a_report_can_be_replaced_with_force(report, tmp_path):
    report()
    (tmp_path / "out" / "figures" / ".DS_Store").touch()
    report("--force")
    assert not (tmp_path / "out" / "calibrator.json").exists()


def test_the_json_is_the_evaluation(report):
    found = json.loads(report("--json"))
    assert found["evaluation"]["num_samples"] == 6
    assert found["evaluation"]["num_examples"] == 40
    assert {"accuracy", "brier_score"} <= {m["name"] for m in found["evaluation"]["metrics"]}


def test_a_report_repeats_with_its_seed(report):
    assert report("--json") == report("--json", "--force")


def test_a_limit_takes_fewer_examples(report):
    assert json.loads(report("--limit", 20, "--json"))["evaluation"]["num_examples"] == 20


def test_the_passes_of_the_examples_shown_are_those_that_were_counted(report, tmp_path):
    report("--tolerance", 0.05, "--samples", 300)
    numbers = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    totals = set()
    for item in numbers["gallery"]:
        totals.add(total := sum(lane["passes"] for lane in item["votes"]))
        assert len(item["passes"]) == min(total, 200)
        for place, lane in enumerate(item["votes"]):
            fell = item["passes"].count(place)
            assert fell == lane["passes"] if total <= 200 else fell <= lane["passes"]
    assert len(totals) > 1  # some stopped early


def test_class_names_may_come_from_a_file(report, tmp_path):
    (tmp_path / "names.txt").write_text("adder\nboa\ncobra\n")
    report("--class-names", "names.txt")
    assert "cobra" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_other_data_add_the_comparison(report, shelf, tmp_path):
    report("--ood", shelf / "more.npz")
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))


def test_recalibration_saves_the_calibrator_and_its_scores(report, shelf, tmp_path):
    from mcdrop import metrics, recalibrate

    options = ["--recalibrate", "temperature", "--calibration-data", shelf / "more.npz"]
    found = json.loads(report("--json", *options))["recalibration"]
    fitted = recalibrate.load(tmp_path / "out" / found["file"])
    assert fitted.temperature > 0
    with np.load(shelf / "data.npz") as data:
        labels = data["y_test"]
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    p = table[[f"probability_{c}" for c in range(3)]].to_numpy()
    repaired = fitted.transform(p)
    scores = {metric["name"]: metric for metric in found["metrics"]}
    for name in ("negative_log_likelihood", "brier_score", "expected_calibration_error"):
        score = getattr(metrics, name)
        assert scores[name]["before"]["value"] == pytest.approx(score(p, labels), abs=1e-6)
        assert scores[name]["after"]["value"] == pytest.approx(score(repaired, labels), abs=1e-6)
        assert scores[name]["difference"]["low"] <= scores[name]["difference"]["value"]
    numbers = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert numbers["recalibration"].items() <= found.items()
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "on 60 other examples (<bdi>more.npz</bdi>)" in page
    assert "Negative log-likelihood" in report("--force", *options).split("After recalibration")[1]


def test_a_regression_gets_its_report_and_calibrator(report, shelf):
    options = ["--recalibrate", "variance", "--calibration-data", shelf / "held-out.npz"]
    found = json.loads(report("--json", *options, model="regression.keras", data="table.npz"))
    assert "root_mean_squared_error" in {m["name"] for m in found["evaluation"]["metrics"]}
    scores = {metric["name"] for metric in found["recalibration"]["metrics"]}
    assert {"log_likelihood", "interval_coverage"} <= scores


def test_a_custom_layer_is_imported_on_request(run, shelf, tmp_path):
    import keras

    (tmp_path / "my_layers.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('mine')\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2 * x\n"
    )
    registry = keras.saving.get_custom_objects()
    before = dict(registry)
    namespace = {}
    exec((tmp_path / "my_layers.py").read_text(), namespace)  # noqa: S102
    keras.Sequential(
        [keras.Input((3,)), namespace["Twice"](), keras.layers.Dropout(0.5)], name="m"
    ).save(tmp_path / "m.keras")
    registry.clear()
    registry.update(before)
    assert "mine>Twice" in run("inspect", "m.keras")[2]
    for module in ("my_layers.py", "my_layers"):
        assert run("inspect", "m.keras", "--import", module)[0] == 0
        registry.clear()
        registry.update(before)
