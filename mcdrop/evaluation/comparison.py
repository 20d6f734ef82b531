"""Scoring both sides of a prediction, and the intervals of what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import Forecast, Problem
from mcdrop.evaluation.measure import Measure
from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.weighted.bootstrap import (
    Estimate,
    MonteCarloNoise,
    biased_interval,
    fold_noise,
    half_sample_noise,
    percentile_interval,
    resample,
    share_limit,
)
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """One metric of the Monte Carlo prediction beside the deterministic one.

    Attributes:
        name: Name of the metric.
        title: Name for a reader.
        unit: Unit, "" for none.
        better: "higher", "lower" or "neither".
        monte_carlo: The metric of the mean of the passes.
        deterministic: The metric with dropout off; None for what only passes have.
        difference: Monte Carlo minus deterministic, on the same resamples; None likewise.
        floor: Calibration errors only: what chance gives a calibrated model with the Monte
            Carlo confidences.
        deterministic_floor: The same with the deterministic confidences.
        note: What a reader of the number has to know of it, "" for nothing.
    """

    name: str
    title: str
    unit: str
    better: str
    monte_carlo: Estimate
    deterministic: Estimate | None
    difference: Estimate | None
    floor: CalibrationFloor | None = None
    deterministic_floor: CalibrationFloor | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Scored:
    """A measure with what it found.

    Attributes:
        measure: The measure.
        monte_carlo: Its statistic of all passes.
        deterministic: Its statistic without dropout, None where there is none.
        noise: The Monte Carlo noise of `monte_carlo`, None where halves do not tell it.
        floor: The floor of chance with the Monte Carlo confidences, if the measure has one.
        deterministic_floor: The same with the deterministic confidences.
        note: The measure's note.
    """

    measure: Measure[Any]
    monte_carlo: Statistic
    deterministic: Statistic | None
    noise: MonteCarloNoise | None
    floor: CalibrationFloor | None
    deterministic_floor: CalibrationFloor | None
    note: str


def score(
    problem: Problem, measures: Iterable[Measure[Any]]
) -> tuple[list[Scored], dict[str, str]]:
    """Returns what the measures found, and the reason for each that is not defined."""
    monte_carlo, deterministic = problem.monte_carlo(), problem.deterministic()
    found: list[tuple[Measure[Any], Statistic]] = []
    omitted: dict[str, str] = {}
    for measure in measures:
        try:
            found.append((measure, _finite_statistic(measure, monte_carlo)))
        except DataError as error:
            omitted[measure.name] = str(error).rstrip(".")
    noises = _noises(problem, monte_carlo, found)
    scored = [
        Scored(
            measure=measure,
            monte_carlo=statistic,
            deterministic=_statistic_or_none(measure, deterministic),
            noise=noise,
            floor=measure.floor(monte_carlo) if measure.floor else None,
            deterministic_floor=measure.floor(deterministic) if measure.floor else None,
            note=measure.note(monte_carlo),
        )
        for (measure, statistic), noise in zip(found, noises, strict=True)
    ]
    return scored, omitted


def compare(
    problem: Problem, scored: Sequence[Scored], *, num_resamples: int, seed: int
) -> tuple[Comparison, ...]:
    """Returns the comparisons, all of them on the same resamples."""
    sides = [item.monte_carlo for item in scored]
    sides += [item.deterministic for item in scored if item.deterministic is not None]
    drawn = resample(
        [side.resampled for side in sides],
        len(problem.prediction),
        num_resamples=num_resamples,
        seed=seed,
    )
    # Where resamples round the scores, what rounding shifts on the data it shifts on them.
    drawn += np.array([[side.value - side.plain] for side in sides])
    others = iter(drawn[len(scored) :])
    comparisons = []
    for item, row in zip(scored, drawn, strict=False):
        other = next(others) if item.deterministic is not None else None
        comparisons.append(_comparison(problem, item, row, other))
    return tuple(comparisons)


def _finite_statistic(measure: Measure[Any], forecast: Forecast) -> Statistic:
    """Returns the measure's statistic; DataError where its value is not a finite number."""
    statistic = measure.statistic(forecast)
    if not np.isfinite(statistic.plain):
        raise DataError(f"its value is {statistic.plain}")
    return statistic


def _statistic_or_none(measure: Measure[Any], forecast: Forecast) -> Statistic | None:
    """Returns the measure's statistic, None where it is not defined."""
    try:
        return _finite_statistic(measure, forecast)
    except DataError:
        return None


def _noises(
    problem: Problem, monte_carlo: Forecast, found: Sequence[tuple[Measure[Any], Statistic]]
) -> list[MonteCarloNoise | None]:
    """Returns the Monte Carlo noise of each measure; None where halves do not tell it."""
    shares = []
    rows = []
    for share, half in problem.halves():
        statistics = [_statistic_or_none(measure, half) for measure, _ in found]
        rows.append([np.nan if each is None else each.plain for each in statistics])
        shares.append(share)
    whole = problem.uncorrected(monte_carlo)
    noises: list[MonteCarloNoise | None] = []
    for (measure, statistic), values in zip(found, np.array(rows).T, strict=True):
        base = _statistic_or_none(measure, whole)
        if base is None or np.isnan(values).any():
            noises.append(None)
            continue
        noise = half_sample_noise(base.plain, values, np.array(shares), problem.num_groups)
        corrected = statistic.plain - base.plain
        noises.append(replace(noise, shift=noise.shift - corrected))
    return noises


def _comparison(
    problem: Problem, item: Scored, drawn: Array, other_drawn: Array | None
) -> Comparison:
    """Returns one measure's comparison from its values on the resamples."""
    rules = _IntervalRules(item.measure, problem.level, len(problem.prediction))
    value = item.monte_carlo.value
    deterministic = difference = None
    if item.deterministic is not None and other_drawn is not None:
        other = item.deterministic.value
        deterministic = rules.side(other, other_drawn, None, item.deterministic_floor)
        difference = rules.difference(
            value - other,
            drawn - other_drawn,
            item.noise,
            (_by_chance(value, item.floor), _by_chance(other, item.deterministic_floor)),
        )
    return Comparison(
        name=item.measure.name,
        title=item.measure.title,
        unit=item.measure.unit,
        better=item.measure.better,
        monte_carlo=rules.side(value, drawn, item.noise, item.floor),
        deterministic=deterministic,
        difference=difference,
        floor=item.floor,
        deterministic_floor=item.deterministic_floor,
        note=item.note,
    )


@dataclass(frozen=True)
class _IntervalRules:
    """How the intervals of one measure are made."""

    measure: Measure[Any]
    level: float
    num_examples: int

    def side(
        self,
        value: float,
        drawn: Array,
        noise: MonteCarloNoise | None,
        floor: CalibrationFloor | None,
    ) -> Estimate:
        """Returns the estimate of one side, its interval within the measure's bounds."""
        low, high = self._over_examples(value, drawn)
        if self.measure.is_share and (drawn == value).all():
            reach = share_limit(self.num_examples, self.level)
            low, high = value - reach, value + reach
        estimate = self._folded(value, (low, high), noise)
        lowest, highest = self.measure.bounds
        low, high = max(estimate.low, lowest), min(estimate.high, highest)
        return replace(estimate, low=min(low, value - _by_chance(value, floor)), high=high)

    def difference(
        self,
        value: float,
        drawn: Array,
        noise: MonteCarloNoise | None,
        by_chance: tuple[float, float],
    ) -> Estimate:
        """Returns the estimate of a difference of two sides, part of which may be chance."""
        low, high = self._over_examples(value, drawn)
        if self.measure.is_share and (drawn == 0.0).all():
            reach = share_limit(self.num_examples, self.level)
            low, high = value - reach, value + reach
        estimate = self._folded(value, (low, high), noise)
        return replace(estimate, low=estimate.low - by_chance[0], high=estimate.high + by_chance[1])

    def _over_examples(self, value: float, drawn: Array) -> tuple[float, float]:
        if self.measure.is_biased:
            return biased_interval(value, drawn, self.level)
        return percentile_interval(drawn, self.level)

    def _folded(
        self, value: float, interval: tuple[float, float], noise: MonteCarloNoise | None
    ) -> Estimate:
        """Returns the estimate with the noise of the passes in its interval.

        The interval is made to hold the value, which rounding can put outside when all
        resamples agree.
        """
        low, high = interval
        if noise is not None:
            low, high = fold_noise(value, interval, noise, self.level)
        error = None if noise is None else noise.error
        return Estimate(value, min(low, value), max(high, value), error)


def _by_chance(value: float, floor: CalibrationFloor | None) -> float:
    """Returns how much of a calibration error chance alone can give: all of it, or nothing."""
    return value if floor is not None and value <= floor.high else 0.0
