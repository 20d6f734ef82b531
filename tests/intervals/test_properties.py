"""What no interval may do, whatever the data."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdrop import intervals

LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
SIZES = st.integers(1, 400)
SEEDS = st.integers(0, 10_000)


@st.composite
def counted(draw):
    count = draw(SIZES)
    return draw(st.integers(0, count)), count


def outer(wide, narrow):
    return wide.low <= narrow.low + 1e-9 and narrow.high <= wide.high + 1e-9


@given(counted(), LEVELS)
def test_a_share_lies_within_0_and_1_around_its_value_and_has_a_width(case, level):
    successes, count = case
    found = intervals.share(successes, count, level)
    assert 0.0 <= found.low <= successes / count <= found.high <= 1.0
    assert found.high - found.low > 0.0


@given(counted())
def test_one_error_more_never_gives_a_tighter_bound_of_a_share(case):
    errors, count = case
    more = min(errors + 1, count)
    assert intervals.share(more, count).high >= intervals.share(errors, count).high
    assert intervals.share(more, count).low >= intervals.share(errors, count).low


@given(counted(), st.integers(0, 400), LEVELS)
def test_a_paired_difference_is_ordered_bounded_and_never_certain(case, other, level):
    first, count = case
    second = min(other, count - first)
    found = intervals.paired_share_difference(first, second, count, level)
    assert -1.0 <= found.low <= (first - second) / count <= found.high <= 1.0
    assert found.low < found.high
    turned = intervals.paired_share_difference(second, first, count, level)
    assert found.low == -turned.high


@given(counted())
def test_a_higher_level_is_never_narrower(case):
    successes, count = case
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 0.99)):
        assert outer(
            intervals.share(successes, count, high), intervals.share(successes, count, low)
        )
        assert outer(
            intervals.paired_share_difference(successes, 0, count, high),
            intervals.paired_share_difference(successes, 0, count, low),
        )


@settings(max_examples=60)
@given(SEEDS, st.integers(20, 80), LEVELS)
def test_a_mean_lies_within_its_atoms_around_its_value_and_grows_with_a_loss(seed, size, level):
    generator = np.random.default_rng(seed)
    losses = generator.random(size) * (generator.random(size) < 0.2)
    found = intervals.mean_with_atoms(losses, 0.0, 1.0, level)
    assert 0.0 <= found.low < found.high <= 1.0
    if level >= 0.8:
        assert found.low <= losses.mean() <= found.high
    worse = losses.copy()
    worse[generator.integers(size)] = 1.0
    assert intervals.mean_with_atoms(worse, 0.0, 1.0, level).high >= found.high - 1e-9


@settings(max_examples=60)
@given(SEEDS, st.integers(2, 30), st.integers(2, 100), st.integers(0, 2), LEVELS)
def test_an_area_lies_within_0_and_1_around_its_value(seed, few, many, decimals, level):
    generator = np.random.default_rng(seed)
    score = generator.random(few + many).round(decimals)
    positive = np.arange(few + many) < few
    found = intervals.auroc(score, positive, level)
    area = intervals.as_positive(score, positive)[positive].mean()
    assert 0.0 <= found.low <= area + 1e-9
    assert area - 1e-9 <= found.high <= 1.0
    assert found.high - found.low > 0.0
    assert outer(intervals.auroc(score, positive, 0.999), found)


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 300), st.integers(0, 2))
def test_one_error_more_never_raises_the_coverage_that_a_risk_allows(seed, size, decimals):
    generator = np.random.default_rng(seed)
    uncertainty = generator.random(size).round(decimals)
    error = generator.random(size) < 0.1
    found = intervals.coverage_scan(uncertainty, error, 0.1)
    error[generator.integers(size)] = True
    worse = intervals.coverage_scan(uncertainty, error, 0.1)
    assert 0.0 <= found.low <= found.high <= 1.0
    assert worse.low <= found.low
    assert worse.high <= found.high


@settings(max_examples=40)
@given(SEEDS, st.integers(20, 300), st.sampled_from(["normal", "cauchy", "rounded"]))
def test_regression_losses_keep_their_range_and_a_width(seed, size, kind):
    generator = np.random.default_rng(seed)
    losses = {
        "normal": lambda: np.abs(generator.standard_normal(size)),
        "cauchy": lambda: np.abs(generator.standard_cauchy(size)),
        "rounded": lambda: np.r_[1.0, np.abs(generator.standard_normal(size)).round()],
    }[kind]()
    found = intervals.regression_loss(losses)
    assert 0.0 <= found.low < found.high
    assert found.low <= losses.mean() * (1 + 1e-9)
    assert losses.mean() <= found.high * (1 + 1e-9)
