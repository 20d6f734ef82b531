"""How well a score separates two kinds: errors from hits, or unlike data from like data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_float, as_matched, check_not_empty
from mcdrop.errors import DataError
from mcdrop.metrics._classification import as_flags
from mcdrop.weighted.arrays import plain_value
from mcdrop.weighted.ranking import (
    auroc_statistic,
    average_precision_statistic,
    false_positive_rate_statistic,
)

FloatArray = NDArray[np.float64]

TRUE_POSITIVE_RATE = 0.95
"""The share of positives to find at which `fpr95` is read."""


@dataclass(frozen=True)
class DetectionScores:
    """How well a score finds the positives: errors, or out-of-distribution examples.

    Attributes:
        auroc: Area under the ROC curve: the chance that a positive scores above a negative,
            ties counting half. Within [0, 1]; higher is better; 0.5 is chance.
        aupr: Average precision, the step-wise area under the precision-recall curve. Within
            [0, 1]; higher is better; `positive_fraction` is chance, so that values of data
            with other fractions do not compare.
        fpr95: Share of negatives flagged at the highest threshold that flags 95% of the
            positives. Within [0, 1]; lower is better; 0.95 is chance.
        positive_fraction: Share of positives among all examples.

    The first three are NaN when there is no positive or no negative.
    """

    auroc: float
    aupr: float
    fpr95: float
    positive_fraction: float


def _detection(score: FloatArray, positive: NDArray[np.bool_]) -> DetectionScores:
    """Returns the scores of `score`, higher meaning positive."""
    statistics = (
        auroc_statistic(score, positive),
        average_precision_statistic(score, positive),
        false_positive_rate_statistic(score, positive, true_positive_rate=TRUE_POSITIVE_RATE),
    )
    auroc, aupr, fpr95 = (plain_value(statistic, score.size) for statistic in statistics)
    return DetectionScores(auroc, aupr, fpr95, positive_fraction=float(positive.mean()))


def error_detection(uncertainty: ArrayLike, error: ArrayLike) -> DetectionScores:
    """Returns how well the uncertainty tells errors from correct predictions.

    Errors are the positives; see `DetectionScores` for formulas, ranges and directions. It
    measures the order of the uncertainty only, and its value depends on which examples the
    model gets wrong: of two models the one with better detection can be the worse classifier,
    so set it beside `area_under_risk_coverage`.

    Args:
        uncertainty: Shape (N,) or, for dense outputs, (N, ...); higher is less certain. Tied
            values are never ordered by chance.
        error: 1 or True where the prediction is wrong, else 0; the same shape.

    Returns:
        Detection scores; NaN when no prediction, or every prediction, is wrong.

    Raises:
        DataError: The shapes differ, a value is not finite, or an error is neither 0 nor 1.

    References:
        Hendrycks & Gimpel (2017), arXiv:1610.02136; Corbiere et al. (2019), arXiv:1910.04851.

    Example:
        >>> error_detection([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
        DetectionScores(auroc=0.75, aupr=0.8333333333333333, fpr95=0.5, positive_fraction=0.5)
    """
    scores, errors = as_matched(uncertainty=uncertainty, error=error)
    return _detection(scores.ravel(), as_flags("error", errors).ravel())


def out_of_distribution_detection(score_in: ArrayLike, score_out: ArrayLike) -> DetectionScores:
    """Returns how well a score tells out-of-distribution from in-distribution examples.

    Out-of-distribution examples are the positives, as in Hendrycks et al. (2019); see
    `DetectionScores` for formulas, ranges and directions. Papers that take the in-distribution
    examples as positives (ODIN) have the same AUROC but another AUPR and FPR95: for theirs,
    pass (-score_out, -score_in).

    Args:
        score_in: Uncertainty of in-distribution examples, shape (N,); higher is less certain.
        score_out: Uncertainty of out-of-distribution examples, shape (M,).

    Returns:
        Detection scores.

    Raises:
        DataError: A score is not a vector, is empty, or has a value that is not finite.

    References:
        Hendrycks & Gimpel (2017), arXiv:1610.02136; Hendrycks et al. (2019), arXiv:1812.04606;
        Liang et al. (2018), arXiv:1706.02690.

    Example:
        >>> out_of_distribution_detection([0.1, 0.2, 0.3], [0.3, 0.5]).auroc
        0.9166666666666666
    """
    pooled = [_as_scores("score_in", score_in), _as_scores("score_out", score_out)]
    positive = np.repeat([False, True], [scores.size for scores in pooled])
    return _detection(np.concatenate(pooled), positive)


def _as_scores(name: str, values: ArrayLike) -> FloatArray:
    """Returns a finite vector with at least one value."""
    scores = as_float(name, values)
    if scores.ndim != 1:
        raise DataError(f"`{name}` has shape {scores.shape}, expected one score an example, (N,).")
    check_not_empty(name, scores)
    return scores
