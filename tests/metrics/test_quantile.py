"""Tests of mcdrop.metrics.quantile."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import DataError
from mcdrop.metrics import quantile


@pytest.mark.parametrize("pit", [[-0.1, 0.5], [0.5, 1.5]])
def test_values_outside_zero_and_one_are_no_pit(pit):
    with pytest.raises(DataError, match="cumulative probabilities"):
        quantile.quantile_calibration_curve(pit)


@pytest.mark.parametrize("levels", [[0.0, 0.5], [50.0], [], 0.5, [[0.5]]])
def test_levels_must_be_a_sequence_of_fractions(levels):
    with pytest.raises(DataError, match="`levels`"):
        quantile.quantile_calibration_curve([0.5], levels=levels)


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="`seed` is -1"):
        quantile.probability_integral_transform(np.zeros((2, 3)), np.zeros(3), seed=-1)


def test_the_curve_has_one_entry_a_level_and_the_transform_the_shape_of_the_targets():
    samples = np.random.default_rng(0).normal(size=(9, 30, 2))
    pit = quantile.probability_integral_transform(samples, np.zeros((30, 2)))
    assert pit.shape == (30, 2)
    curve = quantile.quantile_calibration_curve(pit)
    for values in (curve.level, curve.observed, curve.low, curve.high):
        assert values.shape == (19,)
    assert curve.count == 60
    assert (curve.low <= curve.observed).all()
    assert (curve.observed <= curve.high).all()


def test_the_rank_of_a_target_among_three_samples_is_a_quarter_of_the_unit_interval():
    pit = quantile.probability_integral_transform(
        np.tile([[1.0], [2.0], [3.0]], (1, 4)), [0.0, 1.5, 2.5, 9.0]
    )
    assert np.floor(pit * 4).tolist() == [0, 1, 2, 3]


def test_quantiles_are_not_mirrored_when_the_predictions_are_too_low():
    # The peer's error: with the sign of the residual turned, 0.845 of the targets are said to lie
    # below the predicted median where 0.155 do. Targets sit 1.0152 deviations above their mean.
    y = stats.norm.ppf((np.arange(1_000) + 0.5) / 1_000) + stats.norm.ppf(0.845)
    pit = quantile.probability_integral_transform_gaussian(np.zeros(1_000), np.ones(1_000), y)
    curve = quantile.quantile_calibration_curve(pit, levels=[0.5])
    assert curve.observed[0] == pytest.approx(0.155, abs=1e-9)
    samples = stats.norm.ppf((np.arange(99) + 0.5) / 99)[:, None] * np.ones(1_000)
    sampled = quantile.probability_integral_transform(samples, y)
    # The rank is spread over 1/100 of the unit interval, in which fewer than 0.3% of targets lie.
    assert np.mean(sampled <= 0.5) == pytest.approx(0.155, abs=3e-3)


def test_the_transform_is_uniform_at_three_passes_when_target_and_samples_are_exchangeable():
    # Discrete values, so ties are common. Kolmogorov-Smirnov at 4 standard deviations.
    draws = np.random.default_rng(1).integers(0, 4, size=(4, 20_000)).astype(float)
    pit = quantile.probability_integral_transform(draws[1:], draws[0], seed=3)
    assert stats.kstest(pit, "uniform").pvalue > 6e-5


def test_narrow_predictions_are_seen_by_the_interval_curve():
    y = stats.norm.ppf((np.arange(2_000) + 0.5) / 2_000)
    pit = quantile.probability_integral_transform_gaussian(np.zeros(2_000), np.full(2_000, 0.25), y)
    curve = quantile.interval_calibration_curve(pit, levels=[0.5, 0.9])
    expected = 2 * stats.norm.cdf(0.5 * stats.norm.ppf([0.75, 0.95])) - 1
    np.testing.assert_allclose(curve.observed, expected, atol=1e-3)
    assert (curve.high < curve.level).all()


def test_the_interval_curve_is_the_coverage_of_central_intervals():
    generator = np.random.default_rng(2)
    y = generator.normal(size=500)
    pit = quantile.probability_integral_transform_gaussian(np.zeros(500), np.ones(500), y)
    curve = quantile.interval_calibration_curve(pit, levels=[0.8])
    assert curve.observed[0] == np.mean(np.abs(y) <= stats.norm.ppf(0.9))


def test_the_error_of_a_curve_is_its_mean_distance_from_the_diagonal():
    curve = quantile.quantile_calibration_curve([0.1, 0.2, 0.3, 0.9], levels=[0.25, 0.5])
    assert curve.observed.tolist() == [0.5, 0.75]
    assert curve.error == pytest.approx(0.25, rel=1e-14)


def test_a_target_at_the_quantile_counts_as_below_it():
    assert quantile.quantile_calibration_curve([0.5, 0.6], levels=[0.5]).observed[0] == 0.5


@pytest.mark.parametrize(("pit", "expected"), [([0.9, 0.8], 0.0), ([0.1, 0.2], 1.0)])
def test_binomial_intervals_reach_zero_and_one_at_the_ends(pit, expected):
    curve = quantile.quantile_calibration_curve(pit, levels=[0.5])
    assert curve.observed[0] == expected
    assert (curve.low[0] if expected == 0 else curve.high[0]) == expected


def test_binomial_intervals_agree_with_scipy():
    pit = np.random.default_rng(3).uniform(size=37)
    curve = quantile.quantile_calibration_curve(pit, confidence_level=0.9)
    for observed, low, high in zip(curve.observed, curve.low, curve.high, strict=True):
        test = stats.binomtest(round(observed * 37), 37)
        reference = test.proportion_ci(confidence_level=0.9, method="exact")
        assert (low, high) == pytest.approx((reference.low, reference.high), abs=1e-10)


def test_gaussian_transforms_agree_with_scipy():
    generator = np.random.default_rng(4)
    means, y = generator.normal(size=(6, 20)), generator.normal(size=20)
    variances = generator.uniform(0.5, 2, size=(6, 20))
    reference = stats.norm.cdf(y, means, np.sqrt(variances))
    np.testing.assert_allclose(
        quantile.probability_integral_transform_gaussian(means[0], variances[0], y),
        reference[0],
        rtol=1e-13,
    )
    np.testing.assert_allclose(
        quantile.probability_integral_transform_gaussian_mixture(means, variances, y),
        reference.mean(axis=0),
        rtol=1e-13,
    )
