"""Targets that come with the inputs stay with them, and `evaluate` takes both."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mcdrop
from mcdrop.errors import DataError, DataWarning

COUNT = 24
# The label of an example can be read off its inputs, so that a wrong pair is noticed.
Y = np.random.default_rng(0).integers(0, 3, COUNT)
X = np.eye(3, dtype=np.float32)[Y] * np.arange(1, COUNT + 1, dtype=np.float32)[:, None]


def pairs(*more):
    return tf.data.Dataset.from_tensor_slices((X, Y, *more))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = slice(6 * index, 6 * index + 6)
        return X[part], Y[part]


@pytest.fixture(scope="module")
def mc():
    keras.utils.set_random_seed(0)
    model = [keras.Input((3,)), layers.Dropout(0.3), layers.Dense(3, activation="softmax")]
    return mcdrop.MCDropout(keras.Sequential(model))


FORMS = {
    "dataset": lambda: pairs().batch(5),
    "shuffled anew at each reading": lambda: pairs().shuffle(COUNT).batch(5),
    "PyDataset": Batches,
    "generator": lambda: ((X[i : i + 7], Y[i : i + 7]) for i in range(0, COUNT, 7)),
}


@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("form", FORMS)
def test_targets_belong_to_their_predictions(mc, form, batch_size):
    found = mc.predict_with_targets(FORMS[form](), num_samples=4, batch_size=batch_size)
    assert len(found) == COUNT
    assert found.sample_weights is None
    assert sorted(found.targets) == sorted(Y)
    plain = np.asarray(mc.model(X))
    for prediction, target in zip(found.prediction.deterministic, found.targets, strict=True):
        twin = np.abs(plain - prediction).sum(axis=1).argmin()
        assert Y[twin] == target


def test_evaluate_takes_predictions_with_their_targets(mc):
    found = mc.predict_with_targets(FORMS["dataset"](), num_samples=4)
    apart = mcdrop.evaluate(mc.predict(X, num_samples=4), Y)
    assert mcdrop.evaluate(found).to_dict() == apart.to_dict()
    with pytest.raises(DataError, match="holds its targets already"):
        mcdrop.evaluate(found, Y)
    with pytest.raises(DataError, match="`y_true` is missing"):
        mcdrop.evaluate(found.prediction)


@pytest.mark.parametrize(
    ("weights", "is_told"), [(np.arange(COUNT), True), (np.ones(COUNT), False)]
)
def test_weights_are_kept_and_their_neglect_is_told(mc, weights, is_told, recwarn):
    found = mc.predict_with_targets(pairs(weights).batch(5), num_samples=4)
    np.testing.assert_array_equal(found.sample_weights, weights)
    mcdrop.evaluate(found)
    assert [w.category for w in recwarn if w.category is DataWarning] == [DataWarning] * is_told


@pytest.fixture(scope="module")
def two_heads():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = layers.Dropout(0.3)(inputs)
    kind = layers.Dense(3, activation="softmax", name="kind")(hidden)
    size = layers.Dense(1, name="size")(hidden)
    model = keras.Model(inputs, {"kind": kind, "size": size})
    return mcdrop.MCDropout(model, task={"kind": "classification", "size": "regression"})


@pytest.mark.parametrize(
    "targets",
    [
        lambda kind, size: {"size": size, "kind": kind},
        lambda kind, size: {"other": size, "size": size, "kind": kind},
        lambda kind, size: (kind, size),
    ],
)
def test_each_output_gets_its_own_targets(two_heads, targets):
    size = X.max(axis=1)
    weights = np.arange(COUNT)
    data = tf.data.Dataset.from_tensor_slices((X, targets(Y, size), weights)).batch(7)
    found = two_heads.predict_with_targets(data, num_samples=4)
    np.testing.assert_array_equal(found["kind"].targets, Y)
    np.testing.assert_array_equal(found["size"].targets, size)
    np.testing.assert_array_equal(found["size"].sample_weights, weights)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (lambda: X, "ndarray, which holds no targets"),
        (lambda: pairs().map(lambda x, y: x).batch(5), "yields inputs without targets"),
        (lambda: pairs().batch(5).repeat(), "never ends"),
        (lambda: iter([]), "is empty"),
        (lambda: iter([(X, Y[:-1])]), r"\[23, 24\] inputs and targets"),
        (lambda: iter([(X, (Y, Y))]), r"2 array\(s\), expected one for each"),
    ],
)
def test_data_without_targets_are_refused(mc, x, message):
    with pytest.raises(DataError, match=message):
        mc.predict_with_targets(x(), num_samples=4)


def test_there_is_one_target_a_prediction(mc):
    with pytest.raises(DataError, match="23 targets for 24 predictions"):
        mcdrop.PredictionWithTargets(mc.predict(X, num_samples=4), Y[:-1])
