"""Statistics of passes, accumulated block by block.

A block holds some passes of some examples. Nothing here keeps the passes: moments
are merged by the parallel update of Chan et al., and every other quantity is a mean
over passes. Means over a few interleaved groups of passes are kept as well, so that
the finite-T bias and the Monte Carlo error of any function of the predictive mean
can be estimated afterwards by the delete-a-group jackknife.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_GROUPS = 10
"""Groups of the jackknife. Ten give the standard error itself a relative error of about 24%."""

Array = NDArray[np.float64]


@dataclass
class Moments:
    """Count, mean and sum of squared deviations over passes, one of each per example.

    Attributes:
        count: Passes seen, shape (N,).
        mean: Running mean, shape (N, ...).
        squares: Sum of squared deviations from the mean, shape (N, ...).

    References:
        Chan, Golub & LeVeque (1983), The American Statistician 37(3), 242-247.

    Example:
        >>> import numpy as np
        >>> moments = Moments.empty((1,))
        >>> moments.update(np.array([[1.0], [2.0]]), np.array([0]))
        >>> moments.update(np.array([[6.0]]), np.array([0]))
        >>> float(moments.mean[0]), float(moments.variance()[0])
        (3.0, 7.0)
    """

    count: NDArray[np.int64]
    mean: Array
    squares: Array

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Moments:
        """Returns moments of no passes for outputs of shape (N, ...)."""
        return cls(np.zeros(shape[0], np.int64), np.zeros(shape), np.zeros(shape))

    def update(self, block: Array, rows: NDArray[np.intp]) -> None:
        """Merges passes of shape (T, len(rows), ...) into the examples at `rows`."""
        added = block.shape[0]
        # Measured from the first pass, equal passes have a variance of exactly 0.
        offset = block - block[0]
        mean_offset = offset.mean(axis=0)
        block_mean = block[0] + mean_offset
        block_squares = np.einsum("t...,t...->...", offset, offset) - added * mean_offset**2
        block_squares = np.maximum(block_squares, 0.0)
        before = _expand(self.count[rows], block_mean.ndim)
        total = before + added
        delta = block_mean - self.mean[rows]
        self.mean[rows] += delta * (added / total)
        self.squares[rows] += block_squares + np.square(delta) * (before * added / total)
        self.count[rows] += added

    def variance(self) -> Array:
        """Returns the unbiased variance (divisor T - 1), shape (N, ...); counts must be >= 2."""
        return self.squares / _expand(self.count - 1, self.squares.ndim)


@dataclass
class GroupMeans:
    """Means over interleaved groups of passes: pass t belongs to group t mod G.

    Attributes:
        count: Passes seen per group, shape (G, N).
        total: Sum over the passes of a group, shape (G, N, ...).
    """

    count: NDArray[np.int64]
    total: Array

    @classmethod
    def empty(cls, num_groups: int, shape: tuple[int, ...]) -> GroupMeans:
        """Returns the means of no passes for outputs of shape (N, ...)."""
        return cls(np.zeros((num_groups, shape[0]), np.int64), np.zeros((num_groups, *shape)))

    def update(self, block: Array, rows: NDArray[np.intp], first_pass: int) -> None:
        """Adds passes of shape (T, len(rows), ...), the first of which has number `first_pass`."""
        num_groups = self.count.shape[0]
        for offset in range(min(num_groups, block.shape[0])):
            group = (first_pass + offset) % num_groups
            members = block[offset::num_groups]
            self.total[group, rows] += members.sum(axis=0)
            self.count[group, rows] += members.shape[0]

    def mean(self) -> Array:
        """Returns the mean of each group, shape (G, N, ...)."""
        return self.total / np.maximum(_expand(self.count, self.total.ndim), 1)


def leave_group_out(mean: Array, group_means: Array, group_counts: NDArray[np.int64]) -> Array:
    """Returns the mean over all passes but those of each group.

    Args:
        mean: Mean over all passes, shape (N, ...).
        group_means: Mean of each group, shape (G, N, ...).
        group_counts: Passes of each group, shape (G, N).

    Returns:
        Array of shape (G, N, ...).
    """
    counts = _expand(group_counts, group_means.ndim)
    total = counts.sum(axis=0)
    result: Array = (total * mean - counts * group_means) / (total - counts)
    return result


def jackknife(estimate: Array, leave_out: Array, counts: NDArray[np.int64]) -> tuple[Array, Array]:
    """Delete-a-group jackknife: a bias-corrected estimate and its standard error.

    With h_j = n / m_j for a group of m_j of the n passes, the pseudo-values are
    h_j θ - (h_j - 1) θ_(-j); the corrected estimate is Gθ - Σ_j (1 - m_j/n) θ_(-j), and
    its variance (1/G) Σ_j (pseudo-value_j - corrected)² / (h_j - 1).

    Args:
        estimate: θ from all passes, shape (...).
        leave_out: θ without each group, shape (G, ...).
        counts: Passes of each group, shape (G,) or broadcastable to `leave_out`.

    Returns:
        The corrected estimate and its standard error, both of shape (...).

    References:
        Busing, Meijer & van der Leeden (1999), Statistics and Computing 9, 3-8.

    Example:
        >>> import numpy as np
        >>> x = np.array([1.0, 2.0, 6.0])
        >>> leave_out = np.array([np.var(np.delete(x, i)) for i in range(3)])
        >>> corrected, _ = jackknife(np.var(x), leave_out, np.ones(3, int))
        >>> round(float(corrected), 6), round(float(x.var(ddof=1)), 6)  # no bias of 1/T is left
        (7.0, 7.0)
    """
    counts = _expand(np.asarray(counts), leave_out.ndim)
    share = counts / counts.sum(axis=0)
    num_groups = leave_out.shape[0]
    corrected = num_groups * estimate - ((1.0 - share) * leave_out).sum(axis=0)
    pseudo_values = estimate / share - (1.0 / share - 1.0) * leave_out
    spread = np.square(pseudo_values - corrected) * (share / (1.0 - share))
    return corrected, np.sqrt(spread.mean(axis=0))


def entropy(probabilities: Array) -> Array:
    """Returns the entropy over the last axis in nats, with 0 log 0 = 0."""
    result: Array = _minus_p_log_p(probabilities).sum(axis=-1)
    return result


def bernoulli_entropy(probability: Array) -> Array:
    """Returns the entropy of a yes/no outcome in nats, elementwise."""
    return _minus_p_log_p(probability) + _minus_p_log_p(1.0 - probability)


def says_yes(probability: Array) -> NDArray[np.bool_]:
    """Returns whether a yes/no outcome is predicted: a probability of exactly 0.5 says no.

    So does the first largest of (1 - p, p): votes and predicted classes agree at the tie.
    """
    return np.asarray(probability > 0.5)


def _minus_p_log_p(values: Array) -> Array:
    """Returns -p log p elementwise, 0 at p = 0; np.log is far faster than scipy's entr."""
    return -values * np.log(np.maximum(values, np.finfo(np.float64).tiny))


def _expand(values: NDArray[np.int64], ndim: int) -> NDArray[np.int64]:
    """Appends axes to `values` until it has `ndim`, so that it broadcasts over outputs."""
    return values.reshape(values.shape + (1,) * (ndim - values.ndim))
