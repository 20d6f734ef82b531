"""Tests of `apply`: a recalibrated Prediction, and what it may and may not say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

import mcdrop
from mcdrop import metrics
from mcdrop.errors import DataError
from mcdrop.recalibrate import (
    BetaCalibration,
    IsotonicCalibration,
    TemperatureScaling,
    VarianceScaling,
    VectorScaling,
)
from mcdrop.weighted.halves import half_sample_noise, half_samples

NUM_SAMPLES = 50
KINDS = (TemperatureScaling, VectorScaling, BetaCalibration, IsotonicCalibration)
SMOOTH_KINDS = KINDS[:3]


def passes_of(num_examples=300, num_classes=4, seed=1):
    """Overconfident passes (T, N, C) that differ with the seed, the plain output, and labels."""
    fixed = np.random.default_rng(0)
    logits = 3 * fixed.normal(size=(num_examples, num_classes))
    y = np.array([fixed.choice(num_classes, p=row) for row in special.softmax(logits / 2.5, -1)])
    noise = np.random.default_rng(seed).standard_t(4, size=(NUM_SAMPLES, *logits.shape))
    return special.softmax(logits + 1.5 * noise, axis=-1), special.softmax(logits, axis=-1), y


@pytest.fixture(scope="module")
def case():
    samples, plain, y = passes_of()
    return mcdrop.from_samples(samples, plain, task="classification"), y


@pytest.fixture(scope="module")
def two_classes():
    samples, plain, y = passes_of(num_classes=2)
    as_classes = mcdrop.from_samples(samples, plain, task="classification")
    return mcdrop.from_samples(samples[..., 1], plain[:, 1], task="binary"), as_classes, y


@pytest.fixture(scope="module")
def regression():
    generator = np.random.default_rng(2)
    y = generator.normal(size=(120, 2))
    samples = y + generator.normal(0, 0.5, y.shape) + generator.normal(0, 0.2, (20, *y.shape))
    return mcdrop.from_samples(samples, samples[0], task="regression"), y


@pytest.fixture(scope="module")
def gaussian(regression):
    prediction, y = regression
    variances = np.full(prediction.samples.shape, 0.1)
    found = mcdrop.from_samples(
        prediction.samples,
        prediction.deterministic,
        task="gaussian",
        variances=variances,
        deterministic_variance=variances[0],
    )
    return found, y


@pytest.mark.parametrize("kind", KINDS)
def test_the_scores_of_the_repaired_prediction_are_those_of_the_repaired_mean(case, kind):
    prediction, y = case
    fitted = kind().fit(prediction.mean, y)
    found = mcdrop.evaluate(fitted.apply(prediction), y, num_resamples=100)
    repaired = fitted.transform(prediction.mean)
    for name in ("negative_log_likelihood", "brier_score", "expected_calibration_error"):
        estimate = found[name].monte_carlo
        assert estimate.value == pytest.approx(getattr(metrics, name)(repaired, y), rel=1e-9)
        assert estimate.low <= estimate.value <= estimate.high
    plain = metrics.brier_score(prediction.deterministic, y)
    assert found["brier_score"].deterministic.value == pytest.approx(plain, rel=1e-9)


def test_a_temperature_of_one_changes_nothing(case):
    prediction, y = case
    repaired = TemperatureScaling(temperature=1.0).apply(prediction)
    np.testing.assert_allclose(repaired.mean, prediction.mean, rtol=1e-12)
    np.testing.assert_allclose(repaired.group_means, prediction.group_means, atol=1e-6)
    np.testing.assert_array_equal(repaired.votes, prediction.votes)
    before = mcdrop.evaluate(replace(prediction, samples=None), y, num_resamples=100)
    after = mcdrop.evaluate(repaired, y, num_resamples=100)
    for name in ("negative_log_likelihood", "brier_score", "predictive_entropy"):
        for end in ("value", "low", "high", "monte_carlo_error"):
            expected = getattr(before[name].monte_carlo, end)
            assert getattr(after[name].monte_carlo, end) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_groups_are_distributions_that_average_to_the_mean(case, kind):
    prediction, y = case
    repaired = kind().fit(prediction.mean, y).apply(prediction)
    np.testing.assert_allclose(repaired.group_means.mean(axis=0), repaired.mean, atol=1e-4)
    np.testing.assert_allclose(repaired.group_means.sum(axis=-1), 1, atol=1e-6)
    assert repaired.group_means.min() >= 0


@pytest.mark.parametrize("kind", SMOOTH_KINDS)
def test_the_monte_carlo_error_of_a_score_is_that_of_repaired_halves(case, kind):
    # What `apply` cannot know from groups of a repaired mean is computed here from the passes.
    prediction, y = case
    fitted = kind().fit(prediction.mean, y)
    group = np.arange(NUM_SAMPLES) % 10
    halves = [prediction.samples[np.isin(group, half)].mean(axis=0) for half in half_samples(10)]
    name = "negative_log_likelihood"
    score = getattr(metrics, name)
    values = np.array([score(fitted.transform(half), y) for half in halves])
    whole = score(fitted.transform(prediction.mean), y)
    expected = half_sample_noise(whole, values, np.full(len(halves), 0.5), 10)
    found = mcdrop.evaluate(fitted.apply(prediction), y, metrics=[name], num_resamples=100)
    error = found[name].monte_carlo.monte_carlo_error
    assert error == pytest.approx(expected.error, rel=0.3)


@pytest.mark.parametrize("kind", SMOOTH_KINDS)
def test_the_monte_carlo_error_of_the_mean_is_how_it_wavers_over_seeds(case, kind):
    prediction, y = case
    fitted = kind().fit(prediction.mean, y)
    means = [fitted.transform(passes_of(seed=seed)[0].mean(axis=0)) for seed in range(2, 32)]
    # A variance of 30 draws is right to 26% in each of 1,200 places, which share little.
    actual = np.sqrt(np.var(means, axis=0, ddof=1).mean())
    stated = np.sqrt(np.square(fitted.apply(prediction).monte_carlo_error).mean())
    assert stated == pytest.approx(actual, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_binary_is_the_case_of_two_classes(two_classes, kind):
    binary, as_classes, y = two_classes
    fitted = kind().fit(as_classes.mean, y)
    found, expected = fitted.apply(binary), fitted.apply(as_classes)
    np.testing.assert_allclose(found.mean, expected.mean[:, 1], rtol=1e-9)
    np.testing.assert_allclose(found.variance, expected.variance[:, 1], atol=1e-6)
    np.testing.assert_allclose(found.group_means, expected.group_means[..., 1], atol=1e-4)
    assert mcdrop.evaluate(found, y, num_resamples=100)["accuracy"].monte_carlo.value > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_what_compares_passes_is_absent_and_not_wrong(case, kind, tmp_path):
    prediction, y = case
    repaired = kind().fit(prediction.mean, y).apply(prediction)
    for name in ("mutual_information", "mutual_information_corrected"):
        with pytest.raises(DataError, match="is not known of a recalibrated mean"):
            getattr(repaired, name)
    assert repaired.samples is None
    omitted = mcdrop.evaluate(repaired, y, num_resamples=100).omitted
    assert {"expected_entropy", "mutual_information"} <= set(omitted)
    columns = set(repaired.to_frame())
    assert {"predictive_entropy", "confidence", "probability_0"} <= columns
    assert not {"expected_entropy", "mutual_information"} & columns
    keeps_votes = kind is TemperatureScaling
    assert ("variation_ratio" in columns) == keeps_votes == ("variation_ratio" not in omitted)
    repaired.save(tmp_path / "p.npz")
    loaded = mcdrop.Prediction.load(tmp_path / "p.npz")
    assert loaded.expected_entropy is None
    np.testing.assert_array_equal(loaded.mean, repaired.mean)


def test_the_deterministic_side_takes_a_calibrator_of_its_own(case):
    prediction, y = case
    own = TemperatureScaling().fit(prediction.deterministic, y)
    fitted = TemperatureScaling().fit(prediction.mean, y)
    assert own != fitted
    repaired = fitted.apply(prediction, deterministic=own)
    np.testing.assert_array_equal(repaired.deterministic, own.transform(prediction.deterministic))
    kept = fitted.apply(prediction)
    np.testing.assert_array_equal(kept.deterministic, prediction.deterministic)


def test_repaired_passes_are_a_prediction_of_their_own(case):
    prediction, y = case
    fitted = TemperatureScaling("passes").fit(prediction.samples, y)
    repaired = fitted.apply(replace(prediction, masks="shared"))
    np.testing.assert_allclose(repaired.mean, fitted.transform(prediction.samples), rtol=1e-9)
    powers = prediction.samples ** (1 / fitted.temperature)
    expected = powers / powers.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(repaired.samples, expected, rtol=1e-6)
    assert repaired.masks == "shared"
    assert not mcdrop.evaluate(repaired, y, num_resamples=100).omitted


def test_repaired_passes_of_one_sigmoid_are_those_of_two_classes(two_classes):
    binary, as_classes, _ = two_classes
    calibrator = TemperatureScaling("passes", 2.0)
    np.testing.assert_allclose(
        calibrator.apply(binary).mutual_information,
        calibrator.apply(as_classes).mutual_information,
        atol=1e-9,
    )


def test_passes_that_were_not_kept_cannot_be_repaired(case):
    with pytest.raises(DataError, match="keep_samples=True"):
        TemperatureScaling("passes", 2.0).apply(replace(case[0], samples=None))


def test_pixels_are_repaired_one_by_one(case):
    prediction, _ = case
    samples = prediction.samples.reshape(NUM_SAMPLES, 3, 10, 10, 4)
    dense = mcdrop.from_samples(samples, samples[0], task="classification")
    calibrator = TemperatureScaling(temperature=2.0)
    found, expected = calibrator.apply(dense), calibrator.apply(prediction)
    np.testing.assert_allclose(found.mean.reshape(300, 4), expected.mean, rtol=1e-9)
    np.testing.assert_allclose(found.variance.reshape(300, 4), expected.variance, rtol=1e-6)


def test_examples_with_passes_of_their_own_number_keep_their_weights(case):
    prediction, _ = case
    counts = prediction.group_counts.copy()
    counts[:, 0] = [2, 2, 2, 2, 2, 2, 1, 1, 1, 1]
    counts[:, 1] *= 3
    weights = (counts / counts.sum(axis=0))[..., np.newaxis]
    uneven = replace(
        prediction,
        mean=(weights * prediction.group_means).sum(axis=0),
        group_counts=counts,
        num_samples_per_example=counts.sum(axis=0),
    )
    repaired = TemperatureScaling(temperature=1.5).apply(uneven)
    average = (weights * repaired.group_means).sum(axis=0)
    np.testing.assert_allclose(average, repaired.mean, atol=1e-4)
    # Three times the passes in groups of the same spread: the error of the mean is the same.
    expected = TemperatureScaling(temperature=1.5).apply(prediction)
    np.testing.assert_allclose(
        repaired.monte_carlo_error[1], expected.monte_carlo_error[1], rtol=1e-6
    )


def test_scaling_a_variance_leaves_mean_and_monte_carlo_error(regression):
    prediction, y = regression
    fitted = VarianceScaling().fit(prediction.mean, prediction.variance, y)
    repaired = fitted.apply(prediction)
    np.testing.assert_array_equal(repaired.mean, prediction.mean)
    np.testing.assert_allclose(repaired.variance, prediction.variance * fitted.factors)
    np.testing.assert_array_equal(repaired.monte_carlo_error, prediction.monte_carlo_error)
    found = mcdrop.evaluate(repaired, y, num_resamples=100)
    expected = metrics.gaussian_log_likelihood(repaired.mean, repaired.variance, y)
    assert found["log_likelihood"].monte_carlo.value == pytest.approx(expected, rel=1e-9)
    assert found["interval_coverage"].monte_carlo.value == pytest.approx(0.95, abs=0.04)


def test_scaling_the_variance_of_a_gaussian_scales_the_total(gaussian):
    prediction, y = gaussian
    fitted = VarianceScaling().fit(prediction.mean, prediction.variance, y)
    own = VarianceScaling(factors=(2.0, 3.0))
    repaired = fitted.apply(prediction, deterministic=own)
    np.testing.assert_allclose(repaired.variance, prediction.variance * fitted.factors)
    np.testing.assert_array_equal(repaired.epistemic_variance, prediction.epistemic_variance)
    assert repaired.aleatoric_variance is None
    np.testing.assert_allclose(
        repaired.deterministic_variance, prediction.deterministic_variance * [2.0, 3.0]
    )
    assert repaired.interval_basis == "normal"
    names = {c.name for c in mcdrop.evaluate(repaired, y, num_resamples=100).comparisons}
    assert {"log_likelihood", "crps"} <= names


def test_a_plain_regression_has_no_deterministic_variance_to_scale(regression):
    scaling = VarianceScaling(factors=(2.0, 2.0))
    with pytest.raises(DataError, match="no deterministic variance"):
        scaling.apply(regression[0], deterministic=scaling)


def test_only_predictions_of_the_right_task_are_taken(case, regression, two_classes):
    temperature, scaling = TemperatureScaling(temperature=2.0), VarianceScaling(factors=(2.0,))
    with pytest.raises(DataError, match="is a ndarray, expected a Prediction"):
        temperature.apply(case[0].mean)
    with pytest.raises(DataError, match="has task 'regression'"):
        temperature.apply(regression[0])
    with pytest.raises(DataError, match="has task 'classification'"):
        scaling.apply(case[0])
    with pytest.raises(DataError, match="has 2 output"):
        scaling.apply(regression[0])
    with pytest.raises(DataError, match="has 4 classes"):
        VectorScaling().fit(two_classes[1].mean, two_classes[2]).apply(case[0])


@pytest.mark.parametrize("kind", [*KINDS, VarianceScaling])
def test_a_fit_is_needed(case, regression, kind):
    prediction = regression[0] if kind is VarianceScaling else case[0]
    with pytest.raises(DataError, match="is not fitted"):
        kind().apply(prediction)
