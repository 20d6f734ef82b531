"""Metrics as functions of example weights, for examples that hold one unit or many.

A unit is what is scored: the example itself, a pixel, or one label of several. Examples are
drawn whole by the bootstrap, so a weight of an example is a weight of all its units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mcdrop.weighted.arrays import OfWeights, divide, plain_value

Array = NDArray[np.float64]
MakeStatistic = Callable[[Array, Array], OfWeights]

UNIT_BLOCK = 2**22
"""Unit weights spread out at once: 32 MiB of float64."""


@dataclass(frozen=True, eq=False)
class Statistic:
    """A metric of n examples, as it is and on resamples.

    Attributes:
        resampled: From weights of shape (rows, n) to values of shape (rows,).
        num_examples: n.
        exact: The metric itself, where `resampled` rounds the scores of many units.
    """

    resampled: OfWeights
    num_examples: int
    exact: Callable[[], float] | None = None

    @cached_property
    def plain(self) -> float:
        """The metric as `resampled` gives it, all weights being 1."""
        return plain_value(self.resampled, self.num_examples)

    @cached_property
    def value(self) -> float:
        """The metric."""
        return self.plain if self.exact is None else self.exact()


@dataclass(frozen=True, eq=False)
class Units:
    """How units belong to examples.

    Attributes:
        num_examples: n.
        example: Index of the example of each unit, shape (M,), upward; None where every
            example is one unit.
    """

    num_examples: int
    example: NDArray[np.intp] | None = None

    @cached_property
    def sizes(self) -> Array:
        """Units of each example, shape (n,)."""
        if self.example is None:
            return np.ones(self.num_examples)
        return np.bincount(self.example, minlength=self.num_examples).astype(np.float64)

    def repeated(self, rows: NDArray[np.intp]) -> tuple[Units, NDArray[np.intp]]:
        """Returns the units with those of some examples once more, as further examples.

        Args:
            rows: The examples to repeat, shape (m,).

        Returns:
            The units of n + m examples, and which of the old units each further one repeats.
        """
        num_examples = self.num_examples + rows.size
        if self.example is None:
            return Units(num_examples), rows
        starts = np.searchsorted(self.example, rows)
        sizes = np.searchsorted(self.example, rows, side="right") - starts
        copies = np.concatenate([np.arange(s, s + k) for s, k in zip(starts, sizes, strict=True)])
        behind = self.num_examples + np.repeat(np.arange(rows.size), sizes)
        return Units(num_examples, np.concatenate([self.example, behind])), copies

    def sums(self, values: Array) -> Array:
        """Returns the sum of `values`, shape (M,), over the units of each example, shape (n,)."""
        if self.example is None:
            return values
        return np.asarray(
            np.bincount(self.example, weights=values, minlength=self.num_examples), dtype=np.float64
        )

    def average(
        self, scores: Array, transform: Callable[[Array], Array] | None = None
    ) -> Statistic:
        """Returns the mean of `scores` over all units, shape (M,), or a function of the mean."""
        sums = self.sums(np.asarray(scores, dtype=np.float64))

        def mean(weights: Array) -> Array:
            ratio = divide(weights @ sums, weights @ self.sizes, np.nan)
            return ratio if transform is None else transform(ratio)

        return self.of_examples(mean)

    def of_examples(self, resampled: OfWeights) -> Statistic:
        """Returns the statistic of a function of example weights."""
        return Statistic(resampled, self.num_examples)

    def of_units(self, resampled: OfWeights) -> Statistic:
        """Returns the statistic of a function of unit weights, shape (rows, M)."""
        if self.example is None:
            return self.of_examples(resampled)
        example = self.example
        step = max(1, UNIT_BLOCK // example.size)

        def spread(weights: Array) -> Array:
            rows = range(0, weights.shape[0], step)
            return np.concatenate(
                [resampled(weights[start : start + step][:, example]) for start in rows]
            )

        return self.of_examples(spread)

    def of_scores(self, make: MakeStatistic, scores: Array, outcomes: Array) -> Statistic:
        """Returns the statistic that `make` builds of scores and yes/no outcomes of the units.

        With many units an example, resamples see the scores rounded to half precision, which
        keeps their order: units of equal rounded score and outcome are counted, not copied.
        The value itself is not rounded.

        Args:
            make: From scores and outcomes, shape (K,), to a function of weights, (rows, K).
            scores: At least 0, shape (M,).
            outcomes: 0 or 1, shape (M,).
        """
        if self.example is None:
            return self.of_examples(make(scores, outcomes))
        cells, counts = _cells(self.example, self.num_examples, scores, outcomes)
        on_cells = make(cells[0], cells[1])

        def resampled(weights: Array) -> Array:
            return on_cells(np.asarray((counts @ weights.T).T))

        def exact() -> float:
            return plain_value(make(scores, outcomes), scores.size)

        return Statistic(resampled, self.num_examples, exact)


def _cells(
    example: NDArray[np.intp], num_examples: int, scores: Array, outcomes: Array
) -> tuple[Array, csr_array]:
    """Returns cells of nearly equal units, and how many units of each example they hold.

    Returns:
        Mean score and outcome of the cells, shape (2, K), and counts, shape (K, n).
    """
    rounded = scores.astype(np.float16).view(np.uint16).astype(np.int64)
    keys = 2 * rounded + (outcomes > 0)
    present = np.bincount(keys)
    places = np.cumsum(present > 0) - 1
    cell = places[keys]
    size = present[present > 0]
    score = np.bincount(cell, weights=scores) / size
    outcome = (np.flatnonzero(present) % 2).astype(np.float64)
    counts = csr_array((np.ones(cell.size), (cell, example)), shape=(size.size, num_examples))
    counts.sum_duplicates()
    return np.stack([score, outcome]), counts
