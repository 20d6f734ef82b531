import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mcdrop.errors import DataError
from mcdrop.loading import DataOptions, ImageOptions, InputSpec, open_data

keras = pytest.importorskip("keras")


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


def test_one_column_of_several_asks_for_what_separates_them(tmp_path):
    (tmp_path / "t.csv").write_text("a:b\n1:2\n", encoding="utf-8")
    expected = {"x": InputSpec((2,))}
    with pytest.raises(DataError, match=r"column 'a:b' .* holds text \('1:2'\).*--separator"):
        open_data(str(tmp_path / "t.csv"), expected=expected)


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
        open_data(write(image=[b"\xffhello"], label=[2])).x()


def test_csv_tables_read_like_parquet(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 2))
    lines = ["a,b,y", *(f"{a},{b},{n}" for n, (a, b) in enumerate(values))]
    (tmp_path / "data.csv").write_text("\n".join(lines))
    data = open_data(str(tmp_path / "data.csv"))
    np.testing.assert_allclose(data.x(), values)
    np.testing.assert_array_equal(data.y(), np.arange(50))


def frame(count=6):
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal(size=(count, 3)), columns=["a", "b", "c"])
    return table.assign(y=np.arange(count) % 2)


INDEXED = {
    "none": lambda table: table,
    "shuffled": lambda table: table.sample(frac=1, random_state=1),
    "filtered": lambda table: table[table.y > 0],
    "named": lambda table: table.set_index(pd.Index(np.arange(len(table))[::-1], name="id")),
    "of text": lambda table: table.set_index(pd.Index(list("uvwxyz"), name="code")),
    "of two levels": lambda table: table.set_index(
        pd.MultiIndex.from_arrays([list("uvwxyz"), range(6)], names=["code", "step"])
    ),
    "unnamed, of two levels": lambda table: table.set_index(
        pd.MultiIndex.from_arrays([list("uvwxyz"), range(6)])
    ),
    "of dates": lambda table: table.set_index(pd.date_range("2020", periods=6)),
}


@pytest.mark.parametrize("form", INDEXED)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_index_of_a_pandas_table_is_no_feature(tmp_path, form, kind):
    table = INDEXED[form](frame())
    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.rename_axis([None] * table.index.nlevels).to_csv(path)
    data = open_data(str(path))
    np.testing.assert_allclose(data.x(), table[["a", "b", "c"]].to_numpy())
    np.testing.assert_array_equal(data.y(), table.y)
    assert data.columns == ("a", "b", "c")


def test_an_index_can_be_named_as_an_input_or_label(tmp_path):
    table = frame().set_index(pd.Index(range(5, 11), name="id"))
    table.sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    data = open_data(str(tmp_path / "t.parquet"), DataOptions(x_key="a,b", y_key="id"))
    assert data.x().shape == (6, 2)
    assert sorted(data.y()) == list(range(5, 11))


@pytest.mark.parametrize("dtype", ["float32", "Float64", "float64[pyarrow]", "category", "object"])
def test_numbers_of_every_pandas_type_are_numbers(tmp_path, dtype):
    table = frame()
    table["a"] = table["a"].astype(dtype)
    table.to_parquet(tmp_path / "t.parquet")
    x = open_data(str(tmp_path / "t.parquet")).x()
    np.testing.assert_allclose(x, frame()[["a", "b", "c"]].to_numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None, 3], pa.int32()), [1, np.nan, 3]),
        (pa.array([True, None, False]), [1, np.nan, 0]),
        (pa.array([1, 2, 3], pa.decimal128(12, 2)), [1, 2, 3]),
        (pa.array([1.5, 2, 3], pa.float16()), [1.5, 2, 3]),
        (pa.array([1, 2, 1]).dictionary_encode(), [1, 2, 1]),
        (pa.array([None] * 3, pa.null()), [np.nan] * 3),
        (pa.array([True, False, True]), [True, False, True]),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
def test_numbers_of_every_arrow_type_are_numbers(write, column, expected, others):
    more = {"b": [0.5] * 3} if others else {}
    rows = open_data(write(a=column, **more)).inputs["x"]
    blocks = list(rows.blocks(2))
    assert {block.dtype for block in blocks} == {rows.dtype}
    found = np.concatenate(blocks)
    np.testing.assert_allclose(found[:, 0] if others else found, np.array(expected, float))


def test_several_targets_are_named_by_their_columns(write):
    path = write(a=[1.0, 2.0], t1=[3, 4], t2=[5.0, 6.0])
    data = open_data(path, DataOptions(y_key="t1, t2"))
    np.testing.assert_array_equal(data.y(), [[3, 5], [4, 6]])
    assert data.x().shape == (2,)


def test_a_name_with_a_comma_is_one_name(write):
    path = write(**{"mass, kg": [1.0, 2.0], "y": [0, 1]})
    assert open_data(path, DataOptions(x_key="mass, kg")).x().tolist() == [1, 2]


def test_a_wrong_name_lists_at_most_ten_columns_and_the_nearest(write):
    path = write(**{f"pixel{number}": [0] for number in range(30)})
    with pytest.raises(DataError, match=r"pixel9 and 20 more\. Did you mean 'pixel29'\?"):
        open_data(path, DataOptions(x_key="pixle29"))


def test_two_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="2 columns named 'a'"):
        open_data(str(tmp_path / "t.parquet"))


def test_dates_are_told_as_what_they_are(tmp_path):
    table = pd.DataFrame({"a": [1.0, 2, 3], "day": pd.date_range("2020", periods=3)})
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column 'day' .* holds values of type timestamp"):
        open_data(str(tmp_path / "t.parquet"))


def labelled_by_categories(tmp_path, categories):
    values = pd.Categorical(["mid", "low"], categories=categories)
    pd.DataFrame({"a": [1.0, 2.0], "y": values}).to_parquet(tmp_path / "t.parquet")
    return open_data(str(tmp_path / "t.parquet"))


def test_categories_keep_the_order_that_pandas_gives_them(tmp_path):
    data = labelled_by_categories(tmp_path, ["low", "mid", "high"])
    assert data.categories == ("low", "mid", "high")
    assert data.y().tolist() == ["mid", "low"]
    assert labelled_by_categories(tmp_path, ["high", "low", "mid"]).categories[0] == "high"


def test_the_names_of_a_hugging_face_table_are_those_of_its_classes(tmp_path):
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"a": [1.0, 2.0], "label": [1, 0]}).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "t.parquet")
    assert open_data(str(tmp_path / "t.parquet")).class_names == ("neg", "pos")


@pytest.mark.parametrize("key", [b"pandas", b"huggingface"])
@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"info": 3, "columns": 3}', b"3", b"\xff"])
def test_damaged_notes_are_no_notes(tmp_path, key, note):
    table = pa.table({"a": [1.0], "y": [1]}).replace_schema_metadata({key: note})
    pq.write_table(table, tmp_path / "t.parquet")
    assert open_data(str(tmp_path / "t.parquet")).y().tolist() == [1]


TEXT = {"x": InputSpec((1,), is_text=True)}


@pytest.mark.parametrize("words", [["a", "b"], ["NA", "007"], ["1", "2"]])
def test_a_model_of_text_gets_every_word_of_a_text_table(tmp_path, words):
    pd.DataFrame({"text": words, "label": [0, 1]}).to_csv(tmp_path / "t.csv", index=False)
    data = open_data(str(tmp_path / "t.csv"), expected=TEXT)
    assert data.x().tolist() == words
    assert data.y().tolist() == [0, 1]


def test_what_is_no_text_is_refused_where_text_is_expected(write):
    with pytest.raises(DataError, match=r"'a' .* holds numbers, but the model takes text"):
        open_data(write(a=[1, 2]), expected=TEXT)
    with pytest.raises(DataError, match=r"one text, but .* 2 input columns .*--x-key a"):
        open_data(write(a=["u"], b=["v"]), expected=TEXT)


def test_columns_named_as_inputs_go_to_them_each(tmp_path):
    table = pd.DataFrame({"city": ["01", "x"], "age": [1, 2], "other": [0.5, 1], "y": [0, 1]})
    table.to_csv(tmp_path / "t.csv", index=False)
    expected = {"age": InputSpec((1,)), "city": InputSpec((1,), is_text=True)}
    data = open_data(str(tmp_path / "t.csv"), expected=expected)
    assert list(data.x()) == ["age", "city"]
    assert data.x()["city"].tolist() == ["01", "x"]
    assert data.x()["age"].tolist() == [1, 2]


def encoded(image, form="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, form)
    return {"bytes": buffer.getvalue(), "path": None}


def test_images_of_a_table_take_the_size_of_the_model(write):
    images = [encoded(Image.new("RGB", (8, 6), (value, 0, 0))) for value in (10, 20)]
    path = write(image=images, label=[0, 1])
    x = open_data(path, expected={"x": InputSpec((3, 4, 1))}).x()
    assert x.shape == (2, 3, 4, 1)
    assert x.dtype == np.float32


def test_images_of_mixed_sizes_need_a_size(write):
    pictures = [Image.effect_noise(size, 50) for size in ((8, 6), (8, 7))]
    path = write(image=list(map(encoded, pictures)), label=[0, 1])
    with pytest.raises(DataError, match=r"different sizes.*--image-size"):
        open_data(path).x()
    options = DataOptions(images=ImageOptions(1, (6, 8)))
    x = open_data(path, options).x()
    assert (x.shape, x.dtype) == ((2, 6, 8, 1), np.float32)
    resized = keras.ops.image.resize(np.array(pictures[1], np.float32)[..., None], (6, 8))
    np.testing.assert_array_equal(x[1], resized)


def test_missing_numbers_inside_of_lists_are_nan(write):
    rows = open_data(write(values=[[1, 2], [3, None]], label=[0, 1])).x()
    np.testing.assert_array_equal(rows, [[1, 2], [3, np.nan]])


def test_bytes_that_are_no_images_are_text(write):
    data = open_data(write(text=["caf\u00e9".encode(), b"BMW", None], label=[b"u", b"v", b"w"]))
    assert data.x().tolist() == ["caf\u00e9", "BMW", None]
    assert data.y().tolist() == ["u", "v", "w"]


def test_categories_that_are_numbers_are_these_numbers(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "label": pd.Categorical([2, 0, 1], [2, 0, 1])})
    frame.to_parquet(tmp_path / "t.parquet")
    data = open_data(str(tmp_path / "t.parquet"))
    assert (data.categories, data.y().tolist()) == (None, [2, 0, 1])


def test_numbers_written_as_text_are_told(write):
    with pytest.raises(DataError, match=r"column 'b' of .* holds numbers written as text"):
        open_data(write(a=[1.0, 2.0], b=["1", "2"], label=[0, 1]))


@pytest.fixture
def folder(tmp_path):
    """A table, and a folder of its parts with what writers leave beside them."""
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(23, 3)), columns=list("abc"))
    table["label"] = np.arange(23) % 3
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, start in enumerate((0, 4, 5, 17)):
        stop = (4, 5, 17, 23)[number]
        part = table.iloc[start:stop].reset_index(drop=True)
        part.to_parquet(folder / f"part-{number}.parquet", row_group_size=3)
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet").touch()
    (folder / "_metadata.parquet").touch()
    (folder / "parts.jsonl").write_text("{}")
    return table, folder


def test_a_folder_of_parquet_files_is_one_table(folder):
    table, parts = folder
    data = open_data(str(parts))
    assert len(data) == 23
    assert data.columns == ("a", "b", "c")
    np.testing.assert_array_equal(data.x(), table[["a", "b", "c"]])
    np.testing.assert_array_equal(data.y(), table["label"])
    for start in (0, 3, 4, 5, 6, 16, 17, 22):
        found = np.concatenate(list(data.blocks(4, start)))
        np.testing.assert_array_equal(found, data.x()[start:])
    assert list(data.blocks(4, 23)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.astype({"b": "float32"}), "in part-2.parquet column 'b' is float, not double"),
        (lambda t: t.drop(columns="c"), "column 'c' is absent, not double"),
        (lambda t: t.assign(d=1), "column 'd' is int64, not absent"),
        (lambda t: t[["b", "a", "c", "label"]], "the columns are in another order"),
    ],
)
def test_parts_of_different_tables_are_refused(folder, change, message):
    table, parts = folder
    change(table.iloc[:5]).to_parquet(parts / "part-2.parquet")
    with pytest.raises(DataError, match=message):
        open_data(str(parts))


def test_a_damaged_part_is_named(folder):
    (folder[1] / "part-1.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"part-1\.parquet cannot be read as a Parquet table"):
        open_data(str(folder[1]))
