"""The study of active learning: paired rounds, and targets that are never met."""

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.study import active_learning
from mcdrop.study.plan import Request
from mcdrop.study.running import execute

REQUEST = Request("digits", seeds=1, epochs=1, num_samples=5, train_size=200, test_size=100)


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(active_learning, "LAST", 30)
        patch.setattr(active_learning, "POOL", 60)
        plan = active_learning.plan(REQUEST)
        yield plan, execute(plan)


def test_every_rule_starts_alike_and_labels_as_much(small):
    _, result = small
    for _, run in result.runs.groupby(["setting", "seed"]):
        assert run["labelled"].tolist() == [20, 30]
    first = result.runs[result.runs["labelled"] == 20]
    assert (first.groupby("seed")["error"].nunique() == 1).all()
    last = result.runs[result.runs["labelled"] == 30]
    assert last.groupby("seed")["error"].nunique().max() > 1


def test_the_networks_learn(small):
    _, result = small
    assert result.runs["error"].min() < 0.7  # nine in ten are wrong by chance


def test_sentences_tell_of_runs_that_missed_a_target(small):
    plan, result = small
    sentences = plan.answers(result.runs, result.summary())
    assert "more than 30 (1 of 1 runs never)" in sentences[-1]
    assert not any("nan" in sentence for sentence in sentences)


def test_a_target_that_is_met_for_a_while_counts_from_its_first_round():
    rows = [{"labelled": 20 + place, "error": error} for place, error in enumerate([0.2, 0.1, 0.3])]
    found = active_learning.reached(rows)
    assert found["images_to_10_error"] == 21
    assert "images_to_5_error" not in found
    assert found["mean_error"] == pytest.approx(0.2)


def test_the_start_holds_every_class():
    y = np.repeat(np.arange(10), [1, *[50] * 9])
    chosen = active_learning.balanced_start(y, 20, seed=1)
    counts = np.bincount(y[chosen], minlength=10)
    assert len(set(chosen.tolist())) == 20
    assert counts[0] == 1
    assert counts[1:].min() >= 2


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="train-size"):
        active_learning.plan(Request("digits", 1, 1, 5, train_size=35))
