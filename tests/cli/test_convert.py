import json

import numpy as np
import pytest

from mcdrop.cli import main
from mcdrop.loading import load_model

tf_keras = pytest.importorskip("tf_keras")

from tests.loading.keras2.old import save  # noqa: E402


@pytest.fixture
def old(tmp_path):
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            tf_keras.Input((5, 3)),
            layers.LSTM(4, dropout=0.2, recurrent_activation="hard_sigmoid"),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    return model, save(model, tmp_path / "old.h5")


def test_convert_writes_the_same_function_and_says_what_was_understood(old, tmp_path, capsys):
    model, path = old
    new = tmp_path / "new.keras"
    assert main(["convert", str(path), str(new)]) == 0
    told = capsys.readouterr().out
    assert "Hard_sigmoid is clip(0.2 x + 0.5, 0, 1), as Keras 2 defined it." in told
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    np.testing.assert_allclose(load_model(new)(x), model(x), atol=1e-6)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new.keras", "old.h5"]
    assert load_model(new).loss.__name__ == "categorical_crossentropy"


def test_convert_replaces_only_with_force(old, tmp_path, capsys):
    path, new = str(old[1]), str(tmp_path / "new.keras")
    assert main(["convert", path, new]) == 0
    assert main(["convert", path, new]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["convert", path, new, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == new


@pytest.mark.parametrize("new", ["new.h5", "old.h5"])
def test_convert_writes_keras_files_only(old, new, tmp_path, capsys):
    assert main(["convert", str(old[1]), str(tmp_path / new)]) == 1
    assert "expected a name that ends in .keras" in capsys.readouterr().err


def test_convert_says_what_cannot_be_translated(tmp_path, capsys):
    layers = [tf_keras.Input((6, 3)), tf_keras.layers.LocallyConnected1D(2, 3)]
    path = save(tf_keras.Sequential(layers), tmp_path / "old.h5")
    assert main(["convert", str(path), str(tmp_path / "new.keras")]) == 1
    told = capsys.readouterr().err
    assert "LocallyConnected1D" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "new.keras").exists()
