"""The multinomial bootstrap over examples, and percentile intervals of what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mcdrop._checks import check_count

Array = NDArray[np.float64]
Resampled = Callable[[Array], Array]

BLOCK_ELEMENTS = 2**24
"""Weights drawn at once: 128 MiB of float64, whatever the number of resamples."""

MINIMUM_DEFINED = 0.5
"""Share of resamples in which a metric must be defined for its interval to be given."""


def resample_weights(num_examples: int, num_resamples: int, *, seed: int) -> Iterator[Array]:
    """Yields how often each example is drawn, in blocks of resamples.

    Equal seeds give equal draws, whatever the size of the blocks.

    Args:
        num_examples: n, at least 1.
        num_resamples: R, at least 1.
        seed: Seed of the draws.

    Yields:
        Arrays of shape (rows, n) that hold R rows together; each row sums to n.

    Raises:
        DataError: An argument is not a whole number, or too small.

    References:
        Efron (1979), doi:10.1214/aos/1176344552.

    Example:
        >>> [block.sum(axis=1).tolist() for block in resample_weights(4, 2, seed=0)]
        [[4.0, 4.0]]
    """
    check_count("num_examples", num_examples, minimum=1)
    check_count("num_resamples", num_resamples, minimum=1)
    generator = np.random.default_rng(check_count("seed", seed, minimum=0))
    step = max(1, BLOCK_ELEMENTS // num_examples)
    for start in range(0, num_resamples, step):
        block = np.empty((min(step, num_resamples - start), num_examples))
        for row in block:
            drawn = generator.integers(num_examples, size=num_examples)
            row[:] = np.bincount(drawn, minlength=num_examples)
        yield block


def resample(
    statistics: Sequence[Resampled], num_examples: int, *, num_resamples: int, seed: int
) -> Array:
    """Returns each statistic on the same resamples of the examples.

    Args:
        statistics: K functions from weights, shape (rows, n), to values, shape (rows,).
        num_examples: n.
        num_resamples: R.
        seed: Seed of the draws.

    Returns:
        Values, shape (K, R). Differences of two rows are paired.

    Raises:
        DataError: An argument is not a whole number, or too small.

    Example:
        >>> scores = np.array([0.0, 1.0, 1.0, 0.0])
        >>> twice = [lambda w: w @ scores / 4, lambda w: w @ scores / 4]
        >>> first, second = resample(twice, 4, num_resamples=100, seed=0)
        >>> float(np.abs(first - second).max())
        0.0
    """
    columns = [
        np.stack([statistic(weights) for statistic in statistics])
        for weights in resample_weights(num_examples, num_resamples, seed=seed)
    ]
    return np.concatenate(columns, axis=1)


def percentile_interval(replicates: Array, confidence_level: float) -> tuple[float, float]:
    """Returns the central interval of the resampled values.

    For means and smooth functions of them. At the sample sizes of a test set it is as good as
    the accelerated interval (BCa), which needs n further evaluations of every metric, and it
    stays within the range of the metric.

    Args:
        replicates: Values on the resamples, shape (R,); NaN where the metric is undefined.
        confidence_level: Within (0, 1).

    Returns:
        The two ends; both NaN when fewer than half of the values are defined.

    References:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Example:
        >>> [round(end, 6) for end in percentile_interval(np.arange(101.0), 0.9)]
        [5.0, 95.0]
    """
    defined = replicates[~np.isnan(replicates)]
    if defined.size < MINIMUM_DEFINED * replicates.size:
        return float("nan"), float("nan")
    tail = (1.0 - confidence_level) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return float(low), float(high)
