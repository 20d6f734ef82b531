"""What the outputs of a model mean is read from its configuration, or asked for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, losses, ops
from scipy import special

import mcdrop
from mcdrop.engine.heads import read_head
from mcdrop.engine.tasks import Asked, OutputTask, output_names, resolve
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
    (output,) = resolve(model, Asked(task), 0)
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
        resolve(model, Asked(), 0)
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
        resolve(model, Asked(), 0)
    assert only(model, "binary").logits


def test_the_user_has_the_last_word():
    model = model_with(layers.Dense(2, activation="softmax"))
    assert only(model, "regression").task == "regression"
    assert only(model_with(layers.Dense(3)), "classification").logits
    assert not only(model_with(layers.Dense(3, activation="softmax")), "classification").logits
    with pytest.raises(DataError, match="`task`"):
        resolve(model, Asked("clasification"), 0)


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
    assert read_head(nested, 0).activation == "softmax"
    assert read_head(wrapped, 0).activation == "softmax"
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
        resolve(model, Asked(), structure)
    model.compile(loss={"kind": "categorical_crossentropy", "age": "mse", "alive": "bce"})
    tasks = {output.name: output.task for output in resolve(model, Asked(), structure)}
    assert tasks == {"age": "regression", "alive": "binary", "kind": "classification"}
    given = {"kind": "multilabel", "age": "regression", "alive": "binary"}
    assert {o.name: o.task for o in resolve(model, Asked(given), structure)} == given


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
        resolve(several(), Asked(task), {"kind": 0, "age": 0, "alive": 0})


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
    scale = "variance" if kind == "variance" else None
    mc = without_xla(mcdrop.MCDropout(model, task="gaussian", gaussian_scale=scale))
    prediction = mc.predict(X, num_samples=9)
    assert prediction.gaussian_scale == (scale or "log_variance")
    np.testing.assert_allclose(prediction.mean, means.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(prediction.aleatoric_variance, variances.mean(axis=0), rtol=1e-6)
    epistemic = means.var(axis=0, ddof=1)
    np.testing.assert_allclose(prediction.epistemic_variance, epistemic, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(prediction.variance, epistemic + variances.mean(axis=0), rtol=1e-5)
    assert prediction.deterministic_variance.shape == (5, 2)


def test_gaussian_outputs_that_do_not_fit_are_refused():
    odd = model_with(layers.Dense(3))
    with pytest.raises(ModelError, match="odd"):
        resolve(odd, Asked("gaussian"), 0)
    with pytest.raises(ModelError, match="two outputs"):
        resolve(several(), Asked("gaussian"), {"kind": 0, "age": 0, "alive": 0})
    by_name = {"kind": "gaussian", "age": "regression", "alive": "binary"}
    with pytest.raises(ModelError, match="odd"):
        resolve(several(), Asked(by_name), {"kind": 0, "age": 0, "alive": 0})
    negative = OutputTask("", "gaussian", (0, 1), gaussian_scale="variance")
    with pytest.raises(DataError, match="negative"):
        negative.read([np.zeros((2, 1)), np.full((2, 1), -1.0)], batch_axes=1)


@pytest.mark.parametrize("loss", ["mse", "mae", "hinge", "poisson", "kl_divergence", "huber"])
@pytest.mark.parametrize("units", [1, 4])
def test_a_sigmoid_that_learnt_no_classes_is_asked_about(loss, units):
    model = model_with(layers.Dense(units, activation="sigmoid"), loss=loss)
    with pytest.raises(ModelError, match="ambiguous"):
        only(model)
    assert only(model, "regression").task == "regression"


@pytest.mark.parametrize("task", [None, "classification", "binary", "regression"])
def test_a_softmax_over_one_unit_is_refused(task):
    model = model_with(layers.Dense(1, activation="softmax"), loss="binary_crossentropy")
    with pytest.raises(ModelError, match="single class"):
        only(model, task)


def test_one_class_is_refused_where_only_the_values_show_it():
    class OneClass(keras.Model):
        def __init__(self):
            super().__init__()
            self.dropout, self.dense = layers.Dropout(0.5), layers.Dense(1, activation="sigmoid")

        def call(self, inputs):
            return self.dense(self.dropout(inputs))

    model = OneClass()
    model(X)
    with pytest.raises(ModelError, match="single class"):
        without_xla(mcdrop.MCDropout(model, task="classification")).predict(X, num_samples=2)


@pytest.mark.parametrize(
    ("head", "loss", "task"),
    [
        (layers.Dense(3), "categorical_hinge", "classification"),
        (layers.Dense(3), "mse", "classification"),
        (layers.Dense(1, activation="tanh"), "hinge", "binary"),
        (layers.Dense(4, activation="relu"), None, "multilabel"),
    ],
)
def test_scores_that_are_no_logits_are_not_made_probabilities(head, loss, task):
    with pytest.raises(DataError, match="must hold probabilities"):
        only(model_with(head, loss=loss), task)


def test_two_classes_are_no_binary_output():
    with pytest.raises(ModelError, match="classification"):
        only(model_with(layers.Dense(2, activation="softmax")), "binary")


@pytest.mark.parametrize(
    "loss",
    [
        {"out": "mse"},
        {"another key": "mse"},
        ["mse"],
        losses.MeanSquaredError(name="binary_crossentropy"),
        "MeanSquaredError",
    ],
)
def test_a_loss_is_found_however_it_was_given(loss):
    assert only(model_with(layers.Dense(1, name="out"), loss=loss)).task == "regression"


def test_losses_of_nested_outputs_and_of_layers():
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.5)(inputs)
    heads = [layers.Dense(1, name="low")(hidden), layers.Dense(2, name="high")(hidden)]
    nested = keras.Model(inputs, {"a": {"b": heads[0]}, "c": heads[1]})
    nested.compile(loss={"a": {"b": "mae"}, "c": "mse"})
    tasks = {o.name: o.task for o in resolve(nested, Asked(), {"a": {"b": 0}, "c": 0})}
    assert tasks == {"a/b": "regression", "c": "regression"}
    listed = keras.Model(inputs, heads)
    listed.compile(loss={"low": "mse", "high": None})
    with pytest.raises(ModelError, match="'high'"):
        resolve(listed, Asked(), [0, 0])


def test_only_the_task_of_the_chosen_output_is_needed():
    model = several()
    mc = without_xla(mcdrop.MCDropout(model, output="kind"))
    prediction = mc.predict(X, num_samples=3)
    assert (prediction.task, prediction.mean.shape) == ("classification", (5, 3))
    assert mc.output_names == ("age", "alive", "kind")
    for task in ("regression", {"age": "regression"}):
        alone = without_xla(mcdrop.MCDropout(model, output="age", task=task))
        assert alone.predict(X, num_samples=3).task == "regression"
    with pytest.raises(ModelError, match="'age'"):
        without_xla(mcdrop.MCDropout(model)).predict(X, num_samples=3)
    with pytest.raises(DataError, match="expected one of age, alive, kind"):
        without_xla(mcdrop.MCDropout(model, output="weight")).predict(X, num_samples=3)
    single = without_xla(mcdrop.MCDropout(model_with(layers.Dense(3, "softmax")), output="dense"))
    with pytest.raises(DataError, match="single output"):
        single.predict(X, num_samples=3)


def segmenter(end):
    """Returns a model of channels-first images, and of what `end` makes of its 5 classes."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 5, 6))
    hidden = layers.SpatialDropout2D(0.3)(layers.Permute((2, 3, 1))(inputs))
    return keras.Model(inputs, end(layers.Permute((3, 1, 2))(layers.Conv2D(5, 1)(hidden))))


IMAGES = np.random.default_rng(1).random((4, 3, 5, 6)).astype(np.float32)


@pytest.mark.parametrize("where", ["loss", "layer", "operation", "cast", "nested"])
def test_classes_in_front_are_moved_to_the_last_place(where):
    ends = {
        "loss": lambda logits: logits,
        "layer": layers.Softmax(axis=1),
        "operation": lambda logits: ops.softmax(logits, axis=-3),
        "cast": lambda x: layers.Activation("linear", dtype="float32")(layers.Softmax(axis=1)(x)),
        "nested": segmenter_of_logits(),
    }
    model = segmenter(ends[where])
    logits = segmenter(ends["loss"])
    logits.set_weights(model.get_weights())
    if where == "loss":
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, axis=1)
        model.compile(loss=loss)
    mc = without_xla(mcdrop.MCDropout(model))
    prediction = mc.predict(IMAGES, num_samples=3, keep_samples=True)
    expected = special.softmax(np.asarray(logits(IMAGES), np.float64), axis=1)
    np.testing.assert_allclose(
        prediction.deterministic, np.moveaxis(expected, 1, -1), rtol=1e-5, atol=1e-7
    )
    passes = np.moveaxis(mc.sample(IMAGES, num_samples=3), 2, -1)
    passes = special.softmax(passes.astype(np.float64), axis=-1) if where == "loss" else passes
    np.testing.assert_allclose(prediction.samples, passes, rtol=1e-5)


def segmenter_of_logits():
    """Returns a model that ends in a softmax on axis 1, to be nested in another."""
    inputs = keras.Input((5, 5, 6))
    return keras.Model(inputs, layers.Softmax(axis=1)(inputs))


def test_classes_without_an_axis_are_refused():
    ends = {
        "no single axis": layers.Softmax(axis=(1, 2)),
        "the examples": layers.Softmax(axis=0),
    }
    for words, end in ends.items():
        with pytest.raises(ModelError, match=words):
            only(segmenter(end))
    merged = model_with(layers.Dense(6, activation="softmax"), layers.Reshape((2, 3)))
    with pytest.raises(ModelError, match="no single axis"):
        only(merged)
    silent = segmenter(lambda logits: logits)
    with pytest.raises(ModelError, match="nothing says which axis"):
        only(silent, "classification")
    silent.compile(loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ModelError, match="axis 1, by the last layer, or on axis 3"):
        only(silent)
    both = segmenter(layers.Softmax(axis=1))
    both.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ModelError, match="axis 1, by the softmax, or on axis 3"):
        only(both)
    assert only(both, "classification").axis == 1


def gaussian_head(end, *, together=True):
    """Returns a Gaussian model whose scale is what `end` makes of a hidden layer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.5)(layers.Dense(6)(inputs))
    parts = [layers.Dense(1, name="center")(hidden), end(hidden)]
    return keras.Model(inputs, layers.Concatenate()(parts) if together else parts)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "end",
    [
        layers.Dense(1, activation="softplus"),
        layers.Dense(1, activation="exponential"),
        layers.Dense(1, activation="relu"),
        lambda hidden: ops.softplus(layers.Dense(1)(hidden)) + 1e-6,
        lambda hidden: ops.exp(layers.Dense(1)(hidden)),
        layers.Lambda(lambda hidden: hidden[:, :1], output_shape=(1,)),
        layers.Dense(1, name="log_sigma"),
    ],
)
def test_a_scale_that_the_activation_does_not_say_is_asked_for(end, together):
    model = gaussian_head(end, together=together)
    structure = 0 if together else [0, 0]
    with pytest.raises(ModelError, match=r"log_variance.*variance.*standard_deviation"):
        resolve(model, Asked("gaussian"), structure)
    (output,) = resolve(model, Asked("gaussian", "standard_deviation"), structure)
    assert output.gaussian_scale == "standard_deviation"


@pytest.mark.parametrize("scale", ["log_variance", "variance", "standard_deviation"])
@pytest.mark.parametrize("together", [True, False])
def test_the_scale_is_read_as_the_user_says(scale, together, tmp_path):
    model = gaussian_head(layers.Dense(1, activation="softplus"), together=together)
    outputs = model(X)
    raw = np.asarray(outputs[:, 1:] if together else outputs[1], np.float64)
    variance = {"log_variance": np.exp(raw), "variance": raw, "standard_deviation": raw**2}[scale]
    mc = without_xla(mcdrop.MCDropout(model, task="gaussian", gaussian_scale=scale))
    prediction = mc.predict(X, num_samples=2)
    np.testing.assert_allclose(prediction.deterministic_variance, variance, rtol=1e-5)
    prediction.save(tmp_path / "p.npz")
    assert mcdrop.Prediction.load(tmp_path / "p.npz").gaussian_scale == scale


def test_the_mean_is_found_by_the_names_of_the_outputs():
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.5)(inputs)
    first, second = layers.Dense(1, name="first")(hidden), layers.Dense(1, name="second")(hidden)
    by_name = keras.Model(inputs, {"mu": first, "log_variance": second})
    assert resolve(by_name, Asked("gaussian"), {"log_variance": 0, "mu": 0})[0].outputs == (1, 0)
    # Sorted by their keys, the logarithm comes first.
    by_name = keras.Model(inputs, {"mu": first, "log_sigma": second})
    (output,) = resolve(by_name, Asked("gaussian", "variance"), {"log_sigma": 0, "mu": 0})
    assert output.outputs == (1, 0)
    unnamed = keras.Model(inputs, {"a": first, "b": second})
    with pytest.raises(ModelError, match="which of the outputs"):
        resolve(unnamed, Asked("gaussian"), {"a": 0, "b": 0})
    listed = keras.Model(inputs, [first, second])
    assert resolve(listed, Asked("gaussian"), [0, 0])[0].outputs == (0, 1)


def test_a_scale_without_a_gaussian_task_is_refused():
    with pytest.raises(DataError, match="gaussian_scale"):
        resolve(model_with(layers.Dense(2), loss="mse"), Asked(None, "variance"), 0)
    with pytest.raises(DataError, match="gaussian_scale"):
        mcdrop.MCDropout(model_with(layers.Dense(2)), gaussian_scale="sigma")
