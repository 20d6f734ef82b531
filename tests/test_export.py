"""A model exported for serving gives what `predict` gives."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mcdrop import DataError, MCDropout, ModelError, register


def build(units=3, activation="softmax"):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6,), name="features"),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(units, activation),
        ]
    )


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(7, 6)).astype("float32")


def serve(path, x):
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return {name: value.numpy() for name, value in signature(features=tf.constant(x)).items()}


def test_an_existing_path_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(DataError, match="exists"):
        MCDropout(build()).export(tmp_path)
    with pytest.raises(DataError, match=r"did not write \(mine\)"):
        MCDropout(build()).export(tmp_path, force=True)


def test_a_saved_model_is_replaced_with_force(tmp_path, x):
    MCDropout(build()).export(tmp_path / "model", num_samples=2)
    MCDropout(build()).export(tmp_path / "model", num_samples=3, force=True)
    assert serve(tmp_path / "model", x)["mean"].shape == (7, 3)
    (tmp_path / "model" / "assets" / "mine").touch()
    with pytest.raises(DataError, match=r"did not write \(assets/mine\)"):
        MCDropout(build()).export(tmp_path / "model", force=True)


def test_a_disk_that_is_full_is_told(tmp_path, monkeypatch):
    def fill(*_, **__):
        raise tf.errors.ResourceExhaustedError(
            None, None, "op; out; No space left on device [Op:SaveV2]"
        )

    monkeypatch.setattr(type(keras.export.ExportArchive()), "write_out", fill)
    with pytest.raises(DataError, match=r"cannot be written: no space left on device\.$"):
        MCDropout(build()).export(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_model_with_noise_on_weights_runs_pass_by_pass(tmp_path, x):
    @keras.saving.register_keras_serializable(package="test_export")
    class NoisyKernel(layers.Dense):
        def call(self, inputs, training=False):
            kernel = keras.random.dropout(self.kernel, 0.5) if training else self.kernel
            return inputs @ kernel + self.bias

    register(NoisyKernel)
    inputs = keras.Input((6,), name="features")
    model = keras.Model(inputs, layers.Softmax()(NoisyKernel(3)(inputs)))
    mc = MCDropout(model)
    mc.export(tmp_path / "model", num_samples=20)
    prediction = mc.predict(x, num_samples=20)
    served = serve(tmp_path / "model", x)
    np.testing.assert_allclose(served["mean"], prediction.mean, atol=1e-6)
    np.testing.assert_allclose(served["variance"], prediction.variance, atol=1e-6)


def test_every_example_is_sampled_as_example_0(tmp_path, x):
    mc = MCDropout(build())
    mc.export(tmp_path / "model", num_samples=20, seed=4)
    served = serve(tmp_path / "model", x)
    for i in range(len(x)):
        prediction = mc.predict(x[i : i + 1], num_samples=20, seed=4)
        for name in ("mean", "variance", "predictive_entropy", "mutual_information"):
            expected = getattr(prediction, name)[0]
            np.testing.assert_allclose(served[name][i], expected, atol=2e-6, err_msg=name)
    np.testing.assert_allclose(served["deterministic"], mc.model.predict(x, verbose=0), atol=1e-6)


def test_an_answer_does_not_depend_on_the_batch(tmp_path, x):
    MCDropout(build()).export(tmp_path / "model", num_samples=8)
    together, alone = serve(tmp_path / "model", x), serve(tmp_path / "model", x[4:5])
    np.testing.assert_allclose(together["mean"][4], alone["mean"][0], atol=1e-6)


def test_binary_and_regression_models_have_their_own_statistics(tmp_path, x):
    MCDropout(build(1, "sigmoid")).export(tmp_path / "binary", num_samples=8)
    assert serve(tmp_path / "binary", x)["mutual_information"].shape == (7,)
    MCDropout(build(2, "linear"), task="gaussian").export(tmp_path / "gaussian", num_samples=8)
    served = serve(tmp_path / "gaussian", x)
    parts = served["aleatoric_variance"] + served["epistemic_variance"]
    np.testing.assert_allclose(served["variance"], parts, rtol=1e-6)


def two_stages():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6,), name="features"),
            layers.Dropout(0.3),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(3, "softmax"),
        ]
    )


def assert_as_predicted(found, mc, x, **settings):
    """Every example has the numbers that `predict` gives it alone."""
    for row in range(len(x)):
        wanted = mc.predict(x[row : row + 1], **settings)
        names = ("mean", "variance", "deterministic", "predictive_entropy", "expected_entropy")
        for name in names:
            np.testing.assert_allclose(
                found[name][row], getattr(wanted, name)[0], atol=2e-6, err_msg=name
            )


def with_settings(path, x, seed, num_samples):
    signature = tf.saved_model.load(str(path)).signatures["with_settings"]
    given = {"seed": tf.constant(seed, tf.int64), "num_samples": tf.constant(num_samples)}
    found = signature(features=tf.constant(x), **given)
    return {name: value.numpy() for name, value in found.items()}


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 5, 2**63 - 1])
def test_seed_and_passes_can_be_given(tmp_path, x, seed):
    mc = MCDropout(build())
    mc.export(tmp_path / "model", num_samples=40, seed=7)
    for num_samples in (2, 17, 40):
        found = with_settings(tmp_path / "model", x[:2], seed, num_samples)
        assert_as_predicted(found, mc, x[:2], seed=seed, num_samples=num_samples)
    if seed == 7:
        np.testing.assert_array_equal(found["mean"], serve(tmp_path / "model", x[:2])["mean"])


@pytest.mark.parametrize("splitting", [(5, 4), (20, 1), (2, 2)])
def test_passes_that_share_their_early_masks(tmp_path, x, splitting):
    mc = MCDropout(two_stages(), splitting=splitting)
    mc.export(tmp_path / "model", seed=2)
    assert_as_predicted(serve(tmp_path / "model", x), mc, x, seed=2)


def test_fewer_passes_that_share_are_whole_draws(tmp_path, x):
    MCDropout(two_stages(), splitting=(5, 4)).export(tmp_path / "model")
    fewer = MCDropout(two_stages(), splitting=(3, 4))
    assert_as_predicted(with_settings(tmp_path / "model", x, 2, 12), fewer, x, seed=2)
    for wrong in (4, 11, 24):
        with pytest.raises(tf.errors.InvalidArgumentError, match="8 to 20 and a multiple of 4"):
            with_settings(tmp_path / "model", x, 2, wrong)


@pytest.mark.parametrize(
    ("balanced", "seed", "num_samples", "message"),
    [
        (False, 0, 1, "`num_samples` must be 2 to 10; it is"),
        (False, 0, 11, "must be 2 to 10"),
        (False, -1, 5, "`seed` is below 0"),
        (True, 0, 5, "must be 10, as the masks are balanced"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(tmp_path, x, balanced, seed, num_samples, message):
    MCDropout(build(), balanced=balanced).export(tmp_path / "model", num_samples=10)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        with_settings(tmp_path / "model", x, seed, num_samples)


def test_balanced_passes_take_another_seed(tmp_path, x):
    mc = MCDropout(build(), balanced=True)
    mc.export(tmp_path / "model", num_samples=10)
    found = with_settings(tmp_path / "model", x[:2], 4, 10)
    assert_as_predicted(found, mc, x[:2], seed=4, num_samples=10)


def test_a_process_without_mcdrop_gives_the_numbers_of_predict(tmp_path, x):
    mc = MCDropout(two_stages(), splitting=(5, 4))
    mc.export(tmp_path / "model")
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys; sys.modules['mcdrop'] = sys.modules['keras'] = None\n"
        "import numpy as np, tensorflow as tf\n"
        "call = tf.saved_model.load('model').signatures['with_settings']\n"
        "found = call(features=tf.constant(np.load('x.npy')), seed=tf.constant(9, tf.int64),\n"
        "             num_samples=tf.constant(20))\n"
        "np.savez('found.npz', **{name: value.numpy() for name, value in found.items()})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "found.npz") as found:
        assert_as_predicted(dict(found), mc, x, seed=9)


def test_an_input_with_the_name_of_a_setting_is_told(tmp_path):
    inputs = keras.Input((6,), name="seed")
    outputs = layers.Dense(3, "softmax")(layers.Dropout(0.5)(inputs))
    with pytest.raises(ModelError, match="input of the model is called 'seed'"):
        MCDropout(keras.Model(inputs, outputs)).export(tmp_path / "model")


def test_what_predict_refuses_comes_out_as_nan_and_nothing_else_does(tmp_path):
    """NaN in the example, where the model hides it, or in one pass of many; no probabilities."""
    inputs = keras.Input((2,), name="features")
    kept = layers.Dropout(0.3)(inputs)
    # Where both are dropped it is 0/0, but not for an example that holds a large number.
    share = kept / keras.ops.sum(kept, axis=-1, keepdims=True)
    hidden = keras.ops.where(keras.ops.max(inputs, axis=-1, keepdims=True) > 9.0, 0.5, share)
    model = keras.Model(inputs, layers.Softmax()(hidden))
    mc = MCDropout(model, task="classification")
    mc.export(tmp_path / "softmax", num_samples=40)
    x = np.array([[1, 2], [10, 2], [np.nan, 10], [np.inf, 10], [20, 3]], np.float32)
    found = serve(tmp_path / "softmax", x)
    alone = [mc.predict(row[None], num_samples=40, on_nonfinite="drop") for row in x]
    for name, values in found.items():
        lost = np.isnan(values.reshape(5, -1))
        assert lost.all(axis=1).tolist() == [True, False, True, True, False], name
        assert lost.any(axis=1).tolist() == [bool(p.dropped[0]) for p in alone], name
        np.testing.assert_allclose(values[4], getattr(alone[4], name)[0], atol=2e-6)


@pytest.mark.parametrize(
    ("end", "settings"),
    [
        (layers.Lambda(lambda t: t * 3.0 - 40.0), {"task": "classification"}),
        (layers.Lambda(lambda t: t * 3.0 - 40.0), {"task": "multilabel"}),
        (
            layers.Lambda(lambda t: t * 3.0 - 40.0),
            {"task": "gaussian", "gaussian_scale": "standard_deviation"},
        ),
    ],
)
def test_values_that_are_none_of_the_task_come_out_as_nan(tmp_path, x, end, settings):
    model = keras.Sequential([*build(2, "linear").layers, end])
    model.build((None, 6))
    mc = MCDropout(model, **settings)
    with pytest.raises(DataError):
        mc.predict(x, num_samples=2)
    mc.export(tmp_path / "model", num_samples=2)
    loaded = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    (name,) = loaded.structured_input_signature[1]
    for values in loaded(**{name: tf.constant(x)}).values():
        assert np.isnan(values.numpy()).all()
