"""Tests of mcdrop.recalibrate.regression."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn.isotonic import IsotonicRegression

from mcdrop.errors import DataError
from mcdrop.metrics.interval import interval_coverage
from mcdrop.metrics.quantile import (
    probability_integral_transform,
    probability_integral_transform_gaussian,
)
from mcdrop.metrics.regression import gaussian_log_likelihood
from mcdrop.recalibrate import IsotonicQuantileCalibration, VarianceScaling


@pytest.fixture
def case():
    """Means, variances and targets of 200 examples with 2 outputs, of other true scales."""
    generator = np.random.default_rng(0)
    mean = generator.normal(size=(200, 2))
    variance = generator.uniform(0.5, 2, size=(200, 2))
    return mean, variance, generator.normal(mean, np.sqrt(variance * [4.0, 0.25]))


@pytest.mark.parametrize("variance", [[0.0], [-1.0]])
def test_a_variance_of_zero_cannot_be_scaled(variance):
    with pytest.raises(DataError, match="not above 0"):
        VarianceScaling().fit([0.0], variance, [1.0])


def test_predictions_without_any_error_are_refused():
    with pytest.raises(DataError, match="equals `y` for all examples of output 1"):
        VarianceScaling().fit(np.zeros((3, 2)), np.ones((3, 2)), [[1.0, 0.0]] * 3)


def test_another_number_of_outputs_is_refused(case):
    fitted = VarianceScaling().fit(*case)
    with pytest.raises(DataError, match=r"has 1 output\(s\).*fitted on 2"):
        fitted.transform([1.0])


@pytest.mark.parametrize("pit", [[], [-0.1], [1.1], [np.nan]])
def test_quantile_calibration_needs_cumulative_probabilities(pit):
    with pytest.raises(DataError, match="`pit`"):
        IsotonicQuantileCalibration().fit(pit)


def test_variances_keep_their_shape(case):
    fitted = VarianceScaling().fit(*case)
    assert len(fitted.factors) == 2
    assert fitted.transform(case[1]).shape == (200, 2)
    assert fitted.transform(np.ones((3, 4, 5, 2))).shape == (3, 4, 5, 2)
    assert VarianceScaling(factors=(2.0,)).transform([1.0, 3.0]).tolist() == [2.0, 6.0]


def test_the_factor_is_the_mean_squared_standardised_error():
    fitted = VarianceScaling().fit([0.0, 0.0], [1.0, 4.0], [2.0, -4.0])
    assert fitted.factors == (4.0,)


def test_each_output_has_its_own_factor(case):
    # The mean of 200 chi-squared variables of one degree: relative deviation sqrt(2 / 200).
    fitted = VarianceScaling().fit(*case)
    np.testing.assert_allclose(fitted.factors, [4.0, 0.25], rtol=4 * np.sqrt(2 / 200))


def test_no_other_factor_has_a_higher_likelihood(case):
    mean, variance, y = (array[:, 0] for array in case)
    factor = VarianceScaling().fit(mean, variance, y).factors[0]
    best = gaussian_log_likelihood(mean, factor * variance, y)
    for other in factor * np.geomspace(0.2, 5, 60):
        assert gaussian_log_likelihood(mean, other * variance, y) <= best + 1e-12


def test_the_unit_and_the_offset_of_the_target_do_not_matter(case):
    mean, variance, y = case
    moved = VarianceScaling().fit(7 * mean + 100, 49 * variance, 7 * y + 100)
    np.testing.assert_allclose(moved.factors, VarianceScaling().fit(*case).factors, rtol=1e-9)


def test_four_values_make_their_hand_derived_curve():
    # Knots at half counts: (0.1, 1/8), (0.3, 3/8), (0.5, 5/8), (0.7, 7/8), and the two ends.
    fitted = IsotonicQuantileCalibration().fit([0.7, 0.1, 0.5, 0.3])
    assert fitted.predicted == (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
    assert fitted.observed == (0.0, 0.125, 0.375, 0.625, 0.875, 1.0)
    assert fitted.model_level(0.5) == pytest.approx(0.4, rel=1e-14)


def test_values_of_zero_and_one_are_knots_of_their_own():
    fitted = IsotonicQuantileCalibration().fit([0.0, 0.0, 0.5, 1.0])
    assert fitted.predicted == (0.0, 0.5, 1.0)
    assert fitted.observed == (0.25, 0.625, 0.875)
    assert fitted.model_level([0.1, 0.99]).tolist() == [0.0, 1.0]


def test_model_level_is_the_inverse_of_transform():
    fitted = IsotonicQuantileCalibration().fit(np.random.default_rng(1).beta(2, 5, size=50))
    levels = np.linspace(0, 1, 101)
    np.testing.assert_allclose(fitted.transform(fitted.model_level(levels)), levels, atol=1e-12)


def test_low_predictions_are_moved_up_and_not_mirrored():
    # Targets lie above the predictions, so the median of the model is too low a quantile.
    y = stats.norm.ppf((np.arange(500) + 0.5) / 500) + 1.0
    pit = probability_integral_transform_gaussian(np.zeros(500), np.ones(500), y)
    fitted = IsotonicQuantileCalibration().fit(pit)
    assert fitted.model_level(0.5) == pytest.approx(special.ndtr(1.0), abs=1e-3)


def test_fresh_transforms_become_uniform():
    generator = np.random.default_rng(2)
    fitted = IsotonicQuantileCalibration().fit(generator.beta(0.4, 0.7, size=2_000))
    fresh = fitted.transform(generator.beta(0.4, 0.7, size=2_000))
    # Two samples of 2,000: both empirical distributions err, hence the two-sample bound at 4
    # deviations, 2.2 sqrt(2 / 2000), of the Kolmogorov-Smirnov distance.
    assert stats.kstest(fresh, "uniform").statistic < 2.2 * np.sqrt(2 / 2_000)


def test_intervals_of_samples_cover_at_their_level_after_recalibration():
    # Passes spread by 0.5 about the mean where the target spreads by 1: 90% intervals cover 59%.
    generator = np.random.default_rng(3)
    truth, count = generator.normal(0, 3, size=4_000), 2_000
    y = truth + generator.normal(size=4_000)
    samples = truth + 0.5 * stats.norm.ppf((np.arange(200) + 0.5) / 200)[:, None]
    pit = probability_integral_transform(samples[:, :count], y[:count])
    low, high = IsotonicQuantileCalibration().fit(pit).model_level([0.1, 0.9])
    bounds = np.quantile(samples[:, count:], [low, high], axis=0)
    # Fitted and fresh half both have the binomial deviation; quantiles of 200 passes resolve 0.01.
    tolerance = 4 * np.sqrt(2 * 0.8 * 0.2 / count) + 0.01
    assert interval_coverage(*bounds, y[count:]) == pytest.approx(0.8, abs=tolerance)
    raw = np.quantile(samples[:, count:], [0.1, 0.9], axis=0)
    assert interval_coverage(*raw, y[count:]) < 0.6


def test_the_curve_is_its_own_isotonic_regression():
    fitted = IsotonicQuantileCalibration().fit(np.random.default_rng(4).beta(2, 3, size=80))
    regression = IsotonicRegression().fit(fitted.predicted, fitted.observed)
    np.testing.assert_allclose(regression.predict(fitted.predicted), fitted.observed, rtol=1e-13)
