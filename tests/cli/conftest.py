import re

import numpy as np
import pytest

from mcdrop.cli import main


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """A folder with small saved models and data that fit them."""
    keras = pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("shelf")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    for name, rate in (("model", 0.5), ("other", 0.2)):
        keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                layers.Flatten(),
                layers.Dense(8, activation="relu"),
                layers.Dropout(rate),
                layers.Dense(3, activation="softmax"),
            ],
            name=name,
        ).save(folder / f"{name}.keras")
    plain = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")]
    keras.Sequential(plain).save(folder / "plain.keras")
    regression = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8), layers.Dropout(0.5), layers.Dense(1)]
    )
    regression.compile("adam", "mse")
    regression.save(folder / "regression.keras")
    image, meta = keras.Input((4,), name="image"), keras.Input((2,), name="meta")
    joined = layers.Dropout(0.5)(layers.Concatenate()([image, meta]))
    heads = {
        "kind": layers.Dense(3, activation="softmax", name="kind")(joined),
        "flag": layers.Dense(1, activation="sigmoid", name="flag")(joined),
    }
    keras.Model([image, meta], heads).save(folder / "heads.keras")
    generator = np.random.default_rng(0)
    x = generator.random((40, 4, 4, 1), np.float32)
    y = _noisy_answers(folder / "model.keras", x, generator)
    np.savez(folder / "data.npz", x_test=x, y_test=y, class_names=["ant", "bee", "cat"])
    more = generator.random((60, 4, 4, 1), np.float32)
    answers = _noisy_answers(folder / "model.keras", more, generator)
    np.savez(folder / "more.npz", x=more, y=answers)
    for name in ("table", "held-out"):
        numbers = generator.normal(size=(40, 6))
        np.savez(folder / f"{name}.npz", x=numbers[:, :5], y=numbers[:, 5])
    np.savez(folder / "pair.npz", image=x[:, :, 0, 0], meta=x[:, :2, 1, 0], y=y)
    return folder


def _noisy_answers(path, x, generator):
    """Labels that the model predicts rightly four times in five."""
    import keras

    answers = np.argmax(keras.models.load_model(path)(x), axis=-1)
    return np.where(generator.random(len(x)) < 0.2, generator.integers(0, 3, len(x)), answers)


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Runs the command line in a folder of its own; returns (status, output, error)."""
    monkeypatch.chdir(tmp_path)

    def run_main(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run_main


@pytest.fixture
def fails(run, tmp_path):
    """Runs a command that must fail; returns its one line, checked to be one, leaving nothing."""

    def run_failing(*arguments):
        before = sorted(tmp_path.rglob("*"))
        status, out, err = run(*arguments)
        assert status == 1
        assert out == ""
        # TensorFlow, imported by the tests before the command line could silence it, adds its own.
        lines = [line for line in err.splitlines() if not re.match(r"[IWE]\d{4} ", line)]
        assert len(lines) == 1
        assert lines[0].startswith("mcdrop: error: ")
        assert lines[0].endswith(".")
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0]

    return run_failing
