"""Weighted statistics that compare a stated probability with how often it comes true.

Here `confidence` is a probability stated for each example, shape (n,), and `outcome` is 1
where the event came true, else 0: the highest class probability and whether that class is
right, or the probability of one class and whether it is the label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from scipy.optimize import brentq
from scipy.sparse import csr_array

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

SMOOTHING_GRID = 4096
"""Cells on [0, 1] for smooth calibration; a width of 0.001 still spans four cells."""

KERNEL_BLOCK = 1000
"""Examples compared pairwise at once; memory and time per example stay bounded."""


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
    classes = ClassBins.of(probabilities, labels, num_bins)
    surplus = classes.matrix(classes.residuals())

    def classwise(weights: FloatArray) -> FloatArray:
        gaps = np.abs((surplus @ weights.T).T)
        return np.asarray(gaps.sum(axis=1) / weights.sum(axis=1) / probabilities.shape[1])

    return in_row_blocks(classwise)


@dataclass(frozen=True, eq=False)
class ClassBins:
    """Each class of each example in its equal-width bin: one sparse matrix for all classes.

    Attributes:
        probabilities: Shape (n, C).
        labels: Shape (n,).
        num_bins: Number of bins B of each class.
        cells: Bin of each class, numbered through all classes, shape (n, C).
    """

    probabilities: FloatArray
    labels: NDArray[Any]
    num_bins: int
    cells: NDArray[np.intp]

    @classmethod
    def of(cls, probabilities: FloatArray, labels: NDArray[Any], num_bins: int) -> ClassBins:
        """Returns the bins of probabilities, shape (n, C)."""
        bins = uniform_bins(probabilities, num_bins)
        return cls(
            probabilities, labels, num_bins, bins + num_bins * np.arange(probabilities.shape[1])
        )

    def matrix(self, values: FloatArray) -> csr_array:
        """Returns values, shape (n, C), added up by cell: from examples to cells, (C B, n)."""
        num_examples, num_classes = self.cells.shape
        starts = np.arange(0, num_examples * num_classes + 1, num_classes)
        shape = (num_examples, num_classes * self.num_bins)
        return csr_array((values.ravel(), self.cells.ravel(), starts), shape=shape).T

    def outcomes(self) -> csr_array:
        """Returns where each example's label falls: from examples to cells, (C B, n)."""
        num_examples, num_classes = self.cells.shape
        cell = self.cells[np.arange(num_examples), self.labels]
        shape = (num_examples, num_classes * self.num_bins)
        starts = np.arange(num_examples + 1)
        return csr_array((np.ones(num_examples), cell, starts), shape=shape).T

    def residuals(self) -> FloatArray:
        """Returns probabilities less one-hot labels, shape (n, C)."""
        values = self.probabilities.astype(np.float64, copy=True)
        values[np.arange(self.labels.size), self.labels] -= 1.0
        return values


def brier_part_statistic(
    probabilities: FloatArray, labels: NDArray[Any], *, num_bins: int, part: str
) -> OfWeights:
    """Returns the "reliability" or the "resolution" of the Brier score, summed over classes."""
    classes = ClassBins.of(probabilities, labels, num_bins)
    size_of = classes.matrix(np.ones(classes.cells.shape))
    happened_of = classes.outcomes()
    stated_of = classes.matrix(probabilities) if part == "reliability" else None

    def statistic(weights: FloatArray) -> FloatArray:
        size, happened = (size_of @ weights.T).T, (happened_of @ weights.T).T
        total = weights.sum(axis=1, keepdims=True)
        rate = divide(happened, size, 0.0)
        if stated_of is not None:
            against = divide((stated_of @ weights.T).T, size, 0.0)
        else:
            by_class = happened.reshape(len(weights), -1, num_bins).sum(axis=2) / total
            against = np.repeat(by_class, num_bins, axis=1)
        return np.asarray((size * (rate - against) ** 2).sum(axis=1) / total[:, 0])

    return in_row_blocks(statistic)


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
        cuts = running[np.unique(np.r_[0, firsts, sizes.size])]
        weight, _, outcome = np.diff(cuts, axis=0).T
        if (np.diff(outcome / weight) < 0).any():
            break
        best = cuts
    return _bins_between(best)


def _bins_between(cuts: FloatArray) -> BinSums:
    """Returns the one row of bins between successive running sums, shape (B + 1, 3)."""
    weight, confidence, outcome = np.diff(cuts, axis=0).T[:, np.newaxis]
    return BinSums(weight=weight, confidence=confidence, outcome=outcome)


def smooth_calibration_statistic(confidence: FloatArray, outcome: FloatArray) -> OfWeights:
    """Returns the smooth calibration error: the fixed point s of s -> smoothed error at width s.

    The residuals are laid on a grid, each shared by its two nearest cells. Convolving with the
    Gaussian reflected at 0 and 1 then multiplies the k-th cosine coefficient by
    exp(-(pi k s)^2 / 2). The sharing is itself a smoothing, of variance cell^2 / 6, which is
    taken off the width.
    """
    left, share = _grid_shares(confidence)
    cells = np.arange(SMOOTHING_GRID)
    decay = -0.5 * (np.pi * cells) ** 2

    def of_row(weights: FloatArray) -> float:
        residual = weights * (outcome - confidence) / weights.sum()
        grid = np.bincount(left[0], weights=residual * (1.0 - share), minlength=SMOOTHING_GRID)
        grid += np.bincount(left[1], weights=residual * share, minlength=SMOOTHING_GRID)
        coefficients = dct(grid, type=2)

        def excess(width: float) -> float:  # negative at 2, as no smoothed error is above 1
            return _smoothed_error(coefficients, decay, width) - width

        return float(brentq(excess, 0.0, 2.0, xtol=1e-9)) if excess(0.0) > 0.0 else 0.0

    def smooth(weights: NDArray[Any]) -> FloatArray:
        return np.array([of_row(np.asarray(row, dtype=np.float64)) for row in weights])

    return smooth


def _grid_shares(confidence: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Returns the two nearest cells of each confidence, shape (2, n), and the second's share."""
    position = confidence * SMOOTHING_GRID - 0.5
    lower = np.floor(position)
    neighbours = np.stack([lower, lower + 1.0])
    # A cell beyond either end is the mirror image of the outermost cell.
    return np.clip(neighbours, 0, SMOOTHING_GRID - 1).astype(np.intp), position - lower


def _smoothed_error(coefficients: FloatArray, decay: NDArray[Any], width: float) -> float:
    """Returns the integral of |residual smoothed at `width`| over [0, 1]."""
    variance = max(width**2 - 1.0 / (6.0 * SMOOTHING_GRID**2), 0.0)
    smoothed = idct(coefficients * np.exp(decay * variance), type=2)
    return float(np.abs(smoothed).sum())


def kernel_squared_statistic(
    probabilities: FloatArray, labels: NDArray[Any], *, bandwidth: float
) -> OfWeights:
    """Returns the unbiased squared kernel calibration error; below 0 by chance if calibrated.

    An example is never paired with itself nor, in a resample, with its own copies: such pairs
    would bring back the bias that the estimator removes.
    """
    residuals = -probabilities
    residuals[np.arange(labels.size), labels] += 1.0
    num_blocks = -(-labels.size // KERNEL_BLOCK)
    # Taking every num_blocks-th example keeps data sorted by label from biasing a block.
    blocks = [slice(start, None, num_blocks) for start in range(num_blocks)]

    def squared(weights: NDArray[Any]) -> FloatArray:
        total = np.zeros(weights.shape[0])
        pairs = np.zeros(weights.shape[0])
        for block in blocks:
            matrix = _kernel_products(probabilities[block], residuals[block], bandwidth)
            part = np.asarray(weights[:, block], dtype=np.float64)
            total += ((part @ matrix) * part).sum(axis=1)
            pairs += part.sum(axis=1) ** 2 - (part**2).sum(axis=1)
        return divide(total, pairs, np.nan)

    return squared


def _kernel_products(
    probabilities: FloatArray, residuals: FloatArray, bandwidth: float
) -> FloatArray:
    """Returns exp(-|p_i - p_j| / bandwidth) r_i . r_j with a zero diagonal, shape (n, n)."""
    norms = (probabilities**2).sum(axis=1)
    squares = norms[:, np.newaxis] + norms - 2.0 * probabilities @ probabilities.T
    matrix = np.exp(-np.sqrt(np.maximum(squares, 0.0)) / bandwidth) * (residuals @ residuals.T)
    np.fill_diagonal(matrix, 0.0)
    return np.asarray(matrix)


def kernel_calibration_statistic(
    probabilities: FloatArray, labels: NDArray[Any], *, bandwidth: float
) -> OfWeights:
    """Returns the root of the squared kernel calibration error, 0 where that is negative."""
    squared = kernel_squared_statistic(probabilities, labels, bandwidth=bandwidth)
    return lambda weights: np.sqrt(np.maximum(squared(weights), 0.0))


def brier_components(
    probabilities: FloatArray, labels: NDArray[Any], *, num_bins: int
) -> Callable[[FloatArray], FloatArray]:
    """Returns the function from weights to the parts of the Brier score, shape (5, R).

    The rows are reliability, resolution, uncertainty, variance of the probability within
    bins, and twice its covariance with the outcome there; each is summed over classes.
    """
    outcomes = np.eye(probabilities.shape[1])[labels]
    of_class = [
        _class_components(probabilities[:, index], outcomes[:, index], num_bins)
        for index in range(probabilities.shape[1])
    ]
    return lambda weights: np.asarray(sum(components(weights) for components in of_class))


def _class_components(
    probability: FloatArray, outcome: FloatArray, num_bins: int
) -> Callable[[FloatArray], FloatArray]:
    """Returns the function from weights to the five parts of one class, shape (5, R)."""
    bins = uniform_bins(probability, num_bins)
    columns = [np.ones_like(probability), probability, outcome]
    sums = fixed_bin_sums(bins, num_bins, [*columns, probability**2, probability * outcome])

    def components(weights: FloatArray) -> FloatArray:
        size, *totals = sums(weights)
        stated, happened, square, product = (divide(total, size, 0.0) for total in totals)
        share = size / size.sum(axis=1, keepdims=True)
        rate = (share * happened).sum(axis=1, keepdims=True)
        parts = [
            (stated - happened) ** 2,
            (happened - rate) ** 2,
            np.broadcast_to(rate * (1.0 - rate), share.shape),
            square - stated**2,
            2.0 * (product - stated * happened),
        ]
        return np.stack([(share * part).sum(axis=1) for part in parts])

    return components
