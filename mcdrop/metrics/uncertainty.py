"""Uncertainty of sampled class probabilities: how much, and of which kind.

The total, H[E p], splits into what the passes agree on, E H[p], and what they disagree on,
the mutual information. Calling the two parts aleatoric and epistemic is common, but both are
estimates that contaminate each other (Wimmer et al. 2023, arXiv:2209.03302).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from mcdrop._checks import as_float, as_samples, check_choice, check_not_empty, check_simplex
from mcdrop.errors import DataError

FloatArray = NDArray[np.float64]


def _entropy(probabilities: FloatArray) -> FloatArray:
    """Returns -sum_c p_c log p_c over the last axis, with 0 log 0 = 0."""
    result: FloatArray = entr(probabilities).sum(axis=-1)
    return result


def _require_two_samples(samples: FloatArray, purpose: str) -> None:
    """Raises DataError when there is only one pass."""
    if samples.shape[0] < 2:
        raise DataError(
            f"`samples` has shape {samples.shape}, one pass; {purpose} needs at least 2. "
            "Raise num_samples."
        )


def entropy(probabilities: ArrayLike) -> FloatArray:
    """Returns the Shannon entropy of class probabilities.

    H[p] = -sum_c p_c log p_c with 0 log 0 = 0. Nats; within [0, log C]; higher is less certain.

    Args:
        probabilities: Class probabilities, shape (..., C), C at least 2; the last axis sums to 1.

    Returns:
        Entropy, shape (...).

    Raises:
        DataError: A value is not finite, or the last axis does not hold probabilities.

    References:
        Shannon (1948), doi:10.1002/j.1538-7305.1948.tb01338.x.

    Example:
        >>> entropy([[0.5, 0.5], [1.0, 0.0]]).round(4)
        array([0.6931, 0.    ])
    """
    array = as_float("probabilities", probabilities)
    if array.ndim == 0:
        raise DataError("`probabilities` is a single number, expected shape (..., C).")
    check_not_empty("probabilities", array)
    check_simplex("probabilities", array)
    return _entropy(array)


def predictive_entropy(samples: ArrayLike) -> FloatArray:
    """Returns the entropy of the mean over passes: the total uncertainty.

    H[E p]. Nats; within [0, log C]; higher is less certain. With T passes it is low by about
    the mutual information divided by T.

    Args:
        samples: Class probabilities of each pass, shape (T, N, ..., C).

    Returns:
        Entropy of the predictive mean, shape (N, ...).

    Raises:
        DataError: The rank is below 3, a value is not finite, or a row does not sum to 1.

    References:
        Gal (2016), "Uncertainty in Deep Learning", section 3.3.1.

    Example:
        >>> predictive_entropy([[[1.0, 0.0]], [[0.0, 1.0]]]).round(4)
        array([0.6931])
    """
    return _entropy(as_samples("samples", samples).mean(axis=0))


def expected_entropy(samples: ArrayLike) -> FloatArray:
    """Returns the mean over passes of the entropy: the part the passes agree on.

    E H[p]. Nats; within [0, log C], and at most the predictive entropy; higher is less
    certain. Unbiased at any T.

    Args:
        samples: Class probabilities of each pass, shape (T, N, ..., C).

    Returns:
        Expected entropy, shape (N, ...).

    Raises:
        DataError: The rank is below 3, a value is not finite, or a row does not sum to 1.

    References:
        Depeweg et al. (2018), arXiv:1710.07283.

    Example:
        >>> expected_entropy([[[1.0, 0.0]], [[0.5, 0.5]]]).round(4)
        array([0.3466])
    """
    result: FloatArray = _entropy(as_samples("samples", samples)).mean(axis=0)
    return result


def mutual_information(samples: ArrayLike, *, correction: str = "none") -> FloatArray:
    """Returns the mutual information of class and dropout mask (BALD): the disagreement.

    MI = H[E p] - E H[p]. Nats; at least 0; higher means that the passes disagree more. With
    "none" it is within [0, min(log T, log C)] and low by a factor of about 1 - 1/T, because
    the entropy is that of a mean of T draws. "jackknife" removes that bias to first order:
    T H[mean] - (T - 1) mean_t H[mean without pass t] takes the place of H[mean]. It can
    exceed log C, and is never below the uncorrected value, since the entropy is concave.

    Args:
        samples: Class probabilities of each pass, shape (T, N, ..., C).
        correction: "none" or "jackknife", which needs T of at least 2.

    Returns:
        Mutual information, shape (N, ...).

    Raises:
        DataError: The rank is below 3, a value is not finite, a row does not sum to 1, the
            correction is unknown, or there is one pass to jackknife.

    References:
        Houlsby et al. (2011), arXiv:1112.5745; Gal et al. (2017), arXiv:1703.02910;
        Quenouille (1956), doi:10.1093/biomet/43.3-4.353.

    Example:
        >>> mutual_information([[[1.0, 0.0]], [[0.0, 1.0]]]).round(4)
        array([0.6931])
    """
    array = as_samples("samples", samples)
    corrected = check_choice("correction", correction, ("none", "jackknife")) == "jackknife"
    if corrected:
        _require_two_samples(array, 'correction="jackknife"')
    total = _jackknifed_entropy(array) if corrected else _entropy(array.mean(axis=0))
    # Clamped one example at a time: a rounding error must not cancel another example's value.
    result: FloatArray = np.maximum(total - _entropy(array).mean(axis=0), 0.0)
    return result


def _jackknifed_entropy(samples: FloatArray) -> FloatArray:
    """Returns the jackknife estimate of H[E p]; one leave-one-out mean in memory at a time."""
    num_samples = samples.shape[0]
    total = samples.sum(axis=0)
    left_out = np.zeros(samples.shape[1:-1])
    for sample in samples:
        # Subtracting from the sum can leave -1e-17 where all other passes have exactly 0.
        left_out += _entropy(np.maximum(total - sample, 0.0) / (num_samples - 1))
    result: FloatArray = (
        num_samples * _entropy(total / num_samples) - (num_samples - 1) * left_out / num_samples
    )
    return result


def variation_ratio(samples: ArrayLike) -> FloatArray:
    """Returns the share of passes that do not vote for the most voted class.

    1 - max_c (1/T) #{t : argmax p_t = c}. A fraction; within [0, 1 - 1/min(T, C)]; higher is
    less certain. Its resolution is 1/T. A pass in which classes tie votes for the first.

    Args:
        samples: Class probabilities of each pass, shape (T, N, ..., C).

    Returns:
        Variation ratio, shape (N, ...).

    Raises:
        DataError: The rank is below 3, a value is not finite, or a row does not sum to 1.

    References:
        Freeman (1965), "Elementary Applied Statistics"; Gal (2016), section 3.3.1.

    Example:
        >>> variation_ratio([[[0.9, 0.1]], [[0.6, 0.4]], [[0.8, 0.2]], [[0.3, 0.7]]])
        array([0.25])
    """
    array = as_samples("samples", samples)
    num_samples, *shape, num_classes = array.shape
    chosen = array.argmax(axis=-1).reshape(num_samples, -1)
    # Each example gets its own range of numbers, so that one count serves all of them.
    ballots = chosen + num_classes * np.arange(chosen.shape[1])
    votes = np.bincount(ballots.ravel(), minlength=num_classes * chosen.shape[1])
    most_voted = votes.reshape(*shape, num_classes).max(axis=-1)
    result: FloatArray = 1.0 - most_voted / num_samples
    return result


def mean_standard_deviation(samples: ArrayLike) -> FloatArray:
    """Returns the standard deviation over passes, averaged over classes ("mean STD").

    (1/C) sum_c std_t(p_tc) with T - 1 in the denominator, so that the variance is unbiased;
    the published form divides by T and is lower by sqrt(1 - 1/T). Probability; at least 0, at
    most 1/sqrt(2); higher means that the passes disagree more.

    Args:
        samples: Class probabilities of each pass, shape (T, N, ..., C), T at least 2.

    Returns:
        Mean standard deviation, shape (N, ...).

    Raises:
        DataError: The rank is below 3, a value is not finite, a row does not sum to 1, or
            there is one pass only.

    References:
        Kampffmeyer et al. (2016), doi:10.1109/CVPRW.2016.90; Gal et al. (2017),
        arXiv:1703.02910.

    Example:
        >>> mean_standard_deviation([[[0.9, 0.1]], [[0.5, 0.5]]]).round(4)
        array([0.2828])
    """
    array = as_samples("samples", samples)
    _require_two_samples(array, "a standard deviation")
    result: FloatArray = array.std(axis=0, ddof=1).mean(axis=-1)
    return result
