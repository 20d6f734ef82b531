"""Labels as people have them become numbers in one way, or are asked about."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcdrop.errors import DataError
from mcdrop.loading import DataOptions, number_labels, open_data
from mcdrop.loading.labels import check_numbers, check_present, find_missing

NAMES = ["cat", "dog", "cow"]
CODES = [2, 0, 1, 2]
WORDS = [NAMES[code] for code in CODES]


@pytest.mark.parametrize(
    "labels",
    [
        WORDS,
        np.array(WORDS),
        np.array(WORDS)[:, None],
        np.array(WORDS, dtype="S"),
        np.array(WORDS, dtype=object),
        np.array(WORDS, dtype=np.dtypes.StringDType()),
        pd.Series(WORDS),
        pd.Series(WORDS, dtype="category"),
        np.ma.array(WORDS, mask=[False] * 4),
    ],
)
def test_names_are_matched_with_the_given_ones(labels):
    found = number_labels(labels, 3, NAMES)
    assert found.values.tolist() == CODES
    assert found.class_names == tuple(NAMES)
    assert "0 cat, 1 dog, 2 cow" in found.readings[0]


def test_all_names_are_numbered_in_alphabetical_order_as_elsewhere():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    found = number_labels(WORDS, 3)
    np.testing.assert_array_equal(found.values, preprocessing.LabelEncoder().fit_transform(WORDS))
    np.testing.assert_array_equal(found.values, pd.Categorical(WORDS).codes)
    assert found.class_names == ("cat", "cow", "dog")
    assert "alphabetical order: 0 cat, 1 cow, 2 dog" in found.readings[0]


@pytest.mark.parametrize(
    ("labels", "num_classes", "class_names", "expected"),
    [
        ([0, 1, 2], 3, None, [0, 1, 2]),
        ([0.0, 1.0], 2, None, [0, 1]),
        ([True, False], 2, None, [1, 0]),
        (np.array([True, False], dtype=object), 2, None, [1, 0]),
        (np.array([1, 0], dtype=object), 2, None, [1, 0]),
        (["1", "0", "2"], 3, None, [1, 0, 2]),
        (np.eye(3)[CODES], 3, None, CODES),
        (np.eye(3, dtype=bool)[CODES], 3, None, CODES),
        (np.eye(2)[[1, 0]], 2, None, [1, 0]),
        ([3, 7, 3], 2, ["3", "7"], [0, 1, 0]),
        ([1, 2, 3], 3, ["1", "2", "3"], [0, 1, 2]),
        ([1, 2, 0], 3, ["0", "1", "2"], [1, 2, 0]),
        ([1, 0], 2, ["no", "yes"], [1, 0]),
        ([f"{number}.0" for number in (10, 9, 0)], 11, None, [10, 9, 0]),
        ([-1, 2], 3, None, [-1, 2]),
    ],
)
def test_other_labels_have_one_reading(labels, num_classes, class_names, expected):
    found = number_labels(labels, num_classes, class_names).values
    np.testing.assert_array_equal(np.asarray(found, float), expected)


@pytest.mark.parametrize("maps", [np.array([[[0, 1], [1, 0]]]), np.eye(2)[[[0, 1], [1, 0]]][None]])
def test_a_map_is_one_hot_only_with_an_axis_more(maps):
    found = number_labels(maps, 2, row_shape=(2, 2)).values
    np.testing.assert_array_equal(found, [[[0, 1], [1, 0]]])


@pytest.mark.parametrize(
    ("labels", "num_classes", "class_names", "message"),
    [
        (WORDS, 4, None, r"3 names \(cat, cow, dog\), but the model has 4 classes.*--class-names"),
        (WORDS, 2, None, "3 names"),
        ([*WORDS, "Cat "], 3, NAMES, r"labels 'Cat ' are among no class names, which are 'cat'"),
        (["1", "3", "12"], 13, ["a"] * 13, "'1', '12', '3' are among no class names"),
        (["1", "3", "12"], 3, None, "numbers written as text"),
        ([1, 2], 3, ["2", "1", "0"], r"so are the class names.*label 1 may be the class of that"),
        (["cat", None], 2, NAMES, "lacks 1 of its 2 labels, in example 1"),
        ([f"c{i:02}" for i in range(30)], 3, None, r"c09 and 20 more\), but"),
    ],
)
def test_labels_with_two_readings_or_none_are_asked_about(
    labels, num_classes, class_names, message
):
    with pytest.raises(DataError, match=message):
        number_labels(labels, num_classes, class_names)


@pytest.mark.parametrize("rows", [np.full((3, 3), 1 / 3), np.zeros((3, 3)), np.ones((3, 3))])
def test_rows_that_are_not_one_hot_stay_as_they_are(rows):
    assert number_labels(rows, 3).values.shape == (3, 3)


MISSING = {
    "NaN": np.array([0.0, np.nan, 1.0, np.nan]),
    "None": np.array(["a", None, "b", None], dtype=object),
    "pandas NA": pd.array([0, pd.NA, 1, pd.NA], dtype="Int64"),
    "pandas booleans": pd.Series([True, None, False, None], dtype="boolean"),
    "pandas text": pd.Series(["a", None, "b", pd.NA]),
    "pandas categories": pd.Series(["a", None, "b", None], dtype="category"),
    "empty text": np.array(["a", "", "b", ""]),
    "empty bytes": np.array([b"a", b"", b"b", b""]),
    "NaT": np.array(["2020-01-01", "NaT", "2020-01-02", "NaT"], dtype="datetime64[D]"),
    "masked": np.ma.masked_equal([0, 9, 1, 9], 9),
    "one of two targets": np.array([[0.0, 1.0], [np.nan, 1.0], [0.0, 1.0], [0.0, np.nan]]),
}


@pytest.mark.parametrize("form", MISSING)
def test_every_form_of_a_missing_label_is_seen(form):
    np.testing.assert_array_equal(find_missing(MISSING[form]), [False, True, False, True])
    message = r"here lacks 2 of its 4 labels, in examples 1, 3 \(counted from 0\).*--drop-missing"
    with pytest.raises(DataError, match=message):
        check_present("here", MISSING[form])


@pytest.mark.parametrize(
    "labels", [[0, -1], ["a", "nan"], [False, True], np.zeros((2, 3)), [0.0, -1.0]]
)
def test_what_is_no_missing_label(labels):
    assert not find_missing(labels).any()


def test_at_most_ten_examples_are_listed():
    with pytest.raises(DataError, match=r"8, 9 and 90 more \(counted"):
        check_present("data", np.full(100, np.nan))


@pytest.mark.parametrize("labels", [np.array(["1,5"]), np.array(["a"], dtype=object)])
def test_text_is_no_target_of_a_regression(labels):
    with pytest.raises(DataError, match=r"the first .* in example 0, but .* numbers.*--decimal"):
        check_numbers(labels)


X = np.arange(8.0).reshape(4, 2)
TARGETS = {
    "npz": lambda folder, y: np.savez(folder / "t.npz", x=X, y=y),
    "csv": lambda folder, y: _frame(y).to_csv(folder / "t.csv", index=False),
    "parquet": lambda folder, y: _frame(y).to_parquet(folder / "t.parquet"),
}


def _frame(y):
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y})


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("words", [False, True])
def test_missing_labels_are_an_error_or_left_out(tmp_path, kind, words):
    y = np.array(["u", "", "v", "w"]) if words else np.array([0, np.nan, 2, 3])
    TARGETS[kind](tmp_path, y if kind == "npz" or not words else [v or None for v in y])
    data = open_data(str(tmp_path / f"t.{kind}"))
    with pytest.raises(DataError, match="lacks 1 of its 4 labels, in example 1"):
        data.y()
    kept = data.drop_missing()
    np.testing.assert_array_equal(kept.x(), X[[0, 2, 3]])
    np.testing.assert_array_equal(kept.y(), ["u", "v", "w"] if words else [0, 2, 3])
    assert list(kept.numbers) == [0, 2, 3]
    assert "1 of 4 examples" in kept.readings[-1]
    assert list(kept.limit(2).numbers) == sorted(set(kept.limit(2).numbers) & {0, 2, 3})
    np.testing.assert_array_equal(kept.limit(2).x(), X[kept.limit(2).numbers])


@pytest.mark.parametrize(
    "y",
    [
        pa.array([0, None, 2, 3], pa.int64()),
        pa.array([0, None, 2, 3], pa.uint8()),
        pa.array([True, None, False, True]),
        pa.array([0.0, None, 2.0, 3.0]),
        pa.array(["u", None, "v", "w"]),
        pa.array(["u", None, "v", "w"]).dictionary_encode(),
        pa.array([1, None, 2, 3]).cast(pa.decimal128(30, 2)),
        pa.array([None] * 4, pa.null()),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_no_type_of_column_hides_a_missing_label(tmp_path, y, statistics):
    path = tmp_path / "t.parquet"
    table = pa.table({"a": X[:, 0], "y": y})
    pq.write_table(table, path, write_statistics=statistics, row_group_size=2)
    with pytest.raises(DataError, match=r"lacks . of its 4 labels"):
        open_data(str(path)).y()


def test_nothing_is_left_out_when_nothing_is_missing(tmp_path):
    np.savez(tmp_path / "t.npz", x=X, y=[0, 1, 0, 1])
    data = open_data(str(tmp_path / "t.npz"))
    assert data.drop_missing() is data
    np.savez(tmp_path / "t.npz", x=X, y=[np.nan] * 4)
    with pytest.raises(DataError, match="All 4 labels"):
        open_data(str(tmp_path / "t.npz")).drop_missing()
    np.save(tmp_path / "t.npy", X)
    unlabelled = open_data(str(tmp_path / "t.npy"))
    assert unlabelled.drop_missing() is unlabelled


def test_given_names_renumber_classes_that_have_names(tmp_path):
    np.savez(tmp_path / "t.npz", x=X, y=[0, 1, 2, 0], class_names=["cat", "dog", "cow"])
    path = str(tmp_path / "t.npz")
    data = open_data(path, DataOptions(class_names=("cow", "cat", "dog", "elk")))
    assert data.y().tolist() == [1, 2, 0, 1]
    assert "numbered as given" in data.readings[0]
    renamed = open_data(path, DataOptions(class_names=("a", "b", "c")))
    assert renamed.y().tolist() == [0, 1, 2, 0]
    assert "cat is a, dog is b, cow is c" in renamed.readings[0]
    with pytest.raises(DataError, match="of which cow are not among the given class names"):
        open_data(path, DataOptions(class_names=("cat", "dog", "elk")))
