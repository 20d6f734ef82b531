"""Predictions of every shape as one list of answers."""

import numpy as np
import pytest

from mcdrop.report import answers as module
from mcdrop.report.answers import answers_of, kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("classification", "classes"),
        ("binary", "classes"),
        ("multilabel", "labels"),
        ("segmentation", "pixels"),
        ("regression", "values"),
        ("gaussian", "values"),
    ],
)
def test_the_kind_of_a_report_follows_the_task_and_shape(request, name, kind):
    assert kind_of(request.getfixturevalue(name).prediction) == kind


@pytest.mark.parametrize("name", ["classification", "binary", "multilabel", "segmentation"])
def test_answers_score_as_the_evaluation_does(request, name):
    evaluation = request.getfixturevalue(name)
    answers = answers_of(evaluation)
    assert answers.probabilities.shape == (len(answers), answers.deterministic.shape[1])
    accuracy = evaluation["accuracy"]
    if name == "segmentation":  # The evaluation averages images, of which all have as many pixels.
        assert answers.example.max() == 5
    assert answers.correct.mean() == pytest.approx(accuracy.monte_carlo.value)
    assert answers.deterministic_correct.mean() == pytest.approx(accuracy.deterministic.value)


def test_pixels_without_truth_are_left_out(segmentation):
    answers = answers_of(segmentation)
    assert len(answers) == 6 * 10 * 12
    assert answers.available == 6 * 12 * 12
    assert answers.labels.min() == 0


def test_of_too_many_answers_some_are_drawn(segmentation, monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWERS", 100)
    answers = answers_of(segmentation)
    assert len(answers) == 100
    assert np.all(np.diff(answers.position) > 0)


def test_the_design_effect_of_repeated_answers_is_their_number(correlated):
    # All 9 pixels of an image are right or wrong together; N/(N - 1) is the estimator's own.
    assert answers_of(correlated).design_effect == pytest.approx(9 * 200 / 199)


def test_answers_of_one_each_have_no_design_effect(classification):
    assert answers_of(classification).design_effect == 1.0
