"""Tests of mcdrop.recalibrate.beta."""

import numpy as np
import pytest
from scipy import optimize, special

from mcdrop.errors import DataError
from mcdrop.recalibrate import BetaCalibration


def make_case(num_classes):
    """Returns overconfident probabilities (400, C) and labels."""
    generator = np.random.default_rng(num_classes)
    truth = generator.dirichlet(np.ones(num_classes), size=400)
    y = np.array([generator.choice(num_classes, p=row) for row in truth])
    sharpened = truth**2
    return sharpened / sharpened.sum(axis=1, keepdims=True), y


def test_a_class_without_an_example_is_refused():
    with pytest.raises(DataError, match="no example of class 0"):
        BetaCalibration().fit([[0.5, 0.5]], [1])


@pytest.mark.parametrize(("fitted_on", "given"), [(3, 2), (2, 3)])
def test_another_number_of_classes_is_refused(fitted_on, given):
    fitted = BetaCalibration().fit(*make_case(fitted_on))
    with pytest.raises(DataError, match=f"fitted on {fitted_on}"):
        fitted.transform(make_case(given)[0])


@pytest.mark.parametrize(("num_classes", "num_curves"), [(2, 1), (3, 3)])
def test_rows_are_distributions(num_classes, num_curves):
    p, y = make_case(num_classes)
    fitted = BetaCalibration().fit(p, y)
    assert len(fitted.parameters) == num_curves
    result = fitted.transform(p)
    assert result.shape == p.shape
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-13)


def test_parameters_one_one_zero_change_nothing():
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    calibrator = BetaCalibration(parameters=((1.0, 1.0, 0.0),))
    np.testing.assert_allclose(calibrator.transform(p), p, rtol=1e-12)


def test_probabilities_of_zero_and_one_stay_finite():
    fitted = BetaCalibration().fit([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5, [0] * 4 + [1] * 5 + [0])
    result = fitted.transform([[1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(result, [[0.8, 0.2], [0.2, 0.8]], atol=1e-5)


def test_curves_never_fall_though_the_data_do():
    # Labels against the predictions: the best rising curve is the class frequency.
    p = np.linspace(0.05, 0.95, 40)
    y = (p < 0.5).astype(int)
    y[[5, 30]] = 1 - y[[5, 30]]
    fitted = BetaCalibration().fit(np.stack([1 - p, p], axis=1), y)
    assert fitted.parameters[0] == pytest.approx((0, 0, special.logit(y.mean())), abs=1e-9)


def test_one_falling_feature_is_dropped_and_the_other_is_fitted_again():
    generator = np.random.default_rng(5)
    p = generator.uniform(0.02, 0.98, size=1_000)
    # log odds = 1.5 log p + 0.6 log(1 - p): the free fit has b < 0.
    y = (generator.random(1_000) < special.expit(1.5 * np.log(p) + 0.6 * np.log1p(-p))).astype(int)
    a, b, _ = BetaCalibration().fit(np.stack([1 - p, p], axis=1), y).parameters[0]
    assert a > 0
    assert b == 0


@pytest.mark.parametrize("num_classes", [2, 3])
def test_parameters_agree_with_a_general_optimizer(num_classes):
    p, y = make_case(num_classes)
    fitted = BetaCalibration().fit(p, y)
    label = 1
    column = np.clip(p[:, label], 2**-23, 1 - 2**-23)
    positive = y == label

    def loss(parameters):
        a, b, c = parameters
        score = a * np.log(column) - b * np.log1p(-column) + c
        return np.logaddexp(0, np.where(positive, -score, score)).sum()

    found = optimize.minimize(
        loss, [1, 1, 0], method="L-BFGS-B", bounds=[(0, None), (0, None), (None, None)], tol=1e-12
    )
    parameters = fitted.parameters[0 if num_classes == 2 else label]
    assert loss(parameters) == pytest.approx(found.fun, rel=1e-7)
    np.testing.assert_allclose(parameters, found.x, atol=5e-3)
