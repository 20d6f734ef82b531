"""Before and after recalibration: scores, paired differences, and the section of the page."""

from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop import metrics, recalibrate
from mcdrop.errors import DataError
from mcdrop.report import Recalibration, compare, pages, verdict
from mcdrop.report import numbers as report_numbers
from mcdrop.report.building import build
from mcdrop.report.drawing import draw

from .test_numbers import strict, undocumented


@pytest.fixture(scope="module")
def overconfident(classification):
    """The digits with their mean sharpened, and the temperature that repairs it."""
    sharp = recalibrate.TemperatureScaling(temperature=0.1)
    prediction = sharp.apply(classification.prediction)
    evaluation = mcdrop.evaluate(prediction, classification.y_true, num_resamples=100)
    fitted = recalibrate.TemperatureScaling().fit(prediction.mean, classification.y_true)
    assert fitted.temperature > 1.2
    return evaluation, fitted


@pytest.fixture(scope="module")
def content(overconfident):
    evaluation, calibrator = overconfident
    repaired = calibrator.apply(evaluation.prediction)
    found = Recalibration(repaired, "temperature scaling", 250, "held_out.npz")
    return build(evaluation, recalibration=found)


def metric(content, name):
    return next(m for m in content.recalibration.metrics if m.name == name)


def test_scores_are_those_of_both_means_on_the_same_labels(content, overconfident):
    evaluation, calibrator = overconfident
    p, y = evaluation.prediction.mean, evaluation.y_true
    for name in ("negative_log_likelihood", "brier_score", "expected_calibration_error"):
        score = getattr(metrics, name)
        found = metric(content, name)
        assert found.before.value == evaluation[name].monte_carlo.value
        assert found.after.value == pytest.approx(score(calibrator.transform(p), y), rel=1e-9)
        change = found.after.value - found.before.value
        assert found.difference.value == pytest.approx(change, rel=1e-9)
        assert found.difference.low <= change <= found.difference.high


def test_the_difference_is_paired(content):
    # What makes an example hard for both cancels: the losses before and after go together.
    found = metric(content, "brier_score")
    alone = np.hypot(found.before.high - found.before.low, found.after.high - found.after.low)
    assert found.difference.high - found.difference.low < 0.8 * alone


def test_a_repair_that_helps_is_said_to_help(content):
    found = content.recalibration
    assert metric(content, "expected_calibration_error").difference.high < 0
    answer = next(each for each in content.answers if each.question == verdict.REPAIR)
    assert answer.tone == "yes"
    assert answer.headline.startswith("It takes the expected calibration error from")
    before = content.calibration["MC dropout"]
    after = found.calibration
    assert after.confidence @ after.count < before.confidence @ before.count


def test_no_repair_is_said_to_change_nothing(classification):
    same = recalibrate.TemperatureScaling(temperature=1.0).apply(classification.prediction)
    found = build(classification, recalibration=Recalibration(same, "none", 10))
    answer = next(each for each in found.answers if each.question == verdict.REPAIR)
    assert answer.tone == "few"
    assert answer.headline == "No score changes by more than chance in 300 examples."
    for name in ("negative_log_likelihood", "brier_score"):
        difference = metric(found, name).difference
        assert difference.value == pytest.approx(0.0, abs=1e-12)
        assert not difference.excludes_zero


def test_the_page_says_on_what_it_was_fitted_and_shows_both_curves(content):
    figures = draw(content)
    assert "recalibration" in figures
    page = pages.render(content, figures)
    assert "After recalibration" in page
    assert "on 250 other examples (<bdi>held_out.npz</bdi>)" in page
    assert 'href="#recalibration"' in page


def test_a_report_without_a_repair_has_no_such_section(classification):
    content = build(classification)
    assert "After recalibration" not in pages.render(content, draw(content))
    assert strict(report_numbers.dump(content))["recalibration"] is None


@pytest.mark.parametrize("task", ["regression", "gaussian", "outputs"])
def test_a_regression_shows_its_quantiles_before_and_after(request, task):
    evaluation = request.getfixturevalue(task)
    prediction = evaluation.prediction
    factors = (4.0,) * (2 if task == "outputs" else 1)
    repaired = recalibrate.VarianceScaling(factors=factors).apply(prediction)
    content = build(evaluation, recalibration=Recalibration(repaired, "variance scaling", 99))
    log_likelihood = metric(content, "log_likelihood")
    y = evaluation.y_true
    for side, factor in ((log_likelihood.before, 1), (log_likelihood.after, 4)):
        expected = metrics.gaussian_log_likelihood(prediction.mean, factor * prediction.variance, y)
        assert side.value == pytest.approx(expected, rel=1e-9)
    change = log_likelihood.after.value - log_likelihood.before.value
    assert log_likelihood.difference.value == pytest.approx(change, rel=1e-9)
    assert metric(content, "root_mean_squared_error").difference.value == 0.0
    width = metric(content, "interval_width").difference
    assert width.value > 0
    assert width.reason  # of passes that were not kept the noise of a width is not known
    figures = draw(content)
    assert "recalibration" in figures
    assert "scales its variance" in pages.render(content, figures)
    assert undocumented(report_numbers.dump(content)) == []


def test_every_field_is_documented(content):
    assert undocumented(report_numbers.dump(content)) == []


def test_a_prediction_of_other_examples_is_refused(classification, regression):
    other = classification.prediction.take(np.arange(100))
    for prediction in (other, regression.prediction):
        with pytest.raises(DataError, match="that was evaluated"):
            build(classification, recalibration=Recalibration(prediction, "any", 10))


@pytest.mark.parametrize("task", ["classification", "binary", "segmentation"])
def test_a_repaired_prediction_may_be_reported_itself(request, task, out_of_distribution):
    evaluation = request.getfixturevalue(task)
    calibrator = recalibrate.VectorScaling(
        weights=(0.5,) * (evaluation.prediction.class_probabilities.shape[-1]),
        biases=(0.0,) * (evaluation.prediction.class_probabilities.shape[-1]),
    )
    repaired = calibrator.apply(evaluation.prediction)
    found = mcdrop.evaluate(repaired, evaluation.y_true, num_resamples=100)
    shift = calibrator.apply(out_of_distribution) if task == "classification" else None
    content = build(found, out_of_distribution=shift)
    page = pages.render(content, draw(content))
    assert "votes of the passes" not in page
    assert [row.name for row in content.separations] == ["predictive_entropy"] * 2
    assert undocumented(report_numbers.dump(content)) == []


def test_a_repaired_prediction_may_be_compared(classification, tmp_path):
    calibrator = recalibrate.VectorScaling(weights=(0.5,) * 10, biases=(0.0,) * 10)
    repaired = calibrator.apply(replace(classification.prediction, samples=None))
    other = mcdrop.evaluate(repaired, classification.y_true, num_resamples=100)
    assert compare({"as it is": classification, "repaired": other}, tmp_path / "r").exists()
