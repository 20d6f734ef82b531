"""Quantiles of mixtures of normal distributions, for many outputs at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[Any]

BLOCK_ELEMENTS = 2**18
"""Passes times outputs inverted together, so that the temporaries stay in the cache."""

MAXIMUM_STEPS = 200
LEVEL_TOLERANCE = 1e-10
"""How far the probability below a quantile may be from the level."""

RELATIVE_TOLERANCE = 1e-13
"""How far a quantile may be off where the distribution function jumps."""


def mixture_quantile(means: Array, variances: Array, level: float) -> Array:
    """Inverts the distribution function of an equal mixture of normals over axis 0.

    Args:
        means: Mean of each component, shape (T, ...).
        variances: Variance of each component, at least 0, the same shape.
        level: Probability below the quantile, within (0, 1).

    Returns:
        Quantiles, shape (...).

    Example:
        >>> mixture_quantile(np.array([[-1.0], [1.0]]), np.ones((2, 1)), 0.5).round(6) + 0.0
        array([0.])
    """
    centers = means.reshape(means.shape[0], -1).astype(np.float64)
    deviations = np.sqrt(variances.reshape(centers.shape).astype(np.float64))
    step = max(1, BLOCK_ELEMENTS // centers.shape[0])
    parts = [
        _invert(centers[:, start : start + step], deviations[:, start : start + step], level)
        for start in range(0, centers.shape[1], step)
    ]
    return np.concatenate(parts or [np.empty(0)]).reshape(means.shape[1:])


def _invert(centers: Array, deviations: Array, level: float) -> Array:
    """Returns the quantile of each column, by Newton steps inside a bracket that is halved too.

    The search starts at the quantile of the normal distribution of equal mean and variance.
    The quantile of a mixture lies between the smallest and the largest of its components'.
    After eight steps every third halves: beside a very narrow component Newton's hardly move.
    """
    ends = centers + deviations * special.ndtri(level)
    low, high = ends.min(axis=0), ends.max(axis=0)
    # A component without spread is a jump; a tiny spread keeps the ratios below finite.
    scales = np.maximum(deviations, 1e-100)
    total = np.square(deviations).mean(axis=0) + centers.var(axis=0)
    quantile = np.clip(centers.mean(axis=0) + special.ndtri(level) * np.sqrt(total), low, high)
    open_columns = np.flatnonzero(low < high)
    halvings = range(9, MAXIMUM_STEPS, 3)
    for number in range(1, MAXIMUM_STEPS + 1):
        columns = open_columns
        excess, density = _excess(quantile[columns], centers[:, columns], scales[:, columns], level)
        low[columns] = np.where(excess <= 0.0, quantile[columns], low[columns])
        high[columns] = np.where(excess >= 0.0, quantile[columns], high[columns])
        width = high[columns] - low[columns]
        size = np.maximum(np.abs(low[columns]), np.abs(high[columns]))
        closed = (np.abs(excess) <= LEVEL_TOLERANCE) | (width <= RELATIVE_TOLERANCE * size)
        open_columns = columns[~closed]
        if open_columns.size == 0:
            break
        step = np.full_like(excess, np.inf)
        np.divide(excess, density, out=step, where=density > np.finfo(np.float64).tiny)
        newton = (quantile[columns] - step)[~closed]
        middle = 0.5 * (low[open_columns] + high[open_columns])
        inside = (newton > low[open_columns]) & (newton < high[open_columns])
        quantile[open_columns] = np.where(inside & (number not in halvings), newton, middle)
    return np.asarray(quantile)


def _excess(values: Array, centers: Array, scales: Array, level: float) -> tuple[Array, Array]:
    """Returns the distribution function less `level`, and the density, of each column."""
    standard = np.clip((values - centers) / scales, -1e9, 1e9)
    density = (np.exp(-0.5 * standard**2) / scales).mean(axis=0) / np.sqrt(2.0 * np.pi)
    return special.ndtr(standard).mean(axis=0) - level, density
