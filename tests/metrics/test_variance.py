"""Tests of mcdrop.metrics.variance."""

import itertools

import numpy as np
import pytest
from scipy import special

from mcdrop.errors import DataError
from mcdrop.metrics import variance


def test_one_pass_has_no_epistemic_variance():
    with pytest.raises(DataError, match="1 passes, expected at least 2"):
        variance.decompose_variance(np.zeros((1, 3)), np.ones((1, 3)))


def test_a_log_variance_is_refused_when_it_is_negative():
    with pytest.raises(DataError, match="exponential of a log-variance"):
        variance.decompose_variance(np.zeros((2, 1)), [[-1.0], [0.5]])


def test_ence_refuses_more_bins_than_points():
    with pytest.raises(DataError, match="`num_bins` is 4 for 3 points"):
        variance.expected_normalized_calibration_error(
            np.zeros(3), np.ones(3), np.zeros(3), num_bins=4
        )


def test_ence_refuses_a_variance_of_zero():
    with pytest.raises(DataError, match="not above 0"):
        variance.expected_normalized_calibration_error([0.0], [0.0], [1.0], num_bins=1)


def test_the_parts_of_the_variance_keep_the_shape_of_a_map():
    means = np.random.default_rng(0).normal(size=(6, 2, 4, 5, 1))
    parts = variance.decompose_variance(means, np.ones_like(means))
    assert parts.aleatoric.shape == parts.epistemic.shape == parts.total.shape == (2, 4, 5, 1)


def test_sharpness_is_the_root_of_the_mean_variance_of_the_examples():
    variances = np.random.default_rng(0).uniform(1, 2, size=(7, 3))
    terms = variance.variance_per_example(variances)
    assert terms.shape == (7,)
    assert variance.sharpness(variances) == pytest.approx(np.sqrt(terms.mean()), rel=1e-14)
    assert variance.sharpness([9.0, 16.0]) == pytest.approx(np.sqrt(12.5), rel=1e-14)


def test_the_mean_variance_is_not_the_exponential_of_the_mean_log_variance():
    # The peer's error gives exp(0) = 1 for a unit normal log-variance; the truth is exp(1/2).
    # Midpoint quantiles of 20,000 passes integrate the exponential to well within 1e-3.
    log_variances = special.ndtri((np.arange(20_000) + 0.5) / 20_000)[:, np.newaxis]
    parts = variance.decompose_variance(np.zeros_like(log_variances), np.exp(log_variances))
    assert parts.aleatoric[0] == pytest.approx(np.exp(0.5), abs=2e-3)


def test_the_aleatoric_variance_is_not_the_square_of_the_mean_deviation():
    parts = variance.decompose_variance(np.zeros((2, 1)), [[1.0], [9.0]])
    assert parts.aleatoric[0] == 5.0  # the mean deviation squared would be 4


def test_the_epistemic_variance_divides_by_passes_minus_one():
    parts = variance.decompose_variance([[0.0], [2.0]], [[1.0], [3.0]])
    assert parts.epistemic[0] == 2.0
    assert parts.total[0] == 4.0


def test_the_total_variance_is_unbiased_at_two_passes():
    # True total: E[s^2] = 2 and Var[m] = 9. 20,000 pairs of passes. The epistemic term of one pair
    # is 9 chi^2_1, standard deviation 9 sqrt(2); the aleatoric one has that of a mean of two
    # uniforms on [1, 3], 1 / sqrt(6). Tolerance: 4 standard errors.
    generator = np.random.default_rng(1)
    count = 20_000
    parts = variance.decompose_variance(
        generator.normal(0, 3, size=(2, count)), generator.uniform(1, 3, size=(2, count))
    )
    tolerance = 4 * np.sqrt((81 * 2 + 1 / 6) / count)
    assert parts.total.mean() == pytest.approx(11, abs=tolerance)


def test_ence_of_two_bins_has_its_hand_derived_value():
    # Bin 1: deviation 1, error 1; bin 2: deviation 2, error 1, off by one half. Mean one quarter.
    value = variance.expected_normalized_calibration_error(
        [0.0, 0.0, 0.0, 0.0], [4.0, 1.0, 4.0, 1.0], [1.0, -1.0, -1.0, 1.0], num_bins=2
    )
    assert value == pytest.approx(0.25, rel=1e-14)


def test_ence_of_calibrated_predictions_is_its_documented_floor():
    # Relative error of a root mean square of n_b normal errors: about Normal(0, 1 / (2 n_b)),
    # so each of the B terms has mean 1 / sqrt(pi n_b) and variance (1/2 - 1/pi) / n_b.
    generator = np.random.default_rng(2)
    bins, count = 20, 40_000
    variances = generator.uniform(0.5, 4, size=count)
    y = generator.normal(0, np.sqrt(variances))
    value = variance.expected_normalized_calibration_error(
        np.zeros(count), variances, y, num_bins=bins
    )
    per_bin = count / bins
    tolerance = 4 * np.sqrt((0.5 - 1 / np.pi) / per_bin / bins)
    assert value == pytest.approx(np.sqrt(bins / (np.pi * count)), abs=tolerance)


def test_ence_agrees_with_a_loop_over_equal_bins():
    generator = np.random.default_rng(3)
    mean, y = generator.normal(size=(2, 103, 2))
    variances = generator.uniform(0.1, 2, size=(103, 2))
    order = np.argsort(variances.ravel())
    edges = [206 * b // 7 for b in range(8)]
    terms = []
    for start, stop in itertools.pairwise(edges):
        rows = order[start:stop]
        deviation = np.sqrt(variances.ravel()[rows].mean())
        error = np.sqrt(((mean - y).ravel()[rows] ** 2).mean())
        terms.append(abs(deviation - error) / deviation)
    value = variance.expected_normalized_calibration_error(mean, variances, y, num_bins=7)
    assert value == pytest.approx(np.mean(terms), rel=1e-13)


def test_normalized_error_of_tied_variances_does_not_depend_on_the_order_of_the_rows():
    generator = np.random.default_rng(0)
    mean, y = generator.normal(size=(2, 60))
    variances = np.repeat([0.5, 1.0, 2.0], 20)
    values = []
    for _ in range(5):
        order = generator.permutation(60)
        values.append(
            variance.expected_normalized_calibration_error(
                mean[order], variances[order], y[order], num_bins=7
            )
        )
    np.testing.assert_allclose(values, values[0], rtol=1e-12)
    one = variance.expected_normalized_calibration_error(mean, np.full(60, 4.0), y, num_bins=7)
    assert one == pytest.approx(abs(2.0 - np.sqrt(np.mean((mean - y) ** 2))) / 2.0)
