"""Custom stochastic layers: registered ones sample, everything inside them stays in inference."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import mcdrop
from mcdrop.cli import main
from mcdrop.cli.work import import_module
from mcdrop.engine.masks import Bernoulli, Rows, keep_mask
from mcdrop.errors import ModelError, ModelWarning

from .harness import Snapshot, check_same_distribution, run_inference, without_xla
from .models import numbers

X = numbers(6)()


class ConcreteDropout(layers.Layer):
    """Relaxed dropout with a learned rate, Gal, Hron & Kendall (2017), arXiv:1705.07832."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(3)

    def build(self, shape):
        self.logit = self.add_weight(shape=(), initializer="zeros")

    def call(self, inputs, training=None):
        if not training:
            return inputs
        rate = ops.sigmoid(self.logit)
        noise = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        score = ops.log(rate) - ops.log(1 - rate) + ops.log(noise) - ops.log(1 - noise)
        return inputs * (1 - ops.sigmoid(score / 0.1)) / (1 - rate)


class DropConnect(layers.Dense):
    """A Dense layer that drops weights, Wan et al. (2013): one mask a pass for all examples."""

    rate = 0.25

    def call(self, inputs, training=False):
        kernel = self.kernel
        if training:
            kernel = keras.random.dropout(kernel, self.rate)
        return inputs @ kernel + self.bias


class NoisyBlock(layers.Layer):
    """A composite that is random itself, with layers inside that must not train."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm = layers.BatchNormalization()
        self.flip = layers.GaussianNoise(0.9)
        self.spectral = layers.SpectralNormalization(layers.Dense(4))
        self.seed_generator = keras.random.SeedGenerator(5)

    def build(self, shape):
        self.norm.build(shape)
        self.spectral.build(shape)
        self.built = True

    def call(self, inputs, training=False):
        hidden = self.norm(inputs, training=training)
        hidden = self.spectral(self.flip(hidden, training=training), training=training)
        if training:
            hidden = keras.random.dropout(hidden, 0.5, seed=self.seed_generator)
        return hidden


class ConstantSeed(layers.Layer):
    """A layer that Keras itself gives the same mask in every call."""

    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, 0.5, seed=7) if training else inputs


class EveryDraw(layers.Layer):
    """A layer that draws from all distributions that can be made reproducible."""

    def call(self, inputs, training=False):
        if not training:
            return ops.concatenate([inputs[:, :1] * 0.0] * 5, axis=1)
        shape = (ops.shape(inputs)[0], 1)
        draws = [
            keras.random.uniform(shape, -1.0, 3.0),
            keras.random.normal(shape, 2.0, 0.5),
            keras.random.truncated_normal(shape, 1.0, 2.0),
            ops.cast(keras.random.randint(shape, 2, 5), "float32"),
            ops.cast(
                keras.random.categorical(ops.log([[0.2, 0.5, 0.3]]) + 0.0 * inputs[:, :1], 1),
                "float32",
            ),
        ]
        return ops.concatenate(draws, axis=1)


class Shuffles(layers.Layer):
    def call(self, inputs, training=False):
        return keras.random.shuffle(inputs, axis=1) if training else inputs


for layer_class in (ConcreteDropout, DropConnect, NoisyBlock, ConstantSeed, EveryDraw, Shuffles):
    mcdrop.register(layer_class)


def model_of(*stack, width=6):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((width,)), *stack])


def sample(model, count=1000, x=X, **options):
    mc = without_xla(mcdrop.MCDropout(model, **options))
    return mc.sample(x, num_samples=count, seed=3)


def train(model, count=1000, x=X):
    """Returns passes in Keras's training mode, one call each."""
    return np.stack([np.asarray(model(x, training=True)) for _ in range(count)])


def test_concrete_dropout_samples_as_in_training():
    model = model_of(ConcreteDropout(), layers.Dense(3))
    snapshot = Snapshot(model)
    passes = sample(model)
    snapshot.check()
    repeated = np.asarray(model(np.concatenate([X] * 1000), training=True))
    check_same_distribution(passes, repeated.reshape(1000, *passes.shape[1:]), 1e-5)
    assert not np.array_equal(passes[:, 0], passes[:, 1])


def test_dropped_weights_are_one_network_a_pass():
    """Recomputed by hand: the mask of pass t, over the weights, for all examples."""
    model = model_of(DropConnect(4), layers.Dense(2))
    passes = sample(model, 18)
    kernel, bias = model.layers[0].get_weights()
    head, head_bias = model.layers[1].get_weights()
    scale = 1 - Bernoulli.of_rate(0.25).rate
    for number in range(18):
        rows = Rows(
            tf.constant([3, 0], tf.uint32),
            tf.constant([0], tf.uint32),
            tf.constant([number], tf.uint32),
            one_pass=True,
            compiled=False,
        )
        keep = keep_mask(0.25, kernel.size, 0, rows).numpy().reshape(kernel.shape)
        expected = (X @ (kernel * keep / scale) + bias) @ head + head_bias
        np.testing.assert_allclose(passes[number], expected, rtol=1e-5, atol=1e-5)


def test_dropped_weights_beside_dropped_units_are_distributed_as_in_training():
    model = model_of(DropConnect(4), layers.Dropout(0.3), layers.Dense(2))
    snapshot = Snapshot(model)
    passes = sample(model)
    snapshot.check()
    check_same_distribution(passes, train(model, 400), 1e-5)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_dropped_weights_do_not_depend_on_the_batch_size(batch_size):
    model = model_of(DropConnect(4), layers.Dropout(0.3), layers.Dense(2))
    mc = without_xla(mcdrop.MCDropout(model))
    whole = mc.sample(X, num_samples=6)
    parts = mc.sample(X, num_samples=6, batch_size=batch_size)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mc.sample(X, num_samples=3), whole[:3], rtol=1e-5, atol=1e-6)


def test_balanced_masks_with_noise_on_weights_are_refused():
    """Noise for no example takes one pass at a time, and balancing needs all of them."""
    model = model_of(DropConnect(4), layers.Dropout(0.3), layers.Dense(2))
    with pytest.raises(ModelError, match="balanced"):
        sample(model, 6, balanced=True)


def test_layers_inside_a_registered_one_stay_in_inference():
    """Its own dropout is random; norm, noise and spectral norm give what they give in inference."""
    model = model_of(NoisyBlock())
    block = model.layers[0]
    block.norm.moving_mean.assign([0.5] * 6)
    (inference,) = run_inference(model, X)
    snapshot = Snapshot(model)
    passes = sample(model, 64)
    snapshot.check()
    doubled = np.where(passes == 0, 0, inference * 2)
    np.testing.assert_allclose(passes, np.broadcast_to(doubled, passes.shape), rtol=1e-5)
    assert 0.4 < (passes == 0).mean() < 0.6


def test_a_layer_inside_a_registered_one_samples_when_it_is_chosen_too():
    model = model_of(NoisyBlock())
    (inference,) = run_inference(model, X)
    passes = sample(model, 32, layers=["custom", "noise"])
    kept = np.abs(passes[passes != 0])
    assert len(np.unique(kept.round(4))) > 100
    assert not np.allclose(passes, np.where(passes == 0, 0, 2 * inference))
    alone = sample(model, 32, layers=["noise"])
    assert (alone != 0).all()


def test_a_constant_seed_gives_other_masks_in_every_pass():
    model = model_of(ConstantSeed(), layers.Dense(2))
    assert train(model, 3).std(axis=0).max() < 1e-6  # what Keras makes of it
    assert sample(model, 20).std(axis=0).min() > 0


def test_every_distribution_of_keras_random_is_drawn_from():
    model = model_of(EveryDraw())
    passes = sample(model)
    theirs = np.asarray(model(np.concatenate([X] * 1000), training=True)).reshape(1000, 3, 5)
    check_same_distribution(passes, theirs, 1e-6)
    uniform, normal, truncated, whole, category = np.moveaxis(passes, -1, 0)
    assert -1 < uniform.min() < -0.9
    assert 2.9 < uniform.max() < 3
    assert normal.std() < truncated.std()
    assert truncated.min() >= -3
    assert truncated.max() <= 5
    assert set(np.unique(whole)) == {2, 3, 4}
    assert set(np.unique(category)) == {0, 1, 2}


class AlwaysShuffles(layers.Layer):
    def call(self, inputs):
        return keras.random.shuffle(inputs, axis=1)


class Holder(keras.Model):
    """A model with a `call` of its own around one layer and a dropout."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.dropout = layer, layers.Dropout(0.5)

    def call(self, inputs):
        return self.dropout(self.layer(inputs))


@keras.saving.register_keras_serializable(package="test_register")
class ShufflingCell(layers.Layer):
    state_size = output_size = 2

    def build(self, shape):
        self.shuffles = Shuffles()

    def call(self, inputs, states, training=False):
        return self.shuffles(inputs), states


def shuffling_models():
    yield "chosen", model_of(Shuffles())
    yield "before the cut", model_of(AlwaysShuffles(), layers.Dropout(0.5))
    yield "nested", model_of(model_of(Shuffles(), layers.Dense(2)), layers.Dropout(0.5))
    yield "lambda", model_of(layers.Lambda(lambda x: keras.random.shuffle(x)), layers.Dropout(0.5))
    for name, layer in (("subclassed", Shuffles()), ("subclassed, always", AlwaysShuffles())):
        model = Holder(layer)
        model(X)
        yield name, model
    reshape = layers.Reshape((3, 2))
    dense = keras.Sequential([layers.Dense(2), AlwaysShuffles(), layers.Dropout(0.5)])
    yield "time distributed", model_of(reshape, layers.TimeDistributed(dense))
    both = layers.Bidirectional(layers.RNN(ShufflingCell()))
    yield "recurrent", model_of(reshape, both, layers.Dropout(0.5))


SHUFFLING = dict(shuffling_models())


@pytest.mark.parametrize("name", SHUFFLING)
def test_a_draw_that_cannot_be_reproduced_is_refused_in_one_sentence(name):
    """Keras wraps what a layer raises in lines about the call, with codes for colours."""
    with pytest.raises(ModelError) as caught:
        sample(SHUFFLING[name], 2)
    assert str(caught.value).startswith("The model draws from keras.random.shuffle, which mcdrop")
    assert str(caught.value).endswith("in it.")
    assert "\n" not in str(caught.value)


def test_an_export_refuses_it_in_one_sentence_too(tmp_path):
    with pytest.raises(ModelError, match=r"^The model draws from keras\.random\.shuffle.*in it\.$"):
        mcdrop.MCDropout(SHUFFLING["chosen"], task="regression").export(tmp_path / "exported")
    assert not list(tmp_path.iterdir())


def test_an_export_of_a_model_that_fails_says_why_in_one_line(tmp_path):
    class CannotTrain(layers.Layer):
        def call(self, inputs, training=False):
            if training:
                raise ValueError("cannot train")
            return inputs

    mcdrop.register(CannotTrain)
    model = model_of(layers.Dropout(0.5), CannotTrain())
    with pytest.raises(ModelError, match=r"^The model fails while it is traced: cannot train$"):
        mcdrop.MCDropout(model, task="regression").export(tmp_path / "exported")


def test_the_command_line_refuses_it_in_one_line(tmp_path, capsys):
    (tmp_path / "shuffling.py").write_text(
        "import keras, mcdrop\n"
        "@keras.saving.register_keras_serializable()\n"
        "class ShufflesRows(keras.layers.Layer):\n"
        "    def call(self, inputs, training=False):\n"
        "        return keras.random.shuffle(inputs) if training else inputs\n"
        "mcdrop.register(ShufflesRows)\n"
    )
    import_module(str(tmp_path / "shuffling.py"))
    shuffles = keras.saving.get_registered_object("Custom>ShufflesRows")
    model_of(shuffles()).save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    files = [str(tmp_path / name) for name in ("model.keras", "x.npy", "out.npz")]
    status = main(["predict", *files[:2], "--task", "regression", "--output", files[2]])
    assert status == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mcdrop: error: The model draws from keras.random.shuffle")
    assert "\x1b" not in line


def test_noise_that_cannot_be_made_reproducible_and_that_nothing_reads_is_no_error():
    class Unread(layers.Layer):
        def call(self, inputs):
            keras.random.beta((3,), 1.0, 1.0)
            keras.random.shuffle(inputs)
            return inputs

    assert sample(model_of(Unread(), layers.Dropout(0.5)), 8).std() > 0


def test_a_registered_layer_takes_the_kind_it_is_given():
    class Stochastic(layers.Layer):
        rate = 0.2

        def call(self, inputs, training=False):
            return keras.random.dropout(inputs, self.rate) if training else inputs

    mcdrop.register(Stochastic, kind="drop_path")
    model = model_of(Stochastic(), layers.Dropout(0.5))
    first, second = mcdrop.MCDropout(model).stochastic_layers
    assert (first.kind, first.rate, first.selected) == ("drop_path", 0.2, False)
    assert second.selected
    assert mcdrop.MCDropout(model, layers=["drop_path"]).stochastic_layers[0].selected


def test_a_subclass_of_a_registered_layer_is_registered_too():
    class Wider(DropConnect):
        pass

    assert mcdrop.MCDropout(model_of(Wider(3))).stochastic_layers[0].kind == "custom"


class Sampler(layers.Layer):
    """Random whether or not it trains, as the sampling layer of a variational autoencoder."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, inputs):
        noise = keras.random.normal(ops.shape(inputs), seed=self.seed_generator)
        return inputs + 2.0 * noise


def test_an_always_random_layer_before_the_dropout_runs_in_every_pass_and_is_reported():
    inputs = keras.Input((6,))
    drawn = Sampler(name="latent")(layers.Dense(6)(inputs))
    model = keras.Model(inputs, [drawn, layers.Dropout(0.5)(drawn)])
    expected = np.asarray(model.layers[1](X))
    snapshot = Snapshot(model)
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    with pytest.warns(ModelWarning, match="Random in every pass.*latent"):
        predictions = list(mc.predict(X, num_samples=1000, keep_samples=True).values())
    snapshot.check()
    latent, dropped = (prediction.samples for prediction in predictions)
    # Its mean stands for it where dropout is off.
    np.testing.assert_allclose(predictions[0].deterministic, expected, rtol=1e-5)
    np.testing.assert_allclose(predictions[1].deterministic, expected, rtol=1e-5)
    generator = np.random.default_rng(0)
    theirs = expected + 2 * generator.normal(size=latent.shape)
    check_same_distribution(latent, theirs, 1e-5)
    # The dropout dropped this very draw, not another one.
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * latent[kept], rtol=1e-5)
    np.testing.assert_allclose(
        mc.sample(X, num_samples=4, batch_size=1)[0],
        mc.sample(X, num_samples=9)[0][:4],
        rtol=1e-5,
        atol=1e-6,
    )


def test_an_always_random_layer_inside_a_subclassed_model_is_reported():
    class Autoencoder(keras.Model):
        def __init__(self):
            super().__init__(name="autoencoder")
            self.sampler, self.dropout = Sampler(), layers.Dropout(0.5)

        def call(self, inputs):
            return self.dropout(self.sampler(inputs))

    model = Autoencoder()
    model(X)
    with pytest.warns(ModelWarning, match="Random in every pass.*: sampler"):
        passes = sample(model, 16)
    assert len(np.unique(np.abs(passes[passes != 0]).round(4))) > 50


def test_random_operations_of_tensorflow_are_found_and_warned_of():
    inputs = keras.Input((6,))
    noisy = layers.Lambda(lambda x: tf.nn.dropout(x, 0.5), name="raw")(layers.Dense(6)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Dropout(0.5)(noisy)))
    with pytest.warns(ModelWarning, match=r"RandomUniform.*not be reproducible"):
        passes = sample(model, 64)
    # It too runs in every pass, not once before them.
    only_raw = keras.Model(inputs, [noisy, layers.Dropout(0.5)(inputs)])
    with pytest.warns(ModelWarning, match="RandomUniform"):
        raw, _ = sample(only_raw, 64)
    assert passes.std(axis=0).min() > 0
    assert raw.std(axis=0).min() > 0


def test_a_model_that_changes_its_variables_in_inference_is_refused():
    class Counts(layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.raw = tf.Variable(0.0)

        def call(self, inputs):
            self.raw.assign_add(1.0)
            return inputs

    model = model_of(Counts(), layers.Dropout(0.5))
    before = model.layers[0].raw.numpy()
    with pytest.raises(ModelError, match="Assign"):
        sample(model, 2)
    assert model.layers[0].raw.numpy() == before


def test_updates_of_keras_variables_in_inference_do_not_reach_the_model():
    class Counts(layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs):
            self.count.assign_add(1.0)
            return inputs

    model = model_of(Counts(), layers.Dropout(0.5))
    snapshot = Snapshot(model)
    assert sample(model, 8).std() > 0
    snapshot.check()


class Gated(keras.Model):
    """A model whose own `call` drops only in training, beside layers that must not train."""

    def __init__(self):
        super().__init__(name="gated")
        self.norm, self.head = layers.BatchNormalization(), layers.Dense(2)

    def call(self, inputs, training=None):
        hidden = self.norm(inputs, training=training)
        if training:
            hidden = keras.random.dropout(hidden, 0.5)
        return self.head(hidden)


def gated(model_class, **options):
    keras.utils.set_random_seed(0)
    model = model_class(**options)
    model(X)
    return model


def test_a_model_that_drops_in_its_own_call_samples_when_its_class_is_registered():
    class Registered(Gated):
        pass

    model = gated(Registered)
    with pytest.raises(ModelError, match=r"register.*the model's own"):
        mcdrop.MCDropout(model)
    mcdrop.register(Registered)
    (inference,) = run_inference(model, X)
    snapshot = Snapshot(model)
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    passes = mc.sample(X, num_samples=1000, seed=3)
    snapshot.check()
    assert [(layer.path, layer.kind) for layer in mc.stochastic_layers] == [("gated", "custom")]
    np.testing.assert_allclose(mc.predict(X, num_samples=2).deterministic, inference, rtol=1e-6)
    kernel, bias = model.head.get_weights()
    masks = np.random.default_rng(0).integers(0, 2, (1000, *X.shape)) * 2.0
    hidden = np.asarray(model.norm(X, training=False))
    check_same_distribution(passes, (hidden * masks) @ kernel + bias, 1e-5)
    np.testing.assert_array_equal(mc.sample(X, num_samples=5, seed=3, batch_size=1), passes[:5])


def test_a_dropout_layer_that_the_model_calls_only_in_training_samples_too():
    class CallsOnlyInTraining(Gated):
        def __init__(self):
            super().__init__()
            self.drop = layers.Dropout(0.5)

        def call(self, inputs, training=None):
            hidden = self.norm(inputs, training=training)
            return self.head(self.drop(hidden, training=True) if training else hidden)

    model = gated(CallsOnlyInTraining)
    with pytest.raises(ModelError, match=r"None of the selected.*the model itself"):
        sample(model, 4)
    mcdrop.register(CallsOnlyInTraining)
    assert sample(model, 8).std(axis=0).min() > 0
    kinds = [layer.kind for layer in mcdrop.MCDropout(model).stochastic_layers]
    assert kinds == ["dropout", "custom"]


def test_a_model_that_drops_with_tensorflow_samples_with_a_warning():
    class Raw(Gated):
        def call(self, inputs, training=None):
            hidden = self.norm(inputs, training=training)
            return self.head(tf.nn.dropout(hidden, 0.5) if training else hidden)

    mcdrop.register(Raw)
    with pytest.warns(ModelWarning, match="not be reproducible"):
        passes = sample(gated(Raw), 16)
    assert passes.std(axis=0).min() > 0


def test_a_registered_class_that_draws_nothing_is_refused():
    class Idle(layers.Layer):
        def call(self, inputs, training=False):
            return inputs

    mcdrop.register(Idle)
    with pytest.raises(ModelError, match=r"drew no noise.*idle"):
        sample(model_of(Idle()), 2)


def test_registering_a_model_does_not_change_the_masks_of_its_layers():
    class Plain(Holder):
        pass

    model = gated(Plain, layer=layers.Dense(2))
    before = sample(model, 4)
    mcdrop.register(Plain)
    np.testing.assert_array_equal(sample(model, 4), before)
