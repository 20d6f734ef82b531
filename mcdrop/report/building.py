"""From an evaluation to the content of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mcdrop.diagnostics.calibration import calibration_curves
from mcdrop.diagnostics.confusion import confusion
from mcdrop.diagnostics.convergence import convergence
from mcdrop.diagnostics.regression import regression, with_own_scores
from mcdrop.diagnostics.selective import SelectiveCurve, accuracy_curves, ending_at, error_curves
from mcdrop.evaluation import Evaluation
from mcdrop.plot.doubt import has_map, map_of
from mcdrop.plot.inputs import class_forecasts
from mcdrop.prediction import Prediction
from mcdrop.report import classes, findings, verdict, verdict_classes, verdict_values
from mcdrop.report.content import Answer, Content
from mcdrop.report.context import ReportContext, check_class_names, check_images, kind_of
from mcdrop.report.gallery import gallery
from mcdrop.report.out_of_distribution import out_of_distribution as compare_data
from mcdrop.report.recalibration import Recalibration, recalibrated
from mcdrop.report.votes import Sampled
from mcdrop.report.words import find


def build(
    evaluation: Evaluation,
    *,
    x: ArrayLike | None = None,
    class_names: Sequence[Any] | None = None,
    out_of_distribution: Prediction | None = None,
    recalibration: Recalibration | None = None,
    context: ReportContext | None = None,
    sampled: Sampled | None = None,
) -> Content:
    """Returns the content of a report; see `mcdrop.report.write` for the arguments.

    Raises:
        DataError: Images, names, the other or the repaired prediction do not fit the evaluation.
    """
    prediction = evaluation.prediction
    names = check_class_names(prediction, class_names)
    images = check_images(x, len(prediction))
    parts: dict[str, Any] = {}
    if out_of_distribution is not None:
        parts["out_of_distribution"] = compare_data(evaluation, out_of_distribution)
    if recalibration is not None:
        parts["recalibration"] = recalibrated(evaluation, recalibration)
    kind = kind_of(prediction)
    parts |= _value_parts(evaluation) if kind == "values" else _class_parts(evaluation, names)
    parts["answers"] = _ordered(parts, len(prediction))
    parts["selective"] = _closed(evaluation, parts["selective"])
    parts["convergence"] = convergence(prediction, np.asarray(evaluation.y_true))
    if has_map(prediction):
        parts["doubt"] = map_of(prediction, np.asarray(evaluation.y_true), out_of_distribution)
    parts["gallery"] = gallery(evaluation, names, images, sampled)
    return Content(
        kind=kind,
        evaluation=evaluation,
        context=context or ReportContext(),
        class_names=names,
        findings=findings.findings(kind, evaluation, parts),
        **parts,
    )


def _ordered(parts: dict[str, Any], num_examples: int) -> tuple[Answer, ...]:
    """Returns the three answers, and before the last those on what else was asked for."""
    trust, change, failure = parts["answers"]
    extra = []
    if "recalibration" in parts:
        extra.append(verdict.repair(parts["recalibration"], num_examples))
    if "out_of_distribution" in parts:
        extra.append(verdict.notice(parts["out_of_distribution"]))
    return (trust, change, *extra, failure)


def _closed(
    evaluation: Evaluation, curves: Mapping[str, SelectiveCurve]
) -> dict[str, SelectiveCurve]:
    """Returns the curves, at full coverage with the interval of the evaluation."""
    found = find(evaluation, curves["MC dropout"].quality)
    if found is None:
        return dict(curves)
    return ending_at(
        curves, {"MC dropout": found.monte_carlo, "deterministic": found.deterministic}
    )


def _value_parts(evaluation: Evaluation) -> dict[str, Any]:
    prediction, targets = evaluation.prediction, np.asarray(evaluation.y_true)
    level = evaluation.confidence_level
    found = regression(prediction, targets, confidence_level=level, seed=evaluation.seed)
    plain = find(evaluation, "root_mean_squared_error")
    found = with_own_scores(
        found,
        {each.name: each.monte_carlo for each in evaluation.comparisons},
        plain.deterministic if plain else None,
    )
    return {
        "answers": (
            verdict_values.trust(evaluation, found),
            verdict.change(evaluation),
            verdict_values.failure(found),
        ),
        "scored": found.count,
        "selective": error_curves(prediction, targets, confidence_level=level),
        "regression": found,
    }


def _class_parts(evaluation: Evaluation, names: Sequence[str]) -> dict[str, Any]:
    kind = kind_of(evaluation.prediction)
    level = evaluation.confidence_level
    forecasts = class_forecasts(evaluation.prediction, evaluation.y_true)
    forecast = forecasts["MC dropout"]
    rows = classes.class_rows(evaluation, names)
    confusions = None
    if kind != "labels":
        confusions = confusion(
            forecast.labels,
            forecast.columns.predicted,
            forecast.predictive_entropy,
            forecast.num_classes,
        )
    return {
        "answers": (
            verdict_classes.trust(evaluation, forecast),
            verdict.change(evaluation),
            verdict_classes.failure(evaluation, forecast, rows, confusions),
        ),
        "scored": int(forecast.labels.size),
        "calibration": calibration_curves(forecasts, confidence_level=level),
        "separations": classes.separations(evaluation, forecasts),
        "selective": accuracy_curves(forecasts, confidence_level=level),
        "classes": rows,
        "confusion": confusions,
    }
