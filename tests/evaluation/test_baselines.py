"""A prediction beside the best constant: known answers of every task."""

import numpy as np
import pytest

import mcdrop
from mcdrop.evaluation.baselines import baseline

FEW = {"num_resamples": 100}


def test_the_constant_class_is_the_most_frequent(classification, binary):
    for evaluation in (classification, binary):
        found = baseline(evaluation)
        counts = np.bincount(evaluation.y_true)
        assert found.metric == "accuracy"
        assert found.constant == pytest.approx(counts.max() / counts.sum())
        accuracy = evaluation["accuracy"].monte_carlo
        assert found.score.value == accuracy.value
        assert found.gain.value == pytest.approx(accuracy.value - found.constant)
        assert found.gain.low > 0
        assert np.isnan(found.explained)


def test_each_label_has_its_more_frequent_value(multilabel):
    often = multilabel.y_true.mean(axis=0)
    wanted = np.maximum(often, 1 - often).mean()
    assert baseline(multilabel).constant == pytest.approx(wanted)


def test_pixels_without_a_label_count_for_nothing(segmentation):
    known = segmentation.y_true[segmentation.y_true >= 0]
    assert baseline(segmentation).constant == pytest.approx(np.bincount(known).max() / known.size)


def test_the_constant_of_numbers_is_their_mean(regression):
    found = baseline(regression)
    y, mean = regression.y_true, regression.prediction.mean
    assert found.constant == pytest.approx(y.std())
    assert found.explained == pytest.approx(1 - np.square(mean - y).mean() / y.var())
    assert not found.is_standardised


def test_no_output_rules_the_others_by_its_unit(outputs):
    found = baseline(outputs)
    factor = np.array([1.0, 1000.0])
    prediction = mcdrop.from_samples(
        outputs.prediction.samples * factor,
        outputs.prediction.deterministic * factor,
        task="regression",
    )
    scaled = mcdrop.evaluate(prediction, outputs.y_true * factor, **FEW)
    assert baseline(scaled).explained == pytest.approx(found.explained)
    assert baseline(scaled).score.value == pytest.approx(found.score.value)
    assert found.is_standardised
    assert found.constant == pytest.approx(1.0)
    assert "output 1" in scaled.warnings["units"]


def test_equal_targets_have_nothing_to_explain():
    passes = np.random.default_rng(0).normal(size=(4, 60))
    prediction = mcdrop.from_samples(passes, passes[0], task="regression")
    assert np.isnan(baseline(mcdrop.evaluate(prediction, np.ones(60), **FEW)).explained)


def test_gaussian_outputs_keep_their_scale():
    generator = np.random.default_rng(1)
    y = generator.normal(0, [1.0, 100.0], (80, 2))
    passes = y + generator.normal(0, [0.1, 10.0], (12, 80, 2))
    prediction = mcdrop.from_samples(
        passes, y, task="gaussian",
        variances=np.full(passes.shape, 0.01), deterministic_variance=np.full(y.shape, 0.01),
    )  # fmt: skip
    found = baseline(mcdrop.evaluate(prediction, y, **FEW))
    errors = np.square(prediction.mean - y).mean(axis=0) / y.var(axis=0)
    assert found.explained == pytest.approx(1 - errors.mean())
    assert found.score.value == pytest.approx(np.sqrt(errors.mean()))
