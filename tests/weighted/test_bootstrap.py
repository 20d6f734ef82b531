"""Intervals over examples and over passes."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import DataError
from mcdrop.weighted import bootstrap
from mcdrop.weighted.bootstrap import (
    MonteCarloNoise,
    biased_interval,
    fold_noise,
    half_sample_noise,
    half_samples,
    percentile_interval,
    resample,
    resample_weights,
    share_limit,
)


@pytest.mark.parametrize(
    ("num_examples", "num_resamples", "seed", "name"),
    [
        (0, 10, 0, "num_examples"),
        (10, 0, 0, "num_resamples"),
        (10, 2.5, 0, "num_resamples"),
        (10, 10, -1, "seed"),
        (10, 10, None, "seed"),
    ],
)
def test_resamples_of_bad_sizes_or_seeds_are_refused(num_examples, num_resamples, seed, name):
    with pytest.raises(DataError, match=name):
        next(resample_weights(num_examples, num_resamples, seed=seed))


def test_every_resample_draws_as_many_examples_as_there_are():
    weights = np.concatenate(list(resample_weights(37, 200, seed=1)))
    assert weights.shape == (200, 37)
    np.testing.assert_array_equal(weights.sum(axis=1), 37)


def test_draws_do_not_depend_on_the_size_of_blocks(monkeypatch):
    whole = np.concatenate(list(resample_weights(10, 50, seed=3)))
    monkeypatch.setattr(bootstrap, "BLOCK_ELEMENTS", 70)
    blocks = list(resample_weights(10, 50, seed=3))
    assert [len(block) for block in blocks] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize(("num_examples", "rows"), [(300, 3), (1000, 1), (5000, 1)])
def test_blocks_stay_bounded_when_there_are_many_examples(monkeypatch, num_examples, rows):
    monkeypatch.setattr(bootstrap, "BLOCK_ELEMENTS", 1000)
    assert next(resample_weights(num_examples, 9, seed=0)).shape == (rows, num_examples)


def test_draws_are_multinomial():
    num_examples, num_resamples = 20, 5000
    weights = np.concatenate(list(resample_weights(num_examples, num_resamples, seed=0)))
    # A count is binomial(n, 1/n): mean 1, variance 1 - 1/n; covariance of two counts -1/n.
    # Standard errors over R resamples are below 2 / sqrt(R), taken five times.
    tolerance = 5 * 2 / np.sqrt(num_resamples)
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=tolerance)
    covariance = np.cov(weights, rowvar=False)
    expected = np.eye(num_examples) - 1 / num_examples
    np.testing.assert_allclose(covariance, expected, atol=tolerance)


def test_replicates_of_a_mean_spread_by_its_standard_error():
    scores = np.random.default_rng(0).gamma(1.0, size=400)
    (replicates,) = resample([lambda w: w @ scores / 400], 400, num_resamples=4000, seed=0)
    # The standard deviation of R replicates has a relative error of about 1 / sqrt(2 R).
    expected = scores.std() / np.sqrt(400)
    assert replicates.std() == pytest.approx(expected, rel=5 / np.sqrt(8000))
    assert replicates.mean() == pytest.approx(scores.mean(), abs=5 * expected / np.sqrt(4000))


def test_statistics_see_the_same_resamples():
    scores = np.random.default_rng(0).normal(size=30)
    first, second = resample(
        [lambda w: w @ scores, lambda w: 1.0 - w @ scores], 30, num_resamples=50, seed=0
    )
    np.testing.assert_allclose(first + second, 1.0, atol=1e-12)


def test_the_percentile_interval_agrees_with_scipy():
    scores = np.random.default_rng(1).gamma(0.5, size=300)
    num_resamples = 4000
    (replicates,) = resample([lambda w: w @ scores / 300], 300, num_resamples=num_resamples, seed=0)
    reference = stats.bootstrap(
        (scores,), np.mean, method="percentile", n_resamples=num_resamples, rng=1
    ).confidence_interval
    # A 2.5% quantile of R normal draws has the standard error sqrt(0.025 x 0.975 / R) / 0.0584,
    # in standard deviations; two of them differ by sqrt(2) times that, taken five times.
    tolerance = 5 * np.sqrt(2 * 0.025 * 0.975 / num_resamples) / 0.0584 * replicates.std()
    np.testing.assert_allclose(percentile_interval(replicates, 0.95), reference, atol=tolerance)


def test_undefined_replicates_are_left_out_of_the_interval():
    replicates = np.append(np.arange(101.0), np.full(100, np.nan))
    assert percentile_interval(replicates, 0.8) == pytest.approx((10.0, 90.0))


def test_no_interval_is_given_when_most_replicates_are_undefined():
    replicates = np.append(np.arange(100.0), np.full(101, np.nan))
    assert np.isnan(percentile_interval(replicates, 0.8)).all()
    assert np.isnan(biased_interval(3.0, replicates, 0.8)).all()


@pytest.mark.parametrize("value", [-1.0, 0.2, 0.5, 0.9, 2.0])
def test_the_biased_interval_holds_the_value_the_replicates_and_their_reflection(value):
    replicates = np.linspace(0.0, 1.0, 101)
    low, high = biased_interval(value, replicates, 0.9)
    assert (low, high) == pytest.approx((min(0.05, 2 * value - 0.95), max(0.95, 2 * value - 0.05)))
    assert low <= value <= high


@pytest.mark.parametrize("num_groups", range(2, 13))
def test_halves_take_half_of_the_groups_and_no_group_more_often(num_groups):
    halves = half_samples(num_groups)
    assert {len(half) for half in halves} == {num_groups // 2}
    assert len(halves) <= bootstrap.NUM_HALVES
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


@pytest.mark.parametrize("num_examples", [2, 10, 1000, 100_000])
def test_the_limit_of_a_share_is_the_exact_binomial_one(num_examples):
    reference = stats.binomtest(0, num_examples).proportion_ci(0.95, method="exact").high
    assert share_limit(num_examples, 0.95) == pytest.approx(reference)
