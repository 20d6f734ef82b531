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
