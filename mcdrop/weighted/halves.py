"""The noise of a finite number of passes, from the delete-half jackknife over groups of them.

The passes are a sample: with T of them a metric is off by chance, and by a bias of order 1/T.
Both are estimated from the means over halves of the groups of passes, and `fold_noise` puts
them into the interval over examples.

Why halves, and not the delete-a-group jackknife: a half differs from all T passes by as much
as all T differ from infinitely many. So halves also serve metrics with steps, such as the
accuracy, whose standard error leaving out one group of ten overstates by the root of three.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

NUM_HALVES = 16
"""Halves that are looked at, 8 of the 126 ways to split ten groups in two."""


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
    degrees: float


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


def noise_of_difference(first: MonteCarloNoise, second: MonteCarloNoise) -> MonteCarloNoise:
    """Returns the noise of a difference of two metrics whose passes were drawn independently.

    Degrees of freedom by Satterthwaite's formula.

    References:
        Satterthwaite (1946), doi:10.2307/3002019.

    Example:
        >>> side = MonteCarloNoise(error=3.0, shift=0.5, degrees=9)
        >>> noise_of_difference(side, MonteCarloNoise(error=0.0, shift=0.0, degrees=1))
        MonteCarloNoise(error=3.0, shift=0.5, degrees=9.0)
    """
    squares = first.error**2, second.error**2
    total = sum(squares)
    spread = squares[0] ** 2 / first.degrees + squares[1] ** 2 / second.degrees
    return MonteCarloNoise(
        error=total**0.5,
        shift=first.shift - second.shift,
        degrees=total**2 / spread if spread > 0 else float(first.degrees),
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
