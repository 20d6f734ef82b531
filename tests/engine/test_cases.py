"""Every kind of Keras model, checked by one harness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from keras import tree

import mcdrop
from mcdrop.engine.audit import find_leaves

from .harness import (
    Snapshot,
    check_same_distribution,
    keras_training,
    replay,
    run_inference,
    without_xla,
)
from .models import CASES, NUM_EXAMPLES, Case

SEED = 5
NUM_SAMPLES = 1000

pytestmark = pytest.mark.filterwarnings("ignore:Selected, but no noise:mcdrop.errors.ModelWarning")
every_case = pytest.mark.parametrize("name", CASES)


@dataclass(frozen=True)
class Run:
    """What sampling a model gave.

    Attributes:
        case: The case.
        x: The inputs.
        mc: The wrapped model.
        snapshot: The model before it was wrapped.
        expected: The model's own flat outputs in inference.
        deterministic: The flat deterministic predictions.
        samples: The flat passes, each of shape (T, N, ...).
    """

    case: Case
    x: Any
    mc: mcdrop.MCDropout
    snapshot: Snapshot
    expected: list[np.ndarray]
    deterministic: list[np.ndarray]
    samples: list[np.ndarray]


@cache
def sampled(name: str) -> Run:
    """Returns the run of a case, made once."""
    case = CASES[name]
    x = case.draw()
    expected = run_inference(case.build(), x)
    model = case.build()
    snapshot = Snapshot(model)
    mc = mcdrop.MCDropout(model, layers=case.kinds, task="regression")
    mc = mc if case.compiled else without_xla(mc)
    count = NUM_SAMPLES if case.distribution else 8
    predictions = mc.predict(x, num_samples=count, seed=SEED, keep_samples=True)
    flat = list(predictions.values()) if isinstance(predictions, dict) else [predictions]
    deterministic = [prediction.deterministic for prediction in flat]
    return Run(case, x, mc, snapshot, expected, deterministic, [p.samples for p in flat])


@every_case
def test_the_model_is_untouched_to_the_bit(name):
    sampled(name).snapshot.check()


@every_case
def test_the_deterministic_prediction_is_the_model_in_inference(name):
    run = sampled(name)
    assert len(run.deterministic) == len(run.expected)
    for ours, theirs in zip(run.deterministic, run.expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=run.case.tolerance)


@every_case
def test_every_output_behind_a_sampled_layer_is_random_and_no_other(name):
    run = sampled(name)
    assert sum(info.selected for info in run.mc.stochastic_layers) == run.case.sampled
    for index, samples in enumerate(run.samples):
        spread = samples.reshape(*samples.shape[:2], -1).std(axis=0).max(axis=-1)
        if index in run.case.constant_outputs:
            assert (samples == samples[:1]).all()
        else:
            assert (spread > 1e-7).all()
            assert not np.array_equal(samples[:, 0], samples[:, 1])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.replayable])
def test_a_pass_is_the_model_with_its_masks_put_in_by_hand(name):
    run = sampled(name)
    copy = run.case.build()
    leaves = find_leaves(copy, run.case.kinds)
    for number in (0, 7):
        by_hand = replay(copy, leaves, run.x, number=number, seed=SEED)
        for ours, theirs in zip(run.samples, by_hand, strict=True):
            np.testing.assert_allclose(
                ours[number], theirs, rtol=run.case.tolerance, atol=2 * run.case.tolerance
            )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.distribution])
def test_passes_are_distributed_as_in_keras_training(name):
    run = sampled(name)
    selected = _selected(run.mc, run.case.kinds)
    theirs = keras_training(
        run.case.build(), run.x, selected, count=NUM_SAMPLES, rowwise=run.case.rowwise
    )
    for ours, reference in zip(run.samples, theirs, strict=True):
        check_same_distribution(ours, reference, run.case.tolerance)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.sampled > 1 and case.distribution]
)
def test_a_layer_chosen_alone_is_alone_random(name):
    case, x = CASES[name], CASES[name].draw()
    model = case.build()
    snapshot = Snapshot(model)
    chosen = {
        ordinal: leaf.info.path
        for ordinal, leaf in enumerate(find_leaves(model, case.kinds))
        if leaf.info.selected and leaf.info.rate < 1.0
    }
    alone = {
        ordinal: without_xla(mcdrop.MCDropout(model, layers=[path])).sample(
            x, num_samples=NUM_SAMPLES, seed=SEED
        )
        for ordinal, path in chosen.items()
    }
    snapshot.check()
    for ordinal, passes in alone.items():
        theirs = keras_training(case.build(), x, {ordinal}, count=NUM_SAMPLES, rowwise=case.rowwise)
        for ours, reference in zip(tree.flatten(passes), theirs, strict=True):
            check_same_distribution(ours, reference, case.tolerance)


@every_case
def test_passes_depend_on_no_batch_size_no_number_of_passes_and_no_compiler(name):
    run = sampled(name)
    again = without_xla(mcdrop.MCDropout(run.mc.model, layers=run.case.kinds))
    passes = again.sample(run.x, num_samples=6, seed=SEED, batch_size=1)
    tolerance = run.case.tolerance
    for first, samples in zip(tree.flatten(passes), run.samples, strict=True):
        np.testing.assert_allclose(first, samples[:6], rtol=tolerance, atol=2 * tolerance)


@pytest.mark.parametrize(
    "name",
    [
        "multilayer_perceptron",
        "convolutional",
        "siamese_with_a_shared_model",
        "masked_embedding_and_lstm",
        "multi_head_attention",
        "time_distributed",
        "lambda_and_operations",
        "subclassed_model",
        "noise_shapes",
        "gaussian_and_alpha_dropout",
        "examples_folded_into_more_rows",
        "examples_on_the_second_axis",
        "two_dropouts_of_one_tensor",
    ],
)
def test_shared_masks_are_those_that_an_example_has_alone(name):
    """Masks of example 0 are everyone's: passes of example i equal those of i as the only one."""
    run = sampled(name)
    shared = without_xla(mcdrop.MCDropout(run.mc.model, masks="shared", layers=run.case.kinds))
    together = tree.flatten(shared.sample(run.x, num_samples=18, seed=SEED))
    own = without_xla(mcdrop.MCDropout(run.mc.model, layers=run.case.kinds))
    for example in range(NUM_EXAMPLES):
        x = tree.map_structure(lambda array, i=example: array[i : i + 1], run.x)
        alone = tree.flatten(own.sample(x, num_samples=18, seed=SEED))
        for ours, theirs in zip(together, alone, strict=True):
            np.testing.assert_allclose(ours[:, example], theirs[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("multilayer_perceptron", "keras"),
        ("convolutional", "h5"),
        ("lstm", "keras"),
        ("lstm", "h5"),
        ("multi_head_attention", "keras"),  # Keras itself cannot load it from .h5
        ("efficientnet", "keras"),
        ("efficientnet", "h5"),
    ],
)
def test_a_model_that_was_saved_and_loaded_has_the_same_passes(name, suffix, tmp_path):
    run = sampled(name)
    path = tmp_path / f"model.{suffix}"
    run.case.build().save(path)
    mc = without_xla(mcdrop.MCDropout(keras.models.load_model(path)))
    passes = mc.sample(run.x, num_samples=3, seed=SEED)
    np.testing.assert_allclose(passes, run.samples[0][:3], rtol=1e-5, atol=1e-5)


def _selected(mc: mcdrop.MCDropout, kinds: Any) -> list[int]:
    """Returns the ordinals of the layers that were chosen, those without noise with them."""
    return [leaf.ordinal for leaf in find_leaves(mc.model, kinds) if leaf.info.selected]
