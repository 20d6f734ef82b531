"""The metrics of regression as measures of a RegressionForecast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import RegressionForecast
from mcdrop.evaluation.measure import Measure
from mcdrop.metrics._examples import mean_per_example
from mcdrop.metrics.interval import (
    interval_coverage_per_example,
    interval_score_per_example,
    interval_width_per_example,
)
from mcdrop.metrics.ranked_probability import (
    crps_gaussian_mixture_per_example,
    crps_gaussian_per_example,
    crps_per_example,
)
from mcdrop.metrics.regression import (
    absolute_error_per_example,
    gaussian_log_likelihood_per_example,
    mixture_log_likelihood_per_example,
    squared_error_per_example,
)
from mcdrop.weighted.arrays import divide
from mcdrop.weighted.units import Statistic, Units

Array = NDArray[np.float64]
RegressionMeasure = Measure[RegressionForecast]

NUM_BINS = 10
"""Equal-mass bins of the predicted deviation, as `expected_normalized_calibration_error`."""

TARGET_UNIT = "unit of y"
EVERY_NUMBER = (float("-inf"), float("inf"))


def _needed(forecast: RegressionForecast, name: str) -> Array:
    """Returns a part of the forecast that some forecasts do not have."""
    values: Array | None = getattr(forecast, name)
    if values is None:
        raise DataError(f"the forecast has no {name.replace('_', ' ')}")
    return values


def _check_spread(mean: Array, variance: Array) -> None:
    """Raises DataError when a variance is 0, or what rounding in single precision leaves of 0."""
    none = np.sqrt(variance) <= np.finfo(np.float32).eps * np.abs(mean)
    if none.any():
        raise DataError(
            f"the predictive variance of {np.count_nonzero(none)} output(s) is 0, up to rounding, "
            "which makes any miss impossible"
        )


def _root_mean_squared_error(forecast: RegressionForecast) -> Statistic:
    errors = squared_error_per_example(forecast.mean, forecast.y)
    return forecast.units.average(errors, np.sqrt)


def _mean_absolute_error(forecast: RegressionForecast) -> Statistic:
    return forecast.units.average(absolute_error_per_example(forecast.mean, forecast.y))


def _log_likelihood(forecast: RegressionForecast) -> Statistic:
    if forecast.sample_variances is not None:
        terms = mixture_log_likelihood_per_example(
            _needed(forecast, "samples"), forecast.y, sample_variances=forecast.sample_variances
        )
        return forecast.units.average(terms)
    variance = _needed(forecast, "variance")
    _check_spread(forecast.mean, variance)
    terms = gaussian_log_likelihood_per_example(forecast.mean, variance, forecast.y)
    return forecast.units.average(terms)


def _log_likelihood_note(forecast: RegressionForecast) -> str:
    if forecast.sample_variances is not None:
        return "mixture of the passes' normal distributions"
    basis = "normal distribution of the predictive mean and variance"
    return basis + _noise_note(forecast)


def _noise_note(forecast: RegressionForecast) -> str:
    if forecast.task == "gaussian":
        return ""
    return "; the model states no noise of the targets, so it counts its own uncertainty only"


def _crps(forecast: RegressionForecast) -> Statistic:
    if forecast.is_point:
        return _mean_absolute_error(forecast)
    samples, variances = forecast.samples, forecast.sample_variances
    if samples is None:
        variance = _needed(forecast, "variance")
        terms = crps_gaussian_per_example(forecast.mean, variance, forecast.y)
    elif variances is None:
        terms = crps_per_example(samples, forecast.y)
    else:
        terms = crps_gaussian_mixture_per_example(samples, variances, forecast.y)
    return forecast.units.average(terms)


def _crps_note(forecast: RegressionForecast) -> str:
    if forecast.sample_variances is not None:
        return "mixture of the passes' normal distributions"
    kept = forecast.samples is not None
    basis = "fair estimator on the passes" if kept else "normal distribution of mean and variance"
    point = "; the deterministic side is its absolute error" if forecast.task != "gaussian" else ""
    return basis + point + _noise_note(forecast)


def _interval_coverage(forecast: RegressionForecast) -> Statistic:
    low, high = _needed(forecast, "low"), _needed(forecast, "high")
    return forecast.units.average(interval_coverage_per_example(low, high, forecast.y))


def _interval_width(forecast: RegressionForecast) -> Statistic:
    low, high = _needed(forecast, "low"), _needed(forecast, "high")
    return forecast.units.average(interval_width_per_example(low, high))


def _interval_score(forecast: RegressionForecast) -> Statistic:
    low, high = _needed(forecast, "low"), _needed(forecast, "high")
    terms = interval_score_per_example(low, high, forecast.y, level=forecast.level)
    return forecast.units.average(terms)


def _interval_note(forecast: RegressionForecast) -> str:
    return f"central interval of {forecast.level:.4g}" + _noise_note(forecast)


def _root_mean(name: str) -> Callable[[RegressionForecast], Statistic]:
    """Returns the root of the mean of one of the forecast's variances."""

    def statistic(forecast: RegressionForecast) -> Statistic:
        return forecast.units.average(mean_per_example(_needed(forecast, name)), np.sqrt)

    return statistic


def _expected_normalized_calibration_error(forecast: RegressionForecast) -> Statistic:
    variance = _needed(forecast, "variance")
    _check_spread(forecast.mean, variance)
    if variance.size < NUM_BINS:
        raise DataError(f"it needs at least {NUM_BINS} outputs")
    num_examples = variance.shape[0]
    order = np.argsort(variance, axis=None, kind="stable")
    squares = np.square(forecast.mean - forecast.y).ravel()[order]
    sorted_variance = variance.ravel()[order]
    example = np.repeat(np.arange(num_examples), variance.size // num_examples)[order]

    def error(weights: Array) -> Array:
        values = [_binned_deviation(row, sorted_variance, squares) for row in weights[:, example]]
        return np.array(values)

    return Units(num_examples).of_examples(error)


def _binned_deviation(weights: Array, variance: Array, squares: Array) -> float:
    """Returns the normalized calibration error of weighted outputs in order of the variance."""
    after = np.cumsum(weights)
    starts = np.arange(NUM_BINS) * after[-1] // NUM_BINS
    bins = np.searchsorted(starts, after - weights, side="right") - 1
    sums = [np.bincount(bins, weights * x, NUM_BINS) for x in (variance, squares)]
    size = np.bincount(bins, weights, NUM_BINS)
    deviation, error = (np.sqrt(divide(total, size, 0.0)) for total in sums)
    gaps = divide(np.abs(deviation - error), deviation, 0.0)
    return float(gaps[size > 0].mean())


REGRESSION_MEASURES: tuple[RegressionMeasure, ...] = (
    Measure(
        "root_mean_squared_error",
        "Root mean squared error",
        TARGET_UNIT,
        "lower",
        _root_mean_squared_error,
        is_default=True,
    ),
    Measure(
        "log_likelihood",
        "Log-likelihood",
        "nats",
        "higher",
        _log_likelihood,
        is_default=True,
        bounds=EVERY_NUMBER,
        note=_log_likelihood_note,
    ),
    Measure(
        "crps",
        "CRPS",
        TARGET_UNIT,
        "lower",
        _crps,
        is_default=True,
        bounds=EVERY_NUMBER,
        note=_crps_note,
    ),
    Measure(
        "interval_coverage",
        "Interval coverage",
        "share",
        "neither",
        _interval_coverage,
        is_default=True,
        bounds=(0.0, 1.0),
        is_share=True,
        note=_interval_note,
    ),
    Measure(
        "interval_width",
        "Interval width",
        TARGET_UNIT,
        "neither",
        _interval_width,
        is_default=True,
        note=_interval_note,
    ),
    Measure(
        "sharpness",
        "Sharpness",
        TARGET_UNIT,
        "neither",
        _root_mean("variance"),
        is_default=True,
    ),
    Measure(
        "mean_absolute_error", "Mean absolute error", TARGET_UNIT, "lower", _mean_absolute_error
    ),
    Measure(
        "interval_score",
        "Interval score",
        TARGET_UNIT,
        "lower",
        _interval_score,
        note=_interval_note,
    ),
    Measure(
        "expected_normalized_calibration_error",
        "Expected normalized calibration error",
        "",
        "lower",
        _expected_normalized_calibration_error,
        is_biased=True,
        note=lambda forecast: "about sqrt(10 / (pi N)) by chance when calibrated",
    ),
    Measure(
        "aleatoric_deviation",
        "Root mean aleatoric variance",
        TARGET_UNIT,
        "neither",
        _root_mean("aleatoric_variance"),
    ),
    Measure(
        "epistemic_deviation",
        "Root mean epistemic variance",
        TARGET_UNIT,
        "neither",
        _root_mean("epistemic_variance"),
    ),
)
"""The measures of regression and gaussian predictions, default ones first."""
