"""Several models side by side, evaluated ones and ones without dropout."""

import numpy as np
import pytest

import mcdrop
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.evaluation.models import compare_models, metrics_apart

FEW = {"num_resamples": 100}


def draw(seed, labels):
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(labels.size, 3)) + 1.5 * np.eye(3)[labels]
    powers = np.exp(logits + 0.5 * generator.normal(size=(12, *logits.shape)))
    passes = powers / powers.sum(axis=-1, keepdims=True)
    plain = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return from_samples(passes, plain, task="classification")


@pytest.fixture(scope="module")
def models():
    labels = np.random.default_rng(0).integers(3, size=150)
    evaluated = {
        name: mcdrop.evaluate(draw(seed, labels), labels, **FEW)
        for seed, name in ((1, "a"), (2, "b"))
    }
    return evaluated | {"plain": draw(3, labels).deterministic}


def test_values_and_intervals_are_those_of_the_evaluations(models):
    found = compare_models(models)
    assert found.names == ("a", "a, off", "b", "b, off", "plain, off")
    for name in ("a", "b"):
        for metric in models[name].comparisons:
            assert found[metric.name].estimates[name] == metric.monte_carlo
            if metric.deterministic is not None:
                assert found[metric.name].estimates[f"{name}, off"] == metric.deterministic


def test_a_model_without_dropout_is_scored_and_can_be_the_reference(models):
    found = compare_models({"plain": models["plain"], "a": models["a"]})
    assert found.reference == "plain, off"
    loss = found["negative_log_likelihood"]
    truth = models["a"].y_true
    expected = mcdrop.metrics.negative_log_likelihood(models["plain"], truth)
    assert loss.estimates["plain, off"].value == pytest.approx(expected)
    apart = loss.differences["a"]
    assert apart.value == pytest.approx(loss.estimates["a"].value - expected)
    assert apart.low < apart.value < apart.high
    assert apart.monte_carlo_error > 0.0


def test_models_without_dropout_alone_are_refused(models):
    with pytest.raises(DataError, match="No model has dropout"):
        compare_models({"plain": models["plain"]})


def test_models_of_other_targets_are_not_paired(models):
    labels = 2 - models["a"].y_true
    other = mcdrop.evaluate(models["b"].prediction, labels, **FEW)
    with pytest.raises(DataError, match="different targets"):
        compare_models({"a": models["a"], "other": other})
    accuracy = {m.name: m for m in metrics_apart({"a": models["a"], "other": other})}["accuracy"]
    assert accuracy.estimates["other"] == other["accuracy"].monte_carlo
    assert not accuracy.differences


def test_dropped_examples_are_told_by_what_is_shown_of_the_scores(models):
    evaluation = models["a"]
    truth = evaluation.y_true
    marked = mcdrop.prediction.mark_dropped(evaluation.prediction, np.arange(truth.size) < 5)
    with pytest.warns(mcdrop.ModelWarning, match="5 of 150"):
        found = mcdrop.evaluate(marked, truth, **FEW)
    with pytest.warns(mcdrop.ModelWarning, match="5 of 150"):
        compared = mcdrop.compare({"a": marked, "plain": models["plain"]}, truth, **FEW)
    for shown in (found, compared):
        assert "5 of 150 examples were dropped" in shown.warnings["dropped_examples"]
        assert "Warning: 5 of 150 examples were dropped" in shown.to_text()
        assert "5 of 150" in shown.to_dict()["warnings"]["dropped_examples"]


def test_warnings_of_the_evaluations_stand_behind_their_names(models):
    doubtful = models["b"].with_warnings({"raw_pixels": "these look like raw pixels."})
    found = compare_models({"a": models["a"], "b": doubtful})
    assert found.warnings["raw_pixels of b"] == "b: these look like raw pixels."
    assert not any(" of a" in key for key in found.warnings if "raw" in key)
