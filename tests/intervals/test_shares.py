import numpy as np
import pytest
from scipy import stats

from mcdrop import intervals


@pytest.mark.parametrize(("successes", "count"), [(0, 5), (5, 5), (1, 1), (3, 200), (199, 200)])
def test_a_share_has_the_limits_of_clopper_and_pearson(successes, count):
    exact = stats.binomtest(successes, count).proportion_ci(0.9, method="exact")
    found = intervals.share(successes, count, 0.9)
    np.testing.assert_allclose([found.low, found.high], [exact.low, exact.high], atol=1e-12)


def test_nothing_to_count_is_said():
    for found in (intervals.share(0, 0), intervals.paired_share_difference(0, 0, 0)):
        assert np.isnan([found.low, found.high]).all()
        assert found.reason == "nothing to count"


def exact_coverage(count, only_first, only_second):
    """Chance that the interval of the paired difference holds it, over all outcomes."""
    b, c = np.array([(b, c) for b in range(count + 1) for c in range(count + 1 - b)]).T
    found = [
        intervals.paired_share_difference(int(x), int(y), count) for x, y in zip(b, c, strict=True)
    ]
    low, high = np.array([(i.low, i.high) for i in found]).T
    truth = only_first - only_second
    cells = np.stack([b, c, count - b - c], axis=1)
    chance = stats.multinomial.pmf(
        cells, count, [only_first, only_second, 1 - only_first - only_second]
    )
    return chance[(low - 1e-12 <= truth) & (truth <= high + 1e-12)].sum()


@pytest.mark.parametrize("count", [3, 10, 20, 50])
@pytest.mark.parametrize("both", [0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("split", [0.0, 0.05, 0.3, 0.5])
def test_a_paired_difference_covers_by_enumeration(count, both, split):
    assert exact_coverage(count, both * split, both * (1 - split)) > 0.934


def test_the_exact_interval_of_a_share_differs_from_the_bootstraps_where_errors_are_few():
    # With one error of 200 the percentile bootstrap ends at 0.985, with none at 1.0.
    lows = [intervals.share(200 - errors, 200).low for errors in range(6)]
    assert (np.diff(lows) < 0).all()
    assert lows[0] == pytest.approx(0.025 ** (1 / 200))


def test_a_difference_recovered_from_two_intervals_is_that_of_their_errors():
    half = intervals.Interval(0.4, 0.6)
    apart = intervals.recovered_difference((0.5, half), (0.5, half))
    assert apart.high == pytest.approx(0.1 * np.sqrt(2))


def of_classes(successes, counts):
    successes, counts = np.array(successes, float), np.array(counts, float)
    return intervals.ClassShares(successes, counts, np.full(counts.size, 1 / counts.size))


def test_the_mean_of_one_class_has_the_limits_of_its_share():
    found, alone = intervals.mean_share(of_classes([3], [20])), intervals.share(3, 20)
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high))


def test_a_mean_over_classes_with_a_rare_one_holds_what_the_rare_one_may_be():
    # 99 of 100, and 1 of 1: the rare class may be right one time in forty.
    found = intervals.mean_share(of_classes([99, 1], [100, 1]))
    assert found.low < 0.52
    unknown = intervals.mean_share(of_classes([50, 0, 0], [50, 0, 0]))
    assert unknown.high == 1.0
    assert unknown.low < 1 / 3


@pytest.mark.parametrize("rates", [(0.9, 0.5, 0.95), (0.99, 0.8, 0.05)])
def test_a_mean_over_classes_covers(rates):
    generator, counts = np.random.default_rng(0), np.array([60, 3, 12])
    draws = generator.binomial(counts, rates, (1500, 3))
    found = [intervals.mean_share(of_classes(row, counts)) for row in draws]
    held = [each.low <= np.mean(rates) <= each.high for each in found]
    assert np.mean(held) > 0.93


def test_a_difference_of_means_of_equal_answers_is_short_where_counts_are_large():
    side = of_classes([540, 300], [600, 400])
    same = intervals.mean_share_difference(side, side, np.array([54.0, 75.0]))
    apart = intervals.mean_share_difference(side, side, np.zeros(2))
    assert same.high == pytest.approx(-same.low)
    assert 0.0 < same.high < 0.3 * apart.high


def test_the_few_calls_of_a_rare_class_do_not_make_two_shares_agree():
    # Both call the same 3 examples and are right on 2: the next example may part them.
    side = of_classes([2], [3])
    found = intervals.mean_share_difference(side, side, np.array([2 / 3]))
    assert found.low < -0.2
    assert found.high > 0.2
