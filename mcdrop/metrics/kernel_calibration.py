"""Calibration errors without bins: smoothed for the top label, pairwise for all classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mcdrop._checks import check_number
from mcdrop.errors import DataError
from mcdrop.metrics._classification import as_scored, top_label
from mcdrop.weighted.arrays import plain_value
from mcdrop.weighted.kernel_calibration import (
    kernel_calibration_statistic,
    smooth_calibration_statistic,
)


def smooth_calibration_error(p: ArrayLike, y: ArrayLike) -> float:
    """Returns the smooth calibration error of the top label (smECE).

    With the residuals r_i = correct_i - confidence_i smoothed by a Gaussian of width s reflected
    at 0 and 1, smECE_s = integral over [0, 1] of |(1/N) sum_i r_i K_s(t, confidence_i)| dt falls
    as s grows; smECE is the width at which smECE_s = s. No bins to choose and continuous in the
    probabilities, unlike ECE. A fraction; within [0, 1]; lower is better; above 0 by chance for
    a calibrated model. Evaluated on 4,096 cells of [0, 1], with an error below 1e-6 for values
    above 0.001.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).

    Returns:
        Calibration error.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    References:
        Blasiok & Nakkiran (2023), arXiv:2309.12236.

    Example:
        >>> rows = np.repeat([[0.9, 0.1], [0.6, 0.4]], 50, axis=0)
        >>> round(smooth_calibration_error(rows, [0] * 25 + [1] * 25 + [0] * 30 + [1] * 20), 3)
        0.2
    """
    confidence, correct = top_label(p, y)
    return plain_value(smooth_calibration_statistic(confidence, correct), correct.size)


def full_calibration_error(p: ArrayLike, y: ArrayLike, *, bandwidth: float = 0.5) -> float:
    """Returns the kernel calibration error of the whole probability vector.

    The root of the mean over pairs i != j of k(p_i, p_j) r_i . r_j, with r = onehot(y) - p and
    k = exp(-|p_i - p_j| / bandwidth), Euclidean. The mean is an unbiased estimate of a quantity
    that is 0 only if P(y = c | p) = p_c for all c together (full, or canonical, calibration),
    which no top-label or classwise error tells; a negative mean gives 0. A fraction; within
    [0, sqrt(2)]; lower is better. In expectation it is a lower bound of the root mean square of
    |E[y | p] - p|; values compare at one bandwidth only.

    Above 1,000 examples, pairs are taken within interleaved blocks of about 1,000, so that the
    time grows with N and not with its square.

    Args:
        p: Class probabilities, shape (N, C), N at least 2.
        y: Integer labels, shape (N,).
        bandwidth: Distance on the simplex over which miscalibration is pooled, above 0.

    Returns:
        Calibration error.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, there
            is one example only, or the bandwidth is not a positive number.

    References:
        Widmann, Lindsten & Zachariah (2019), arXiv:1910.11385; Vaicenavicius et al. (2019),
        arXiv:1902.06977.

    Example:
        >>> rows = np.repeat([[0.7, 0.2, 0.1]], 4, axis=0)
        >>> round(full_calibration_error(rows, [2, 2, 2, 2]), 4)
        1.1576
    """
    probabilities, labels = as_scored(p, y)
    if labels.size < 2:
        raise DataError("`p` holds one example, expected at least 2: the error compares pairs.")
    scale = check_number("bandwidth", bandwidth, low=0.0, high=np.inf, open_ends=True)
    statistic = kernel_calibration_statistic(probabilities, labels, bandwidth=scale)
    return plain_value(statistic, labels.size)
