"""From an evaluation to the content of its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop.metrics.segmentation import intersection_and_union_per_example
from mcdrop.prediction import Prediction
from mcdrop.report import classes, verdict
from mcdrop.report.answers import VOID_LABEL, answers_of, kind_of
from mcdrop.report.content import Content
from mcdrop.report.context import ReportContext, check_class_names, check_images
from mcdrop.report.convergence import convergence
from mcdrop.report.gallery import gallery
from mcdrop.report.intervals import Interval, ratio_interval
from mcdrop.report.recalibration import Recalibration, recalibrated
from mcdrop.report.shift import shift
from mcdrop.report.values import regression, selective_values

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation

Array = NDArray[Any]


def build(
    evaluation: Evaluation,
    *,
    x: ArrayLike | None = None,
    class_names: Sequence[Any] | None = None,
    out_of_distribution: Prediction | None = None,
    recalibration: Recalibration | None = None,
    context: ReportContext | None = None,
) -> Content:
    """Returns the content of a report; see `mcdrop.report.write` for the arguments.

    Raises:
        DataError: Images, names, the foreign or the repaired prediction do not fit the evaluation.
    """
    prediction = evaluation.prediction
    names = check_class_names(prediction, class_names)
    images = check_images(x, len(prediction))
    parts: dict[str, Any] = {"gallery": gallery(evaluation, names, images)}
    if out_of_distribution is not None:
        parts["shift"] = shift(
            prediction,
            out_of_distribution,
            level=evaluation.confidence_level,
            seed=evaluation.seed,
        )
    if recalibration is not None:
        parts["recalibration"] = recalibrated(evaluation, recalibration)
    kind = kind_of(prediction)
    parts |= _value_parts(evaluation) if kind == "values" else _class_parts(evaluation, names)
    return Content(
        kind=kind,
        evaluation=evaluation,
        context=context or ReportContext(),
        class_names=names,
        convergence=convergence(evaluation),
        **parts,
    )


def _value_parts(evaluation: Evaluation) -> dict[str, Any]:
    found = regression(evaluation)
    return {
        "answers": (
            verdict.trust_values(evaluation, found),
            verdict.change(evaluation),
            verdict.failure_values(found),
        ),
        "scored": found.count,
        "available": found.count,
        "selective": selective_values(evaluation),
        "regression": found,
    }


def _class_parts(evaluation: Evaluation, names: Sequence[str]) -> dict[str, Any]:
    level = evaluation.confidence_level
    kind = kind_of(evaluation.prediction)
    answers = answers_of(evaluation)
    separations = classes.separations(answers, level)
    if kind == "labels":
        rows, confusion = classes.label_rows(answers, names, level), None
    else:
        overlaps = _overlaps(evaluation) if kind == "pixels" else []
        rows = classes.class_rows(answers, names, level, overlaps)
        confusion = classes.confusion(answers, names)
    return {
        "answers": (
            verdict.trust_classes(evaluation, answers),
            verdict.change(evaluation),
            verdict.failure_classes(evaluation, rows, confusion, int((~answers.correct).sum())),
        ),
        "scored": len(answers),
        "available": answers.available,
        "reliability": classes.reliability(answers, answers.probabilities, level),
        "deterministic_reliability": classes.reliability(answers, answers.deterministic, level),
        "separations": separations,
        "selective": classes.selective(answers, level),
        "classes": rows,
        "confusion": confusion,
    }


def _overlaps(evaluation: Evaluation) -> list[tuple[Interval, Interval]]:
    """Returns the intersection over union of each class, MC dropout and deterministic."""
    prediction = evaluation.prediction
    truth, level = np.asarray(evaluation.y_true), evaluation.confidence_level
    num_classes = prediction.class_probabilities.shape[-1]
    plain = prediction.deterministic_class_probabilities.argmax(axis=-1)
    counts = [
        intersection_and_union_per_example(
            predicted, truth, num_classes=num_classes, void_label=VOID_LABEL
        )
        for predicted in (prediction.predicted_class, plain)
    ]
    both = [
        [ratio_interval(hits[:, c], union[:, c], level) for c in range(num_classes)]
        for hits, union in counts
    ]
    return list(zip(both[0], both[1], strict=True))
