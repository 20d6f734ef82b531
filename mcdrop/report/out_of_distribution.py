"""Data out of distribution beside the evaluated data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.diagnostics.estimates import area_under_roc, estimate, mean
from mcdrop.diagnostics.separation import histogram
from mcdrop.errors import DataError
from mcdrop.evaluation.records import Estimate
from mcdrop.metrics.detection import TRUE_POSITIVE_RATE, out_of_distribution_detection
from mcdrop.pass_statistics import entropy
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.report.content import OutOfDistribution, Separation

Array = NDArray[Any]


def check_same_model(known: Prediction, other: Prediction) -> None:
    """Raises DataError unless both predictions can be of one model."""
    if known.task != other.task or known.mean.shape[1:] != other.mean.shape[1:]:
        raise DataError(
            f"`out_of_distribution` has task {other.task!r} and output shape "
            f"{other.mean.shape[1:]}, the evaluated prediction {known.task!r} and "
            f"{known.mean.shape[1:]}. Predict both with the same model."
        )


def out_of_distribution(known: Prediction, other: Prediction, *, level: float) -> OutOfDistribution:
    """Returns how the uncertainty tells other examples from the evaluated ones.

    Raises:
        DataError: The two predictions are not of one model: another task or output shape.
    """
    check_same_model(known, other)
    scores, others = _scores(known), _scores(other)
    return OutOfDistribution(
        count=len(other),
        separations=tuple(_separation(key, scores[key], others[key], level) for key in scores),
        confidences=_confidences(known, other, level),
    )


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


def _separation(key: tuple[str, str, str], known: Array, other: Array, level: float) -> Separation:
    name, title, source = key
    detection = out_of_distribution_detection(known, other)
    score = np.concatenate([known, other])
    positive = np.arange(score.size) >= known.size
    alarms = intervals.false_positive_rate(known, other, TRUE_POSITIVE_RATE, level)
    return Separation(
        name=name,
        title=title,
        source=source,
        histogram=histogram(known, other),
        auroc=area_under_roc(score, positive, None, level),
        aupr=Estimate(detection.aupr, np.nan, np.nan, reason="none is made for it"),
        fpr95=estimate(detection.fpr95, alarms),
    )


def _confidences(
    known: Prediction, other: Prediction, level: float
) -> dict[str, tuple[Estimate, Estimate]]:
    """Returns the mean confidences on both data, with MC dropout and without."""
    if known.task not in CLASS_TASKS:
        return {}

    def average(probabilities: Array) -> Estimate:
        confidence = probabilities.max(axis=-1).reshape(probabilities.shape[0], -1).mean(axis=1)
        return mean(confidence, None, level, bounds=(0.0, 1.0))

    return {
        "MC dropout": (average(known.class_probabilities), average(other.class_probabilities)),
        "deterministic": (
            average(known.deterministic_class_probabilities),
            average(other.deterministic_class_probabilities),
        ),
    }
