"""The noise of a finite number of passes, by halves of them."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.weighted.halves import (
    NUM_HALVES,
    MonteCarloNoise,
    fold_noise,
    half_sample_noise,
    half_samples,
    noise_of_difference,
)


@pytest.mark.parametrize("num_groups", range(2, 13))
def test_halves_take_half_of_the_groups_and_no_group_more_often(num_groups):
    halves = half_samples(num_groups)
    assert {len(half) for half in halves} == {num_groups // 2}
    assert len(halves) <= NUM_HALVES
    counts = np.bincount(np.concatenate(halves), minlength=num_groups)
    if num_groups % 2 == 0:
        assert set(counts) == {len(halves) // 2}
    else:
        assert counts.min() > 0


def test_random_halves_come_in_pairs_without_a_common_group():
    halves = half_samples(10)
    for first, second in zip(halves[::2], halves[1::2], strict=True):
        assert sorted([*first, *second]) == list(range(10))


def _noise_of(function, groups):
    """Returns the noise of a function of the mean of equally large groups."""
    halves = half_samples(len(groups))
    values = np.array([function(groups[half].mean()) for half in halves])
    shares = np.array([len(half) / len(groups) for half in halves])
    return half_sample_noise(function(groups.mean()), values, shares, len(groups))


@pytest.mark.parametrize("num_groups", [2, 3, 4, 5])
def test_all_halves_together_give_the_standard_error_of_a_mean_exactly(num_groups):
    groups = np.random.default_rng(0).normal(size=num_groups)
    noise = _noise_of(lambda mean: 3.0 * mean, groups)
    assert noise.error == pytest.approx(3.0 * groups.std(ddof=1) / np.sqrt(num_groups))
    assert noise.shift == pytest.approx(0.0, abs=1e-12)
    assert noise.degrees == num_groups - 1


@pytest.mark.parametrize("num_groups", [3, 4, 5])
def test_all_halves_together_remove_the_bias_of_a_square_exactly(num_groups):
    groups = np.random.default_rng(1).normal(size=num_groups)
    noise = _noise_of(np.square, groups)
    # E[mean²] exceeds the squared expectation by the variance of the mean.
    assert noise.shift == pytest.approx(-groups.var(ddof=1) / num_groups)


def test_random_halves_estimate_the_error_of_a_mean_without_bias():
    generator = np.random.default_rng(2)
    squares = [_noise_of(lambda m: m, generator.normal(size=10)).error ** 2 for _ in range(2000)]
    # The variance of a mean of ten is 0.1; the mean of the estimates has a known error.
    standard_error = np.std(squares) / np.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(0.1, abs=4 * standard_error)


def test_halves_estimate_the_error_of_a_step_function():
    generator = np.random.default_rng(3)
    num_examples, num_groups, num_trials = 2000, 10, 60
    margins = generator.uniform(-1.0, 1.0, size=num_examples)
    values, squares = [], []
    for _ in range(num_trials):
        # Independent noise of each example, of which the mean of groups has a deviation of 0.1.
        groups = margins + generator.normal(size=(num_groups, num_examples)) * np.sqrt(0.1)
        halves = half_samples(num_groups)
        of_halves = np.array([(groups[half].mean(axis=0) > 0).mean() for half in halves])
        value = (groups.mean(axis=0) > 0).mean()
        noise = half_sample_noise(value, of_halves, np.full(len(halves), 0.5), num_groups)
        values.append(value)
        squares.append(noise.error**2)
    # Both standard deviations have relative errors of about 1 / sqrt(2 x 60) = 9%; the
    # delete-a-group jackknife would be off by the square root of 3, 73%.
    assert np.sqrt(np.mean(squares)) == pytest.approx(np.std(values, ddof=1), rel=0.36)


def test_an_interval_without_noise_is_left_as_it_is():
    noise = MonteCarloNoise(error=0.0, shift=0.0, degrees=9)
    assert fold_noise(2.0, (1.5, 3.0), noise, 0.95) == pytest.approx((1.5, 3.0))


def test_noise_is_added_in_quadrature_with_students_quantile():
    noise = MonteCarloNoise(error=0.5, shift=0.0, degrees=9)
    reach = stats.t.ppf(0.95, 9) * 0.5
    expected = (2.0 - np.hypot(0.5, reach), 2.0 + np.hypot(1.0, reach))
    assert fold_noise(2.0, (1.5, 3.0), noise, 0.9) == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "expected"), [(0.25, (1.5, 3.25)), (-0.25, (1.25, 3.0))])
def test_the_shift_to_infinitely_many_passes_moves_one_end(shift, expected):
    noise = MonteCarloNoise(error=0.0, shift=shift, degrees=9)
    assert fold_noise(2.0, (1.5, 3.0), noise, 0.95) == pytest.approx(expected)


def test_the_noise_of_a_difference_is_that_of_both_sides_in_quadrature():
    first = MonteCarloNoise(error=3.0, shift=0.5, degrees=9)
    second = MonteCarloNoise(error=4.0, shift=0.2, degrees=9)
    found = noise_of_difference(first, second)
    assert (found.error, found.shift) == (5.0, pytest.approx(0.3))
    # Satterthwaite: 25^2 / ((81 + 256) / 9).
    assert found.degrees == pytest.approx(625 * 9 / 337)


def test_two_sides_without_noise_have_none_in_their_difference():
    none = MonteCarloNoise(error=0.0, shift=0.0, degrees=1)
    assert noise_of_difference(none, none).error == 0.0
