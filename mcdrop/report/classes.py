"""The numbers of a class task: separation, selective answers, classes and confusions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.metrics.calibration import ReliabilityCurve, reliability_curve
from mcdrop.metrics.selective import risk_coverage_curve
from mcdrop.report.answers import Answers
from mcdrop.report.content import ClassRow, Confusion, Histogram, Selective, Separation
from mcdrop.report.intervals import (
    Interval,
    auroc_interval,
    binomial_interval,
    mean_interval,
    wilson,
)

Array = NDArray[Any]

NUM_BINS = 30
OPERATING_POINTS = 201
UNCERTAIN_SHARE = 0.1
"""The share of answers with the highest predictive entropy that are called uncertain."""
MAX_MATRIX = 20
MAX_PAIRS = 10

_MEASURES = (
    ("predictive_entropy", "Predictive entropy"),
    ("mutual_information", "Mutual information"),
)


def separations(answers: Answers, level: float) -> tuple[Separation, ...]:
    """Returns how each measure of uncertainty sets wrong answers apart from right ones."""
    effect = answers.design_effect
    measures = [
        (name, title, "monte_carlo", scores, answers.correct)
        for name, title in _MEASURES
        if (scores := getattr(answers, name)) is not None
    ]
    plain = "Entropy of the deterministic prediction"
    measures.append(
        (
            "predictive_entropy",
            plain,
            "deterministic",
            answers.deterministic_entropy,
            answers.deterministic_correct,
        )
    )
    return tuple(
        Separation(
            name=name,
            title=title,
            source=source,
            histogram=histogram(scores[right], scores[~right]),
            auroc=auroc_interval(scores[right], scores[~right], level, design_effect=effect),
        )
        for name, title, source, scores, right in measures
    )


def reliability(answers: Answers, probabilities: Array, level: float) -> ReliabilityCurve:
    """Returns the reliability curve, its intervals allowing for answers that err together."""
    curve = reliability_curve(probabilities, answers.labels, confidence_level=level)
    effect = answers.design_effect
    if effect == 1.0:
        return curve
    filled = curve.count > 0
    counts = curve.count[filled] / effect
    low, high = np.full(filled.shape, np.nan), np.full(filled.shape, np.nan)
    low[filled], high[filled] = wilson(curve.accuracy[filled] * counts, counts, level)
    return replace(curve, low=low, high=high)


def histogram(first: Array, second: Array) -> Histogram | None:
    """Returns the shares of two kinds in common bins; None when one of them is empty."""
    if first.size == 0 or second.size == 0:
        return None
    both = np.concatenate([first, second])
    low, high = min(float(both.min()), 0.0), float(both.max())
    edges = np.linspace(low, high if high > low else low + 1.0, NUM_BINS + 1)
    shares = [np.histogram(values, edges)[0] / values.size for values in (first, second)]
    return Histogram(edges, shares[0], shares[1], first.size, second.size)


def selective(answers: Answers, level: float) -> Selective:
    """Returns accuracy against coverage, the answers ordered by predictive entropy."""
    curve = risk_coverage_curve(answers.predictive_entropy, 1.0 * ~answers.correct)
    points = operating_points(curve.coverage)
    coverage = curve.coverage[points]
    accepted = np.round(coverage * len(answers))
    right = np.round((1.0 - curve.risk[points]) * accepted)
    effect = answers.design_effect
    low, high = wilson(right / effect, accepted / effect, level)
    plain = risk_coverage_curve(answers.deterministic_entropy, 1.0 * ~answers.deterministic_correct)
    plain_points = operating_points(plain.coverage)
    return Selective(
        quality="accuracy",
        measure="predictive_entropy",
        unit="nats",
        count=len(answers),
        coverage=coverage,
        threshold=curve.threshold[points],
        value=right / accepted,
        low=low,
        high=high,
        deterministic_coverage=plain.coverage[plain_points],
        deterministic_value=1.0 - plain.risk[plain_points],
    )


def operating_points(coverage: Array) -> Array:
    """Returns the indices of at most 201 points of a curve, evenly spread over coverage."""
    wanted = np.linspace(0.0, 1.0, OPERATING_POINTS)[1:]
    nearest = np.searchsorted(coverage, wanted - 1e-12)
    return np.unique(np.minimum(nearest, coverage.size - 1))


def class_rows(
    answers: Answers,
    names: Sequence[str],
    level: float,
    overlaps: Sequence[tuple[Interval, Interval]] = (),
) -> tuple[ClassRow, ...]:
    """Returns one row a class; `overlaps` holds both intersections over union of each class."""
    counts = _counts(answers.labels, answers.predicted, len(names))
    plain = _counts(answers.labels, answers.deterministic_predicted, len(names))
    effect = answers.design_effect
    share = _share_with(level, effect)
    rows = []
    for index, name in enumerate(names):
        total = int(counts[index].sum())
        others = np.where(np.arange(len(names)) == index, 0, counts[index])
        worst = int(others.argmax())
        rows.append(
            ClassRow(
                name=name,
                count=total,
                accuracy=share(counts[index, index], total),
                deterministic_accuracy=share(plain[index, index], total),
                precision=share(counts[index, index], counts[:, index].sum()),
                entropy=mean_interval(
                    answers.predictive_entropy[answers.labels == index], level, design_effect=effect
                ),
                confused_with=names[worst] if others[worst] else None,
                confused_count=int(others[worst]),
                intersection_over_union=overlaps[index][0] if overlaps else None,
                deterministic_intersection_over_union=overlaps[index][1] if overlaps else None,
            )
        )
    return tuple(rows)


def label_rows(answers: Answers, names: Sequence[str], level: float) -> tuple[ClassRow, ...]:
    """Returns one row a label of a multilabel prediction, from the examples that carry it."""
    label = answers.position % len(names)
    share = _share_with(level, 1.0)
    rows = []
    for index, name in enumerate(names):
        mine = label == index
        carried = mine & (answers.labels == 1)
        total = int(carried.sum())
        right = answers.correct[carried].sum()
        rows.append(
            ClassRow(
                name=name,
                count=total,
                accuracy=share(right, total),
                deterministic_accuracy=share(answers.deterministic_correct[carried].sum(), total),
                precision=share(right, (mine & (answers.predicted == 1)).sum()),
                entropy=mean_interval(answers.predictive_entropy[mine], level),
                confused_with=None,
                confused_count=0,
            )
        )
    return tuple(rows)


def confusion(answers: Answers, names: Sequence[str]) -> Confusion:
    """Returns the confusions among the most uncertain tenth of the answers."""
    size = max(1, round(UNCERTAIN_SHARE * len(answers)))
    order = np.argsort(-answers.predictive_entropy, kind="stable")[:size]
    labels, predicted = answers.labels[order], answers.predicted[order]
    counts = _counts(labels, predicted, len(names))
    wrong = counts - np.diag(np.diag(counts))
    ranked = np.argsort(-wrong, axis=None, kind="stable")[:MAX_PAIRS]
    pairs = [tuple(int(i) for i in divmod(int(place), len(names))) for place in ranked]
    return Confusion(
        share=size / len(answers),
        threshold=float(answers.predictive_entropy[order[-1]]),
        count=size,
        errors_inside=int((labels != predicted).sum()),
        errors=int((~answers.correct).sum()),
        classes=tuple(names),
        matrix=counts if len(names) <= MAX_MATRIX else None,
        pairs=tuple((names[t], names[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]),
    )


def _counts(labels: Array, predicted: Array, num_classes: int) -> Array:
    """Returns the confusion matrix, true class by answered class."""
    flat = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def _share_with(level: float, design_effect: float) -> Callable[[Any, Any], Interval]:
    def share(successes: Any, count: Any) -> Interval:
        return binomial_interval(int(successes), int(count), level, design_effect=design_effect)

    return share
