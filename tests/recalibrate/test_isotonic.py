"""Tests of mcdrop.recalibrate.isotonic."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from mcdrop.errors import DataError
from mcdrop.metrics.scoring import brier_score
from mcdrop.recalibrate import IsotonicCalibration


class PassThrough(ClassifierMixin, BaseEstimator):
    """A scikit-learn classifier whose inputs are its class probabilities."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.n_features_in_ = x.shape[1]
        return self

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return self.classes_[x.argmax(axis=1)]


def make_case(num_classes, count=500):
    """Returns overconfident probabilities (count, C) and labels."""
    generator = np.random.default_rng(num_classes)
    truth = generator.dirichlet(np.ones(num_classes), size=count)
    y = np.array([generator.choice(num_classes, p=row) for row in truth])
    sharpened = truth**3
    return sharpened / sharpened.sum(axis=1, keepdims=True), y


def test_a_class_without_an_example_is_refused():
    with pytest.raises(DataError, match="no example of class 1"):
        IsotonicCalibration().fit([[0.5, 0.5]], [0])


@pytest.mark.parametrize(("fitted_on", "given", "message"), [(3, 2, "on 3"), (2, 3, "on 2")])
def test_another_number_of_classes_is_refused(fitted_on, given, message):
    fitted = IsotonicCalibration().fit(*make_case(fitted_on))
    with pytest.raises(DataError, match=message):
        fitted.transform(make_case(given)[0])


@pytest.mark.parametrize(("num_classes", "num_curves"), [(2, 1), (4, 4)])
def test_rows_are_distributions(num_classes, num_curves):
    p, y = make_case(num_classes)
    fitted = IsotonicCalibration().fit(p, y)
    assert len(fitted.curves) == num_curves
    result = fitted.transform(p)
    assert result.shape == p.shape
    assert (result >= 0).all()
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-13)


def test_two_confidences_are_mapped_to_their_accuracies():
    p = [[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 4
    result = IsotonicCalibration().fit(p, [0, 0, 0, 1, 0, 1, 1, 1]).transform(p)
    np.testing.assert_allclose(result[[0, 4]], [[0.75, 0.25], [0.25, 0.75]], rtol=1e-14)


def test_a_row_that_is_mapped_to_zeros_becomes_uniform():
    falls_to_zero = ((0.5, 0.9), (0.0, 1.0))
    calibrator = IsotonicCalibration(curves=(falls_to_zero,) * 4)
    np.testing.assert_array_equal(calibrator.transform([[0.25] * 4]), [[0.25] * 4])


def test_the_brier_score_of_overconfident_predictions_falls_on_fresh_data():
    p, y = make_case(3, count=4_000)
    fitted = IsotonicCalibration().fit(p[:2_000], y[:2_000])
    after = brier_score(fitted.transform(p[2_000:]), y[2_000:])
    assert after < brier_score(p[2_000:], y[2_000:]) - 0.02


@pytest.mark.parametrize("num_classes", [2, 4])
def test_results_agree_with_calibrated_classifiers_of_scikit_learn(num_classes):
    p, y = make_case(num_classes)
    reference = CalibratedClassifierCV(
        FrozenEstimator(PassThrough().fit(p, y)), method="isotonic", ensemble=False
    ).fit(p, y)
    fresh = np.random.default_rng(9).dirichlet(np.ones(num_classes), size=200)
    np.testing.assert_allclose(
        IsotonicCalibration().fit(p, y).transform(fresh),
        reference.predict_proba(fresh),
        atol=1e-12,
    )
