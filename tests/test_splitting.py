"""Passes that share their early masks: components of variance, errors, and allocation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

import mcdrop
from mcdrop.errors import DataError
from mcdrop.evaluation.regression_measures import _crps
from mcdrop.evaluation.sources import of_prediction
from mcdrop.evaluation.targets import as_targets, shape_of
from mcdrop.splitting import (
    MINIMUM_OUTER_DRAWS,
    NestedMoments,
    allocate,
    check_splitting,
    variance_of_mean,
)

COMPONENTS = np.array([0.5, 1.0, 2.0])


def nested_normals(splitting, components, *, replicas, seed=0):
    """Passes of shape (T, replicas): sums of normals drawn once for each draw of a stage."""
    generator = np.random.default_rng(seed)
    total = np.zeros((1, replicas))
    for count, component in zip(splitting, components, strict=True):
        total = np.repeat(total, count, axis=0)
        total = total + np.sqrt(component) * generator.standard_normal(total.shape)
    return total


def moments_of(passes, levels, *, blocks=1):
    moments = NestedMoments.empty(levels, passes.shape[1:])
    rows = np.arange(passes.shape[1])
    for block in np.array_split(passes, blocks):
        moments.update(block, rows)
    return moments


@pytest.mark.parametrize("splitting", ["auto?", 7, (), (1, 4), (3, 0), (2.5, 2), [3, "4"]])
def test_counts_that_are_none_are_refused(splitting):
    with pytest.raises(DataError, match="splitting"):
        check_splitting(splitting)


def test_one_level_is_the_ordinary_mean_and_variance():
    passes = np.random.default_rng(0).normal(size=(12, 5))
    moments = moments_of(passes, (12,), blocks=4)
    np.testing.assert_allclose(moments.mean, passes.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.variance(), passes.var(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_array_equal(moments.components()[0], moments.variance())


def test_blocks_of_outer_draws_change_nothing():
    passes = nested_normals((6, 3, 4), COMPONENTS, replicas=7)
    once, often = (moments_of(passes, (6, 3, 4), blocks=blocks) for blocks in (1, 3))
    np.testing.assert_allclose(once.components(), often.components(), rtol=1e-10)
    np.testing.assert_allclose(once.mean, often.mean, rtol=1e-12)


def test_components_agree_with_the_textbook_analysis_of_variance():
    a, b = 5, 4
    passes = nested_normals((a, b), COMPONENTS[:2], replicas=3).reshape(a, b, 3)
    within = passes.var(axis=1, ddof=1).mean(axis=0)
    between = passes.mean(axis=1).var(axis=0, ddof=1)
    found = moments_of(passes.reshape(a * b, 3), (a, b)).components()
    np.testing.assert_allclose(found, [between - within / b, within], rtol=1e-12)


def test_components_and_the_error_of_the_mean_are_unbiased():
    splitting, replicas = (6, 3, 4), 4000
    passes = nested_normals(splitting, COMPONENTS, replicas=replicas)
    moments = moments_of(passes, splitting)
    components = moments.components()
    error = components.std(axis=1, ddof=1) / np.sqrt(replicas)
    assert (np.abs(components.mean(axis=1) - COMPONENTS) < 4 * error).all()
    stated = variance_of_mean(components, splitting, np.full(replicas, 6.0))
    # The variance of the mean over replicas, against the mean of the stated one.
    spread = moments.mean.var(ddof=1)
    assert abs(stated.mean() / spread - 1) < 4 * np.sqrt(2 / replicas) + 4 * np.sqrt(
        2 / 5 / replicas
    )
    np.testing.assert_allclose(components.sum(axis=0), moments.variance(), rtol=1e-10, atol=1e-12)


def test_intervals_with_students_t_of_the_outer_draws_cover():
    splitting, replicas = (6, 16), 4000
    passes = nested_normals(splitting, [0.1, 0.9], replicas=replicas, seed=3)
    moments = moments_of(passes, splitting)
    error = np.sqrt(variance_of_mean(moments.components(), splitting, np.full(replicas, 6.0)))
    covered = np.abs(moments.mean) < stats.t.ppf(0.975, 5) * error
    assert abs(covered.mean() - 0.95) < 4 * np.sqrt(0.95 * 0.05 / replicas)


def test_equal_passes_have_no_variance_at_all():
    moments = moments_of(np.full((12, 2), 1 / 3), (3, 4))
    assert (moments.variance() == 0).all()
    assert (moments.components() == 0).all()


def nested_prediction(splitting=(6, 5), **options):
    logits = nested_normals(splitting, [0.3, 0.7], replicas=40, seed=1)
    probability = 1 / (1 + np.exp(-logits))
    passes = np.stack([probability, 1 - probability], axis=-1)
    return passes, mcdrop.from_samples(
        passes, passes.mean(axis=0), task="classification", splitting=splitting, **options
    )


def test_groups_hold_whole_outer_draws():
    passes, prediction = nested_prediction()
    assert prediction.group_counts.tolist() == [[5] * 40] * 6
    np.testing.assert_allclose(
        prediction.group_means, passes.reshape(6, 5, 40, 2).mean(axis=1), rtol=1e-6
    )
    assert prediction.pass_groups.tolist() == np.repeat(np.arange(6), 5).tolist()


def test_a_prediction_states_the_error_of_its_outer_draws():
    passes, prediction = nested_prediction()
    means = passes.reshape(6, 5, 40, 2).mean(axis=1)
    np.testing.assert_allclose(
        prediction.monte_carlo_error, means.std(axis=0, ddof=1) / np.sqrt(6), rtol=1e-9
    )
    assert (prediction.effective_samples < 30.0 + 1e-9).mean() > 0.5
    np.testing.assert_allclose(prediction.variance_components.sum(axis=0), prediction.variance)


def test_ordinary_passes_are_worth_themselves():
    passes, _ = nested_prediction()
    ordinary = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
    assert ordinary.effective_samples.tolist() == [30.0] * 40
    one_inner = mcdrop.from_samples(
        passes, passes.mean(axis=0), task="classification", splitting=(30, 1)
    )
    np.testing.assert_allclose(one_inner.variance, ordinary.variance)
    np.testing.assert_allclose(one_inner.monte_carlo_error, ordinary.monte_carlo_error)
    np.testing.assert_allclose(one_inner.effective_samples, 30.0)


def test_a_nested_prediction_is_saved_taken_and_joined(tmp_path):
    _, prediction = nested_prediction()
    prediction.save(tmp_path / "p.npz")
    loaded = mcdrop.Prediction.load(tmp_path / "p.npz")
    assert loaded.splitting == (6, 5)
    np.testing.assert_array_equal(loaded.monte_carlo_error, prediction.monte_carlo_error)
    some = prediction.take([3, 1])
    np.testing.assert_array_equal(some.monte_carlo_error, prediction.monte_carlo_error[[3, 1]])


def test_passes_that_the_counts_do_not_make_are_refused():
    with pytest.raises(DataError, match="makes 35 passes"):
        mcdrop.from_samples(np.ones((30, 2)), np.ones(2), task="regression", splitting=(7, 5))


def test_evaluate_takes_nested_passes():
    _, prediction = nested_prediction()
    evaluation = mcdrop.evaluate(prediction, np.arange(40) % 2)
    assert np.isfinite(evaluation["accuracy"].monte_carlo.value)


def two_coins(splitting, *, num_examples, seed=0):
    """Passes 0.5 + 0.2 u + 0.1 v with an early and a late coin of +-1: variances 0.04 and 0.01."""
    generator = np.random.default_rng(seed)
    outer, inner = splitting
    early = generator.choice([-0.2, 0.2], (outer, 1, num_examples))
    late = generator.choice([-0.1, 0.1], (outer, inner, num_examples))
    return (0.5 + early + late).reshape(outer * inner, num_examples)


def predicted(passes, task, splitting):
    return mcdrop.from_samples(passes, passes.mean(axis=0), task=task, splitting=splitting)


def halves_of(prediction):
    targets = as_targets(np.zeros(len(prediction)), prediction.task, shape_of(prediction), 0.95)
    return [half for _, half in of_prediction(prediction, targets).halves()]


@pytest.mark.parametrize("outer", [4, 5, 6, 20])
def test_halves_of_the_passes_have_the_variance_of_all_masks(outer):
    passes = two_coins((outer, 8), num_examples=4000)
    for task in ("binary", "regression"):
        halves = halves_of(predicted(passes, task, (outer, 8)))
        if task == "binary":
            found = np.mean([np.square(half.standard_deviation) for half in halves], axis=0)
        else:
            found = np.mean([half.variance for half in halves], axis=0)
        assert abs(found.mean() - 0.05) < 4.5 * found.std() / np.sqrt(found.size)


@pytest.mark.parametrize("outer", [2, 3])
def test_one_draw_of_the_first_masks_has_no_spread(outer):
    passes = two_coins((outer, 8), num_examples=60)
    halves = halves_of(predicted(passes, "binary", (outer, 8)))
    assert all(half.standard_deviation is None for half in halves)
    evaluation = mcdrop.evaluate(
        predicted(passes, "binary", (outer, 8)), np.arange(60) % 2, metrics="all"
    )
    spread = evaluation["mean_standard_deviation"].monte_carlo
    assert np.isfinite(spread.value)
    assert spread.monte_carlo_error is None


@pytest.mark.parametrize("splitting", [(3, 16), (12, 4)])
def test_the_crps_is_that_of_infinitely_many_masks(splitting):
    passes = two_coins(splitting, num_examples=4000)
    y = np.random.default_rng(1).normal(0.5, 0.2, 4000)
    values = np.array([0.2, 0.4, 0.6, 0.8])
    spread = np.abs(values[:, None] - values).mean()
    true = np.abs(values[:, None] - y).mean(axis=0) - spread / 2
    targets = as_targets(y, "regression", (4000,), 0.95)
    found = _crps(of_prediction(predicted(passes, "regression", splitting), targets).forecast)
    error = (found - true).std() / np.sqrt(4000)
    assert abs(found.mean() - true.mean()) < 4.5 * error


def test_a_warning_counts_the_draws_of_the_first_masks():
    passes = two_coins((3, 40), num_examples=60)
    evaluation = mcdrop.evaluate(predicted(passes, "binary", (3, 40)), np.arange(60) % 2)
    assert "3 draws of the first masks" in evaluation.warnings["few_passes"]


def test_a_repaired_mean_states_the_error_of_its_outer_draws():
    """A temperature near 1 stretches the logit, and with it every component, by its inverse."""
    _, prediction = nested_prediction()
    scaling = mcdrop.recalibrate.TemperatureScaling(temperature=1.001)
    repaired = scaling.apply(prediction)
    np.testing.assert_allclose(
        repaired.monte_carlo_error, prediction.monte_carlo_error, rtol=2e-2, atol=1e-6
    )
    np.testing.assert_allclose(repaired.effective_samples, prediction.effective_samples, rtol=1e-3)
    np.testing.assert_allclose(repaired.variance_components.sum(axis=0), repaired.variance)


def test_repaired_passes_still_share_their_masks():
    _, prediction = nested_prediction()
    scaling = mcdrop.recalibrate.TemperatureScaling(temperature=1.001, apply_to="passes")
    repaired = scaling.apply(prediction)
    assert repaired.splitting == (6, 5)
    np.testing.assert_allclose(
        repaired.monte_carlo_error, prediction.monte_carlo_error, rtol=2e-2, atol=1e-6
    )


def best_by_search(shares, costs, num_samples, most=64):
    ranges = [range(1, most + 1)] * (len(shares) - 1)
    best = num_samples * sum(costs)
    for inner in product(*ranges):
        draws = np.cumprod((1, *inner))
        needed = int(np.ceil(num_samples * (np.array(shares) / draws).sum() - 1e-9))
        best = min(best, max(MINIMUM_OUTER_DRAWS, needed) * float(np.dot(costs, draws)))
    return best


@pytest.mark.parametrize(
    ("shares", "costs"),
    [
        ([0.07, 0.93], [0.96, 0.04]),
        ([0.2, 0.8], [0.96, 0.04]),
        ([0.12, 0.18, 0.70], [0.8, 0.15, 0.05]),
        ([0.5, 0.0, 0.5], [0.6, 0.3, 0.1]),
        ([0.9, 0.1], [0.1, 0.9]),
    ],
)
def test_allocation_is_close_to_the_best_of_all(shares, costs):
    chosen = allocate(shares, costs, 50)
    draws = np.cumprod(chosen)
    assert (np.array(shares) / draws).sum() <= 1 / 50 + 1e-12
    assert np.dot(costs, draws) <= 1.02 * best_by_search(shares, costs, 50)


def test_allocation_takes_ordinary_passes_where_nothing_is_to_be_gained():
    assert allocate([1.0], [1.0], 50) == (50,)
    assert allocate([0.0, 0.0], [1.0, 1.0], 50) == (50, 1)
    assert allocate([1.0, 0.0], [0.5, 0.5], 50) == (50, 1)
    assert allocate([0.1, 0.9], [0.9, 0.1], 5) == (5, 1)
