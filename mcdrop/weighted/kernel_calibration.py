"""Weighted calibration errors without bins: the smooth one, and the kernel one of all classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from scipy.optimize import brentq

from mcdrop.weighted.arrays import FloatArray, OfWeights, divide

SMOOTHING_GRID = 4096
"""Cells on [0, 1] for smooth calibration; a width of 0.001 still spans four cells."""

KERNEL_BLOCK = 1000
"""Examples compared pairwise at once; memory and time per example stay bounded."""

KERNEL_ROWS = 100
"""Rows of such a block that are made together: at most 0.8 MB."""


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
            part = np.asarray(weights[:, block], dtype=np.float64)
            for rows, matrix in _kernel_products(probabilities[block], residuals[block], bandwidth):
                total += ((part[:, rows] @ matrix) * part[:, rows.start :]).sum(axis=1)
            pairs += part.sum(axis=1) ** 2 - (part**2).sum(axis=1)
        return divide(2.0 * total, pairs, np.nan)

    return squared


def _kernel_products(
    probabilities: FloatArray, residuals: FloatArray, bandwidth: float
) -> Iterator[tuple[slice, FloatArray]]:
    """Yields exp(-|p_i - p_j| / bandwidth) r_i . r_j of all pairs i < j, some rows at a time.

    Yields:
        Rows i, and the products of them with all j from the first of them on, 0 for j <= i.
    """
    norms = (probabilities**2).sum(axis=1)
    for start in range(0, norms.size, KERNEL_ROWS):
        rows = slice(start, min(start + KERNEL_ROWS, norms.size))
        # In place, so that the strip stays in the cache.
        matrix = -2.0 * (probabilities[rows] @ probabilities[start:].T)
        matrix += norms[rows, np.newaxis]
        matrix += norms[start:]
        np.sqrt(np.maximum(matrix, 0.0, out=matrix), out=matrix)
        matrix /= -bandwidth
        np.exp(matrix, out=matrix)
        matrix *= residuals[rows] @ residuals[start:].T
        size = rows.stop - rows.start
        matrix[:, :size] = np.triu(matrix[:, :size], 1)
        yield rows, matrix


def kernel_calibration_statistic(
    probabilities: FloatArray, labels: NDArray[Any], *, bandwidth: float
) -> OfWeights:
    """Returns the root of the squared kernel calibration error, 0 where that is negative."""
    squared = kernel_squared_statistic(probabilities, labels, bandwidth=bandwidth)
    return lambda weights: np.sqrt(np.maximum(squared(weights), 0.0))
