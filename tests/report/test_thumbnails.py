"""Pictures as small PNG data URIs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mcdrop.report import thumbnails


def opened(uri):
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([0.0, 0.5], (0.0, 1.0)),
        ([0, 255], (0.0, 255.0)),
        ([0, 16], (0.0, 16.0)),
        ([-1.0, 1.0], (-1.0, 1.0)),
    ],
)
def test_black_and_white_follow_the_data(values, limits):
    assert thumbnails.value_range(np.array(values)) == limits


def test_a_small_grey_image_keeps_its_pixels():
    image = np.arange(12, dtype=float).reshape(3, 4, 1)
    found = np.asarray(opened(thumbnails.image_uri(image, (0.0, 11.0))))
    assert found.shape == (3, 4)
    assert found[0, 0] == 0
    assert found[-1, -1] == 255


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_any_number_of_channels_shows(channels):
    image = np.random.default_rng(0).random((5, 6, channels))
    assert opened(thumbnails.image_uri(image, (0.0, 1.0))).size == (6, 5)


def test_a_large_image_is_reduced_and_small_on_disk():
    image = np.random.default_rng(0).random((300, 200, 3))
    uri = thumbnails.image_uri(image, (0.0, 1.0))
    assert opened(uri).size == (48, 72)
    assert len(uri) < 8000


def test_a_constant_image_does_not_divide_by_zero():
    assert opened(thumbnails.image_uri(np.zeros((2, 2, 1)), (0.0, 0.0))).size == (2, 2)


def test_maps_grow_brighter_with_the_value():
    row = np.linspace(0, 1, 16)[np.newaxis]
    found = np.asarray(opened(thumbnails.map_uri(row, (0.0, 1.0))).convert("RGB"), float)
    luminance = found[0] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > 0)


def test_classes_have_different_colours_and_void_is_black():
    found = opened(thumbnails.label_uri(np.array([[0, 1, 2, -1]]), 3)).convert("RGB")
    colours = [found.getpixel((place, 0)) for place in range(4)]
    assert len(set(colours)) == 4
    assert colours[-1] == (0, 0, 0)


def test_more_classes_than_colours_still_differ():
    assert len(set(thumbnails.class_colours(27))) == 27
