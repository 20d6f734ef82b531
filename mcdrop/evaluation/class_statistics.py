"""The metrics of class tasks as statistics of a ClassForecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.weighted import calibration as weighted_calibration
from mcdrop.weighted import classwise, kernel_calibration
from mcdrop.weighted.arrays import OfWeights, TiedGroups
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]
Compute = Callable[[ClassForecast], Statistic]
MakeStatistic = Callable[[Array, Array], OfWeights]
RankingStatistic = Callable[[Array | TiedGroups, Array], OfWeights]

NUM_BINS = 15
TOP_K = 5
BANDWIDTH = 0.5
MOST_PAIRED_UNITS = 20_000
"""Units above which errors that compare pairs are left out: they would take minutes."""

FLOOR_DRAWS = 3_000_000
"""Bound on the simulated units of a floor: 1,000 simulations up to 3,000 units."""

LABEL_DRAWS = 300_000
"""The same for the errors whose simulation costs more: 30 simulations of 10,000 units."""


def average(scores: Callable[[ClassForecast], Array]) -> Compute:
    """Returns the mean over units of scores that each forecast has."""
    return lambda forecast: forecast.units.average(scores(forecast))


def top_k_hits(forecast: ClassForecast) -> Array:
    """Returns 1 for each unit whose label is among the k most probable classes, else 0."""
    if forecast.num_classes <= TOP_K:
        raise DataError(f"it needs more than {TOP_K} classes")
    # Of tied classes the first come first, as a stable sort would have it.
    rows = np.arange(forecast.labels.size)
    table, chosen = forecast.probabilities, forecast.columns.chosen[:, np.newaxis]
    before = np.arange(forecast.num_classes) < forecast.labels[rows, np.newaxis]
    ahead = (table > chosen) | ((table == chosen) & before)
    return np.asarray((ahead.sum(axis=1) < TOP_K).astype(np.float64))


def brier_part(part: str) -> Compute:
    """Returns the "reliability" or the "resolution" of the Brier score."""

    def statistic(forecast: ClassForecast) -> Statistic:
        of_weights = classwise.brier_parts_statistic(
            forecast.probabilities, forecast.labels, num_bins=NUM_BINS, parts=(part,)
        )
        return forecast.units.of_units(lambda weights: of_weights(weights)[:, 0])

    return statistic


def calibration(make: MakeStatistic) -> Compute:
    """Returns the measure of confidence against correctness that `make` computes."""
    return lambda forecast: forecast.units.of_scores(make, forecast.confidence, forecast.correct)


def binned(strategy: str, norm: str) -> Compute:
    """Returns the binned calibration error of the top label."""
    return calibration(
        lambda confidence, correct: weighted_calibration.binned_calibration_statistic(
            confidence, correct, num_bins=NUM_BINS, strategy=strategy, norm=norm
        )
    )


def gap_movement(norm: str) -> Compute:
    """Returns how far a resample moves the gaps of the bins, in the "l1" or the "l2" norm."""
    return calibration(
        lambda confidence, correct: weighted_calibration.gap_movement_statistic(
            confidence, correct, num_bins=NUM_BINS, norm=norm
        )
    )


def squared_gaps(forecast: ClassForecast) -> Array:
    """Returns the squared gap of the bin of each unit, whose mean is the squared error."""
    confidence = np.asarray(forecast.confidence, dtype=np.float64)
    return np.square(
        weighted_calibration.gap_per_example(confidence, forecast.correct, num_bins=NUM_BINS)
    )


def binned_floor(strategy: str, norm: str) -> Callable[[ClassForecast], CalibrationFloor]:
    """Returns the floor of `binned`."""

    def floor(forecast: ClassForecast) -> CalibrationFloor:
        errors = weighted_calibration.errors_by_chance(
            np.asarray(forecast.confidence, dtype=np.float64),
            num_bins=NUM_BINS,
            strategy=strategy,
            norm=norm,
            num_simulations=int(np.clip(FLOOR_DRAWS // forecast.labels.size, 20, 1000)),
            seed=0,
        )
        return CalibrationFloor.of(errors)

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
        return CalibrationFloor.of(np.array(values))

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
    statistic = classwise.classwise_calibration_statistic(
        forecast.probabilities, forecast.labels, num_bins=NUM_BINS, strategy="uniform", norm="l1"
    )
    return forecast.units.of_units(statistic)


def full_calibration_error(forecast: ClassForecast) -> Statistic:
    """Returns the kernel calibration error of the whole probability vector."""
    num_units = forecast.labels.size
    if num_units > MOST_PAIRED_UNITS:
        raise DataError(f"it compares pairs, too many with {num_units} units")
    statistic = kernel_calibration.kernel_calibration_statistic(
        forecast.probabilities, forecast.labels, bandwidth=BANDWIDTH
    )
    return forecast.units.of_units(statistic)


def uncertainty_calibration_error(forecast: ClassForecast) -> Statistic:
    """Returns how far the entropy over log C is from the error rate."""
    scores = np.minimum(forecast.predictive_entropy / np.log(forecast.num_classes), 1.0)

    def make(uncertainty: Array, error: Array) -> OfWeights:
        return weighted_calibration.binned_calibration_statistic(
            uncertainty, error, num_bins=NUM_BINS, strategy="uniform", norm="l1"
        )

    return forecast.units.of_scores(make, scores, forecast.error)


def ranking(make: RankingStatistic) -> Compute:
    """Returns the measure of predictive entropy against errors that `make` computes."""

    def statistic(forecast: ClassForecast) -> Statistic:
        if forecast.units.example is None:
            return forecast.units.of_examples(make(forecast.ranking, forecast.error))
        return forecast.units.of_scores(make, forecast.predictive_entropy, forecast.error)

    return statistic


def detection(make: RankingStatistic) -> Compute:
    """Returns the measure of how well the predictive entropy tells errors from right answers."""
    ranked = ranking(make)

    def statistic(forecast: ClassForecast) -> Statistic:
        if forecast.correct.min() == forecast.correct.max():
            which = "right" if forecast.correct[0] else "wrong"
            raise DataError(f"every prediction is {which}, so there is nothing to tell apart")
        return ranked(forecast)

    return statistic


def known(name: str) -> Callable[[ClassForecast], Array]:
    """Returns the reader of an uncertainty that some forecasts do not have."""

    def scores(forecast: ClassForecast) -> Array:
        values: Array | None = getattr(forecast, name)
        if values is None:
            raise DataError("it compares passes, of which this forecast has none")
        return values

    return scores


def entropy_note(forecast: ClassForecast) -> str:
    """Returns what the number of passes does to a part of the predictive entropy, or to all."""
    if forecast.expected_entropy is None:
        return ""
    return (
        "of the passes at hand, not corrected for their number; with infinitely many it would be "
        "higher, and the interval reaches there"
    )
