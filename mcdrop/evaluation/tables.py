"""Comparisons and evaluations as tables, for the terminal and for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mcdrop import _notebook
from mcdrop.evaluation.formatting import decimals_of, estimate_text
from mcdrop.evaluation.records import ComparedMetric, Estimate, MetricComparison
from mcdrop.metrics.calibration import CalibrationFloor

Line = tuple[str, ...]

_EVALUATION_HEADINGS = ("metric", "Monte Carlo", "deterministic", "difference", "better")


def legend(level: float) -> str:
    """Returns what the brackets of a table are."""
    return (
        f"In brackets the {100 * level:.4g}% interval: over examples, widened for the noise of "
        "the passes. * excludes 0."
    )


@dataclass(frozen=True)
class Shown:
    """A table as it is shown on a terminal and in a notebook.

    Attributes:
        title: What it is about.
        lines: Cells, the headings first.
        remarks: Sentences below it.
    """

    title: str
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]

    def text(self) -> str:
        """Returns the table for a terminal."""
        columns = range(len(self.lines[0]))
        widths = [max(len(line[column]) for line in self.lines) for column in columns]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in self.lines]
        return "\n".join([self.title, "", *table, "", *self.remarks])

    def html(self) -> str:
        """Returns the table for a notebook."""
        return _notebook.table(self.title, self.lines, self.remarks)


def evaluation_table(
    metrics: Sequence[MetricComparison],
    title: str,
    explained: str,
    omitted: Mapping[str, str],
    warnings: Mapping[str, str],
) -> Shown:
    """Returns the table with its legend; see `Evaluation.to_text`."""
    lines: list[Line] = [_EVALUATION_HEADINGS]
    for metric in metrics:
        lines += _evaluation_lines(metric)
    reasons = _reasons(
        (metric.title, side, found)
        for metric in metrics
        for side, found in (
            ("", metric.monte_carlo),
            ("deterministic ", metric.deterministic),
            ("difference of ", metric.difference),
        )
    )
    return _shown(title, lines, explained, _notes(metrics), reasons, omitted, warnings)


def comparison_table(
    metrics: Sequence[ComparedMetric],
    names: Sequence[str],
    reference: str,
    title: str,
    explained: str,
    omitted: Mapping[str, str],
    warnings: Mapping[str, str],
) -> Shown:
    """Returns the table with its legend; see `Comparison.to_text`."""
    lines: list[Line] = [("metric", "forecast", "value", f"difference to {reference}", "better")]
    for metric in metrics:
        lines += _comparison_lines(metric, names)
    reasons = _reasons(
        (metric.title, f"{kind}{name} ", found)
        for metric in metrics
        for kind, records in (("", metric.estimates), ("difference of ", metric.differences))
        for name, found in records.items()
    )
    partly: dict[str, list[str]] = {}
    for metric in metrics:
        for name, reason in metric.omitted.items():
            partly.setdefault(f"of {name}, {reason}", []).append(metric.name)
    left_out = {", ".join(found): where for where, found in partly.items()}
    return _shown(
        title, lines, explained, _notes(metrics), reasons, {**omitted, **left_out}, warnings
    )


def _shown(
    title: str,
    lines: Sequence[Line],
    explained: str,
    notes: Sequence[str],
    reasons: Sequence[str],
    omitted: Mapping[str, str],
    warnings: Mapping[str, str],
) -> Shown:
    left_out = [f"Left out: {name}, {reason}." for name, reason in omitted.items()]
    warned = [f"Warning: {warning}" for warning in warnings.values()]
    return Shown(title, tuple(lines), (explained, *warned, *notes, *reasons, *left_out))


def _heading(metric: MetricComparison | ComparedMetric) -> str:
    return metric.title + (f" ({metric.unit})" if metric.unit else "")


def _better(metric: MetricComparison | ComparedMetric) -> str:
    return "" if metric.better == "neither" else metric.better


def _difference_text(difference: Estimate | None, decimals: int | None) -> str:
    decided = difference is not None and difference.excludes_zero
    return estimate_text(difference, decimals) + (" *" if decided else "")


def _evaluation_lines(metric: MetricComparison) -> list[Line]:
    """Returns the cells of one metric, in the order of the headings, and of its floor."""
    decimals = decimals_of([metric.monte_carlo, metric.deterministic, metric.difference])
    line = (
        _heading(metric),
        estimate_text(metric.monte_carlo, decimals),
        estimate_text(metric.deterministic, decimals),
        _difference_text(metric.difference, decimals),
        _better(metric),
    )
    if metric.floor is None:
        return [line]
    chances = (metric.floor, metric.deterministic_floor)
    return [line, ("  by chance, if calibrated", *map(_floor_text, chances), "", "")]


def _comparison_lines(metric: ComparedMetric, names: Sequence[str]) -> list[Line]:
    shown = [name for name in names if name in metric.estimates]
    decimals = decimals_of([*metric.estimates.values(), *metric.differences.values()])
    return [
        (
            _heading(metric) if place == 0 else "",
            name,
            estimate_text(metric.estimates[name], decimals),
            _difference_text(metric.differences.get(name), decimals),
            _better(metric) if place == 0 else "",
        )
        for place, name in enumerate(shown)
    ]


def _floor_text(chance: CalibrationFloor | None) -> str:
    return "-" if chance is None else f"{chance.mean:.2g}, up to {chance.high:.2g}"


def _notes(metrics: Iterable[MetricComparison | ComparedMetric]) -> list[str]:
    """Returns each note once, behind the metrics that it is about."""
    titles: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.note:
            titles.setdefault(metric.note, []).append(metric.title)
    return [f"{', '.join(found)}: {note}." for note, found in titles.items()]


def _reasons(estimates: Iterable[tuple[str, str, Estimate | None]]) -> list[str]:
    """Returns each reason for a missing interval once, behind what lacks it."""
    lacking: dict[str, list[str]] = {}
    for title, side, found in estimates:
        if found is not None and found.reason:
            lacking.setdefault(found.reason, []).append(f"{side}{title}")
    return [f"No interval of {', '.join(names)}: {reason}." for reason, names in lacking.items()]
