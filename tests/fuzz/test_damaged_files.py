"""Whatever the bytes of a file, only mcdrop's own errors come out, and each names the file.

`make fuzz` runs some thousands of mutations of every format; the tests run a few of each.
"""

import os
import random
import signal
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from PIL import Image, PngImagePlugin

import mcdrop
from mcdrop import recalibrate
from mcdrop.errors import McdropError
from mcdrop.loading import load_model, open_data
from mcdrop.loading.saved import read_saved_model
from tests.fuzz.mutations import (
    change_bytes,
    change_hdf5,
    change_json,
    change_npy,
    change_png,
    change_zip,
)

MUTATIONS = int(os.environ.get("MCDROP_FUZZ", "16"))
"""Mutations of each format."""

SECONDS = 20
"""Time in which a damaged file must be refused."""


def read_data(path):
    data = open_data(str(path))
    data.x()
    if data.labels is not None:
        data.y()


def read_folder(path):
    read_data(path.parent.parent)


def make_model():
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(2), layers.Dropout(0.5), layers.Dense(2, "softmax")]
    )


def saved_model(suffix):
    def save(path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make_model().save(path)

    return save


def save_npz(path):
    np.savez(path, x=np.ones((4, 3), np.float32), y=np.array([0, 1, 0, 1]))


def save_table(path):
    frame = pd.DataFrame({"a": [1.0, 2.5], "b": [3, 4], "text": ["u", "v"], "label": [0, 1]})
    frame = frame.drop(columns="text")
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)


def save_picture(path):
    text = PngImagePlugin.PngInfo()
    text.add_text("about", "a picture", zip=True)
    settings = {"pnginfo": text} if path.suffix == ".png" else {}
    Image.effect_noise((8, 8), 50).save(path, **settings)


def save_prediction(path):
    passes = np.random.default_rng(0).dirichlet(np.ones(3), (4, 5))
    mcdrop.from_samples(passes, passes[0], task="classification").save(path)


def save_calibrator(path):
    recalibrate.BetaCalibration().fit([[0.9, 0.1], [0.2, 0.8]] * 4, [0, 1] * 3 + [1, 0]).save(path)


FORMATS = {
    "data.npy": (lambda path: np.save(path, np.ones((4, 3))), read_data, [change_npy]),
    "data.npz": (save_npz, read_data, [change_zip]),
    "data.csv": (save_table, read_data, []),
    "data.parquet": (save_table, read_data, []),
    "images/cat/a.png": (save_picture, read_folder, [change_png]),
    "images/cat/a.jpeg": (save_picture, read_folder, []),
    "model.keras": (saved_model(".keras"), read_saved_model, [change_zip]),
    "model.h5": (saved_model(".h5"), read_saved_model, [change_hdf5]),
    "whole.keras": (saved_model(".keras"), load_model, [change_zip]),
    "whole.h5": (saved_model(".h5"), load_model, [change_hdf5]),
    "prediction.npz": (save_prediction, mcdrop.Prediction.load, [change_zip]),
    "calibrator.json": (save_calibrator, recalibrate.load, [change_json]),
}


@contextmanager
def limited():
    """Interrupts what takes too long."""

    def stop(*_):
        raise AssertionError(f"not refused within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore::mcdrop.errors.ModelWarning", "ignore::UserWarning")
@pytest.mark.timeout(7200)
def test_damaged_files_are_read_or_refused_by_name(tmp_path, name):
    save, read, structural = FORMATS[name]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path)
    read(path)
    sound = path.read_bytes()
    slow = read is load_model
    failures = []
    for number in range(MUTATIONS // 4 if slow else MUTATIONS):
        chance = random.Random(f"{name} {number}")  # noqa: S311
        change = chance.choice([change_bytes, *structural * 2])
        path.write_bytes(change(sound, chance))
        try:
            with limited():
                read(path)
        except McdropError as error:
            if path.name not in str(error) or "\n" in str(error).strip():
                failures.append((number, change.__name__, "names no file, or has lines", error))
        except (Exception, SystemExit) as error:
            failures.append((number, change.__name__, type(error).__name__, error))
    text = "\n".join(f"{place}: {str(error)[:300]!r}" for *place, error in failures)
    assert not failures, f"{len(failures)} of {MUTATIONS}\n{text[:6000]}"
