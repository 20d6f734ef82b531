"""Random layers of unknown classes are found, by their seeds or their code, and listed."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops, random
from keras.src.applications.convnext import ConvNeXt

import mcdrop
from mcdrop.engine.audit import find_leaves
from mcdrop.errors import DataError, ModelError

from .harness import check_same_distribution, without_xla

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


class Seeded(layers.Layer):
    def __init__(self, rate=0.3, **settings):
        super().__init__(**settings)
        self.rate = rate
        self.seed_generator = random.SeedGenerator(1)

    def call(self, inputs, training=False):
        return random.dropout(inputs, self.rate, seed=self.seed_generator) if training else inputs


class InList(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.seeds = [random.SeedGenerator(1)]

    def call(self, inputs, training=False):
        return random.dropout(inputs, 0.3, seed=self.seeds[0]) if training else inputs


class GlobalSeed(layers.Layer):
    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, 0.3) if training else inputs


def drop(inputs):
    return keras.random.dropout(inputs, 0.3)


class ThroughFunction(layers.Layer):
    def call(self, inputs, training=False):
        return drop(inputs) if training else inputs


class ThroughMethod(layers.Layer):
    def call(self, inputs, training=False):
        return self._drop(inputs) if training else inputs

    def _drop(self, inputs):
        return (lambda values: keras.random.dropout(values, 0.3))(inputs)


class OfTensorFlow(layers.Layer):
    def call(self, inputs, training=False):
        return tf.nn.dropout(inputs, 0.3) if training else inputs


class DropPath(layers.Layer):
    """As Keras's examples write it."""

    def __init__(self, drop_prob, **settings):
        super().__init__(**settings)
        self.drop_prob = drop_prob
        self.seed_generator = random.SeedGenerator(3)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        keep = 1 - self.drop_prob
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        return inputs / keep * ops.floor(keep + random.uniform(shape, seed=self.seed_generator))


class AlwaysOn(layers.Layer):
    def call(self, inputs):
        return inputs + keras.random.normal(ops.shape(inputs))


class Quiet(layers.Layer):
    """Draws nothing when it is called."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="random_normal")
        self.start = keras.random.normal((3,), seed=0)

    def call(self, inputs, training=False):
        return inputs * self.scale


def model_with(*found, end=layers.Dense):
    keras.utils.set_random_seed(0)
    inputs = outputs = keras.Input((4,))
    for layer in (layers.Dropout(0.5), *found, end(3, activation="softmax")):
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def listed(model, layers=None):
    leaves = find_leaves(model, layers)
    return {leaf.info.path: (leaf.info.kind, leaf.info.selected) for leaf in leaves}


@pytest.mark.parametrize(
    "layer_class",
    [Seeded, InList, GlobalSeed, ThroughFunction, ThroughMethod, OfTensorFlow],
)
def test_a_random_layer_of_unknown_class_is_listed_and_told_how_to_sample(layer_class):
    model = model_with(layer_class(name="mine"))
    assert list(listed(model).values()) == [("dropout", True), ("unregistered", False)]
    reason = mcdrop.MCDropout(model).stochastic_layers[-1].reason
    assert "name it in `layers`" in reason
    assert "mcdrop.register" in reason
    assert listed(model, ["mine"])["mine"] == ("unregistered", True)
    assert listed(model, ["unregistered"])["mine"] == ("unregistered", True)


def test_a_layer_that_draws_nothing_is_not_listed():
    assert "quiet" not in listed(model_with(Quiet(name="quiet")))


def test_a_model_of_unknown_random_layers_alone_says_what_to_do():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(Seeded(name="mine")(inputs)))
    with pytest.raises(ModelError, match=r"mine.*name it in `layers`, or mcdrop\.register"):
        mcdrop.MCDropout(model)


def test_masks_of_known_layers_do_not_depend_on_unknown_ones():
    with_unknown = model_with(Seeded(name="mine"))
    without = model_with()
    without.set_weights(with_unknown.get_weights())
    ours = [
        without_xla(mcdrop.MCDropout(m)).sample(X, num_samples=5) for m in (with_unknown, without)
    ]
    np.testing.assert_allclose(ours[0], ours[1], rtol=1e-6)


def test_what_cannot_be_chosen_is_listed_as_it_is():
    inputs = keras.Input((8, 8, 3))
    hidden = layers.Flatten()(layers.RandomFlip(name="flip")(inputs))
    hidden = AlwaysOn(name="noise")(layers.Dropout(0.5, name="drop")(hidden))
    steps = layers.Reshape((12, 16))(hidden)
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(3, name="lstm")(steps)))
    assert listed(model) == {
        "drop": ("dropout", True),
        "flip": ("augmentation", False),
        "noise": ("always_on", False),
    }
    text = mcdrop.MCDropout(model, task="regression").summary()
    assert [line.split()[3] for line in text.splitlines()[-3:]] == ["yes", "no", "always"]
    assert "1 of 1 stochastic layers sample" in text
    for name in ("flip", "noise"):
        with pytest.raises(DataError, match=f"{name}.*cannot be chosen"):
            mcdrop.MCDropout(model, layers=["drop", name])


@pytest.mark.parametrize(
    "layer", [Seeded(name="mine"), GlobalSeed(name="mine"), DropPath(0.4, name="mine")]
)
def test_a_chosen_layer_samples_as_in_training(layer):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(layer(inputs)))
    ours = without_xla(mcdrop.MCDropout(model, layers=["mine"])).sample(X, num_samples=400)
    theirs = np.stack([np.asarray(model(X, training=True)) for _ in range(400)])
    check_same_distribution(ours, theirs, 1e-5)


def convnext():
    keras.utils.set_random_seed(0)
    model = ConvNeXt(
        depths=[1, 1, 1, 1],
        projection_dims=[4, 8, 8, 8],
        drop_path_rate=0.5,
        include_top=False,
        pooling="avg",
        weights=None,
        input_shape=(32, 32, 3),
        name="convnext",
    )
    # Branches start with a scale of 1e-6, at which dropping them would change nothing.
    for weight in model.weights:
        if 0 < float(np.abs(weight).max()) < 1e-4:
            weight.assign(np.ones(weight.shape))
    return model


def test_stochastic_depth_of_keras_applications_is_a_drop_path():
    model = convnext()
    with pytest.raises(ModelError, match=r"stochastic_depth.*opt in with layers"):
        mcdrop.MCDropout(model)
    mc = without_xla(mcdrop.MCDropout(model, layers=["drop_path"]))
    found = [(layer.kind, round(layer.rate, 3), layer.selected) for layer in mc.stochastic_layers]
    assert found == [("drop_path", rate, True) for rate in (0.167, 0.333, 0.5)]
    images = np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32) * 255
    ours = mc.sample(images, num_samples=200)
    theirs = np.stack([np.asarray(model(images, training=True)) for _ in range(200)])
    check_same_distribution(ours, theirs, 1e-4)
    assert ours.std(axis=0).max() > 1e-2


def augmentations():
    """Returns one of each of Keras's own layers that augment images, as the installed Keras has."""
    given = {"factor": 0.5, "value_range": (0, 255), "height": 8, "width": 8}
    given |= {"height_factor": 0.2, "width_factor": 0.2}
    found = []
    for name in sorted(vars(layers)):
        if name.startswith("Random") or name in ("AugMix", "CutMix", "MixUp", "RandAugment"):
            layer_class = getattr(layers, name)
            accepted = inspect.signature(layer_class).parameters
            known = {key: value for key, value in given.items() if key in accepted}
            if name == "RandomPosterization":
                known["factor"] = 3
            found.append(layer_class(**known))
    return found


def test_augmentation_of_keras_stays_in_inference_and_is_no_noise(recwarn):
    """Some draw their factors in inference too, of distributions that mcdrop cannot draw from."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *augmentations(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    assert len(model.layers) > 20
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    mc = without_xla(mcdrop.MCDropout(model))
    prediction = mc.predict(images, num_samples=4)
    assert not [w for w in recwarn if isinstance(w.message, mcdrop.ModelWarning)]
    expected = np.asarray(model(images, training=False))
    np.testing.assert_allclose(prediction.deterministic, expected, atol=1e-6)
    assert "Random in every pass" not in mc.summary()


@pytest.mark.parametrize("name", ["idle", "unread", "all"])
def test_a_chosen_layer_of_which_no_noise_reaches_the_outputs_is_told(name):
    class Idle(layers.Layer):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.seed_generator = random.SeedGenerator(1)

        def call(self, inputs, training=False):
            if self.name == "unread":
                random.normal(ops.shape(inputs))
            return inputs

    found = layers.Dropout(1.0, name="all") if name == "all" else Idle(name=name)
    mc = without_xla(mcdrop.MCDropout(model_with(found), layers=["dropout", name]))
    assert all(layer.selected for layer in mc.stochastic_layers)
    with pytest.warns(mcdrop.ModelWarning, match=f"no noise of theirs reaches the outputs: {name}"):
        mc.sample(X, num_samples=4)
    *_, layer = mc.stochastic_layers
    assert (layer.path, layer.selected) == (name, False)
    assert layer.reason == "selected, but no noise of it reaches the outputs"


def test_the_summary_tells_before_there_is_data():
    model = model_with(layers.Dropout(1.0, name="all"))
    mc = mcdrop.MCDropout(model)
    text = mc.summary()
    assert "1 of 2 stochastic layers sample" in text
    assert "no noise of theirs reaches the outputs: all" in text


def test_when_no_noise_of_any_chosen_layer_reaches_the_outputs_it_is_an_error():
    class Idle(layers.Layer):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.seed_generator = random.SeedGenerator(1)

        def call(self, inputs, training=False):
            return inputs

    mc = without_xla(mcdrop.MCDropout(model_with(Idle(name="idle")), layers=["idle"]))
    with pytest.raises(ModelError, match=r"no noise that reaches the outputs.*idle"):
        mc.sample(X, num_samples=4)
