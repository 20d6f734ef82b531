"""What comparing and evaluating find of one metric: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from mcdrop.metrics.calibration import CalibrationFloor

UNKNOWN_NOISE = "the noise of the passes is not known, as they were not kept (keep_samples=True)"
"""Reason of a difference without an interval, where the passes of a side are needed for one."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: The metric of these examples and passes.
        low: Lower end of the interval, NaN where none can be given.
        high: Upper end, NaN likewise.
        monte_carlo_error: Standard error of `value` from the finite number of passes; None
            where there are no passes and where it cannot be told.
        reason: Why there is no interval; "" where there is one.
    """

    value: float
    low: float
    high: float
    monte_carlo_error: float | None = None
    reason: str = ""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0, as that of a clear difference does."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of every forecast of a comparison.

    Attributes:
        name: Name of the metric.
        title: Name for a reader.
        unit: Unit, "" for none; "share" is a share of 1.
        better: "higher", "lower" or "neither".
        estimates: The metric of each forecast that has it.
        differences: Of each forecast but the reference: its metric minus the reference's, on
            the same examples. Empty where the reference lacks the metric.
        floors: Calibration errors only: what chance gives a calibrated model with the
            confidences of each forecast.
        omitted: Forecasts that lack the metric, with the reason.
        note: What a reader of the number has to know of it, "" for nothing.
    """

    name: str
    title: str
    unit: str
    better: str
    estimates: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    floors: Mapping[str, CalibrationFloor]
    omitted: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True)
class MetricComparison:
    """One metric of the Monte Carlo prediction beside the deterministic one.

    Attributes:
        name: Name of the metric.
        title: Name for a reader.
        unit: Unit, "" for none.
        better: "higher", "lower" or "neither".
        monte_carlo: The metric of the mean of the passes.
        deterministic: The metric with dropout off; None for what only passes have.
        difference: Monte Carlo minus deterministic, on the same examples; None likewise.
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


@dataclass(frozen=True)
class ClassScore:
    """How one class fares; of the mean of the passes where nothing else is said.

    Attributes:
        label: Number of the class; of a multilabel task, of the label.
        support: Units of the class: examples, pixels, or examples that have the label.
        precision: Share of the class among the units predicted as it.
        recall: Share of the units of the class that are predicted as it.
        f1: Harmonic mean of both.
        predictive_entropy: Mean over the units of the class in nats; of a multilabel task, over
            all examples whose label is known.
        deterministic_recall: The recall of the deterministic prediction.
        intersection_over_union: Units of the class that are predicted as it, among those that
            are either; dense outputs only, None otherwise.
        deterministic_intersection_over_union: The same of the deterministic prediction.
    """

    label: int
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    predictive_entropy: Estimate
    deterministic_recall: Estimate
    intersection_over_union: Estimate | None = None
    deterministic_intersection_over_union: Estimate | None = None


def plain(values: Any) -> Any:
    """Returns nested values with None for what is not a finite number."""
    if isinstance(values, dict):
        return {name: plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return None if isinstance(values, float) and not isfinite(values) else values
