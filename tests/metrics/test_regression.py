"""Tests of mcdrop.metrics.regression."""

import numpy as np
import pytest
import scoringrules
from sklearn import metrics as sklearn_metrics

from mcdrop.errors import DataError
from mcdrop.metrics import regression


@pytest.fixture
def case():
    """Means and targets of 40 examples with 3 outputs, and 25 passes of means and variances."""
    generator = np.random.default_rng(0)
    y = generator.normal(5, 2, size=(40, 3))
    sample_means = y + generator.normal(0.3, 1, size=(25, 40, 3))
    return y, sample_means, generator.uniform(0.2, 3, size=(25, 40, 3))


@pytest.mark.parametrize(
    "function", [regression.root_mean_squared_error, regression.mean_absolute_error]
)
def test_a_column_of_means_is_not_broadcast_against_a_row_of_targets(function):
    with pytest.raises(DataError, match=r"`mean` has shape \(4, 1\) and `y` \(4,\)"):
        function(np.zeros((4, 1)), np.zeros(4))


@pytest.mark.parametrize(
    ("mean", "y", "message"),
    [
        ([], [], "`mean` is empty"),
        (1.0, 1.0, "`mean` is a single number"),
        ([np.nan], [0.0], "`mean` has 1 value"),
        ([0.0], [np.inf], "`y` has 1 value"),
        (["a"], [0.0], "dtype"),
    ],
)
def test_bad_values_are_refused(mean, y, message):
    with pytest.raises(DataError, match=message):
        regression.root_mean_squared_error(mean, y)


@pytest.mark.parametrize("variance", [[0.0], [-1.0]])
def test_a_gaussian_needs_a_variance_above_zero(variance):
    with pytest.raises(DataError, match="not above 0"):
        regression.gaussian_log_likelihood([0.0], variance, [0.0])


@pytest.mark.parametrize(
    "options", [{}, {"noise_variance": 1.0, "sample_variances": np.ones((2, 3))}]
)
def test_the_mixture_needs_exactly_one_kind_of_variance(options):
    with pytest.raises(DataError, match="both given or both missing"):
        regression.mixture_log_likelihood(np.zeros((2, 3)), np.zeros(3), **options)


@pytest.mark.parametrize("noise", [0.0, -1.0, np.ones(3), np.ones((3, 2))])
def test_noise_variance_is_one_positive_number_or_one_for_each_output(noise):
    with pytest.raises(DataError, match="noise_variance"):
        regression.mixture_log_likelihood(
            np.zeros((2, 4, 2)), np.zeros((4, 2)), noise_variance=noise
        )


def test_samples_with_the_passes_on_the_last_axis_are_refused():
    with pytest.raises(DataError, match=r"expected \(T, 3\)"):
        regression.mixture_log_likelihood(np.zeros((3, 10)), np.zeros(3), noise_variance=1.0)


def test_sample_means_and_variances_must_have_equal_passes():
    with pytest.raises(DataError, match="2 passes and `sample_variances` 1"):
        regression.mixture_log_likelihood(
            np.zeros((2, 3)), np.zeros(3), sample_variances=np.ones((1, 3))
        )


def test_per_example_forms_have_one_value_an_example_and_average_to_the_metric(case):
    y, means, variances = case
    mean, variance = means.mean(axis=0), variances.mean(axis=0)
    pairs = [
        (regression.absolute_error_per_example(mean, y), regression.mean_absolute_error(mean, y)),
        (
            regression.squared_error_per_example(mean, y),
            regression.root_mean_squared_error(mean, y) ** 2,
        ),
        (
            regression.gaussian_log_likelihood_per_example(mean, variance, y),
            regression.gaussian_log_likelihood(mean, variance, y),
        ),
        (
            regression.mixture_log_likelihood_per_example(means, y, sample_variances=variances),
            regression.mixture_log_likelihood(means, y, sample_variances=variances),
        ),
    ]
    for terms, value in pairs:
        assert terms.shape == (40,)
        assert terms.mean() == pytest.approx(value, rel=1e-13)


def test_gal_log_likelihood_of_two_symmetric_passes_has_its_hand_derived_value():
    # Both passes miss by 1, so the mean density is that of one pass at tau = 4:
    # -tau / 2 - log(2 pi) / 2 + log(tau) / 2 = -2 - 0.9189385 + 0.6931472.
    value = regression.mixture_log_likelihood([[0.0], [2.0]], [1.0], noise_variance=1 / 4)
    assert value == pytest.approx(-2.2257914, abs=1e-7)


def test_gal_log_likelihood_of_two_unequal_passes_has_its_hand_derived_value():
    # log((1 + exp(-1/2)) / 2) - log(2 pi) / 2 = log(0.8032653) - 0.9189385.
    value = regression.mixture_log_likelihood([[0.0], [1.0]], [0.0], noise_variance=1.0)
    assert value == pytest.approx(np.log(0.8032653) - 0.9189385, abs=1e-7)


def test_gal_log_likelihood_equals_the_formula_of_the_paper(case):
    y, means, _ = case
    y, means, tau = y[:, 0], means[:, :, 0], 2.5
    exponents = -0.5 * tau * (y - means) ** 2
    expected = (
        np.log(np.exp(exponents).sum(axis=0))
        - np.log(25)
        - 0.5 * np.log(2 * np.pi)
        + 0.5 * np.log(tau)
    )
    value = regression.mixture_log_likelihood(means, y, noise_variance=1 / tau)
    assert value == pytest.approx(expected.mean(), rel=1e-13)


def test_the_mixture_likelihood_is_the_log_of_the_mean_not_the_mean_of_the_logs(case):
    y, means, _ = case
    of_mean = regression.mixture_log_likelihood(means, y, noise_variance=1.0)
    of_logs = np.mean([regression.gaussian_log_likelihood(m, np.ones_like(m), y) for m in means])
    assert of_mean > of_logs + 0.1


def test_gal_log_likelihood_is_capped_by_the_precision():
    # The cap of notes such as "Naval 4.491" at tau = 50,000: log(tau / (2 pi)) / 2.
    y = np.linspace(-1, 1, 7)
    value = regression.mixture_log_likelihood(np.tile(y, (3, 1)), y, noise_variance=1 / 50_000)
    assert value == pytest.approx(0.5 * np.log(50_000 / (2 * np.pi)), rel=1e-13)


def test_far_misses_do_not_underflow():
    value = regression.mixture_log_likelihood([[0.0], [1.0]], [1e4], noise_variance=1.0)
    assert value == pytest.approx(-0.5 * 9999.0**2 - np.log(2) - 0.5 * np.log(2 * np.pi), rel=1e-12)


def test_one_noise_variance_for_each_output_scores_each_output_with_its_own(case):
    y, means, _ = case
    noise = np.array([0.5, 1.0, 4.0])
    separate = [
        regression.mixture_log_likelihood(means[:, :, d], y[:, d], noise_variance=noise[d])
        for d in range(3)
    ]
    together = regression.mixture_log_likelihood(means, y, noise_variance=noise)
    assert together == pytest.approx(np.mean(separate), rel=1e-13)


def test_rescaled_targets_shift_the_log_likelihood_by_the_log_of_the_scale(case):
    # The peer's error: a variance sent through the target's scaler, which adds the offset to it.
    # Unscaled rightly, mean * a + b and variance * a^2, the likelihood moves by -log(a) exactly.
    y, means, variances = case
    scale, offset = 3.0, 100.0
    mean, variance = means[0], variances[0]
    before = regression.gaussian_log_likelihood(mean, variance, y)
    right = regression.gaussian_log_likelihood(
        scale * mean + offset, scale**2 * variance, scale * y + offset
    )
    assert right == pytest.approx(before - np.log(scale), rel=1e-12)


def test_errors_agree_with_scikit_learn(case):
    y, means, _ = case
    mean = means.mean(axis=0)
    assert regression.root_mean_squared_error(mean, y) == pytest.approx(
        np.sqrt(sklearn_metrics.mean_squared_error(y, mean)), rel=1e-13
    )
    assert regression.mean_absolute_error(mean, y) == pytest.approx(
        sklearn_metrics.mean_absolute_error(y, mean), rel=1e-13
    )


def test_gaussian_log_likelihood_agrees_with_scoringrules(case):
    y, means, variances = case
    reference = -scoringrules.logs_normal(y, means[0], np.sqrt(variances[0]))
    assert regression.gaussian_log_likelihood(means[0], variances[0], y) == pytest.approx(
        reference.mean(), rel=1e-12
    )


def test_mixture_log_likelihood_agrees_with_scoringrules(case):
    y, means, variances = case
    reference = -scoringrules.logs_mixnorm(
        y, np.moveaxis(means, 0, -1), np.moveaxis(np.sqrt(variances), 0, -1)
    )
    terms = regression.mixture_log_likelihood_per_example(means, y, sample_variances=variances)
    np.testing.assert_allclose(terms, reference.mean(axis=1), rtol=1e-11)
