"""The numbers of a class task as the page shows them: its classes, and right beside wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mcdrop.diagnostics.separation import histogram
from mcdrop.evaluation import Estimate, Evaluation
from mcdrop.evaluation.detection import error_detection, uncertainties
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.report.content import ClassRow, Separation

UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"), reason="all answers are of one kind")


def separations(
    evaluation: Evaluation, forecasts: Mapping[str, ClassForecast]
) -> tuple[Separation, ...]:
    """Returns how each measure of uncertainty sets wrong answers apart from right ones."""
    found = error_detection(evaluation)
    rows = []
    for each in uncertainties(evaluation.prediction):
        forecast = forecasts["deterministic" if each.side == "deterministic" else "MC dropout"]
        scores, right = getattr(forecast, each.name), forecast.correct == 1.0
        rows.append(
            Separation(
                name=each.name,
                title=each.title,
                source=each.side,
                histogram=histogram(scores[right], scores[~right]),
                auroc=found.estimates.get(each.key, UNDEFINED) if found else UNDEFINED,
                difference=found.differences.get(each.key) if found else None,
            )
        )
    return tuple(rows)


def class_rows(evaluation: Evaluation, names: Sequence[str]) -> tuple[ClassRow, ...]:
    """Returns one row a class, or a label of a multilabel prediction."""
    rows = []
    for score, name in zip(evaluation.class_scores, names, strict=True):
        worst, times = _confused_with(evaluation, score.label)
        rows.append(
            ClassRow(
                name=name,
                count=score.support,
                recall=score.recall,
                deterministic_recall=score.deterministic_recall,
                precision=score.precision,
                f1=score.f1,
                entropy=score.predictive_entropy,
                confused_with=names[worst] if times else None,
                confused_count=times,
                intersection_over_union=score.intersection_over_union,
                deterministic_intersection_over_union=score.deterministic_intersection_over_union,
            )
        )
    return tuple(rows)


def _confused_with(evaluation: Evaluation, label: int) -> tuple[int, int]:
    """Returns the class most often answered in place of this one, and how often; of labels none."""
    if evaluation.confusion is None or evaluation.task == "multilabel":
        return 0, 0
    others = evaluation.confusion[label].copy()
    others[label] = 0
    worst = int(np.argmax(others))
    return worst, int(others[worst])
