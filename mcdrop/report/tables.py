"""The table of metrics, MC dropout beside the deterministic prediction, as text and geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcdrop.evaluation import MetricComparison
from mcdrop.report.formatting import decimals_for, interval, number, percent, signed
from mcdrop.report.intervals import Interval

if TYPE_CHECKING:
    from mcdrop.evaluation import Estimate, Evaluation
    from mcdrop.report.comparison import ComparedMetric, ComparisonContent
    from mcdrop.report.recalibration import RepairedMetric

READINGS = {"better": "better", "worse": "worse", "unclear": "no clear difference"}
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "neither": ""}


@dataclass(frozen=True)
class Cell:
    """A value and its interval as text."""

    value: str
    interval: str


@dataclass(frozen=True)
class MetricRow:
    """One row of the table.

    Attributes:
        title: Name of the metric.
        note: Unit, direction and noise floor.
        monte_carlo: Cell of MC dropout.
        deterministic: Cell of the deterministic prediction, None when it has no such quantity.
        difference: Cell of the difference, likewise.
        reading: "better", "worse" or "unclear"; empty when there is nothing to compare.
        words: The reading in words.
        bar: Difference and interval as shares of the drawing's width, 0.5 being no difference.
    """

    title: str
    note: str
    monte_carlo: Cell
    deterministic: Cell | None
    difference: Cell | None
    reading: str
    words: str
    bar: Interval | None


def metric_rows(evaluation: Evaluation) -> list[MetricRow]:
    """Returns one row a metric."""
    return [_row(comparison) for comparison in evaluation.comparisons]


def repaired_rows(metrics: Sequence[RepairedMetric]) -> list[MetricRow]:
    """Returns one row a metric, the repaired prediction in place of MC dropout."""
    return [
        _row(
            MetricComparison(
                name=metric.name,
                title=metric.title,
                unit=metric.unit,
                better=metric.better,
                monte_carlo=metric.after,
                deterministic=metric.before,
                difference=metric.difference,
                floor=metric.floor,
            )
        )
        for metric in metrics
    ]


def reading(comparison: MetricComparison) -> str:
    """Returns "better", "worse" or "unclear": which way the interval of the difference lies."""
    if comparison.difference is None:
        return "unclear"
    return direction(comparison.difference, comparison.better)


def direction(difference: Estimate, better: str) -> str:
    """Returns "better", "worse" or "unclear" for a difference of a metric."""
    if better == "neither" or not (difference.low > 0 or difference.high < 0):
        return "unclear"
    return "better" if (difference.low > 0) == (better == "higher") else "worse"


def is_share(comparison: MetricComparison) -> bool:
    """Returns whether a metric is shown in percent."""
    return comparison.unit == "share"


def cell(estimate: Estimate, *, as_percent: bool) -> Cell:
    """Returns an estimate as text, with the decimals that its interval supports."""
    if as_percent:
        return share_cell(Interval(estimate.value, estimate.low, estimate.high))
    return number_cell(estimate.value, estimate.low, estimate.high)


def share_cell(share: Interval) -> Cell:
    """Returns a share as text, in percent with the decimals that its interval supports."""
    decimals = min(decimals_for(50.0 * (share.high - share.low), 1), 3)
    text = percent(share.value, decimals)
    return Cell(text, interval(share.low, share.high, as_percent=True, decimals=decimals))


def number_cell(value: float, low: float, high: float) -> Cell:
    """Returns a number as text, with the decimals that its interval supports."""
    decimals = decimals_for((high - low) / 2.0)
    return Cell(number(value, decimals), interval(low, high, as_percent=False, decimals=decimals))


def difference_cell(estimate: Estimate, *, as_percent: bool) -> Cell:
    """Returns a difference as signed text, in percentage points where the metric is a share."""
    scale = 100.0 if as_percent else 1.0
    value, low, high = (scale * part for part in (estimate.value, estimate.low, estimate.high))
    decimals = decimals_for((high - low) / 2.0)
    text = interval(low, high, as_percent=False, decimals=decimals)
    return Cell(signed(value, decimals), text)


def _row(comparison: MetricComparison) -> MetricRow:
    share = is_share(comparison)
    plain, difference = comparison.deterministic, comparison.difference
    compared = difference is not None and plain is not None
    found = reading(comparison) if compared and comparison.better != "neither" else ""
    return MetricRow(
        title=comparison.title,
        note=_note(comparison),
        monte_carlo=cell(comparison.monte_carlo, as_percent=share),
        deterministic=cell(plain, as_percent=share) if plain else None,
        difference=difference_cell(difference, as_percent=share) if difference else None,
        reading=found,
        words=READINGS.get(found, ""),
        bar=_bar(difference) if compared else None,
    )


def _note(comparison: MetricComparison) -> str:
    unit = "" if is_share(comparison) else comparison.unit
    parts = [part for part in (unit, DIRECTIONS[comparison.better]) if part]
    if comparison.floor is not None:
        low, high = percent(comparison.floor.low), percent(comparison.floor.high)
        parts.append(f"chance alone gives {low} to {high}")
    if comparison.note:
        parts.append(comparison.note)
    return "; ".join(parts)


def _bar(difference: Estimate | None) -> Interval | None:
    if difference is None:
        return None
    ends = np.array([difference.value, difference.low, difference.high])
    reach = float(np.nanmax(np.abs(ends))) if not np.isnan(ends).all() else 0.0
    if reach == 0.0 or np.isnan(ends).any():
        return None
    return Interval(*(float(0.5 + 0.46 * end / reach) for end in ends))


@dataclass(frozen=True)
class ModelRow:
    """One model within one metric.

    Attributes:
        name: Name of the model.
        cell: Its value and interval.
        bar: The same as shares of the drawing's width, None when there is no interval.
        plain: Place of the deterministic value, None when there is none.
    """

    name: str
    cell: Cell
    bar: Interval | None
    plain: float | None


@dataclass(frozen=True)
class MetricBlock:
    """One metric of all models, drawn on one scale."""

    title: str
    note: str
    rows: tuple[ModelRow, ...]


@dataclass(frozen=True)
class DifferenceRow:
    """The difference of one model to the reference in one metric."""

    title: str
    model: int
    name: str
    cell: Cell
    reading: str
    words: str
    bar: Interval | None


def metric_blocks(content: ComparisonContent) -> list[MetricBlock]:
    """Returns one block a metric, one row a model."""
    return [_block(metric, content.names) for metric in content.metrics]


def _block(metric: ComparedMetric, names: tuple[str, ...]) -> MetricBlock:
    share = metric.unit == "share"
    plain = [estimate.value for estimate in metric.deterministic if estimate is not None]
    ends = [end for found in metric.monte_carlo for end in (found.value, found.low, found.high)]
    known = np.array([end for end in [*ends, *plain] if np.isfinite(end)])
    low = float(known.min()) if known.size else 0.0
    span = (float(known.max()) - low if known.size else 0.0) or 1.0

    def place(value: float) -> float:
        return 0.04 + 0.92 * (value - low) / span

    rows = []
    for name, found, other in zip(names, metric.monte_carlo, metric.deterministic, strict=True):
        drawn = np.isfinite([found.value, found.low, found.high]).all()
        rows.append(
            ModelRow(
                name=name,
                cell=cell(found, as_percent=share),
                bar=Interval(*map(place, (found.value, found.low, found.high))) if drawn else None,
                plain=place(other.value) if other and np.isfinite(other.value) else None,
            )
        )
    parts = ("" if share else metric.unit, DIRECTIONS[metric.better])
    return MetricBlock(metric.title, "; ".join(part for part in parts if part), tuple(rows))


def difference_rows(content: ComparisonContent) -> list[DifferenceRow]:
    """Returns one row a metric and model, the reference left out."""
    rows = []
    for metric in content.metrics:
        for model, found in enumerate(metric.difference or ()):
            if model == 0:
                continue
            side = direction(found, metric.better)
            rows.append(
                DifferenceRow(
                    title=metric.title,
                    model=model,
                    name=content.names[model],
                    cell=difference_cell(found, as_percent=metric.unit == "share"),
                    reading=side,
                    words=READINGS[side],
                    bar=_bar(found),
                )
            )
    return rows
