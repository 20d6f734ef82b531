"""Intervals over examples and over passes."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import DataError
from mcdrop.weighted import bootstrap
from mcdrop.weighted.bootstrap import (
    percentile_interval,
    resample,
    resample_weights,
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
