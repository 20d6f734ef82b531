import sys

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.loading import load_named, open_data
from mcdrop.loading.named import is_named


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MCDROP_DATA", str(tmp_path))
    return tmp_path


def test_an_unknown_name_lists_the_known_ones(folder):
    with pytest.raises(DataError, match=r"no data set 'letters'. Known are digits, mnist"):
        load_named("letters")


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="`split` is 'validation', expected one of 'train', 'test'"):
        load_named("digits", split="validation")


def test_a_failed_download_says_where_to_put_the_file(folder, monkeypatch, capsys):
    keras = pytest.importorskip("keras")

    def fail():
        sys.stdout.write("Downloading data")
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(DataError, match=r"Put mnist\.npz into a folder .*MCDROP_DATA"):
        load_named("mnist")
    assert capsys.readouterr().out == ""


def test_a_download_gives_the_asked_split(folder, monkeypatch):
    keras = pytest.importorskip("keras")
    train = (np.zeros((3, 2, 2, 3), np.uint8), np.array([[1], [2], [3]]))
    test = (np.ones((2, 2, 2, 3), np.uint8), np.array([[4], [5]]))
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (train, test))
    loaded = load_named("cifar10")
    np.testing.assert_array_equal(loaded.x, test[0])
    np.testing.assert_array_equal(loaded.y, [4, 5])
    assert loaded.class_names[4] == "deer"
    np.testing.assert_array_equal(load_named("cifar10", split="train").y, [1, 2, 3])


def test_digits_need_no_network_and_split_without_overlap():
    train, test = (load_named("digits", split=split) for split in ("train", "test"))
    assert len(train.x) + len(test.x) == 1797
    assert train.x.shape[1:] == (8, 8, 1)
    assert train.x.min() == 0.0
    assert train.x.max() == 1.0
    rows = {row.tobytes() for row in train.x}
    assert sum(row.tobytes() in rows for row in test.x) == 0
    counts = np.bincount(test.y)
    assert counts.max() - counts.min() <= 3  # stratified: the ten digits come in equal shares


def test_files_in_the_folder_are_found_by_name_and_split(folder):
    x = np.random.default_rng(0).integers(0, 256, (6, 3, 3), dtype=np.uint8)
    y = np.array([0, 1, 2, 0, 1, 2], np.uint8)
    np.savez(folder / "cifar10_test.npz", x_test=x, y_test=y)
    np.savez(
        folder / "letters.npz",
        x_test=x,
        y_test=y,
        x_train=x + 1,
        y_train=y,
        class_names=["A", "B", "C"],
    )
    assert load_named("cifar10").class_names[0] == "airplane"
    letters = load_named("letters", split="train")
    np.testing.assert_array_equal(letters.x, x + 1)
    assert letters.class_names == ("A", "B", "C")
    assert letters.y.dtype == np.int64
    np.testing.assert_array_equal(open_data("letters").x(), x)


def test_a_file_without_the_split_lists_what_it_has(folder):
    np.savez(folder / "letters.npz", x=np.zeros(3))
    with pytest.raises(DataError, match=r"has no x_test and y_test; it has x.npy"):
        load_named("letters")


def test_a_path_is_never_taken_for_a_name(folder):
    np.savez(folder / "letters.npz", x=np.zeros(3))
    assert is_named("letters")
    assert not is_named("../letters")
    assert not is_named(f"{folder}/letters")


@pytest.mark.data
def test_mnist_has_its_published_class_counts():
    import os

    if not is_named("mnist") or not os.environ.get("MCDROP_DATA"):
        pytest.skip("MCDROP_DATA names no folder with mnist.npz")
    mnist = load_named("mnist")
    assert np.bincount(mnist.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
