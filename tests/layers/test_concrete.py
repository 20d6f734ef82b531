"""Dropout with a learned rate: its masks, its loss, saving, mixed precision and sampling."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import mcdrop
from mcdrop.errors import DataError
from mcdrop.layers import ConcreteDropout, SpatialConcreteDropout2D


def dense_model(*, initial_rate=0.3, units=1, **options):
    inner = keras.layers.Dense(units, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential(
        [keras.Input((16,)), ConcreteDropout(inner, initial_rate=initial_rate, **options)]
    )
    model.compile("adam", "mean_squared_error")
    return model


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial_rate": 0.0},
        {"initial_rate": 1},
        {"weight_regularizer": -1.0},
        {"dropout_regularizer": float("nan")},
        {"temperature": 0.0},
        {"temperature": "warm"},
    ],
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(DataError, match=next(iter(wrong))):
        ConcreteDropout(keras.layers.Dense(1), **wrong)


def test_open_sizes_and_flat_images_are_refused():
    with pytest.raises(DataError, match="known size"):
        ConcreteDropout(keras.layers.Dense(1)).build((None, None, 3))
    with pytest.raises(DataError, match="four axes"):
        SpatialConcreteDropout2D(keras.layers.Conv2D(2, 3))(np.ones((2, 8), "float32"))


def test_inference_is_the_layer_itself():
    model = dense_model()
    x = np.random.default_rng(0).normal(size=(5, 16)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], x.sum(axis=1), rtol=1e-5)


def test_the_loss_is_that_of_the_paper():
    rate, weight, drop = 0.3, 0.01, 0.05
    model = dense_model(
        initial_rate=rate, units=2, weight_regularizer=weight, dropout_regularizer=drop
    )
    entropy = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    expected = weight * 32 / (1 - rate) - drop * 16 * entropy
    assert float(keras.ops.sum(model.losses[0])) == pytest.approx(expected, rel=1e-5)
    x, y = np.zeros((4, 16), "float32"), np.zeros((4, 2), "float32")
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_passes_have_the_mean_of_inference_and_the_spread_of_the_masks():
    rate, temperature = 0.3, 0.1
    model = dense_model(initial_rate=rate, temperature=temperature)
    mc = mcdrop.MCDropout(model, task="regression")
    assert [(info.kind, round(info.rate, 6)) for info in mc.stochastic_layers] == [("custom", rate)]
    num_samples = 4000
    passes = mc.sample(np.ones((1, 16), "float32"), num_samples=num_samples)[:, 0, 0]
    # The law of one unit's factor, by quadrature over its uniform number.
    u = (np.arange(200_000) + 0.5) / 200_000
    logits = np.log(rate / (1 - rate)) + np.log(u / (1 - u))
    factor = (1 - 1 / (1 + np.exp(-logits / temperature))) / (1 - rate)
    mean, variance = 16 * factor.mean(), 16 * factor.var()
    assert abs(passes.mean() - mean) < 4 * np.sqrt(variance / num_samples)
    assert abs(passes.var() / variance - 1) < 4 * np.sqrt(2 / num_samples)


def test_channels_are_dropped_whole():
    inner = keras.layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer="ones")
    model = keras.Sequential(
        [keras.Input((4, 4, 6)), SpatialConcreteDropout2D(inner, initial_rate=0.5)]
    )
    mc = mcdrop.MCDropout(model, task="regression")
    passes = mc.sample(np.ones((3, 4, 4, 6), "float32"), num_samples=8)
    assert np.ptp(passes, axis=(2, 3)).max() < 1e-6
    assert np.ptp(passes, axis=4).max() > 0.1


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_training_learns_the_rate_and_saving_keeps_it(tmp_path, policy):
    keras.utils.set_random_seed(0)
    inner = keras.layers.Dense(1, dtype=policy)
    layer = ConcreteDropout(
        inner, initial_rate=0.1, dropout_regularizer=0.5, weight_regularizer=0.0, dtype=policy
    )
    model = keras.Sequential([keras.Input((16,)), layer])
    model.compile(keras.optimizers.Adam(0.05), "mean_squared_error")
    x = np.zeros((64, 16), "float32")
    model.fit(x, np.zeros((64, 1)), epochs=60, batch_size=16, verbose=0)
    assert layer.rate == pytest.approx(0.5, abs=0.02)  # only the entropy pulls at it
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].rate == layer.rate
    for name in ("initial_rate", "weight_regularizer", "dropout_regularizer", "temperature"):
        assert loaded.layers[-1].get_config()[name] == layer.get_config()[name]
    x = np.ones((2, 16), "float32")
    before, after = (mcdrop.MCDropout(m, task="regression").sample(x) for m in (model, loaded))
    np.testing.assert_array_equal(before, after)


def test_a_rate_is_trained_by_the_data_too():
    keras.utils.set_random_seed(1)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(512, 16)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    model = dense_model(initial_rate=0.3, dropout_regularizer=1e-6, weight_regularizer=0.0)
    model.layers[-1].layer.trainable = False
    model.compile(keras.optimizers.Adam(0.05), "mean_squared_error")
    model.fit(x, y, epochs=20, batch_size=64, verbose=0)
    assert model.layers[-1].rate < 0.1  # every dropped unit costs accuracy


def test_a_file_with_the_layer_is_loaded_by_the_command_line(tmp_path):
    dense_model().save(tmp_path / "model.keras")
    script = (
        "import sys; from mcdrop.cli import main; "
        f"sys.exit(main(['inspect', {str(tmp_path / 'model.keras')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "concrete_dropout" in done.stdout
