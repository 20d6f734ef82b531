"""When to stop sampling an example: not before the passes could have shown what is rare.

A few passes may agree by luck. With dropout of rate 0.02 the first 16 passes miss the one unit
that matters in 72% of all cases; their variance is then 0, and so is every error made of it. So
the error that decides also counts a value that no pass has shown yet, as far away as the output
can be, and it has to be small enough twice, the second time with half as many passes more: a
variance that is small by luck seldom stays so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FIRST_LOOK = 32
"""Passes before the first look at the error."""

SECOND_LOOK = 1.5
"""How many times the passes of the first look that was passed there must be to stop."""

PATIENCE = 128
"""Passes from which an unbounded output that never varied is taken for constant."""

TIED = 1e-10
"""Variance below which passes agree but for the rounding of float32."""


def unseen_variance(count: Array, reach: Array) -> Array:
    """Returns the squared error of a mean from a value that none of `count` passes showed.

    If such a value comes with a probability q, about which nothing is known beforehand (uniform),
    then q² is 2 / ((n + 2)(n + 3)) on average after n passes without it, the second moment of
    Beta(1, n + 1). The mean is off by q times the distance of the value.

    Args:
        count: Passes n.
        reach: Distance of the value from the mean of the passes.

    References:
        Laplace's rule of succession; Gelman et al. (2013), Bayesian Data Analysis, chapter 2.4.

    Example:
        >>> round(float(np.sqrt(unseen_variance(np.array(100), np.array(1.0)))), 4)
        0.0138
    """
    return 2.0 * np.square(reach) / ((count + 2.0) * (count + 3.0))


def reach_of_probability(mean: Array) -> Array:
    """Returns the distance of a probability from the farther end of [0, 1]."""
    return np.maximum(mean, 1.0 - mean)


class TwoLooks:
    """Decides which examples have been sampled enough.

    Args:
        num_examples: N.
        tolerance: The largest error to stop at.
    """

    def __init__(self, num_examples: int, tolerance: float) -> None:
        self._tolerance = tolerance
        self._since = np.full(num_examples, np.inf)

    def go_on(self, rows: NDArray[np.intp], errors: Array, passes: int) -> NDArray[np.bool_]:
        """Returns which examples need more passes.

        Args:
            rows: The examples that were sampled up to now.
            errors: Their errors, from the spread of the passes and what they may have missed.
            passes: How many passes they have.
        """
        if passes < FIRST_LOOK:
            return np.ones(len(rows), bool)
        fine = errors <= self._tolerance
        self._since[rows] = np.where(fine, np.minimum(self._since[rows], passes), np.inf)
        stop: NDArray[np.bool_] = fine & (passes >= SECOND_LOOK * self._since[rows])
        return ~stop
