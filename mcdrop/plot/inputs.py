"""From what a user holds to what is drawn: predictions and arrays, checked against the targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_float
from mcdrop.errors import DataError
from mcdrop.evaluation.assessing import match_targets
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.sources import of_array, of_deterministic, of_prediction
from mcdrop.evaluation.targets import Targets, as_targets
from mcdrop.prediction import CLASS_TASKS, Prediction

Array = NDArray[Any]
Forecasts = Prediction | ArrayLike | Mapping[str, Prediction | ArrayLike]

ANY_LEVEL = 0.95
"""Level of the predictive intervals of a regression, where none are looked at."""


def class_forecasts(forecast: Forecasts, y_true: ArrayLike | None) -> dict[str, ClassForecast]:
    """Returns forecasts by name: of a Prediction both its own, of several each one's own.

    Raises:
        DataError: A forecast is none of classes, or does not fit the labels.
    """
    if y_true is None:
        raise DataError("`y_true` is missing, expected the labels of the forecast.")
    if isinstance(forecast, Mapping) and not forecast:
        raise DataError("`forecast` holds no forecast, expected at least one by its name.")
    if isinstance(forecast, Mapping):  # a Prediction of several is that of its passes
        return {str(name): _class_forecast(value, y_true) for name, value in forecast.items()}
    if not isinstance(forecast, Prediction):
        return {"forecast": _class_forecast(forecast, y_true)}
    targets = _match(forecast, y_true, CLASS_TASKS)
    found = {
        "MC dropout": of_prediction(forecast, targets).forecast,
        "deterministic": of_deterministic(forecast, targets).forecast,
    }
    return {name: each for name, each in found.items() if isinstance(each, ClassForecast)}


def regression_targets(prediction: Prediction, y_true: ArrayLike | None) -> Array:
    """Returns the targets in the shape of the mean of a regression.

    Raises:
        DataError: The prediction is no regression, or the targets are missing or do not fit.
    """
    if y_true is None:
        raise DataError("`y_true` is missing, expected the targets of the prediction.")
    return _match(prediction, y_true, ("regression", "gaussian")).y


def _class_forecast(forecast: Prediction | ArrayLike, y_true: ArrayLike) -> ClassForecast:
    if isinstance(forecast, Prediction):
        return class_forecasts(forecast, y_true)["MC dropout"]
    probabilities = as_float("forecast", forecast)
    if probabilities.ndim < 2 or probabilities.size == 0:
        raise DataError(
            f"`forecast` has shape {probabilities.shape}, expected class probabilities (N, C). For "
            "one probability p of a binary task stack (1 - p, p)."
        )
    targets = as_targets(y_true, "classification", probabilities.shape, ANY_LEVEL)
    found = of_array(probabilities, targets, "forecast").forecast
    assert isinstance(found, ClassForecast)  # noqa: S101  # of a class task, as the targets are
    return found


def _match(prediction: Prediction, y_true: ArrayLike, tasks: tuple[str, ...]) -> Targets:
    targets = match_targets(prediction, y_true)
    if prediction.task not in tasks:
        raise DataError(
            f"The prediction's task is {prediction.task!r}, expected {' or '.join(tasks)}; see "
            "mcdrop.plot for what can be drawn of it."
        )
    return targets
