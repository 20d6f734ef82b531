"""The passes of an example, each seen to fall into the class that it puts first."""

from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop import DataError
from mcdrop.report.building import build
from mcdrop.report.gallery import gallery
from mcdrop.report.votes import MOST_DOTS, MOST_LANES

NAMES = tuple("abcdefghij")


@pytest.mark.parametrize("name", ["classification", "binary"])
def test_each_pass_falls_into_the_class_that_it_puts_first(request, name):
    evaluation = request.getfixturevalue(name)
    prediction = evaluation.prediction
    passes = prediction.samples
    if name == "binary":
        passes = np.stack([1 - passes, passes], axis=-1)
    winners = passes.argmax(axis=-1)
    for item in build(evaluation).gallery:
        first = winners[:, item.index]
        fell = [item.votes[lane].name for lane in item.passes]
        for told, winner in zip(fell, first, strict=True):
            assert told == str(winner) or told.endswith("other classes")
        for place, lane in enumerate(item.votes):
            assert lane.passes == item.passes.count(place)
        assert [lane.name for lane in item.votes if lane.is_true] == [item.label]
        assert len(item.votes) <= MOST_LANES + 1


def test_of_many_passes_the_first_are_shown_and_all_are_counted():
    generator = np.random.default_rng(0)
    passes = generator.dirichlet(np.ones(12), (250, 5))
    prediction = mcdrop.from_samples(passes, passes[0], task="classification")
    evaluation = mcdrop.evaluate(prediction, np.arange(5), num_resamples=100)
    for item in build(evaluation).gallery:
        assert len(item.passes) == MOST_DOTS
        first = passes[:MOST_DOTS, item.index].argmax(axis=-1)
        for place, lane in enumerate(item.votes[:-1]):
            assert lane.passes == (passes[:, item.index].argmax(axis=-1) == int(lane.name)).sum()
            assert item.passes.count(place) == (first == int(lane.name)).sum()
        assert sum(lane.passes for lane in item.votes) == 250
        assert item.votes[-1].name.endswith("other classes")


def forgetful(evaluation):
    """The evaluation of the same prediction, its passes not kept."""
    return replace(evaluation, prediction=replace(evaluation.prediction, samples=None))


def test_passes_that_were_not_kept_are_drawn_again_for_the_examples_shown(classification):
    kept = classification.prediction
    asked = []

    def sampled(places):
        asked.extend(places.tolist())
        return kept.take(places)

    found = gallery(forgetful(classification), NAMES, None, sampled)
    assert found == gallery(classification, NAMES, None)
    assert asked == [item.index for item in found]


def test_votes_without_their_passes_are_not_shown_as_passes(classification):
    assert all(item.passes == () for item in gallery(forgetful(classification), NAMES, None))


def test_passes_of_another_run_are_refused(classification):
    kept, forgotten = classification.prediction, forgetful(classification)
    with pytest.raises(DataError, match="keep_samples=True"):
        gallery(forgotten, NAMES, None, forgotten.prediction.take)
    with pytest.raises(DataError, match="of shape"):
        gallery(forgotten, NAMES, None, lambda places: kept.take(places[:-1]))
    with pytest.raises(DataError, match="other passes than those that were evaluated"):
        gallery(forgotten, NAMES, None, lambda places: kept.take((places + 1) % len(kept)))


def test_what_was_recalibrated_has_no_passes(classification):
    mended = replace(classification.prediction, votes=None)
    assert all(
        item.votes == ()
        for item in gallery(replace(classification, prediction=mended), NAMES, None)
    )
