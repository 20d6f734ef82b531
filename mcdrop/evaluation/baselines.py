"""A prediction beside the best constant answer: what knowing nothing of an input would give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation.comparing import compare
from mcdrop.evaluation.records import Estimate
from mcdrop.evaluation.results import Evaluation
from mcdrop.evaluation.targets import VOID_LABEL
from mcdrop.prediction import CLASS_TASKS, Prediction

Array = NDArray[Any]

_LINEAR = ("mean", "deterministic", "group_means", "samples")
_SQUARED = (
    *("variance", "aleatoric_variance", "epistemic_variance", "deterministic_variance"),
    *("sample_variances", "variance_components"),
)
"""Fields of a Prediction in the unit of the target, and in its square."""


@dataclass(frozen=True)
class Baseline:
    """A score of a prediction and of a constant, on the same examples.

    Attributes:
        metric: "accuracy", or "root_mean_squared_error".
        is_standardised: Whether each output was divided by the standard deviation of its targets,
            as several outputs are that share no unit.
        score: The score of the mean of the passes.
        constant: That of the constant: the most frequent class, each label's more frequent value,
            or the mean of the targets.
        gain: The first minus the second.
        explained: Share of the variance of the targets that the mean explains, the mean over
            outputs; NaN for classes and for targets that are all equal.
    """

    metric: str
    is_standardised: bool
    score: Estimate
    constant: float
    gain: Estimate
    explained: float


def baseline(evaluation: Evaluation) -> Baseline:
    """Returns the evaluated prediction beside the best constant."""
    prediction, y = evaluation.prediction, np.asarray(evaluation.y_true)
    is_standardised, explained = False, float("nan")
    if prediction.task in CLASS_TASKS:
        metric, constant = "accuracy", _constant_class(prediction, y)
        # The accuracy of halves asks for no votes, which are the long part of many classes.
        prediction = replace(prediction, samples=None)
    else:
        metric = "root_mean_squared_error"
        is_standardised = y.ndim == 2 and y.shape[1] > 1
        if is_standardised:
            prediction, y = _standardised(prediction, y)
        constant = y.mean(axis=0)
        explained = _explained(prediction, y)
    compared = compare(
        {"it": prediction, "constant": np.broadcast_to(constant, prediction.mean.shape)},
        y,
        metrics=[metric],
        confidence_level=evaluation.confidence_level,
        num_resamples=evaluation.num_resamples,
        seed=evaluation.seed,
    )
    estimates = compared[metric].estimates
    gain = compared.difference(metric, "it", "constant")
    return Baseline(
        metric, is_standardised, estimates["it"], estimates["constant"].value, gain, explained
    )


def _constant_class(prediction: Prediction, y: Array) -> Array:
    """Returns the probabilities that name the most frequent class, or value of each label."""
    if prediction.task == "multilabel":
        known = y != VOID_LABEL
        often = ((y == 1) & known).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return np.asarray(1.0 * (often > 0.5))
    num_classes = prediction.class_probabilities.shape[-1]
    counts = np.bincount(y[y != VOID_LABEL].reshape(-1), minlength=num_classes)
    one_hot = 1.0 * (np.arange(num_classes) == counts.argmax())
    return np.asarray(one_hot if prediction.task == "classification" else one_hot[1])


def _standardised(prediction: Prediction, y: Array) -> tuple[Prediction, Array]:
    """Returns prediction and targets with each output in standard deviations of its targets."""
    unit = y.std(axis=0)
    unit = np.where(unit > 0, unit, 1.0)
    changes: dict[str, Any] = {}
    for names, divisor in ((_LINEAR, unit), (_SQUARED, np.square(unit))):
        for name in names:
            value = getattr(prediction, name)
            if value is not None:
                changes[name] = value / divisor
    return replace(prediction, **changes), y / unit


def _explained(prediction: Prediction, y: Array) -> float:
    """Returns 1 - (mean squared error) / (variance of the targets), averaged over outputs."""
    width = y.shape[1] if y.ndim == 2 else 1
    columns, errors = (each.reshape(-1, width) for each in (y, np.square(prediction.mean - y)))
    variance = columns.var(axis=0)
    if not variance.all():
        return float("nan")
    return float(1.0 - (errors.mean(axis=0) / variance).mean())
