"""Precision, recall and F1 of each class, and the confusion matrix behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.evaluation.class_statistics import ClassCounts, class_counts
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.records import ClassScore, Estimate
from mcdrop.intervals import Interval
from mcdrop.weighted.arrays import divide
from mcdrop.weighted.halves import fold_noise, half_sample_noise

Array = NDArray[np.float64]
Totals = tuple[Array, Array, Array]
"""Hits, predicted and actual units of each class, shape (K,) each."""

UNIT_INTERVAL = (0.0, 1.0)


def confusion_matrix(forecast: ClassForecast) -> NDArray[np.int64]:
    """Returns counts of units, actual class by predicted class, shape (C, C).

    Of a multilabel task: for each label whether it is there by whether it is predicted, (L, 2, 2).
    """
    size = forecast.num_classes
    cells = forecast.labels * size + forecast.columns.predicted
    if forecast.position is None:
        return np.bincount(cells, minlength=size**2).reshape(size, size)
    num_labels = int(forecast.position.max()) + 1
    cells = cells + size**2 * forecast.position
    return np.bincount(cells, minlength=num_labels * size**2).reshape(num_labels, size, size)


def class_totals(forecast: ClassForecast) -> Totals:
    """Returns the counts of each class over all examples."""
    counts = class_counts(forecast)
    hits, predicted, actual = (
        np.asarray(each.sum(axis=0)).reshape(-1)
        for each in (counts.hits, counts.predicted, counts.actual)
    )
    return hits, predicted, actual


def class_scores(
    forecast: ClassForecast, halves: Sequence[tuple[float, Totals]], num_groups: int, level: float
) -> tuple[ClassScore, ...]:
    """Returns the scores of each class.

    Precision and recall are shares of the units that are predicted as the class, or are of it.
    F1 is 2J / (1 + J) of the intersection over union J, a share of the units that are either,
    so that its limits follow from those of J.

    Args:
        forecast: The forecast.
        halves: Share of the passes and totals of each half of them; empty without passes.
        num_groups: Groups of passes that the halves consist of.
        level: Confidence level.
    """
    counts, totals = class_counts(forecast), class_totals(forecast)
    scores: dict[str, list[Estimate]] = {}
    for name, transform in (("precision", _same), ("recall", _same), ("f1", _f1_of_overlap)):
        limits = _limits(name, forecast, counts, level)
        found = transform(_ratio(name, totals))
        parts = np.array([transform(_ratio(name, part)) for _, part in halves])
        shares = np.array([share for share, _ in halves])
        scores[name] = [
            _estimate(
                found[k],
                _transformed(limits[k], transform),
                parts[:, k] if len(parts) else np.empty(0),
                shares,
                num_groups,
                level,
            )
            for k in range(found.size)
        ]
    return tuple(
        ClassScore(
            k, int(totals[2][k]), scores["precision"][k], scores["recall"][k], scores["f1"][k]
        )
        for k in range(totals[0].size)
    )


def _same(ratio: Array) -> Array:
    return ratio


def _f1_of_overlap(overlap: Array) -> Array:
    return 2.0 * overlap / (1.0 + overlap)


def _whole(name: str, predicted: Array, actual: Array, hits: Array) -> Array:
    """Returns the units of which the score is a share."""
    wholes = {"precision": predicted, "recall": actual, "f1": predicted + actual - hits}
    return wholes[name]


def _ratio(name: str, totals: Totals) -> Array:
    hits, predicted, actual = totals
    return divide(hits, _whole(name, predicted, actual, hits), np.nan)


def _limits(
    name: str, forecast: ClassForecast, counts: ClassCounts, level: float
) -> list[Interval]:
    """Returns the interval of each class's share, of units or of units in clusters."""
    if forecast.units.example is None:
        hits, predicted, actual = class_totals(forecast)
        wholes = _whole(name, predicted, actual, hits)
        return [intervals.share(int(k), int(n), level) for k, n in zip(hits, wholes, strict=True)]
    found = []
    for k in range(counts.hits.shape[1]):
        hits, predicted, actual = (
            each[:, [k]].toarray()[:, 0] for each in (counts.hits, counts.predicted, counts.actual)
        )
        found.append(intervals.cluster_share(hits, _whole(name, predicted, actual, hits), level))
    return found


def _transformed(interval: Interval, transform: Callable[[Array], Array]) -> Interval:
    if not interval.defined:
        return interval
    low, high = transform(np.array([interval.low, interval.high]))
    return Interval(float(low), float(high))


def _estimate(
    value: float,
    interval: Interval,
    halves: Array,
    shares: Array,
    num_groups: int,
    level: float,
) -> Estimate:
    """Returns the score with the noise of the passes in its interval.

    Halves in which the score is not defined, as the precision of a class that half of the
    passes never predict, tell nothing.
    """
    if not interval.defined:
        return Estimate(float(value), np.nan, np.nan, reason=interval.reason)
    low, high, error = min(interval.low, value), max(interval.high, value), None
    told = ~np.isnan(halves)
    if told.any():
        noise = half_sample_noise(value, halves[told], shares[told], num_groups)
        low, high = fold_noise(value, (low, high), noise, level)
        error = noise.error
    return Estimate(
        float(value), max(float(low), UNIT_INTERVAL[0]), min(float(high), UNIT_INTERVAL[1]), error
    )
