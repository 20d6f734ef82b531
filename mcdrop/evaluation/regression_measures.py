"""The registry of the measures of regression; `docs/contributing.md` says how to add one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import RegressionForecast
from mcdrop.evaluation.measures import Measure, Rule, Side, never
from mcdrop.intervals import Interval
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
from mcdrop.metrics.variance import expected_normalized_calibration_error
from mcdrop.weighted.arrays import mean_per_example
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]
Scores = Callable[[RegressionForecast], Array]
RegressionMeasure = Measure[RegressionForecast]
RegressionSide = Side[RegressionForecast]
RegressionRule = Rule[RegressionForecast]

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


def _own(forecast: RegressionForecast, name: str) -> Array:
    """Returns a part that is about the spread alone, unless it was borrowed from other passes."""
    if forecast.borrows_spread:
        raise DataError("the spread of a part of the passes is not known, as none were kept")
    return _needed(forecast, name)


def _check_spread(mean: Array, variance: Array) -> None:
    """Raises DataError when a variance is 0, or what rounding in single precision leaves of 0."""
    none = np.sqrt(variance) <= np.finfo(np.float32).eps * np.abs(mean)
    if none.any():
        raise DataError(
            f"the predictive variance of {np.count_nonzero(none)} output(s) is 0, up to rounding, "
            "which makes any miss impossible"
        )


def _squared_error(forecast: RegressionForecast) -> Array:
    return squared_error_per_example(forecast.mean, forecast.y)


def _absolute_error(forecast: RegressionForecast) -> Array:
    return absolute_error_per_example(forecast.mean, forecast.y)


def _log_likelihood(forecast: RegressionForecast) -> Array:
    if forecast.sample_variances is not None:
        return mixture_log_likelihood_per_example(
            _needed(forecast, "samples"), forecast.y, sample_variances=forecast.sample_variances
        )
    variance = _needed(forecast, "variance")
    _check_spread(forecast.mean, variance)
    return gaussian_log_likelihood_per_example(forecast.mean, variance, forecast.y)


def _log_likelihood_note(forecast: RegressionForecast) -> str:
    if forecast.sample_variances is not None:
        return "mixture of the passes' normal distributions"
    basis = "normal distribution of the predictive mean and variance"
    return basis + _noise_note(forecast)


def _noise_note(forecast: RegressionForecast) -> str:
    if forecast.task == "gaussian":
        return ""
    return "; the model states no noise of the targets, so it counts its own uncertainty only"


def _crps(forecast: RegressionForecast) -> Array:
    if forecast.is_point:
        return _absolute_error(forecast)
    samples, variances = forecast.samples, forecast.sample_variances
    if samples is None:
        variance = _needed(forecast, "variance")
        return crps_gaussian_per_example(forecast.mean, variance, forecast.y)
    if variances is None:
        return _crps_of_passes(samples, forecast)
    return crps_gaussian_mixture_per_example(samples, variances, forecast.y)


def _crps_of_passes(samples: Array, forecast: RegressionForecast) -> Array:
    """Returns the fair CRPS: the second mean is over pairs that share no masks.

    With a draws of the first masks, e the score of all passes as they are, and m the mean of
    those of the passes of each draw, that is (a e - m) / (a - 1).
    """
    draws = forecast.num_draws
    if draws == len(samples):
        return crps_per_example(samples, forecast.y)
    whole, *parts = (
        crps_per_example(passes, forecast.y, estimator="ensemble")
        for passes in (samples, *np.split(samples, draws))
    )
    fair: Array = (draws * whole - np.mean(parts, axis=0)) / (draws - 1)
    return fair


def _crps_note(forecast: RegressionForecast) -> str:
    if forecast.sample_variances is not None:
        return "mixture of the passes' normal distributions"
    kept = forecast.samples is not None
    basis = "fair estimator on the passes" if kept else "normal distribution of mean and variance"
    point = "; of a single number it is the absolute error" if forecast.task != "gaussian" else ""
    return basis + point + _noise_note(forecast)


def _interval_coverage(forecast: RegressionForecast) -> Array:
    low, high = _needed(forecast, "low"), _needed(forecast, "high")
    return interval_coverage_per_example(low, high, forecast.y)


def _interval_width(forecast: RegressionForecast) -> Array:
    return interval_width_per_example(_own(forecast, "low"), _own(forecast, "high"))


def _interval_score(forecast: RegressionForecast) -> Array:
    low, high = _needed(forecast, "low"), _needed(forecast, "high")
    return interval_score_per_example(low, high, forecast.y, level=forecast.level)


def _interval_note(forecast: RegressionForecast) -> str:
    return f"central interval of {forecast.level:.4g}" + _noise_note(forecast)


def _mean_variance(name: str) -> Scores:
    """Returns the mean over outputs of one of the forecast's variances."""
    return lambda forecast: mean_per_example(_own(forecast, name))


def _average(scores: Scores) -> Callable[[RegressionForecast], Statistic]:
    return lambda forecast: forecast.units.average(scores(forecast))


def _root_average(scores: Scores) -> Callable[[RegressionForecast], Statistic]:
    return lambda forecast: forecast.units.average(scores(forecast), np.sqrt)


def _rule(
    scores: Scores,
    of_one: Callable[[Array, float], Interval],
    of_two: Callable[[Array, float], Interval],
) -> RegressionRule:
    """Returns the rule of a mean of scores, differences of which are a mean too."""
    return Rule(
        lambda side, level: of_one(scores(side.forecast), level),
        lambda first, second, level: of_two(
            scores(first.forecast) - scores(second.forecast), level
        ),
        resamples=never,
    )


def _root_rule(scores: Scores) -> RegressionRule:
    return Rule(
        lambda side, level: intervals.root_mean_square(scores(side.forecast), level),
        lambda first, second, level: intervals.root_mean_square_difference(
            scores(first.forecast), scores(second.forecast), level
        ),
        resamples=never,
    )


def _real_loss(values: Array, level: float) -> Interval:
    """Returns the interval of a mean loss of either sign."""
    return intervals.regression_loss(values, level, bounds=EVERY_NUMBER)


def _coverage_rule() -> RegressionRule:
    """Returns the rule of the share of outputs inside their intervals."""

    def outputs(side: RegressionSide) -> tuple[Array, int]:
        inside, size = _interval_coverage(side.forecast), side.forecast.y[0].size
        return np.rint(inside * size), size

    def of_one(side: RegressionSide, level: float) -> Interval:
        inside, size = outputs(side)
        if size == 1:
            return intervals.share(int(inside.sum()), inside.size, level)
        return intervals.cluster_share(inside, np.full(inside.size, float(size)), level)

    def of_two(first: RegressionSide, second: RegressionSide, level: float) -> Interval:
        (a, size), (b, _) = outputs(first), outputs(second)
        if size == 1:
            return intervals.paired_share_difference(
                int((a > b).sum()), int((a < b).sum()), a.size, level
            )
        return intervals.cluster_share_difference(a, b, np.full(a.size, float(size)), level)

    return Rule(of_one, of_two, resamples=never)


def _expected_normalized_calibration_error(forecast: RegressionForecast) -> Statistic:
    variance = _own(forecast, "variance")
    _check_spread(forecast.mean, variance)
    if variance.size < NUM_BINS:
        raise DataError(f"it needs at least {NUM_BINS} outputs")
    value = expected_normalized_calibration_error(
        forecast.mean, variance, forecast.y, num_bins=NUM_BINS
    )
    # No rule resamples it, so that it is asked for all examples only.
    return forecast.units.of_examples(lambda weights: np.full(len(weights), value))


_UNBOUNDED_TAILS = intervals.absent(
    "chance lifts it by an amount that depends on tails which the examples do not show"
)


def _deviation(
    name: str, title: str, variance: str, *, is_default: bool = False
) -> RegressionMeasure:
    scores = _mean_variance(variance)
    return Measure(
        name,
        title,
        TARGET_UNIT,
        "neither",
        _root_average(scores),
        _root_rule(scores),
        is_default=is_default,
    )


REGRESSION_MEASURES: tuple[RegressionMeasure, ...] = (
    Measure(
        "root_mean_squared_error",
        "Root mean squared error",
        TARGET_UNIT,
        "lower",
        _root_average(_squared_error),
        _root_rule(_squared_error),
        is_default=True,
    ),
    Measure(
        "log_likelihood",
        "Log-likelihood",
        "nats",
        "higher",
        _average(_log_likelihood),
        _rule(_log_likelihood, intervals.log_likelihood, intervals.log_likelihood),
        is_default=True,
        bounds=EVERY_NUMBER,
        note=_log_likelihood_note,
    ),
    Measure(
        "crps",
        "CRPS",
        TARGET_UNIT,
        "lower",
        _average(_crps),
        _rule(_crps, _real_loss, intervals.student),
        is_default=True,
        bounds=EVERY_NUMBER,
        note=_crps_note,
    ),
    Measure(
        "interval_coverage",
        "Interval coverage",
        "share",
        "neither",
        _average(_interval_coverage),
        _coverage_rule(),
        is_default=True,
        bounds=(0.0, 1.0),
        note=_interval_note,
    ),
    Measure(
        "interval_width",
        "Interval width",
        TARGET_UNIT,
        "neither",
        _average(_interval_width),
        _rule(_interval_width, intervals.regression_loss, _real_loss),
        is_default=True,
        note=_interval_note,
    ),
    _deviation("sharpness", "Sharpness", "variance", is_default=True),
    Measure(
        "mean_absolute_error",
        "Mean absolute error",
        TARGET_UNIT,
        "lower",
        _average(_absolute_error),
        _rule(_absolute_error, intervals.regression_loss, intervals.student),
    ),
    Measure(
        "interval_score",
        "Interval score",
        TARGET_UNIT,
        "lower",
        _average(_interval_score),
        _rule(_interval_score, intervals.interval_score, intervals.interval_score),
        note=_interval_note,
    ),
    Measure(
        "expected_normalized_calibration_error",
        "Expected normalized calibration error",
        "",
        "lower",
        _expected_normalized_calibration_error,
        Rule(lambda *_: _UNBOUNDED_TAILS, lambda *_: _UNBOUNDED_TAILS, resamples=never),
        note=lambda forecast: "about sqrt(10 / (pi N)) by chance when calibrated",
    ),
    _deviation("aleatoric_deviation", "Root mean aleatoric variance", "aleatoric_variance"),
    _deviation("epistemic_deviation", "Root mean epistemic variance", "epistemic_variance"),
)
"""The measures of regression and gaussian predictions, default ones first."""
