"""The interval of a rank correlation."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from mcdrop.intervals.correlation import rank_correlation


def test_it_covers_the_truth_as_often_as_it_says():
    # The rank correlation of a bivariate normal distribution: 6 / pi asin(rho / 2).
    generator = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    hits = 0
    for _ in range(400):
        x = generator.normal(size=60)
        y = 0.6 * x + 0.8 * generator.normal(size=60)
        found = rank_correlation(spearmanr(x, y).statistic, 60)
        hits += found.low <= truth <= found.high
    assert hits / 400 == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 400))


def test_perfect_agreement_of_few_leaves_a_width():
    found = rank_correlation(1.0, 12)
    assert 0.0 < found.low < 1.0
    assert found.high == 1.0


def test_few_pairs_and_a_constant_carry_none():
    assert rank_correlation(0.3, 9).reason == "fewer than 10 pairs (9)"
    assert rank_correlation(float("nan"), 100).reason == "one side is constant"
