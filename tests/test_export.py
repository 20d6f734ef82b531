"""A model exported for serving gives what `predict` gives."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mcdrop import DataError, MCDropout, register


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
