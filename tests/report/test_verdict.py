"""The first screen in words follows from the numbers."""

from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop.evaluation import Estimate
from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.report import verdict
from mcdrop.report.answers import answers_of
from mcdrop.report.building import build


def with_comparison(evaluation, name, **changes):
    """The evaluation with some fields of one comparison replaced."""
    return replace(
        evaluation,
        comparisons=tuple(
            replace(comparison, **changes) if comparison.name == name else comparison
            for comparison in evaluation.comparisons
        ),
    )


def with_differences(evaluation, **ends):
    """The evaluation with the intervals of all differences around 0, but for those given."""
    for comparison in evaluation.comparisons:
        if comparison.difference is not None:
            low, high = ends.get(comparison.name, (-1.0, 1.0))
            changed = Estimate((low + high) / 2, low, high)
            evaluation = with_comparison(evaluation, comparison.name, difference=changed)
    return evaluation


def test_every_report_answers_the_three_questions(any_content):
    questions = [answer.question for answer in any_content.answers]
    assert questions == [verdict.TRUST, verdict.CHANGE, verdict.FAILURE]
    for answer in any_content.answers:
        assert answer.headline.endswith(".")
        assert answer.tone in ("good", "caution", "bad")
        assert "nan" not in answer.headline


def test_a_calibrated_model_is_trusted(classification):
    error = classification["expected_calibration_error"].monte_carlo.value
    floor = CalibrationFloor(error, error / 2, error * 2)
    found = verdict.trust_classes(
        with_comparison(classification, "expected_calibration_error", floor=floor),
        answers_of(classification),
    )
    assert found.tone == "good"
    assert "off by no more than chance" in found.headline


@pytest.mark.parametrize(("sharpness", "word"), [(0.999, "overconfident"), (0.2, "underconfident")])
def test_the_direction_of_miscalibration_is_named(sharpness, word):
    labels = np.arange(400) % 2
    answered = np.where(np.arange(400) % 5 == 0, 1 - labels, labels)
    probabilities = 0.5 + (np.eye(2)[answered] - 0.5) * sharpness
    prediction = mcdrop.from_samples(
        np.stack([probabilities] * 4), probabilities, task="classification"
    )
    evaluation = mcdrop.evaluate(prediction, labels, num_resamples=100)
    found = verdict.trust_classes(evaluation, answers_of(evaluation))
    assert f"Right {found.facts[0].value} of the time, but {word}." == found.headline


def test_a_model_no_better_than_one_class_is_not_trusted(classification):
    labels = np.where(np.arange(300) < 200, 3, classification.y_true)
    evaluation = mcdrop.evaluate(classification.prediction, labels, num_resamples=100)
    found = verdict.trust_classes(evaluation, answers_of(evaluation))
    assert found.tone == "bad"


def test_the_headline_shows_the_accuracy_of_the_table(classification):
    found = build(classification).answers[0]
    accuracy = classification["accuracy"].monte_carlo
    assert found.facts[0].label == "Accuracy"
    assert found.facts[0].value in found.headline
    assert float(found.facts[0].value.rstrip("%")) == pytest.approx(100 * accuracy.value, abs=0.06)


def test_a_clear_gain_is_called_one(classification):
    found = verdict.change(with_differences(classification, negative_log_likelihood=(-0.2, -0.1)))
    assert (found.headline, found.tone) == ("It improves negative log-likelihood.", "good")


def test_a_clear_loss_is_called_one(classification):
    found = verdict.change(with_differences(classification, brier_score=(0.1, 0.2)))
    assert (found.headline, found.tone) == ("It worsens Brier score.", "bad")


def test_gain_and_loss_are_both_named(classification):
    found = verdict.change(
        with_differences(classification, accuracy=(0.01, 0.02), brier_score=(0.1, 0.2))
    )
    assert found.headline == "It improves accuracy and worsens Brier score."
    assert found.tone == "caution"


def test_what_chance_explains_is_no_change(classification):
    found = verdict.change(with_differences(classification))
    assert found.headline.startswith("No score by more than chance")


def test_flips_are_counted_with_their_outcome(classification):
    fact = verdict.change(classification).facts[-1]
    prediction, truth = classification.prediction, classification.y_true
    flipped = classification.flipped
    right = int((prediction.predicted_class[flipped] == truth[flipped]).sum())
    assert fact.value == f"{len(flipped)} of 300"
    assert f"{right} become right" in fact.detail


def test_a_perfect_model_fails_nowhere():
    samples = np.stack([np.eye(3)[np.arange(30) % 3] * 0.9 + 0.1 / 3] * 4)
    prediction = mcdrop.from_samples(samples, samples[0], task="classification")
    evaluation = mcdrop.evaluate(prediction, np.arange(30) % 3, num_resamples=100)
    content = build(evaluation)
    assert content.answers[2].headline == "Nowhere in these data: every answer is right."
    assert content.separations[0].histogram is None


def test_an_evaluation_of_few_metrics_still_has_answers(classification, regression):
    for evaluation, names in ((classification, ["top_k_accuracy"]), (regression, ["sharpness"])):
        few = mcdrop.evaluate(
            evaluation.prediction, evaluation.y_true, metrics=names, num_resamples=100
        )
        assert len(build(few).answers) == 3


def test_a_regression_worse_than_the_mean_is_not_trusted(regression):
    shifted = regression.y_true * 0.01 + 5.0
    evaluation = mcdrop.evaluate(regression.prediction, shifted, num_resamples=100)
    assert build(evaluation).answers[0].tone == "bad"


def test_intervals_that_keep_their_word_are_trusted(regression):
    coverage = Estimate(0.95, 0.9, 0.98)
    changed = with_comparison(regression, "interval_coverage", monte_carlo=coverage)
    assert "cover as often as stated" in build(changed).answers[0].headline
    narrow = with_comparison(regression, "interval_coverage", monte_carlo=Estimate(0.6, 0.5, 0.7))
    assert "too narrow" in build(narrow).answers[0].headline


@pytest.mark.parametrize("area", [0.95, 0.85, 0.7, 0.5])
def test_the_words_for_error_detection_grow_weaker(classification, area):
    changed = with_comparison(
        classification, "error_detection_auroc", monte_carlo=Estimate(area, area - 0.01, area)
    )
    found = build(changed).answers[2]
    assert found.tone == ("good" if area >= 0.8 else "caution")
