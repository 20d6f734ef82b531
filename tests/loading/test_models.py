import json
import zipfile

import numpy as np
import pytest

from mcdrop.errors import ModelError, ModelWarning
from mcdrop.files import archives
from mcdrop.loading import load_model

keras = pytest.importorskip("keras")


@keras.saving.register_keras_serializable("tests")
class Shift(keras.layers.Layer):
    def call(self, x):
        return x + 1


@keras.saving.register_keras_serializable("tests")
def cubic_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 3)


def dropout_model(*extra):
    return keras.Sequential(
        [keras.Input((4,)), *extra, keras.layers.Dropout(0.5), keras.layers.Dense(3)]
    )


def rewrite(path, **members):
    """Writes a .keras file again with other members."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {f"{name}.json": text for name, text in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


@pytest.fixture
def forget_custom_objects():
    """Empties Keras's registry for one test, as in a process that never imported the classes."""
    registry = keras.saving.get_custom_objects()
    kept = dict(registry)
    registry.clear()
    yield
    registry.update(kept)


@pytest.fixture
def saved(tmp_path):
    model = dropout_model()
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_missing_file_says_what_to_pass(tmp_path):
    with pytest.raises(ModelError, match=r"none\.keras does not exist\. Pass the \.keras file"):
        load_model(tmp_path / "none.keras")


def test_a_saved_model_folder_is_told_apart_from_other_folders(tmp_path):
    with pytest.raises(ModelError, match=r"is a folder, expected a .keras file"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="SavedModel, whose frozen graph no longer holds dropout"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 100])
def test_a_garbage_file_is_not_a_model(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ModelError, match="is not a Keras model file"):
        load_model(tmp_path / "model.keras")


def test_a_truncated_file_is_damaged(saved):
    saved.write_bytes(saved.read_bytes()[:-2000])
    with pytest.raises(ModelError, match="is damaged"):
        load_model(saved)


def test_a_flipped_byte_in_the_weights_is_damaged(saved):
    data = bytearray(saved.read_bytes())
    middle = data.index(b"\x89HDF") + 3000
    data[middle] ^= 0xFF
    saved.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"sum of its member model\.weights\.h5 is wrong"):
        load_model(saved)


def test_a_truncated_hdf5_file_is_damaged(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\x00" * 50)
    with pytest.raises(ModelError, match="is damaged"):
        load_model(path)


def test_a_zip_file_without_a_model_is_refused(tmp_path):
    np.savez(tmp_path / "model.keras.npz", x=np.zeros(3))
    (tmp_path / "model.keras.npz").rename(tmp_path / "model.keras")
    with pytest.raises(ModelError, match="is a zip file, but not a Keras model"):
        load_model(tmp_path / "model.keras")


def test_metadata_that_is_no_json_is_damaged(saved):
    rewrite(saved, metadata="{")
    with pytest.raises(ModelError, match="is damaged"):
        load_model(saved)


def test_a_zip_bomb_is_never_unpacked(saved, monkeypatch):
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(30_000_000))
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1_000_000)
    with pytest.raises(ModelError, match="zip bomb"):
        load_model(saved)


def test_a_model_under_another_name_asks_for_the_right_suffix(saved, tmp_path):
    with pytest.raises(ModelError, match=r"rename it to .keras"):
        load_model(saved.rename(tmp_path / "model.zip"))


def test_an_hdf5_file_of_weights_only_is_told(tmp_path):
    dropout_model().save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelError, match="holds weights only, without the layers"):
        load_model(tmp_path / "model.weights.h5")


def test_a_file_of_a_newer_keras_says_what_to_upgrade(saved):
    config = json.loads(zipfile.ZipFile(saved).read("config.json"))
    config["config"]["layers"][1]["config"]["of_the_future"] = True
    rewrite(saved, metadata=json.dumps({"keras_version": "3.99.0"}), config=json.dumps(config))
    with pytest.raises(
        ModelError,
        match=r"written by Keras 3\.99\.0, and Keras .* cannot read it \(.*of_the_future"
        r'.*pip install --upgrade mcdrop "keras>=3\.99\.0"',
    ):
        load_model(saved)


def test_a_file_of_a_newer_keras_that_loads_is_loaded(saved):
    rewrite(saved, metadata=json.dumps({"keras_version": "3.99.0"}))
    assert load_model(saved).input_shape == (None, 4)


def test_what_keras_says_is_told_from_its_last_cause_on(saved):
    config = json.loads(zipfile.ZipFile(saved).read("config.json"))
    config["config"]["layers"][2]["config"]["units"] = -1
    rewrite(saved, config=json.dumps(config))
    reason = r"could not be restored by Keras \((Received an invalid|Cannot convert '\(4, -1\)')"
    with pytest.raises(ModelError, match=reason):  # Keras 3.15 says the first, 3.12 the second
        load_model(saved)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_a_lambda_layer_is_never_run(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    dropout_model(keras.layers.Lambda(lambda x: x * 2)).save(path)
    with pytest.raises(
        ModelError, match=r"holds Python code \(a Lambda layer\), which is never run"
    ):
        load_model(path)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_custom_layers_that_are_not_imported_are_named(tmp_path, suffix, forget_custom_objects):
    path = tmp_path / f"model.{suffix}"
    with keras.saving.custom_object_scope({"tests>Shift": Shift}):
        dropout_model(Shift()).save(path)
    with pytest.raises(ModelError, match=r"not imported: tests>Shift\. .*--import my_layers"):
        load_model(path)


def test_an_unknown_loss_is_left_out_with_a_warning(tmp_path, forget_custom_objects):
    model = dropout_model()
    model.compile("adam", cubic_loss)
    model.save(tmp_path / "model.keras")
    with pytest.warns(ModelWarning, match=r"without its compiled loss .*tests>cubic_loss"):
        loaded = load_model(tmp_path / "model.keras")
    assert not loaded.compiled


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_loaded_model_predicts_as_the_saved_one(tmp_path, suffix):
    model = dropout_model(Shift())
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / f"model.{suffix}")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    loaded = load_model(tmp_path / f"model.{suffix}")
    np.testing.assert_array_equal(model(x), loaded(x))
    assert loaded.compiled
