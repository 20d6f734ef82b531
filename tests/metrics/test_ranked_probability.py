"""Tests of mcdrop.metrics.ranked_probability."""

import numpy as np
import pytest
import scoringrules
from scipy import integrate, special

from mcdrop.errors import DataError
from mcdrop.metrics.ranked_probability import (
    crps,
    crps_gaussian,
    crps_gaussian_mixture,
    crps_gaussian_mixture_per_example,
    crps_gaussian_per_example,
    crps_per_example,
)
from mcdrop.metrics.regression import mean_absolute_error


@pytest.fixture
def case():
    """Targets of 30 examples with 2 outputs, and 20 passes of means and variances."""
    generator = np.random.default_rng(0)
    y = generator.normal(size=(30, 2))
    means = y + generator.normal(0.2, 1, size=(20, 30, 2))
    return y, means, generator.uniform(0.1, 2, size=(20, 30, 2))


def test_the_fair_estimator_needs_two_passes():
    with pytest.raises(DataError, match="1 passes, expected at least 2"):
        crps(np.zeros((1, 3)), np.zeros(3))


def test_an_unknown_estimator_is_refused():
    with pytest.raises(DataError, match="'fair', 'ensemble'"):
        crps(np.zeros((2, 3)), np.zeros(3), estimator="pwm")


def test_samples_with_the_passes_last_are_refused():
    with pytest.raises(DataError, match=r"expected \(T, 3\)"):
        crps(np.zeros((3, 20)), np.zeros(3))


def test_a_negative_variance_is_refused():
    with pytest.raises(DataError, match="not at least 0"):
        crps_gaussian([0.0], [-1.0], [0.0])


def test_per_example_forms_have_one_value_an_example_and_average_to_the_metric(case):
    y, means, variances = case
    pairs = [
        (crps_per_example(means, y), crps(means, y)),
        (
            crps_gaussian_per_example(means[0], variances[0], y),
            crps_gaussian(means[0], variances[0], y),
        ),
        (
            crps_gaussian_mixture_per_example(means, variances, y),
            crps_gaussian_mixture(means, variances, y),
        ),
    ]
    for terms, value in pairs:
        assert terms.shape == (30,)
        assert terms.mean() == pytest.approx(value, rel=1e-13)


def test_two_samples_about_the_target_have_their_hand_derived_score():
    # E|X - y| = 1 and E|X - X'| is 1 over all four pairs, 2 over the two unequal ones.
    assert crps([[0.0], [2.0]], [1.0], estimator="ensemble") == 0.5
    assert crps([[0.0], [2.0]], [1.0], estimator="fair") == 0.0


def test_the_standard_normal_at_its_mean_scores_its_known_value():
    # 2 phi(0) - 1 / sqrt(pi).
    expected = np.sqrt(2 / np.pi) - 1 / np.sqrt(np.pi)
    assert crps_gaussian([0.0], [1.0], [0.0]) == pytest.approx(expected, rel=1e-14)


def test_a_point_prediction_scores_its_absolute_error(case):
    y, means, _ = case
    expected = mean_absolute_error(means[0], y)
    repeated = np.stack([means[0]] * 4)
    zeros = np.zeros_like(y)
    assert crps_gaussian(means[0], zeros, y) == pytest.approx(expected, rel=1e-13)
    assert crps(repeated, y) == pytest.approx(expected, rel=1e-13)
    assert crps(means[:1], y, estimator="ensemble") == pytest.approx(expected, rel=1e-13)
    assert crps_gaussian_mixture(repeated, np.zeros_like(repeated), y) == pytest.approx(
        expected, rel=1e-13
    )


def test_the_order_of_the_passes_does_not_matter(case):
    y, means, _ = case
    assert crps(means[::-1], y) == pytest.approx(crps(means, y), rel=1e-13)


def test_a_mixture_without_variance_is_the_ensemble(case):
    y, means, _ = case
    expected = crps(means, y, estimator="ensemble")
    value = crps_gaussian_mixture(means, np.zeros_like(means), y)
    assert value == pytest.approx(expected, rel=1e-12)


def test_a_mixture_of_equal_gaussians_is_one_gaussian(case):
    y, means, variances = case
    expected = crps_gaussian(means[0], variances[0], y)
    value = crps_gaussian_mixture(np.stack([means[0]] * 3), np.stack([variances[0]] * 3), y)
    assert value == pytest.approx(expected, rel=1e-12)


def test_a_large_common_offset_does_not_lose_digits(case):
    y, means, _ = case
    offset = 2.0**30  # exact in float64 beside values that keep 20 bits
    y, means = np.round(y * 1024) / 1024, np.round(means * 1024) / 1024
    assert crps(means + offset, y + offset) == pytest.approx(crps(means, y), rel=1e-13)


def test_the_fair_estimator_is_unbiased_at_three_passes_and_the_ensemble_is_not():
    # Standard normal samples and y = 0: the score of the distribution is 2 phi(0) - 1 / sqrt(pi).
    # The ensemble adds E|X - X'| / (2 T) = 1 / (sqrt(pi) T). Tolerance: 4 measured standard errors.
    samples = np.random.default_rng(4).normal(size=(3, 40_000))
    y = np.zeros(40_000)
    expected = np.sqrt(2 / np.pi) - 1 / np.sqrt(np.pi)
    for estimator, bias in (("fair", 0.0), ("ensemble", 1 / (3 * np.sqrt(np.pi)))):
        terms = crps_per_example(samples, y, estimator=estimator)
        tolerance = 4 * terms.std(ddof=1) / np.sqrt(terms.size)
        assert terms.mean() == pytest.approx(expected + bias, abs=tolerance)
        assert tolerance < 0.02


def test_rescaled_predictions_score_in_the_new_unit(case):
    y, means, variances = case
    value = crps_gaussian_mixture(3 * means + 7, 9 * variances, 3 * y + 7)
    assert value == pytest.approx(3 * crps_gaussian_mixture(means, variances, y), rel=1e-12)


def test_the_mixture_score_is_the_integral_of_its_definition():
    means, deviations, y = np.array([-1.0, 0.5, 2.0]), np.array([0.3, 1.0, 0.7]), 0.4

    def integrand(z):
        cumulative = special.ndtr((z - means) / deviations).mean()
        return (cumulative - (y <= z)) ** 2

    expected = integrate.quad(integrand, -12, y)[0] + integrate.quad(integrand, y, 12)[0]
    value = crps_gaussian_mixture(means[:, None], deviations[:, None] ** 2, [y])
    assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("estimator", "reference"), [("fair", "fair"), ("ensemble", "nrg")])
def test_sample_scores_agree_with_scoringrules(case, estimator, reference):
    y, means, _ = case
    expected = scoringrules.crps_ensemble(y, np.moveaxis(means, 0, -1), estimator=reference)
    terms = crps_per_example(means, y, estimator=estimator)
    np.testing.assert_allclose(terms, expected.mean(axis=1), rtol=1e-11)


def test_gaussian_scores_agree_with_scoringrules(case):
    y, means, variances = case
    expected = scoringrules.crps_normal(y, means[0], np.sqrt(variances[0]))
    terms = crps_gaussian_per_example(means[0], variances[0], y)
    np.testing.assert_allclose(terms, expected.mean(axis=1), rtol=1e-11)


def test_mixture_scores_agree_with_scoringrules(case):
    y, means, variances = case
    expected = scoringrules.crps_mixnorm(
        y, np.moveaxis(means, 0, -1), np.moveaxis(np.sqrt(variances), 0, -1)
    )
    terms = crps_gaussian_mixture_per_example(means, variances, y)
    np.testing.assert_allclose(terms, expected.mean(axis=1), rtol=1e-11)
