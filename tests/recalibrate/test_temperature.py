"""Tests of mcdrop.recalibrate.temperature."""

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression

from mcdrop.errors import DataError
from mcdrop.metrics.scoring import negative_log_likelihood
from mcdrop.recalibrate import TemperatureScaling


def draw_labels(probabilities, generator):
    """Returns one label a row, drawn from the row's probabilities."""
    cumulative = probabilities.cumsum(axis=1)
    return (generator.random((len(cumulative), 1)) > cumulative[:, :-1]).sum(axis=1)


@pytest.fixture
def case():
    """Samples (8, 400, 4) that are overconfident by a temperature of 3, and labels (400,)."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 1.5, size=(400, 4))
    noise = generator.normal(0, 1, size=(8, 400, 4))
    y = draw_labels(special.softmax(logits, axis=-1), generator)
    return special.softmax(3 * (logits + noise), axis=-1), y


def test_a_third_way_of_applying_it_is_refused():
    with pytest.raises(DataError, match="'predictive', 'passes'"):
        TemperatureScaling(apply_to="logits")


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, "2"])
def test_a_temperature_is_a_positive_number(temperature):
    with pytest.raises(DataError, match="`temperature`"):
        TemperatureScaling(temperature=temperature)


def test_each_way_refuses_the_input_of_the_other(case):
    samples, y = case
    with pytest.raises(DataError, match="rank 3; apply_to='predictive'"):
        TemperatureScaling().fit(samples, y)
    with pytest.raises(DataError, match="rank 2; apply_to='passes'"):
        TemperatureScaling(apply_to="passes").fit(samples[0], y)


def test_labels_that_do_not_fit_are_refused(case):
    samples, y = case
    with pytest.raises(DataError, match=r"`y` has shape \(399,\)"):
        TemperatureScaling().fit(samples[0], y[:-1])
    with pytest.raises(DataError, match="labels from"):
        TemperatureScaling(apply_to="passes").fit(samples, y + 4)


@pytest.mark.parametrize("apply_to", ["predictive", "passes"])
@pytest.mark.parametrize(
    ("p", "y", "reason"),
    [
        ([0.7, 0.3], [0] * 6, "every confident prediction is right"),
        ([0.7, 0.3], [1] * 6, "no better than guessing"),
    ],
)
def test_a_loss_without_an_optimum_is_refused(apply_to, p, y, reason):
    probabilities = np.tile(p, (6, 1))
    if apply_to == "passes":
        probabilities = probabilities[np.newaxis]
    with pytest.raises(DataError, match=reason):
        TemperatureScaling(apply_to=apply_to).fit(probabilities, y)


def test_uniform_predictions_have_no_best_temperature():
    with pytest.raises(DataError, match="no better than guessing"):
        TemperatureScaling().fit(np.full((6, 2), 0.5), [0, 1] * 3)


@pytest.mark.parametrize("apply_to", ["predictive", "passes"])
def test_the_result_has_one_distribution_an_example(case, apply_to):
    samples, y = case
    given = samples if apply_to == "passes" else samples.mean(axis=0)
    calibrator = TemperatureScaling(apply_to=apply_to)
    fitted = calibrator.fit(given, y)
    result = fitted.transform(given)
    assert result.shape == (400, 4)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-14)
    assert calibrator.temperature is None


def test_one_confidence_is_mapped_to_its_accuracy():
    # Ten predictions of 0.9 of which seven are right: log(9) / t = log(7/3).
    fitted = TemperatureScaling().fit([[0.9, 0.1]] * 10, [0] * 7 + [1] * 3)
    assert fitted.temperature == pytest.approx(np.log(9) / np.log(7 / 3), rel=1e-10)
    np.testing.assert_allclose(fitted.transform([[0.9, 0.1]]), [[0.7, 0.3]], rtol=1e-10)


def test_the_two_ways_have_their_hand_derived_values():
    # Temperature 1/2 squares. Mean (0.5, 0.5) stays; passes: (81, 1)/82 and (1, 81)/82 likewise;
    # with a third pass (0.9, 0.1) the mean is (19, 11)/30, its square (361, 121)/482.
    samples = np.array([[[0.9, 0.1]], [[0.1, 0.9]], [[0.9, 0.1]]])
    on_mean = TemperatureScaling(temperature=0.5).transform(samples.mean(axis=0))
    on_passes = TemperatureScaling("passes", 0.5).transform(samples)
    np.testing.assert_allclose(on_mean, [[361 / 482, 121 / 482]], rtol=1e-13)
    np.testing.assert_allclose(on_passes, [[163 / 246, 83 / 246]], rtol=1e-13)


def test_passes_at_temperature_one_are_the_mean_and_not_the_softmax_of_mean_logits():
    # The peer's error: two passes of logits (10, 0) and (0, 2) average to a softmax of 0.98
    # where the predictive mean is 0.56.
    logits = np.array([[[10.0, 0.0]], [[0.0, 2.0]]])
    samples = special.softmax(logits, axis=-1)
    result = TemperatureScaling("passes", 1.0).transform(samples)
    np.testing.assert_allclose(result, samples.mean(axis=0), rtol=1e-13)
    assert result[0, 0] == pytest.approx(0.56, abs=0.005)
    assert special.softmax(logits.mean(axis=0))[0, 0] == pytest.approx(0.98, abs=0.005)


def test_an_example_does_not_depend_on_the_others_in_the_batch(case):
    # The peer's error: a softmax over the whole flattened batch.
    samples, _ = case
    calibrator = TemperatureScaling("passes", 2.0)
    together = calibrator.transform(samples[:, :5])
    alone = np.concatenate([calibrator.transform(samples[:, n : n + 1]) for n in range(5)])
    np.testing.assert_array_equal(together, alone)


def test_temperature_of_the_mean_never_changes_the_predicted_class(case):
    mean = case[0].mean(axis=0)
    for temperature in (0.3, 1.0, 20.0):
        result = TemperatureScaling(temperature=temperature).transform(mean)
        np.testing.assert_array_equal(result.argmax(axis=1), mean.argmax(axis=1))


def test_a_probability_of_zero_stays_finite():
    fitted = TemperatureScaling().fit([[1.0, 0.0]] * 9 + [[1.0, 0.0]], [0] * 9 + [1])
    assert np.isfinite(fitted.temperature)
    np.testing.assert_allclose(fitted.transform([[1.0, 0.0]]), [[0.9, 0.1]], rtol=1e-9)


def test_the_true_temperature_is_recovered():
    # Labels drawn from softmax(z), predictions softmax(2.5 z). The estimate of 1/temperature has
    # variance 1 / (N mean_n Var_q(2.5 z)), the inverse Fisher information; tolerance 4 deviations.
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(20_000, 5))
    truth = special.softmax(logits, axis=1)
    fitted = TemperatureScaling().fit(
        special.softmax(2.5 * logits, axis=1), draw_labels(truth, generator)
    )
    spread = (truth * (2.5 * logits) ** 2).sum(1) - (truth * 2.5 * logits).sum(1) ** 2
    tolerance = 4 / np.sqrt(20_000 * spread.mean())
    assert 1 / fitted.temperature == pytest.approx(1 / 2.5, abs=tolerance)


@pytest.mark.parametrize("apply_to", ["predictive", "passes"])
def test_no_temperature_of_a_fine_grid_has_a_lower_loss(case, apply_to):
    samples, y = case
    given = samples if apply_to == "passes" else samples.mean(axis=0)
    fitted = TemperatureScaling(apply_to=apply_to).fit(given, y)
    best = negative_log_likelihood(fitted.transform(given), y)
    for temperature in np.geomspace(0.05, 50, 150):
        other = TemperatureScaling(apply_to=apply_to, temperature=float(temperature))
        assert negative_log_likelihood(other.transform(given), y) >= best - 1e-12


def test_both_ways_agree_on_a_single_pass(case):
    samples, y = case
    on_mean = TemperatureScaling().fit(samples[0], y)
    on_passes = TemperatureScaling(apply_to="passes").fit(samples[:1], y)
    assert on_passes.temperature == pytest.approx(on_mean.temperature, rel=1e-6)


def test_two_classes_agree_with_a_logistic_regression_of_scikit_learn():
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 4, size=500)
    y = (generator.random(500) < special.expit(logits / 3)).astype(int)
    p = special.expit(logits)
    fitted = TemperatureScaling().fit(np.stack([1 - p, p], axis=1), y)
    model = LogisticRegression(C=1e10, fit_intercept=False, tol=1e-10).fit(logits[:, None], y)
    assert 1 / fitted.temperature == pytest.approx(model.coef_[0, 0], rel=1e-5)
