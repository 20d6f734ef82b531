"""Scores of all classes together: means over classes of a ratio of counts, and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mcdrop import intervals
from mcdrop.errors import DataError
from mcdrop.evaluation.class_rules import MIRRORED, ClassRule, ClassSide
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.measures import Rule
from mcdrop.intervals import Interval
from mcdrop.weighted.arrays import divide
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Units of each example by class, each of shape (n, K).

    Classes are those of the forecast; of a multilabel task they are its labels, with the units
    that have the label.

    Attributes:
        hits: Units of the class that are predicted as it.
        predicted: Units that are predicted as it.
        actual: Units of the class.
    """

    hits: csr_array
    predicted: csr_array
    actual: csr_array


def class_counts(forecast: ClassForecast) -> ClassCounts:
    """Returns how many units each example has of each class, and is predicted to have."""
    example = forecast.units.example
    example = np.arange(forecast.labels.size) if example is None else example
    labels, predicted = forecast.labels, forecast.columns.predicted
    if forecast.position is None:
        num_classes, position = forecast.num_classes, None
    else:
        num_classes, position = int(forecast.position.max()) + 1, forecast.position

    def count(classes: NDArray[np.int64], chosen: NDArray[np.bool_]) -> csr_array:
        if position is not None:
            chosen, classes = chosen & (classes == 1), position
        shape = (forecast.units.num_examples, num_classes)
        rows, columns = example[chosen], classes[chosen]
        return csr_array((np.ones(rows.size), (rows, columns)), shape=shape)

    every = np.ones(labels.size, bool)
    return ClassCounts(
        hits=count(labels, labels == predicted),
        predicted=count(predicted, every),
        actual=count(labels, every),
    )


def f1_of_overlap(overlap: Array) -> Array:
    """Returns F1, 2J / (1 + J) of the intersection over union J, which is a share."""
    return 2.0 * overlap / (1.0 + overlap)


@dataclass(frozen=True)
class ClassMean:
    """A mean, over the classes that occur or are predicted, of a share of the units of each.

    Attributes:
        share: From hits, predicted and actual units, arrays or sparse, to those that succeed
            and those that count; what succeeds counts.
        transform: From the share to the value that is averaged.
    """

    share: Callable[[Any, Any, Any], tuple[Any, Any]]
    transform: Callable[[Array], Array] = lambda share: share

    def statistic(self, forecast: ClassForecast) -> Statistic:
        """Returns the mean as a function of example weights; a share of none counts as 0."""
        counts = class_counts(forecast)

        def mean(weights: Array) -> Array:
            hits, predicted, actual = (
                np.asarray((each.T @ weights.T).T)
                for each in (counts.hits, counts.predicted, counts.actual)
            )
            occurs = predicted + actual > 0
            shares = divide(*self.share(hits, predicted, actual), 0.0)
            values = np.where(occurs, self.transform(shares), 0.0)
            return divide(values.sum(axis=1), occurs.sum(axis=1), np.nan)

        return forecast.units.of_examples(mean)

    @property
    def rule(self) -> ClassRule:
        """By the limits of each class's share; where units are not independent, by resamples."""

        def of_one(side: ClassSide, level: float) -> Interval:
            if _is_clustered(side.forecast):
                return MIRRORED.of_one(side, level)
            return intervals.mean_share(self._shares(class_counts(side.forecast)), level)

        def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
            if _is_clustered(first.forecast):
                return MIRRORED.of_two(first, second, level)
            counts = [class_counts(side.forecast) for side in (first, second)]
            sides = [self._shares(each) for each in counts]
            products = self._products(counts, sides)
            return intervals.mean_share_difference(sides[0], sides[1], products, level)

        return Rule(of_one, of_two, resamples=_is_clustered)

    def _shares(self, counts: ClassCounts) -> intervals.ClassShares:
        hits, predicted, actual = (
            _sums(each) for each in (counts.hits, counts.predicted, counts.actual)
        )
        occurs = predicted + actual > 0
        successes, counted = self.share(hits, predicted, actual)
        weights = occurs / occurs.sum()
        return intervals.ClassShares(successes, counted, weights, self.transform)

    def _products(
        self, counts: Sequence[ClassCounts], sides: Sequence[intervals.ClassShares]
    ) -> Array:
        """Returns the sums of products of residuals that `mean_share_difference` asks for."""
        (a, counted_a), (b, counted_b) = (
            self.share(each.hits, each.predicted, each.actual) for each in counts
        )
        p, q = (side.successes / np.maximum(side.counts, 1) for side in sides)
        return np.asarray(
            _sums(a.multiply(b))
            - q * _sums(a.multiply(counted_b))
            - p * _sums(counted_a.multiply(b))
            + p * q * _sums(counted_a.multiply(counted_b))
        )


def _is_clustered(forecast: ClassForecast) -> bool:
    return forecast.units.example is not None


def _sums(counts: csr_array) -> Array:
    """Returns the sum over examples, shape (K,)."""
    return np.asarray(counts.sum(axis=0), dtype=np.float64).reshape(-1)


PRECISION = ClassMean(lambda hits, predicted, actual: (hits, predicted))
RECALL = ClassMean(lambda hits, predicted, actual: (hits, actual))
OVERLAP = ClassMean(lambda hits, predicted, actual: (hits, predicted + actual - hits))
F1 = replace(OVERLAP, transform=f1_of_overlap)


def mean_intersection_over_union(forecast: ClassForecast) -> Statistic:
    """Returns the mean intersection over union of the classes that occur."""
    if not forecast.dense:
        raise DataError("it is defined for dense outputs")
    return OVERLAP.statistic(forecast)
