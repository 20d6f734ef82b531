"""Tests of mcdrop.recalibrate.vector."""

import numpy as np
import pytest
from scipy import special

from mcdrop.errors import DataError
from mcdrop.metrics.scoring import negative_log_likelihood
from mcdrop.recalibrate import BetaCalibration, TemperatureScaling, VectorScaling


@pytest.fixture
def case():
    """Probabilities (600, 3) off by weights and biases, and labels drawn from the truth."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1.5, size=(600, 3))
    truth = special.softmax(logits * [0.5, 1.0, 0.8] + [0.0, 0.7, -0.4], axis=1)
    y = np.array([generator.choice(3, p=row) for row in truth])
    return special.softmax(logits, axis=1), y


@pytest.mark.parametrize("penalty", [-1.0, np.nan, "none"])
def test_the_penalty_is_a_number_of_at_least_zero(penalty):
    with pytest.raises(DataError, match="`penalty`"):
        VectorScaling(penalty=penalty)


def test_a_class_without_an_example_is_refused(case):
    p, y = case
    with pytest.raises(DataError, match="no example of class 2"):
        VectorScaling().fit(p[y < 2], y[y < 2])


def test_another_number_of_classes_is_refused(case):
    fitted = VectorScaling().fit(*case)
    with pytest.raises(DataError, match=r"has 2 classes.*fitted on 3"):
        fitted.transform([[0.5, 0.5]])


def test_rows_sum_to_one(case):
    result = VectorScaling().fit(*case).transform(case[0])
    assert result.shape == (600, 3)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-14)


def test_weights_of_one_and_biases_of_zero_change_nothing(case):
    calibrator = VectorScaling(weights=(1.0, 1.0, 1.0), biases=(0.0, 0.0, 0.0))
    np.testing.assert_allclose(calibrator.transform(case[0]), case[0], rtol=1e-13)


def test_separable_classes_have_a_finite_fit():
    p = np.array([[0.6, 0.4], [0.7, 0.3], [0.4, 0.6], [0.3, 0.7]])
    fitted = VectorScaling().fit(p, [0, 0, 1, 1])
    assert np.abs(fitted.weights).max() < 1_000
    np.testing.assert_array_equal(fitted.transform(p).argmax(axis=1), [0, 0, 1, 1])


def test_without_a_penalty_the_mean_prediction_is_the_class_frequency(case):
    # The stationary point in the biases: sum_n (q_nc - 1{y_n = c}) = 0 for every class.
    p, y = case
    result = VectorScaling(penalty=0.0).fit(p, y).transform(p)
    np.testing.assert_allclose(result.mean(axis=0), np.bincount(y) / y.size, atol=1e-7)


def test_the_loss_is_below_that_of_temperature_scaling_and_of_nearby_parameters(case):
    p, y = case
    fitted = VectorScaling(penalty=0.0).fit(p, y)
    best = negative_log_likelihood(fitted.transform(p), y)
    by_temperature = TemperatureScaling().fit(p, y).transform(p)
    assert best < negative_log_likelihood(by_temperature, y)
    generator = np.random.default_rng(1)
    for _ in range(30):
        steps = generator.normal(0, 0.02, size=(2, 3))
        other = VectorScaling(
            penalty=0.0,
            weights=tuple(fitted.weights + steps[0]),
            biases=tuple(fitted.biases + steps[1]),
        )
        assert negative_log_likelihood(other.transform(p), y) >= best - 1e-10


def test_the_penalty_draws_the_fit_to_no_change_by_its_own_optimum(case):
    p, y = case
    penalty = 0.3

    def loss(calibrator):
        weights, biases = np.array(calibrator.weights), np.array(calibrator.biases)
        drawn = penalty * (np.mean((weights - 1) ** 2) + np.mean(biases**2))
        return negative_log_likelihood(calibrator.transform(p), y) + drawn

    fitted = VectorScaling(penalty=penalty).fit(p, y)
    generator = np.random.default_rng(2)
    for _ in range(60):
        steps = generator.normal(0, 0.003, size=(2, 3))
        other = VectorScaling(
            weights=tuple(fitted.weights + steps[0]), biases=tuple(fitted.biases + steps[1])
        )
        assert loss(other) > loss(fitted)


def test_two_classes_agree_with_beta_calibration_through_scikit_learn():
    # w_1 log p - w_0 log(1 - p) + b_1 - b_0: the same three parameters, fitted in another way.
    generator = np.random.default_rng(2)
    p = generator.beta(2, 2, size=800)
    y = (generator.random(800) < p**1.4).astype(int)
    both = np.stack([1 - p, p], axis=1)
    by_vector = VectorScaling(penalty=0.0).fit(both, y).transform(both)
    by_beta = BetaCalibration().fit(both, y).transform(both)
    np.testing.assert_allclose(by_vector, by_beta, atol=2e-4)
