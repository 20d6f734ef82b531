"""From an Evaluation to the forecasts that the sections of its report look at, each made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop.diagnostics.selective import SelectiveCurve
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.records import Estimate
from mcdrop.evaluation.targets import VOID_LABEL
from mcdrop.plot.inputs import class_forecasts
from mcdrop.plot.selective import error_curves as curves_of
from mcdrop.prediction import Prediction
from mcdrop.report.classes import Answers

Array = NDArray[Any]


def as_answers(evaluation: Evaluation) -> Answers:
    """Returns both forecasts of an evaluation of a class task."""
    found = class_forecasts(evaluation.prediction, evaluation.y_true)
    return Answers(found["MC dropout"], found["deterministic"], evaluation.confidence_level)


def class_forecast(prediction: Prediction, y_true: ArrayLike) -> ClassForecast:
    """Returns the forecast of the mean of the passes."""
    return class_forecasts(prediction, y_true)["MC dropout"]


def label_places(evaluation: Evaluation) -> Array:
    """Returns the label that each answer of a multilabel task is about, shape (M,)."""
    truth = evaluation.y_true
    places = np.broadcast_to(np.arange(truth.shape[-1]), truth.shape)
    return places[truth != VOID_LABEL]


def error_curves(evaluation: Evaluation) -> dict[str, SelectiveCurve]:
    """Returns error against coverage of a regression, by forecast."""
    targets = np.asarray(evaluation.y_true)
    return curves_of(evaluation.prediction, targets, evaluation.confidence_level)


def ending_at(
    curves: Mapping[str, SelectiveCurve], estimates: Mapping[str, Estimate | None]
) -> dict[str, SelectiveCurve]:
    """Returns the curves, their ends at full coverage with the interval of the whole score.

    Accepting everything is the score itself, and one quantity has one interval on a page.
    """
    found = {}
    for name, curve in curves.items():
        whole = estimates.get(name)
        if whole is None or not np.isclose(whole.value, curve.value[-1], rtol=1e-6):
            found[name] = curve
            continue
        low, high = curve.low.copy(), curve.high.copy()
        low[-1], high[-1] = whole.low, whole.high
        found[name] = replace(curve, low=low, high=high)
    return found
