import numpy as np
import pytest
from PIL import Image

from mcdrop.errors import DataError
from mcdrop.loading import DataOptions, ImageOptions, open_data


def write_image(path, size=(6, 4), value=100, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    fill = value if mode == "L" else (value,) * len(mode)
    Image.new(mode, size, fill).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        write_image(tmp_path / "pets" / "dog" / f"{number}.png", value=10 * number)
        write_image(tmp_path / "pets" / "cat" / f"{number}.PNG", value=100 + number)
    return tmp_path / "pets"


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"holds no images .*expected one subfolder a class"):
        open_data(str(tmp_path))


def test_mixed_sizes_name_two_files_and_the_way_out(folder):
    write_image(folder / "dog" / "big.png", size=(8, 8))
    with pytest.raises(DataError, match=r"different sizes.*4x6.*big\.png is 8x8.*--image-size"):
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


def test_pixels_of_32_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match="pixels of 32 bits"):
        open_data(str(tmp_path)).x()


def test_an_image_bomb_is_refused(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", size=(50, 50))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="too large an image"):
        open_data(str(tmp_path))


def test_subfolders_are_classes_in_alphabetical_order(folder):
    data = open_data(str(folder))
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(data.y(), [0, 0, 0, 1, 1, 1])
    assert data.x().shape == (6, 4, 6, 3)
    assert data.x().dtype == np.uint8
    np.testing.assert_array_equal(data.x()[:, 0, 0, 0], [100, 101, 102, 0, 10, 20])


def test_a_flat_folder_has_no_labels(folder):
    data = open_data(str(folder / "dog"))
    assert data.labels is None
    assert len(data) == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_decoded_to_the_channels_asked_for(folder, channels):
    options = DataOptions(images=ImageOptions(channels=channels))
    assert open_data(str(folder), options).x().shape == (6, 4, 6, channels)


def test_images_and_labels_agree_with_keras(folder):
    keras = pytest.importorskip("keras")
    generator = np.random.default_rng(0)
    for path in folder.rglob("*.[pP][nN][gG]"):
        shape = (*generator.integers(5, 12, 2), 3)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path)
    # Keras lists only lower-case suffixes on some platforms; rename to be independent of that.
    for path in folder.rglob("*.PNG"):
        path.rename(path.with_suffix(".png"))
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(7, 5), shuffle=False, label_mode="int", verbose=False
    )
    x, y = next(iter(dataset))
    data = open_data(str(folder), DataOptions(images=ImageOptions(size=(7, 5))))
    np.testing.assert_allclose(data.x(), x, atol=1e-4)
    np.testing.assert_array_equal(data.y(), y)
