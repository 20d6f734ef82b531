"""Closed-form intervals, against SciPy, scikit-learn and simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, spearmanr
from sklearn.metrics import roc_auc_score

from mcdrop.report.intervals import (
    auroc_interval,
    binomial_interval,
    mean_interval,
    rank_correlation_interval,
    ratio_interval,
)


@pytest.mark.parametrize(("successes", "count"), [(0, 5), (5, 5), (9, 10), (311, 1000)])
def test_wilson_interval_equals_scipys(successes, count):
    expected = binomtest(successes, count).proportion_ci(0.9, method="wilson")
    found = binomial_interval(successes, count, 0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_nothing_is_undefined():
    assert np.isnan(binomial_interval(0, 0, 0.95).value)


def test_a_design_effect_of_four_doubles_the_width():
    plain = binomial_interval(5000, 10000, 0.95)
    wide = binomial_interval(5000, 10000, 0.95, design_effect=4.0)
    # Wilson's interval has width z / sqrt(n) up to terms of order 1/n.
    assert wide.high - wide.low == pytest.approx(2 * (plain.high - plain.low), rel=1e-3)


def test_auroc_equals_scikit_learns_with_ties():
    generator = np.random.default_rng(0)
    low, high = generator.integers(0, 8, 60), generator.integers(2, 10, 40)
    expected = roc_auc_score(np.repeat([0, 1], [60, 40]), np.concatenate([low, high]))
    assert auroc_interval(low, high, 0.95).value == pytest.approx(expected)


def test_auroc_of_an_empty_kind_is_undefined():
    assert np.isnan(auroc_interval(np.empty(0), np.ones(3), 0.95).value)


def test_auroc_of_separate_kinds_is_1_with_an_open_low_end():
    found = auroc_interval(np.arange(20.0), np.arange(30.0, 50.0), 0.95)
    assert found.value == found.high == 1.0
    assert 0.8 < found.low < 1.0


def test_auroc_interval_covers_the_truth_as_often_as_it_says():
    # Normal scores one deviation apart: AUROC is Phi(1 / sqrt 2) = 0.7602. Of 400 intervals at
    # 95% the share that covers has a standard error of 0.011; four of them are 0.044.
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        found = auroc_interval(generator.normal(0, 1, 80), generator.normal(1, 1, 50), 0.95)
        hits += found.low <= 0.76025 <= found.high
    assert hits / 400 == pytest.approx(0.95, abs=0.044)


def test_mean_interval_is_the_normal_one():
    values = np.random.default_rng(0).normal(size=50)
    found = mean_interval(values, 0.9)
    low, high = norm.interval(0.9, values.mean(), values.std(ddof=1) / np.sqrt(50))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_the_mean_of_shares_does_not_exceed_1():
    values = np.array([0.5, 1.0, 1.0, 1.0])
    assert mean_interval(values, 0.95).high > 1.0
    assert mean_interval(values, 0.95, most=1.0).high == 1.0


def test_one_value_has_no_interval():
    found = mean_interval(np.ones(1), 0.9)
    assert found.value == 1.0
    assert np.isnan(found.low)
    assert np.isnan(mean_interval(np.empty(0), 0.9).value)


def test_a_ratio_of_nothing_is_undefined_and_of_one_example_open():
    assert np.isnan(ratio_interval(np.zeros(3), np.zeros(3), 0.95).value)
    assert np.isnan(ratio_interval(np.ones(1), np.ones(1), 0.95).low)


def test_ratio_interval_covers_the_truth_as_often_as_it_says():
    # Union of 5 to 15 pixels an image, each of them a hit with probability 0.6. Of 400
    # intervals at 95% the share that covers has a standard error of 0.011; four are 0.044.
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        wholes = generator.integers(5, 16, 60)
        found = ratio_interval(generator.binomial(wholes, 0.6), wholes, 0.95)
        hits += found.low <= 0.6 <= found.high
    assert hits / 400 == pytest.approx(0.95, abs=0.044)


def test_rank_correlation_equals_scipys():
    generator = np.random.default_rng(0)
    first = generator.integers(0, 9, 40)
    second = first + generator.normal(0, 4, 40)
    found = rank_correlation_interval(first, second, 0.95)
    assert found.value == pytest.approx(spearmanr(first, second).statistic)
    assert found.low < found.value < found.high


def test_rank_correlation_of_few_points_is_open_and_of_a_constant_undefined():
    found = rank_correlation_interval(np.arange(3.0), np.arange(3.0), 0.95)
    assert (found.low, found.high) == (-1.0, 1.0)
    assert np.isnan(rank_correlation_interval(np.ones(9), np.arange(9.0), 0.95).value)
