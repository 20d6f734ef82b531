"""From passes to a Prediction, in blocks or at once."""

import numpy as np
import pytest
from scipy import stats

from mcdrop import metrics
from mcdrop.accumulation import PassAccumulator, from_samples, pass_entropy
from mcdrop.errors import DataError
from mcdrop.stopping import reach_of_probability, unseen_variance

TASKS = ["classification", "binary", "multilabel", "regression", "gaussian"]
FIELDS = (
    "mean",
    "variance",
    "num_samples_per_example",
    "group_means",
    "group_counts",
    "expected_entropy",
    "group_expected_entropy",
    "votes",
    "aleatoric_variance",
    "epistemic_variance",
    "samples",
    "sample_variances",
)


def draw(task, num_samples=23, num_examples=6):
    """Returns passes of a task, their variances and the deterministic prediction."""
    generator = np.random.default_rng(0)
    if task == "classification":
        samples = generator.dirichlet(np.ones(4), size=(num_samples, num_examples))
    elif task in ("binary", "gaussian"):
        samples = generator.random((num_samples, num_examples))
    else:
        samples = generator.random((num_samples, num_examples, 3))
    variances = generator.random(samples.shape) if task == "gaussian" else None
    return samples, variances, samples[0]


def build(task):
    samples, variances, deterministic = draw(task)
    off = None if variances is None else variances[0]
    return from_samples(
        samples, deterministic, task=task, variances=variances, deterministic_variance=off
    )


def part(values, *index):
    return None if values is None else values[index]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "softmax"}, "task"),
        ({"samples": np.full((1, 2, 3), 1 / 3)}, "T >= 2"),
        ({"deterministic": np.full((3, 3), 1 / 3)}, r"\(4, 2, 3\) and `deterministic` \(3, 3\)"),
        ({"samples": np.full((4, 2, 3), 0.5)}, "does not sum to 1"),
        ({"samples": np.full((4, 2, 3), np.nan)}, "NaN"),
        ({"deterministic": np.full((2, 3), np.inf)}, "infinite"),
        ({"samples": np.full((4, 2, 3), 2.0), "task": "multilabel"}, r"outside \[0, 1\].*sigmoid"),
        ({"samples": np.full((4, 2, 3), "a")}, "dtype"),
        ({"task": "gaussian"}, "needs `variances`"),
        ({"variances": np.ones((4, 2, 3))}, "takes no `variances`"),
        (
            {
                "task": "gaussian",
                "variances": -np.ones((4, 2, 3)),
                "deterministic_variance": np.ones((2, 3)),
            },
            "no negative",
        ),
        (
            {"task": "gaussian", "variances": np.ones((4, 2, 3))},
            "needs `deterministic_variance`",
        ),
        (
            {
                "task": "gaussian",
                "variances": np.ones((4, 2, 3)),
                "deterministic_variance": np.ones(2),
            },
            r"\(2,\), expected \(2, 3\)",
        ),
    ],
)
def test_passes_that_do_not_fit_are_refused(changes, message):
    arguments = {
        "samples": np.full((4, 2, 3), 1 / 3),
        "deterministic": np.full((2, 3), 1 / 3),
        "task": "classification",
    }
    with pytest.raises(DataError, match=message):
        from_samples(**(arguments | changes))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sizes", [[23], [1] * 23, [2, 16, 5], [10, 13]])
def test_blocks_of_any_size_give_the_same_prediction(task, sizes):
    samples, variances, deterministic = draw(task)
    off = None if variances is None else variances[0]
    accumulator = PassAccumulator(task, (23,), keep_samples=True)
    first = 0
    for size in sizes:
        for rows in (np.array([4, 0, 2]), np.array([1, 5, 3])):
            accumulator.update(
                samples[first : first + size, rows],
                first_pass=first,
                rows=rows,
                num_examples=6,
                variances=part(variances, slice(first, first + size), rows),
            )
        first += size
    found = accumulator.finish(deterministic, deterministic_variance=off)
    expected = build(task)
    for name in FIELDS:
        value = getattr(expected, name)
        if value is None:
            assert getattr(found, name) is None, name
        else:
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6, err_msg=name)
    assert found.num_samples == expected.num_samples == 23


@pytest.mark.parametrize("task", TASKS)
def test_mean_and_variance_are_those_of_numpy(task):
    samples, variances, deterministic = draw(task)
    prediction = build(task)
    np.testing.assert_allclose(prediction.mean, samples.mean(axis=0))
    spread = samples.var(axis=0, ddof=1)
    if task == "gaussian":
        np.testing.assert_allclose(prediction.epistemic_variance, spread)
        np.testing.assert_allclose(prediction.aleatoric_variance, variances.mean(axis=0))
        spread = spread + variances.mean(axis=0)
    np.testing.assert_allclose(prediction.variance, spread)
    np.testing.assert_array_equal(prediction.deterministic, deterministic)
    np.testing.assert_array_equal(prediction.samples, samples)


def test_expected_entropy_is_the_mean_entropy_of_the_passes():
    samples, _, _ = draw("classification")
    prediction = build("classification")
    expected = stats.entropy(samples, axis=-1).mean(axis=0)
    np.testing.assert_allclose(prediction.expected_entropy, expected)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_yes_no_outcomes_have_an_entropy_each(task):
    samples, _, _ = draw(task)
    pairs = np.stack([samples, 1 - samples], axis=-1)
    expected = stats.entropy(pairs, axis=-1)
    np.testing.assert_allclose(pass_entropy(task, samples), expected)
    np.testing.assert_allclose(build(task).expected_entropy, expected.mean(axis=0))


def test_votes_are_the_shares_of_passes_that_put_a_class_first():
    samples, _, _ = draw("classification")
    winners = samples.argmax(axis=-1)
    expected = np.stack([(winners == c).mean(axis=0) for c in range(4)], axis=-1)
    np.testing.assert_allclose(build("classification").votes, expected)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_votes_of_yes_no_outcomes_are_the_shares_of_yes(task):
    samples, _, _ = draw(task)
    np.testing.assert_allclose(build(task).votes, (samples > 0.5).mean(axis=0))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_votes_class_and_variation_ratio_agree_where_yes_and_no_tie(task):
    # Two of five passes tie; a tie says no, as the first largest of (0.5, 0.5) does.
    passes = np.array([0.5, 0.5, 0.75, 0.75, 0.0])[:, np.newaxis]
    samples = passes if task == "binary" else passes[..., np.newaxis]
    prediction = from_samples(samples, np.full(samples.shape[1:], 0.5), task=task)
    assert prediction.mean.item() == 0.5
    assert prediction.predicted_class.item() == 0
    assert prediction.votes.item() == 0.4
    pairs = np.stack([1 - samples, samples], axis=-1)
    assert prediction.variation_ratio.item() == metrics.variation_ratio(pairs).item() == 0.4


def test_maps_keep_their_axes():
    samples = np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 2, 4, 6))
    prediction = from_samples(samples, samples[0], task="classification")
    assert prediction.mean.shape == (2, 4, 6, 3)
    assert prediction.expected_entropy.shape == (2, 4, 6)
    assert prediction.group_means.shape == (5, 2, 4, 6, 3)


def test_examples_may_stop_early():
    samples, _, deterministic = draw("classification", num_samples=40)
    accumulator = PassAccumulator("classification", (40,))
    accumulator.update(samples[:16], first_pass=0, rows=np.arange(6), num_examples=6)
    rows = np.array([1, 4])
    accumulator.update(samples[16:, rows], first_pass=16, rows=rows, num_examples=6)
    prediction = accumulator.finish(deterministic)
    np.testing.assert_array_equal(prediction.num_samples_per_example, [16, 40, 16, 16, 40, 16])
    assert prediction.num_samples == 40
    whole = from_samples(samples, deterministic, task="classification")
    early = from_samples(samples[:16], deterministic, task="classification")
    for name in ("mean", "variance", "votes", "expected_entropy", "mutual_information_corrected"):
        found = getattr(prediction, name)
        np.testing.assert_allclose(found[rows], getattr(whole, name)[rows], rtol=1e-5)
        np.testing.assert_allclose(
            found[[0, 2, 3, 5]], getattr(early, name)[[0, 2, 3, 5]], rtol=1e-5
        )


def test_the_error_that_stops_sampling_adds_what_passes_may_have_missed():
    samples, _, deterministic = draw("classification")
    accumulator = PassAccumulator("classification", (23,))
    accumulator.update(samples, first_pass=0, rows=np.arange(6), num_examples=6)
    rows = np.array([5, 2])
    missed = unseen_variance(np.array(23.0), reach_of_probability(samples.mean(axis=0)))
    expected = np.sqrt(samples.var(axis=0, ddof=1) / 23 + missed).max(axis=1)[rows]
    np.testing.assert_allclose(accumulator.stopping_error(rows, deterministic), expected)


def test_passes_are_kept_in_their_own_precision_only_when_asked():
    samples, _, deterministic = draw("classification")
    for keep in (True, False):
        accumulator = PassAccumulator("classification", (23,), keep_samples=keep)
        block = samples.astype(np.float32)
        accumulator.update(block, first_pass=0, rows=np.arange(6), num_examples=6)
        prediction = accumulator.finish(deterministic, masks="shared", balanced=True)
        assert (prediction.samples is not None) == keep
        assert prediction.mean.dtype == np.float64
        assert (prediction.masks, prediction.balanced) == ("shared", True)
    assert prediction.group_means.dtype == np.float32
