"""Copies and pickles of MCDropout predict what the original does."""

import copy
import pickle

import keras
import numpy as np
import pytest

import mcdrop

X = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


@keras.saving.register_keras_serializable("mcdrop_tests")
class _Dropping(keras.layers.Layer):
    def call(self, inputs, training=False):
        return keras.random.dropout(inputs, 0.5) if training else inputs


def _model(first):
    return keras.Sequential(
        [
            keras.Input((4,)),
            first,
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.3, name="late"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def _pickled(mc):
    return _loaded(pickle.dumps(mc))


def _loaded(data):
    return pickle.loads(data)  # noqa: S301 (of our own making)


@pytest.mark.parametrize("again", [copy.deepcopy, _pickled])
@pytest.mark.parametrize("used", [False, True])
def test_copies_predict_the_same_and_hold_a_model_of_their_own(again, used):
    mc = mcdrop.MCDropout(
        _model(keras.layers.Dropout(0.5)), layers=lambda info: info.path == "late", masks="shared"
    )
    if used:
        mc.predict(X, num_samples=4)
    copied = again(mc)
    assert copied.stochastic_layers == mc.stochastic_layers
    expected = mc.sample(X, num_samples=4, seed=3)
    np.testing.assert_array_equal(copied.sample(X, num_samples=4, seed=3), expected)
    copied.model.set_weights([2 * weights for weights in copied.model.get_weights()])
    np.testing.assert_array_equal(mc.sample(X, num_samples=4, seed=3), expected)
    assert not np.array_equal(copied.sample(X, num_samples=4, seed=3), expected)


def _recurrent():
    return keras.Sequential(
        [
            keras.Input((4, 2)),
            keras.layers.LSTM(3, dropout=0.2, recurrent_dropout=0.3),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def _two_headed():
    inputs = keras.Input((4,), name="numbers")
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(6, activation="relu")(inputs))
    heads = {
        "kind": keras.layers.Dense(3, activation="softmax", name="kind")(hidden),
        "size": keras.layers.Dense(1, name="size")(hidden),
    }
    return keras.Model(inputs, heads)


@pytest.mark.parametrize(
    ("build", "settings", "x"),
    [
        (_recurrent, {}, np.repeat(X[..., None], 2, axis=2)),
        (_two_headed, {"task": {"kind": "classification", "size": "regression"}}, X),
        (lambda: _model(keras.layers.Dropout(0.5)), {"splitting": (2, 3)}, X),
    ],
    ids=["recurrent", "several outputs", "splitting"],
)
def test_models_of_all_kinds_survive(build, settings, x):
    mc = mcdrop.MCDropout(build(), **settings)
    found = [each.predict(x, seed=2) for each in (mc, _pickled(mc))]
    pairs = [tuple(found)]
    if isinstance(found[0], dict):
        assert list(found[0]) == list(found[1]) == ["kind", "size"]
        pairs = list(zip(found[0].values(), found[1].values(), strict=True))
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours.mean, theirs.mean)
        np.testing.assert_array_equal(ours.variance, theirs.variance)
        assert ours.splitting == theirs.splitting


def test_a_registered_layer_survives_and_a_missing_registration_is_told(monkeypatch):
    from mcdrop.engine import audit

    monkeypatch.setattr(audit, "_REGISTERED", dict(audit._REGISTERED))
    mcdrop.register(_Dropping)
    mc = mcdrop.MCDropout(_model(_Dropping()))
    data = pickle.dumps(mc)
    np.testing.assert_array_equal(
        _loaded(data).sample(X, num_samples=4), mc.sample(X, num_samples=4)
    )
    del audit._REGISTERED[_Dropping]
    with pytest.raises(mcdrop.ModelError, match="register"):
        _loaded(data)


def test_a_shallow_copy_shares_the_model():
    mc = mcdrop.MCDropout(_model(keras.layers.Dropout(0.5)))
    assert copy.copy(mc).model is mc.model


def test_a_model_that_keras_cannot_make_anew_is_refused_when_it_is_pickled():
    class Local(keras.Model):
        def __init__(self, size):
            super().__init__()
            self.dense, self.dropout = keras.layers.Dense(size), keras.layers.Dropout(0.5)

        def call(self, inputs, training=False):
            return self.dropout(self.dense(inputs), training=training)

    model = Local(3)
    model(X)
    with pytest.raises(mcdrop.ModelError, match="get_config"):
        pickle.dumps(mcdrop.MCDropout(model))


def test_a_runtime_error_of_the_model_is_a_model_error():
    class Failing(keras.layers.Layer):
        def call(self, inputs):
            if inputs.shape[0] != 0 and getattr(self, "armed", False):
                raise RuntimeError("my own words")
            return inputs

    failing = Failing()
    mc = mcdrop.MCDropout(_model(failing))
    failing.armed = True
    with pytest.raises(mcdrop.ModelError, match="my own words"):
        mc.predict(X, num_samples=2)
