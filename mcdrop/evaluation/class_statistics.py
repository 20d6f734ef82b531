"""The metrics of class tasks as statistics of a ClassForecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.metrics.calibration import CalibrationFloor, calibration_error_floor
from mcdrop.metrics.scoring import (
    brier_score_per_example,
    negative_log_likelihood_per_example,
    top_k_accuracy_per_example,
)
from mcdrop.weighted import calibration as weighted_calibration
from mcdrop.weighted.arrays import divide
from mcdrop.weighted.bootstrap import Resampled
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]
Compute = Callable[[ClassForecast], Statistic]

NUM_BINS = 15
TOP_K = 5
BANDWIDTH = 0.5
MOST_PAIRED_UNITS = 20_000
"""Units above which errors that compare pairs are left out: they would take minutes."""

FLOOR_DRAWS = 50_000_000
"""Bound on the simulated units of a floor: 1,000 simulations up to 50,000 units."""

LABEL_DRAWS = 500_000
"""The same for the errors whose simulation costs more: 50 simulations of 10,000 units."""


def accuracy(forecast: ClassForecast) -> Statistic:
    """Returns the share of units whose most probable class is the label."""
    return forecast.units.average(forecast.correct)


def top_k_accuracy(forecast: ClassForecast) -> Statistic:
    """Returns the share of units whose label is among the k most probable classes."""
    if forecast.probabilities.shape[1] <= TOP_K:
        raise DataError(f"it needs more than {TOP_K} classes")
    hits = top_k_accuracy_per_example(forecast.probabilities, forecast.labels, k=TOP_K)
    return forecast.units.average(hits)


def negative_log_likelihood(forecast: ClassForecast) -> Statistic:
    """Returns the mean loss of the labels in nats."""
    losses = negative_log_likelihood_per_example(forecast.probabilities, forecast.labels)
    return forecast.units.average(losses)


def brier_score(forecast: ClassForecast) -> Statistic:
    """Returns the mean squared distance from the one-hot labels."""
    return forecast.units.average(brier_score_per_example(forecast.probabilities, forecast.labels))


def brier_part(part: int) -> Compute:
    """Returns a part of the Brier score: 0 is the reliability, 1 the resolution."""

    def statistic(forecast: ClassForecast) -> Statistic:
        components = weighted_calibration.brier_components(
            forecast.probabilities, forecast.labels, num_bins=NUM_BINS
        )
        return forecast.units.of_units(lambda weights: components(weights)[part])

    return statistic


def calibration(make: Callable[[Array, Array], Resampled]) -> Compute:
    """Returns the measure of confidence against correctness that `make` computes."""
    return lambda forecast: forecast.units.of_scores(make, forecast.confidence, forecast.correct)


def binned(strategy: str, norm: str) -> Compute:
    """Returns the binned calibration error of the top label."""
    return calibration(
        lambda confidence, correct: weighted_calibration.binned_calibration_statistic(
            confidence, correct, num_bins=NUM_BINS, strategy=strategy, norm=norm
        )
    )


def binned_floor(strategy: str, norm: str) -> Callable[[ClassForecast], CalibrationFloor]:
    """Returns the floor of `binned`."""

    def floor(forecast: ClassForecast) -> CalibrationFloor:
        num_simulations = int(np.clip(FLOOR_DRAWS // forecast.labels.size, 20, 1000))
        return calibration_error_floor(
            forecast.probabilities,
            num_bins=NUM_BINS,
            strategy=strategy,
            norm=norm,
            num_simulations=num_simulations,
        )

    return floor


def simulated_floor(
    statistic: Compute,
) -> Callable[[ClassForecast], CalibrationFloor]:
    """Returns the floor of any calibration error, by labels drawn from the probabilities."""

    def floor(forecast: ClassForecast) -> CalibrationFloor:
        num_units = forecast.labels.size
        generator = np.random.default_rng(0)
        reached = forecast.probabilities.cumsum(axis=1)[:, :-1]
        values = []
        for _ in range(int(np.clip(LABEL_DRAWS // num_units, 20, 200))):
            labels = (reached < generator.random((num_units, 1))).sum(axis=1)
            values.append(statistic(replace(forecast, labels=labels)).plain)
        low, high = np.quantile(values, [0.025, 0.975])
        return CalibrationFloor(mean=float(np.mean(values)), low=float(low), high=float(high))

    return floor


def floor_note(forecast: ClassForecast) -> str:
    """Returns what the floors leave out."""
    if forecast.units.example is None:
        return ""
    return (
        "the floor takes the units of one example as independent; it is higher where they are not"
    )


def classwise_calibration_error(forecast: ClassForecast) -> Statistic:
    """Returns the mean over classes of the error of one class against the rest."""
    statistic = weighted_calibration.classwise_calibration_statistic(
        forecast.probabilities, forecast.labels, num_bins=NUM_BINS, strategy="uniform", norm="l1"
    )
    return forecast.units.of_units(statistic)


def full_calibration_error(forecast: ClassForecast) -> Statistic:
    """Returns the kernel calibration error of the whole probability vector."""
    num_units = forecast.labels.size
    if num_units > MOST_PAIRED_UNITS:
        raise DataError(f"it compares pairs, too many with {num_units} units")
    statistic = weighted_calibration.kernel_calibration_statistic(
        forecast.probabilities, forecast.labels, bandwidth=BANDWIDTH
    )
    return forecast.units.of_units(statistic)


def uncertainty_calibration_error(forecast: ClassForecast) -> Statistic:
    """Returns how far the entropy over log C is from the error rate."""
    scale = np.log(forecast.probabilities.shape[1])
    scores = np.minimum(forecast.predictive_entropy / scale, 1.0)

    def make(uncertainty: Array, error: Array) -> Resampled:
        return weighted_calibration.binned_calibration_statistic(
            uncertainty, error, num_bins=NUM_BINS, strategy="uniform", norm="l1"
        )

    return forecast.units.of_scores(make, scores, 1.0 - forecast.correct)


def ranking(make: Callable[[Array, Array], Resampled]) -> Compute:
    """Returns the measure of predictive entropy against errors that `make` computes."""
    return lambda forecast: forecast.units.of_scores(
        make, forecast.predictive_entropy, 1.0 - forecast.correct
    )


def detection(
    make: Callable[[Array, NDArray[np.bool_]], Resampled],
) -> Compute:
    """Returns the measure of how well the predictive entropy tells errors from right answers."""
    ranked = ranking(lambda uncertainty, error: make(uncertainty, error > 0))

    def statistic(forecast: ClassForecast) -> Statistic:
        if forecast.correct.min() == forecast.correct.max():
            which = "right" if forecast.correct[0] else "wrong"
            raise DataError(f"every prediction is {which}, so there is nothing to tell apart")
        return ranked(forecast)

    return statistic


def known(name: str) -> Compute:
    """Returns the mean of an uncertainty of the forecast, which some forecasts do not have."""

    def statistic(forecast: ClassForecast) -> Statistic:
        values: Array | None = getattr(forecast, name)
        if values is None:
            raise DataError("it compares passes, of which a recalibrated mean has none")
        return forecast.units.average(values)

    return statistic


def mean_intersection_over_union(forecast: ClassForecast) -> Statistic:
    """Returns the mean intersection over union of the classes that occur."""
    if not forecast.dense:
        raise DataError("it is defined for dense outputs")
    hits, union = _class_counts(forecast)

    def mean_over_classes(weights: Array) -> Array:
        ratios = divide(weights @ hits, weights @ union, np.nan)
        occurring = (~np.isnan(ratios)).sum(axis=1)
        return divide(np.nansum(ratios, axis=1), occurring, np.nan)

    return forecast.units.of_examples(mean_over_classes)


def _class_counts(forecast: ClassForecast) -> tuple[Array, Array]:
    """Returns the pixels in intersection and union of each class, both of shape (n, C)."""
    num_classes = forecast.probabilities.shape[1]
    predicted = forecast.probabilities.argmax(axis=1)

    def count(classes: NDArray[np.int64], chosen: Array) -> Array:
        of_class = [forecast.units.sums(chosen * (classes == c)) for c in range(num_classes)]
        return np.stack(of_class, axis=1)

    everywhere = np.ones(forecast.labels.size)
    hits = count(forecast.labels, forecast.correct)
    union = count(forecast.labels, everywhere) + count(predicted, everywhere) - hits
    return hits, union
