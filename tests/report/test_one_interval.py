"""One quantity has one interval on a page, and a part is never above its whole."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop import recalibrate
from mcdrop.evaluation.detection import data_detection
from mcdrop.report import Recalibration, compare, numbers, write
from mcdrop.report.tables import cell

FACTS = {
    "Accuracy": "accuracy",
    "Mean IoU": "mean_intersection_over_union",
    "Calibration error": "expected_calibration_error",
    "Root mean squared error": "root_mean_squared_error",
    "Error detection AUROC": "error_detection_auroc",
    "Targets inside 95% intervals": "interval_coverage",
}
CLASS_FIELDS = {
    "recall": "recall",
    "precision": "precision",
    "f1": "f1",
    "entropy": "predictive_entropy",
    "deterministic_recall": "deterministic_recall",
    "intersection_over_union": "intersection_over_union",
    "deterministic_intersection_over_union": "deterministic_intersection_over_union",
}
SIDES = {"MC dropout": "monte_carlo", "deterministic": "deterministic"}


def quantities(report):
    """Yields the name of each quantity that a report may show twice, and its estimate."""
    metrics = report["evaluation"]["metrics"]
    for metric in metrics:
        for side in ("monte_carlo", "deterministic"):
            yield f"{metric['name']} {side}", metric[side]
    for score, row in zip(report["evaluation"]["class_scores"], report["classes"], strict=True):
        for field, name in CLASS_FIELDS.items():
            yield f"{name} of class {score['label']}", score[name]
            yield f"{name} of class {score['label']}", row[field]
    for row in report["separations"]:
        if row["name"] == "predictive_entropy":
            yield f"error_detection_auroc {row['source']}", row["auroc"]
    for name, curve in report["selective"].items():
        end = {part: curve[part][-1] for part in ("value", "low", "high")}
        yield f"{curve['quality']} {SIDES[name]}", end
    if report["regression"]:
        yield from outputs(report["regression"], "monte_carlo")
    if report["recalibration"]:
        values = {metric["name"]: metric["monte_carlo"]["value"] for metric in metrics}
        for metric in report["recalibration"]["metrics"]:
            # Of kept passes the mixture was scored, and here the normal distribution beside it.
            if metric["before"]["value"] == pytest.approx(values.get(metric["name"])):
                yield f"{metric['name']} monte_carlo", metric["before"]
            yield f"{metric['name']} after", metric["after"]
        if report["recalibration"]["regression"]:
            yield from outputs(report["recalibration"]["regression"], "after")


def outputs(regression, side):
    if len(regression["outputs"]) == 1:
        (row,) = regression["outputs"]
        yield f"root_mean_squared_error {side}", row["root_mean_squared_error"]
        yield f"interval_coverage {side}", row["coverage"]
        if side == "monte_carlo":
            plain = row["deterministic_root_mean_squared_error"]
            yield "root_mean_squared_error deterministic", plain


def ends(estimate):
    parts = (estimate["value"], estimate["low"], estimate["high"])
    return tuple(np.nan if part is None else part for part in parts)


def check(report):
    """Returns how many quantities stand in a report more than once, all with one interval."""
    shown = {}
    for name, estimate in quantities(report):
        if estimate is not None:
            shown.setdefault(name, []).append(ends(estimate))
    for name, found in shown.items():
        for other in found[1:]:
            assert other == pytest.approx(found[0], nan_ok=True), name
    return sum(len(found) > 1 for found in shown.values())


def written(evaluation, folder, **parts):
    page = write(evaluation, folder / "report", **parts)
    return json.loads((page.parent / "report.json").read_text(encoding="utf-8"))


def test_the_same_quantity_has_the_same_interval_wherever_it_stands(any_content):
    report = json.loads(numbers.dump(any_content))
    assert check(report) >= 1


def test_the_first_screen_shows_the_intervals_of_the_table(any_content):
    found = {each.name: each.monte_carlo for each in any_content.evaluation.comparisons}
    facts = [fact for answer in any_content.answers for fact in answer.facts]
    shown = 0
    for fact in facts:
        if fact.label in FACTS and "→" not in fact.value:
            name = FACTS[fact.label]
            as_share = any_content.evaluation[name].unit == "share"
            expected = cell(found[name], as_percent=as_share)
            assert fact.value == expected.value
            assert fact.detail.startswith(expected.detail)
            shown += 1
        elif fact.label == "Mean confidence":  # beside that of other data, where there are some
            evaluation = any_content.evaluation
            beside = data_detection(evaluation, evaluation.prediction).confidences["monte_carlo"]
            expected = cell(beside[0], as_percent=True)
            assert fact.value == expected.value
            assert fact.detail.startswith(expected.detail)
    assert shown >= 1


@pytest.mark.parametrize("name", ["classification", "binary"])
def test_a_repair_of_classes_and_other_data_share_the_intervals(request, tmp_path, name):
    evaluation = request.getfixturevalue(name)
    repaired = recalibrate.TemperatureScaling(temperature=0.8).apply(evaluation.prediction)
    report = written(
        evaluation,
        tmp_path,
        recalibration=Recalibration(repaired, "temperature scaling", 100),
        out_of_distribution=evaluation.prediction,
    )
    assert check(report) >= len(report["recalibration"]["metrics"]) - 2


@pytest.mark.parametrize("name", ["regression", "gaussian"])
def test_a_repair_of_numbers_shares_the_intervals(request, tmp_path, name):
    evaluation = request.getfixturevalue(name)
    prediction = replace(evaluation.prediction, samples=None, sample_variances=None)
    bare = mcdrop.evaluate(prediction, evaluation.y_true, num_resamples=100)
    scaling = recalibrate.VarianceScaling()
    fitted = scaling.fit(prediction.mean, prediction.variance, evaluation.y_true)
    found = Recalibration(fitted.apply(prediction), "variance scaling", 100)
    assert check(written(bare, tmp_path, recalibration=found)) >= 4


def test_models_side_by_side_have_the_intervals_of_their_own_reports(classification, tmp_path):
    first = classification.prediction
    other = recalibrate.TemperatureScaling(temperature=0.7).apply(first)
    second = mcdrop.evaluate(other, classification.y_true, num_resamples=100)
    page = compare({"first": classification, "second": second}, tmp_path / "report")
    report = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    for metric in report["metrics"]:
        for letter, evaluation in (("A", classification), ("B", second)):
            own = {each.name: each for each in evaluation.comparisons}[metric["name"]]
            for name, estimate in (
                (letter, own.monte_carlo),
                (f"{letter}, off", own.deterministic),
            ):
                if estimate is not None:
                    expected = (estimate.value, estimate.low, estimate.high)
                    found = ends(metric["estimates"][name])
                    assert found == pytest.approx(expected, nan_ok=True)


def test_mutual_information_is_never_above_the_entropy_it_is_part_of(any_evaluation):
    found = {each.name: each.monte_carlo for each in any_evaluation.comparisons}
    if "mutual_information" in found:
        whole, part = found["predictive_entropy"], found["mutual_information"]
        assert part.value <= whole.value
        assert part.value + found["expected_entropy"].value == pytest.approx(whole.value)
