"""Recurrent layers of cuDNN, which need a GPU, against the layers whose weights they hold."""

import json

import h5py
import numpy as np
import pytest

from mcdrop.loading import load_model

k2 = pytest.importorskip("tf_keras")
saving = pytest.importorskip("tf_keras.src.saving.legacy.hdf5_format")
OPTIONS = ("units", "return_sequences", "return_state", "go_backwards", "stateful")


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_layer_of_cudnn_computes_what_its_plain_layer_does(name, tmp_path):
    k2.utils.set_random_seed(0)
    layer = getattr(k2.layers, name)(4, return_sequences=True, bias_initializer="uniform")
    model = k2.Sequential([k2.Input((6, 3)), layer, k2.layers.Dropout(0.3), k2.layers.Dense(2)])
    path = tmp_path / "model.h5"
    model.save(path)
    # Keras 2 itself turns the weights of either kind into those of the other.
    of_cudnn = type(f"CuDNN{name}", (), {"units": 4})()
    weights = saving._convert_rnn_weights(of_cudnn, layer.get_weights())
    with h5py.File(path, "r+") as file:
        group = file["model_weights"][layer.name]
        for key, array in zip(group.attrs["weight_names"], weights, strict=True):
            del group[key]
            group[key] = array
        config = json.loads(file.attrs["model_config"])
        place = config["config"]["layers"][1]
        place["class_name"] = f"CuDNN{name}"
        kept = {key: place["config"][key] for key in OPTIONS}
        place["config"] = kept | {"name": layer.name, "dtype": "float32", "trainable": True}
        file.attrs["model_config"] = json.dumps(config)
    x = np.random.default_rng(0).normal(size=(5, 6, 3)).astype("float32")
    np.testing.assert_allclose(load_model(path)(x), model(x), atol=1e-6)
