"""Tests of mcdrop.acquisition."""

import itertools

import numpy as np
import pytest
from scipy.special import entr, softmax

from mcdrop import acquisition
from mcdrop.errors import DataError
from mcdrop.metrics import uncertainty


def make_pool(num_samples, num_examples, num_classes, seed=0):
    """Returns samples (T, N, C) whose passes disagree alike on examples that are alike."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(num_examples, 3))
    weights = generator.normal(0, 1.2, size=(num_samples, 3, num_classes))
    return softmax(np.einsum("nf,tfc->tnc", features, weights), axis=-1)


def joint_mutual_information(samples, indices):
    """Returns I(y_1, ..., y_k; pass) by enumerating all C^k configurations of labels."""
    chosen = samples[:, list(indices)]
    joint_entropy = 0.0
    for labels in itertools.product(range(samples.shape[2]), repeat=len(indices)):
        likelihood = np.prod([chosen[:, i, label] for i, label in enumerate(labels)], axis=0)
        joint_entropy += entr(likelihood.mean())
    return joint_entropy - entr(chosen).sum(axis=-1).mean(axis=0).sum()


def test_an_unknown_method_is_refused():
    with pytest.raises(DataError, match="'predictive_entropy', 'mutual_information'"):
        acquisition.score(make_pool(3, 4, 2), method="margin")
    with pytest.raises(DataError, match="'batch_bald'"):
        acquisition.select(make_pool(3, 4, 2), 1, method="margin")


def test_maps_are_refused_with_the_way_to_reduce_them():
    with pytest.raises(DataError, match="reduce_map"):
        acquisition.score(np.full((2, 3, 4, 4, 2), 0.5), method="predictive_entropy")


def test_scores_take_no_method_and_samples_need_one():
    with pytest.raises(DataError, match="expected scores"):
        acquisition.select([0.1, 0.2], 1, method="mutual_information")
    with pytest.raises(DataError, match="expected scores"):
        acquisition.select(make_pool(3, 4, 2), 1)


@pytest.mark.parametrize("k", [0, 5, 1.5, True])
def test_the_batch_must_fit_the_pool(k):
    with pytest.raises(DataError, match="`k` is"):
        acquisition.select(np.zeros(4), k)
    with pytest.raises(DataError, match="`k` is"):
        acquisition.batch_bald(make_pool(3, 4, 2), k)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3, 4, 5), (2, 0)])
def test_covariance_needs_two_passes_of_examples(shape):
    with pytest.raises(DataError, match="`samples` has shape"):
        acquisition.covariance(np.zeros(shape))


@pytest.mark.parametrize("method", [*acquisition.SCORES, "batch_bald"])
def test_selections_are_different_examples(method):
    indices = acquisition.select(make_pool(10, 30, 3), 8, method=method)
    assert indices.shape == (8,)
    assert np.unique(indices).size == 8
    assert indices.dtype == np.intp


def test_the_highest_scores_come_first():
    assert acquisition.select([0.1, 0.9, -1.0, 0.5], 3).tolist() == [1, 3, 0]


@pytest.mark.parametrize("method", acquisition.SCORES)
def test_scores_are_those_of_the_metrics(method):
    pool = make_pool(10, 30, 3)
    expected = getattr(uncertainty, method)(pool)
    np.testing.assert_array_equal(acquisition.score(pool, method=method), expected)
    best = acquisition.select(pool, 5, method=method)
    assert np.sort(expected[best]).tolist() == np.sort(expected)[-5:].tolist()


def test_ties_are_broken_by_the_seed_and_not_by_the_order_of_the_pool():
    # Each of 40 tied examples is drawn with probability 1/4 in each of 400 seeds; 5 deviations
    # for the largest of 40 counts.
    scores = np.r_[np.zeros(40), 1.0]
    picks = [acquisition.select(scores, 11, seed=seed) for seed in range(400)]
    assert all(pick[0] == 40 for pick in picks)
    counts = np.bincount(np.concatenate([pick[1:] for pick in picks]), minlength=41)
    np.testing.assert_allclose(counts[:40], 100, atol=5 * np.sqrt(400 * 0.25 * 0.75))
    np.testing.assert_array_equal(picks[3], acquisition.select(scores, 11, seed=3))


def test_one_example_of_batch_bald_is_the_one_of_bald():
    pool = make_pool(20, 50, 4)
    result = acquisition.batch_bald(pool, 1)
    expected = uncertainty.mutual_information(pool)
    assert result.indices[0] == expected.argmax()
    assert result.mutual_information[0] == pytest.approx(expected.max(), rel=1e-12)


def test_twins_are_chosen_once_where_bald_chooses_both():
    pool = make_pool(20, 12, 3)
    best = int(uncertainty.mutual_information(pool).argmax())
    pool = np.concatenate([pool, pool[:, [best]]], axis=1)
    twins = {best, 12}
    assert set(acquisition.select(pool, 2, method="mutual_information").tolist()) == twins
    # A twin still tells a little, its label being random; less than what another example tells.
    assert len(twins & set(acquisition.batch_bald(pool, 2).indices.tolist())) == 1


def test_two_examples_that_share_one_bit_tell_one_bit():
    # Passes 0 and 1 answer both examples alike and surely; the pair tells log 2, not 2 log 2.
    pool = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
    np.testing.assert_allclose(
        acquisition.batch_bald(pool, 2).mutual_information, [np.log(2), np.log(2)], atol=1e-15
    )


def test_exact_batches_are_the_greedy_ones_of_brute_force():
    pool = make_pool(7, 9, 3, seed=2)
    result = acquisition.batch_bald(pool, 4)
    batch = []
    for step in range(4):
        values = {
            n: joint_mutual_information(pool, [*batch, n]) for n in range(9) if n not in batch
        }
        batch.append(max(values, key=values.get))
        assert result.mutual_information[step] == pytest.approx(values[batch[-1]], rel=1e-11)
    assert result.indices.tolist() == batch


def test_skipping_candidates_by_their_bound_keeps_the_greedy_batch(monkeypatch):
    pool = make_pool(10, 80, 3, seed=6)
    whole = acquisition.batch_bald(pool, 5)
    calls = []
    plain = acquisition._gains

    def counted(candidates, pass_entropy, states):
        calls.append(candidates.shape[1])
        return plain(candidates, pass_entropy, states)

    monkeypatch.setattr(acquisition, "_gains", counted)
    monkeypatch.setattr(acquisition, "BLOCK_ELEMENTS", 1)
    blocks = acquisition.batch_bald(pool, 5)
    np.testing.assert_array_equal(whole.indices, blocks.indices)
    assert sum(calls) < 0.75 * 5 * 80


def test_sampled_configurations_estimate_the_joint_information():
    # A pool of six, all chosen: 729 configurations, of which 60 are kept. The systematic draw is
    # unbiased for a given order; the order is chosen on the estimates, which adds a small bias.
    pool = make_pool(8, 6, 3, seed=7)
    exact = joint_mutual_information(pool, range(6))
    estimates = [
        acquisition.batch_bald(pool, 6, num_configurations=60, seed=seed).mutual_information[-1]
        for seed in range(60)
    ]
    tolerance = 4 * np.std(estimates, ddof=1) / np.sqrt(60) + 0.01 * exact
    assert np.mean(estimates) == pytest.approx(exact, abs=tolerance)
    assert tolerance < 0.03 * exact


def test_the_information_never_falls_and_ends_at_the_logarithm_of_the_passes():
    pool = make_pool(6, 60, 4, seed=8) ** 6
    pool /= pool.sum(axis=-1, keepdims=True)
    result = acquisition.batch_bald(pool, 12, num_configurations=300)
    assert (np.diff(result.mutual_information) >= 0).all()
    assert result.mutual_information[-1] == pytest.approx(np.log(6), rel=0.02)


def test_drawn_configurations_never_tell_more_than_there_is():
    # Five of 3^6 configurations: the estimate is rough, and without a cut exceeds log 8 by 0.08.
    pool = make_pool(8, 30, 3, seed=7) ** 4
    pool /= pool.sum(axis=-1, keepdims=True)
    bound = np.minimum(np.log(8), np.arange(1, 13) * np.log(3))
    for seed in range(20):
        found = acquisition.batch_bald(pool, 12, num_configurations=5, seed=seed)
        assert (found.mutual_information <= bound).all()
        assert (np.diff(found.mutual_information) >= 0).all()


def test_nothing_is_gained_once_the_passes_are_told_apart_whatever_configurations_are_kept():
    # Example 0 names the pass. Example 1 has another entropy in each pass, so entropies averaged
    # over the five kept of the eight configurations would differ from those over all passes.
    certain = np.eye(8)
    unsure = np.linspace(0.2, 1, 8)[:, None] * np.full((8, 8), 1 / 8)
    unsure[:, 0] += 1 - unsure.sum(axis=1)
    result = acquisition.batch_bald(np.stack([certain, unsure], axis=1), 2, num_configurations=5)
    assert result.indices.tolist() == [0, 1]
    np.testing.assert_allclose(result.mutual_information, np.log(8), rtol=1e-12)


def test_configurations_are_kept_in_proportion_to_their_probability():
    # Example 0 tells passes (0, 1) from (2, 3); example 1 tells 0 from 1 a little, and nothing
    # about 2 and 3. With one configuration kept, half of the seeds see a gain. 4 deviations.
    first = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    second = np.array([[0.8, 0.2], [0.2, 0.8], [0.5, 0.5], [0.5, 0.5]])
    pool = np.stack([first, second], axis=1)
    gains = [
        np.diff(
            acquisition.batch_bald(pool, 2, num_configurations=1, seed=seed).mutual_information
        )[0]
        for seed in range(400)
    ]
    assert np.mean(np.array(gains) > 0.1) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 400))
    exact = np.diff(acquisition.batch_bald(pool, 2).mutual_information)[0]
    assert exact == pytest.approx(max(gains) / 2, rel=1e-9)


def test_covariance_under_enumerated_shared_masks_is_the_known_one_of_a_linear_model():
    # f(x) = sum_i w_i x_i m_i / (1 - p) over all masks of three units at p = 1/2:
    # Cov(f(x), f(z)) = sum_i w_i^2 x_i z_i p / (1 - p); the factor T / (T - 1) is of the sample.
    masks = np.array(list(itertools.product([0, 2], repeat=3)))
    weights = np.array([1.0, -2.0, 0.5])
    x = np.random.default_rng(9).normal(size=(5, 3))
    result = acquisition.covariance(np.einsum("tf,nf->tn", masks * weights, x))
    expected = np.einsum("f,nf,mf->nm", weights**2, x, x) * 8 / 7
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_covariance_has_one_matrix_for_each_output_and_agrees_with_numpy():
    samples = np.random.default_rng(10).normal(5, 2, size=(12, 4, 3))
    result = acquisition.covariance(samples)
    assert result.shape == (3, 4, 4)
    for d in range(3):
        expected = np.cov(samples[:, :, d], rowvar=False)
        np.testing.assert_allclose(result[d], expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(acquisition.covariance(samples[:, :, d]), expected, atol=1e-12)
