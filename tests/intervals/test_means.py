import numpy as np
import pytest
from scipy import special, stats

from mcdrop import intervals
from mcdrop.intervals.dirichlet import chance_below_zero, ratio_quantile


@pytest.mark.parametrize(("ones", "zeros"), [(0, 20), (1, 19), (3, 197), (10, 10), (40, 2)])
@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9, 0.975, 0.999])
def test_quantiles_of_a_share_are_those_of_the_beta_distribution(ones, zeros, probability):
    # Relative error of the probability, not of the quantile: that is what coverage is made of.
    parts = np.r_[np.ones(ones), np.zeros(zeros), 1.0]
    found = ratio_quantile(parts, np.ones(parts.size), probability)
    tail = special.betainc(ones + 1.0, zeros, found)
    assert tail == pytest.approx(probability, abs=0.012 * min(1, 4 * (1 - probability) + 0.02))


def test_quantiles_of_a_mean_are_those_of_drawn_weights():
    generator = np.random.default_rng(0)
    values = generator.standard_exponential(30) ** 2
    drawn = generator.standard_exponential((200_000, 30))
    means = drawn @ values / drawn.sum(axis=1)
    for probability in (0.025, 0.3, 0.5, 0.975):
        found = ratio_quantile(values, np.ones(30), probability)
        error = np.sqrt(probability * (1 - probability) / means.size)
        assert (means <= found).mean() == pytest.approx(probability, abs=5 * error + 0.001)


def test_the_chance_is_0_or_1_where_all_terms_have_one_sign():
    assert chance_below_zero(np.array([1.0, 2.0])) == 0.0
    assert chance_below_zero(np.array([-1.0, 0.0])) == 1.0
    assert chance_below_zero(np.array([-1.0, 1.0])) == pytest.approx(0.5)


def test_a_mean_of_zeros_and_ones_is_a_share():
    values = np.r_[np.ones(3), np.zeros(97)]
    found, exact = intervals.mean_with_atoms(values, 0.0, 1.0), intervals.share(3, 100)
    np.testing.assert_allclose([found.low, found.high], [exact.low, exact.high], rtol=0.002)


def test_clusters_of_equal_size_are_their_means():
    shares = np.random.default_rng(1).random(12)
    of_means = intervals.mean_with_atoms(shares, 0.0, 1.0)
    of_sums = intervals.mean_with_atoms(7 * shares, 0.0, 1.0, sizes=np.full(12, 7.0))
    assert of_sums.low == pytest.approx(of_means.low)
    assert of_sums.high == pytest.approx(of_means.high)


def test_equal_losses_have_an_interval_as_soon_as_an_atom_differs():
    found = intervals.paired_loss_difference(np.zeros(50), np.array([-0.3, 0.2]), 3)
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (intervals.paired_loss_difference(np.zeros(9), np.ones(9), 2), "fewer than 3 errors (2)"),
        (intervals.regression_loss(np.ones(19)), "fewer than 20 examples (19)"),
        (intervals.root_mean_square(np.ones(49)), "fewer than 50 examples (49)"),
        (intervals.interval_score(np.ones(99)), "fewer than 100 examples (99)"),
        (intervals.log_likelihood(np.ones(1)), "fewer than 50 examples (1)"),
        (
            intervals.root_mean_square_difference(np.ones(4), np.ones(4)),
            "fewer than 50 examples (4)",
        ),
        (intervals.student(np.ones(30)), "all values are equal"),
        (intervals.regression_loss(np.zeros(30)), "all values are equal"),
        (intervals.root_mean_square_difference(*np.ones((2, 60))), "all values are equal"),
        (intervals.student(np.ones(3)), "fewer than 20 examples (3)"),
        (intervals.mean_with_atoms(np.array([]), 0.0, 1.0), "no examples"),
        (
            intervals.mean_with_atoms(np.zeros(3), 0.0, 1.0, sizes=np.zeros(3)),
            "nothing to count",
        ),
    ],
)
def test_too_few_data_are_named(found, reason):
    assert found.reason == reason
    assert np.isnan([found.low, found.high]).all()


def test_students_interval_is_scipys():
    values = np.random.default_rng(2).standard_normal(40)
    exact = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = intervals.student(values)
    np.testing.assert_allclose([found.low, found.high], [exact.low, exact.high])


def test_a_root_mean_square_is_the_root_of_its_squares():
    squares = np.random.default_rng(3).standard_normal(300) ** 2
    found = intervals.root_mean_square(squares)
    assert found.low < np.sqrt(squares.mean()) < found.high
    scaled = intervals.root_mean_square(100 * squares)
    assert scaled.high == pytest.approx(10 * found.high)


def test_the_difference_of_roots_holds_them_and_turns_with_the_order():
    squares = np.random.default_rng(4).standard_normal((2, 300)) ** 2
    found = intervals.root_mean_square_difference(*squares)
    turned = intervals.root_mean_square_difference(*squares[::-1])
    assert found.low == pytest.approx(-turned.high)
    assert found.low < np.diff(np.sqrt(squares.mean(axis=1)))[0] * -1 < found.high
