"""Scores of each class, the confusion matrix, and what an evaluation warns of."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

import mcdrop
from mcdrop import intervals
from mcdrop.accumulation import from_samples

FEW = {"num_resamples": 100}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def found():
    """Returns an evaluation of 5 classes, the last of which no example has."""
    generator = np.random.default_rng(0)
    labels = generator.integers(4, size=200)
    logits = generator.normal(size=(200, 5)) + 1.5 * np.eye(5)[labels]
    passes = softmax(logits + 0.5 * generator.normal(size=(12, 200, 5)))
    prediction = from_samples(passes, softmax(logits), task="classification")
    return mcdrop.evaluate(prediction, labels, metrics="all", **FEW), labels


def test_the_confusion_matrix_is_that_of_scikit_learn(found):
    evaluation, labels = found
    expected = sklearn_metrics.confusion_matrix(
        labels, evaluation.prediction.predicted_class, labels=range(5)
    )
    np.testing.assert_array_equal(evaluation.confusion, expected)


def test_scores_of_classes_are_those_of_scikit_learn(found):
    evaluation, labels = found
    predicted = evaluation.prediction.predicted_class
    expected = sklearn_metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(4), zero_division=0
    )
    for score in evaluation.class_scores[:4]:
        values = score.precision.value, score.recall.value, score.f1.value, score.support
        assert values == pytest.approx([column[score.label] for column in expected])
        for estimate in (score.precision, score.recall, score.f1):
            assert 0.0 <= estimate.low < estimate.value < estimate.high <= 1.0
            assert estimate.monte_carlo_error >= 0.0
    macro = sklearn_metrics.f1_score(labels, predicted, average="macro")
    assert evaluation["macro_f1"].monte_carlo.value == pytest.approx(macro)


def test_a_class_without_examples_has_no_recall_and_says_why(found):
    last = found[0].class_scores[4]
    assert last.support == 0
    assert np.isnan(last.recall.value)
    assert last.recall.reason == "nothing to count"
    assert "no example is of class 4" in found[0].warnings["missing_classes"]


def test_labels_of_a_multilabel_task_are_scored_one_by_one():
    generator = np.random.default_rng(0)
    samples = generator.random(size=(8, 90, 3))
    labels = generator.integers(2, size=(90, 3))
    prediction = from_samples(samples, samples[0], task="multilabel")
    evaluation = mcdrop.evaluate(prediction, labels, **FEW)
    assert evaluation.confusion.shape == (3, 2, 2)
    expected = sklearn_metrics.multilabel_confusion_matrix(labels, prediction.predicted_class)
    np.testing.assert_array_equal(evaluation.confusion, expected)
    recalls = sklearn_metrics.recall_score(labels, prediction.predicted_class, average=None)
    assert [s.recall.value for s in evaluation.class_scores] == pytest.approx(list(recalls))


def test_shares_of_pixels_are_over_images():
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=(8, 5, 5))
    right = generator.random((8, 5, 5)) < np.linspace(0.5, 1.0, 8)[:, None, None]
    classes = np.where(right, labels, 1 - labels)
    passes = np.stack([0.1 + 0.8 * np.eye(2)[classes]] * 4)
    evaluation = mcdrop.evaluate(from_samples(passes, passes[0], task="classification"), labels)
    assert evaluation.comparisons[0].name == "mean_intersection_over_union"
    hits = ((classes == 1) & (labels == 1)).sum(axis=(1, 2)).astype(float)
    sizes = (labels == 1).sum(axis=(1, 2)).astype(float)
    expected = intervals.cluster_share(hits, sizes)
    recall = evaluation.class_scores[1].recall
    assert (recall.low, recall.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("num_errors", "words"), [(0, "no example is"), (1, "1 of 60 examples is")]
)
def test_few_errors_and_one_class_are_warned_of(num_errors, words):
    certain = np.linspace(0.9, 0.99, 60)
    probabilities = np.stack([certain, 1 - certain], axis=1)
    probabilities[:num_errors] = [0.1, 0.9]
    prediction = from_samples(np.stack([probabilities] * 4), probabilities, task="classification")
    evaluation = mcdrop.evaluate(prediction, np.zeros(60, int), **FEW)
    assert evaluation.warnings["few_errors"].startswith(words)
    assert "every label is 0" in evaluation.warnings["one_class"]
    assert "4 passes are few" in evaluation.warnings["few_passes"]
    assert "Warning: " in evaluation.to_text()
    more = evaluation.with_warnings({"raw_pixels": "the inputs look like raw pixels."})
    assert set(more.warnings) == {*evaluation.warnings, "raw_pixels"}


@pytest.mark.parametrize(("scale", "warned"), [(1.0, False), (0.1, True), (10.0, True)])
def test_residuals_that_do_not_fit_the_stated_variance_are_warned_of(scale, warned):
    generator = np.random.default_rng(0)
    shape = (10, 200)
    prediction = from_samples(
        0.01 * generator.normal(size=shape),
        np.zeros(200),
        task="gaussian",
        variances=np.full(shape, scale**2),
        deterministic_variance=np.full(200, scale**2),
    )
    evaluation = mcdrop.evaluate(prediction, generator.normal(size=200), **FEW)
    assert ("residuals" in evaluation.warnings) == warned


def test_a_matrix_of_many_classes_stays_out_of_plain_values():
    p = np.eye(101)
    prediction = from_samples(np.stack([p, p]), p, task="classification")
    evaluation = mcdrop.evaluate(prediction, np.arange(101), **FEW)
    assert evaluation.confusion.shape == (101, 101)
    assert evaluation.to_dict()["confusion"] is None
