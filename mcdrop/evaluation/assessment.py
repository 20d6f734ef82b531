"""Every metric of a prediction, with dropout and without, each with an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_count, check_number
from mcdrop.errors import DataError
from mcdrop.evaluation import table
from mcdrop.evaluation.class_measures import CLASS_MEASURES
from mcdrop.evaluation.comparison import Comparison as Comparison
from mcdrop.evaluation.comparison import compare, score
from mcdrop.evaluation.forecasts import make_problem
from mcdrop.evaluation.measure import Measure
from mcdrop.evaluation.regression_measures import REGRESSION_MEASURES
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.weighted.bootstrap import Estimate as Estimate

if TYPE_CHECKING:
    import pandas as pd

NUM_RESAMPLES = 1000
"""Resamples of an interval; its ends then waver by about a twentieth of its length."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        task: Task of the prediction.
        num_examples: N.
        num_samples: T.
        confidence_level: Level of the intervals.
        num_resamples: Resamples behind each interval.
        seed: Seed of the resamples.
        comparisons: One comparison a metric.
        omitted: Metrics that could not be computed, with the reason.
        flipped: Indices of the examples whose predicted class differs between the Monte Carlo
            and the deterministic prediction, in any pixel or label for dense outputs and
            multilabel; empty for regression.
        prediction: The prediction.
        y_true: The targets, in the shape that the prediction calls for.
    """

    task: str
    num_examples: int
    num_samples: int
    confidence_level: float
    num_resamples: int
    seed: int
    comparisons: tuple[Comparison, ...]
    flipped: NDArray[np.intp]
    prediction: Prediction
    y_true: NDArray[Any]
    omitted: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Comparison:
        """Returns the comparison of the metric `name`."""
        for comparison in self.comparisons:
            if comparison.name == name:
                return comparison
        raise KeyError(
            f"no metric {name!r} in this evaluation, which has "
            f"{', '.join(comparison.name for comparison in self.comparisons)}"
        )

    def __repr__(self) -> str:
        """Returns a summary, not the arrays."""
        return (
            f"Evaluation(task={self.task!r}, examples={self.num_examples}, "
            f"num_samples={self.num_samples}, metrics={len(self.comparisons)})"
        )

    def to_text(self) -> str:
        """Returns a table for the terminal: both sides, the difference, and the floors."""
        return table.to_text(self)

    def to_frame(self) -> pd.DataFrame:
        """Returns a pandas table, one row a metric, indexed by its name."""
        return table.to_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain Python values for `json.dumps`; what is not a number is None."""
        return {
            "task": self.task,
            "num_examples": self.num_examples,
            "num_samples": self.num_samples,
            "confidence_level": self.confidence_level,
            "num_resamples": self.num_resamples,
            "seed": self.seed,
            "metrics": [_plain(asdict(comparison)) for comparison in self.comparisons],
            "omitted": dict(self.omitted),
            "flipped": self.flipped.tolist(),
        }


def evaluate(
    prediction: Prediction,
    y_true: ArrayLike,
    *,
    confidence_level: float = 0.95,
    seed: int = 0,
    metrics: str | Sequence[str] = "default",
    num_resamples: int = NUM_RESAMPLES,
) -> Evaluation:
    """Scores a prediction against targets, Monte Carlo beside deterministic.

    Every interval comes from the paired bootstrap over examples, widened for the finite number
    of passes (`mcdrop.weighted.bootstrap.fold_noise`): it holds the value that T passes, and that
    infinitely many, would have on new examples. An interval of the difference that excludes 0
    says that dropout at prediction time makes a difference of that sign.

    Calibration errors are the exception. Their value cannot fall below a floor of chance, and
    where the model is calibrated the bootstrap fails: it takes that chance for miscalibration.
    So their intervals are reflected, the floor stands beside the value, and the interval
    starts at 0 when the value is no higher than chance gives (`floor.high`). The interval of a
    difference of two errors near their floors is still only rough.

    Several outputs, labels or pixels of one example are averaged, and drawn together. Votes,
    deviations and the spread of a regression are not known for parts of the passes unless
    these were kept (`keep_samples=True`): the metrics that need them then have no Monte Carlo
    error, and an interval over examples alone.

    Args:
        prediction: Prediction of N >= 2 examples.
        y_true: Integer labels of shape (N,) or (N, 1) for "classification" and "binary"; for
            dense outputs (N, ...), where pixels of -1 count nowhere; (N, L) of 0 and 1 for
            "multilabel", -1 where a label is unknown; numbers of the shape of
            `prediction.mean` for "regression" and "gaussian".
        confidence_level: Level of the intervals, and of the predictive intervals whose
            coverage and width are measured; within (0, 1).
        seed: Seed of the resamples; equal seeds give equal evaluations.
        metrics: "default", "all", or names of metrics.
        num_resamples: Resamples of the bootstrap, at least 100.

    Returns:
        The evaluation. A metric that is not defined for these data, such as the detection of
        errors where there are none, is left out and named in `omitted`.

    Raises:
        DataError: The targets do not fit the prediction, a metric is unknown, or one asked for
            by name is not defined for these data.

    References:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap.

    Example:
        >>> import mcdrop
        >>> passes = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]]])
        >>> prediction = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
        >>> evaluation = evaluate(prediction, [0, 1])
        >>> evaluation["accuracy"].monte_carlo.value, evaluation["brier_score"].difference.value
        (1.0, 0.0)
    """
    level = check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    check_count("seed", seed, minimum=0)
    check_count("num_resamples", num_resamples, minimum=100)
    problem = make_problem(prediction, y_true, level)
    measures = _choose(metrics, prediction.task)
    scored, omitted = score(problem, measures)
    if omitted and not isinstance(metrics, str):
        name, reason = next(iter(omitted.items()))
        raise DataError(f"`metrics` asks for {name!r}, which is not defined here: {reason}.")
    comparisons = compare(problem, scored, num_resamples=num_resamples, seed=seed)
    return Evaluation(
        task=prediction.task,
        num_examples=len(prediction),
        num_samples=prediction.num_samples,
        confidence_level=level,
        num_resamples=num_resamples,
        seed=seed,
        comparisons=comparisons,
        flipped=problem.flipped(),
        prediction=prediction,
        y_true=problem.y,
        omitted=omitted,
    )


def _choose(metrics: str | Sequence[str], task: str) -> tuple[Measure[Any], ...]:
    """Returns the measures that `metrics` names, in the order of the registry."""
    measures: tuple[Measure[Any], ...] = (
        CLASS_MEASURES if task in CLASS_TASKS else REGRESSION_MEASURES
    )
    if isinstance(metrics, str) and metrics in ("default", "all"):
        return tuple(m for m in measures if m.is_default or metrics == "all")
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    unknown = sorted(set(names) - {measure.name for measure in measures})
    if unknown or isinstance(metrics, str) or not names:
        raise DataError(
            f"`metrics` is {metrics!r}, expected 'default', 'all', or a list of names out of "
            f"{', '.join(measure.name for measure in measures)}."
        )
    return tuple(measure for measure in measures if measure.name in names)


def _plain(values: Any) -> Any:
    """Returns nested values with None for what is not a finite number."""
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    return None if isinstance(values, float) and not isfinite(values) else values
