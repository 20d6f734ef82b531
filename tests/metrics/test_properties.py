"""What holds of every metric of class probabilities, whatever the data, ties among them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdrop import metrics

few = settings(max_examples=60)


@st.composite
def predictions(draw):
    """Probabilities (N, C) of few distinct values, labels (N,), and an order of the rows."""
    size, num_classes = draw(st.integers(2, 40)), draw(st.integers(2, 5))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    shares = generator.integers(0, draw(st.sampled_from([2, 10, 1000])), (size, num_classes))
    probabilities = (shares + 1e-3) / (shares + 1e-3).sum(axis=1, keepdims=True)
    labels = generator.integers(num_classes, size=size)
    return probabilities, labels, generator.permutation(size)


@st.composite
def passes(draw):
    """Samples (T, N, C), some passes certain."""
    shape = draw(st.tuples(st.integers(2, 8), st.integers(1, 6), st.integers(2, 4)))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    samples = generator.dirichlet(np.full(shape[2], draw(st.sampled_from([0.05, 1.0]))), shape[:2])
    return np.where(generator.random(shape[:2])[..., None] < 0.2, np.eye(shape[2])[0], samples)


MEANS = {
    metrics.accuracy: metrics.accuracy_per_example,
    metrics.negative_log_likelihood: metrics.negative_log_likelihood_per_example,
    metrics.brier_score: metrics.brier_score_per_example,
}
BOUNDS = {
    metrics.accuracy: 1.0,
    metrics.negative_log_likelihood: np.log(2.0**126) + 1e-9,
    metrics.brier_score: 2.0,
    metrics.expected_calibration_error: 1.0,
}


@few
@given(predictions())
def test_scores_keep_their_range_and_do_not_see_the_order_of_the_rows(case):
    probabilities, labels, order = case
    for metric, most in BOUNDS.items():
        value = metric(probabilities, labels)
        assert 0.0 <= value <= most
        assert metric(probabilities[order], labels[order]) == pytest.approx(value, abs=1e-12)


@few
@given(predictions())
def test_a_mean_is_the_mean_of_its_terms(case):
    probabilities, labels, _ = case
    for metric, terms in MEANS.items():
        assert metric(probabilities, labels) == pytest.approx(terms(probabilities, labels).mean())


@few
@given(predictions())
def test_rankings_do_not_see_the_order_of_tied_rows(case):
    probabilities, labels, order = case
    uncertainty = metrics.entropy(probabilities)
    error = (probabilities.argmax(axis=1) != labels).astype(float)
    areas = [
        metrics.area_under_risk_coverage(uncertainty[rows], error[rows])
        for rows in (np.arange(order.size), order)
    ]
    assert areas[0] == pytest.approx(areas[1], abs=1e-12)
    constant = metrics.area_under_risk_coverage(np.zeros(order.size), error)
    assert constant == pytest.approx(error.mean())
    best = metrics.area_under_risk_coverage(error, error)
    assert best - 1e-12 <= areas[0] <= 1.0


@few
@given(predictions())
def test_detection_turns_with_its_score(case):
    probabilities, labels, _ = case
    score = metrics.entropy(probabilities)
    few_rows, others = score[labels == 0], score[labels != 0]
    if not few_rows.size or not others.size:
        return
    found = metrics.out_of_distribution_detection(few_rows, others)
    turned = metrics.out_of_distribution_detection(-few_rows, -others)
    assert found.auroc == pytest.approx(1.0 - turned.auroc)
    assert 0.0 <= found.aupr <= 1.0


@few
@given(passes())
def test_the_total_uncertainty_is_the_sum_of_its_parts(samples):
    total, expected = metrics.predictive_entropy(samples), metrics.expected_entropy(samples)
    disagreement = metrics.mutual_information(samples)
    np.testing.assert_allclose(total, expected + disagreement, atol=1e-12)
    assert (disagreement >= 0.0).all()
    assert (disagreement <= np.log(min(samples.shape[0], samples.shape[2])) + 1e-12).all()
    corrected = metrics.mutual_information(samples, correction="jackknife")
    assert (corrected >= disagreement - 1e-12).all()


@few
@given(passes())
def test_votes_lie_within_their_range(samples):
    ratio = metrics.variation_ratio(samples)
    num_samples, _, num_classes = samples.shape
    assert (ratio >= 0.0).all()
    assert (ratio <= 1.0 - 1.0 / min(num_samples, num_classes) + 1e-12).all()
    same = np.repeat(samples[:1], num_samples, axis=0)
    np.testing.assert_array_equal(metrics.variation_ratio(same), np.zeros(samples.shape[1]))
