"""Weighted statistics of the probabilities of all classes in equal-width bins of each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mcdrop.weighted.arrays import FloatArray, OfWeights, divide, in_row_blocks
from mcdrop.weighted.calibration import binned_calibration_statistic, uniform_bins


@dataclass(frozen=True, eq=False)
class ClassBins:
    """Each class of each example in its equal-width bin: one sparse matrix for all classes.

    Attributes:
        probabilities: Shape (n, C).
        labels: Shape (n,).
        num_bins: Number of bins B of each class.
    """

    probabilities: FloatArray
    labels: NDArray[Any]
    num_bins: int

    @cached_property
    def cells(self) -> NDArray[np.intp]:
        """Bin of each class, numbered through all classes, shape (n, C)."""
        first = self.num_bins * np.arange(self.probabilities.shape[1])
        return np.asarray(uniform_bins(self.probabilities, self.num_bins) + first)

    def matrix(self, values: FloatArray) -> csr_array:
        """Returns values, shape (n, C), added up by cell: from examples to cells, (C B, n)."""
        num_examples, num_classes = self.cells.shape
        starts = np.arange(0, num_examples * num_classes + 1, num_classes)
        shape = (num_examples, num_classes * self.num_bins)
        return csr_array((values.ravel(), self.cells.ravel(), starts), shape=shape).T

    def of_labels(self, values: FloatArray) -> csr_array:
        """Returns values, shape (n,), added up by the cell of each label: (C B, n)."""
        num_examples, num_classes = self.cells.shape
        cell = self.cells[np.arange(num_examples), self.labels]
        shape = (num_examples, num_classes * self.num_bins)
        return csr_array((values, cell, np.arange(num_examples + 1)), shape=shape).T

    @cached_property
    def surplus(self) -> csr_array:
        """Probabilities less one-hot labels, added up by cell."""
        values = self.probabilities.astype(np.float64, copy=True)
        values[np.arange(self.labels.size), self.labels] -= 1.0
        return self.matrix(values)

    @cached_property
    def size(self) -> csr_array:
        """Examples, added up by cell."""
        return self.matrix(np.ones(self.cells.shape))

    @cached_property
    def stated(self) -> csr_array:
        """Probabilities, added up by cell."""
        return self.matrix(self.probabilities)

    @cached_property
    def squared(self) -> csr_array:
        """Squared probabilities, added up by cell."""
        return self.matrix(np.square(self.probabilities))

    @cached_property
    def happened(self) -> csr_array:
        """Labels, added up by cell."""
        return self.of_labels(np.ones(self.labels.size))

    @cached_property
    def stated_and_happened(self) -> csr_array:
        """Probabilities of the labels, added up by cell."""
        return self.of_labels(self.probabilities[np.arange(self.labels.size), self.labels])


def classwise_calibration_statistic(
    probabilities: FloatArray, labels: NDArray[Any], *, num_bins: int, strategy: str, norm: str
) -> OfWeights:
    """Returns the mean over classes of the calibration error of one class against the rest."""
    if (strategy, norm) == ("uniform", "l1"):
        return _classwise_gaps(probabilities, labels, num_bins)
    of_class = [
        binned_calibration_statistic(
            probabilities[:, index],
            (labels == index).astype(np.float64),
            num_bins=num_bins,
            strategy=strategy,
            norm=norm,
        )
        for index in range(probabilities.shape[1])
    ]

    def classwise(weights: NDArray[Any]) -> FloatArray:
        return np.asarray(sum(statistic(weights) for statistic in of_class) / len(of_class))

    return classwise


def _classwise_gaps(probabilities: FloatArray, labels: NDArray[Any], num_bins: int) -> OfWeights:
    """Returns the classwise error whose bins add up |sum of probabilities - count of outcomes|."""
    surplus = ClassBins(probabilities, labels, num_bins).surplus

    def classwise(weights: FloatArray) -> FloatArray:
        gaps = np.abs((surplus @ weights.T).T)
        return np.asarray(gaps.sum(axis=1) / weights.sum(axis=1) / probabilities.shape[1])

    return in_row_blocks(classwise)


@dataclass(frozen=True, eq=False)
class _BinMeans:
    """Means over the bins of all classes under weights, each of shape (R, C B), made when asked."""

    classes: ClassBins
    weights: FloatArray

    def _sums(self, of_examples: csr_array) -> FloatArray:
        return np.asarray((of_examples @ self.weights.T).T)

    def _mean(self, of_examples: csr_array) -> FloatArray:
        return divide(self._sums(of_examples), self.size, 0.0)

    @cached_property
    def size(self) -> FloatArray:
        return self._sums(self.classes.size)

    @cached_property
    def stated(self) -> FloatArray:
        return self._mean(self.classes.stated)

    @cached_property
    def happened(self) -> FloatArray:
        return self._mean(self.classes.happened)

    @cached_property
    def squared(self) -> FloatArray:
        return self._mean(self.classes.squared)

    @cached_property
    def stated_and_happened(self) -> FloatArray:
        return self._mean(self.classes.stated_and_happened)

    @cached_property
    def frequency(self) -> FloatArray:
        """How often each class happens, in each of its bins."""
        num_bins = self.classes.num_bins
        counts = (self.size * self.happened).reshape(len(self.weights), -1, num_bins).sum(axis=2)
        return np.repeat(counts / self.weights.sum(axis=1, keepdims=True), num_bins, axis=1)


BRIER_PARTS: Mapping[str, Callable[[_BinMeans], FloatArray]] = {
    "reliability": lambda means: np.square(means.stated - means.happened),
    "resolution": lambda means: np.square(means.happened - means.frequency),
    "uncertainty": lambda means: means.frequency * (1.0 - means.frequency),
    "within_bin_variance": lambda means: means.squared - np.square(means.stated),
    "within_bin_covariance": lambda means: (
        2.0 * (means.stated_and_happened - means.stated * means.happened)
    ),
}
"""Parts of the Brier score by bin; each is a mean over examples, summed over classes."""


def brier_parts_statistic(
    probabilities: FloatArray,
    labels: NDArray[Any],
    *,
    num_bins: int,
    parts: Sequence[str] = tuple(BRIER_PARTS),
) -> Callable[[FloatArray], FloatArray]:
    """Returns the function from weights (R, n) to parts of the Brier score, (R, len(parts))."""
    classes = ClassBins(probabilities, labels, num_bins)

    def of_weights(weights: FloatArray) -> FloatArray:
        means = _BinMeans(classes, weights)
        total = weights.sum(axis=1)
        sums = [(means.size * BRIER_PARTS[part](means)).sum(axis=1) for part in parts]
        return np.stack([np.asarray(each / total) for each in sums], axis=1)

    return in_row_blocks(of_weights)
