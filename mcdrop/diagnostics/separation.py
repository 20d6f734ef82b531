"""How an uncertainty is distributed over two kinds of examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 30
FEW = 30
"""Of a kind with fewer members each one is told, not the shares of bins."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Shares of two kinds of examples in common bins; each kind's shares sum to 1.

    Attributes:
        edges: Bin edges, shape (B + 1,).
        first: Shares of the kind that should be certain (right answers, the evaluated data).
        second: Shares of the kind that should be uncertain (wrong answers, data out of
            distribution).
        first_count: Number of the first kind.
        second_count: Number of the second kind.
        first_values: The values of the first kind, where fewer than 30; empty otherwise.
        second_values: The values of the second kind, likewise.
    """

    edges: Array
    first: Array
    second: Array
    first_count: int
    second_count: int
    first_values: Array
    second_values: Array


def histogram(first: Array, second: Array) -> Histogram | None:
    """Returns the distributions of two kinds in common bins; None when one of them is empty."""
    if first.size == 0 or second.size == 0:
        return None
    both = np.concatenate([first, second])
    low, high = min(float(both.min()), 0.0), float(both.max())
    edges = np.linspace(low, high if high > low else low + 1.0, NUM_BINS + 1)
    shares = [np.histogram(values, edges)[0] / values.size for values in (first, second)]
    few = [np.sort(values) if values.size < FEW else values[:0] for values in (first, second)]
    return Histogram(edges, shares[0], shares[1], first.size, second.size, few[0], few[1])
