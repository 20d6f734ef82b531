import json
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from mcdrop.errors import ModelError
from mcdrop.loading import load_model, saved, translate_model
from mcdrop.loading.saved import read_saved_model

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def old_model():
    layers = tf_keras.layers
    return tf_keras.Sequential([tf_keras.Input((4,)), layers.Dropout(0.5), layers.Dense(3)])


def write_zip(path, config, version="3.12.4"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(config))
    return path


def write_hdf5(path, config, training=None, version="3.12.4"):
    with h5py.File(path, "w") as archive:
        archive.attrs["keras_version"] = version
        archive.attrs["model_config"] = json.dumps(config)
        if training:
            archive.attrs["training_config"] = json.dumps(training)
    return path


CODE = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
OLD_CODE = {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Lambda", "config": {"function": CODE}},
        OLD_CODE,
        {"class_name": "Sequential", "config": {"layers": [{"layers": [OLD_CODE]}]}},
        {"class_name": "TimeDistributed", "config": {"layer": OLD_CODE}},
        {"class_name": "Dense", "config": {"activation": CODE}},
        {"class_name": "my>Thing", "config": {"anything": [1, {"deep": CODE}]}},
        {"class_name": "Sequential", "config": {}, "compile_config": {"loss": CODE}},
    ],
)
@pytest.mark.parametrize("version", ["3.12.4", "3.9.0", "2.15.0"])
def test_code_is_refused_before_keras_sees_it(config, version, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", None)
    for path in (
        write_zip(tmp_path / "model.keras", config, version),
        write_hdf5(tmp_path / "model.h5", config, version=version),
    ):
        with pytest.raises(ModelError, match=r"holds Python code \(a Lambda layer\)"):
            load_model(path)


def test_code_in_the_training_configuration_is_refused(tmp_path):
    path = write_hdf5(tmp_path / "model.h5", {"class_name": "Sequential"}, {"loss": CODE})
    with pytest.raises(ModelError, match="never run from a file"):
        read_saved_model(path)


def test_reading_what_a_file_holds_needs_no_keras(tmp_path):
    path = write_zip(tmp_path / "model.keras", {"class_name": "Sequential", "config": {}})
    program = (
        "import sys; from mcdrop.loading.saved import read_saved_model;"
        f"read_saved_model({str(path)!r}); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_configuration_of_unreasonable_size_is_refused(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "model.h5", {"class_name": "Sequential", "config": {}})
    monkeypatch.setattr(saved, "_LARGEST_CONFIG", 10)
    with pytest.raises(ModelError, match="no text of a reasonable size"):
        read_saved_model(path)


def test_keras_1_is_told(tmp_path):
    path = write_hdf5(tmp_path / "model.h5", {"class_name": "Sequential"}, version="1.2.2")
    with pytest.raises(ModelError, match=r"written by Keras 1\.2\.2"):
        read_saved_model(path)


@pytest.mark.parametrize("name", ["old.h5", "old.hdf5", "old.keras", "model", "old.hdf"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_files_of_keras_2_may_have_any_name(name, tmp_path):
    model = old_model()
    model.save(tmp_path / "whole.h5")
    (tmp_path / "whole.h5").rename(tmp_path / name)
    np.testing.assert_array_equal(load_model(tmp_path / name)(X), model(X))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_the_way_out_for_a_saved_model_of_keras_2_works(tmp_path):
    model = old_model()
    model.save(tmp_path / "old", save_format="tf")
    with pytest.raises(ModelError, match="a SavedModel of Keras 2") as caught:
        load_model(tmp_path / "old")
    statement = str(caught.value).split("run ")[1].split(" in Python")[0]
    statement = statement.replace('"model.h5"', repr(str(tmp_path / "model.h5")))
    exec(statement, {"tf_keras": tf_keras})  # noqa: S102
    np.testing.assert_allclose(load_model(tmp_path / "model.h5")(X), model(X), atol=1e-6)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
def test_the_way_out_for_weights_of_keras_2_works(whole, tmp_path):
    model = old_model()
    path = tmp_path / "old.h5"
    if whole:
        model.save(path)
        with h5py.File(path, "r+") as archive:
            del archive.attrs["model_config"]
    else:
        model.save_weights(path)
    with pytest.raises(ModelError, match=r"holds weights only, .*model\.load_weights\("):
        load_model(path)
    new = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])
    new.load_weights(path)
    np.testing.assert_allclose(new(X), model(X), atol=1e-6)


def test_a_file_of_keras_3_needs_no_conversion(tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "new.keras")
    with pytest.raises(ModelError, match="needs no conversion"):
        translate_model(tmp_path / "new.keras")
