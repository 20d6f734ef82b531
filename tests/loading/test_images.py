"""Folders of images, read as Keras reads them, or refused."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from mcdrop.errors import DataError
from mcdrop.loading import DataOptions, ImageOptions, InputSpec, open_data


def write_image(path, size=(6, 4), value=100, mode="RGB", **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    fill = value if mode in ("L", "P", "1") else (value,) * len(mode)
    Image.new(mode, size, fill).save(path, **settings)


def write_noise(path, shape=(9, 7, 3), mode="RGB", **settings):
    generator = np.random.default_rng(len(path.name))
    pixels = generator.integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **settings)


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        write_image(tmp_path / "pets" / "dog" / f"{number}.png", value=10 * number)
        write_image(tmp_path / "pets" / "cat" / f"{number}.PNG", value=100 + number)
    return tmp_path / "pets"


def test_subfolders_are_classes_in_alphabetical_order(folder):
    data = open_data(str(folder))
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(data.y(), [0, 0, 0, 1, 1, 1])
    assert data.x().shape == (6, 4, 6, 3)
    assert data.x().dtype == np.uint8
    np.testing.assert_array_equal(data.x()[:, 0, 0, 0], [100, 101, 102, 0, 10, 20])
    assert data.readings == ("The classes are the subfolders in alphabetical order: 0 cat, 1 dog.",)


def test_a_flat_folder_has_no_labels(folder):
    data = open_data(str(folder / "dog"))
    assert data.labels is None
    assert len(data) == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_decoded_to_the_channels_asked_for(folder, channels):
    options = DataOptions(images=ImageOptions(channels=channels))
    assert open_data(str(folder), options).x().shape == (6, 4, 6, channels)


def test_the_model_decides_size_and_channels(folder):
    write_image(folder / "dog" / "big.png", size=(8, 8))
    data = open_data(str(folder), expected={"x": InputSpec((4, 6, 1))})
    assert data.x().shape == (7, 4, 6, 1)
    assert data.x().dtype == np.float32
    assert "1 of 7 images are resized to 4x6 (from 8x8)" in data.readings[0]
    same = open_data(str(folder / "cat"), expected={"x": InputSpec((4, 6, 3))})
    assert same.x().dtype == np.uint8
    assert same.readings == ()
    open_size = {"x": InputSpec((None, None, 3))}
    with pytest.raises(DataError, match=r"different sizes.*4x6.*big\.png is 8x8.*--image-size"):
        open_data(str(folder), expected=open_size)


def test_a_folder_given_other_names_keeps_each_image_in_its_class(folder):
    data = open_data(str(folder), DataOptions(class_names=("dog", "cow", "cat")))
    np.testing.assert_array_equal(data.y(), [2, 2, 2, 0, 0, 0])
    renamed = open_data(str(folder), DataOptions(class_names=("Felis", "Canis")))
    np.testing.assert_array_equal(renamed.y(), [0, 0, 0, 1, 1, 1])
    assert "cat is Felis, dog is Canis" in renamed.readings[-1]


KINDS = {
    "RGB": {"mode": "RGB"},
    "grey": {"mode": "L"},
    "palette": {"mode": "P"},
    "one bit": {"mode": "1"},
    "with transparency": {"mode": "RGBA"},
    "grey with transparency": {"mode": "LA"},
}


def as_keras_reads(folder, size, colours="rgb"):
    keras = pytest.importorskip("keras")
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=size, shuffle=False, label_mode="int", color_mode=colours, verbose=False
    )
    return [np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True)]


@pytest.mark.parametrize("size", [(9, 7), (5, 6), (13, 4)])
def test_images_and_labels_are_those_of_keras(tmp_path, size):
    for number, kind in enumerate(KINDS):
        write_noise(tmp_path / f"class {number % 2}" / f"{kind}.png", **KINDS[kind])
    write_noise(tmp_path / "class 0" / "large.bmp", shape=(20, 11, 3))
    write_noise(tmp_path / "class 1" / "photo.jpg", shape=(20, 11, 3))
    write_noise(tmp_path / "class 0" / "inner" / "deep.png")
    x, y = as_keras_reads(tmp_path, size)
    data = open_data(str(tmp_path), DataOptions(images=ImageOptions(size=size)))
    np.testing.assert_array_equal(data.y(), y)
    # The order within a class is that of the full path there, of each folder here.
    for label in (0, 1):
        ours, theirs = (
            sorted(map(tuple, np.round(images[labels == label], 3).reshape(-1, np.prod(size) * 3)))
            for images, labels in ((data.x().astype(np.float32), data.y()), (x, y))
        )
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_grey_images_are_those_of_keras(tmp_path):
    for kind in KINDS:
        write_noise(tmp_path / "a" / f"{kind}.png", **KINDS[kind])
    write_noise(tmp_path / "a" / "photo.jpg")
    x, _ = as_keras_reads(tmp_path, (9, 7), "grayscale")
    data = open_data(str(tmp_path), DataOptions(images=ImageOptions(1, (9, 7))))
    np.testing.assert_array_equal(data.x(), x)


def test_deep_pixels_keep_their_upper_bits_as_in_keras_and_it_is_told(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (4, 5)).astype(np.uint16)
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "deep.png")
    x, _ = as_keras_reads(tmp_path, (4, 5), "grayscale")
    data = open_data(str(tmp_path), DataOptions(images=ImageOptions(channels=1)))
    np.testing.assert_array_equal(data.x(), x)
    np.testing.assert_array_equal(data.x()[0, ..., 0], pixels >> 8)
    assert "1 of 1 images have 16 bits, of which the upper 8 are kept" in data.readings[0]


def test_a_noted_rotation_is_not_applied_as_in_keras_and_it_is_told(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_noise(tmp_path / "a" / "1.jpg", exif=exif, quality=95)
    x, _ = as_keras_reads(tmp_path, (9, 7))
    data = open_data(str(tmp_path))
    np.testing.assert_array_equal(data.x(), x)
    assert "1 of 1 images carry a rotation, which is not applied" in data.readings[0]


def test_of_several_frames_the_first_is_read(tmp_path):
    frames = [Image.new("L", (4, 4), value) for value in (50, 200)]
    frames[0].save(tmp_path / "1.gif", save_all=True, append_images=frames[1:])
    data = open_data(str(tmp_path), DataOptions(images=ImageOptions(channels=1)))
    assert (data.x() == 50).all()
    assert "several frames; the first is read" in data.readings[0]


def test_cmyk_images_are_read_in_colour(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "1.jpg")
    red = open_data(str(tmp_path)).x()[0, 0, 0].astype(int)
    np.testing.assert_allclose(red, [255, 0, 0], atol=6)


@pytest.mark.parametrize("name", ["._0.png", ".DS_Store", "Thumbs.db", ".hidden.png"])
def test_what_systems_leave_behind_is_no_data(folder, name):
    (folder / "dog" / name).write_bytes(b"not an image")
    (folder / name).write_bytes(b"not an image")
    (folder / "__MACOSX" / "dog").mkdir(parents=True)
    (folder / "__MACOSX" / "dog" / "._0.png").write_bytes(b"\0")
    (folder / ".ipynb_checkpoints").mkdir()
    data = open_data(str(folder))
    assert data.class_names == ("cat", "dog")
    assert len(data.x()) == 6
    assert len(data.readings) == 1


def test_what_is_left_out_is_told(folder):
    write_image(folder / "beside.png")
    (folder / "dog" / "notes.txt").write_text("hello")
    (folder / "eel").mkdir()
    data = open_data(str(folder))
    assert data.class_names == ("cat", "dog", "eel")
    told = " ".join(data.readings)
    assert "1 images beside the subfolders of pets are left out" in told
    assert "1 files in the subfolders of pets are no images" in told
    assert "Classes without an image: eel" in told
    assert len(data) == 6


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "Validation"), ("test",)])
def test_parts_of_a_data_set_are_no_classes(folder, tmp_path, names):
    for name in names:
        (tmp_path / "whole" / name).mkdir(parents=True)
        os.rename(folder, tmp_path / "whole" / name / "x") if name == names[0] else None
    with pytest.raises(DataError, match=r"parts of a data set, not classes\. Name one of them"):
        open_data(str(tmp_path / "whole"))


def test_a_class_may_be_called_test(folder):
    (folder / "cat").rename(folder / "test")
    assert open_data(str(folder)).class_names == ("dog", "test")


def test_a_folder_around_the_classes_is_told(folder, tmp_path):
    (tmp_path / "archive").mkdir()
    folder.rename(tmp_path / "archive" / "pets")
    with pytest.raises(DataError, match="the one folder pets, with cat, dog inside"):
        open_data(str(tmp_path / "archive"))


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"holds no images .*expected one subfolder a class"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("kind", ["class", "file", "inner folder"])
def test_links_that_leave_the_folder_are_refused(folder, tmp_path, kind):
    write_image(tmp_path / "elsewhere" / "1.png")
    link, target = {
        "class": (folder / "eel", tmp_path / "elsewhere"),
        "file": (folder / "dog" / "9.png", tmp_path / "elsewhere" / "1.png"),
        "inner folder": (folder / "dog" / "more", tmp_path / "elsewhere"),
    }[kind]
    link.symlink_to(target)
    with pytest.raises(DataError, match=r"is a link that leaves .*Copy what it leads to"):
        open_data(str(folder))


def test_links_within_the_folder_are_followed(folder):
    (folder / "dog" / "9.png").symlink_to(folder / "cat" / "0.PNG")
    assert len(open_data(str(folder)).x()) == 7


def test_a_linked_folder_as_a_whole_is_one(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert len(open_data(str(tmp_path / "link")).x()) == 6


@pytest.mark.parametrize("depth", ["class", "top"])
def test_a_folder_that_cannot_be_read_is_an_error(folder, monkeypatch, depth):
    bad, listed = (folder / "dog" if depth == "class" else folder), os.listdir

    def refuse(path):
        if str(path) == str(bad):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(DataError, match=rf"{bad.name} cannot be read \(Permission denied\)"):
        open_data(str(folder))


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "dog" / "bad.png").write_text("hello")
    with pytest.raises(DataError, match=r"bad\.png is not an image"):
        open_data(str(folder))


def test_a_truncated_image_is_named(folder):
    path = folder / "dog" / "0.png"
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 256, (4, 6, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"0\.png is a damaged image"):
        open_data(str(folder)).x()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_images_raise_no_other_error(tmp_path, form):
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(buffer, form)
    whole = np.frombuffer(buffer.getvalue(), np.uint8)
    path = tmp_path / f"1.{form.lower()}"
    for _ in range(40):
        damaged = whole.copy()
        damaged[generator.integers(len(whole), size=3)] ^= generator.integers(
            1, 255, dtype=np.uint8
        )
        path.write_bytes(damaged.tobytes()[: generator.integers(4, len(whole) + 1)])
        try:
            open_data(str(tmp_path)).x()
        except DataError as error:
            assert path.name in str(error)  # noqa: PT017


def test_pixels_of_32_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="pixels of 32 bits"):
        open_data(str(tmp_path)).x()


def test_an_image_bomb_is_refused(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", size=(50, 50))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="too large an image"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("target", [".", "..", "../cat/../dog"])
def test_a_folder_linked_into_itself_is_refused(folder, target):
    (folder / "dog" / "again").symlink_to(target)
    with pytest.raises(DataError, match=r"again is a link to a folder that it lies in"):
        open_data(str(folder))


def test_what_is_called_an_image_and_cannot_be_read_is_told(folder):
    os.mkfifo(folder / "dog" / "9.png")
    with pytest.raises(DataError, match=r"9\.png is a pipe"):
        open_data(str(folder))
    (folder / "dog" / "9.png").unlink()
    (folder / "dog" / "9.png").symlink_to("nothing.png")
    with pytest.raises(DataError, match=r"9\.png does not exist"):
        open_data(str(folder))


@pytest.mark.parametrize("options", [DataOptions(x_key="a"), DataOptions(y_key="label")])
def test_a_folder_has_no_arrays_to_name(folder, options):
    with pytest.raises(DataError, match=r"-key is .* has no arrays or columns with names"):
        open_data(str(folder), options)


def test_labels_of_a_file_in_place_of_the_folders_are_told(folder, tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(6) % 2)
    data = open_data(str(folder), DataOptions(labels=tmp_path / "labels.npy"))
    assert data.y().tolist() == [0, 1] * 3
    assert "labels.npy, in place of those in" in data.readings[-1]
