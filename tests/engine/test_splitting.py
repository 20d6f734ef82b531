"""Passes that share their early masks, from the public door to the masks."""

from __future__ import annotations

import pickle
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, tree

import mcdrop
from mcdrop import DataError, ModelError

from .harness import without_xla
from .models import CASES, numbers
from .test_cutting import LAYERS, Net, by_hand


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6, 6, 2)), *[make() for make in LAYERS]])


@pytest.fixture(scope="module")
def x():
    return numbers(6, 6, 2)()


def split(model, splitting, **options):
    return without_xla(mcdrop.MCDropout(model, splitting=splitting, **options))


@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_pass_t_has_the_early_masks_of_draw_t_over_n(model, x, batch_size):
    passes = split(model, (3, 5)).sample(x, seed=3, batch_size=batch_size)
    assert passes.shape == (15, *x.shape[:1], 3)
    for number in range(15):
        expected = by_hand(model, x, (number // 5, number))
        np.testing.assert_allclose(passes[number], expected, rtol=1e-5, atol=1e-6)


def test_the_first_draws_of_many_are_those_of_few_and_of_ordinary_passes(model, x):
    few, many = (split(model, (n, 4)).sample(x, seed=1) for n in (3, 7))
    np.testing.assert_allclose(many[:12], few, rtol=1e-6, atol=1e-7)
    ordinary = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=3, seed=1)
    np.testing.assert_allclose(few[0], ordinary[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"masks": "shared"}, {"balanced": True}], ids=str)
@pytest.mark.parametrize("name", ["convolutional", "transformer"])
def test_draws_of_a_stage_are_alike_whatever_the_batch(name, options):
    case = CASES[name]
    mc = split(case.build(), (4, 3), **options)
    whole = mc.sample(case.draw(), seed=2)
    alone = mc.sample(case.draw(), seed=2, batch_size=1)
    for first, second in zip(tree.flatten(whole), tree.flatten(alone), strict=True):
        assert first.shape[0] == 12
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_an_output_before_the_last_stage_has_its_own_masks_only(x):
    inputs = keras.Input(x.shape[1:])
    early = layers.Dense(3)(layers.Dropout(0.25)(layers.Flatten()(inputs)))
    late = layers.Dense(2)(layers.Dropout(0.5)(early))
    mc = split(keras.Model(inputs, [early, late]), (4, 3))
    first, last = mc.sample(x)
    for draw in range(4):
        np.testing.assert_array_equal(first[3 * draw], first[3 * draw + 2])
    assert np.abs(np.diff(first[::3], axis=0)).max() > 0
    assert np.abs(last[0] - last[1]).max() > 0


def test_a_subclassed_model_is_split_like_its_layers_in_a_sequential_one(model, x):
    subclassed = Net(model.layers)
    subclassed(x)
    np.testing.assert_allclose(
        split(subclassed, (3, 4)).sample(x), split(model, (3, 4)).sample(x), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("masks", ["independent", "shared"])
@pytest.mark.parametrize("balanced", [False, True])
def test_mean_and_variance_are_those_of_all_masks(masks, balanced):
    """Two units dropped one after the other before a sum: every mask can be listed."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dropout(0.25),
            layers.Dense(2, activation="relu", name="middle"),
            layers.Dropout(0.5),
            layers.Dense(1),
        ]
    )
    keras.utils.set_random_seed(1)
    first, bias, second, _ = [np.abs(w) + 0.2 for w in model.get_weights()]
    model.set_weights([first, bias, second, np.zeros(1)])
    values, weights = [], []
    for early in product((0, 1), repeat=3):
        hidden = (np.array(early) / 0.75) @ first + bias
        for late in product((0, 1), repeat=2):
            values.append(float((hidden * late / 0.5 @ second)[0]))
            weights.append(0.75 ** sum(early) * 0.25 ** (3 - sum(early)) * 0.25)
    mean = np.average(values, weights=weights)
    variance = np.average(np.square(np.array(values) - mean), weights=weights)
    mc = split(model, (6, 4), masks=masks, balanced=balanced, task="regression")
    x = np.ones((1 if masks == "shared" else 2000, 3), np.float32)
    runs = [mc.predict(x, seed=s) for s in range(200 if masks == "shared" else 1)]
    means = np.concatenate([run.mean.reshape(-1) for run in runs])
    spreads = np.concatenate([run.variance.reshape(-1) for run in runs])
    stated = np.concatenate([run.monte_carlo_error.reshape(-1) for run in runs])
    error = np.sqrt(len(means))
    assert abs(means.mean() - mean) < 4.5 * means.std() / error
    true = np.square(means - mean).mean()
    if balanced:  # the draws of the early masks exclude each other: an upper bound
        assert true < np.square(stated).mean()
        assert spreads.mean() > variance - 4.5 * spreads.std() / error
        return
    assert abs(spreads.mean() - variance) < 4.5 * spreads.std() / error
    assert abs(true / np.square(stated).mean() - 1) < 0.25


def test_a_prediction_keeps_how_it_was_split_and_its_passes(model, x):
    mc = split(model, [3, 5], task="regression")
    prediction = mc.predict(x, keep_samples=True, seed=3)
    assert prediction.splitting == (3, 5)
    assert prediction.num_samples == 15
    assert "splitting=(3, 5)" in repr(prediction)
    np.testing.assert_array_equal(prediction.samples, mc.sample(x, seed=3))
    np.testing.assert_allclose(prediction.mean, prediction.samples.mean(axis=0), rtol=1e-6)
    parts = list(mc.predict_batches(x, seed=3, batch_size=2))
    assert all(part.splitting == (3, 5) for part in parts)
    np.testing.assert_allclose(
        np.concatenate([part.mean for part in parts]), prediction.mean, rtol=1e-5, atol=1e-6
    )


def test_fewer_counts_belong_to_the_last_layers():
    case = CASES["transformer"]
    mc = split(case.build(), (3, 2))
    mc.sample(case.draw())
    (program,) = mc._samplers[0]._programs.values()
    count = len(program.stages)
    full = split(case.build(), (3, *(1,) * (count - 2), 2))
    np.testing.assert_array_equal(full.sample(case.draw()), mc.sample(case.draw()))


def test_one_draw_of_each_later_stage_is_an_ordinary_run(model, x):
    ordinary = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=6)
    np.testing.assert_array_equal(split(model, (6, 1)).sample(x), ordinary)


def test_tolerance_stops_by_draws_of_stage_1(model, x):
    mc = split(model, (400, 3), task="regression")
    scale = mc.predict(x).std.max()
    prediction = mc.predict(x, tolerance=0.15 * scale)
    counts = prediction.num_samples_per_example
    assert (counts % 3 == 0).all()
    assert counts.max() < 1200
    assert prediction.monte_carlo_error.max() <= 0.15 * scale


def test_a_row_that_is_not_finite_is_named_with_its_passes(model, x):
    weights = model.get_weights()
    broken = keras.models.clone_model(model)
    broken.set_weights([w * 1e30 if w.ndim > 1 else w for w in weights])
    mc = split(broken, (3, 2), task="regression")
    with pytest.raises(DataError, match="NaN or infinity: row 0"):
        mc.predict(x)
    assert mc.predict(x, on_nonfinite="drop").dropped.any()


@pytest.mark.parametrize(
    ("splitting", "said"),
    [
        ((2, 3, 4), "has 3 counts, but the model has 2 stages"),
        ((7, 0), "splitting"),
        (5, "(7, 16)"),
    ],
)
def test_counts_that_do_not_fit_are_refused(model, x, splitting, said):
    with pytest.raises((DataError, ModelError)) as raised:
        split(model, splitting, task="regression").predict(x)
    assert said in str(raised.value)


def test_a_number_of_passes_that_disagrees_is_refused(model, x):
    mc = split(model, (3, 5), task="regression")
    assert mc.predict(x, num_samples=15).num_samples == 15
    with pytest.raises(DataError, match=r"`num_samples` is 50, but `splitting` \(3, 5\) makes 15"):
        mc.sample(x, num_samples=50)


def segmentation_model():
    """Pixels of 5 x 4 with a dropout before and one behind the last but one convolution."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((5, 4, 2))
    hidden = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.Dropout(0.3)(inputs))
    hidden = layers.SpatialDropout2D(0.5)(hidden)
    return keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(hidden))


def test_pixels_have_the_mean_and_variance_of_many_ordinary_passes():
    x = np.random.default_rng(0).normal(size=(30, 5, 4, 2)).astype(np.float32)
    model = segmentation_model()
    many = without_xla(mcdrop.MCDropout(model)).predict(x, num_samples=1500, seed=99)
    mc = split(model, (6, 4))
    few = [mc.predict(x, seed=seed) for seed in range(8)]
    assert few[0].mean.shape == (30, 5, 4, 3)
    assert few[0].variance_components.shape == (2, 30, 5, 4, 3)
    # An image is one draw of masks; its pixels go together.
    for name in ("mean", "variance", "expected_entropy"):
        reference = getattr(many, name)
        found = np.stack([getattr(run, name) for run in few]) - reference
        by_image = found.reshape(*found.shape[:2], -1)[..., 0]
        error = by_image.std() / np.sqrt(by_image.size)
        assert abs(by_image.mean()) < 4.5 * error, name
    evaluation = mcdrop.evaluate(few[0], np.zeros((30, 5, 4), int))
    assert np.isfinite(evaluation["accuracy"].monte_carlo.value)


def test_kept_passes_of_shared_masks_are_functions_for_batch_acquisition():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dropout(0.3),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    prediction = split(model, (8, 6), masks="shared").predict(x, keep_samples=True)
    alone = split(model, (8, 6), masks="shared").predict(x[5:], keep_samples=True)
    np.testing.assert_allclose(prediction.samples[:, 5:], alone.samples, rtol=1e-5, atol=1e-6)
    scores = mcdrop.acquisition.score(prediction.samples, method="mutual_information")
    np.testing.assert_allclose(scores, prediction.mutual_information, rtol=1e-4, atol=1e-6)
    chosen = mcdrop.acquisition.batch_bald(prediction.samples, 3).indices
    assert len(set(chosen.tolist())) == 3


def test_targets_of_shuffled_data_belong_to_split_passes(x):
    model = keras.Sequential([keras.Input((6, 6, 2)), *[make() for make in LAYERS]])
    targets = np.arange(len(x), dtype=np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, targets)).shuffle(len(x), seed=0).batch(2)
    for splitting in ((4, 3), "auto"):
        mc = split(model, splitting, task="regression")
        found = mc.predict_with_targets(data)
        order = np.argsort(found.targets)
        off = mc.predict(x).deterministic
        np.testing.assert_allclose(found.prediction.deterministic[order], off, rtol=1e-5)


def test_a_recurrent_layer_is_one_stage_with_all_its_masks():
    inputs = keras.Input((5, 3))
    hidden = layers.LSTM(4, dropout=0.3, recurrent_dropout=0.3)(layers.Dropout(0.2)(inputs))
    model = keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.5)(hidden)))
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    prediction = split(model, (3, 2, 4), task="regression").predict(x, keep_samples=True)
    assert prediction.samples.shape == (24, 2, 1)
    assert prediction.variance_components.shape == (3, 2, 1)
    ordinary = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=1)
    np.testing.assert_allclose(prediction.samples[0], ordinary[0], rtol=1e-5, atol=1e-6)


def test_split_models_are_pickled(model, x):
    mc = split(model, (3, 5), task="regression")
    copied = pickle.loads(pickle.dumps(mc))  # noqa: S301
    assert copied.splitting == (3, 5)
    np.testing.assert_allclose(copied.sample(x), mc.sample(x), rtol=1e-5, atol=1e-6)
