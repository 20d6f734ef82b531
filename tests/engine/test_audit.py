"""What is found in a model, what is selected of it, and what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mcdrop
from mcdrop.engine.audit import DEFAULT_KINDS, find_leaves, register
from mcdrop.errors import DataError, ModelError, ModelWarning

from .harness import Snapshot, without_xla
from .models import CASES, TransformerBlock, numbers


def kinds_model():
    """Returns a model with a layer of most kinds."""
    inputs = keras.Input((4, 6), name="series")
    hidden = layers.Dropout(0.1, name="plain")(inputs)
    hidden = layers.SpatialDropout1D(0.2, name="channels")(hidden)
    hidden = layers.GaussianNoise(0.7, name="blur")(hidden)
    hidden = layers.MultiHeadAttention(2, 3, dropout=0.3, name="heads")(hidden, hidden)
    hidden = layers.AlphaDropout(0.15, name="alpha")(hidden)
    hidden = layers.GaussianDropout(0.25, name="multiply")(hidden)
    hidden = layers.Dropout(0.35, noise_shape=(None, 1, 1), name="branch")(hidden)
    hidden = layers.Dropout(0.45, noise_shape=(None, 1, None), name="steps")(hidden)
    hidden = layers.Dropout(0.0, name="idle")(hidden)
    hidden = layers.GRU(3, dropout=0.5, recurrent_dropout=0.6, name="memory")(hidden)
    return keras.Model(inputs, layers.Dense(2)(hidden), name="zoo")


KINDS = {
    "plain": ("dropout", 0.1, True),
    "channels": ("spatial_dropout", 0.2, True),
    "blur": ("noise", 0.7, False),
    "alpha": ("alpha_dropout", 0.15, True),
    "multiply": ("gaussian_dropout", 0.25, True),
    "branch": ("drop_path", 0.35, False),
    "steps": ("dropout", 0.45, True),
    "idle": ("dropout", 0.0, False),
    "memory": ("rnn", 0.6, True),
}


def found(model, layers=None):
    """Returns the stochastic layers of a model by the last part of their paths."""
    return {leaf.info.path.split("/")[-1]: leaf.info for leaf in find_leaves(model, layers)}


def test_every_kind_is_told_apart_with_its_rate():
    infos = found(kinds_model())
    for name, expected in KINDS.items():
        info = infos.pop(name)
        assert (info.kind, info.rate, info.selected) == expected
    (inner,) = infos.values()  # the dropout inside the attention heads
    assert (inner.kind, inner.rate, inner.selected) == ("attention", 0.3, True)
    assert inner.path.startswith("heads/")


def test_reasons_say_why_a_layer_samples_or_not():
    infos = found(kinds_model())
    assert "opt in" in infos["branch"].reason
    assert "opt in" in infos["blur"].reason
    assert "rate is 0" in infos["idle"].reason
    assert "by default" in infos["plain"].reason
    assert "recurrent_dropout 0.6" in infos["memory"].reason
    named = found(kinds_model(), ["plain"])
    assert "named" in named["plain"].reason
    assert "not named" in named["memory"].reason


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["rnn"], {"memory"}),
        (["drop_path", "noise"], {"branch", "blur"}),
        (["plain", "gaussian_dropout"], {"plain", "multiply"}),
        (lambda info: 0.3 < info.rate < 0.5, {"branch", "steps"}),
        (lambda info: info.path == "memory", {"memory"}),
        ({"dropout"}, {"plain", "steps"}),
    ],
)
def test_layers_are_chosen_by_kind_name_path_or_predicate(chosen, expected):
    infos = found(kinds_model(), chosen)
    assert {name for name, info in infos.items() if info.selected} == expected


def test_the_default_is_every_default_kind():
    model = kinds_model()
    by_default, named = found(model), found(model, DEFAULT_KINDS)
    assert {name for name, info in by_default.items() if info.selected} == {
        name for name, info in named.items() if info.selected
    }


def test_what_samples_by_default_in_keras_applications_is_the_head_alone():
    for name in ("mobilenet", "mobilenet_v3", "efficientnet"):
        infos = found(CASES[name].build())
        selected = [info for info in infos.values() if info.selected]
        assert [info.kind for info in selected] == ["dropout"]
    branches = [info for info in infos.values() if info.kind == "drop_path"]
    assert len(branches) == 9
    assert not any(info.selected for info in branches)
    assert {round(info.rate, 3) for info in branches} >= {0.025, 0.175}
    assert infos["top_dropout"].selected
    assert infos["top_dropout"].rate == 0.2


def test_a_head_that_samples_alone_leaves_nearly_all_work_to_the_part_that_runs_once():
    model = CASES["efficientnet"].build()
    assert mcdrop.MCDropout(model).share_run_once > 0.99
    assert mcdrop.MCDropout(model, layers=["drop_path"]).share_run_once < 0.6


def test_a_layer_that_is_shared_is_listed_once():
    model = CASES["siamese_with_a_shared_model"].build()
    assert len(find_leaves(model, None)) == 1


def test_paths_are_unique_and_lead_to_the_layer():
    for name in ("functional_nested_three_deep", "subclassed_model", "transformer"):
        leaves = find_leaves(CASES[name].build(), None)
        assert len({leaf.info.path for leaf in leaves}) == len(leaves)
        assert all(leaf.info.path.endswith(leaf.layer.name) for leaf in leaves)


def test_numbers_of_layers_are_the_same_in_a_loaded_copy(tmp_path):
    for name in ("transformer", "functional_nested_three_deep"):
        model = CASES[name].build()
        kinds = [(leaf.info.kind, leaf.info.rate) for leaf in find_leaves(model, None)]
        model.save(tmp_path / f"{name}.keras")
        loaded = keras.models.load_model(
            tmp_path / f"{name}.keras", custom_objects={"TransformerBlock": TransformerBlock}
        )
        assert [(leaf.info.kind, leaf.info.rate) for leaf in find_leaves(loaded, None)] == kinds


def test_an_rnn_whose_other_rate_is_one_samples_with_the_one_that_works():
    """Keras ignores a rate of 1 in a cell; what is left is an ordinary recurrent dropout."""
    inputs = keras.Input((4, 3))
    hidden = layers.LSTM(3, dropout=1.0, recurrent_dropout=0.3)(inputs)
    mc = without_xla(mcdrop.MCDropout(keras.Model(inputs, hidden)))
    assert mc.stochastic_layers[0].rate == 0.3
    assert mc.sample(numbers(4, 3)(), num_samples=8).std(axis=0).min() > 0
    with pytest.raises(ModelError, match="no dropout"):
        find_leaves(keras.Model(inputs, layers.LSTM(3, dropout=1.0)(inputs)), None)


def test_a_notebook_shows_the_audit_with_names_escaped():
    layers = [keras.layers.Dropout(0.5, name="drop<b>"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers], name="model<i>")
    shown = mcdrop.MCDropout(model, task="regression")._repr_html_()
    assert "model&lt;i&gt;: 1 of 1 stochastic layers sample." in shown
    assert "<td>drop&lt;b&gt;</td><td>dropout</td><td>0.5</td><td>yes</td>" in shown
    assert "<b>" not in shown


def test_the_summary_names_what_samples_what_does_not_and_what_runs_once():
    model = CASES["augmentation_and_normalizations"].build()
    text = mcdrop.MCDropout(model).summary()
    assert "1 of 2 stochastic layers sample" in text
    assert "opt in with layers=[..., 'noise']" in text
    assert "2 BatchNormalization" in text
    assert "1 RandomFlip" in text
    assert "2 SpectralNormalization" in text
    assert "%" in text
    subclassed = mcdrop.MCDropout(CASES["subclassed_model"].build()).summary()
    assert "About 28.6% of its multiply-accumulates run only once." in subclassed  # 12 of 42


@pytest.mark.parametrize("name", ["lstm", "subclassed_model", "augmentation_and_normalizations"])
def test_the_audit_leaves_the_model_untouched(name):
    model = CASES[name].build()
    snapshot = Snapshot(model)
    mc = mcdrop.MCDropout(model)
    assert mc.summary()
    assert 0 <= mc.share_run_once <= 1
    assert mc.stochastic_layers
    snapshot.check()


def test_a_string_of_layers_is_refused():
    with pytest.raises(DataError, match=r"\['dropout'\]"):
        mcdrop.MCDropout(kinds_model(), layers="dropout")


def test_names_that_the_model_does_not_have_are_refused_with_those_it_has():
    with pytest.raises(DataError, match=r"\['dropuot'\].*memory"):
        mcdrop.MCDropout(kinds_model(), layers=["dropuot"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": "both"}, "`masks`"),
        ({"compute_dtype": "float16"}, "`compute_dtype`"),
        ({"layers": []}, "Nothing in the model would be random"),
        ({"layers": ["idle"]}, "its rate is 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises((DataError, ModelError), match=message):
        mcdrop.MCDropout(kinds_model(), **options)


def test_a_model_without_dropout_is_refused():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.BatchNormalization()])
    with pytest.raises(ModelError, match=r"no dropout.*mcdrop\.register"):
        mcdrop.MCDropout(model)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Dropout(0.0), "its rate is 0"),
        (layers.Dropout(1.0), "Nothing in the model would be random"),
        (layers.GaussianNoise(0.3), "opt in"),
        (layers.Dropout(0.5, noise_shape=(None, 1)), "opt in"),
    ],
)
def test_a_model_in_which_nothing_would_be_random_is_refused(layer, message):
    model = keras.Sequential([keras.Input((3,)), layer, layers.Dense(2)])
    with pytest.raises(ModelError, match=message):
        mcdrop.MCDropout(model)


@pytest.mark.parametrize("layer", [layers.AlphaDropout, layers.GaussianDropout])
def test_a_rate_of_one_where_it_is_not_defined_is_refused(layer):
    model = keras.Sequential([keras.Input((3,)), layer(1.0), layers.Dropout(0.5)])
    with pytest.raises(ModelError, match="rate 1"):
        mcdrop.MCDropout(model)
    alone = without_xla(mcdrop.MCDropout(model, layers=["dropout"]))
    assert alone.sample(numbers(3)(), num_samples=8).std() > 0


class NeverCalled(keras.Model):
    def __init__(self):
        super().__init__()
        self.dropout = layers.Dropout(0.5)

    def call(self, inputs):
        return self.dropout(inputs)


@pytest.mark.parametrize(
    "model",
    [
        keras.Sequential([layers.Dense(2), layers.Dropout(0.5), layers.Dense(1)]),
        NeverCalled(),
    ],
)
def test_an_unbuilt_model_is_refused_and_not_built(model):
    with pytest.raises(ModelError, match=r"not built.*Call it once"):
        mcdrop.MCDropout(model)
    assert not model.built


def test_a_stateful_rnn_is_refused():
    inputs = keras.Input(batch_shape=(2, 4, 3))
    rnn = layers.LSTM(3, dropout=0.5, stateful=True)
    with pytest.raises(ModelError, match="stateful=False"):
        mcdrop.MCDropout(keras.Model(inputs, rnn(inputs)))


def test_a_tf_keras_model_is_refused_with_the_way_out():
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.Sequential(
        [tf_keras.Input((3,)), tf_keras.layers.Dropout(0.5), tf_keras.layers.Dense(2)]
    )
    with pytest.raises(ModelError, match=r"tf_keras.*\.h5"):
        mcdrop.MCDropout(model)


def test_a_saved_model_layer_is_refused_with_the_way_out(tmp_path):
    inner = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), layers.Dense(2)])
    inner.export(tmp_path / "saved", verbose=False)
    frozen = layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dropout(0.5)(frozen(inputs)))
    with pytest.raises(ModelError, match=r"TFSMLayer.*Wrap the Keras model"):
        mcdrop.MCDropout(model)


@pytest.mark.parametrize("thing", ["model.keras", None, lambda x: x, layers.Dropout(0.5)])
def test_what_is_no_model_is_refused(thing):
    with pytest.raises(ModelError, match=r"expected a keras\.Model"):
        mcdrop.MCDropout(thing)


@pytest.mark.parametrize("thing", [layers.Dropout(0.5), "Dropout", dict])
def test_what_is_no_layer_class_cannot_be_registered(thing):
    with pytest.raises(DataError, match="Layer class"):
        register(thing)


def test_a_kind_that_is_not_known_cannot_be_registered():
    class Custom(layers.Layer):
        pass

    with pytest.raises(DataError, match="`kind`"):
        register(Custom, kind="dropuot")


class Gated(layers.Layer):
    """A layer that runs its dropout only if told that it trains."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.dropout = layers.Dropout(rate)

    def call(self, inputs, training=False):
        return self.dropout(inputs, training=training) if training else inputs


class RegisteredGated(Gated):
    """The same, told to mcdrop."""


def gated_model(*extra, layer=Gated):
    return keras.Sequential([keras.Input((6,)), layer(0.5), *extra, layers.Dense(2)])


def test_a_model_whose_only_dropout_is_never_reached_is_refused():
    model = gated_model()
    snapshot = Snapshot(model)
    with pytest.raises(ModelError, match=r"reached.*mcdrop\.register"):
        without_xla(mcdrop.MCDropout(model)).sample(numbers(6)(), num_samples=2)
    snapshot.check()


def test_a_dropout_that_is_never_reached_is_warned_of_and_listed():
    mc = without_xla(mcdrop.MCDropout(gated_model(layers.Dropout(0.3, name="outer"))))
    assert sum(info.selected for info in mc.stochastic_layers) == 2
    with pytest.warns(ModelWarning, match=r"never reached.*gated.*mcdrop\.register"):
        assert mc.sample(numbers(6)(), num_samples=8).std() > 0
    inner, outer = mc.stochastic_layers
    assert not inner.selected
    assert "never reached" in inner.reason
    assert outer.selected


def test_a_gated_dropout_samples_when_the_layer_around_it_is_registered():
    register(RegisteredGated)
    mc = without_xla(mcdrop.MCDropout(gated_model(layer=RegisteredGated)))
    assert [info.kind for info in mc.stochastic_layers] == ["custom", "dropout"]
    assert np.isnan(mc.stochastic_layers[0].rate)
    assert mc.sample(numbers(6)(), num_samples=8).std(axis=0).min() > 0


def test_tensorflow_is_where_the_black_boxes_of_other_frameworks_are_refused():
    class JaxLayer(layers.Layer):
        def call(self, inputs):
            return tf.identity(inputs)

    model = keras.Sequential([keras.Input((3,)), JaxLayer(), layers.Dropout(0.5)])
    with pytest.raises(ModelError, match="JaxLayer"):
        mcdrop.MCDropout(model)
