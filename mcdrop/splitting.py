"""Passes that share their early masks: components of variance, and how many draws of each stage.

With `splitting=(n_1, ..., n_K)` the stochastic layers of a model form K stages, in the order in
which they run. Each of the n_1 draws of the masks of stage 1 is followed by n_2 draws of stage 2,
each of these by n_3 of stage 3, and so on: T = n_1 n_2 ... n_K passes, of which the early part of
the network runs n_1 times only. Pass t has the draw t // (n_(k+1) ... n_K) of stage k.

The word splitting is that of simulation (Asmussen & Glynn 2007, Stochastic Simulation, ch. V.5); as
an estimator it is nested, or multi-stage, sampling of masks (Cochran 1977, Sampling Techniques,
ch. 10).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_count
from mcdrop.errors import DataError
from mcdrop.pass_statistics import Moments

Array = NDArray[np.float64]
Splitting = tuple[int, ...]

AUTO = "auto"
"""What stands for counts that a pilot chooses."""

PILOT_EXAMPLES = 128
"""First examples that "auto" looks at."""

MINIMUM_OUTER_DRAWS = 6
"""Draws of stage 1 that `allocate` asks for at least: the error of the mean comes from these alone,
with Student's t of one degree less."""

MOST_INNER_DRAWS = 64
"""Draws of a later stage for each draw of the stage before that `allocate` looks at."""

_MOST_SEARCHED = 3
"""Blocks of stages up to which every whole number to twice the ideal is tried."""


def check_splitting(splitting: Any) -> Splitting:
    """Returns explicit counts of draws as a tuple.

    Raises:
        DataError: It is no sequence of whole numbers, the first at least 2 and the others at
            least 1.

    Example:
        >>> check_splitting([7, 16])
        (7, 16)
    """
    if isinstance(splitting, str) or not isinstance(splitting, Sequence) or not splitting:
        raise DataError(
            f"`splitting` is {splitting!r}, expected None, 'auto', or the number of draws of each "
            "stage, such as (7, 16)."
        )
    for stage, count in enumerate(splitting):
        check_count(f"splitting[{stage}]", count, minimum=1 if stage else 2)
    return tuple(int(count) for count in splitting)


def levels_of(splitting: Splitting) -> Splitting:
    """Returns the counts that make a level of their own: stages drawn once join the one before.

    A stage with one draw for each draw of the stage before cannot be told apart from it.

    Example:
        >>> levels_of((7, 1, 16))
        (7, 16)
    """
    return splitting[:1] + tuple(count for count in splitting[1:] if count > 1)


@dataclass
class NestedMoments:
    """Mean and components of variance over nested draws, one of each per example and output.

    Attributes:
        levels: Draws of each level for each draw of the level before, (n_1, ..., n_K); ordinary
            passes have one level.
        outer: Moments of the means over each draw of level 1.
        squares: For each later level, the sum of the squared deviations of its draws from the
            mean of their common draw of the level before, shape (N, ...).

    Example:
        >>> moments = NestedMoments.empty((2, 2), (1,))
        >>> moments.update(np.array([[1.0], [3.0], [5.0], [7.0]]), np.array([0]))
        >>> float(moments.mean[0]), moments.components()[:, 0].tolist()
        (4.0, [7.0, 2.0])
    """

    levels: Splitting
    outer: Moments
    squares: list[Array]

    @classmethod
    def empty(cls, levels: Splitting, shape: tuple[int, ...]) -> NestedMoments:
        """Returns moments of no passes for outputs of shape (N, ...)."""
        return cls(levels, Moments.empty(shape), [np.zeros(shape) for _ in levels[1:]])

    @property
    def inner(self) -> int:
        """Passes of each draw of level 1."""
        return prod(self.levels[1:])

    @property
    def mean(self) -> Array:
        """Mean over all passes, shape (N, ...)."""
        return self.outer.mean

    def update(self, block: Array, rows: NDArray[np.intp]) -> None:
        """Merges passes of shape (P, len(rows), ...), whole draws of level 1, into `rows`."""
        values = block.reshape(-1, *self.levels[1:], *block.shape[1:])
        for level in range(len(self.levels) - 1, 0, -1):
            # Measured from the first draw, equal draws have a variance of exactly 0.
            first = values.take([0], axis=level)
            offset = values - first
            mean_offset = offset.mean(axis=level, keepdims=True)
            draws = tuple(range(level + 1))
            self.squares[level - 1][rows] += np.square(offset - mean_offset).sum(axis=draws)
            values = (first + mean_offset).squeeze(axis=level)
        self.outer.update(values, rows)

    def mean_squares(self) -> list[Array]:
        """Returns for each level the unbiased variance of its draws' means, averaged over draws.

        Its expectation at level k is s_k + s_(k+1) / n_(k+1) + s_(k+2) / (n_(k+1) n_(k+2)) + ...
        """
        found = [self.outer.variance()]
        expand = (-1,) + (1,) * (self.outer.mean.ndim - 1)
        groups = self.outer.count.reshape(expand).astype(np.float64)
        for count, squares in zip(self.levels[1:], self.squares, strict=True):
            found.append(squares / (groups * (count - 1)))
            groups = groups * count
        return found

    def variance(self) -> Array:
        """Returns the variance of a single pass, shape (N, ...): the sum of the components.

        As s_1 + ... + s_K = V_1 + sum over later levels of V_k (1 - 1 / n_k), in the mean
        squares V, it is unbiased and never negative. The pooled variance of all passes is low.
        """
        first, *later = self.mean_squares()
        for square, count in zip(later, self.levels[1:], strict=True):
            first = first + square * (1.0 - 1.0 / count)
        return first

    def components(self) -> Array:
        """Returns the components of variance s_1, ..., s_K, shape (K, N, ...).

        Unbiased, by nested analysis of variance: s_k is the mean square of level k less that
        of level k + 1 over n_(k+1). An early component of one example may come out negative.

        References:
            Searle, Casella & McCulloch (1992), Variance Components, ch. 3.
        """
        squares = self.mean_squares()
        later = [square / count for square, count in zip(squares[1:], self.levels[1:], strict=True)]
        return np.stack([*(s - t for s, t in zip(squares, later, strict=False)), squares[-1]])


def variance_of_mean(components: Array, levels: Splitting, outer_draws: Array) -> Array:
    """Returns the variance of the mean over nested draws.

    (s_1 + s_2 / n_2 + s_3 / (n_2 n_3) + ...) / n_1: the variance of the means of the outer draws,
    divided by their number; from `NestedMoments.components` never negative but for rounding.

    Args:
        components: Shape (K, N, ...).
        levels: Counts (n_1, ..., n_K).
        outer_draws: Draws of level 1 of each example, broadcast to (N, ...).

    Example:
        >>> float(variance_of_mean(np.array([7.0, 2.0]), (2, 2), np.array(2.0)))
        4.0
    """
    total = np.zeros(components.shape[1:])
    for component, share in zip(components, np.cumprod((1, *levels[1:])), strict=True):
        total += component / share
    return np.maximum(total, 0.0) / outer_draws


def allocate(
    components: ArrayLike, costs: Sequence[float], num_samples: int, gain: float | ArrayLike = 1.0
) -> Splitting:
    """Returns the draws of each stage that reach the error of T ordinary passes at least cost.

    Least sum_k c_k m_k for which sum_k s_k / m_k <= (sum_k s_k) g / T, with m_k = n_1 ... n_k draws
    of stage k in all. Without rounding m_k is proportional to the root of s_k / c_k, where
    stages of which this would fall are taken as one; whole numbers are tried around it.

    Args:
        components: Share s_k of each stage in the variance of a pass, shape (K,); what is below
            0 counts as 0. For several outputs (R, K): the error of each is reached.
        costs: Work c_k of one draw of each stage, at least 0 and not all 0.
        num_samples: T, ordinary passes whose error of the mean is to be reached.
        gain: g >= 1, how many times the variance of an ordinary pass is the sum of these, where the
            draws of a stage are better than independent ones: balanced. For each output (R,).

    Returns:
        Draws of each stage, (T, 1, ..., 1) where splitting does not pay. Otherwise stage 1 has at
        least `MINIMUM_OUTER_DRAWS`.

    Raises:
        DataError: T is no whole number of at least 2.

    References:
        Cochran (1977), Sampling Techniques, section 10.6; Barlow et al. (1972), Statistical
        Inference under Order Restrictions, for the stages taken as one.

    Example:
        >>> allocate([0.07, 0.93], [0.96, 0.04], 50)
        (6, 19)
        >>> allocate([1.0, 0.0], [0.5, 0.5], 50)
        (50, 1)
    """
    check_count("num_samples", num_samples, minimum=2)
    shares = np.maximum(np.atleast_2d(np.asarray(components, dtype=np.float64)), 0.0)
    varies = shares.sum(axis=1) > 0.0
    shares, gains = shares[varies], np.broadcast_to(gain, len(varies))[varies]
    work = np.asarray(costs, dtype=np.float64)
    ordinary = (num_samples, *(1,) * (len(work) - 1))
    if not len(shares):
        return ordinary
    shares = shares / shares.sum(axis=1, keepdims=True)
    best, least = ordinary, float(num_samples * work.sum())
    for inner in _inner_draws(shares.mean(axis=0), work):
        draws = np.cumprod((1, *inner))
        left = float(((shares / draws).sum(axis=1) / gains).max())
        outer = max(MINIMUM_OUTER_DRAWS, ceil(num_samples * left - 1e-9))
        cost = float(outer * (work * draws).sum())
        if cost < least * (1.0 - 1e-9):
            best, least = (outer, *inner), cost
    return best


def _inner_draws(shares: Array, work: Array) -> Iterator[Splitting]:
    """Yields the numbers of draws of the later stages that are worth a look."""
    starts, ideal = _pooled(shares, work)
    candidates: list[Splitting] = [(1,)] * (len(shares) - 1)
    for start, ratio in zip(starts[1:], ideal[1:] / ideal[:-1], strict=True):
        middle = float(np.clip(ratio, 1.0, MOST_INNER_DRAWS))
        # Fewer than the ideal are enough where stage 1 has more draws than it needs.
        few = (1, int(middle / 2), int(middle), ceil(middle))
        near = range(1, ceil(2 * middle) + 1) if len(starts) <= _MOST_SEARCHED else few
        candidates[start - 1] = tuple(sorted({min(max(n, 1), MOST_INNER_DRAWS) for n in near}))
    yield from product(*candidates)


def _pooled(shares: Array, work: Array) -> tuple[list[int], Array]:
    """Returns where blocks of stages start, and the root of s / c of each block, increasing.

    A stage that would want no more draws than the one before gets as many: pool adjacent
    violators.
    """
    starts: list[int] = []
    sums: list[tuple[float, float]] = []
    for stage, total in enumerate(zip(shares.tolist(), work.tolist(), strict=True)):
        start = stage
        while sums and total[0] * sums[-1][1] <= sums[-1][0] * total[1]:
            share, cost = sums.pop()
            total = (share + total[0], cost + total[1])
            start = starts.pop()
        sums.append(total)
        starts.append(start)
    tiny = np.finfo(np.float64).tiny
    return starts, np.array([np.sqrt((s + tiny) / (c + tiny)) for s, c in sums])
