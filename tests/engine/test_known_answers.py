"""Networks whose predictive distribution can be computed by hand.

Tolerances are five standard errors: of a mean sqrt(v / T), of a sample variance
sqrt((m4 - v^2) / T), of a frequency sqrt(p (1 - p) / T). With seeds fixed, and about 500
numbers compared, chance fails none of them.
"""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import layers
from scipy import special

import mcdrop
from mcdrop.engine.masks import Bernoulli
from mcdrop.errors import DataError

from .harness import without_xla

ERRORS = 5.0
WEIGHTS = np.random.default_rng(0).normal(size=(6, 2))
X = np.random.default_rng(1).normal(size=(3, 6))

every_mask = pytest.mark.parametrize("masks", ["independent", "shared"])


def linear_model(rate):
    """Returns Dropout(rate) before a linear Dense with known weights."""
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dropout(rate), layers.Dense(2, use_bias=False)]
    )
    model.layers[-1].set_weights([WEIGHTS])
    return model


@every_mask
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.8])
def test_dropout_before_a_linear_layer_has_the_textbook_mean_and_variance(rate, masks):
    """Mean w.x, variance p / (1 - p) sum (w_i x_i)^2."""
    count = 4000
    mc = without_xla(mcdrop.MCDropout(linear_model(rate), masks=masks, task="regression"))
    prediction = mc.predict(X, num_samples=count, keep_samples=True)
    rounded = Bernoulli.of_rate(rate).rate
    mean = X @ WEIGHTS
    variance = rounded / (1 - rounded) * X**2 @ WEIGHTS**2
    np.testing.assert_array_less(
        np.abs(prediction.mean - mean), ERRORS * np.sqrt(variance / count) + 1e-5
    )
    fourth = ((prediction.samples - mean) ** 4).mean(axis=0)
    allowed = ERRORS * np.sqrt((fourth - variance**2) / count)
    np.testing.assert_array_less(np.abs(prediction.variance - variance), allowed)
    np.testing.assert_allclose(prediction.deterministic, mean, rtol=1e-5)
    # The error that the prediction states is the one that it has.
    np.testing.assert_allclose(prediction.monte_carlo_error, np.sqrt(variance / count), rtol=0.2)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_joint_draws_of_two_examples_agree_only_with_shared_masks(rate):
    """With shared masks the covariance of two examples is p / (1 - p) sum w_i^2 x_i x'_i."""
    count = 4000
    covariance = rate / (1 - rate) * (X[0] * X[1]) @ WEIGHTS**2
    for masks, expected in (("shared", covariance), ("independent", 0 * covariance)):
        mc = without_xla(mcdrop.MCDropout(linear_model(rate), masks=masks))
        passes = mc.sample(X, num_samples=count) - X @ WEIGHTS
        products = passes[:, 0] * passes[:, 1]
        allowed = ERRORS * products.std(axis=0) / np.sqrt(count)
        np.testing.assert_array_less(np.abs(products.mean(axis=0) - expected), allowed)
        assert (ERRORS * products.std(axis=0) / np.sqrt(count) < np.abs(covariance)).any()


def softmax_model(rates, scale=3.0):
    """Returns a softmax head over 4 + 5 droppable units, and its weights."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dropout(rates[0]),
            layers.Dense(5, activation="tanh"),
            layers.Dropout(rates[1]),
            layers.Dense(3, activation="softmax"),
        ]
    )
    for layer in (model.layers[1], model.layers[3]):
        layer.set_weights([scale * weight for weight in layer.get_weights()])
    return model


def enumerate_networks(model, rates, x):
    """Returns the probabilities of all 2^9 sub-networks, (512, N, 3), and of each to be drawn."""
    hidden_kernel, hidden_bias = model.layers[1].get_weights()
    kernel, bias = model.layers[3].get_weights()
    outputs, chances = [], []
    for keep in itertools.product([0, 1], repeat=9):
        first, second = np.array(keep[:4]), np.array(keep[4:])
        hidden = np.tanh(x * first / (1 - rates[0]) @ hidden_kernel + hidden_bias)
        logits = hidden * second / (1 - rates[1]) @ kernel + bias
        outputs.append(special.softmax(logits, axis=-1))
        chance = [
            rate if kept == 0 else 1 - rate
            for kept, rate in zip(keep, [rates[0]] * 4 + [rates[1]] * 5, strict=True)
        ]
        chances.append(np.prod(chance))
    return np.array(outputs), np.array(chances)


@every_mask
def test_a_softmax_head_averages_to_the_exact_mean_over_all_sub_networks(masks):
    rates, count = (0.25, 0.5), 6000
    model, x = softmax_model(rates), X[:, :4].astype(np.float32)
    outputs, chances = enumerate_networks(model, rates, x)
    assert abs(chances.sum() - 1) < 1e-12
    weights = chances[:, None, None]
    mean = (weights * outputs).sum(axis=0)
    variance = (weights * (outputs - mean) ** 2).sum(axis=0)
    fourth = (weights * (outputs - mean) ** 4).sum(axis=0)
    prediction = without_xla(mcdrop.MCDropout(model, masks=masks)).predict(
        x, num_samples=count, keep_samples=True
    )
    np.testing.assert_array_less(
        np.abs(prediction.mean - mean), ERRORS * np.sqrt(variance / count) + 1e-6
    )
    np.testing.assert_array_less(
        np.abs(prediction.variance - variance),
        ERRORS * np.sqrt((fourth - variance**2) / count) + 1e-6,
    )
    entropies = -(outputs * np.log(outputs)).sum(axis=-1)
    expected = (chances[:, None] * entropies).sum(axis=0)
    spread = np.sqrt((chances[:, None] * (entropies - expected) ** 2).sum(axis=0) / count)
    np.testing.assert_array_less(
        np.abs(prediction.expected_entropy - expected), ERRORS * spread + 1e-6
    )
    # The exact mean is not the deterministic prediction: that is what sampling is for.
    assert np.abs(prediction.deterministic - mean).max() > 0.02


def test_every_pass_is_one_of_the_sub_networks_drawn_as_often_as_it_should_be():
    rates, count = (0.25, 0.5), 6000
    model, x = softmax_model(rates, scale=1.0), X[:1, :4].astype(np.float32)
    outputs, chances = enumerate_networks(model, rates, x)
    passes = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=count)[:, 0]
    # Sub-networks without any input or without any hidden unit are one and the same.
    _, first, network = np.unique(
        outputs[:, 0].round(6), axis=0, return_index=True, return_inverse=True
    )
    distinct, chance = outputs[first, 0], np.bincount(network, chances)
    assert len(distinct) == 15 * 31 + 1
    distance = np.abs(passes[:, None] - distinct).max(axis=-1)
    assert distance.min(axis=1).max() < 1e-5
    drawn = np.bincount(distance.argmin(axis=1), minlength=len(chance))
    # Pearson's statistic over k cells has mean k - 1, and this variance exactly.
    statistic = ((drawn - count * chance) ** 2 / (count * chance)).sum()
    cells = len(chance)
    variance = 2 * (cells - 1) + ((1 / chance).sum() - cells**2 - 2 * cells + 2) / count
    assert abs(statistic - (cells - 1)) < ERRORS * np.sqrt(variance)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_vanilla_and_inverted_dropout_have_the_same_expected_activation(rate):
    """Vanilla dropout keeps activations as they are in training, and scales weights by 1 - p.

    A network trained so has weights W at test time (1 - p) W. The inverted one that makes the
    same prediction has weights (1 - p) W, and its kept activations are divided by 1 - p.
    """
    count = 4000
    generator = np.random.default_rng(3)
    kept = generator.random((count, *X.shape)) >= rate
    vanilla = (kept * X) @ WEIGHTS  # training of the vanilla network
    scaled = X @ ((1 - rate) * WEIGHTS)  # its prediction at test time
    model = linear_model(rate)
    model.layers[-1].set_weights([(1 - rate) * WEIGHTS])
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    inverted = mc.predict(X, num_samples=count, keep_samples=True)
    np.testing.assert_allclose(inverted.deterministic, scaled, rtol=1e-5)
    error = np.sqrt((vanilla.var(axis=0) + inverted.variance) / count)
    np.testing.assert_array_less(np.abs(vanilla.mean(axis=0) - inverted.mean), ERRORS * error)
    np.testing.assert_array_less(np.abs(inverted.mean - scaled), ERRORS * error)


def test_spatial_dropout_drops_whole_channels():
    inputs = keras.Input((5, 5, 8))
    model = keras.Model(inputs, layers.SpatialDropout2D(0.5)(inputs))
    passes = without_xla(mcdrop.MCDropout(model)).sample(
        np.ones((3, 5, 5, 8), np.float32), num_samples=32
    )
    np.testing.assert_array_equal(passes, np.broadcast_to(passes[:, :, :1, :1], passes.shape))
    assert set(np.unique(passes)) == {0.0, 2.0}
    assert len(np.unique(passes[:, :, 0, 0].reshape(-1, 8), axis=0)) > 60


def test_recurrent_masks_stay_the_same_over_the_time_steps_of_a_pass():
    """Gal & Ghahramani (2016), arXiv:1512.05287: a linear cell that adds up its inputs."""
    inputs = keras.Input((5, 4))
    rnn = layers.SimpleRNN(4, activation=None, use_bias=False, dropout=0.5, return_sequences=True)
    model = keras.Model(inputs, rnn(inputs))
    rnn.set_weights([np.eye(4), np.zeros((4, 4))])
    passes = without_xla(mcdrop.MCDropout(model)).sample(
        np.ones((2, 5, 4), np.float32), num_samples=32
    )
    np.testing.assert_array_equal(passes, np.broadcast_to(passes[:, :, :1], passes.shape))
    assert set(np.unique(passes)) == {0.0, 2.0}
    assert len(np.unique(passes[:, :, 0].reshape(-1, 4), axis=0)) > 10


def test_time_distributed_dropout_draws_a_mask_for_every_step():
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, layers.TimeDistributed(layers.Dropout(0.5))(inputs))
    passes = without_xla(mcdrop.MCDropout(model)).sample(
        np.ones((2, 5, 4), np.float32), num_samples=64
    )
    flat = passes.reshape(-1, 5, 4)
    correlations = np.corrcoef(flat.transpose(1, 0, 2).reshape(5, -1))
    # 128 * 4 draws of each step: correlations have standard error 1 / sqrt(512).
    off_diagonal = correlations[~np.eye(5, dtype=bool)]
    assert np.abs(off_diagonal).max() < ERRORS / np.sqrt(512)


def test_balanced_masks_keep_every_input_equally_often_and_so_make_a_linear_mean_exact():
    """At p = 1/2 and even T; the price is a sample variance too large by T / (T - 1)."""
    count, copies = 4, 1000
    x = np.repeat(X[:1], copies, axis=0)
    true = X[:1] ** 2 @ WEIGHTS**2
    for balanced, ratio in ((False, 1.0), (True, count / (count - 1))):
        mc = without_xla(mcdrop.MCDropout(linear_model(0.5), balanced=balanced, task="regression"))
        prediction = mc.predict(x, num_samples=count)
        assert prediction.balanced is balanced
        ratios = prediction.variance / true
        allowed = ERRORS * ratios.std(axis=0) / np.sqrt(copies)
        np.testing.assert_array_less(np.abs(ratios.mean(axis=0) - ratio), allowed)
        assert (allowed < 0.2).all()
        errors = prediction.mean - x @ WEIGHTS
        assert np.abs(errors).max() < 1e-5 if balanced else errors.std() > 0.1


def test_balanced_masks_lower_the_error_of_a_nonlinear_mean_too():
    rates, count = (0.25, 0.5), 16
    model, x = softmax_model(rates), X[:, :4].astype(np.float32)
    outputs, chances = enumerate_networks(model, rates, x)
    mean = (chances[:, None, None] * outputs).sum(axis=0)
    squared = {}
    for balanced in (False, True):
        mc = without_xla(mcdrop.MCDropout(model, balanced=balanced))
        errors = np.array(
            [mc.predict(x, num_samples=count, seed=seed).mean - mean for seed in range(60)]
        )
        squared[balanced] = (errors**2).mean()
        # Unbiased: the mean over seeds is within five of its standard errors.
        spread = errors.std(axis=0) / np.sqrt(len(errors))
        np.testing.assert_array_less(np.abs(errors.mean(axis=0)), ERRORS * spread)
    assert squared[True] < 0.6 * squared[False]


@pytest.mark.parametrize("masks", ["independent", "shared"])
def test_stopping_early_gives_the_first_passes_of_each_example(masks):
    """One example has zero inputs, so that its passes agree at once; another is tenfold."""
    x = np.concatenate([X, 0 * X[:1], 10 * X[:1]]).astype(np.float32)
    mc = without_xla(mcdrop.MCDropout(linear_model(0.5), masks=masks, task="regression"))
    full = mc.predict(x, num_samples=320, keep_samples=True)
    tolerance = 1.5 * float(np.median(full.monte_carlo_error.max(axis=-1)))
    for batch_size in (None, 2):
        early = mc.predict(x, num_samples=320, tolerance=tolerance, batch_size=batch_size)
        counts = early.num_samples_per_example
        assert counts[3] == 192
        assert counts[4] == 320
        assert len(set(counts)) > 2
        assert set(counts % 16) == {0}
        for example, count in enumerate(counts):
            passes = full.samples[:count, example]
            np.testing.assert_allclose(
                early.mean[example], passes.mean(axis=0), rtol=1e-5, atol=1e-6
            )
            variance = passes.var(axis=0, ddof=1)
            np.testing.assert_allclose(early.variance[example], variance, rtol=1e-4, atol=1e-9)
            stopped = np.sqrt(variance / count).max() <= tolerance * (1 + 1e-6)
            assert stopped or count == 320
        np.testing.assert_allclose(early.deterministic, full.deterministic, rtol=1e-5)
    assert early.num_samples == 320


def test_a_tolerance_of_zero_stops_only_what_does_not_vary():
    x = np.concatenate([X, 0 * X[:1]]).astype(np.float32)
    mc = without_xla(mcdrop.MCDropout(linear_model(0.5), task="regression"))
    early = mc.predict(x, num_samples=200, tolerance=0.0)
    assert early.num_samples_per_example.tolist() == [200, 200, 200, 192]


def test_a_tolerance_and_balanced_masks_exclude_each_other():
    mc = mcdrop.MCDropout(linear_model(0.5), balanced=True, task="regression")
    with pytest.raises(DataError, match="balanced"):
        mc.predict(X, num_samples=32, tolerance=0.1)


def test_a_prediction_is_the_statistics_of_its_passes():
    model = softmax_model((0.25, 0.5))
    x = X[:, :4].astype(np.float32)
    mc = without_xla(mcdrop.MCDropout(model))
    passes = mc.sample(x, num_samples=37, seed=4)
    expected = mcdrop.from_samples(
        passes, np.asarray(model(x, training=False)), task="classification"
    )
    for batch_size in (None, 1, 2):
        prediction = mc.predict(x, num_samples=37, seed=4, batch_size=batch_size)
        for name in ("mean", "variance", "deterministic", "expected_entropy", "votes"):
            np.testing.assert_allclose(
                getattr(prediction, name), getattr(expected, name), rtol=1e-4, atol=1e-7
            )
        np.testing.assert_allclose(
            prediction.mutual_information, expected.mutual_information, rtol=1e-3, atol=1e-6
        )
        assert prediction.samples is None
    kept = mc.predict(x, num_samples=37, seed=4, keep_samples=True)
    np.testing.assert_array_equal(kept.samples, passes)


def test_batches_of_predictions_join_to_the_whole_and_progress_is_told():
    mc = without_xla(mcdrop.MCDropout(linear_model(0.5), task="regression"))
    told = []
    whole = mc.predict(
        X, num_samples=6, batch_size=2, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(2, 3), (3, 3)]
    parts = list(mc.predict_batches(X, num_samples=6, batch_size=2))
    assert [len(part.mean) for part in parts] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([part.mean for part in parts]), whole.mean)
    mc.predict(iter([X]), num_samples=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3, None)
