import numpy as np
import pytest
import sklearn.metrics

from mcdrop.errors import DataError
from mcdrop.metrics import scoring


def draw(num_examples=400, num_classes=5, seed=0):
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(num_classes, 0.5), size=num_examples)
    y = generator.integers(num_classes, size=num_examples)
    return p, y


SCORES = [
    scoring.accuracy,
    scoring.negative_log_likelihood,
    scoring.brier_score,
    scoring.brier_decomposition,
    lambda p, y: scoring.top_k_accuracy(p, y, k=1),
]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([[0.5, 0.5]], [0, 1], "shape"),
        ([[0.5, 0.5]], [2], "labels from"),
        ([[0.5, 0.5]], [-1], "labels from"),
        ([[0.5, 0.5]], [0.5], "fractions"),
        ([[0.5, 0.5]], [[1, 0]], "one-hot"),
        ([[3.0, -1.0]], [0], "softmax"),
        ([[0.7, 0.7]], [0], "sum to 1"),
        ([[np.nan, 0.5]], [0], "NaN"),
        ([0.5, 0.5], [0], "expected"),
        (np.empty((0, 3)), [], "empty"),
        ([["a", "b"]], [0], "dtype"),
    ],
)
def test_predictions_and_labels_that_do_not_fit_are_refused(score, p, y, message):
    with pytest.raises(DataError, match=message):
        score(p, y)


@pytest.mark.parametrize("k", [0, 6, 1.5, True])
def test_top_k_needs_a_number_of_classes(k):
    with pytest.raises(DataError, match="`k`"):
        scoring.top_k_accuracy(*draw(), k=k)


@pytest.mark.parametrize("num_bins", [0, 2.0])
def test_brier_decomposition_needs_a_bin(num_bins):
    with pytest.raises(DataError, match="num_bins"):
        scoring.brier_decomposition(*draw(), num_bins=num_bins)


@pytest.mark.parametrize(
    ("mean", "per_example"),
    [
        (scoring.accuracy, scoring.accuracy_per_example),
        (scoring.negative_log_likelihood, scoring.negative_log_likelihood_per_example),
        (scoring.brier_score, scoring.brier_score_per_example),
    ],
)
def test_a_score_is_the_mean_of_its_per_example_form(mean, per_example):
    p, y = draw()
    values = per_example(p, y)
    assert values.shape == (400,)
    assert isinstance(mean(p, y), float)
    assert mean(p, y) == pytest.approx(values.mean(), rel=1e-12)


def test_scores_of_one_row_by_hand():
    p, y = [[0.7, 0.2, 0.1]], [0]
    assert scoring.accuracy(p, y) == 1.0
    assert scoring.brier_score(p, y) == pytest.approx(0.09 + 0.04 + 0.01)


def test_negative_log_likelihood_does_not_charge_the_other_classes():
    # keras-uncertainty adds -log(1 - p) of the wrong classes and says 0.685 here.
    assert scoring.negative_log_likelihood([[0.7, 0.2, 0.1]], [0]) == pytest.approx(
        0.35667494393873245, abs=1e-15
    )


def test_negative_log_likelihood_of_an_impossible_label_is_large_but_finite():
    values = scoring.negative_log_likelihood_per_example([[1.0, 0.0], [1.0, 0.0]], [1, 0])
    np.testing.assert_allclose(values, [126 * np.log(2), 0.0])


def test_a_row_that_sums_above_1_by_rounding_earns_no_negative_loss():
    assert scoring.negative_log_likelihood([[1.0005, 0.0]], [0]) == 0.0


def test_negative_log_likelihood_of_the_mean_is_that_of_the_mixture():
    # log of the mean of likelihoods, which is at most the mean of the logs.
    generator = np.random.default_rng(0)
    samples = generator.dirichlet(np.ones(4), size=(30, 50))
    y = generator.integers(4, size=50)
    of_label = samples[:, np.arange(50), y]
    mixture = -(np.logaddexp.reduce(np.log(of_label), axis=0) - np.log(30)).mean()
    result = scoring.negative_log_likelihood(samples.mean(axis=0), y)
    assert result == pytest.approx(mixture, rel=1e-12)
    assert result < -np.log(of_label).mean()


def test_worst_brier_score_is_2_and_best_is_0():
    np.testing.assert_array_equal(
        scoring.brier_score_per_example([[0.0, 1.0], [1.0, 0.0]], [0, 0]), [2.0, 0.0]
    )


def test_tied_classes_rank_in_their_own_order():
    p = np.full((4, 4), 0.25)
    y = np.arange(4)
    np.testing.assert_array_equal(scoring.accuracy_per_example(p, y), [1, 0, 0, 0])
    np.testing.assert_array_equal(scoring.top_k_accuracy_per_example(p, y, k=2), [1, 1, 0, 0])


def test_top_k_rises_from_accuracy_to_1():
    p, y = draw()
    values = [scoring.top_k_accuracy(p, y, k=k) for k in range(1, 6)]
    assert values[0] == scoring.accuracy(p, y)
    assert values == sorted(values)
    assert values[-1] == 1.0


@pytest.mark.parametrize("num_bins", [1, 4, 15, 100])
def test_parts_of_the_brier_score_add_up_without_remainder(num_bins):
    p, y = draw()
    parts = scoring.brier_decomposition(p, y, num_bins=num_bins)
    assert parts.brier_score == pytest.approx(scoring.brier_score(p, y), abs=1e-12)
    assert 0 <= parts.resolution <= parts.uncertainty <= 1 - 1 / 5
    assert parts.reliability >= 0


def test_murphys_identity_holds_when_each_bin_holds_one_probability():
    generator = np.random.default_rng(1)
    first = generator.choice([0.1, 0.35, 0.6, 0.95], size=500)
    y = (generator.random(500) > first).astype(int)
    parts = scoring.brier_decomposition(np.stack([first, 1 - first], axis=1), y, num_bins=10)
    assert parts.within_bin_variance == pytest.approx(0, abs=1e-12)
    assert parts.within_bin_covariance == pytest.approx(0, abs=1e-12)
    murphy = parts.reliability - parts.resolution + parts.uncertainty
    assert murphy == pytest.approx(
        scoring.brier_score(np.stack([first, 1 - first], axis=1), y), abs=1e-12
    )


def test_constant_class_frequencies_have_uncertainty_only():
    y = np.repeat([0, 1, 2], [50, 30, 20])
    parts = scoring.brier_decomposition(np.tile([0.5, 0.3, 0.2], (100, 1)), y)
    assert parts.uncertainty == pytest.approx(1 - 0.25 - 0.09 - 0.04)
    assert parts.reliability == pytest.approx(0, abs=1e-15)
    assert parts.resolution == pytest.approx(0, abs=1e-15)


def test_parts_of_the_brier_score_agree_with_loops_over_bins():
    p, y = draw(num_examples=300, num_classes=3, seed=2)
    expected = np.zeros(5)
    for c in range(3):
        probability, outcome = p[:, c], (y == c).astype(float)
        rate = outcome.mean()
        expected[2] += rate * (1 - rate)
        for b in range(15):
            held = (probability >= b / 15) & ((probability < (b + 1) / 15) | (b == 14))
            if held.any():
                f, o, share = probability[held], outcome[held], held.mean()
                expected[0] += share * (f.mean() - o.mean()) ** 2
                expected[1] += share * (o.mean() - rate) ** 2
                expected[3] += share * f.var()
                expected[4] += share * 2 * ((f - f.mean()) * (o - o.mean())).mean()
    parts = scoring.brier_decomposition(p, y)
    np.testing.assert_allclose(
        [
            parts.reliability,
            parts.resolution,
            parts.uncertainty,
            parts.within_bin_variance,
            parts.within_bin_covariance,
        ],
        expected,
        atol=1e-12,
    )


def test_accuracies_agree_with_scikit_learn():
    p, y = draw()
    assert scoring.accuracy(p, y) == sklearn.metrics.accuracy_score(y, p.argmax(axis=1))
    for k in (2, 3):
        assert scoring.top_k_accuracy(p, y, k=k) == pytest.approx(
            sklearn.metrics.top_k_accuracy_score(y, p, k=k), rel=1e-12
        )


def test_negative_log_likelihood_agrees_with_scikit_learn():
    p, y = draw()
    expected = sklearn.metrics.log_loss(y, p, labels=np.arange(5))
    assert scoring.negative_log_likelihood(p, y) == pytest.approx(expected, rel=1e-12)


def test_brier_score_agrees_with_scikit_learn():
    p, y = draw()
    expected = np.mean([sklearn.metrics.mean_squared_error(y == c, p[:, c]) for c in range(5)])
    assert scoring.brier_score(p, y) == pytest.approx(5 * expected, rel=1e-12)


def test_brier_score_is_twice_scikit_learns_for_two_classes():
    p, y = draw(num_classes=2)
    expected = 2 * sklearn.metrics.brier_score_loss(y, p[:, 1])
    assert scoring.brier_score(p, y) == pytest.approx(expected, rel=1e-12)
