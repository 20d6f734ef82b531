"""Calibration, selective answers, separation and confusion of classes."""

import numpy as np
import pytest

from mcdrop.diagnostics.calibration import calibration_curve
from mcdrop.diagnostics.confusion import confused_pairs, confusion
from mcdrop.diagnostics.selective import OPERATING_POINTS, operating_points, selective_accuracy
from mcdrop.diagnostics.separation import histogram


def drawn(size, *, bias=0.0, seed=0):
    """Confidences, and answers that are right as often as they say plus a bias."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1.0, size)
    return confidence, 1.0 * (generator.random(size) < confidence + bias)


def test_bins_hold_every_answer_once_in_the_order_of_confidence():
    confidence, correct = drawn(700)
    curve = calibration_curve(confidence, correct)
    assert curve.count.sum() == 700
    assert curve.count.size == 15
    assert np.all(np.diff(curve.confidence) > 0)
    assert curve.accuracy @ curve.count == pytest.approx(correct.sum())
    assert curve.confidence @ curve.count == pytest.approx(confidence.sum())
    assert np.all(curve.low <= curve.accuracy)
    assert np.all(curve.accuracy <= curve.high)


def test_few_answers_are_one_bin():
    curve = calibration_curve(*drawn(12))
    assert curve.count.tolist() == [12]


def test_equal_confidences_stay_together():
    curve = calibration_curve(np.full(90, 0.8), np.r_[np.ones(70), np.zeros(20)])
    assert curve.count.tolist() == [90]
    assert curve.gap == pytest.approx([70 / 90 - 0.8])


def test_the_band_of_chance_holds_a_calibrated_model_as_often_as_it_says():
    inside = [
        ((found.chance_low <= found.accuracy) & (found.accuracy <= found.chance_high)).mean()
        for found in (calibration_curve(*drawn(450, seed=seed)) for seed in range(200))
    ]
    # 3,000 bins; the binomial band is not narrower than stated, and steps make it wider.
    assert np.mean(inside) > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 3000)


def test_an_overconfident_model_falls_below_the_band():
    found = calibration_curve(*drawn(3000, bias=-0.2))
    assert np.all(found.accuracy < found.chance_low)
    assert np.all(found.gap < 0)


def test_band_and_intervals_widen_where_answers_err_together():
    confidence, correct = drawn(900)
    once = calibration_curve(confidence, correct, example=np.arange(900))
    nine = calibration_curve(
        np.repeat(confidence, 9), np.repeat(correct, 9), example=np.repeat(np.arange(900), 9)
    )
    widths = [found.chance_high - found.chance_low for found in (once, nine)]
    # Nine answers that err together tell as much as one.
    assert np.median(widths[1] / widths[0]) == pytest.approx(1.0, abs=0.2)
    assert np.median((nine.high - nine.low) / (once.high - once.low)) == pytest.approx(1, abs=0.2)


def test_selective_accuracy_at_full_coverage_is_the_accuracy():
    confidence, correct = drawn(300)
    found = selective_accuracy(1 - confidence, correct)
    assert found.coverage[-1] == 1.0
    assert found.value[-1] == pytest.approx(correct.mean())


def test_each_operating_point_is_what_its_threshold_does():
    confidence, correct = drawn(1000)
    found = selective_accuracy(1 - confidence, correct)
    for place in (0, len(found.coverage) // 2, -2):
        accepted = 1 - confidence <= found.threshold[place]
        assert found.coverage[place] == pytest.approx(accepted.mean())
        assert found.value[place] == pytest.approx(correct[accepted].mean())
        assert found.low[place] <= found.value[place] <= found.high[place]


def test_no_errors_leave_an_interval_of_some_width():
    found = selective_accuracy(np.arange(50) / 50, np.ones(50))
    assert np.all(found.value == 1.0)
    assert np.all(found.low < 1.0)


def test_operating_points_are_few_and_in_order():
    points = operating_points(np.arange(1, 5001) / 5000)
    assert len(points) == OPERATING_POINTS - 1
    assert np.all(np.diff(points) > 0)
    assert points[-1] == 4999


def test_confusion_counts_all_and_the_most_uncertain_tenth():
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 4, (2, 300))
    entropy = generator.random(300)
    found = confusion(labels, predicted, entropy, 4)
    chosen = np.argsort(-entropy)[:30]
    assert found.count == 30
    assert found.matrix.sum() == 300
    assert found.threshold == entropy[chosen].min()
    assert found.errors == (labels != predicted).sum()
    assert found.errors_inside == (labels != predicted)[chosen].sum()
    assert found.matrix[2, 1] == ((labels == 2) & (predicted == 1)).sum()


def test_pairs_are_the_most_frequent_mistakes():
    matrix = np.array([[9, 4, 0], [1, 9, 0], [0, 2, 9]])
    assert confused_pairs(matrix, 2) == [(0, 1, 4), (2, 1, 2)]
    assert confused_pairs(np.eye(3, dtype=int), 2) == []


def test_a_histogram_of_one_kind_is_none():
    assert histogram(np.ones(3), np.empty(0)) is None


def test_a_histogram_holds_each_kind_whole_and_tells_the_few():
    generator = np.random.default_rng(0)
    many, few = generator.random(100), generator.random(7)
    found = histogram(many, few)
    assert found.first.sum() == pytest.approx(1.0)
    assert found.second.sum() == pytest.approx(1.0)
    assert found.first_values.size == 0
    assert found.second_values.tolist() == sorted(few)


def test_a_histogram_of_equal_values_has_bins_of_some_width():
    found = histogram(np.zeros(3), np.zeros(2))
    assert np.all(np.diff(found.edges) > 0)


def test_answers_tied_with_the_last_of_the_uncertain_tenth_are_among_them():
    entropy = np.repeat([0.1, 0.7], [80, 20])
    labels, predicted = np.zeros(100, int), np.arange(100) % 2
    found = confusion(labels, predicted, entropy, 2)
    turned = confusion(labels, predicted[::-1], entropy[::-1], 2)
    assert found.share == turned.share == 0.2
    np.testing.assert_array_equal(found.uncertain, [[10, 10], [0, 0]])
    np.testing.assert_array_equal(turned.uncertain, found.uncertain)
