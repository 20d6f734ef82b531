"""What the outputs of a model mean is read from its configuration, or asked for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, losses, ops
from scipy import special

import mcdrop
from mcdrop.engine.tasks import OutputTask, output_activation, output_names, resolve
from mcdrop.errors import DataError, ModelError

from .harness import without_xla

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def model_with(*head, loss=None, subclass=None):
    """Returns a model with dropout that ends in the given layers."""
    keras.utils.set_random_seed(0)
    inputs = outputs = keras.Input((4,))
    for layer in (layers.Dense(6), layers.Dropout(0.5), *head):
        outputs = layer(outputs)
    model = (subclass or keras.Model)(inputs, outputs)
    if loss is not None:
        model.compile(loss=loss)
    return model


class Opaque(keras.Model):
    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask)


def only(model, task=None):
    """Returns how the only output of a model is read."""
    (output,) = resolve(model, task, 0)
    return output


@pytest.mark.parametrize(
    ("head", "loss", "task", "logits"),
    [
        ([layers.Dense(3, activation="softmax")], None, "classification", False),
        ([layers.Dense(3), layers.Softmax()], None, "classification", False),
        ([layers.Dense(3), layers.Activation("softmax")], None, "classification", False),
        ([layers.Dense(3), ops.softmax], None, "classification", False),
        (
            [layers.Dense(3, activation="softmax"), layers.Dropout(0.1)],
            None,
            "classification",
            False,
        ),
        (
            [layers.Dense(3, activation="softmax"), layers.Activation("linear", dtype="float32")],
            None,
            "classification",
            False,
        ),
        (
            [layers.Dense(6, activation="softmax"), layers.Reshape((2, 3))],
            None,
            "classification",
            False,
        ),
        (
            [layers.Dense(3)],
            losses.SparseCategoricalCrossentropy(from_logits=True),
            "classification",
            True,
        ),
        (
            [layers.Dense(3)],
            losses.CategoricalCrossentropy(from_logits=True),
            "classification",
            True,
        ),
        ([layers.Dense(1, activation="sigmoid")], None, "binary", False),
        ([layers.Dense(1, activation="sigmoid"), layers.Flatten()], None, "binary", False),
        ([layers.Dense(1), ops.sigmoid], "binary_crossentropy", "binary", False),
        ([layers.Dense(1)], losses.BinaryCrossentropy(from_logits=True), "binary", True),
        ([layers.Dense(4, activation="sigmoid")], "binary_crossentropy", "multilabel", False),
        ([layers.Dense(4)], losses.BinaryCrossentropy(from_logits=True), "multilabel", True),
        ([layers.Dense(2)], "mse", "regression", False),
        ([layers.Dense(2)], "mean_absolute_error", "regression", False),
        ([layers.Dense(2)], losses.MeanSquaredError(), "regression", False),
        ([layers.Dense(2)], losses.Huber(), "regression", False),
        ([layers.Dense(2)], losses.LogCosh(), "regression", False),
        ([layers.Dense(2)], losses.MeanAbsolutePercentageError(), "regression", False),
        ([layers.Dense(2)], losses.mean_squared_error, "regression", False),
    ],
)
def test_an_unambiguous_model_needs_no_task(head, loss, task, logits):
    output = only(model_with(*head, loss=loss))
    assert (output.task, output.logits) == (task, logits)
    assert (output.name, output.outputs) == ("", (0,))


@pytest.mark.parametrize(
    ("head", "loss", "subclass"),
    [
        ([layers.Dense(3)], None, None),
        ([layers.Dense(3, activation="relu")], None, None),
        ([layers.Dense(3, activation="softplus")], "mse", None),
        ([layers.Dense(3)], "sparse_categorical_crossentropy", None),
        ([layers.Dense(3)], lambda y, p: ops.mean(y - p), None),
        ([layers.Dense(3), layers.Lambda(lambda x: x * 2)], "mse", None),
        ([layers.Dense(3, activation="softmax")], None, Opaque),
        ([layers.Dense(1, activation="sigmoid")], "binary_crossentropy", Opaque),
    ],
)
def test_an_ambiguous_model_is_asked_about(head, loss, subclass):
    model = model_with(*head, loss=loss, subclass=subclass)
    with pytest.raises(ModelError, match=r"ambiguous.*Pass task="):
        resolve(model, None, 0)
    with pytest.raises(ModelError, match="ambiguous"):
        without_xla(mcdrop.MCDropout(model)).predict(X, num_samples=2)
    # Samples need no meaning.
    assert without_xla(mcdrop.MCDropout(model)).sample(X, num_samples=2).shape[:2] == (2, 5)


def test_a_subclassed_model_with_one_logit_is_asked_about_rather_than_taken_for_many():
    class OneLogit(keras.Model):
        def __init__(self):
            super().__init__()
            self.dropout, self.dense = layers.Dropout(0.5), layers.Dense(1)

        def call(self, inputs):
            return self.dense(self.dropout(inputs))

    model = OneLogit()
    model(X)
    model.compile(loss=losses.BinaryCrossentropy(from_logits=True))
    with pytest.raises(ModelError, match="ambiguous"):
        resolve(model, None, 0)
    assert only(model, "binary").logits


def test_the_user_has_the_last_word():
    model = model_with(layers.Dense(2, activation="softmax"))
    assert only(model, "regression").task == "regression"
    assert only(model_with(layers.Dense(3)), "classification").logits
    assert not only(model_with(layers.Dense(3, activation="softmax")), "classification").logits
    with pytest.raises(DataError, match="`task`"):
        resolve(model, "clasification", 0)


def test_the_task_survives_saving(tmp_path):
    model = model_with(layers.Dense(1), loss=losses.BinaryCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    output = only(keras.models.load_model(tmp_path / "model.keras"))
    assert (output.task, output.logits) == ("binary", True)


def test_nested_and_time_distributed_heads_are_read_through():
    inputs = keras.Input((5, 4))
    inner = model_with(layers.Dense(3, activation="softmax"))
    wrapped = keras.Model(inputs, layers.TimeDistributed(inner)(inputs))
    single = keras.Input((4,))
    nested = keras.Model(single, inner(single))
    assert output_activation(nested, 0) == "softmax"
    assert output_activation(wrapped, 0) == "softmax"
    sequential = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), nested])
    assert only(sequential).task == "classification"


def several():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.5)(layers.Dense(6)(inputs))
    outputs = {
        "kind": layers.Dense(3, activation="softmax")(hidden),
        "age": layers.Dense(1)(hidden),
        "alive": layers.Dense(1, activation="sigmoid")(hidden),
    }
    return keras.Model(inputs, outputs)


def test_each_of_several_outputs_has_its_own_task():
    model = several()
    structure = {"kind": 0, "age": 0, "alive": 0}
    with pytest.raises(ModelError, match=r"'age'.*linear"):
        resolve(model, None, structure)
    model.compile(loss={"kind": "categorical_crossentropy", "age": "mse", "alive": "bce"})
    tasks = {output.name: output.task for output in resolve(model, None, structure)}
    assert tasks == {"age": "regression", "alive": "binary", "kind": "classification"}
    given = {"kind": "multilabel", "age": "regression", "alive": "binary"}
    assert {o.name: o.task for o in resolve(model, given, structure)} == given


@pytest.mark.parametrize(
    "task",
    [
        {"kind": "classification", "age": "regression"},
        {"kind": "classification", "age": "regression", "alive": "binary", "more": "binary"},
        ["classification", "regression"],
        {"kind": "classification", "age": "regression", "alive": "yes"},
    ],
)
def test_a_task_that_does_not_fit_the_outputs_is_refused(task):
    with pytest.raises(DataError, match="`task"):
        resolve(several(), task, {"kind": 0, "age": 0, "alive": 0})


def test_predictions_of_several_outputs_come_by_name():
    mc = without_xla(mcdrop.MCDropout(several(), task=["regression", "binary", "classification"]))
    predictions = mc.predict(X, num_samples=6, keep_samples=True)
    assert list(predictions) == ["age", "alive", "kind"]
    assert [p.task for p in predictions.values()] == ["regression", "binary", "classification"]
    assert predictions["alive"].mean.shape == (5,)
    assert predictions["kind"].samples.shape == (6, 5, 3)
    assert predictions["age"].mean.shape == (5, 1)
    # The same masks in every output: one network a pass.
    samples = mc.sample(X, num_samples=6)
    for name in predictions:
        kept = predictions[name].samples
        np.testing.assert_array_equal(samples[name].reshape(kept.shape), kept)


def test_a_list_of_outputs_is_named_by_its_layers():
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.5)(inputs)
    outputs = [layers.Dense(1, name="low")(hidden), layers.Dense(1, name="high")(hidden)]
    model = keras.Model(inputs, outputs)
    assert output_names(model, [0, 0]) == ["low", "high"]
    predictions = without_xla(mcdrop.MCDropout(model, task="regression")).predict(X, num_samples=2)
    assert list(predictions) == ["low", "high"]


def test_logits_become_probabilities_in_every_pass():
    model = model_with(layers.Dense(3))
    raw = without_xla(mcdrop.MCDropout(model)).sample(X, num_samples=7)
    mc = without_xla(mcdrop.MCDropout(model, task="classification"))
    prediction = mc.predict(X, num_samples=7, keep_samples=True)
    expected = special.softmax(raw.astype(np.float64), axis=-1)
    np.testing.assert_allclose(prediction.samples, expected, rtol=1e-6)
    np.testing.assert_allclose(prediction.mean, expected.mean(axis=0), rtol=1e-6)
    inference = np.asarray(model(X, training=False), np.float64)
    np.testing.assert_allclose(
        prediction.deterministic, special.softmax(inference, axis=-1), rtol=1e-5
    )
    one = model_with(layers.Dense(1))
    binary = without_xla(mcdrop.MCDropout(one, task="binary")).predict(
        X, num_samples=7, keep_samples=True
    )
    raw = without_xla(mcdrop.MCDropout(one)).sample(X, num_samples=7)[..., 0]
    np.testing.assert_allclose(binary.samples, special.expit(raw.astype(np.float64)), rtol=1e-6)
    assert binary.mean.shape == (5,)


def test_values_that_are_no_probabilities_are_refused():
    for head in (layers.Dense(3, activation="relu"), layers.Dense(3, activation="sigmoid")):
        mc = without_xla(mcdrop.MCDropout(model_with(head), task="classification"))
        with pytest.raises(DataError, match=r"must hold probabilities.*softmax"):
            mc.predict(X, num_samples=2)


def gaussian_model(kind):
    """Returns a model of a mean and a variance, and the passes of both."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.5)(layers.Dense(6)(inputs))
    mean, spread = layers.Dense(2, name="mean")(hidden), layers.Dense(2, name="spread")(hidden)
    if kind == "variance":
        return keras.Model(inputs, [mean, ops.softplus(spread)])
    if kind == "log_variance":
        return keras.Model(inputs, [mean, spread])
    if kind == "dict in the order of its names":
        return keras.Model(inputs, {"prediction": mean, "log_variance": spread})
    return keras.Model(inputs, layers.Concatenate()([mean, spread]))


@pytest.mark.parametrize(
    "kind", ["variance", "log_variance", "together", "dict in the order of its names"]
)
def test_a_gaussian_output_has_a_mean_and_a_variance(kind):
    model = gaussian_model(kind)
    flat = keras.tree.flatten(without_xla(mcdrop.MCDropout(model)).sample(X, num_samples=9))
    if kind == "together":
        flat = np.split(flat[0], 2, axis=-1)
    if kind.startswith("dict"):
        flat = flat[::-1]
    means, variances = (part.astype(np.float64) for part in flat)
    variances = variances if kind == "variance" else np.exp(variances)
    prediction = without_xla(mcdrop.MCDropout(model, task="gaussian")).predict(X, num_samples=9)
    np.testing.assert_allclose(prediction.mean, means.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(prediction.aleatoric_variance, variances.mean(axis=0), rtol=1e-6)
    epistemic = means.var(axis=0, ddof=1)
    np.testing.assert_allclose(prediction.epistemic_variance, epistemic, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(prediction.variance, epistemic + variances.mean(axis=0), rtol=1e-5)
    assert prediction.deterministic_variance.shape == (5, 2)


def test_gaussian_outputs_that_do_not_fit_are_refused():
    odd = model_with(layers.Dense(3))
    with pytest.raises(ModelError, match="odd"):
        resolve(odd, "gaussian", 0)
    with pytest.raises(ModelError, match="two outputs"):
        resolve(several(), "gaussian", {"kind": 0, "age": 0, "alive": 0})
    by_name = {"kind": "gaussian", "age": "regression", "alive": "binary"}
    with pytest.raises(ModelError, match="odd"):
        resolve(several(), by_name, {"kind": 0, "age": 0, "alive": 0})
    negative = OutputTask("", "gaussian", (0, 1), log_variance=False)
    with pytest.raises(DataError, match="negative"):
        negative.read([np.zeros((2, 1)), np.full((2, 1), -1.0)], batch_axes=1)
