"""Class tables and separations of a class task."""

import numpy as np
import pytest

import mcdrop
from mcdrop.report import classes
from mcdrop.report.pages import worst_first
from mcdrop.report.scored import as_answers, label_places

NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def answers(classification):
    return as_answers(classification)


def predicted(answers):
    return answers.monte_carlo.columns.predicted


def test_answers_score_as_the_evaluation_does(any_evaluation):
    if any_evaluation.prediction.task in ("regression", "gaussian"):
        return
    found = as_answers(any_evaluation)
    accuracy = any_evaluation["accuracy"]
    assert found.monte_carlo.correct.mean() == pytest.approx(accuracy.monte_carlo.value)
    assert found.deterministic.correct.mean() == pytest.approx(accuracy.deterministic.value)


def test_class_rows_count_every_answer_once(answers):
    rows = classes.class_rows(answers, NAMES, dense=False)
    assert sum(row.count for row in rows) == len(answers)
    right = sum(row.recall.value * row.count for row in rows)
    assert right == pytest.approx((predicted(answers) == answers.labels).sum())


def test_f1_is_the_harmonic_mean_of_recall_and_precision(answers):
    for row in classes.class_rows(answers, NAMES, dense=False):
        parts = (row.recall.value, row.precision.value)
        assert row.f1.value == pytest.approx(2 / sum(1 / part for part in parts))
        assert row.f1.low <= row.f1.value <= row.f1.high


def test_a_class_row_names_the_most_frequent_confusion(answers):
    row = classes.class_rows(answers, NAMES, dense=False)[8]
    others = predicted(answers)[(answers.labels == 8) & (predicted(answers) != 8)]
    values, counts = np.unique(others, return_counts=True)
    assert row.confused_count == counts.max()
    assert NAMES.index(row.confused_with) in values[counts == counts.max()]


def test_a_class_without_examples_is_undefined_not_zero_and_comes_last(classification):
    labels = np.where(classification.y_true == 9, 3, classification.y_true)
    found = as_answers(mcdrop.evaluate(classification.prediction, labels, num_resamples=100))
    rows = classes.class_rows(found, NAMES, dense=False)
    assert rows[9].count == 0
    assert np.isnan(rows[9].recall.value)
    assert np.isnan(rows[9].entropy.value)
    ordered = worst_first(rows)
    assert ordered[-1] is rows[9]
    assert ordered[0].recall.value == min(row.recall.value for row in rows[:9])


def test_no_interval_of_a_class_has_width_zero(answers):
    for row in classes.class_rows(answers, NAMES, dense=False):
        for found in (row.recall, row.precision, row.f1, row.entropy):
            assert found.high > found.low


def test_overlaps_are_those_of_the_metric(segmentation):
    found = as_answers(segmentation)
    rows = classes.class_rows(found, ("a", "b", "c"), dense=True)
    mean = np.mean([row.intersection_over_union.value for row in rows])
    assert mean == pytest.approx(
        mcdrop.metrics.mean_intersection_over_union(
            segmentation.prediction.predicted_class,
            segmentation.y_true,
            num_classes=3,
            void_label=-1,
        )
    )


def test_intervals_of_pixels_are_over_images(correlated):
    found = as_answers(correlated)
    row = classes.class_rows(found, ("no", "yes"), dense=True)[0]
    alone = np.sqrt(row.recall.value * (1 - row.recall.value) / (row.count / 9))
    # Nine pixels that err together tell as much as one: 3.9 standard errors wide, and a little.
    assert 3.5 < (row.recall.high - row.recall.low) / alone < 5.0


def test_label_rows_hold_recall_and_precision(multilabel):
    found = as_answers(multilabel)
    rows = classes.label_rows(found, ("x", "y", "z"), label_places(multilabel))
    truth, said = multilabel.y_true[:, 1], multilabel.prediction.mean[:, 1] > 0.5
    assert rows[1].count == truth.sum()
    assert rows[1].recall.value == pytest.approx(said[truth == 1].mean())
    assert rows[1].precision.value == pytest.approx(truth[said].mean())


def test_separation_has_the_evaluations_own_interval(answers, classification):
    first, second, plain = classes.separations(answers, classification)
    assert first.auroc == classification["error_detection_auroc"].monte_carlo
    assert plain.auroc == classification["error_detection_auroc"].deterministic
    assert (first.name, second.name) == ("predictive_entropy", "mutual_information")
    assert plain.source == "deterministic"
    assert 0.5 < second.auroc.value < 1.0
    assert first.histogram.first_count + first.histogram.second_count == len(answers)
