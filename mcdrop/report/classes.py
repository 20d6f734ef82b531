"""The numbers of a class task: separation, selective answers, classes and confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.diagnostics.calibration import CalibrationCurve, calibration_curve
from mcdrop.diagnostics.confusion import Confusion, confusion, confusion_counts
from mcdrop.diagnostics.estimates import UNDEFINED, by_example, mean, ratio, share
from mcdrop.diagnostics.selective import SelectiveCurve, selective_accuracy
from mcdrop.diagnostics.separation import histogram
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.detection import error_detection, uncertainties
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.records import Estimate
from mcdrop.report.content import ClassRow, Separation

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answers:
    """Both forecasts of an evaluated class task; their units are in the same order.

    Attributes:
        monte_carlo: The mean of the passes.
        deterministic: The prediction with dropout off.
        level: Level of all intervals.
    """

    monte_carlo: ClassForecast
    deterministic: ClassForecast
    level: float

    def __len__(self) -> int:
        """Returns the number of answers: examples, labels or pixels."""
        return int(self.monte_carlo.labels.size)

    @property
    def labels(self) -> Array:
        """True classes, shape (M,)."""
        return self.monte_carlo.labels

    @property
    def example(self) -> Array | None:
        """Example of each answer, shape (M,); None where each is its own."""
        return self.monte_carlo.units.example

    def among(self, chosen: Array) -> Array | None:
        """Returns the examples of some answers, None where each is its own."""
        return None if self.example is None else self.example[chosen]


def calibration(answers: Answers) -> dict[str, CalibrationCurve]:
    """Returns the calibration curve of each forecast."""
    return {
        name: calibration_curve(
            forecast.confidence,
            forecast.correct,
            example=answers.example,
            confidence_level=answers.level,
        )
        for name, forecast in _both(answers).items()
    }


def selective(answers: Answers) -> dict[str, SelectiveCurve]:
    """Returns accuracy against coverage of each forecast, ordered by its own entropy."""
    return {
        name: selective_accuracy(
            forecast.predictive_entropy,
            forecast.correct,
            example=answers.example,
            confidence_level=answers.level,
        )
        for name, forecast in _both(answers).items()
    }


def _both(answers: Answers) -> dict[str, ClassForecast]:
    return {"MC dropout": answers.monte_carlo, "deterministic": answers.deterministic}


def separations(answers: Answers, evaluation: Evaluation) -> tuple[Separation, ...]:
    """Returns how each measure of uncertainty sets wrong answers apart from right ones."""
    found = error_detection(evaluation)
    right = answers.monte_carlo.correct == 1.0, answers.deterministic.correct == 1.0
    rows = []
    for each in uncertainties(evaluation.prediction):
        is_plain = each.side == "deterministic"
        forecast = answers.deterministic if is_plain else answers.monte_carlo
        scores, mine = getattr(forecast, each.name), right[is_plain]
        rows.append(
            Separation(
                name=each.name,
                title=each.title,
                source=each.side,
                histogram=histogram(scores[mine], scores[~mine]),
                auroc=found.estimates.get(each.key, UNDEFINED) if found else UNDEFINED,
                difference=found.differences.get(each.key) if found else None,
            )
        )
    return tuple(rows)


def class_rows(answers: Answers, names: Sequence[str], *, dense: bool) -> tuple[ClassRow, ...]:
    """Returns one row a class."""
    labels, level = answers.labels, answers.level
    predicted = answers.monte_carlo.columns.predicted
    plain = answers.deterministic.columns.predicted
    counts = confusion_counts(labels, predicted, len(names))
    rows = []
    for index, name in enumerate(names):
        mine, called = labels == index, predicted == index
        others = np.where(np.arange(len(names)) == index, 0, counts[index])
        worst = int(others.argmax())
        rows.append(
            ClassRow(
                name=name,
                count=int(mine.sum()),
                recall=share(1.0 * called[mine], answers.among(mine), level),
                deterministic_recall=share(
                    1.0 * (plain[mine] == index), answers.among(mine), level
                ),
                precision=share(1.0 * mine[called], answers.among(called), level),
                f1=_f1(answers, mine, called),
                entropy=_entropy(answers, mine),
                confused_with=names[worst] if others[worst] else None,
                confused_count=int(others[worst]),
                intersection_over_union=_overlap(answers, index, predicted) if dense else None,
                deterministic_intersection_over_union=_overlap(answers, index, plain)
                if dense
                else None,
            )
        )
    return tuple(rows)


def label_rows(answers: Answers, names: Sequence[str], place: Array) -> tuple[ClassRow, ...]:
    """Returns one row a label of a multilabel prediction; `place` is the label of each answer."""
    labels, level = answers.labels, answers.level
    said = answers.monte_carlo.columns.predicted == 1
    plain = answers.deterministic.columns.predicted == 1
    rows = []
    for index, name in enumerate(names):
        mine = place == index
        carried, called = mine & (labels == 1), mine & said
        rows.append(
            ClassRow(
                name=name,
                count=int(carried.sum()),
                # Within one label each answer is of an example of its own.
                recall=share(1.0 * said[carried], None, level),
                deterministic_recall=share(1.0 * plain[carried], None, level),
                precision=share(1.0 * carried[called], None, level),
                f1=_f1(answers, carried, called),
                entropy=_entropy(answers, mine),
                confused_with=None,
                confused_count=0,
            )
        )
    return tuple(rows)


def _entropy(answers: Answers, mine: Array) -> Estimate:
    """Returns the mean predictive entropy of some answers."""
    values = answers.monte_carlo.predictive_entropy[mine]
    most = float(np.log(answers.monte_carlo.num_classes))
    return mean(values, answers.among(mine), answers.level, bounds=(0.0, most))


def _overlap(answers: Answers, index: int, predicted: Array) -> Estimate:
    """Returns the intersection over union of one class, a ratio of sums over examples."""
    mine, called = answers.labels == index, predicted == index
    return _ratio(answers, 1.0 * (mine & called), 1.0 * (mine | called))


def _f1(answers: Answers, mine: Array, called: Array) -> Estimate:
    """Returns 2 hits / (members + calls), a ratio of sums over examples."""
    return _ratio(answers, 2.0 * (mine & called), 1.0 * mine + called)


def _ratio(answers: Answers, parts: Array, wholes: Array) -> Estimate:
    if not wholes.any():
        return UNDEFINED
    tops, _ = by_example(parts, answers.example)
    bottoms, _ = by_example(wholes, answers.example)
    return ratio(tops, bottoms, answers.level)


def confusions(answers: Answers) -> Confusion:
    """Returns true against answered class, of all answers and of the most uncertain."""
    forecast = answers.monte_carlo
    return confusion(
        answers.labels,
        forecast.columns.predicted,
        forecast.predictive_entropy,
        forecast.num_classes,
    )
