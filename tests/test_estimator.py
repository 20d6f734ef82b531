"""Sampled models inside scikit-learn's tools."""

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.validation import check_is_fitted

import mcdrop
from mcdrop import DataError, MCDropout, MCDropoutClassifier, MCDropoutRegressor


def build(units, activation, **compile_options):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dropout(0.3), keras.layers.Dense(units, activation)]
    model = keras.Sequential(layers)
    if compile_options:
        model.compile(**compile_options)
    return model


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(60, 4)).astype("float32")


def test_a_regression_model_is_refused_as_a_classifier(x):
    classifier = MCDropoutClassifier(MCDropout(build(1, "linear", loss="mse")), num_samples=4)
    with pytest.raises(DataError, match="task classification or binary"):
        classifier.predict(x)


@pytest.mark.parametrize("kind", [MCDropoutClassifier, MCDropoutRegressor])
def test_a_model_that_is_not_wrapped_is_refused(kind):
    with pytest.raises(DataError, match=rf"{kind.__name__}\(mcdrop\.MCDropout\(model\)\)"):
        kind(build(3, "softmax"))


def test_fit_refuses_labels_outside_the_classes(x):
    classifier = MCDropoutClassifier(MCDropout(build(3, "softmax")), num_samples=4)
    with pytest.raises(DataError, match=r"\[7\]"):
        classifier.fit(x, np.full(60, 7))


def test_probabilities_are_the_predictive_mean_and_score_is_accuracy(x):
    mc = MCDropout(build(3, "softmax"))
    classifier = MCDropoutClassifier(mc, classes=["a", "b", "c"], num_samples=8, seed=5)
    expected = mc.predict(x, num_samples=8, seed=5).mean
    np.testing.assert_allclose(classifier.predict_proba(x), expected, atol=1e-6)
    y = np.array(["a", "b", "c"])[expected.argmax(axis=1)]
    y[:15] = "a"
    assert classifier.score(x, y) == accuracy_score(y, classifier.predict(x))
    assert np.isfinite(log_loss(y, classifier.predict_proba(x), labels=["a", "b", "c"]))


def test_a_binary_model_has_two_columns(x):
    classifier = MCDropoutClassifier(MCDropout(build(1, "sigmoid")), num_samples=4)
    probabilities = classifier.predict_proba(x)
    assert probabilities.shape == (60, 2)
    assert classifier.classes_.tolist() == [0, 1]
    calibration_curve(classifier.predict(x) * 0 + (x[:, 0] > 0), probabilities[:, 1], n_bins=4)


def test_scikit_learn_tools_use_the_trained_model_as_it_is(x):
    classifier = MCDropoutClassifier(MCDropout(build(3, "softmax")), num_samples=4)
    y = np.arange(60) % 3
    check_is_fitted(classifier)
    assert clone(classifier) is classifier
    assert cross_val_score(classifier, x, y, cv=3).shape == (3,)
    calibrated = CalibratedClassifierCV(FrozenEstimator(classifier), method="sigmoid").fit(x, y)
    np.testing.assert_allclose(calibrated.predict_proba(x).sum(axis=1), 1.0)


def test_a_regressor_returns_mean_and_standard_deviation(x):
    mc = MCDropout(build(1, "linear", loss="mse"))
    regressor = MCDropoutRegressor(mc, num_samples=8).fit(x, x[:, 0])
    prediction = mc.predict(x, num_samples=8)
    np.testing.assert_array_equal(regressor.predict(x), prediction.mean[:, 0])
    np.testing.assert_array_equal(regressor.predict_std(x), prediction.std[:, 0])
    assert regressor.score(x, x[:, 0]) == r2_score(x[:, 0], regressor.predict(x))


def test_the_estimators_are_public():
    assert {"MCDropoutClassifier", "MCDropoutRegressor"} <= set(mcdrop.__all__)
