"""Out-of-distribution data beside the evaluated data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.metrics.detection import TRUE_POSITIVE_RATE, out_of_distribution_detection
from mcdrop.pass_statistics import entropy
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.report.classes import histogram
from mcdrop.report.content import Separation, Shift
from mcdrop.report.intervals import UNDEFINED, Interval, auroc_interval, mean_interval
from mcdrop.weighted.bootstrap import percentile_interval, resample
from mcdrop.weighted.ranking import (
    average_precision_statistic,
    false_positive_rate_statistic,
)

NUM_RESAMPLES = 200

Array = NDArray[Any]


def shift(known: Prediction, foreign: Prediction, *, level: float, seed: int) -> Shift:
    """Returns how the uncertainty tells foreign examples from known ones.

    Raises:
        DataError: The two predictions are not of one model: another task or output shape.
    """
    if known.task != foreign.task or known.mean.shape[1:] != foreign.mean.shape[1:]:
        raise DataError(
            f"`out_of_distribution` has task {foreign.task!r} and output shape "
            f"{foreign.mean.shape[1:]}, the evaluated prediction {known.task!r} and "
            f"{known.mean.shape[1:]}. Predict both with the same model."
        )
    scores, foreign_scores = _scores(known), _scores(foreign)
    separations = tuple(
        _separation(key, scores[key], foreign_scores[key], level, seed) for key in scores
    )
    return Shift(len(foreign), separations, *_confidences(known, foreign, level))


def _scores(prediction: Prediction) -> dict[tuple[str, str, str], Array]:
    """Returns one score an example for each (name, title, source)."""
    mc = "monte_carlo"
    if prediction.task in CLASS_TASKS:
        plain = entropy(prediction.deterministic_class_probabilities)
        found = {("predictive_entropy", "Predictive entropy", mc): prediction.predictive_entropy}
        if prediction.expected_entropy is not None:
            information = prediction.mutual_information_corrected
            found["mutual_information", "Mutual information", mc] = information
        found["predictive_entropy", "Entropy, deterministic", "deterministic"] = plain
    else:
        found = {("std", "Standard deviation", mc): prediction.std}
        if prediction.epistemic_variance is not None:
            found["epistemic_std", "Epistemic standard deviation", mc] = np.sqrt(
                prediction.epistemic_variance
            )
        if prediction.deterministic_variance is not None:
            found["std", "Standard deviation, deterministic", "deterministic"] = np.sqrt(
                prediction.deterministic_variance
            )
    return {key: values.reshape(len(prediction), -1).mean(axis=1) for key, values in found.items()}


def _separation(
    key: tuple[str, str, str], known: Array, foreign: Array, level: float, seed: int
) -> Separation:
    name, title, source = key
    detection = out_of_distribution_detection(known, foreign)
    score = np.concatenate([known, foreign])
    positive = np.arange(score.size) >= known.size
    statistics = [
        average_precision_statistic(score, positive),
        false_positive_rate_statistic(score, positive, true_positive_rate=TRUE_POSITIVE_RATE),
    ]
    found = resample(statistics, score.size, num_resamples=NUM_RESAMPLES, seed=seed)
    return Separation(
        name=name,
        title=title,
        source=source,
        histogram=histogram(known, foreign),
        auroc=auroc_interval(known, foreign, level),
        aupr=Interval(detection.aupr, *percentile_interval(found[0], level)),
        fpr95=Interval(detection.fpr95, *percentile_interval(found[1], level)),
    )


def _confidences(
    known: Prediction, foreign: Prediction, level: float
) -> tuple[Interval, Interval, Interval, Interval]:
    """Returns the mean confidences, known and foreign, with MC dropout and without."""
    if known.task not in CLASS_TASKS:
        return UNDEFINED, UNDEFINED, UNDEFINED, UNDEFINED

    def mean(values: Array) -> Interval:
        return mean_interval(values.reshape(values.shape[0], -1).mean(axis=1), level, most=1.0)

    return (
        mean(known.confidence),
        mean(foreign.confidence),
        mean(known.deterministic_class_probabilities.max(axis=-1)),
        mean(foreign.deterministic_class_probabilities.max(axis=-1)),
    )
