"""Streaming statistics of passes, and the jackknife over groups of them."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.pass_statistics import (
    NUM_GROUPS,
    GroupMeans,
    Moments,
    bernoulli_entropy,
    entropy,
    jackknife,
    leave_group_out,
)

SPLITS = [[12], [1] * 12, [5, 7], [1, 10, 1], [3, 3, 3, 3]]


def in_blocks(values, sizes):
    """Yields consecutive blocks of passes and the number of the first pass of each."""
    first = 0
    for size in sizes:
        yield first, values[first : first + size]
        first += size


@pytest.mark.parametrize("sizes", SPLITS)
def test_streamed_moments_equal_those_of_the_whole_array(sizes):
    passes = np.random.default_rng(0).normal(size=(12, 5, 3))
    moments = Moments.empty((5, 3))
    for _, block in in_blocks(passes, sizes):
        moments.update(block, np.arange(5))
    np.testing.assert_array_equal(moments.count, 12)
    np.testing.assert_allclose(moments.mean, passes.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance(), passes.var(axis=0, ddof=1), rtol=1e-12)


def test_moments_of_some_examples_leave_the_others_alone():
    passes = np.random.default_rng(0).normal(size=(6, 4))
    moments = Moments.empty((4,))
    moments.update(passes[:3], np.arange(4))
    moments.update(passes[3:, [1, 3]], np.array([1, 3]))
    np.testing.assert_array_equal(moments.count, [3, 6, 3, 6])
    np.testing.assert_allclose(moments.mean[[1, 3]], passes[:, [1, 3]].mean(axis=0))
    np.testing.assert_allclose(moments.variance()[[0, 2]], passes[:3, [0, 2]].var(axis=0, ddof=1))


def test_moments_keep_their_digits_far_from_zero():
    passes = 1e8 + np.random.default_rng(0).normal(size=(40, 3))
    moments = Moments.empty((3,))
    for _, block in in_blocks(passes, [7, 13, 20]):
        moments.update(block, np.arange(3))
    # Numbers near 1e8 are spaced by 1.5e-8; sums of squares would lose all digits.
    np.testing.assert_allclose(moments.variance(), passes.var(axis=0, ddof=1), rtol=1e-6)


def test_a_first_pass_far_from_the_others_costs_no_digits():
    passes = np.random.default_rng(0).normal(size=(30, 2))
    passes[0] = 1e6
    moments = Moments.empty((2,))
    moments.update(passes, np.arange(2))
    np.testing.assert_allclose(moments.variance(), passes.var(axis=0, ddof=1), rtol=1e-10)


@pytest.mark.parametrize("sizes", SPLITS)
def test_equal_passes_have_their_own_mean_and_a_variance_of_exactly_zero(sizes):
    same = np.random.default_rng(0).normal(size=(5, 3))
    moments = Moments.empty((5, 3))
    for _, block in in_blocks(np.stack([same] * 12), sizes):
        moments.update(block, np.arange(5))
    np.testing.assert_array_equal(moments.mean, same)
    np.testing.assert_array_equal(moments.variance(), 0.0)


@pytest.mark.parametrize("sizes", SPLITS)
def test_group_means_are_those_of_interleaved_passes(sizes):
    passes = np.random.default_rng(0).normal(size=(12, 5, 3))
    groups = GroupMeans.empty(5, (5, 3))
    for first, block in in_blocks(passes, sizes):
        groups.update(block, np.arange(5), first)
    for group in range(5):
        np.testing.assert_allclose(groups.mean()[group], passes[group::5].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(groups.count[:, 0], [3, 3, 2, 2, 2])


def test_leaving_a_group_out_gives_the_mean_of_the_other_passes():
    passes = np.random.default_rng(0).normal(size=(11, 4, 2))
    groups = GroupMeans.empty(3, (4, 2))
    groups.update(passes, np.arange(4), 0)
    left = leave_group_out(passes.mean(axis=0), groups.mean(), groups.count)
    for group in range(3):
        others = passes[np.arange(11) % 3 != group]
        np.testing.assert_allclose(left[group], others.mean(axis=0), rtol=1e-12)


def test_the_jackknife_of_single_values_gives_the_standard_error_of_their_mean():
    values = np.random.default_rng(0).normal(size=9)
    left = np.array([np.delete(values, i).mean() for i in range(9)])
    corrected, error = jackknife(values.mean(), left, np.ones(9, int))
    assert corrected == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / 3)


def test_the_jackknife_makes_the_variance_unbiased():
    values = np.random.default_rng(0).normal(size=9)
    left = np.array([np.delete(values, i).var() for i in range(9)])
    corrected, _ = jackknife(values.var(), left, np.ones(9, int))
    assert corrected == pytest.approx(values.var(ddof=1))


def test_the_jackknife_leaves_a_mean_alone_when_groups_differ_in_size():
    values = np.random.default_rng(0).normal(size=(11, 2))
    groups = np.arange(11) % 3
    left = np.stack([values[groups != group].mean(axis=0) for group in range(3)])
    corrected, error = jackknife(values.mean(axis=0), left, np.bincount(groups))
    np.testing.assert_allclose(corrected, values.mean(axis=0))
    assert (error > 0).all()


def test_the_jackknife_over_unequal_groups_estimates_the_error_of_a_mean():
    generator = np.random.default_rng(1)
    groups = np.arange(34) % NUM_GROUPS
    squares = []
    for _ in range(2000):
        values = generator.normal(size=34)
        left = np.array([values[groups != group].mean() for group in range(NUM_GROUPS)])
        _, error = jackknife(values.mean(), left, np.bincount(groups))
        squares.append(float(error) ** 2)
    # The variance of a mean of 34 is 1/34; the mean of the estimates has a known error.
    standard_error = np.std(squares) / np.sqrt(len(squares))
    assert np.mean(squares) == pytest.approx(1 / 34, abs=4 * standard_error)


def test_entropies_have_their_known_values_also_at_zero():
    np.testing.assert_allclose(
        entropy(np.array([[1.0, 0.0], [0.5, 0.5]])), [0.0, np.log(2)], atol=1e-15
    )
    np.testing.assert_allclose(
        bernoulli_entropy(np.array([0.0, 0.5, 1.0])), [0.0, np.log(2), 0.0], atol=1e-15
    )


def test_entropies_agree_with_scipy():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), size=50)
    np.testing.assert_allclose(entropy(probabilities), stats.entropy(probabilities, axis=1))
    share = probabilities[:, 0]
    pairs = np.stack([share, 1 - share], axis=1)
    np.testing.assert_allclose(bernoulli_entropy(share), stats.entropy(pairs, axis=1))


def draw_probabilities(centers, num_samples, generator):
    """Returns passes of ten classes whose logits are normal around `centers`, shape (N, 10)."""
    logits = centers + generator.normal(size=(num_samples, *centers.shape))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def mutual_information(passes):
    return entropy(passes.mean(axis=0)) - entropy(passes).mean(axis=0)


@pytest.mark.parametrize(("num_samples", "goal"), [(10, 0.02), (30, 0.005)])
def test_the_corrected_mutual_information_is_within_its_goal_of_the_limit(num_samples, goal):
    generator = np.random.default_rng(0)
    centers = generator.normal(size=(30, 10)) * 2.0
    limit = mutual_information(draw_probabilities(centers, 40_000, generator)).mean()
    raw, corrected = [], []
    for _ in range(300):
        passes = draw_probabilities(centers, num_samples, generator)
        groups = GroupMeans.empty(NUM_GROUPS, centers.shape)
        groups.update(passes, np.arange(30), 0)
        entropies = GroupMeans.empty(NUM_GROUPS, (30,))
        entropies.update(entropy(passes), np.arange(30), 0)
        left = entropy(leave_group_out(passes.mean(axis=0), groups.mean(), groups.count))
        left -= leave_group_out(entropy(passes).mean(axis=0), entropies.mean(), entropies.count)
        plain = mutual_information(passes)
        raw.append(plain.mean())
        corrected.append(jackknife(plain, left, groups.count)[0].mean())
    # The limit has an error too, that of 40,000 passes.
    relative_deviation = np.std(corrected) / limit
    standard_error = relative_deviation * np.sqrt(1 / 300 + num_samples / 40_000)
    assert standard_error < goal / 3
    assert abs(np.mean(corrected) / limit - 1) < goal + 3 * standard_error
    assert np.mean(raw) / limit - 1 < -0.8 / num_samples
