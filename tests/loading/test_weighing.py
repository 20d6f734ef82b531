"""Files whose layers have more weights than they hold are refused before memory is taken."""

import json
import resource
import zipfile

import h5py
import keras
import numpy as np
import pytest

from mcdrop.errors import ModelError
from mcdrop.loading import load_model

MANY = {
    "one wide layer": [keras.Input((8,)), keras.layers.Dense(3)],
    "a chain": [keras.Input((8,)), keras.layers.Dense(3), keras.layers.Dense(3)],
    "a table": [keras.Input((8,)), keras.layers.Embedding(3, 3)],
    "a large input": [keras.Input((9, 9, 7)), keras.layers.Flatten(), keras.layers.Dense(3)],
}


def save_with(path, layers, **sizes):
    """Saves a model of few weights, then writes other sizes into its configuration."""
    keras.Sequential(layers).save(path)

    def widen(text):
        parts = json.loads(text)
        waiting = [parts]
        while waiting:
            part = waiting.pop()
            if isinstance(part, dict):
                part.pop("build_config", None)
                part.update({name: size for name, size in sizes.items() if name in part})
            waiting += part.values() if isinstance(part, dict) else part
            waiting = [each for each in waiting if isinstance(each, dict | list)]
        return json.dumps(parts)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as archive:
            archive.attrs["model_config"] = widen(archive.attrs["model_config"])
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = widen(members["config.json"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("form", MANY)
def test_more_weights_than_a_file_holds_are_refused_before_memory_is_taken(tmp_path, form, suffix):
    path = tmp_path / f"model.{suffix}"
    sizes = {"batch_shape": [None, 9_000, 9_000, 7]} if form == "a large input" else {}
    wide = 10**9 if form == "one wide layer" else 60_000
    save_with(path, MANY[form], units=wide, input_dim=wide, output_dim=wide, **sizes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"model\.\w+ is damaged \(its layers have [\d,]+ bytes"):
        load_model(path)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken < 2**20  # KiB, so one GiB; the smallest of them would take 14


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_large_input_of_a_small_model_is_looked_at_and_loads(tmp_path, suffix):
    layers = [keras.Input((3_000, 3_000, 8)), keras.layers.Conv2D(4, 3)]
    model = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])
    model.save(tmp_path / f"model.{suffix}")
    loaded = load_model(tmp_path / f"model.{suffix}")
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
