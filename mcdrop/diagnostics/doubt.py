"""Where each example lies by its doubt: all of it, and the part on which the passes disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 255
"""Steps of each axis: a byte holds a place, and a page of many examples stays small."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class DoubtMap:
    """Examples by predictive entropy and mutual information, as cells of a grid.

    Attributes:
        entropy: Predictive entropy at the right end of the grid, in nats.
        information: Mutual information at its upper end.
        cells: By kind ("right", "wrong", "out of distribution") the cells that hold some of it,
            column and row from 0 to 255, shape (K, 2).
        counts: By kind the examples in each of its cells, shape (K,).
    """

    entropy: float
    information: float
    cells: Mapping[str, NDArray[np.uint8]]
    counts: Mapping[str, NDArray[np.int64]]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values: the ends of the grid and how many examples of each kind it holds.

        Each example's own numbers are in the table of predictions.
        """
        return {
            "entropy": self.entropy,
            "information": self.information,
            "counts": {kind: int(counts.sum()) for kind, counts in self.counts.items()},
        }


def doubt_map(kinds: Mapping[str, tuple[Array, Array]]) -> DoubtMap:
    """Returns the map of examples, by kind their predictive entropy and mutual information."""
    ends = [max(float(pair[axis].max(initial=0.0)) for pair in kinds.values()) for axis in (0, 1)]
    tops = [end if end > 0 else 1.0 for end in ends]
    cells, counts = {}, {}
    for kind, pair in kinds.items():
        places = np.stack(
            [
                np.rint(np.clip(v / top, 0.0, 1.0) * STEPS)
                for v, top in zip(pair, tops, strict=True)
            ],
            axis=-1,
        )
        found, number = np.unique(places.astype(np.uint8), axis=0, return_counts=True)
        cells[kind], counts[kind] = found, number
    return DoubtMap(tops[0], tops[1], cells, counts)
