"""The predictor that is sent to the data, in this process and in others."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import mcdrop
from mcdrop.distributed import Predictor
from mcdrop.errors import DataError, DataWarning, ModelError
from mcdrop.loading import load_model

keras = pytest.importorskip("keras")
from keras import layers  # noqa: E402

SETTINGS = {"num_samples": 6, "seed": 3}
X = np.random.default_rng(0).random((40, 4, 4, 1), np.float32)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Small saved models."""
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.Dropout(0.5),
            layers.Dense(3, "softmax"),
        ]
    ).save(folder / "model.keras")
    table = [keras.Input((3,)), layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(1)]
    regression = keras.Sequential(table)
    regression.compile("adam", "mse")
    regression.save(folder / "regression.keras")
    image, meta = keras.Input((4,), name="image"), keras.Input((2,), name="meta")
    joined = layers.Dropout(0.5)(layers.Concatenate()([image, meta]))
    heads = {
        "kind": layers.Dense(3, "softmax", name="kind")(joined),
        "flag": layers.Dense(1, "sigmoid", name="flag")(joined),
    }
    keras.Model([image, meta], heads).save(folder / "heads.keras")
    return folder


@pytest.fixture(scope="module")
def whole(shelf):
    model = keras.models.load_model(shelf / "model.keras")
    return mcdrop.MCDropout(model).predict(X, **SETTINGS).to_frame()


def assert_rows(columns, whole, numbers):
    found = pd.DataFrame(columns)[list(whole)]
    pd.testing.assert_frame_equal(found, whole.iloc[numbers].reset_index(drop=True), atol=1e-6)


def batch(numbers):
    return {"image": X[numbers], "example": np.array(numbers)}


def test_rows_in_any_order_and_of_any_batch_are_those_of_the_whole(shelf, whole):
    predictor = Predictor(shelf / "model.keras", **SETTINGS)
    for numbers in ([31, 4, 4, 0], [39], list(range(40))):
        assert_rows(predictor(batch(numbers)), whole, numbers)
    assert whole["std_0"].min() > 1e-3


@pytest.mark.parametrize("model", ["path", "text", "bytes"])
def test_a_copy_and_every_form_of_model_predict_the_same(shelf, whole, model):
    path = shelf / "model.keras"
    forms = {"path": path, "text": str(path), "bytes": path.read_bytes()}
    predictor = Predictor(forms[model], **SETTINGS)
    predictor(batch([5]))
    data = pickle.dumps(predictor)
    assert len(data) < 1000 + (path.stat().st_size if model == "bytes" else 0)
    assert_rows(pickle.loads(data)(batch([7, 3])), whole, [7, 3])  # noqa: S301


def test_copies_share_one_model(shelf):
    predictor = Predictor(shelf / "model.keras", **SETTINGS)
    copied = pickle.loads(pickle.dumps(predictor))  # noqa: S301
    assert predictor.load() is copied.load()
    assert Predictor(shelf / "model.keras", **SETTINGS).load() is not predictor.load()


def test_another_process_predicts_the_same(shelf, whole, tmp_path):
    predictor = Predictor(shelf / "model.keras", **SETTINGS)
    (tmp_path / "sent").write_bytes(pickle.dumps((predictor, batch([8, 2]))))
    script = (
        "import pickle, sys; predictor, batch = pickle.load(open('sent', 'rb'))\n"
        "assert 'tensorflow' not in sys.modules\n"
        "pickle.dump(predictor(batch), open('back', 'wb'))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    with (tmp_path / "back").open("rb") as file:
        assert_rows(pickle.load(file), whole, [8, 2])  # noqa: S301


def test_settings_are_those_of_mcdropout(shelf):
    model = keras.models.load_model(shelf / "model.keras")
    wanted = mcdrop.MCDropout(model, masks="shared", balanced=True).predict(X, num_samples=6)
    found = Predictor(shelf / "model.keras", num_samples=6, masks="shared", balanced=True)
    assert_rows(found(batch([9, 1])), wanted.to_frame(), [9, 1])


def test_columns_are_kept_and_lists_are_arrays(shelf, whole):
    cells = np.empty(2, object)
    cells[:] = [X[6].tolist(), X[2].tolist()]
    predictor = Predictor(shelf / "model.keras", keep=["label", "name"], **SETTINGS)
    columns = predictor(
        {"x": cells, "name": np.array(["a", "b"], object), "label": [1, 2], "example": [6, 2]}
    )
    assert list(columns)[:3] == ["example", "label", "name"]
    assert columns["name"].tolist() == ["a", "b"]
    assert_rows(columns, whole, [6, 2])


def test_features_are_stacked_in_the_order_that_is_given(shelf):
    model = load_model(shelf / "regression.keras")
    table = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    wanted = mcdrop.MCDropout(model).predict(table, **SETTINGS).to_frame()
    columns = dict(zip("cab", table.T[[2, 0, 1]], strict=True)) | {"example": np.arange(5)}
    found = Predictor(shelf / "regression.keras", inputs=list("abc"), **SETTINGS)(columns)
    assert_rows(found, wanted, range(5))


def test_several_inputs_go_by_name(shelf):
    model = keras.models.load_model(shelf / "heads.keras")
    given = {"meta": X[:5, 0, :2, 0], "image": X[:5, 1, :, 0]}
    mc = mcdrop.MCDropout(model, output="flag")
    wanted = mc.predict([given["image"], given["meta"]], **SETTINGS).to_frame()
    found = Predictor(shelf / "heads.keras", output="flag", **SETTINGS)
    assert_rows(found(given | {"example": np.arange(5)}), wanted, range(5))
    with pytest.raises(DataError, match="several outputs, flag, kind; choose one, as with output"):
        Predictor(shelf / "heads.keras", **SETTINGS)(given | {"example": np.arange(5)})


def test_an_empty_batch_has_no_rows(shelf):
    columns = Predictor(shelf / "model.keras", keep=["a"])({"example": [], "x": [], "a": []})
    assert {name: len(values) for name, values in columns.items()} == {"example": 0, "a": 0}


def test_examples_to_look_at_are_marked(shelf, whole):
    limit = float(whole["predictive_entropy"].median())
    found = Predictor(shelf / "model.keras", abstain_above=limit, **SETTINGS)(batch(range(40)))
    np.testing.assert_array_equal(found["abstain"], whole["predictive_entropy"] > limit)


def test_a_calibration_is_applied_and_checked(shelf, tmp_path, monkeypatch):
    from mcdrop.cli import main

    monkeypatch.chdir(tmp_path)
    np.savez("held-out.npz", x=X, y=np.arange(40) % 3)
    fit = ["calibrate", str(shelf / "model.keras"), "held-out.npz", "--method", "temperature"]
    assert main([*fit, "--samples", "6", "--seed", "3", "--output", "c.json", "--quiet"]) == 0
    np.save("x.npy", X)
    command = ["predict", fit[1], "x.npy", "--calibration", "c.json", "--output", "p.parquet"]
    assert main([*command, "--samples", "6", "--seed", "3", "--quiet"]) == 0
    predictor = Predictor(shelf / "model.keras", calibration="c.json", **SETTINGS)
    assert_rows(predictor(batch([3, 30])), pd.read_parquet("p.parquet"), [3, 30])
    more = Predictor(shelf / "model.keras", calibration="c.json", num_samples=7)
    with pytest.warns(DataWarning, match="predictions with 6 passes, not 7"):
        more(batch([3]))
    other = Predictor(shelf / "regression.keras", calibration="c.json", **SETTINGS)
    with pytest.raises(DataError, match="made for classification with 3 classes"):
        other({"x": X[:2, 0, :3, 0], "example": [0, 1]})


def test_tables_of_spark_are_predicted(shelf, whole):
    predictor = Predictor(shelf / "model.keras", **SETTINGS)
    frame = pd.DataFrame({"example": [4, 1], "x": [X[4].tolist(), X[1].tolist()]})
    (found,) = predictor.in_pandas([frame, frame.iloc[:0]])
    assert_rows(found, whole, [4, 1])
    schema = predictor.sql_schema(frame)
    assert schema.startswith("`example` bigint, `num_samples` bigint, `predicted_class` bigint")
    assert schema.count(",") + 1 == len(whole.columns)
    with pytest.raises(DataError, match="`frame` is empty"):
        predictor.sql_schema(frame.iloc[:0])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": X[:2]}, "no column 'example'; it has x. It holds the number of each row"),
        ({"example": [0, 1]}, "no column of inputs"),
        ({"example": [0, 2**32], "x": X[:2]}, "number of an example is 4294967296"),
        ({"example": [0.0, 1.0], "x": X[:2]}, "dtype float64, expected one whole number"),
        ({"example": [0, 1, 2], "x": X[:2]}, "holds 3 numbers, but `x` 2 examples"),
        ({"example": [0, 1], "x": X[:2, :3]}, r"has shape \(2, 3, 4, 1\), but the model takes"),
        ({"example": [7, 8], "x": X[:2] * [[[[1]]], [[[np.nan]]]]}, "the first in example 8"),
        ({"example": [0, 1], "x": X[:2], "id": ["a", "b"]}, "Column 'x' holds no single numbers"),
    ],
)
def test_wrong_batches_are_refused(shelf, columns, message):
    with pytest.raises(DataError, match=message):
        Predictor(shelf / "model.keras", **SETTINGS)(columns)


def test_rows_of_different_shapes_are_refused(shelf):
    cells = np.empty(2, object)
    cells[:] = [[1.0, 2.0], [1.0]]
    with pytest.raises(DataError, match="rows of column 'x' have different shapes"):
        Predictor(shelf / "model.keras")({"example": [0, 1], "x": cells})


def test_a_column_to_keep_must_have_a_name_of_its_own(shelf):
    predictor = Predictor(shelf / "model.keras", keep=["std_0"], **SETTINGS)
    with pytest.raises(DataError, match="'std_0' to keep has the name of one of the prediction"):
        predictor(batch([0]) | {"std_0": [1]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": 3}, "`model` is of type int, expected the path"),
        ({"model": "m.keras", "num_samples": 1}, "num_samples"),
        ({"model": "m.keras", "seed": -1}, "seed"),
        ({"model": "m.keras", "on_nonfinite": "x"}, "on_nonfinite"),
        ({"model": "m.keras", "splitting": "auto"}, "every batch would choose anew"),
        ({"model": "m.keras", "sead": 1}, "`sead` is no setting of a Predictor"),
        ({"model": "m.keras", "calibration": "absent.json"}, "absent.json"),
    ],
)
def test_wrong_settings_are_told_before_anything_is_sent(settings, message):
    with pytest.raises(DataError, match=message):
        Predictor(**settings)


def test_passes_are_in_one_data_type_on_all_machines(shelf, monkeypatch):
    predictor = Predictor(shelf / "model.keras", compute_dtype="bfloat16", **SETTINGS)
    monkeypatch.setattr("mcdrop.engine.processor.has_bfloat16", lambda: False)
    with pytest.raises(DataError, match="no instructions for bfloat16, in which others compute"):
        predictor(batch([0]))


def test_a_model_that_is_not_there_is_told():
    with pytest.raises((DataError, ModelError), match=r"absent\.keras"):
        Predictor("absent.keras")(batch([0]))
