"""Uncertainties that tell errors from right answers, and other data from known data."""

from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.evaluation.detection import data_detection, error_detection, uncertainties
from mcdrop.metrics.detection import out_of_distribution_detection

FEW = {"num_resamples": 100}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def draw(num_examples, scale, seed, num_samples=12):
    generator = np.random.default_rng(seed)
    logits = scale * generator.normal(size=(num_examples, 4))
    noise = 0.7 * generator.normal(size=(num_samples, num_examples, 4))
    labels = (softmax(logits).cumsum(axis=1) < generator.random((num_examples, 1))).sum(axis=1)
    passes = softmax(logits + noise)
    return from_samples(passes, softmax(logits), task="classification"), labels


@pytest.fixture(scope="module")
def known():
    return mcdrop.evaluate(*draw(300, 3.0, seed=0), **FEW)


@pytest.fixture(scope="module")
def other():
    return draw(90, 1.0, seed=1)[0]


@pytest.mark.parametrize("key", ["predictive_entropy", "mutual_information"])
def test_other_data_are_told_as_the_metrics_say(known, other, key):
    expected = out_of_distribution_detection(getattr(known.prediction, key), getattr(other, key))
    found = {metric.name: metric for metric in data_detection(known, other).metrics}
    for part in ("auroc", "aupr", "fpr95"):
        estimate = found[f"out_of_distribution_{part}"].estimates[key]
        assert estimate.value == pytest.approx(getattr(expected, part))
        assert estimate.low < estimate.value < estimate.high
        assert estimate.monte_carlo_error > 0.0


def test_differences_are_paired_with_the_prediction_without_dropout(known, other):
    area = data_detection(known, other).metrics[0]
    difference = area.differences["predictive_entropy"]
    sides = [area.estimates[k] for k in ("predictive_entropy", "deterministic_predictive_entropy")]
    assert difference.value == pytest.approx(sides[0].value - sides[1].value)
    assert difference.low <= difference.value <= difference.high
    # Both rank the same examples much alike, so that most of their noise cancels.
    assert difference.high - difference.low < sides[0].high - sides[0].low


def test_examples_of_the_same_data_are_not_told(known):
    area = data_detection(known, draw(300, 3.0, seed=2)[0]).metrics[0]
    for estimate in area.estimates.values():
        assert estimate.low < 0.5 < estimate.high


def test_few_other_examples_have_reasons_in_their_own_words(known, other):
    found = data_detection(known, other.take([0])).metrics
    reasons = [e.reason for metric in found for e in metric.estimates.values() if e.reason]
    assert any("examples of either kind (1, 300)" in reason for reason in reasons)
    assert not any("error" in reason or "positive" in reason for reason in reasons)


def test_dropped_examples_of_the_other_data_are_left_out(known, other):
    marked = mcdrop.prediction.mark_dropped(other, np.arange(len(other)) < 40)
    expected = data_detection(known, other.take(np.arange(40, 90))).metrics
    assert data_detection(known, marked).metrics == expected


@pytest.mark.parametrize("seed", [2, 3])
def test_other_numbers_of_passes_are_refused(known, seed):
    fewer, _ = draw(50, 1.0, seed, num_samples=4)
    with pytest.raises(DataError, match="Predict both with the same passes"):
        data_detection(known, fewer)


def test_errors_are_told_by_each_uncertainty(known):
    found = error_detection(known)
    own = known["error_detection_auroc"]
    assert found.estimates["predictive_entropy"] == own.monte_carlo
    assert found.estimates["deterministic_predictive_entropy"] == own.deterministic
    information = found.estimates["mutual_information"]
    wrong = known.prediction.predicted_class != known.y_true
    scores = known.prediction.mutual_information
    expected = out_of_distribution_detection(scores[~wrong], scores[wrong]).auroc
    assert information.value == pytest.approx(expected)
    assert information.monte_carlo_error > 0.0


def test_without_errors_there_is_nothing_to_tell(known):
    right = mcdrop.evaluate(known.prediction.take([0, 1]), known.prediction.predicted_class[:2])
    plain = known.prediction.deterministic[:2].argmax(axis=1)
    assert (plain == right.y_true).all()
    assert error_detection(right) is None


def test_a_recalibrated_mean_has_no_mutual_information(known):
    names = [each.name for each in uncertainties(known.prediction)]
    assert names.count("mutual_information") == 1
    bare = replace(known.prediction, expected_entropy=None, group_expected_entropy=None, votes=None)
    assert "mutual_information" not in [each.name for each in uncertainties(bare)]
