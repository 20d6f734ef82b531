import numpy as np
import pytest
import sklearn.metrics

from mcdrop.errors import DataError
from mcdrop.metrics import detection


def draw(decimals, num_examples=500, seed=0):
    generator = np.random.default_rng(seed)
    error = generator.random(num_examples) < 0.3
    uncertainty = np.round(generator.normal(size=num_examples) + error, decimals)
    return uncertainty, error


@pytest.mark.parametrize(
    ("uncertainty", "error", "message"),
    [
        ([0.1, 0.2], [0, 1, 1], "shape"),
        ([0.1, 0.2], [0, 2], "only 0"),
        ([0.1, 0.2], [0.5, 1], "only 0"),
        ([0.1, np.inf], [0, 1], "infinite"),
        ([], [], "empty"),
        (0.1, 1, "single number"),
    ],
)
def test_uncertainty_and_error_that_do_not_fit_are_refused(uncertainty, error, message):
    with pytest.raises(DataError, match=message):
        detection.error_detection(uncertainty, error)


@pytest.mark.parametrize(
    ("score_in", "score_out", "message"),
    [([], [1.0], "score_in"), ([1.0], [], "score_out"), ([[1.0]], [1.0], "expected one score")],
)
def test_scores_to_compare_must_be_vectors_with_values(score_in, score_out, message):
    with pytest.raises(DataError, match=message):
        detection.out_of_distribution_detection(score_in, score_out)


def test_dense_outputs_are_flattened():
    uncertainty, error = draw(2)
    assert detection.error_detection(
        uncertainty.reshape(5, 10, 10), error.reshape(5, 10, 10)
    ) == detection.error_detection(uncertainty, error)


def test_perfect_and_reversed_order_are_the_extremes():
    uncertainty, error = np.arange(10.0), np.arange(10) >= 7
    assert detection.error_detection(uncertainty, error) == detection.DetectionScores(
        auroc=1.0, aupr=1.0, fpr95=0.0, positive_fraction=0.3
    )
    reversed_scores = detection.error_detection(-uncertainty, error)
    assert reversed_scores.auroc == 0.0
    assert reversed_scores.fpr95 == 1.0


@pytest.mark.parametrize("error", [np.zeros(5), np.ones(5)])
def test_detection_is_undefined_without_errors_or_without_hits(error):
    scores = detection.error_detection(np.arange(5.0), error)
    assert np.isnan([scores.auroc, scores.aupr, scores.fpr95]).all()
    assert scores.positive_fraction == error.mean()


@pytest.mark.parametrize("order", [1, -1])
def test_equal_scores_are_chance_in_whatever_order_they_come(order):
    error = np.array([0, 0, 0, 1, 1])[::order]
    scores = detection.error_detection(np.ones(5), error)
    assert scores == detection.DetectionScores(
        auroc=0.5, aupr=0.4, fpr95=1.0, positive_fraction=0.4
    )


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_order_of_the_examples_does_not_matter(decimals):
    uncertainty, error = draw(decimals)
    permuted = np.random.default_rng(1).permutation(error.size)
    assert detection.error_detection(uncertainty[permuted], error[permuted]) == (
        detection.error_detection(uncertainty, error)
    )


def test_a_rising_transform_of_the_score_changes_nothing():
    uncertainty, error = draw(1)
    assert detection.error_detection(np.exp(uncertainty), error) == (
        detection.error_detection(uncertainty, error)
    )


def test_false_positive_rate_is_read_where_exactly_95_percent_are_found():
    # 19 of 20 positives are on top, 3 of 10 negatives come next, then the last positive.
    score_out = np.r_[np.full(19, 3.0), 1.0]
    score_in = np.r_[np.full(3, 2.0), np.zeros(7)]
    assert detection.out_of_distribution_detection(score_in, score_out).fpr95 == 0.0
    # With 18 on top, 95% is only reached with the last two.
    score_out = np.r_[np.full(18, 3.0), 1.0, 1.0]
    assert detection.out_of_distribution_detection(score_in, score_out).fpr95 == 0.3


def test_out_of_distribution_examples_are_the_positives():
    scores = detection.out_of_distribution_detection([0.0, 0.1, 0.2], [0.15, 0.9])
    assert scores.auroc == pytest.approx(5 / 6)
    assert scores.positive_fraction == 0.4


def test_swapping_and_negating_makes_the_in_distribution_positive():
    generator = np.random.default_rng(0)
    score_in, score_out = generator.normal(size=300), generator.normal(1.0, size=200)
    forward = detection.out_of_distribution_detection(score_in, score_out)
    backward = detection.out_of_distribution_detection(-score_out, -score_in)
    assert backward.auroc == pytest.approx(forward.auroc, rel=1e-12)
    assert backward.positive_fraction == 0.6


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_detection_agrees_with_scikit_learn(decimals):
    uncertainty, error = draw(decimals)
    scores = detection.error_detection(uncertainty, error)
    assert scores.auroc == pytest.approx(
        sklearn.metrics.roc_auc_score(error, uncertainty), rel=1e-12
    )
    assert scores.aupr == pytest.approx(
        sklearn.metrics.average_precision_score(error, uncertainty), rel=1e-12
    )
    false, true, _ = sklearn.metrics.roc_curve(error, uncertainty, drop_intermediate=False)
    assert scores.fpr95 == pytest.approx(false[np.argmax(true >= 0.95)], rel=1e-12)
