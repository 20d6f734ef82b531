"""Warnings of inputs that a model was not trained on."""

import numpy as np
import pytest

from mcdrop.loading.data import Data
from mcdrop.loading.matching import fit_to_model
from mcdrop.loading.ranges import input_warnings
from mcdrop.loading.rows import ArrayRows

keras = pytest.importorskip("keras")
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (20, 4, 4, 1))


def warned(x, *layers, scale="none"):
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers, keras.layers.Flatten()])
    data = Data("photos", {"x": ArrayRows(x)})
    return input_warnings(data, fit_to_model(data, model, scale=scale), model, scale)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_raw_pixels_of_either_type_are_warned_of(dtype):
    assert "add --scale unit" in warned(PIXELS.astype(dtype))["raw_pixels"]
    assert not warned(PIXELS.astype(dtype), scale="unit")
    assert not warned(PIXELS.astype(dtype), keras.layers.Rescaling(1 / 255))
    assert not warned(PIXELS.astype(np.float32) / 255)


def test_raw_pixels_as_whole_numbers_are_warned_of():
    assert "raw pixels" in warned(PIXELS.astype(np.int64))["raw_pixels"]


def test_pixels_that_are_scaled_twice_are_warned_of():
    found = warned((PIXELS / 255).astype(np.float32), keras.layers.Rescaling(1 / 255))
    assert "photos holds numbers up to" in found["scaled_twice"]
    found = warned(PIXELS.astype(np.uint8), keras.layers.Rescaling(1 / 255), scale="unit")
    assert "scaled_twice" in found
    assert not warned((PIXELS / 255).astype(np.float32), keras.layers.Rescaling(2.0, offset=-1))


@pytest.mark.parametrize("kind", ["normalization", "batch"])
def test_columns_far_from_those_of_the_training_are_warned_of(kind):
    columns = RANDOM.normal([1.0, 50.0], [0.1, 5.0], (200, 2)).astype(np.float32)
    if kind == "normalization":
        layer = keras.layers.Normalization(mean=[1.0, 50.0], variance=[0.01, 25.0])
    else:
        layer = keras.layers.BatchNormalization()
        layer.build((None, 2))
        layer.moving_mean.assign([1.0, 50.0])
        layer.moving_variance.assign([0.01, 25.0])
    assert not warned(columns, layer)
    assert "standard deviations" in warned(1000 * columns, layer)["far_inputs"]


def test_numbers_that_are_no_images_are_left_alone():
    assert not warned(RANDOM.integers(0, 256, (20, 5)).astype(np.float32))
