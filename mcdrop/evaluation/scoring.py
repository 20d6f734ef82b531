"""Every measure of every forecast: values, resamples, the noise of passes, and intervals.

Two sources of chance lie between a metric and the value that matters. The examples are a
sample: the functions of `mcdrop.intervals` say what that allows, some from resamples that all
forecasts share, so that what they have in common cancels in their differences. The passes are a
sample too: halves of them tell how far a metric strays, and `fold_noise` widens the interval
over examples by that, in a difference by the noise of both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import ClassForecast, Forecast, are_equal
from mcdrop.evaluation.measures import Measure, Side, nothing
from mcdrop.evaluation.records import UNKNOWN_NOISE, Estimate
from mcdrop.evaluation.sources import Source
from mcdrop.intervals import Interval, absent
from mcdrop.weighted.arrays import BLOCK_ELEMENTS, ROUNDING
from mcdrop.weighted.halves import (
    MonteCarloNoise,
    fold_noise,
    half_sample_noise,
    noise_of_difference,
)
from mcdrop.weighted.resampling import NUM_PSEUDO, draw_weights
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]
AnyMeasure = Measure[Any]
OnHalf = Callable[[str, float, Forecast], None]

NUM_PSEUDO_OF_UNITS = 16
"""Pseudo-examples where each holds many units: every one is as costly as an image."""

MOST_RESAMPLES_OF_COSTLY = 200

MOST_HALVES_OF_COSTLY = 4
"""Two pairs of halves: the noise is rougher, and Student's quantile allows for some of that."""

NO_NOISE = MonteCarloNoise(error=0.0, shift=0.0, degrees=1)
SINGLE_PRECISION = 1e-6
"""Difference, relative to the values, that passes in single precision make of equal forecasts."""

NO_VARIATION = "it is the same in every resample, so the data do not tell how far it may vary"
NOT_ASKED = "point values alone were asked for"


@dataclass(frozen=True, eq=False)
class Score:
    """One measure of one forecast.

    Attributes:
        measure: The measure.
        source: The forecast, with its passes.
        side: What a rule may need.
        statistic: The measure as a function of example weights.
        halves: The measure on halves of the passes, shape (K,).
        shares: Share of the passes in each half, shape (K,).
    """

    measure: AnyMeasure
    source: Source
    side: Side[Any]
    statistic: Statistic
    halves: Array = field(default_factory=nothing)
    shares: Array = field(default_factory=nothing)

    @property
    def noise(self) -> MonteCarloNoise | None:
        """The noise of the passes, none of them without passes; None where it is not known."""
        if self.source.num_groups == 0:
            return NO_NOISE
        if np.isnan(self.halves).any() or not self.halves.size:
            return None
        return half_sample_noise(
            self.statistic.plain, self.halves, self.shares, self.source.num_groups
        )

    def estimate(self, level: float, *, resampled: bool) -> Estimate:
        """Returns the value with its interval."""
        interval = self.measure.rule.of_one(self.side, level) if resampled else absent(NOT_ASKED)
        noise = self.noise
        found = _estimate(self.side.value, interval, noise or NO_NOISE, level, self.measure.bounds)
        known = noise is not None and self.source.num_groups > 0
        floor = self.side.floor
        if floor is not None and found.value <= floor.high:  # nothing but chance may be in it
            found = replace(found, low=min(found.low, self.measure.bounds[0]))
        return replace(found, monte_carlo_error=noise.error if noise and known else None)


def difference(first: Score, second: Score, level: float, *, resampled: bool) -> Estimate:
    """Returns the first less the second, with the noise of examples and of both sides' passes."""
    value = first.side.value - second.side.value
    noise = _noise_of(first, second)
    if not resampled:
        interval = absent(NOT_ASKED)
    elif noise is None:
        interval = absent(UNKNOWN_NOISE)
    else:
        interval = first.measure.rule.of_two(first.side, second.side, level)
    found = _estimate(
        value,
        interval,
        noise or NO_NOISE,
        level,
        first.measure.difference_bounds,
        is_fixed=are_equal(first.side.forecast, second.side.forecast),
    )
    size = max(abs(first.side.value), abs(second.side.value))
    if max(abs(found.low), abs(found.high)) <= SINGLE_PRECISION * size:
        found = replace(found, low=min(found.low, 0.0), high=max(found.high, 0.0))
    has_passes = noise is not None and max(first.source.num_groups, second.source.num_groups) > 0
    return replace(found, monte_carlo_error=noise.error if noise and has_passes else None)


def _noise_of(first: Score, second: Score) -> MonteCarloNoise | None:
    """Returns the noise of a difference: of the same passes, or of independent ones."""
    noises = first.noise, second.noise
    if noises[0] is None or noises[1] is None:
        return None
    if first.source.shares_passes(second.source):
        return half_sample_noise(
            first.statistic.plain - second.statistic.plain,
            first.halves - second.halves,
            first.shares,
            first.source.num_groups,
        )
    return noise_of_difference(noises[0], noises[1])


def _estimate(
    value: float,
    interval: Interval,
    noise: MonteCarloNoise,
    level: float,
    bounds: tuple[float, float],
    *,
    is_fixed: bool = False,
) -> Estimate:
    """Returns the estimate, the noise in its interval, which holds the value.

    A value that is the same in every resample has none, unless it `is_fixed`: what no other
    examples could have made another.
    """
    if not interval.defined:
        return Estimate(value, np.nan, np.nan, reason=interval.reason)
    reach = bounds[1] - bounds[0]
    scale = reach if np.isfinite(reach) else max(abs(interval.low), abs(interval.high))
    if interval.high - interval.low <= ROUNDING * scale and not is_fixed:
        return Estimate(value, np.nan, np.nan, reason=NO_VARIATION)
    # Rounding, and the rules that shift an interval, can leave the value outside.
    ends = min(interval.low, value), max(interval.high, value)
    low, high = fold_noise(value, ends, noise, level)
    return Estimate(value, max(low, min(bounds[0], value)), min(high, max(bounds[1], value)))


def score(
    sources: Mapping[str, Source],
    measures: Sequence[AnyMeasure],
    *,
    num_resamples: int,
    seed: int,
    on_half: OnHalf | None = None,
) -> tuple[dict[str, dict[str, Score]], dict[str, dict[str, str]]]:
    """Returns the score of each measure and forecast, and the reasons of those not defined.

    Args:
        sources: The forecasts by name.
        measures: What to compute.
        num_resamples: R; with 0 nothing is resampled, nor are halves of the passes looked at.
        seed: Seed of the resamples.
        on_half: Called with the name of each forecast, and the share of the passes and the
            forecast of each half of them, so that halves are made once.
    """
    scores: dict[str, dict[str, Score]] = {measure.name: {} for measure in measures}
    omitted: dict[str, dict[str, str]] = {measure.name: {} for measure in measures}
    for name, source in sources.items():
        for measure in measures:
            try:
                statistic = _finite_statistic(measure, source.forecast)
            except DataError as error:
                omitted[measure.name][name] = str(error).rstrip(".")
                continue
            floor = measure.floor(source.forecast) if measure.floor and num_resamples else None
            side: Side[Any] = Side(source.forecast, statistic.value, floor)
            scores[measure.name][name] = Score(measure, source, side, statistic)
    if num_resamples:
        _add_halves(sources, scores, on_half)
        _add_resamples(sources, scores, num_resamples, seed)
    return scores, omitted


def _finite_statistic(measure: AnyMeasure, forecast: Forecast) -> Statistic:
    """Returns the measure's statistic; DataError where its value is not a finite number."""
    statistic = measure.statistic(forecast)
    if not np.isfinite(statistic.plain):
        raise DataError(f"its value is {statistic.plain}")
    return statistic


def _plain_or_nan(measure: AnyMeasure, forecast: Forecast) -> float:
    """Returns the measure of a forecast, NaN where it is not defined."""
    try:
        return float(measure.statistic(forecast).plain)
    except DataError:
        return np.nan


def _add_halves(
    sources: Mapping[str, Source], scores: dict[str, dict[str, Score]], on_half: OnHalf | None
) -> None:
    """Puts the values on halves of the passes into the scores."""
    for name, source in sources.items():
        mine = [found[name] for found in scores.values() if name in found]
        if source.num_groups == 0 or not mine:
            continue
        shares: list[float] = []
        rows: list[list[float]] = []
        for share, half in source.halves():
            is_spared = len(shares) >= MOST_HALVES_OF_COSTLY
            rows.append(
                [
                    np.nan
                    if is_spared and each.measure.is_costly
                    else _plain_or_nan(each.measure, half)
                    for each in mine
                ]
            )
            shares.append(share)
            if on_half is not None:
                on_half(name, share, half)
        for each, values in zip(mine, np.reshape(rows, (len(shares), len(mine))).T, strict=True):
            seen = slice(MOST_HALVES_OF_COSTLY if each.measure.is_costly else None)
            scores[each.measure.name][name] = replace(
                each, halves=values[seen], shares=np.array(shares)[seen]
            )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What is resampled of one score."""

    score: Score
    name: str
    wrong: Statistic
    right: Statistic
    companion: Statistic | None

    def add(self, rows: Array, parts: tuple[list[Array], ...]) -> None:
        """Appends the values of each statistic on some resamples to its part."""
        for statistic, part in zip((self.wrong, self.right, self.companion), parts, strict=True):
            if statistic is not None:
                part.append(_rounded(statistic, self.score, statistic.resampled(rows)))


def _add_resamples(
    sources: Mapping[str, Source],
    scores: dict[str, dict[str, Score]],
    num_resamples: int,
    seed: int,
) -> None:
    """Puts the values on resamples into the scores whose rules need them."""
    needed = [
        (name, each)
        for found in scores.values()
        for name, each in found.items()
        if each.measure.rule.resamples(each.side.forecast)
    ]
    if not needed:
        return
    first = next(iter(sources.values())).forecast
    num_examples = first.units.num_examples
    extended, num_pseudo = _extended(sources, seed)
    drawn = [_prepared(name, each, extended) for name, each in needed]
    values: list[tuple[list[Array], ...]] = [([], [], []) for _ in drawn]
    atoms: list[Array] = []
    done = 0
    for block in draw_weights(num_examples, num_resamples, seed=seed, num_pseudo=num_pseudo):
        weights = block.extended()
        scale = num_examples / (block.examples.sum(axis=1) + block.pseudo)
        atoms.append(block.half * scale)
        if not isinstance(first, ClassForecast):  # numbers have no labels to be wrong
            weights = block.examples * (num_examples / block.examples.sum(axis=1, keepdims=True))
        pairs = list(zip(drawn, values, strict=True))
        step = max(1, BLOCK_ELEMENTS // weights.shape[1])
        for start in range(0, len(weights), step):  # all measures of a few rows, then the next
            rows = weights[start : start + step]
            for item, parts in pairs:
                if not item.score.measure.is_costly:
                    item.add(rows, parts)
        for item, parts in pairs:
            if item.score.measure.is_costly and done < MOST_RESAMPLES_OF_COSTLY:
                item.add(weights[: MOST_RESAMPLES_OF_COSTLY - done], parts)
        done += len(weights)
    for item, parts in zip(drawn, values, strict=True):
        wrong, right, companion = (np.concatenate(p) if p else np.empty(0) for p in parts)
        side = replace(
            item.score.side,
            wrong=wrong,
            right=right,
            companion=companion,
            atoms=np.concatenate(atoms),
        )
        scores[item.score.measure.name][item.name] = replace(item.score, side=side)


def _rounded(statistic: Statistic, score: Score, values: Array) -> Array:
    """Returns values on resamples, moved by what rounding scores moves on the data themselves."""
    base = score.statistic
    return values + (base.value - base.plain) if base.exact is not None else values


def _prepared(name: str, score: Score, extended: Mapping[str, tuple[Forecast, Forecast]]) -> _Drawn:
    measure = score.measure
    wrong, right = extended[name]
    companion = measure.rule.companion
    return _Drawn(
        score,
        name,
        measure.statistic(wrong),
        measure.statistic(right),
        None if companion is None else companion(right),
    )


def _extended(
    sources: Mapping[str, Source], seed: int
) -> tuple[dict[str, tuple[Forecast, Forecast]], int]:
    """Returns each forecast with pseudo-examples, wrongly and rightly labelled, and their number.

    A pseudo-example repeats a random example. Its right label is what one of the forecasts,
    drawn at random, predicts; its wrong one another, drawn by the odds that all of them give.
    """
    forecasts = [source.forecast for source in sources.values()]
    first = forecasts[0]
    if not isinstance(first, ClassForecast):
        return {name: (source.forecast, source.forecast) for name, source in sources.items()}, 1
    generator = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    num_pseudo = NUM_PSEUDO if first.units.example is None else NUM_PSEUDO_OF_UNITS
    rows = generator.integers(first.units.num_examples, size=num_pseudo)
    _, units = first.units.repeated(rows)
    classes = [each for each in forecasts if isinstance(each, ClassForecast)]
    mixed = sum(each.table(units).astype(np.float64) for each in classes)
    chosen = generator.integers(len(classes), size=units.size)
    predicted = np.stack([each.columns.predicted[units] for each in classes])
    right = predicted[chosen, np.arange(units.size)]
    wrong = _other_class(np.asarray(mixed), right, generator)
    return {
        name: (source.forecast.extended(rows, wrong), source.forecast.extended(rows, right))
        for name, source in sources.items()
        if isinstance(source.forecast, ClassForecast)
    }, num_pseudo


def _other_class(
    probabilities: Array, label: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Returns a class other than the label, drawn by the odds of the probabilities."""
    rows = np.arange(label.size)
    odds = np.maximum(probabilities, 1e-12)
    odds[rows, label] = 0.0
    reached = np.cumsum(odds, axis=1)
    drawn = generator.random((label.size, 1)) * reached[:, -1:]
    return np.asarray((reached < drawn).sum(axis=1))
