"""Values with their intervals as the cells of tables, and the rows of the tables of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan

from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.formatting import (
    decimals_for,
    decimals_of,
    interval,
    percent,
    signed,
    value_text,
)
from mcdrop.evaluation.records import ComparedMetric, Estimate, MetricComparison
from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.report.content import ComparisonContent, RepairedMetric

OF_DISTRIBUTIONS = ("log_likelihood", "crps")
"""Scores in which any spread beats a point forecast, whatever its worth."""

READINGS = {
    "better": "better",
    "worse": "worse",
    "unclear": "no clear difference",
    "unknown": "cannot be judged",
    "same": "the same",
}
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "neither": ""}


@dataclass(frozen=True)
class Cell:
    """A value as text, and below it its interval or why there is none."""

    value: str
    detail: str

    def __str__(self) -> str:
        """Returns both in a line."""
        return f"{self.value} {self.detail}".rstrip()


@dataclass(frozen=True)
class Bar:
    """A value and its interval as shares of a drawing's width; right is better."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricRow:
    """One row of a table that sets two forecasts side by side.

    Attributes:
        title: Name of the metric.
        note: Unit, direction and noise floor.
        first: Cell of the first side.
        second: Cell of the second, None when it has no such quantity.
        difference: Cell of the difference, likewise.
        reading: As `direction` says; empty when there is nothing to compare.
        words: The reading in words.
        bar: The difference, right of the middle being better; None where nothing is better.
    """

    title: str
    note: str
    first: Cell
    second: Cell | None
    difference: Cell | None
    reading: str
    words: str
    bar: Bar | None


def metric_rows(evaluation: Evaluation) -> list[MetricRow]:
    """Returns one row a metric: MC dropout, and then the deterministic prediction."""
    rows = []
    for each in evaluation.comparisons:
        sides = (each.monte_carlo, each.deterministic, each.difference)
        row = _row(each, sides, each.floor, each.note)
        if is_unfair(evaluation, each.name) and each.difference is not None:
            row = replace(row, reading="", words="set against a point", bar=None)
        rows.append(row)
    return rows


def is_unfair(evaluation: Evaluation, name: str) -> bool:
    """Returns whether a metric sets the spread of the passes against a point forecast."""
    is_point = evaluation.prediction.deterministic_variance is None
    return name in OF_DISTRIBUTIONS and is_point


def repaired_rows(metrics: Sequence[RepairedMetric]) -> list[MetricRow]:
    """Returns one row a metric: before, and then after recalibration."""
    return [_row(m, (m.before, m.after, m.difference), m.floor, "") for m in metrics]


def _row(
    metric: MetricComparison | RepairedMetric,
    sides: tuple[Estimate, Estimate | None, Estimate | None],
    floor: CalibrationFloor | None,
    note: str,
) -> MetricRow:
    first, second, difference = sides
    share = metric.unit == "share"
    decimals = decimals_of(sides, as_percent=share)
    compared = difference is not None and metric.better != "neither"
    found = direction(difference, metric.better) if compared and difference else ""
    return MetricRow(
        title=metric.title,
        note=_note(metric.unit, metric.better, floor, note),
        first=cell(first, as_percent=share, decimals=decimals),
        second=cell(second, as_percent=share, decimals=decimals) if second else None,
        difference=difference_cell(difference, as_percent=share, decimals=decimals)
        if difference
        else None,
        reading=found,
        words=READINGS.get(found, ""),
        bar=_bar(difference, metric.better),
    )


def direction(difference: Estimate | None, better: str) -> str:
    """Returns "better", "worse", "unclear", or of a difference without interval "unknown".

    "same" is one that has none because it is 0 for each example: of a metric that cannot change.
    """
    if difference is None or better == "neither":
        return "unclear"
    if isnan(difference.low):
        return "same" if difference.reason == "all values are equal" else "unknown"
    if not difference.excludes_zero:
        return "unclear"
    return "better" if (difference.low > 0) == (better == "higher") else "worse"


def cell(estimate: Estimate, *, as_percent: bool = False, decimals: int | None = None) -> Cell:
    """Returns an estimate as text, with the decimals that its interval supports unless given."""
    places = decimals_of([estimate], as_percent=as_percent) if decimals is None else decimals
    places = min(places, 3) if as_percent and places is not None else places
    if places is None and estimate.reason and isfinite(estimate.value):
        # Nothing tells how many digits mean something: few are shown.
        scale = 100.0 if as_percent else 1.0
        places = decimals_for(abs(scale * estimate.value))
    text = value_text(estimate.value, places, as_percent=as_percent)
    if isnan(estimate.low):
        return Cell(text, no_interval(estimate))
    ends = interval(estimate.low, estimate.high, as_percent=as_percent, decimals=places or 0)
    return Cell(text, ends)


def no_interval(estimate: Estimate) -> str:
    """Returns why an estimate has no interval, in words."""
    if isnan(estimate.value):
        return ""
    return f"no interval: {estimate.reason}" if estimate.reason else ""


def column_decimals(estimates: Iterable[Estimate | None], *, as_percent: bool) -> int | None:
    """Returns the decimals of a column: those that the middle one of its intervals supports.

    The narrowest, which decides in a row, is that of the commonest class or the surest score here:
    its digits would mean nothing in all other lines.
    """
    scale = 100.0 if as_percent else 1.0
    halves = [scale * (each.high - each.low) / 2.0 for each in estimates if each is not None]
    halves = sorted(half for half in halves if isfinite(half) and half > 0)
    return decimals_for(halves[len(halves) // 2]) if halves else None


def share_cell(share: Estimate, decimals: int | None = None) -> Cell:
    """Returns a share in percent."""
    return cell(share, as_percent=True, decimals=decimals)


def difference_cell(
    estimate: Estimate, *, as_percent: bool = False, decimals: int | None = None
) -> Cell:
    """Returns a difference as signed text, in percentage points where the metric is a share."""
    scale = 100.0 if as_percent else 1.0
    places = decimals_of([estimate], as_percent=as_percent) if decimals is None else decimals
    places = min(places, 3) if as_percent and places is not None else places
    shown = decimals_for(abs(scale * estimate.value)) if places is None else places
    text = signed(scale * estimate.value, shown)
    if isnan(estimate.low):
        return Cell(text, no_interval(estimate))
    ends = (scale * estimate.low, scale * estimate.high)
    return Cell(text, interval(*ends, as_percent=False, decimals=shown))


def _note(unit: str, better: str, floor: CalibrationFloor | None, note: str) -> str:
    parts = ["" if unit == "share" else unit, DIRECTIONS[better]]
    if floor is not None:
        parts.append(f"chance alone gives {percent(floor.low)} to {percent(floor.high)}")
    return "; ".join(part for part in (*parts, note) if part)


def _bar(difference: Estimate | None, better: str) -> Bar | None:
    """Returns a difference on a scale of its own, mirrored where lower is better."""
    if difference is None or better == "neither":
        return None
    sign = 1.0 if better == "higher" else -1.0
    ends = [sign * end for end in (difference.value, difference.low, difference.high)]
    reach = max(map(abs, ends)) if all(map(isfinite, ends)) else 0.0
    if reach == 0.0:
        return None
    value, low, high = (0.5 + 0.46 * end / reach for end in ends)
    return Bar(value, min(low, high), max(low, high))


@dataclass(frozen=True)
class ForecastRow:
    """One forecast within one metric of a comparison.

    Attributes:
        name: The forecast: a letter, or a letter and "off".
        model: Place of its model.
        off: Whether it is the prediction without dropout.
        rank: 1 for the best; 0 where nothing is better.
        cell: Its value and interval.
        bar: The same on the scale of the metric, None when there is no interval.
        difference: Its difference to the reference, None for the reference itself.
        reading: "better", "worse" or "unclear" than the reference.
    """

    name: str
    model: int
    off: bool
    rank: int
    cell: Cell
    bar: Bar | None
    difference: Cell | None
    reading: str


@dataclass(frozen=True)
class MetricBlock:
    """One metric of all forecasts, the best first, drawn on one scale where right is better."""

    title: str
    note: str
    rows: tuple[ForecastRow, ...]


def metric_blocks(content: ComparisonContent) -> list[MetricBlock]:
    """Returns one block a metric."""
    models = {letter: place for place, letter in enumerate(content.letters.values())}
    return [_block(metric, models) for metric in content.metrics]


def ranked(estimates: Mapping[str, Estimate], better: str) -> list[str]:
    """Returns the names of forecasts, the best first; in their order where none is better."""
    if better == "neither":
        return list(estimates)
    sign = -1.0 if better == "higher" else 1.0
    return sorted(estimates, key=lambda name: sign * estimates[name].value)


def _block(metric: ComparedMetric, models: Mapping[str, int]) -> MetricBlock:
    share = metric.unit == "share"
    order = ranked(metric.estimates, metric.better)
    decimals = decimals_of(metric.estimates.values(), as_percent=share)
    place = _scale(metric.estimates.values(), metric.better)
    rows = []
    for rank, name in enumerate(order, start=1):
        found, difference = metric.estimates[name], metric.differences.get(name)
        rows.append(
            ForecastRow(
                name=name,
                model=models[name.split(",")[0]],
                off="," in name,
                rank=0 if metric.better == "neither" else rank,
                cell=cell(found, as_percent=share, decimals=decimals),
                bar=place(found),
                difference=difference_cell(difference, as_percent=share) if difference else None,
                reading=direction(difference, metric.better) if difference else "",
            )
        )
    return MetricBlock(metric.title, _note(metric.unit, metric.better, None, ""), tuple(rows))


def _scale(estimates: Iterable[Estimate], better: str) -> Callable[[Estimate], Bar | None]:
    """Returns the function from an estimate to its place on the scale of all of them."""
    ends = [end for each in estimates for end in (each.value, each.low, each.high) if isfinite(end)]
    low = min(ends, default=0.0)
    span = (max(ends, default=0.0) - low) or 1.0

    def place(value: float) -> float:
        share = (value - low) / span
        return 0.04 + 0.92 * (1.0 - share if better == "lower" else share)

    def bar(estimate: Estimate) -> Bar | None:
        if not all(map(isfinite, (estimate.value, estimate.low, estimate.high))):
            return None
        low_end, high_end = sorted(map(place, (estimate.low, estimate.high)))
        return Bar(place(estimate.value), low_end, high_end)

    return bar
