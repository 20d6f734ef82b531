import json
import subprocess

import numpy as np
import pytest

keras = pytest.importorskip("keras")


def test_inspect_lists_what_samples(run, shelf):
    status, out, _ = run("inspect", shelf / "model.keras")
    assert status == 0
    assert "1 of 1 stochastic layers sample" in out
    found = json.loads(run("inspect", shelf / "model.keras", "--json")[1])
    (layer,) = found["stochastic_layers"]
    assert layer["kind"] == "dropout"
    assert layer["rate"] == 0.5
    assert layer["selected"] is True
    assert found["num_parameters"] == 163
    assert list(found["inputs"].values()) == [[4, 4, 1]]


def test_compare_sets_models_side_by_side(run, shelf, tmp_path):
    models = [shelf / "model.keras", shelf / "other.keras"]
    arguments = ["compare", *models, shelf / "data.npz", "--output", "out"]
    status, out, err = run(*arguments, "--samples", 4, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert set(found["evaluations"]) == {"model", "other"}
    accuracy = next(m for m in found["comparison"]["metrics"] if m["name"] == "accuracy")
    values = [found["evaluations"][name]["metrics"] for name in ("other", "model")]
    other, model = (next(m for m in v if m["name"] == "accuracy") for v in values)
    expected = other["monte_carlo"]["value"] - model["monte_carlo"]["value"]
    assert accuracy["differences"]["other"]["value"] == pytest.approx(expected)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "other" in page


def test_a_model_without_dropout_is_a_baseline_of_compare(run, shelf, tmp_path):
    models = [shelf / "plain.keras", "--samples", 4, shelf / "model.keras"]  # options in between
    status, out, err = run("compare", *models, "-o", "out", shelf / "data.npz", "--json")
    assert status == 0, err
    assert "plain has no dropout; its ordinary prediction is compared" in err
    found = json.loads(out)["comparison"]
    assert found["forecasts"] == ["plain, off", "model", "model, off"]
    data = np.load(shelf / "data.npz")
    predicted = keras.models.load_model(shelf / "plain.keras").predict(data["x_test"], verbose=0)
    accuracy = next(m for m in found["metrics"] if m["name"] == "accuracy")
    right = (predicted.argmax(axis=1) == data["y_test"]).mean()
    assert accuracy["estimates"]["plain, off"]["value"] == pytest.approx(right)
    assert "without dropout" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_compare_computes_every_metric_on_demand(run, shelf):
    models = [shelf / "model.keras", shelf / "other.keras", shelf / "data.npz"]
    status, out, err = run("compare", *models, "-o", "o", "--samples", 4, "--metrics=all", "--json")
    assert status == 0, err
    assert "macro_f1" in {each["name"] for each in json.loads(out)["comparison"]["metrics"]}


def test_models_of_one_file_name_are_told_apart_by_their_folders(tmp_path):
    from mcdrop.cli.compare import name_models

    paths = [tmp_path / "a" / "m.keras", tmp_path / "b" / "m.keras"]
    assert name_models(paths) == [str(path) for path in paths]
    assert name_models([paths[0], tmp_path / "n.keras"]) == ["m", "n"]


def test_export_writes_a_saved_model_that_loads(run, shelf, tmp_path):
    import tensorflow as tf

    status, out, err = run("export", shelf / "model.keras", "--output", "serving")
    assert status == 0, err
    assert "serving" in out
    assert "serving_default" in tf.saved_model.load(tmp_path / "serving").signatures


def test_export_fixes_passes_and_seed_in_the_file(run, shelf, tmp_path):
    import tensorflow as tf

    import mcdrop

    options = ["--samples", 6, "--seed", 3, "--balanced", "--json"]
    status, out, err = run("export", shelf / "model.keras", "--output", "served", *options)
    assert status == 0, err
    assert json.loads(out) == {"output": "served", "num_samples": 6, "seed": 3}
    signature = tf.saved_model.load(tmp_path / "served").signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    x = np.random.default_rng(0).random((1, 4, 4, 1), np.float32)
    served = signature(**{name: tf.constant(x)})
    mc = mcdrop.MCDropout(keras.models.load_model(shelf / "model.keras"), balanced=True)
    expected = mc.predict(x, num_samples=6, seed=3)
    for field in ("mean", "variance", "predictive_entropy", "mutual_information"):
        np.testing.assert_allclose(served[field], getattr(expected, field), atol=1e-6)
    other = mc.predict(x, num_samples=6, seed=4)
    assert not np.allclose(served["mean"], other.mean, atol=1e-6)


def test_the_demo_trains_and_reports(run, tmp_path, monkeypatch):
    monkeypatch.setattr("mcdrop.demo.NUM_EPOCHS", 2)
    status, out, err = run("demo", "--output", "out", "--samples", 4)
    assert status == 0, err
    assert "mcdrop report model.keras test.npz" in out
    assert (tmp_path / "out" / "index.html").exists()
    model = keras.models.load_model(tmp_path / "out" / "digits.keras")
    kinds = {type(layer).__name__ for layer in model.layers}
    assert {"SpatialDropout2D", "Dropout"} <= kinds
    assert run("demo", "--output", "out", "--samples", 4)[0] == 1
    assert run("report", "out/digits.keras", "digits", "--output", "again", "--samples", 4)[0] == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh", "powershell"])
def test_completion_knows_commands_and_options(run, shell):
    status, out, _ = run("completion", shell)
    assert status == 0
    assert "compare" in out
    assert shell == "tcsh" or "ood" in out


def test_the_bash_script_is_sound_and_completes(run, tmp_path):
    (tmp_path / "script").write_text(run("completion", "bash")[1])
    lines = (
        "source ./script; COMP_WORDS=(mcdrop rep); COMP_CWORD=1; "
        "$(complete -p mcdrop | sed 's/.*-F \\([^ ]*\\).*/\\1/') mcdrop rep mcdrop; "
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["report"], done.stderr
