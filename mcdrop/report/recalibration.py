"""Scores and curves before and after a recalibration that was fitted on other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mcdrop.errors import DataError
from mcdrop.evaluation import evaluate
from mcdrop.prediction import Prediction
from mcdrop.report.answers import answers_of, kind_of
from mcdrop.report.classes import reliability
from mcdrop.report.content import Regression
from mcdrop.report.tables import direction
from mcdrop.report.values import regression
from mcdrop.report.verdict import titles

if TYPE_CHECKING:
    from mcdrop.evaluation import Estimate, Evaluation
    from mcdrop.metrics.calibration import CalibrationFloor, ReliabilityCurve


@dataclass(frozen=True, eq=False)
class Recalibration:
    """A repaired prediction of the evaluated examples, and what the repair was fitted on.

    Attributes:
        prediction: What `apply` of a calibrator of `mcdrop.recalibrate` returned.
        name: The calibrator in words, as "temperature scaling".
        num_fitted: Number of examples that it was fitted on; none of them may be evaluated.
        fitted_on: Name of their data; None when it has none.
    """

    prediction: Prediction
    name: str
    num_fitted: int
    fitted_on: str | None = None


@dataclass(frozen=True)
class RepairedMetric:
    """One metric before and after recalibration.

    Attributes:
        name: Name of the metric.
        title: The same in words.
        unit: Its unit; "share" is shown in percent.
        better: "higher", "lower" or "neither".
        before: Estimate of the prediction as it was.
        after: Estimate of the repaired prediction.
        difference: After minus before on the same resamples of the examples.
        floor: Calibration errors only: what chance gives a calibrated model, after.
    """

    name: str
    title: str
    unit: str
    better: str
    before: Estimate
    after: Estimate
    difference: Estimate
    floor: CalibrationFloor | None


@dataclass(frozen=True)
class Recalibrated:
    """What recalibration on other data does to the evaluated predictions.

    Attributes:
        name: The calibrator in words.
        num_fitted: Number of examples that it was fitted on.
        fitted_on: Name of their data, if told.
        headline: What it changes, in a sentence.
        metrics: One a metric that both have.
        reliability: Curve after the repair; None for a regression.
        regression: Diagnostics after the repair; None for class tasks.
    """

    name: str
    num_fitted: int
    fitted_on: str | None
    headline: str
    metrics: tuple[RepairedMetric, ...]
    reliability: ReliabilityCurve | None = None
    regression: Regression | None = None


def recalibrated(evaluation: Evaluation, found: Recalibration) -> Recalibrated:
    """Returns the scores before and after, their paired differences, and the curve after.

    Both sides of a difference rest on the same passes, so its interval is over examples only.

    Raises:
        DataError: The repaired prediction is not one of the evaluated examples.
    """
    before, after = evaluation.prediction, found.prediction
    if before.task != after.task or before.mean.shape != after.mean.shape:
        raise DataError(
            f"`recalibration` holds a prediction of task {after.task!r} and shape "
            f"{after.mean.shape}, expected {before.task!r} and {before.mean.shape}. Apply the "
            "calibrator to the prediction that was evaluated."
        )
    settings: dict[str, Any] = {
        "confidence_level": evaluation.confidence_level,
        "seed": evaluation.seed,
        "num_resamples": evaluation.num_resamples,
    }
    is_values = kind_of(before) == "values"
    first = evaluation
    if is_values and before.samples is not None:
        # Repaired intervals are those of a normal distribution; so are these, to compare alike.
        before = replace(before, samples=None, sample_variances=None)
        first = evaluate(before, evaluation.y_true, **settings)
    second = evaluate(after, evaluation.y_true, **settings)
    paired = evaluate(_beside(before, after), evaluation.y_true, **settings)
    shared = {comparison.name for comparison in first.comparisons}
    metrics = tuple(
        RepairedMetric(
            name=pair.name,
            title=pair.title,
            unit=pair.unit,
            better=pair.better,
            before=first[pair.name].monte_carlo,
            after=second[pair.name].monte_carlo,
            difference=pair.difference,
            floor=pair.floor,
        )
        for pair in paired.comparisons
        if pair.difference is not None and pair.name in shared
    )
    if is_values:
        curves: dict[str, Any] = {"regression": regression(second)}
    else:
        answers = answers_of(second)
        curve = reliability(answers, answers.probabilities, evaluation.confidence_level)
        curves = {"reliability": curve}
    return Recalibrated(
        name=found.name,
        num_fitted=found.num_fitted,
        fitted_on=found.fitted_on,
        headline=_headline(metrics),
        metrics=metrics,
        **curves,
    )


def _headline(metrics: Sequence[RepairedMetric]) -> str:
    """Returns which scores it changes by more than chance."""
    parts = []
    for side, verb in (("better", "improves"), ("worse", "worsens")):
        found = [m for m in metrics if direction(m.difference, m.better) == side]
        if found:
            parts.append(f"{verb} {titles(found)}")
    return f"It {' and '.join(parts)}." if parts else "It changes no score by more than chance."


def _beside(before: Prediction, after: Prediction) -> Prediction:
    """Returns the repaired mean, without noise of passes, beside the mean as it was."""
    variance = before.variance if kind_of(before) == "values" else None
    return replace(
        after,
        deterministic=before.mean,
        deterministic_variance=variance,
        group_means=np.broadcast_to(after.mean, after.group_means.shape),
        samples=None,
        sample_variances=None,
    )
