import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mcdrop.errors import DataError
from mcdrop.loading import DataOptions, ImageOptions, open_data


@pytest.fixture
def write(tmp_path):
    def write_table(**columns):
        pq.write_table(pa.table(columns), tmp_path / "data.parquet", row_group_size=4)
        return str(tmp_path / "data.parquet")

    return write_table


def test_a_garbage_file_is_told(tmp_path):
    (tmp_path / "data.parquet").write_text("hello")
    with pytest.raises(DataError, match=r"cannot be read as a Parquet table"):
        open_data(str(tmp_path / "data.parquet"))


def test_text_columns_are_refused_by_name(write):
    path = write(age=[1, 2], city=["a", "b"], y=[0, 1])
    with pytest.raises(
        DataError, match=r"column 'city' of .* holds text \('a'\), expected numbers"
    ):
        open_data(path)


def test_two_label_columns_ask_for_one(write):
    with pytest.raises(DataError, match="several columns that may be the labels: y, target"):
        open_data(write(a=[1.0], y=[0], target=[1]))


def test_a_column_that_is_not_there_lists_the_columns(write):
    with pytest.raises(DataError, match="has no column 'b'; its columns are a, y"):
        open_data(write(a=[1.0], y=[0]), DataOptions(x_key="b"))


def test_a_table_of_labels_only_has_no_input(write):
    with pytest.raises(DataError, match="has no input column"):
        open_data(write(y=[0]))


def test_an_empty_table_is_refused(write):
    with pytest.raises(DataError, match="is empty"):
        open_data(write(a=pa.array([], pa.float32())))


def test_lists_of_different_lengths_are_refused(write):
    with pytest.raises(DataError, match="lists of different lengths"):
        open_data(write(a=[[1.0], [1.0, 2.0]])).x()


def test_list_columns_do_not_mix_with_others(write):
    with pytest.raises(DataError, match="mixes columns of lists or images with others"):
        open_data(write(a=[[1.0], [2.0]], b=[1.0, 2.0]))


def test_number_columns_become_one_matrix(write):
    values = np.random.default_rng(0).normal(size=(10, 3))
    path = write(a=values[:, 0], b=values[:, 1], c=values[:, 2], target=np.arange(10))
    data = open_data(path)
    np.testing.assert_array_equal(data.x(), values)
    np.testing.assert_array_equal(data.y(), np.arange(10))
    np.testing.assert_array_equal(np.concatenate(list(data.blocks(3))), values)
    named = open_data(path, DataOptions(x_key="c,a", y_key="b"))
    np.testing.assert_array_equal(named.x(), values[:, [2, 0]])
    np.testing.assert_array_equal(named.y(), values[:, 1])


def test_nested_lists_become_arrays(write):
    values = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    data = open_data(write(image=values.tolist(), label=[0] * 5))
    np.testing.assert_allclose(data.x(), values, rtol=1e-6)


def test_encoded_images_are_decoded(write):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    encoded = []
    for image in pixels:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    options = DataOptions(images=ImageOptions(channels=1))
    data = open_data(write(image=encoded, label=[2, 0, 1]), options)
    np.testing.assert_array_equal(data.x()[..., 0], pixels)
    np.testing.assert_array_equal(data.y(), [2, 0, 1])


def test_bytes_that_are_no_image_are_refused(write):
    with pytest.raises(DataError, match="is not an image"):
        open_data(write(image=[b"hello"], label=[2])).x()


def test_csv_tables_read_like_parquet(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 2))
    lines = ["a,b,y", *(f"{a},{b},{n}" for n, (a, b) in enumerate(values))]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    data = open_data(str(tmp_path / "data.csv"))
    np.testing.assert_allclose(data.x(), values)
    np.testing.assert_array_equal(data.y(), np.arange(50))
