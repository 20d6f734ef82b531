"""Metrics as functions of example weights: one formula for a metric and for its bootstrap.

A *statistic* maps weights of shape (R, n) to values of shape (R,): row r says how many times
each of the n examples counts, ones for the metric itself and multinomial counts for a
bootstrap resample. What depends on the data alone (sorting, ties, bins) is done once, when
the statistic is made, so a resample costs a few passes over n numbers and no sorting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
OfWeights = Callable[[NDArray[Any]], FloatArray]
T = TypeVar("T")

ROUNDING = 1e-13
"""Relative difference of two scores up to which rounding alone may have parted them."""

BLOCK_ELEMENTS = 2**17
"""Weights handled at once: 1 MiB of float64, so that the temporaries stay in the cache."""


def mean_per_example(values: FloatArray) -> FloatArray:
    """Returns the mean over all axes but the first, shape (N,)."""
    return np.asarray(values.reshape(values.shape[0], -1).mean(axis=1))


def in_row_blocks(function: OfWeights) -> OfWeights:
    """Returns `function` applied to blocks of rows, so that its temporaries stay small."""

    def blockwise(weights: NDArray[Any]) -> FloatArray:
        step = max(1, BLOCK_ELEMENTS // max(1, weights.shape[1]))
        if weights.shape[0] <= step:  # the array itself, so that what is known of it is found
            return function(np.asarray(weights, dtype=np.float64))
        blocks = [
            function(np.asarray(weights[start : start + step], dtype=np.float64))
            for start in range(0, weights.shape[0], step)
        ]
        return np.concatenate(blocks) if blocks else np.empty(0)

    return blockwise


def plain_value(statistic: OfWeights, num_examples: int) -> float:
    """Returns the statistic of the data as they are, each example counted once."""
    return float(statistic(np.ones((1, num_examples)))[0])


def mean_statistic(values: FloatArray) -> OfWeights:
    """Returns the statistic of the mean of `values`, one value an example, shape (n,)."""

    def mean(weights: NDArray[Any]) -> FloatArray:
        return np.asarray(weights @ values / weights.sum(axis=1))

    return in_row_blocks(mean)


def divide(numerator: NDArray[Any], denominator: NDArray[Any], otherwise: float) -> FloatArray:
    """Returns the ratio, and `otherwise` where the denominator is 0."""
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    ratio = np.full(shape, otherwise, dtype=np.float64)
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio


@dataclass(frozen=True, eq=False)
class TiedGroups:
    """Examples sorted by a key, keys that are equal but for rounding forming one group.

    Attributes:
        order: Indices that sort the keys upward, shape (n,).
        starts: Position in that order at which each group begins, shape (G,).
        keys: The G distinct keys, upward: the least of each group.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    keys: FloatArray
    _known: dict[str, Any] = field(default_factory=dict, repr=False)

    def sums(self, values: FloatArray) -> FloatArray:
        """Returns the sums of `values`, shape (R, n), over each group, shape (R, G)."""
        ordered = np.take(values, self.order, axis=1)
        if self.starts.size == self.order.size:
            return ordered
        return np.asarray(np.add.reduceat(ordered, self.starts, axis=1))

    def totals(
        self, weights: FloatArray, factor: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Returns the sums of weights times `factor` over each group, and over all up to it.

        Many metrics of one ranking need the same sums of the same weights, and the gathering
        costs more than the rest: the sums of the last weights are kept.

        Args:
            weights: Shape (R, n).
            factor: Shape (n,); None for 1.
        """
        name = "plain" if factor is None else str(id(factor))

        def both() -> tuple[FloatArray | None, FloatArray, FloatArray]:
            sums = self.sums(weights if factor is None else weights * factor)
            # The factor is kept as well, so that no other array can take its place in memory.
            return factor, sums, np.cumsum(sums, axis=1)

        _, sums, reached = self.remembered(weights, name, both)
        return sums, reached

    def remembered(self, weights: FloatArray, name: str, make: Callable[[], T]) -> T:
        """Returns what `make` returned for these weights, the last ones, under this name."""
        if self._known.get("weights") is not weights:
            self._known.clear()
            self._known["weights"] = weights
        if name not in self._known:
            self._known[name] = make()
        found: T = self._known[name]
        return found


def group_ties(keys: FloatArray | TiedGroups) -> TiedGroups:
    """Returns the groups of equal `keys`, shape (n,), in upward order; groups as they are.

    The entropies of two rows that hold the same probabilities in another order differ in their
    last digits. A ranking that tells them apart ranks the classes, not the examples.
    """
    if isinstance(keys, TiedGroups):
        return keys
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    apart = ordered[1:] - ordered[:-1] > ROUNDING * np.abs(ordered[1:])
    starts = np.flatnonzero(np.r_[True, apart])
    return TiedGroups(order=order, starts=starts, keys=ordered[starts])


def equalled(values: FloatArray) -> FloatArray:
    """Returns values, shape (n,), in which those that are equal but for rounding are equal."""
    groups = group_ties(values)
    equal = np.empty(values.size)
    equal[groups.order] = np.repeat(groups.keys, np.diff(np.r_[groups.starts, values.size]))
    return equal


def bin_sums(bins: NDArray[np.intp], num_bins: int, values: FloatArray) -> FloatArray:
    """Returns the sums of `values` over the bins of each row, shape (R, num_bins).

    Args:
        bins: Bin of each value, shape (R, n).
        num_bins: Number of bins.
        values: What to add up, shape (R, n).
    """
    rows = values.shape[0]
    flat = bins + num_bins * np.arange(rows)[:, np.newaxis]
    sums = np.bincount(flat.ravel(), weights=values.ravel(), minlength=rows * num_bins)
    return np.asarray(sums.reshape(rows, num_bins))


def fixed_bin_sums(
    bins: NDArray[np.intp], num_bins: int, columns: list[FloatArray]
) -> Callable[[FloatArray], FloatArray]:
    """Returns the function from weights (R, n) to weighted sums (K, R, num_bins).

    Args:
        bins: Bin of each example, the same for every row of weights, shape (n,).
        num_bins: Number of bins.
        columns: K values of each example to add up, each of shape (n,).
    """
    num_columns, num_examples = len(columns), bins.size
    rows = np.concatenate([bins + num_bins * index for index in range(num_columns)])
    places = np.tile(np.arange(num_examples), num_columns)
    matrix = csr_array(
        (np.concatenate(columns), (rows, places)), shape=(num_columns * num_bins, num_examples)
    )

    def sums(weights: FloatArray) -> FloatArray:
        parts = (matrix @ weights.T).reshape(num_columns, num_bins, -1)
        return np.asarray(parts.transpose(0, 2, 1))

    return sums
