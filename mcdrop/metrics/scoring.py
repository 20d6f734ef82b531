"""Scores of predicted class probabilities: accuracy and the proper scoring rules.

Every score that is a mean over examples has a `_per_example` form, which the paired bootstrap
and the list of the worst examples use. For T passes the probabilities to score are their mean,
so that the negative log-likelihood is that of the mixture, not the mean of T of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_count
from mcdrop.errors import DataError
from mcdrop.metrics._classification import as_scored
from mcdrop.weighted.arrays import mean_statistic, plain_value
from mcdrop.weighted.classwise import brier_parts_statistic

FloatArray = NDArray[np.float64]

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Probabilities below 2^-126, which a float32 softmax cannot tell from 0, count as 2^-126."""


def _mean(values: FloatArray) -> float:
    """Returns the mean over examples, by the formula that the bootstrap uses."""
    return plain_value(mean_statistic(values), values.size)


def accuracy_per_example(p: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns 1 for each example whose most probable class is its label, else 0.

    Args:
        p: Class probabilities, shape (N, C). Of tied classes the first is predicted.
        y: Integer labels, shape (N,).

    Returns:
        Zeros and ones, shape (N,); 1 is better.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    Example:
        >>> accuracy_per_example([[0.9, 0.1], [0.8, 0.2]], [0, 1])
        array([1., 0.])
    """
    probabilities, labels = as_scored(p, y)
    return np.asarray((probabilities.argmax(axis=1) == labels).astype(np.float64))


def accuracy(p: ArrayLike, y: ArrayLike) -> float:
    """Returns the share of examples whose most probable class is their label.

    (1/N) #{i : argmax_c p_ic = y_i}. A fraction; within [0, 1]; higher is better.

    Args:
        p: Class probabilities, shape (N, C). Of tied classes the first is predicted.
        y: Integer labels, shape (N,).

    Returns:
        Accuracy.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    Example:
        >>> accuracy([[0.9, 0.1], [0.8, 0.2]], [0, 1])
        0.5
    """
    return _mean(accuracy_per_example(p, y))


def top_k_accuracy_per_example(p: ArrayLike, y: ArrayLike, *, k: int) -> FloatArray:
    """Returns 1 for each example whose label is among its k most probable classes, else 0.

    Args:
        p: Class probabilities, shape (N, C). Tied classes rank in their own order, so that k=1
            is `accuracy_per_example`.
        y: Integer labels, shape (N,).
        k: Number of classes, from 1 to C.

    Returns:
        Zeros and ones, shape (N,); 1 is better.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or k
            is out of range.

    Example:
        >>> top_k_accuracy_per_example([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
        array([1., 0.])
    """
    probabilities, labels = as_scored(p, y)
    num_classes = probabilities.shape[1]
    if check_count("k", k, minimum=1) > num_classes:
        raise DataError(f"`k` is {k}, expected at most the number of classes, {num_classes}.")
    of_label = probabilities[np.arange(labels.size), labels][:, np.newaxis]
    earlier = np.arange(num_classes) < labels[:, np.newaxis]
    ahead = (probabilities > of_label) | ((probabilities == of_label) & earlier)
    return np.asarray((ahead.sum(axis=1) < k).astype(np.float64))


def top_k_accuracy(p: ArrayLike, y: ArrayLike, *, k: int) -> float:
    """Returns the share of examples whose label is among their k most probable classes.

    A fraction; within [0, 1]; higher is better. Not defined for k above C; 1 for k = C.

    Args:
        p: Class probabilities, shape (N, C). Tied classes rank in their own order.
        y: Integer labels, shape (N,).
        k: Number of classes, from 1 to C.

    Returns:
        Top-k accuracy.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or k
            is out of range.

    Example:
        >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
        0.5
    """
    return _mean(top_k_accuracy_per_example(p, y, k=k))


def negative_log_likelihood_per_example(p: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns -log of the probability given to each label, in nats.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).

    Returns:
        Losses, shape (N,), within [0, 87.34]; lower is better.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    Example:
        >>> negative_log_likelihood_per_example([[0.5, 0.5], [1.0, 0.0]], [0, 0]).round(4)
        array([0.6931, 0.    ])
    """
    probabilities, labels = as_scored(p, y)
    of_label = probabilities[np.arange(labels.size), labels]
    # A row may sum to 1.001 by rounding; a probability above 1 must not earn a negative loss.
    return np.abs(np.log(np.clip(of_label, SMALLEST_PROBABILITY, 1.0)))


def negative_log_likelihood(p: ArrayLike, y: ArrayLike) -> float:
    """Returns the mean negative log-likelihood of the labels (log loss, cross-entropy).

    -(1/N) sum_i log p_{i, y_i}. Nats; at least 0; lower is better. Proper. Only the probability
    of the label counts. It is clipped at 2^-126, the smallest normal float32, so that one label
    of probability 0 costs 87.34 nats instead of making every comparison infinite.

    Args:
        p: Class probabilities, shape (N, C); for T passes their mean, which gives the
            likelihood of the mixture.
        y: Integer labels, shape (N,).

    Returns:
        Mean negative log-likelihood.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    References:
        Good (1952), doi:10.1111/j.2517-6161.1952.tb00104.x; Gneiting & Raftery (2007),
        doi:10.1198/016214506000001437.

    Example:
        >>> round(negative_log_likelihood([[0.7, 0.2, 0.1]], [0]), 4)
        0.3567
    """
    return _mean(negative_log_likelihood_per_example(p, y))


def brier_score_per_example(p: ArrayLike, y: ArrayLike) -> FloatArray:
    """Returns the squared distance of each row of probabilities from its one-hot label.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).

    Returns:
        Scores, shape (N,), within [0, 2]; lower is better.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    Example:
        >>> brier_score_per_example([[0.5, 0.5], [0.0, 1.0]], [0, 0])
        array([0.5, 2. ])
    """
    probabilities, labels = as_scored(p, y)
    error = probabilities.copy()
    error[np.arange(labels.size), labels] -= 1.0
    return np.asarray((error**2).sum(axis=1))


def brier_score(p: ArrayLike, y: ArrayLike) -> float:
    """Returns the mean squared distance of the probabilities from the one-hot labels.

    (1/N) sum_i sum_c (p_ic - 1{y_i = c})^2. No unit; within [0, 2]; lower is better. Proper.
    It sums over classes, as Brier did; the one-sided binary form is half of it.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).

    Returns:
        Brier score.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, or a label is no class.

    References:
        Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Example:
        >>> round(brier_score([[0.7, 0.2, 0.1]], [0]), 4)
        0.14
    """
    return _mean(brier_score_per_example(p, y))


@dataclass(frozen=True)
class BrierDecomposition:
    """The parts of the Brier score, each summed over classes.

    Attributes:
        reliability: Mean squared distance of stated and observed frequency over bins; within
            [0, 2], lower is better. High by about (number of filled bins) / N by chance.
        resolution: Variance over bins of the observed frequency; within [0, uncertainty],
            higher is better.
        uncertainty: sum_c f_c (1 - f_c) of the class frequencies f; a property of the labels
            alone, within [0, 1 - 1/C].
        within_bin_variance: Variance of the probabilities inside their bins.
        within_bin_covariance: Twice the covariance of probability and outcome inside bins.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bin_variance: float
    within_bin_covariance: float

    @property
    def brier_score(self) -> float:
        """The Brier score that the parts add up to, without remainder."""
        between = self.reliability - self.resolution + self.uncertainty
        return between + self.within_bin_variance - self.within_bin_covariance


def brier_decomposition(p: ArrayLike, y: ArrayLike, *, num_bins: int = 15) -> BrierDecomposition:
    """Returns the Brier score split into reliability, resolution and uncertainty.

    For each class against the rest, with equal-width bins of its probability,
    reliability = sum_b n_b/N (mean p_b - mean o_b)^2, resolution = sum_b n_b/N (mean o_b - f)^2,
    uncertainty = f (1 - f). Murphy's identity, Brier = reliability - resolution + uncertainty,
    holds only where all probabilities of a bin are equal; the two within-bin terms of
    Stephenson et al. close it for any binning.

    Args:
        p: Class probabilities, shape (N, C).
        y: Integer labels, shape (N,).
        num_bins: Number of bins on [0, 1].

    Returns:
        The parts; no unit.

    Raises:
        DataError: A shape does not fit, a row is not on the simplex, a label is no class, or
            there is no bin.

    References:
        Murphy (1973), doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; Stephenson, Coelho &
        Jolliffe (2008), doi:10.1175/2007WAF2006116.1.

    Example:
        >>> parts = brier_decomposition([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8]], [0, 1, 1])
        >>> round(parts.reliability, 4), round(parts.resolution, 4), round(parts.uncertainty, 4)
        (0.1467, 0.1111, 0.4444)
    """
    probabilities, labels = as_scored(p, y)
    check_count("num_bins", num_bins, minimum=1)
    parts = brier_parts_statistic(probabilities, labels, num_bins=num_bins)
    return BrierDecomposition(*parts(np.ones((1, labels.size)))[0].tolist())
