"""What `compare` and `evaluate` return, and the forms in which it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import nan
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation import tables
from mcdrop.evaluation.records import (
    ClassScore,
    ComparedMetric,
    Estimate,
    MetricComparison,
    plain,
)
from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    import pandas as pd


MOST_CLASSES = 100
"""Classes above which a confusion matrix stays out of plain values: it grows as their square."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found.

    Attributes:
        task: Task of the forecasts.
        names: Names of the forecasts, in the order given.
        reference: Name of the forecast that the others are compared with.
        num_examples: N.
        confidence_level: Level of the intervals.
        num_resamples: Resamples behind the intervals that are made by resampling.
        seed: Seed of the resamples.
        metrics: One record a metric that some forecast has.
        omitted: Metrics that no forecast has, with the reason.
        y_true: The targets, in the shape that the forecasts call for.
        pairs: Computes the difference of any two forecasts; see `difference`.
        warnings: What matters for trust in the numbers, a sentence each, by a short key.
    """

    task: str
    names: tuple[str, ...]
    reference: str
    num_examples: int
    confidence_level: float
    num_resamples: int
    seed: int
    metrics: tuple[ComparedMetric, ...]
    omitted: Mapping[str, str]
    y_true: NDArray[Any]
    pairs: Callable[[str, str, str], Estimate]
    warnings: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> ComparedMetric:
        """Returns the record of the metric `name`."""
        return _named(self.metrics, name, "comparison")

    def __repr__(self) -> str:
        """Returns a summary, not the arrays."""
        return (
            f"Comparison(task={self.task!r}, forecasts={', '.join(self.names)}, "
            f"examples={self.num_examples}, metrics={len(self.metrics)})"
        )

    def difference(self, metric: str, first: str, second: str) -> Estimate:
        """Returns the metric of `first` minus that of `second`, on the same examples.

        Its interval holds the noise of the examples and of the passes of both.

        Raises:
            DataError: The comparison lacks the metric or the forecast, or one of the two
                forecasts lacks the metric.
        """
        if metric not in {each.name for each in self.metrics}:
            raise DataError(
                f"`metric` is {metric!r}, expected one of "
                f"{', '.join(each.name for each in self.metrics)}."
            )
        found = self[metric]
        for name in (first, second):
            if name not in self.names:
                raise DataError(f"{name!r} is no forecast of {', '.join(self.names)}.")
            if name in found.omitted:
                raise DataError(f"{name!r} has no {metric}: {found.omitted[name]}.")
        return self.pairs(metric, first, second)

    def to_text(self) -> str:
        """Returns a table for the terminal: each forecast, and its difference to the reference."""
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def to_frame(self) -> pd.DataFrame:
        """Returns a pandas table, one row for each metric and forecast.

        Columns: `metric`, `forecast`, `value`, `low`, `high`, and `difference`,
        `difference_low`, `difference_high` to the reference. NaN is what there is not.
        """
        import pandas as pd

        rows = [
            _frame_row(metric, name)
            for metric in self.metrics
            for name in self.names
            if name in metric.estimates
        ]
        return pd.DataFrame(rows, columns=list(_FRAME_COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain Python values for `json.dumps`; what is not a number is None."""
        return {
            "task": self.task,
            "forecasts": list(self.names),
            "reference": self.reference,
            "num_examples": self.num_examples,
            "confidence_level": self.confidence_level,
            "num_resamples": self.num_resamples,
            "seed": self.seed,
            "metrics": [plain(asdict(metric)) for metric in self.metrics],
            "omitted": dict(self.omitted),
            "warnings": dict(self.warnings),
        }

    def _table(self) -> tables.Shown:
        title = f"{self.task}: {self.num_examples} examples, {len(self.names)} forecasts"
        legend = tables.legend(self.confidence_level)
        return tables.comparison_table(
            self.metrics,
            self.names,
            self.reference,
            title,
            legend,
            self.omitted,
            self.warnings,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        task: Task of the prediction.
        num_examples: N.
        num_samples: T.
        confidence_level: Level of the intervals.
        num_resamples: Resamples behind the intervals that are made by resampling.
        seed: Seed of the resamples.
        comparisons: One record a metric.
        omitted: Metrics that could not be computed, with the reason.
        flipped: Indices of the examples whose predicted class differs between the Monte Carlo
            and the deterministic prediction, in any pixel or label for dense outputs and
            multilabel; empty for regression.
        prediction: The prediction.
        y_true: The targets, in the shape that the prediction calls for.
        warnings: What matters for trust in the numbers, a sentence each, by a short key.
        confusion: Counts of units, actual class by predicted class of the mean of the passes,
            shape (C, C); for multilabel one of shape (2, 2) a label; None for a regression.
        class_scores: One record a class, or label of a multilabel task; empty for a regression.
    """

    task: str
    num_examples: int
    num_samples: int
    confidence_level: float
    num_resamples: int
    seed: int
    comparisons: tuple[MetricComparison, ...]
    flipped: NDArray[np.intp]
    prediction: Prediction
    y_true: NDArray[Any]
    omitted: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    confusion: NDArray[np.int64] | None = None
    class_scores: tuple[ClassScore, ...] = ()

    def __getitem__(self, name: str) -> MetricComparison:
        """Returns the record of the metric `name`."""
        return _named(self.comparisons, name, "evaluation")

    def __repr__(self) -> str:
        """Returns a summary, not the arrays."""
        return (
            f"Evaluation(task={self.task!r}, examples={self.num_examples}, "
            f"num_samples={self.num_samples}, metrics={len(self.comparisons)})"
        )

    def to_text(self) -> str:
        """Returns a table for the terminal: both sides, the difference, and the floors."""
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> tables.Shown:
        title = f"{self.task}: {self.num_examples} examples, {self.num_samples} passes"
        if self.task not in ("regression", "gaussian"):
            title += f", predicted class differs in {self.flipped.size}"
        return tables.evaluation_table(
            self.comparisons,
            title,
            tables.legend(self.confidence_level),
            self.omitted,
            self.warnings,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain Python values for `json.dumps`; what is not a number is None."""
        return {
            "task": self.task,
            "num_examples": self.num_examples,
            "num_samples": self.num_samples,
            "confidence_level": self.confidence_level,
            "num_resamples": self.num_resamples,
            "seed": self.seed,
            "metrics": [plain(asdict(comparison)) for comparison in self.comparisons],
            "omitted": dict(self.omitted),
            "warnings": dict(self.warnings),
            "flipped": self.flipped.tolist(),
            "confusion": small_counts(self.confusion),
            "class_scores": [plain(asdict(score)) for score in self.class_scores],
        }

    def with_warnings(self, warnings: Mapping[str, str]) -> Evaluation:
        """Returns the evaluation with more warnings, as of inputs that it has not seen."""
        return replace(self, warnings={**self.warnings, **warnings})

    def to_frame(self) -> pd.DataFrame:
        """Returns a pandas table, one row a metric, indexed by its name."""
        import pandas as pd

        return pd.DataFrame([_evaluation_row(each) for each in self.comparisons]).set_index("name")


def small_counts(matrix: NDArray[Any] | None) -> list[Any] | None:
    """Returns a matrix of counts as lists, None where its classes are more than 100."""
    return None if matrix is None or len(matrix) > MOST_CLASSES else matrix.tolist()


class _Named(Protocol):
    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=_Named)


def _named(records: Sequence[NamedT], name: str, whole: str) -> NamedT:
    for record in records:
        if record.name == name:
            return record
    raise KeyError(
        f"no metric {name!r} in this {whole}, which has "
        f"{', '.join(record.name for record in records)}"
    )


_FRAME_COLUMNS = (
    *("metric", "forecast", "value", "low", "high"),
    *("difference", "difference_low", "difference_high"),
)


def _frame_row(metric: ComparedMetric, name: str) -> tuple[str | float, ...]:
    found = metric.estimates[name]
    apart = metric.differences.get(name, Estimate(nan, nan, nan))
    return (
        *(metric.name, name, found.value, found.low, found.high),
        *(apart.value, apart.low, apart.high),
    )


def _evaluation_row(comparison: MetricComparison) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(comparison, name) for name in ("name", "title", "unit", "better")
    }
    for side in ("monte_carlo", "deterministic", "difference"):
        estimate: Estimate | None = getattr(comparison, side)
        for name, part in ((side, "value"), (f"{side}_low", "low"), (f"{side}_high", "high")):
            row[name] = None if estimate is None else getattr(estimate, part)
    row["monte_carlo_error"] = comparison.monte_carlo.monte_carlo_error
    for side in ("floor", "deterministic_floor"):
        chance: CalibrationFloor | None = getattr(comparison, side)
        row[side] = None if chance is None else chance.mean
        row[f"{side}_high"] = None if chance is None else chance.high
    return row | {"note": comparison.note}
