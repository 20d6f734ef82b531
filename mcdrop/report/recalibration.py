"""Scores and curves before and after a recalibration that was fitted on other data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcdrop.diagnostics.calibration import calibration_curves
from mcdrop.diagnostics.regression import regression, with_own_scores
from mcdrop.errors import DataError
from mcdrop.evaluation import Estimate, Evaluation, compare
from mcdrop.evaluation.records import UNKNOWN_NOISE
from mcdrop.plot.inputs import class_forecasts
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.report.content import Recalibrated, RepairedMetric


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


def _explained(difference: Estimate) -> Estimate:
    """Returns a difference whose reason names the repair, not passes that the user did keep."""
    if difference.reason != UNKNOWN_NOISE:
        return difference
    return replace(difference, reason="the prediction is repaired as a whole, not its passes")


def recalibrated(evaluation: Evaluation, found: Recalibration) -> Recalibrated:
    """Returns the scores before and after, their paired differences, and the curve after.

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
    is_values = before.task not in CLASS_TASKS
    if is_values:
        # Repaired intervals are those of a normal distribution; so are these, to compare alike.
        before = replace(before, samples=None, sample_variances=None)
    settings: dict[str, Any] = {
        "confidence_level": evaluation.confidence_level,
        "seed": evaluation.seed,
        "num_resamples": evaluation.num_resamples,
    }
    settings["metrics"] = [each.name for each in evaluation.comparisons]
    compared = compare({"before": before, "after": after}, evaluation.y_true, **settings)
    # The same quantity as in the table of metrics has the same interval. Of numbers it is another
    # one where the passes were kept: that of their mixture, not of a normal distribution.
    known = {each.name: each.monte_carlo for each in evaluation.comparisons}
    before_of = {each.name: each.estimates["before"] for each in compared.metrics}
    known = {
        name: known[name] if np.isclose(known[name].value, each.value, rtol=1e-9) else each
        for name, each in before_of.items()
    }
    metrics = tuple(
        RepairedMetric(
            name=metric.name,
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            before=known[metric.name],
            after=metric.estimates["after"],
            difference=_explained(metric.differences["after"]),
            floor=metric.floors.get("after"),
        )
        for metric in compared.metrics
        if "after" in metric.differences
    )
    curves: dict[str, Any] = {}
    if is_values:
        shown = regression(
            after,
            np.asarray(evaluation.y_true),
            confidence_level=evaluation.confidence_level,
            seed=evaluation.seed,
        )
        own = {metric.name: metric.after for metric in metrics}
        curves["regression"] = with_own_scores(shown, own)
    else:
        forecasts = class_forecasts({"after": after}, evaluation.y_true)
        curves["calibration"] = calibration_curves(
            forecasts, confidence_level=evaluation.confidence_level
        )["after"]
    return Recalibrated(
        name=found.name,
        num_fitted=found.num_fitted,
        fitted_on=found.fitted_on,
        metrics=metrics,
        **curves,
    )
