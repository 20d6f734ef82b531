"""Selective answers, class tables and confusions of a class task."""

import numpy as np
import pytest

from mcdrop.metrics.calibration import reliability_curve
from mcdrop.report import classes
from mcdrop.report.answers import answers_of

NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def answers(classification):
    return answers_of(classification)


def test_selective_accuracy_at_full_coverage_is_the_accuracy(answers):
    found = classes.selective(answers, 0.95)
    assert found.coverage[-1] == 1.0
    assert found.value[-1] == pytest.approx(answers.correct.mean())
    assert found.deterministic_value[-1] == pytest.approx(answers.deterministic_correct.mean())


def test_each_operating_point_is_what_its_threshold_does(answers):
    found = classes.selective(answers, 0.95)
    for place in (0, len(found.coverage) // 2, -2):
        accepted = answers.predictive_entropy <= found.threshold[place]
        assert found.coverage[place] == pytest.approx(accepted.mean())
        assert found.value[place] == pytest.approx(answers.correct[accepted].mean())
        assert found.low[place] <= found.value[place] <= found.high[place]


def test_operating_points_are_few_and_in_order():
    points = classes.operating_points(np.arange(1, 5001) / 5000)
    assert len(points) == classes.OPERATING_POINTS - 1
    assert np.all(np.diff(points) > 0)
    assert points[-1] == 4999


def test_class_rows_count_every_answer_once(answers):
    rows = classes.class_rows(answers, NAMES, 0.95)
    assert sum(row.count for row in rows) == len(answers)
    right = sum(row.accuracy.value * row.count for row in rows)
    assert right == pytest.approx(answers.correct.sum())


def test_a_class_row_names_the_most_frequent_confusion(answers):
    row = classes.class_rows(answers, NAMES, 0.95)[8]
    others = answers.predicted[(answers.labels == 8) & (answers.predicted != 8)]
    values, counts = np.unique(others, return_counts=True)
    assert row.confused_count == counts.max()
    assert NAMES.index(row.confused_with) in values[counts == counts.max()]


def test_a_class_without_examples_is_undefined_not_zero(answers):
    row = classes.class_rows(answers, (*NAMES, "k"), 0.95)[10]
    assert row.count == 0
    assert np.isnan(row.accuracy.value)
    assert np.isnan(row.entropy.value)


def test_label_rows_hold_recall_and_precision(multilabel):
    answers = answers_of(multilabel)
    rows = classes.label_rows(answers, ("x", "y", "z"), 0.95)
    truth, said = multilabel.y_true[:, 1], multilabel.prediction.mean[:, 1] > 0.5
    assert rows[1].count == truth.sum()
    assert rows[1].accuracy.value == pytest.approx(said[truth == 1].mean())
    assert rows[1].precision.value == pytest.approx(truth[said].mean())


def test_confusion_counts_the_most_uncertain_tenth(answers):
    found = classes.confusion(answers, NAMES)
    chosen = np.argsort(-answers.predictive_entropy)[:30]
    assert found.count == found.matrix.sum() == 30
    assert found.threshold == answers.predictive_entropy[chosen].min()
    assert found.errors_inside == (~answers.correct[chosen]).sum()
    assert found.errors == (~answers.correct).sum()
    assert sum(times for *_, times in found.pairs) <= found.errors_inside


def test_confusion_of_many_classes_has_pairs_and_no_matrix(answers):
    names = tuple(str(number) for number in range(classes.MAX_MATRIX + 1))
    found = classes.confusion(answers, names)
    assert found.matrix is None
    assert found.pairs


def test_separation_finds_wrong_answers_more_uncertain(answers):
    first, second, plain = classes.separations(answers, 0.95)
    assert 0.5 < first.auroc.value < 1.0
    assert (first.name, second.name) == ("predictive_entropy", "mutual_information")
    assert plain.source == "deterministic"
    assert first.histogram.first.sum() == pytest.approx(1.0)
    assert first.histogram.first_count + first.histogram.second_count == len(answers)


def test_a_histogram_of_one_kind_is_none():
    assert classes.histogram(np.ones(3), np.empty(0)) is None


def test_a_histogram_of_equal_values_has_bins_of_some_width():
    found = classes.histogram(np.zeros(3), np.zeros(2))
    assert np.all(np.diff(found.edges) > 0)


def test_reliability_intervals_widen_where_answers_err_together(correlated):
    answers = answers_of(correlated)
    plain = reliability_curve(answers.probabilities, answers.labels)
    wide = classes.reliability(answers, answers.probabilities, 0.95)
    filled = wide.count > 0
    ratio = (wide.high - wide.low)[filled] / (plain.high - plain.low)[filled]
    # Nine answers count as one: three times the width, up to terms of order 1/n.
    assert ratio == pytest.approx(3.0, rel=0.02)
    assert np.isnan(wide.low[~filled]).all()
