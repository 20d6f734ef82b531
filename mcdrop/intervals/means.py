"""Intervals of means and of ratios of sums, by the Bayesian bootstrap with atoms.

An atom is one more value, of the weight of one example, at an end of what another example
could have shown. With the bounds of the loss as atoms the interval is Gaffke's; of a share it
is the one of Clopper and Pearson. Without, resampling a few losses never shows the rare large
one, and the interval collapses.

Clusters (images of many pixels, examples of several labels) give sums and sizes: the mean
over all units is then a ratio of sums, and whole clusters are weighed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mcdrop.intervals.dirichlet import ratio_quantile
from mcdrop.intervals.interval import (
    UNBOUNDED,
    Bounds,
    Interval,
    absent,
    tail,
    too_few,
)

Array = NDArray[np.float64]

MINIMUM_ERRORS = 3
"""Errors below which a paired difference of losses carries no interval."""

MINIMUM_EXAMPLES = 20
"""Examples below which Student's interval is not given."""

Factors = tuple[tuple[int, float], ...]

ABSOLUTE: Factors = ((20, 3.0), (50, 2.0), (200, 1.0))
"""For losses that grow as the error: from how many examples on the atoms stand how far."""

SQUARED: Factors = ((50, 6.0), (100, 4.0), (200, 3.0))
"""For losses that grow as its square."""

RARE: Factors = ((100, 4.0), (200, 3.0))
"""For losses that are large in the few examples outside a predictive interval."""

LINEARISED: Factors = ((50, 2.0),)
"""For the linearised difference of two roots of squared losses."""


def factor_of(factors: Factors, num_examples: int) -> float:
    """Returns how far atoms stand for a number of examples; below the first as for the first.

    Example:
        >>> factor_of(ABSOLUTE, 5), factor_of(ABSOLUTE, 60), factor_of(ABSOLUTE, 1000)
        (3.0, 2.0, 1.0)
    """
    return [reach for least, reach in factors if num_examples >= least or least == factors[0][0]][
        -1
    ]


def mean_with_atoms(
    sums: Array,
    low_atom: float,
    high_atom: float,
    level: float = 0.95,
    *,
    sizes: Array | None = None,
) -> Interval:
    """Returns the interval of a mean, or of a ratio of sums over clusters.

    The low end is the quantile of the Bayesian bootstrap of the values and the low atom, the
    high end that of the values and the high atom.

    Args:
        sums: Values, shape (n,); with `sizes` the sum of each cluster.
        low_atom: Value of the added unit at the low end.
        high_atom: The same at the high end.
        level: Confidence level, within (0, 1).
        sizes: Units of each cluster, shape (n,); None for one unit each. An atom is a
            cluster as large as the geometric mean of the mean and the largest size.

    Returns:
        The interval, within the hull of values and atoms.

    References:
        Gaffke (2005), Three test statistics for a nonparametric one-sided hypothesis on the
        mean of a nonnegative variable, Mathematical Methods of Statistics 14(4), 451-467.
        Learned-Miller & Thomas (2019), arXiv:1905.06208. Rubin (1981),
        doi:10.1214/aos/1176345338.

    Example:
        >>> found = mean_with_atoms(np.r_[1.0, np.zeros(199)], 0.0, 1.0)
        >>> round(found.low, 4), round(found.high, 4)  # a share: compare Clopper and Pearson
        (0.0001, 0.0276)
    """
    if not sums.size:
        return absent("no examples")
    wholes = np.ones(sums.size) if sizes is None else sizes
    if not wholes.any():
        return absent("nothing to count")
    # What is large counts most, and the next cluster may be larger than the mean of those seen.
    size = float(np.sqrt(wholes.mean() * wholes.max()))
    low, high = (
        ratio_quantile(np.append(sums, atom * size), np.append(wholes, size), chance)
        for atom, chance in ((low_atom, tail(level)), (high_atom, 1.0 - tail(level)))
    )
    return Interval(low, high)


def paired_loss_difference(
    differences: Array,
    differences_if_wrong: Array,
    num_errors: int,
    level: float = 0.95,
    *,
    sizes: Array | None = None,
) -> Interval:
    """Returns the interval of the mean difference of two losses, NLL or Brier.

    Atoms stand at the least and greatest of the observed differences and
    of the differences were the labels wrong.

    Args:
        differences: Loss of the first less loss of the second, shape (n,).
        differences_if_wrong: The same were the label another, as the most probable class that
            is not predicted, shape (m,).
        num_errors: The smaller number of errors of the two forecasts.
        level: Confidence level, within (0, 1).
        sizes: Units of each cluster where values are sums over clusters, shape (n,).

    Returns:
        The interval; none below 3 errors.

    Example:
        >>> gaps = np.r_[np.full(40, 0.01), -1.0, -0.5, 0.8]
        >>> found = paired_loss_difference(gaps, np.array([-1.2, 0.9]), 3)
        >>> found.low < float(gaps.mean()) < found.high
        True
    """
    few = too_few([num_errors], MINIMUM_ERRORS, "errors")
    if few is not None:
        return few
    if sizes is None:
        ends = np.concatenate([differences, differences_if_wrong])
    else:
        counted = sizes > 0
        ends = np.concatenate([differences[counted] / sizes[counted], differences_if_wrong])
    return mean_with_atoms(differences, float(ends.min()), float(ends.max()), level, sizes=sizes)


def regression_loss(
    losses: Array,
    level: float = 0.95,
    *,
    factors: Factors = ABSOLUTE,
    bounds: Bounds = (0.0, np.inf),
) -> Interval:
    """Returns the interval of the mean of a loss without an upper bound: MAE, CRPS.

    The atoms stand a factor as far from the median as the extremes do, since the largest loss
    of a few is short of what the next may be.

    Args:
        losses: Shape (n,).
        level: Confidence level, within (0, 1).
        factors: Pairs of a number of examples, rising, and the factor from it on; below the
            first there is no interval.
        bounds: Possible range of a loss, which also bounds the atoms.

    Returns:
        The interval, within `bounds`; none below 20 examples unless `factors` says otherwise,
        and none where all losses are equal.

    Example:
        >>> losses = np.abs(np.random.default_rng(0).standard_normal(50))
        >>> found = regression_loss(losses)
        >>> found.low < float(losses.mean()) < found.high
        True
    """
    few = too_few([losses.size], factors[0][0], "examples")
    if few is not None:
        return few
    if losses.min() == losses.max():
        return absent("all values are equal")
    factor = factor_of(factors, losses.size)
    middle = float(np.median(losses))
    low, high = (
        min(max(middle + factor * (float(end) - middle), bounds[0]), bounds[1])
        for end in (losses.min(), losses.max())
    )
    return mean_with_atoms(losses, low, high, level)


def log_likelihood(losses: Array, level: float = 0.95) -> Interval:
    """Returns the interval of a mean logarithmic or squared loss, with atoms farther away.

    Args:
        losses: Of either sign, shape (n,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval; none below 50 examples.

    Example:
        >>> log_likelihood(np.zeros(9)).reason
        'fewer than 50 examples (9)'
    """
    return regression_loss(losses, level, factors=SQUARED, bounds=UNBOUNDED)


def interval_score(losses: Array, level: float = 0.95) -> Interval:
    """Returns the interval of a mean interval score, or of a difference of two.

    The score is large in the few examples outside their predictive interval, so that as many
    examples are needed as show some.

    Args:
        losses: Of either sign, shape (n,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval; none below 100 examples.

    Example:
        >>> interval_score(np.zeros(99)).reason
        'fewer than 100 examples (99)'
    """
    return regression_loss(losses, level, factors=RARE, bounds=UNBOUNDED)


def root_mean_square(squares: Array, level: float = 0.95) -> Interval:
    """Returns the interval of the root of a mean of squared errors.

    Args:
        squares: Squared errors, shape (n,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval, at least 0; none below 50 examples.

    Example:
        >>> found = root_mean_square(np.random.default_rng(0).standard_normal(500) ** 2)
        >>> found.low < 1 < found.high
        True
    """
    found = regression_loss(squares, level, factors=SQUARED)
    return Interval(float(np.sqrt(found.low)), float(np.sqrt(found.high)), found.reason)


def root_mean_square_difference(first: Array, second: Array, level: float = 0.95) -> Interval:
    """Returns the interval of the difference of two RMSE of the same examples.

    The linearised difference a / (2 RMSE_a) - b / (2 RMSE_b) of the squared errors a and b
    is treated as a loss of either sign, and shifted to the difference of the roots.

    Args:
        first: Squared errors, shape (n,).
        second: The same of the other forecast, shape (n,).
        level: Confidence level, within (0, 1).

    Returns:
        The interval of first minus second; none below 50 examples.

    Example:
        >>> squares = np.random.default_rng(0).standard_normal((2, 500)) ** 2
        >>> found = root_mean_square_difference(*squares)
        >>> found.low < 0 < found.high
        True
    """
    few = too_few([first.size], LINEARISED[0][0], "examples")
    if few is not None:
        return few
    roots = np.sqrt([first.mean(), second.mean()])
    scales = np.where(roots > 0, 2.0 * roots, 1.0)
    linear = first / scales[0] - second / scales[1]
    found = regression_loss(linear, level, factors=LINEARISED, bounds=UNBOUNDED)
    shift = float(roots[0] - roots[1] - linear.mean())
    return Interval(found.low + shift, found.high + shift, found.reason)


def student(
    values: Array,
    level: float = 0.95,
    *,
    minimum: int = MINIMUM_EXAMPLES,
    bounds: Bounds = UNBOUNDED,
) -> Interval:
    """Returns Student's interval of a mean: differences of MAE or CRPS, mean widths.

    Args:
        values: Shape (n,).
        level: Confidence level, within (0, 1).
        minimum: Examples below which there is no interval, at least 2.
        bounds: Possible range of the mean.

    Returns:
        The interval, within `bounds`.

    References:
        Student (1908), doi:10.1093/biomet/6.1.1.

    Example:
        >>> found = student(np.arange(21.0))
        >>> round(found.low, 3), round(found.high, 3)
        (7.176, 12.824)
    """
    few = too_few([values.size], minimum, "examples")
    if few is not None:
        return few
    if values.min() == values.max():
        return absent("all values are equal")
    mean, error = float(values.mean()), float(values.std(ddof=1)) / np.sqrt(values.size)
    half = float(special.stdtrit(values.size - 1, 1.0 - tail(level))) * float(error)
    return Interval(mean - half, mean + half).within(bounds)
