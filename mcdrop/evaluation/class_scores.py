"""Precision, recall and more of each class, and the confusion matrix behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.evaluation.class_means import class_counts, f1_of_overlap
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.records import ClassScore, Estimate
from mcdrop.evaluation.scoring import NOT_ASKED
from mcdrop.intervals import Interval, absent
from mcdrop.weighted.arrays import divide
from mcdrop.weighted.halves import fold_noise, half_sample_noise

Array = NDArray[np.float64]

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


class ClassTotals(NamedTuple):
    """Sums of each class over some units, shape (K,) each, or of one class over examples, (n,).

    Attributes:
        hits: Units of the class that are predicted as it.
        predicted: Units that are predicted as it.
        actual: Units of the class.
        entropy: Sum of the predictive entropies of its members.
        members: Units of the class; of a multilabel task, all units of the label.
    """

    hits: Array
    predicted: Array
    actual: Array
    entropy: Array
    members: Array


def class_totals(forecast: ClassForecast) -> ClassTotals:
    """Returns the sums of each class over all units."""
    counts = class_counts(forecast)
    hits, predicted, actual = (
        np.asarray(each.sum(axis=0)).reshape(-1)
        for each in (counts.hits, counts.predicted, counts.actual)
    )
    group, entropy = _group(forecast), forecast.predictive_entropy
    return ClassTotals(
        hits,
        predicted,
        actual,
        np.asarray(np.bincount(group, entropy, minlength=hits.size), dtype=np.float64),
        np.bincount(group, minlength=hits.size).astype(np.float64),
    )


def _group(forecast: ClassForecast) -> NDArray[np.intp]:
    """Returns the class whose entropy each unit counts for; of a multilabel task, its label."""
    return forecast.labels if forecast.position is None else forecast.position


@dataclass(frozen=True)
class _Ratio:
    """A score of a class, a ratio of its sums.

    F1 is 2J / (1 + J) of the intersection over union J, a share of the units that are of the
    class or predicted as it, so that its limits follow from those of J.
    """

    part: Callable[[ClassTotals], Array]
    whole: Callable[[ClassTotals], Array]
    transform: Callable[[Array], Array] = lambda ratio: ratio

    def value(self, totals: ClassTotals) -> Array:
        return self.transform(divide(self.part(totals), self.whole(totals), np.nan))


_RECALL = _Ratio(lambda t: t.hits, lambda t: t.actual)
_OVERLAP = _Ratio(lambda t: t.hits, lambda t: t.predicted + t.actual - t.hits)
_ENTROPY = _Ratio(lambda t: t.entropy, lambda t: t.members)
_RATIOS = {
    "precision": _Ratio(lambda t: t.hits, lambda t: t.predicted),
    "recall": _RECALL,
    "f1": _Ratio(_OVERLAP.part, _OVERLAP.whole, f1_of_overlap),
    "predictive_entropy": _ENTROPY,
}


@dataclass(frozen=True, eq=False)
class Passes:
    """What halves of the passes say of the classes.

    Attributes:
        totals: Share of the passes, and the sums, of each half; empty without passes.
        num_groups: Groups of passes that the halves consist of.
    """

    totals: Sequence[tuple[float, ClassTotals]] = field(default_factory=tuple)
    num_groups: int = 0


def class_scores(
    forecast: ClassForecast,
    deterministic: ClassForecast,
    passes: Passes,
    level: float,
    *,
    with_intervals: bool,
) -> tuple[ClassScore, ...]:
    """Returns the scores of each class.

    Args:
        forecast: The mean of the passes.
        deterministic: The prediction with dropout off, of the same units.
        passes: Halves of the passes.
        level: Confidence level.
        with_intervals: Whether to make intervals.
    """
    ratios, plain = dict(_RATIOS), {"recall": _RECALL}
    if forecast.dense:
        ratios["intersection_over_union"] = plain["intersection_over_union"] = _OVERLAP
    totals, beside = class_totals(forecast), class_totals(deterministic)
    columns = _estimates(forecast, totals, ratios, passes, level, with_intervals)
    others = _estimates(deterministic, beside, plain, Passes(), level, with_intervals)
    columns |= {f"deterministic_{name}": each for name, each in others.items()}
    return tuple(
        ClassScore(k, int(count), **{name: each[k] for name, each in columns.items()})
        for k, count in enumerate(totals.actual)
    )


def _estimates(
    forecast: ClassForecast,
    totals: ClassTotals,
    ratios: dict[str, _Ratio],
    passes: Passes,
    level: float,
    with_intervals: bool,
) -> dict[str, list[Estimate]]:
    """Returns the estimates of each class by the name of the ratio."""
    shares = np.array([share for share, _ in passes.totals])
    values = {name: ratio.value(totals) for name, ratio in ratios.items()}
    halves = {
        name: np.array([ratio.value(half) for _, half in passes.totals])
        for name, ratio in ratios.items()
    }
    most = float(np.log(forecast.num_classes))
    found: dict[str, list[Estimate]] = {name: [] for name in ratios}
    by_class = _by_class(forecast, totals) if with_intervals else [None] * totals.hits.size
    for k, examples in enumerate(by_class):
        for name, ratio in ratios.items():
            bounds = (0.0, most) if ratio is _ENTROPY else UNIT_INTERVAL
            interval = absent(NOT_ASKED)
            if examples is not None:
                interval = _interval(ratio, examples, bounds, level, forecast.units.example is None)
            value = float(values[name][k])
            half = halves[name][:, k] if shares.size else shares
            found[name].append(
                _estimate(value, interval, half, shares, passes.num_groups, level, bounds)
            )
    return found


def _by_class(forecast: ClassForecast, totals: ClassTotals) -> Iterable[ClassTotals]:
    """Yields the sums of one class after the other over the examples that it concerns.

    Where each example is one unit, counts are yielded as one number: limits of shares need no more.
    """
    units, entropy = forecast.units, forecast.predictive_entropy
    group = _group(forecast)
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(totals.hits.size + 1))
    counts = class_counts(forecast)
    columns = counts.hits.tocsc(), counts.predicted.tocsc(), counts.actual.tocsc()
    for k in range(totals.hits.size):
        mine = order[ends[k] : ends[k + 1]]
        if units.example is None:
            hits, predicted, actual = (each[k : k + 1] for each in totals[:3])
            yield ClassTotals(hits, predicted, actual, entropy[mine], np.ones(mine.size))
            continue
        hits, predicted, actual = (column[:, [k]].toarray()[:, 0] for column in columns)
        sums, members = (
            np.asarray(
                np.bincount(units.example[mine], weights, minlength=units.num_examples),
                dtype=np.float64,
            )
            for weights in (entropy[mine], np.ones(mine.size))
        )
        yield ClassTotals(hits, predicted, actual, sums, members)


def _interval(
    ratio: _Ratio,
    examples: ClassTotals,
    bounds: tuple[float, float],
    level: float,
    is_one_each: bool,
) -> Interval:
    """Returns the interval of a class's ratio, of units or of units in clusters."""
    parts, wholes = ratio.part(examples), ratio.whole(examples)
    concerned = wholes > 0
    if is_one_each and ratio is not _ENTROPY:
        found = intervals.share(int(parts.sum()), int(wholes.sum()), level)
    else:
        found = intervals.cluster_share(parts[concerned], wholes[concerned], level, bounds=bounds)
    if not found.defined:
        return found
    low, high = ratio.transform(np.array([found.low, found.high]))
    return Interval(float(low), float(high))


def _estimate(
    value: float,
    interval: Interval,
    halves: Array,
    shares: Array,
    num_groups: int,
    level: float,
    bounds: tuple[float, float],
) -> Estimate:
    """Returns the score with the noise of the passes in its interval.

    Halves in which the score is not defined, as the precision of a class that half of the
    passes never predict, tell nothing.
    """
    if not interval.defined:
        return Estimate(value, np.nan, np.nan, reason=interval.reason)
    low, high, error = min(interval.low, value), max(interval.high, value), None
    told = ~np.isnan(halves)
    if told.any():
        noise = half_sample_noise(value, halves[told], shares[told], num_groups)
        low, high = fold_noise(value, (low, high), noise, level)
        error = noise.error
    return Estimate(value, max(float(low), bounds[0]), min(float(high), bounds[1]), error)
