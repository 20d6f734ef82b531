"""Every mistake gets one clear line and status 1, and leaves nothing behind."""

import re
import zipfile

import numpy as np
import pytest


@pytest.fixture
def saved(tmp_path):
    """Saves arrays as x and y of data.npz and returns its path."""

    def save(x, y=None):
        arrays = {"x": x} if y is None else {"x": x, "y": y}
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return save


@pytest.fixture
def report(fails, shelf):
    """Runs `mcdrop report` on the good model with bad data or options."""

    def run_report(data, *options, model="model.keras"):
        return fails("report", shelf / model, data, "--output", "out", *options)

    return run_report


X = np.zeros((6, 4, 4, 1), np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("command", [["inspect"], ["report", "digits", "--output", "out"]])
def test_a_missing_model_is_told(fails, command):
    name, *rest = command
    assert "none.keras does not exist" in fails(name, "none.keras", *rest)


def test_an_unreadable_model_is_told(fails, tmp_path):
    (tmp_path / "bad.keras").write_text("hello")
    assert "is not a Keras model file" in fails("inspect", "bad.keras")
    (tmp_path / "bad.keras").write_bytes(b"PK\x03\x04" + bytes(200))
    assert "is damaged" in fails("inspect", "bad.keras")


def test_a_model_without_dropout_is_told(fails, report, shelf):
    assert re.search("no |nothing", fails("inspect", shelf / "plain.keras"))
    assert re.search("no |nothing", report(shelf / "data.npz", model="plain.keras"))


def test_missing_data_are_told_before_keras_is_imported(report, shelf, monkeypatch):
    monkeypatch.setattr("mcdrop.cli.work.import_keras", None)
    assert "none.npz does not exist" in report("none.npz")
    assert "none.npz does not exist" in report(shelf / "data.npz", "--ood", "none.npz")


def test_a_shape_that_does_not_fit_the_model_is_told(report, saved):
    assert "has shape (6, 5, 5), but the model takes (N, 4, 4, 1)" in report(
        saved(np.zeros((6, 5, 5)), Y)
    )


@pytest.mark.parametrize("label", [3, -1])
def test_labels_out_of_range_are_told_before_sampling(report, saved, label, monkeypatch):
    monkeypatch.setattr("mcdrop.cli.report.sample", None)
    line = report(saved(X, np.where(Y == 2, label, Y)))
    assert "labels from" in line
    assert "expected 0 to 2" in line


def test_labels_of_the_wrong_length_are_told(report, saved):
    assert "has 6 examples but 5 labels" in report(saved(X, Y[:-1]))


def test_missing_labels_are_told(report, saved):
    assert "has no labels. Name them with --y-key" in report(saved(X))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_told(report, saved, bad):
    x = X.copy()
    x[4, 0, 0, 0] = bad
    assert "NaN or infinite values, the first in example 4" in report(saved(x, Y))


def test_labels_that_are_not_finite_are_told(report, saved):
    assert "NaN or infinite" in report(saved(X, np.where(Y == 2, np.inf, Y)))


def test_labels_that_are_missing_are_counted_and_listed(report, saved):
    line = report(saved(X, np.where(Y == 2, np.nan, Y)))
    assert "lacks 2 of its 6 labels, in examples 2, 5 (counted from 0)" in line
    assert "--drop-missing" in line


def test_empty_data_are_told(report, saved):
    assert "is empty, shape (0, 4, 4, 1)" in report(saved(X[:0], Y[:0]))


def test_object_arrays_are_told(report, saved):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [[0.0], [0.0, 1.0]]
    line = report(saved(ragged, Y[:2]))
    assert "array of Python objects, which mcdrop never unpickles" in line


@pytest.mark.parametrize("name", ["file", "folder"])
def test_an_output_that_exists_needs_force(report, shelf, tmp_path, name):
    if name == "file":
        (tmp_path / "out").write_text("precious")
        assert "out is a file, which is never" in report(shelf / "data.npz")
        assert "out is a file, which is never replaced by a report" in report(
            shelf / "data.npz", "--force"
        )
    else:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious.txt").touch()
        assert "replace it with --force" in report(shelf / "data.npz")
        line = report(shelf / "data.npz", "--force")
        assert "files that mcdrop did not write (precious.txt)" in line


@pytest.mark.parametrize("samples", ["1", "0", "-3"])
def test_fewer_than_two_samples_are_told(report, shelf, samples):
    line = report(shelf / "data.npz", "--samples", samples)
    assert f"`--samples` is {samples}, expected a whole number of at least 2" in line


def test_a_weights_file_is_told(fails, tmp_path):
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights("m.weights.h5")
    (tmp_path / "m.weights.h5").write_bytes((tmp_path / "m.weights.h5").read_bytes())
    assert "holds weights only" in fails("inspect", "m.weights.h5")


def test_a_saved_model_folder_is_told(fails, tmp_path):
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "saved_model.pb").touch()
    assert "is a TensorFlow SavedModel" in fails("inspect", "serving")


def test_a_lambda_layer_is_told_and_never_run(fails, tmp_path):
    keras = pytest.importorskip("keras")
    double = keras.layers.Lambda(lambda x: 2 * x)
    keras.Sequential([keras.Input((2,)), double, keras.layers.Dropout(0.5)]).save(
        tmp_path / "lambda.keras"
    )
    assert "holds Python code (a Lambda layer)" in fails("inspect", "lambda.keras")


def test_a_garbage_or_bomb_of_data_is_told(report, tmp_path, monkeypatch):
    (tmp_path / "data.npz").write_bytes(b"garbage")
    assert "is neither an .npz" in report("data.npz")
    with zipfile.ZipFile(tmp_path / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(30_000_000))
    monkeypatch.setattr("mcdrop.files.archives.ALWAYS_ALLOWED", 10**6)
    assert "looks like a zip bomb" in report("data.npz")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layers", "drop_out"], "drop_out"),
        (["--class-names", "a,b"], "are not among the given class names, a, b"),
        (["--model-output", "a"], "the model has a single output"),
        (["--recalibrate", "temperature"], "needs --calibration-data"),
        (["--import", "no_such_module"], "--import no_such_module failed"),
        (["--labels", "none.npy"], "none.npy does not exist"),
        (["--seed", "-1"], "`--seed` is -1"),
        (["--balanced", "--tolerance", "0.1"], "balanced masks need all passes"),
    ],
)
def test_options_that_do_not_fit_are_told(report, shelf, options, words):
    assert words in report(shelf / "data.npz", *options)


def test_a_calibrator_that_does_not_apply_is_told(report, shelf):
    line = report(
        *(shelf / "data.npz", "--recalibrate", "variance"),
        *("--calibration-data", shelf / "more.npz"),
    )
    assert "--recalibrate variance is for regression and gaussian" in line


def test_calibrating_on_the_test_data_is_refused(report, shelf):
    data = shelf / "data.npz"
    for same in (data, data.parent / "." / ".." / data.parent.name / data.name):
        line = report(data, "--recalibrate", "temperature", "--calibration-data", same)
        assert "is the test data itself" in line


def test_predictions_need_a_known_suffix(fails, shelf):
    line = fails("predict", shelf / "model.keras", shelf / "data.npz", "--output", "p.txt")
    assert "expected .parquet, .csv or .npz" in line


def test_a_model_with_several_outputs_asks_for_one(fails, shelf):
    arguments = ["predict", shelf / "heads.keras", shelf / "pair.npz", "--x-key", "image,meta"]
    line = fails(*arguments, "--output", "p.npz")
    assert "has several outputs; choose one of" in line
    line = fails(*arguments, "--output", "p.npz", "--model-output", "tail")
    assert "--model-output is 'tail', expected one of" in line


def test_compare_needs_different_models(fails, shelf):
    rest = [shelf / "data.npz", "--output", "out"]
    model = shelf / "model.keras"
    assert "needs at least 2 models" in fails("compare", model, *rest)
    assert "same model is given twice" in fails("compare", model, model, *rest)


def test_compare_names_the_model_that_does_not_fit_the_data(fails, shelf):
    arguments = ["compare", shelf / "model.keras", shelf / "regression.keras"]
    line = fails(*arguments, shelf / "data.npz", "--output", "out", "--samples", 2)
    assert line.startswith("mcdrop: error: regression: The input of ")


def test_compare_needs_models_of_the_same_classes(fails, shelf, tmp_path_factory, saved):
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dropout(0.5), layers.Dense(5)]
    path = tmp_path_factory.mktemp("five") / "five.keras"
    keras.Sequential([*model, layers.Softmax()]).save(path)
    arguments = ["compare", shelf / "model.keras", path, saved(X, Y), "--output", "out"]
    line = fails(*arguments, "--samples", 2)
    assert "different outputs (model: 3, five: 5)" in line


def test_a_folder_that_cannot_be_written_is_told_early(fails, shelf, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Permissions alone do not tell: root may write where the file system does not let it.
    monkeypatch.setattr("mcdrop.files.workplaces._lock", refuse)
    monkeypatch.setattr("mcdrop.cli.work.import_keras", None)
    line = fails("report", shelf / "model.keras", shelf / "data.npz", "--output", "new")
    assert "new cannot be written" in line


@pytest.mark.parametrize("option", ["--ood", "--calibration-data"])
def test_other_data_that_do_not_fit_are_told_before_sampling(report, shelf, saved, option):
    bad = saved(np.zeros((6, 5, 5)), Y)
    more = ["--recalibrate", "temperature"] if option == "--calibration-data" else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcdrop.cli.report.sample", None)
        assert "shape (6, 5, 5), but the model takes" in report(
            shelf / "data.npz", option, bad, *more
        )


def test_calibration_labels_that_do_not_fit_are_told_before_sampling(report, shelf, saved):
    bad = saved(X, Y + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcdrop.cli.report.sample", None)
        line = report(
            *(shelf / "data.npz", "--recalibrate", "temperature", "--calibration-data", bad)
        )
    assert "data.npz do not fit the model: `y_true` holds labels from 1 to 3" in line


def test_a_calibrator_that_cannot_be_fitted_is_told(report, shelf, saved):
    few = saved(X[:4], np.array([0, 0, 1, 1]))
    line = report(*(shelf / "data.npz", "--recalibrate", "beta", "--calibration-data", few))
    assert "--recalibrate beta on data.npz: `y` has no example of class 2" in line


@pytest.mark.parametrize("samples", [2**31, 10**30])
@pytest.mark.parametrize("command", ["predict", "export"])
def test_more_passes_than_can_be_numbered_are_told(fails, shelf, command, samples):
    data = [shelf / "data.npz"] if command == "predict" else []
    line = fails(command, shelf / "model.keras", *data, "-o", "p.npz", "--samples", samples)
    assert f"`--samples` is {samples}, expected a whole number below 2**31" in line


def test_links_in_a_circle_are_told(fails, shelf, tmp_path):
    (tmp_path / "loop.keras").symlink_to("loop.keras")
    line = fails("compare", "loop.keras", shelf / "model.keras", shelf / "data.npz", "-o", "out")
    assert "loop.keras" in line


@pytest.mark.parametrize("given", ["a,a,b", "twice.txt"])
def test_two_classes_of_one_name_are_told(report, shelf, tmp_path, given):
    (tmp_path / "twice.txt").write_text("a\na\nb\n")
    assert "hold 'a' more than once" in report(shelf / "data.npz", "--class-names", given)
