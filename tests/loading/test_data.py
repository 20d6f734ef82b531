import zipfile

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from mcdrop.errors import DataError
from mcdrop.files import archives
from mcdrop.loading import DataOptions, InputSpec, open_data
from mcdrop.loading.rows import ArrayRows, rows_at_once


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (10, 4, 4), dtype=np.uint8)
    return x, generator.integers(0, 3, 10)


@pytest.fixture
def npz(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", x_test=arrays[0], y_test=arrays[1])
    return tmp_path / "data.npz"


def test_a_source_that_does_not_exist_lists_the_known_names():
    with pytest.raises(
        DataError, match=r"does not exist, and is no known data set .*digits, mnist"
    ):
        open_data("nowhere.npz")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_a_garbage_file_says_what_is_expected(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"neither an \.npz, \.npy, \.parquet, \.csv"):
        open_data(str(tmp_path / "data.npz"))


def test_a_truncated_archive_is_damaged(npz):
    npz.write_bytes(npz.read_bytes()[:-100])
    with pytest.raises(DataError, match="is damaged"):
        open_data(str(npz))


def test_a_flipped_byte_is_found_on_reading(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((100, 1000)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="is damaged"):
        open_data(str(path)).x()


def test_a_zip_bomb_is_never_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "data.npz", x=np.zeros((10, 10**6), np.uint8))
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 10**6)
    with pytest.raises(DataError, match="looks like a zip bomb"):
        open_data(str(tmp_path / "data.npz"))


def test_object_arrays_are_never_unpickled(tmp_path):
    values = np.array([np.zeros(2), np.zeros(3)], dtype=object)
    np.savez(tmp_path / "data.npz", x=values, y=np.zeros(2))
    np.save(tmp_path / "data.npy", values)
    for name in ("data.npz", "data.npy"):
        with pytest.raises(
            DataError, match="array of Python objects, which mcdrop never unpickles"
        ):
            open_data(str(tmp_path / name))


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path, arrays):
    np.save(tmp_path / "data.npy", arrays[0])
    content = (tmp_path / "data.npy").read_bytes()
    (tmp_path / "data.npy").write_bytes(content[:-7])
    with pytest.raises(DataError, match="ends too early"):
        open_data(str(tmp_path / "data.npy")).x()


@pytest.mark.parametrize("shape", [(0, 4), (5, 0)])
def test_empty_arrays_are_refused(tmp_path, shape):
    np.savez(tmp_path / "data.npz", x=np.zeros(shape))
    with pytest.raises(DataError, match="is empty"):
        open_data(str(tmp_path / "data.npz"))


def test_a_single_number_is_no_data(tmp_path):
    np.save(tmp_path / "data.npy", 3.0)
    with pytest.raises(DataError, match="is a single number"):
        open_data(str(tmp_path / "data.npy"))


def test_labels_of_another_length_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", x=arrays[0], y=arrays[1][:-1])
    with pytest.raises(DataError, match="has 10 examples but 9 labels"):
        open_data(str(tmp_path / "data.npz"))


def test_several_candidates_ask_for_the_key(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", x=arrays[0], images=arrays[0])
    with pytest.raises(DataError, match=r"has x, images; expected exactly one of .*--x-key"):
        open_data(str(tmp_path / "data.npz"))


@pytest.mark.parametrize("options", [DataOptions(x_key="z"), DataOptions(y_key="z")])
def test_a_key_that_is_not_there_lists_the_arrays(npz, options):
    with pytest.raises(DataError, match="has no array 'z'; it has x_test, y_test"):
        open_data(str(npz), options)


def test_missing_labels_say_how_to_give_them(tmp_path, arrays):
    np.save(tmp_path / "data.npy", arrays[0])
    with pytest.raises(DataError, match=r"has no labels. Name them with --y-key, or .*--labels"):
        open_data(str(tmp_path / "data.npy")).y()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("keys", [("x_test", "y_test"), ("x", "y"), ("images", "labels")])
def test_known_keys_are_found(tmp_path, arrays, save, keys):
    save(tmp_path / "data.npz", **dict(zip(keys, arrays, strict=True)), other=np.zeros(3))
    data = open_data(str(tmp_path / "data.npz"))
    np.testing.assert_array_equal(data.x(), arrays[0])
    np.testing.assert_array_equal(data.y(), arrays[1])


@pytest.mark.parametrize(
    ("names", "x_key", "expected", "label"),
    [
        (("a", "b", "y"), None, ("a", "b"), "y"),
        (("a", "b", "y"), "a,b", (), "y"),
        (("a", "labels"), "a", (), "labels"),
        (("a", "y", "labels"), "a", (), None),
        (("a", "y_test", "x_test"), "a", (), None),
    ],
)
def test_usual_labels_go_with_inputs_of_other_names(
    tmp_path, arrays, names, x_key, expected, label
):
    saved = {name: arrays[0] + number for number, name in enumerate(names)}
    saved |= {name: arrays[1] + number for number, name in enumerate(names) if name[0] in "yl"}
    np.savez(tmp_path / "data.npz", **saved)
    specs = {name: InputSpec(arrays[0].shape[1:]) for name in expected}
    data = open_data(str(tmp_path / "data.npz"), DataOptions(x_key=x_key), specs)
    assert (data.labels is None) == (label is None)
    if label is not None:
        np.testing.assert_array_equal(data.y(), saved[label])
    if expected:
        assert tuple(data.inputs) == expected


@pytest.mark.parametrize("options", [DataOptions(x_key="a,a"), DataOptions("a", "b,b")])
def test_a_key_names_each_array_once(tmp_path, arrays, options):
    np.savez(tmp_path / "data.npz", a=arrays[0], b=arrays[1])
    pd.DataFrame({"a": [1.0], "b": [2.0]}).to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(DataError, match=r"-key names '\w' twice|expected one array"):
        open_data(str(tmp_path / "data.npz"), options)
    with pytest.raises(DataError, match=r"-key names '\w' twice"):
        open_data(str(tmp_path / "data.csv"), options)


def test_labels_in_another_kind_of_file_are_refused_by_name(tmp_path, npz):
    (tmp_path / "y.csv").write_text("0\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"y\.csv is no \.npy file. Save the array with np\.save"):
        open_data(str(npz), DataOptions(labels=tmp_path / "y.csv"))


def test_keys_can_be_named(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", x=arrays[0], a=arrays[0] + 1, b=arrays[1])
    data = open_data(str(tmp_path / "data.npz"), DataOptions(x_key="a", y_key="b"))
    np.testing.assert_array_equal(data.x(), arrays[0] + 1)
    np.testing.assert_array_equal(data.y(), arrays[1])


def test_the_training_part_brings_its_own_labels(tmp_path, arrays):
    np.savez(
        tmp_path / "data.npz", x=arrays[0], y=arrays[1], images=arrays[0], labels=arrays[1] + 1
    )
    data = open_data(str(tmp_path / "data.npz"), DataOptions(x_key="images"))
    np.testing.assert_array_equal(data.y(), arrays[1] + 1)


def test_a_lone_array_needs_no_name(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", whatever=arrays[0])
    np.testing.assert_array_equal(open_data(str(tmp_path / "data.npz")).x(), arrays[0])


def test_several_keys_give_several_inputs(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", image=arrays[0], meta=arrays[1])
    data = open_data(str(tmp_path / "data.npz"), DataOptions(x_key="image,meta"))
    assert list(data.x()) == ["image", "meta"]
    blocks = list(data.blocks(4))
    np.testing.assert_array_equal(np.concatenate([b["meta"] for b in blocks]), arrays[1])


def test_inputs_of_different_lengths_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", image=arrays[0], meta=arrays[1][:5])
    with pytest.raises(DataError, match="inputs of different lengths: image 10, meta 5"):
        open_data(str(tmp_path / "data.npz"), DataOptions(x_key="image,meta"))


def test_labels_may_lie_in_their_own_file(tmp_path, arrays):
    np.save(tmp_path / "x.npy", arrays[0])
    np.save(tmp_path / "y.npy", arrays[1])
    data = open_data(str(tmp_path / "x.npy"), DataOptions(labels=tmp_path / "y.npy"))
    np.testing.assert_array_equal(data.y(), arrays[1])


def test_class_names_come_from_the_file_unless_given(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", x=arrays[0], class_names=np.array(["cat", "dog", "cow"]))
    path = str(tmp_path / "data.npz")
    assert open_data(path).class_names == ("cat", "dog", "cow")
    assert open_data(path, DataOptions(class_names=("a", "b", "c"))).class_names == ("a", "b", "c")


@pytest.mark.parametrize("size", [1, 3, 10, 99])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "|u1", "<i8"])
def test_blocks_of_any_size_make_up_the_array(tmp_path, arrays, size, order, dtype):
    x = np.asarray(arrays[0], dtype=dtype, order=order)
    np.savez_compressed(tmp_path / "data.npz", x=x)
    np.save(tmp_path / "data.npy", x)
    for name in ("data.npz", "data.npy"):
        blocks = list(open_data(str(tmp_path / name)).blocks(size))
        assert max(map(len, blocks)) <= size
        np.testing.assert_array_equal(np.concatenate(blocks), x)


def test_a_limit_takes_the_same_random_examples_every_time_in_order(npz, arrays):
    data = open_data(str(npz))
    few = data.limit(4)
    assert len(few) == 4
    np.testing.assert_array_equal(few.x(), data.limit(4).x())
    positions = [int(np.argmax((arrays[0] == row).all(axis=(1, 2)))) for row in few.x()]
    assert positions == sorted(set(positions))
    np.testing.assert_array_equal(few.y(), arrays[1][positions])
    np.testing.assert_array_equal(np.concatenate(list(few.blocks(3))), few.x())


def test_a_limit_beyond_the_data_changes_nothing(npz):
    data = open_data(str(npz))
    assert data.limit(99) is data
    assert data.limit(None) is data


def test_an_archive_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", b"not an array")
    with pytest.raises(DataError, match="is not an array written by NumPy"):
        open_data(str(tmp_path / "data.npz"))


def test_blocks_are_sized_by_the_bytes_of_a_row():
    small, large = (ArrayRows(np.empty((1, size), np.uint8)) for size in (2**10, 2**26))
    assert rows_at_once([small]) == 2**15
    assert rows_at_once([large]) == 1
    assert rows_at_once([small, small]) == 2**14


def test_a_member_whose_own_header_is_wrong_is_damaged(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.ones((4, 3)), y=np.zeros(4))
    start, rest = path.read_bytes()[:4], path.read_bytes()[4:]
    path.write_bytes(start + rest.replace(b"PK\x03\x04", b"PK\x03\x05"))
    with pytest.raises(DataError, match=r"data\.npz is damaged"):
        open_data(str(path))


def test_texts_without_a_character_are_read(tmp_path):
    np.save(tmp_path / "data.npy", np.zeros((4, 1), "<U0"))
    with (tmp_path / "data.npy").open("wb") as file:
        header = {"descr": "<U0", "fortran_order": False, "shape": (4, 1)}
        np.lib.format.write_array_header_1_0(file, header)
    assert open_data(str(tmp_path / "data.npy")).x().tolist() == [[""]] * 4


_WAYS = (
    ("t.csv.zip", "Unpack it first"),
    ("t.xlsx", "read_excel"),
    ("t.keras", "It seems to be a model"),
)


def test_an_archive_without_arrays_gets_a_way_out(tmp_path):
    for name, words in _WAYS:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("t.csv", "a,b")
        with pytest.raises(DataError, match=words):
            open_data(str(tmp_path / name))


def every_source(folder):
    """Yields a source of every kind, by its name."""
    x = np.random.default_rng(0).integers(0, 255, (23, 6, 5), np.uint8)
    np.save(folder / "x.npy", x)
    np.save(folder / "columns.npy", np.asfortranarray(x))
    np.savez(folder / "x.npz", x=x)
    np.savez_compressed(folder / "packed.npz", x=x)
    (folder / "images").mkdir()
    for number, image in enumerate(x):
        PIL.Image.fromarray(image).save(folder / "images" / f"{number:03d}.png")
    table = pd.DataFrame(x.reshape(23, -1)).rename(columns=str)
    table.to_csv(folder / "table.csv", index=False)
    table.to_parquet(folder / "table.parquet", row_group_size=4)
    yield from ("x.npy", "columns.npy", "x.npz", "packed.npz", "images")
    yield from ("table.csv", "table.parquet")


@pytest.mark.parametrize("size", [3, 100])
def test_every_source_is_read_from_any_example_on(tmp_path, size):
    for name in every_source(tmp_path):
        data = open_data(str(tmp_path / name))
        chosen = data.limit(15)
        for start in (0, 1, 3, 4, 11, 14):
            for source in (data, chosen):
                found = np.concatenate(list(source.blocks(size, start)))
                np.testing.assert_array_equal(found, source.x()[start:], err_msg=name)
        assert list(data.blocks(size, 23)) == []
        assert list(chosen.blocks(size, 15)) == []
