"""The autoencoder study: its losses, its measure of sharpness, its pictures."""

import keras
import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.study import vae
from mcdrop.study.catalog import plan_study
from mcdrop.study.plan import Request
from mcdrop.study.training import Examples, Sets, pair_initial_weights
from study.reduced import run_reduced

SHAPE = (8, 8, 1)


def test_blurred_images_are_less_sharp():
    images = np.random.default_rng(0).random((20, 8, 8, 1))
    blurred = (images + np.roll(images, 1, axis=1) + np.roll(images, 1, axis=2)) / 3
    assert vae.sharpness(blurred) < 0.7 * vae.sharpness(images)
    assert vae.sharpness(np.full((2, 8, 8, 1), 0.4)) == pytest.approx(0.0, abs=1e-12)


def test_losses_are_those_of_the_formula():
    keras.utils.set_random_seed(0)
    model = vae.autoencoder(SHAPE)
    x = np.random.default_rng(0).random((6, *SHAPE)).astype("float32")
    sets = Sets(Examples(x, x), Examples(x, x))
    found = vae.losses(model, sets, "test", seed=0)
    mean, log_variance = np.split(np.asarray(model.get_layer("encoder")(x)), 2, axis=1)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1).mean()
    assert found["divergence"] == pytest.approx(float(divergence), rel=1e-5)
    # An untrained decoder puts out about 1/2 for every pixel.
    assert found["reconstruction"] == pytest.approx(64 * np.log(2), rel=0.1)
    assert found["loss"] == found["reconstruction"] + found["divergence"]
    # Keras's loss is the same but for the drawn code: here it decodes the mean.
    reported = model.evaluate(x, x, verbose=0)
    assert reported == pytest.approx(found["loss"], rel=0.05)


def test_dropout_is_all_that_differs():
    plain = vae.autoencoder(SHAPE)
    for place in ({"encoder_rate": 0.4}, {"decoder_rate": 0.4}):
        dropped = vae.autoencoder(SHAPE, kind="SpatialDropout2D", **place)
        for model in (plain, dropped):
            pair_initial_weights(model, 1)
        for a, b in zip(plain.get_weights(), dropped.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_study_in_small(tmp_path):
    settings = ["Dropout, none", "SpatialDropout2D, 0.4 in both"]
    _, runs, page, pictures = run_reduced("vae", tmp_path, settings, epochs=2)
    last = runs[runs["epoch"] == 2].set_index("setting")
    assert np.isnan(last.loc[settings[0], "uncertainty"])
    assert last.loc[settings[1], "uncertainty"] > 0.0
    assert (last["test_loss"] < runs[runs["epoch"] == 1].set_index("setting")["test_loss"]).all()
    assert set(pictures) == {"dropout-none", "spatialdropout2d-0.4-in-both"}
    assert page.count("data:image/png") == 2


def test_images_of_other_sizes_are_refused(monkeypatch):
    x = np.zeros((4, 6, 6, 1), "float32")
    monkeypatch.setattr(vae, "load_images", lambda request: Sets(Examples(x, x), Examples(x, x)))
    with pytest.raises(DataError, match="multiples of 4"):
        plan_study("vae", Request("digits", 1, 1, 2))
