"""Weighted statistics that compare a stated probability with how often it comes true.

Here `confidence` is a probability stated for each example, shape (n,), and `outcome` is 1
where the event came true, else 0: the highest class probability and whether that class is
right, or the probability of one class and whether it is the label. All classes at once are in
`mcdrop.weighted.classwise`, errors without bins in `mcdrop.weighted.kernel_calibration`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.weighted.arrays import (
    BLOCK_ELEMENTS,
    FloatArray,
    OfWeights,
    bin_sums,
    divide,
    fixed_bin_sums,
    group_ties,
    in_row_blocks,
)


@dataclass(frozen=True)
class BinSums:
    """Sums over bins, each of shape (R, num_bins): of weight, of confidence and of outcome."""

    weight: FloatArray
    confidence: FloatArray
    outcome: FloatArray

    @property
    def gap(self) -> FloatArray:
        """Absolute difference of mean confidence and mean outcome; 0 in an empty bin."""
        return divide(np.abs(self.confidence - self.outcome), self.weight, 0.0)

    @property
    def share(self) -> FloatArray:
        """Share of the row's weight that each bin holds."""
        return np.asarray(self.weight / self.weight.sum(axis=1, keepdims=True))


Binner = Callable[[FloatArray], BinSums]


def uniform_bins(confidence: FloatArray, num_bins: int) -> NDArray[np.intp]:
    """Returns the equal-width bin of each confidence: [lower, upper), the last one closed."""
    inner_edges = np.linspace(0.0, 1.0, num_bins + 1)[1:-1]
    return np.searchsorted(inner_edges, confidence, side="right")


def equal_mass_bins(group_weights: FloatArray, num_bins: int) -> NDArray[np.intp]:
    """Returns the bin of each tied group of one row or of each row, by its middle rank.

    A group is never split, so equal confidences share a bin. Without ties the bins of a row
    differ in weight by 1 at most.

    Args:
        group_weights: Weights of the groups in upward order of confidence, shape (..., G).
        num_bins: Number of bins.
    """
    after = np.cumsum(group_weights, axis=-1)
    middle = after - 0.5 * group_weights
    bins = np.floor(num_bins * middle / after[..., -1:]).astype(np.intp)
    return np.minimum(bins, num_bins - 1)


def assign_bins(confidence: FloatArray, num_bins: int, strategy: str) -> NDArray[np.intp]:
    """Returns the bin of each example, all counted once, for "uniform" or "quantile"."""
    if strategy == "uniform":
        return uniform_bins(confidence, num_bins)
    groups = group_ties(confidence)
    sizes = np.diff(np.r_[groups.starts, confidence.size])
    bins = np.empty(confidence.size, dtype=np.intp)
    bins[groups.order] = np.repeat(equal_mass_bins(sizes.astype(np.float64), num_bins), sizes)
    return bins


def uniform_binner(confidence: FloatArray, outcome: FloatArray, num_bins: int) -> Binner:
    """Returns the function from weights to sums over equal-width bins."""
    bins = uniform_bins(confidence, num_bins)
    sums = fixed_bin_sums(bins, num_bins, [np.ones_like(confidence), confidence, outcome])
    return lambda weights: BinSums(*sums(weights))


def equal_mass_binner(confidence: FloatArray, outcome: FloatArray, num_bins: int) -> Binner:
    """Returns the function from weights to sums over equal-mass bins, drawn anew per row."""
    groups = group_ties(confidence)

    def binner(weights: FloatArray) -> BinSums:
        sizes = groups.sums(weights)
        bins = equal_mass_bins(sizes, num_bins)
        return BinSums(
            weight=bin_sums(bins, num_bins, sizes),
            confidence=bin_sums(bins, num_bins, sizes * groups.keys),
            outcome=bin_sums(bins, num_bins, groups.sums(weights * outcome)),
        )

    return binner


def make_binner(
    confidence: FloatArray, outcome: FloatArray, num_bins: int, strategy: str
) -> Binner:
    """Returns the binner of the strategy, "uniform" or "quantile"."""
    make = uniform_binner if strategy == "uniform" else equal_mass_binner
    return make(confidence, outcome, num_bins)


def combine_bins(sums: BinSums, norm: str) -> FloatArray:
    """Returns the calibration error of each row: the "l1", "l2" or "max" norm of the gaps."""
    if norm == "max":
        return np.asarray(sums.gap.max(axis=1))
    if norm == "l2":
        return np.asarray(np.sqrt((sums.share * sums.gap**2).sum(axis=1)))
    return np.asarray((sums.share * sums.gap).sum(axis=1))


def binned_calibration_statistic(
    confidence: FloatArray, outcome: FloatArray, *, num_bins: int, strategy: str, norm: str
) -> OfWeights:
    """Returns the binned calibration error."""
    binner = make_binner(confidence, outcome, num_bins, strategy)
    return in_row_blocks(lambda weights: combine_bins(binner(weights), norm))


def gap_movement_statistic(
    confidence: FloatArray, outcome: FloatArray, *, num_bins: int, norm: str
) -> OfWeights:
    """Returns the "l1" or "l2" norm, over equal-width bins, of how far a resample moves the gaps.

    A gap is the mean confidence of a bin less its mean outcome. In l1 it is multiplied by the
    bin's share first, of the resample or of the data. No calibration error moves by more.
    """
    bins = uniform_bins(confidence, num_bins)
    sums = fixed_bin_sums(bins, num_bins, [np.ones_like(confidence), confidence - outcome])
    (size,), (surplus,) = sums(np.ones((1, confidence.size)))
    share, gap = size / confidence.size, divide(surplus, size, 0.0)

    def movement(weights: FloatArray) -> FloatArray:
        drawn_size, drawn = sums(weights)
        if norm == "l1":
            drawn = drawn / weights.sum(axis=1, keepdims=True)
            return np.asarray(np.abs(drawn - share * gap).sum(axis=1))
        return np.asarray(np.sqrt(np.square(divide(drawn, drawn_size, 0.0) - gap) @ share))

    return in_row_blocks(movement)


def gap_per_example(confidence: FloatArray, outcome: FloatArray, *, num_bins: int) -> FloatArray:
    """Returns the gap of the equal-width bin of each example, shape (n,)."""
    sums = uniform_binner(confidence, outcome, num_bins)(np.ones((1, confidence.size)))
    return np.asarray(sums.gap[0][uniform_bins(confidence, num_bins)])


def errors_by_chance(
    confidence: FloatArray,
    *,
    num_bins: int,
    strategy: str,
    norm: str,
    num_simulations: int,
    seed: int,
) -> FloatArray:
    """Returns binned errors of outcomes that come true as often as stated, shape (R,)."""
    generator = np.random.default_rng(seed)
    bins = assign_bins(confidence, num_bins, strategy)
    # Which examples come true takes the place of the weights: the bins do not depend on it.
    sums = fixed_bin_sums(bins, num_bins, [np.ones_like(confidence), confidence])
    weight, stated = sums(np.ones((1, confidence.size)))
    step = max(1, BLOCK_ELEMENTS // confidence.size)
    errors = np.empty(num_simulations)
    for start in range(0, num_simulations, step):
        rows = min(step, num_simulations - start)
        correct = generator.random((rows, confidence.size)) < confidence
        outcome = sums(correct.astype(np.float64))[0]
        errors[start : start + rows] = combine_bins(BinSums(weight, stated, outcome), norm)
    return errors


def debiased_squared_statistic(
    confidence: FloatArray, outcome: FloatArray, *, num_bins: int
) -> OfWeights:
    """Returns the debiased squared L2 calibration error; below 0 by chance when calibrated."""
    binner = equal_mass_binner(confidence, outcome, num_bins)

    def debiased(weights: FloatArray) -> FloatArray:
        sums = binner(weights)
        rate = divide(sums.outcome, sums.weight, 0.0)
        noise = divide(rate * (1.0 - rate), sums.weight - 1.0, 0.0)
        # One example alone says nothing of its own noise: such a bin counts 0.
        unbiased = np.where(sums.weight > 1.0, sums.gap**2 - noise, 0.0)
        return np.asarray((sums.share * unbiased).sum(axis=1))

    return in_row_blocks(debiased)


def debiased_calibration_statistic(
    confidence: FloatArray, outcome: FloatArray, *, num_bins: int
) -> OfWeights:
    """Returns the root of the debiased squared error, 0 where that is negative."""
    squared = debiased_squared_statistic(confidence, outcome, num_bins=num_bins)
    return lambda weights: np.sqrt(np.maximum(squared(weights), 0.0))


def sweep_calibration_statistic(
    confidence: FloatArray, outcome: FloatArray, *, norm: str
) -> OfWeights:
    """Returns the error with the most equal-mass bins before their outcomes fall in order."""
    groups = group_ties(confidence)

    def sweep(weights: NDArray[Any]) -> FloatArray:
        values = np.empty(weights.shape[0])
        for row in range(weights.shape[0]):
            row_weights = np.asarray(weights[row : row + 1], dtype=np.float64)
            sizes = groups.sums(row_weights)[0]
            outcomes = groups.sums(row_weights * outcome)[0]
            seen = sizes > 0
            sums = _sweep_bins(sizes[seen], (sizes * groups.keys)[seen], outcomes[seen])
            values[row] = combine_bins(sums, norm)[0]
        return values

    return sweep


def _sweep_bins(sizes: FloatArray, confidences: FloatArray, outcomes: FloatArray) -> BinSums:
    """Returns the sums over the last number of bins at which the mean outcome still rises."""
    after = np.cumsum(sizes)
    middle = after - 0.5 * sizes
    running = np.vstack([np.zeros(3), np.cumsum([sizes, confidences, outcomes], axis=1).T])
    if (np.diff(outcomes / sizes) >= 0).all():
        return _bins_between(running)  # in order one by one, so also in bins of any number
    best = running[[0, -1]]
    # Whole weights end by a break: in as many bins as examples each group is a bin of its own.
    for num_bins in range(2, max(int(after[-1]), sizes.size) + 1):
        # The first group of bin j is the first with num_bins * middle >= j * total, which
        # is the rule of `equal_mass_bins` without a division.
        firsts = np.searchsorted(num_bins * middle, np.arange(1, num_bins) * after[-1])
        ends = np.concatenate(([0], firsts, [sizes.size]))
        cuts = running[ends[np.append(True, ends[1:] > ends[:-1])]]
        weight, _, outcome = (cuts[1:] - cuts[:-1]).T
        rate = outcome / weight
        if (rate[1:] < rate[:-1]).any():
            break
        best = cuts
    return _bins_between(best)


def _bins_between(cuts: FloatArray) -> BinSums:
    """Returns the one row of bins between successive running sums, shape (B + 1, 3)."""
    weight, confidence, outcome = np.diff(cuts, axis=0).T[:, np.newaxis]
    return BinSums(weight=weight, confidence=confidence, outcome=outcome)
