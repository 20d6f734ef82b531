from __future__ import annotations

import socket

import numpy as np
import pytest


@pytest.fixture
def offline(examples, monkeypatch):
    """Returns the loader with no folder of data, and no network."""
    monkeypatch.delenv("MCDROP_DATA", raising=False)
    monkeypatch.delenv("MCDROP_QUICK", raising=False)
    import data

    from mcdrop.errors import DataError

    def unreachable(*arguments, **options):
        raise DataError("no network")

    import keras

    monkeypatch.setattr(data, "load_named", _embedded_only(data.load_named, unreachable))
    monkeypatch.setattr(keras.datasets.california_housing, "load_data", unreachable)
    return data


def _embedded_only(load_named, unreachable):
    return lambda name, **options: (
        load_named(name, **options) if name == "digits" else unreachable()
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Returns a folder of data that MCDROP_DATA names, with a tiny MNIST and power plant in it."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 30), ("test", 20)):
        arrays[f"x_{part}"] = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"y_{part}"] = generator.integers(0, 10, count)
    np.savez(tmp_path / "mnist.npz", **arrays)
    place = tmp_path / "uci" / "power-plant" / "data"
    place.mkdir(parents=True)
    np.savetxt(place / "data.txt", generator.normal(size=(7, 5)))
    monkeypatch.setenv("MCDROP_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_without_folder_and_network_a_stand_in_says_that_it_is_one(offline, name):
    images = offline.load_images(name, num_train=40, num_test=30)
    shape = (32, 32, 3) if name == "cifar10" else (28, 28, 1)
    assert images.x_train.shape == (40, *shape)
    assert images.x_test.shape == (30, *shape)
    assert images.y_train.shape == (40,)
    assert images.x_train.dtype == np.float32
    assert images.x_train.min() >= 0
    assert images.x_train.max() <= 1
    assert set(images.y_test) <= set(range(len(images.class_names)))
    assert "scikit-learn" in images.source
    assert "in place of" in images.source


def test_stand_ins_are_the_same_each_time(offline):
    first = offline.load_images("cifar10", num_train=20, num_test=10)
    again = offline.load_images("cifar10", num_train=20, num_test=10)
    np.testing.assert_array_equal(first.x_train, again.x_train)
    np.testing.assert_array_equal(offline.load_letters(12)[1], offline.load_letters(12)[1])


def test_drawn_letters_fit_the_images_and_differ_from_each_other(offline):
    source, letters = offline.load_letters(10)
    assert "in place of notMNIST" in source
    assert letters.shape == (10, 28, 28, 1)
    assert len(np.unique(letters.reshape(10, -1), axis=0)) == 10
    assert (letters.reshape(10, -1).sum(axis=1) > 0).all()


def test_without_folder_and_network_the_regression_is_diabetes(offline):
    table = offline.load_table()
    assert "diabetes" in table.source
    assert table.x.shape == (442, 10)
    assert table.y.shape == (442,)
    assert len(table.feature_names) == 10


def test_the_folder_comes_first_and_its_path_is_not_told(examples, folder):
    import data

    images = data.load_images("mnist", num_train=25, num_test=100)
    assert images.source == "MNIST, from the folder MCDROP_DATA"
    assert images.x_train.shape == (25, 28, 28, 1)
    assert images.x_test.shape == (20, 28, 28, 1)
    with np.load(folder / "mnist.npz") as arrays:
        everything = np.sort(arrays["x_test"].reshape(20, -1), axis=0)
    returned = np.sort((images.x_test * 255).round().reshape(20, -1), axis=0)
    np.testing.assert_array_equal(returned, everything)
    table = data.load_table()
    assert table.x.shape == (7, 4)
    assert str(folder) not in table.source


def test_a_folder_without_the_letters_falls_back_to_drawn_ones(examples, folder):
    import data

    assert "Pillow" in data.load_letters(3)[0]


def test_looking_for_a_download_leaves_the_timeout_of_sockets_alone(offline):
    socket.setdefaulttimeout(None)
    offline.load_images("mnist", num_train=5, num_test=5)
    assert socket.getdefaulttimeout() is None


def test_quick_mode_asks_no_network(examples, monkeypatch):
    monkeypatch.delenv("MCDROP_DATA", raising=False)
    monkeypatch.setenv("MCDROP_QUICK", "1")
    import data
    import keras

    def forbidden(*arguments, **options):
        raise AssertionError("the network was asked")

    for name in ("mnist", "california_housing"):
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", forbidden)
    assert data.pick(100, 1) == 1
    assert "scikit-learn" in data.load_images("mnist", num_train=5, num_test=5).source
    assert "diabetes" in data.load_table().source
