"""An Evaluation as a table: text for the terminal, or pandas."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from mcdrop.evaluation import Comparison, Evaluation
    from mcdrop.metrics.calibration import CalibrationFloor
    from mcdrop.weighted.bootstrap import Estimate

_HEADINGS = ("metric", "Monte Carlo", "deterministic", "difference", "better")
_DIGITS = 4
"""Significant digits of a number without an interval."""

_NEGLIGIBLE = 1e-9
"""Half length of an interval, relative to the value, below which it is rounding."""


def to_frame(evaluation: Evaluation) -> pd.DataFrame:
    """Returns one row a metric; see `Evaluation.to_frame`."""
    import pandas as pd

    rows = [_row(comparison) for comparison in evaluation.comparisons]
    return pd.DataFrame(rows).set_index("name")


def _row(comparison: Comparison) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(comparison, name) for name in ("name", "title", "unit", "better")
    }
    for side in ("monte_carlo", "deterministic", "difference"):
        estimate: Estimate | None = getattr(comparison, side)
        row[side] = None if estimate is None else estimate.value
        row[f"{side}_low"] = None if estimate is None else estimate.low
        row[f"{side}_high"] = None if estimate is None else estimate.high
    row["monte_carlo_error"] = comparison.monte_carlo.monte_carlo_error
    for side in ("floor", "deterministic_floor"):
        chance = getattr(comparison, side)
        row[side] = None if chance is None else chance.mean
        row[f"{side}_high"] = None if chance is None else chance.high
    return row | {"note": comparison.note}


def to_text(evaluation: Evaluation) -> str:
    """Returns the table with its legend; see `Evaluation.to_text`."""
    lines: list[tuple[str, ...]] = [_HEADINGS]
    for comparison in evaluation.comparisons:
        lines += _lines(comparison)
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    omitted = [f"Left out: {name}, {reason}." for name, reason in evaluation.omitted.items()]
    parts = [_title(evaluation), "", *table, "", _legend(evaluation), *_notes(evaluation), *omitted]
    return "\n".join(parts)


def _title(evaluation: Evaluation) -> str:
    title = (
        f"{evaluation.task}: {evaluation.num_examples} examples, {evaluation.num_samples} passes"
    )
    if evaluation.task in ("regression", "gaussian"):
        return title
    return f"{title}, predicted class differs in {evaluation.flipped.size}"


def _legend(evaluation: Evaluation) -> str:
    return (
        f"In brackets the {100 * evaluation.confidence_level:.4g}% interval: paired bootstrap over "
        f"examples ({evaluation.num_resamples} resamples), widened for the noise of the passes. "
        "* excludes 0."
    )


def _lines(comparison: Comparison) -> list[tuple[str, ...]]:
    """Returns the cells of one metric, in the order of the headings, and of its floor."""
    unit = f" ({comparison.unit})" if comparison.unit else ""
    difference = comparison.difference
    decided = difference is not None and (difference.low > 0 or difference.high < 0)
    line = (
        comparison.title + unit,
        _estimate_text(comparison.monte_carlo),
        _estimate_text(comparison.deterministic),
        _estimate_text(difference) + (" *" if decided else ""),
        "" if comparison.better == "neither" else comparison.better,
    )
    if comparison.floor is None:
        return [line]
    chances = (comparison.floor, comparison.deterministic_floor)
    return [line, ("  by chance, if calibrated", *map(_floor_text, chances), "", "")]


def _notes(evaluation: Evaluation) -> list[str]:
    """Returns each note once, behind the metrics that it is about."""
    titles: dict[str, list[str]] = {}
    for comparison in evaluation.comparisons:
        if comparison.note:
            titles.setdefault(comparison.note, []).append(comparison.title)
    return [f"{', '.join(names)}: {note}." for note, names in titles.items()]


def _floor_text(chance: CalibrationFloor | None) -> str:
    return "-" if chance is None else f"{chance.mean:.2g}, up to {chance.high:.2g}"


def _estimate_text(estimate: Estimate | None) -> str:
    """Returns the value and its interval, to two digits of the interval's half length."""
    if estimate is None:
        return "-"
    half = (estimate.high - estimate.low) / 2.0
    if not isfinite(half) or half <= _NEGLIGIBLE * abs(estimate.value):
        return f"{estimate.value:.{_DIGITS}g}"
    decimals = max(0, 1 - floor(log10(half)))
    value, low, high = (
        f"{number:.{decimals}f}" for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"
