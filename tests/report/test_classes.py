"""Class tables and separations of a class task."""

import numpy as np
import pytest

import mcdrop
from mcdrop.plot.inputs import class_forecasts
from mcdrop.report import classes
from mcdrop.report.pages import worst_first

NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def forecasts(classification):
    return class_forecasts(classification.prediction, classification.y_true)


def test_class_rows_count_every_answer_once(classification):
    rows = classes.class_rows(classification, NAMES)
    assert sum(row.count for row in rows) == classification.num_examples
    right = sum(row.recall.value * row.count for row in rows)
    share = classification["accuracy"].monte_carlo.value
    assert right == pytest.approx(share * classification.num_examples)


def test_f1_is_the_harmonic_mean_of_recall_and_precision(classification):
    for row in classes.class_rows(classification, NAMES):
        parts = (row.recall.value, row.precision.value)
        assert row.f1.value == pytest.approx(2 / sum(1 / part for part in parts))
        assert row.f1.low <= row.f1.value <= row.f1.high


def test_a_class_row_names_the_most_frequent_confusion(classification):
    row = classes.class_rows(classification, NAMES)[8]
    predicted, labels = classification.prediction.predicted_class, classification.y_true
    others = predicted[(labels == 8) & (predicted != 8)]
    values, counts = np.unique(others, return_counts=True)
    assert row.confused_count == counts.max()
    assert NAMES.index(row.confused_with) in values[counts == counts.max()]


def test_a_class_without_examples_is_undefined_not_zero_and_comes_last(classification):
    labels = np.where(classification.y_true == 9, 3, classification.y_true)
    found = mcdrop.evaluate(classification.prediction, labels, num_resamples=100)
    rows = classes.class_rows(found, NAMES)
    assert rows[9].count == 0
    assert np.isnan(rows[9].recall.value)
    assert np.isnan(rows[9].entropy.value)
    ordered = worst_first(rows)
    assert ordered[-1] is rows[9]
    assert ordered[0].recall.value == min(row.recall.value for row in rows[:9])


def test_no_interval_of_a_class_has_width_zero(classification):
    for row in classes.class_rows(classification, NAMES):
        for found in (row.recall, row.precision, row.f1, row.entropy):
            assert found.high > found.low


def test_overlaps_are_those_of_the_metric(segmentation):
    rows = classes.class_rows(segmentation, ("a", "b", "c"))
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
    row = classes.class_rows(correlated, ("no", "yes"))[0]
    alone = np.sqrt(row.recall.value * (1 - row.recall.value) / (row.count / 9))
    # Nine pixels that err together tell as much as one: 3.9 standard errors wide, and a little.
    assert 3.5 < (row.recall.high - row.recall.low) / alone < 5.0


def test_label_rows_hold_recall_and_precision(multilabel):
    rows = classes.class_rows(multilabel, ("x", "y", "z"))
    truth, said = multilabel.y_true[:, 1], multilabel.prediction.mean[:, 1] > 0.5
    assert rows[1].count == truth.sum()
    assert rows[1].recall.value == pytest.approx(said[truth == 1].mean())
    assert rows[1].precision.value == pytest.approx(truth[said].mean())


def test_separation_has_the_evaluations_own_interval(forecasts, classification):
    first, second, plain = classes.separations(classification, forecasts)
    assert first.auroc == classification["error_detection_auroc"].monte_carlo
    assert plain.auroc == classification["error_detection_auroc"].deterministic
    assert (first.name, second.name) == ("predictive_entropy", "mutual_information")
    assert plain.source == "deterministic"
    assert 0.5 < second.auroc.value < 1.0
    assert first.histogram.first_count + first.histogram.second_count == 300
