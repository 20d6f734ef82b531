"""`splitting="auto"`: what a pilot on the first examples chooses, and that it holds."""

from __future__ import annotations

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mcdrop
from mcdrop import DataError
from mcdrop.splitting import MINIMUM_OUTER_DRAWS, PILOT_EXAMPLES

from .harness import without_xla
from .models import CASES


def wide_model(early_rate=0.02, late_rate=0.5, width=400):
    """A wide layer before the last dropout, whose masks make most of the variance."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dropout(early_rate, name="early"),
            layers.Dense(width, activation="relu"),
            layers.Dropout(late_rate, name="late"),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(200, 400)).astype(np.float32)


@pytest.fixture(scope="module")
def auto():
    return without_xla(mcdrop.MCDropout(wide_model(), splitting="auto"))


def test_the_choice_is_kept_printed_and_repeats_to_the_bit(auto, x):
    prediction = auto.predict(x, num_samples=50, seed=4)
    assert len(prediction.splitting) == 2
    assert prediction.splitting[0] >= MINIMUM_OUTER_DRAWS
    assert prediction.splitting[1] > 1
    assert f"splitting={prediction.splitting}" in repr(prediction)
    assert f"splitting={prediction.splitting}" in auto.summary()
    assert "Stages that `splitting` counts: 1. early; 2. late." in auto.summary()
    again = without_xla(mcdrop.MCDropout(auto.model, splitting=prediction.splitting))
    again = again.predict(x, seed=4)
    np.testing.assert_array_equal(again.mean, prediction.mean)
    np.testing.assert_array_equal(again.variance, prediction.variance)


def test_the_choice_depends_on_the_first_examples_alone(auto, x):
    chosen = auto.predict(x).splitting
    assert auto.predict(x[:PILOT_EXAMPLES], seed=9).splitting == chosen
    assert auto.predict(x, batch_size=7).splitting == chosen
    for size in (3, 50):
        data = tf.data.Dataset.from_tensor_slices(x).batch(size)
        assert auto.predict(data).splitting == chosen
    batches = (x[start : start + 30] for start in range(0, 200, 30))
    assert auto.predict(batches).mean.shape == (200, 3)
    fixed = auto.choose_splitting(x[:PILOT_EXAMPLES])
    assert fixed.splitting == chosen
    assert auto.splitting == "auto"
    assert fixed.predict(x[:5]).splitting == chosen


@pytest.mark.parametrize("balanced", [False, True])
def test_the_error_is_that_of_ordinary_passes(auto, x, balanced):
    """Over the most uncertain examples, for which the choice is made, against 2,000 passes."""
    x = x[:100]
    ordinary = without_xla(mcdrop.MCDropout(auto.model))
    reference = ordinary.predict(x, num_samples=2000, seed=10**6)
    uncertain = np.argsort(-reference.variance.sum(axis=1))[:16]
    chooser = mcdrop.MCDropout(wide_model(), splitting="auto", balanced=balanced)
    fixed = without_xla(chooser).choose_splitting(x, num_samples=100)
    squares, stated = [], []
    for seed in range(12):
        found = fixed.predict(x, seed=seed)
        squares.append(np.square(found.mean - reference.mean)[uncertain].mean())
        stated.append(np.square(found.monte_carlo_error)[uncertain].mean())
    wanted = reference.variance[uncertain].mean() / 100
    assert 0.5 * balanced < np.mean(squares) / wanted < 1.3
    ratio = np.mean(squares) / np.mean(stated)  # of balanced draws a bound is stated
    assert 0.75 * (not balanced) < ratio < 1.3
    if balanced:
        independent = auto.choose_splitting(x, num_samples=100)
        assert np.prod(fixed.splitting) < 0.6 * np.prod(independent.splitting)


def only_dropout():
    return keras.Sequential(
        [keras.Input((400,)), layers.Dropout(0.5), layers.Dense(3, activation="softmax")]
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (only_dropout, "has no early masks that can be shared"),
        (lambda: wide_model(0.5, 0.001), "would save less than a tenth"),
        (lambda: keras.Sequential(ZEROS), "no pass of the first examples differs from another"),
    ],
)
def test_ordinary_passes_with_a_reason_where_nothing_is_gained(model, said, x):
    mc = without_xla(mcdrop.MCDropout(model(), task="classification", splitting="auto"))
    prediction = mc.predict(x[:20], num_samples=12, seed=1)
    assert prediction.splitting is None
    assert prediction.num_samples == 12
    assert said in mc.summary()
    ordinary = mcdrop.MCDropout(mc.model, task="classification")
    np.testing.assert_allclose(
        prediction.mean, ordinary.predict(x[:20], num_samples=12, seed=1).mean, atol=1e-6
    )
    fixed = mc.choose_splitting(x)
    assert fixed.splitting is None
    assert said in fixed.summary()


ZEROS = [
    keras.Input((400,)),
    layers.Dropout(0.5),
    layers.Dense(4, kernel_initializer="zeros"),
    layers.Dropout(0.5),
    layers.Dense(3, activation="softmax", kernel_initializer="zeros"),
]


def test_a_single_example_and_rows_of_nan_are_no_hindrance(auto, x):
    assert auto.predict(x[:1]).splitting is not None
    broken = x.copy()
    broken[::3] = np.nan
    prediction = auto.predict(broken, on_nonfinite="drop")
    assert prediction.splitting is not None
    assert prediction.dropped.sum() == 67
    broken[:] = np.nan
    assert auto.predict(broken, on_nonfinite="drop").splitting is None
    assert "all of the first examples hold NaN" in auto.splitting_reason
    with pytest.raises(DataError, match="NaN"):
        auto.predict(broken)


@pytest.mark.parametrize("options", [{"masks": "shared"}, {"balanced": True}], ids=str)
def test_other_masks_are_split_too(options, x):
    mc = without_xla(mcdrop.MCDropout(wide_model(), splitting="auto", **options))
    assert mc.predict(x[:40]).splitting[1] > 1


def test_every_output_reaches_its_error(x):
    """The early output has no late masks: its error is that of its draws alone."""
    inputs = keras.Input((400,))
    early = layers.Dense(300, activation="relu")(layers.Dropout(0.3)(inputs))
    late = layers.Dropout(0.5)(early)
    outputs = {"late": layers.Dense(2)(late), "early": layers.Dense(2)(early)}
    mc = mcdrop.MCDropout(
        keras.Model(inputs, outputs), task=dict.fromkeys(outputs, "regression"), splitting="auto"
    )
    found = without_xla(mc).predict(x[:20], num_samples=30)
    assert found["early"].splitting is None
    assert found["late"].num_samples == 30


@pytest.mark.parametrize(
    "name",
    ["transformer", "subclassed_model", "dropout_layer_inside_the_time_loop"],
)
def test_models_of_every_kind_choose_and_repeat(name):
    case = CASES[name]
    mc = without_xla(mcdrop.MCDropout(case.build(), splitting="auto", task="regression"))
    prediction = mc.predict(case.draw(), num_samples=20)
    fixed = mc.choose_splitting(case.draw(), num_samples=20)
    assert fixed.splitting == prediction.splitting
    again = fixed.predict(case.draw(), num_samples=None if fixed.splitting else 20)
    np.testing.assert_array_equal(again.mean, prediction.mean)


def test_parts_and_samples_ask_for_counts(auto, x):
    with pytest.raises(DataError, match="choose_splitting"):
        auto.sample(x[:2])
    with pytest.raises(DataError, match="choose_splitting"):
        auto.predict(x[:2], examples=[2, 3])
    with pytest.raises(DataError, match="nothing to choose"):
        mcdrop.MCDropout(auto.model, splitting=(7, 16)).choose_splitting(x)
    with pytest.raises(DataError, match="at least 2"):
        auto.choose_splitting(x, num_samples=1)


def test_tolerance_counts_first_draws(auto, x):
    fixed = auto.choose_splitting(x, num_samples=4000)
    outer, inner = fixed.splitting
    prediction = fixed.predict(x[:20], tolerance=0.05)
    assert (prediction.num_samples_per_example % inner == 0).all()
    assert prediction.num_samples_per_example.min() < outer * inner
    assert auto.predict(x[:20], num_samples=60, tolerance=0.02).tolerance == 0.02


def copied_by_pickle(mc):
    return pickle.loads(pickle.dumps(mc))  # noqa: S301


def test_copies_choose_alike(auto, x):
    chosen = auto.predict(x[:40]).splitting
    for copied in (copy.copy(auto), copy.deepcopy(auto), copied_by_pickle(auto)):
        assert copied.predict(x[:40]).splitting == chosen


def test_an_export_refuses_it(auto, tmp_path):
    with pytest.raises(DataError, match="`splitting` is 'auto'"):
        auto.export(tmp_path / "exported")
