"""Intervals over examples and over passes: the paired bootstrap and the delete-half jackknife.

Two sources of chance lie between a metric and the value that matters. The examples are a
sample: the bootstrap draws n of the n examples with replacement, R times, and the same draws
serve both sides of a comparison, so that what they share cancels in the difference. The
passes are a sample too: with T of them a metric is off by chance, and by a bias of order 1/T.
Both are estimated from the means over halves of the groups of passes, and `estimate` folds
them into the interval.

Why halves, and not the delete-a-group jackknife: a half differs from all T passes by as much
as all T differ from infinitely many. So halves also serve metrics with steps, such as the
accuracy, whose standard error leaving out one group of ten overstates by the root of three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mcdrop._checks import check_count

Array = NDArray[np.float64]
Resampled = Callable[[Array], Array]

BLOCK_ELEMENTS = 2**24
"""Weights drawn at once: 128 MiB of float64, whatever the number of resamples."""

NUM_HALVES = 16
"""Halves that are looked at, 8 of the 126 ways to split ten groups in two."""

MINIMUM_DEFINED = 0.5
"""Share of resamples in which a metric must be defined for its interval to be given."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: The metric of these examples and passes.
        low: Lower end of the interval, NaN where none can be given.
        high: Upper end.
        monte_carlo_error: Standard error of `value` from the finite number of passes; None
            for the deterministic prediction and where it cannot be told.
    """

    value: float
    low: float
    high: float
    monte_carlo_error: float | None = None


@dataclass(frozen=True)
class MonteCarloNoise:
    """What the finite number of passes does to a metric.

    Attributes:
        error: Standard error of the metric over draws of the passes.
        shift: Estimate of the metric's value for T to infinity, minus its value.
        degrees: Degrees of freedom of `error`, the number of groups less one.
    """

    error: float
    shift: float
    degrees: int


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


def biased_interval(
    value: float, replicates: Array, confidence_level: float
) -> tuple[float, float]:
    """Returns the hull of the percentile interval and of its reflection about the value.

    For statistics that resampling pushes upward, as it does every binned calibration error: a
    resample adds its own noise, which the absolute values in the bins turn into bias. Where
    the value has that bias too, the percentile interval lies above the truth by twice the
    bias, and the reflected one, 2 value - replicates, at the truth; where it has none, as far
    from calibration or with a debiased estimator, the percentile interval is right. The hull
    holds both.

    Args:
        value: The metric.
        replicates: Its values on the resamples, shape (R,).
        confidence_level: Within (0, 1).

    Returns:
        The two ends; both NaN when fewer than half of the values are defined.

    References:
        Davison & Hinkley (1997), Bootstrap Methods and their Application, section 5.2.

    Example:
        >>> [round(end, 6) for end in biased_interval(2.0, np.arange(101.0) / 20, 0.9)]
        [-0.75, 4.75]
    """
    low, high = percentile_interval(replicates, confidence_level)
    return min(low, 2.0 * value - high), max(high, 2.0 * value - low)


def half_samples(num_groups: int) -> list[NDArray[np.intp]]:
    """Returns halves of the groups of passes: all of them, or up to 16 drawn at random.

    Random halves come in pairs without a common group, in which every group counts equally.
    With an odd number of groups a half is the smaller part.

    Args:
        num_groups: G, at least 2.

    Example:
        >>> [half.tolist() for half in half_samples(3)]
        [[0], [1], [2]]
    """
    size = num_groups // 2
    if comb(num_groups, size) <= NUM_HALVES:
        return [np.array(chosen) for chosen in combinations(range(num_groups), size)]
    generator = np.random.default_rng(0)
    halves: list[NDArray[np.intp]] = []
    for _ in range(NUM_HALVES // 2):
        order = generator.permutation(num_groups)
        halves += [order[:size], order[size : 2 * size]]
    return halves


def half_sample_noise(
    value: float, half_values: Array, shares: Array, num_groups: int
) -> MonteCarloNoise:
    """Returns the Monte Carlo noise of a metric, from its values on halves of the passes.

    With d_k the value of half k less that of all passes, s_k the half's share of the passes
    and f_k = s_k / (1 - s_k), which is 1 for an exact half: the squared error is the mean of
    f_k (d_k - mean d)², as half of the passes stray from all T with the variance with which
    the T stray from infinitely many; and the shift to infinitely many passes is -mean(f_k d_k),
    as a bias of b/T is 2b/T on a half.

    Args:
        value: The metric with all passes.
        half_values: The metric with each half, shape (K,).
        shares: Share of all passes in each half, shape (K,), within (0, 1).
        num_groups: Number of groups of which the halves consist.

    References:
        Shao & Wu (1989), doi:10.1214/aos/1176347263, the delete-d jackknife with d = T/2.

    Example:
        >>> noise = half_sample_noise(1.0, np.array([0.9, 1.3]), np.array([0.5, 0.5]), 2)
        >>> round(noise.error, 3), round(noise.shift, 3)
        (0.2, -0.1)
    """
    deviations = half_values - value
    factors = shares / (1.0 - shares)
    squares = factors * np.square(deviations - deviations.mean())
    return MonteCarloNoise(
        error=float(np.sqrt(squares.mean())),
        shift=-float((factors * deviations).mean()),
        degrees=num_groups - 1,
    )


def fold_noise(
    value: float,
    interval: tuple[float, float],
    noise: MonteCarloNoise,
    confidence_level: float,
) -> tuple[float, float]:
    """Returns the interval over examples, widened for the finite number of passes.

    With q the quantile of Student's t for the noise's degrees of freedom: each end moves from
    a distance h of the value to sqrt(h² + (q error)²), and the end on the side of the shift
    moves on by the shift. The interval so holds both what T passes and what infinitely many
    would score on new examples. With independent masks the spread over examples already
    contains the chance of the passes, which is then counted twice: the interval is longer
    than needed, by less than a factor √2. With shared masks it is not contained.

    Args:
        value: The metric.
        interval: Interval of the bootstrap over examples.
        noise: Noise of the passes.
        confidence_level: Within (0, 1).

    Example:
        >>> noise = MonteCarloNoise(error=0.0, shift=-0.5, degrees=9)
        >>> fold_noise(2.0, (1.0, 3.0), noise, 0.95)
        (0.5, 3.0)
    """
    quantile = float(special.stdtrit(noise.degrees, (1.0 + confidence_level) / 2.0))
    low, high = interval
    below = np.hypot(value - low, quantile * noise.error) - min(noise.shift, 0.0)
    above = np.hypot(high - value, quantile * noise.error) + max(noise.shift, 0.0)
    return float(value - below), float(value + above)


def share_limit(num_examples: int, confidence_level: float) -> float:
    """Returns how large a share may be of which n examples showed none.

    1 - (tail)^(1/n), about 3.7 / n at 95%: the exact binomial limit, for a share such as the
    error rate when every example is right. All resamples are equal then, and the bootstrap
    would call the value certain.

    References:
        Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.

    Example:
        >>> round(share_limit(100, 0.95), 4)
        0.0362
    """
    tail = (1.0 - confidence_level) / 2.0
    return float(-np.expm1(np.log(tail) / num_examples))
