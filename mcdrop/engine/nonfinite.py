"""NaN and infinity in what a model puts out: an error that names them, or rows that are marked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.engine.inputs import Batch
from mcdrop.errors import DataError

Array = NDArray[Any]

CHOICES = ("raise", "drop")
"""What to do about them: `on_nonfinite` of `MCDropout.predict`."""

_MOST_NAMED = 5


class Watch:
    """Looks through the outputs of the examples of one chunk.

    Args:
        batch: The examples.
        drop: Marks the rows in place of raising an error.

    Attributes:
        dropped: The rows that are marked so far, shape (n,).
    """

    def __init__(self, batch: Batch, *, drop: bool) -> None:
        self._numbers = batch.numbers
        self._drop = drop
        self.dropped = np.zeros(len(batch), bool)
        for array in batch.arrays if drop else ():
            self.dropped |= ~finite_rows(array)

    def outputs(self, values: Array, rows: NDArray[np.intp]) -> Array:
        """Returns outputs with dropout off, zeros in place of rows that are marked.

        Raises:
            DataError: A value is not finite, and rows are not to be marked.
        """
        return self._look(values[None], rows, None)[0]

    def passes(self, values: Array, rows: NDArray[np.intp], passes: range) -> Array:
        """Returns passes of shape (F, len(rows), ...) likewise; see `outputs`."""
        return self._look(values, rows, passes)

    def _look(self, values: Array, rows: NDArray[np.intp], passes: range | None) -> Array:
        if values.dtype.kind != "f":
            return values
        finite = np.isfinite(values)
        bad = np.asarray(~finite.reshape(*values.shape[:2], -1).all(axis=-1), bool)
        if bad.any() and not self._drop:
            raise DataError(_describe(bad, self._numbers[rows], passes))
        self.dropped[rows] |= bad.any(axis=0)
        marked = self.dropped[rows]
        if marked.any():
            values = values.copy()
            values[:, marked] = 0.0
        return values


def finite_rows(array: Array) -> NDArray[np.bool_]:
    """Returns which rows of an array hold numbers only, shape (n,)."""
    if array.dtype.kind != "f":
        return np.ones(array.shape[0], bool)
    return np.asarray(np.isfinite(array).reshape(array.shape[0], -1).all(axis=1), bool)


def _describe(bad: NDArray[np.bool_], numbers: NDArray[np.intp], passes: range | None) -> str:
    """Words which rows are not finite, and in which passes.

    Args:
        bad: Shape (F, n).
        numbers: The number of each row in the user's data, shape (n,).
        passes: The numbers of the passes; None for the outputs with dropout off.
    """
    rows = np.flatnonzero(bad.any(axis=0))
    named = []
    for row in rows[:_MOST_NAMED]:
        where = "with dropout off"
        if passes is not None:
            where = f"in {_listing('pass', [passes[t] for t in np.flatnonzero(bad[:, row])])}"
        named.append(f"row {numbers[row]} {where}")
    more = f", and {len(rows) - _MOST_NAMED} more rows" if len(rows) > _MOST_NAMED else ""
    return (
        f"The model puts out NaN or infinity: {', '.join(named)}{more} (rows and passes are "
        "numbered from 0). Mend what divides or overflows in the model, or pass "
        "on_nonfinite='drop' to leave such rows out and mark them."
    )


def _listing(word: str, numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"{word} {numbers[0]}"
    shown = ", ".join(map(str, numbers[:_MOST_NAMED]))
    more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
    return f"{word}es {shown}{more}"
