"""Tests of mcdrop.metrics.interval."""

import numpy as np
import pytest
import scoringrules
from scipy import special

from mcdrop.errors import DataError
from mcdrop.metrics import interval


@pytest.fixture
def case():
    """Intervals and targets of 50 examples with 2 outputs."""
    generator = np.random.default_rng(0)
    low = generator.normal(-1, 1, size=(50, 2))
    return low, low + generator.uniform(0, 3, size=(50, 2)), generator.normal(size=(50, 2))


def test_crossed_bounds_are_refused():
    with pytest.raises(DataError, match=r"`low` is above `high` for 1 value\(s\), the first at"):
        interval.interval_width([0.0, 2.0], [1.0, 1.0])


@pytest.mark.parametrize("level", [0.0, 1.0, 95, True, "0.9"])
def test_a_level_outside_zero_and_one_is_refused(level):
    with pytest.raises(DataError, match="`level` is"):
        interval.interval_score([0.0], [1.0], [0.5], level=level)


def test_bounds_of_another_shape_than_the_targets_are_refused():
    with pytest.raises(DataError, match="`y`"):
        interval.interval_coverage(np.zeros(3), np.ones(3), np.zeros((3, 1)))


def test_per_example_forms_have_one_value_an_example_and_average_to_the_metric(case):
    low, high, _ = case
    pairs = [
        (interval.interval_coverage_per_example(*case), interval.interval_coverage(*case)),
        (interval.interval_width_per_example(low, high), interval.interval_width(low, high)),
        (
            interval.interval_score_per_example(*case, level=0.8),
            interval.interval_score(*case, level=0.8),
        ),
    ]
    for terms, value in pairs:
        assert terms.shape == (50,)
        assert terms.mean() == pytest.approx(value, rel=1e-13)


def test_both_ends_of_an_interval_count_as_inside():
    assert interval.interval_coverage([0.0, 0.0], [1.0, 1.0], [0.0, 1.0]) == 1.0


def test_a_miss_is_fined_by_two_over_the_tail():
    # Width 1, missed by 1 at level 0.5: 1 + 2 / 0.5 * 1, on either side.
    assert interval.interval_score([0.0], [1.0], [2.0], level=0.5) == 5.0
    assert interval.interval_score([0.0], [1.0], [-1.0], level=0.5) == 5.0


def test_the_central_interval_of_the_truth_has_the_lowest_interval_score():
    y = special.ndtri((np.arange(20_000) + 0.5) / 20_000)
    scores = [
        interval.interval_score(np.full_like(y, -half), np.full_like(y, half), y, level=0.9)
        for half in (1.3, special.ndtri(0.95), 2.0)
    ]
    assert scores[1] == min(scores)


def test_coverage_agrees_with_the_level_on_quantiles_of_the_truth():
    y = special.ndtri((np.arange(1_000) + 0.5) / 1_000)
    half = np.full_like(y, special.ndtri(0.95))
    assert interval.interval_coverage(-half, half, y) == 0.9


def test_interval_scores_agree_with_scoringrules(case):
    low, high, y = case
    expected = scoringrules.interval_score(y, low, high, 0.2)
    terms = interval.interval_score_per_example(low, high, y, level=0.8)
    np.testing.assert_allclose(terms, expected.mean(axis=1), rtol=1e-12)
