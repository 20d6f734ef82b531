"""Examples that a prediction marks as dropped take part in no score."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop.errors import DataError, ModelWarning
from mcdrop.prediction import Prediction


def set_aside_dropped(
    predictions: Mapping[str, Any], y_true: ArrayLike
) -> tuple[dict[str, Any], Any, dict[str, str]]:
    """Returns forecasts and targets without the examples that any forecast dropped, and warns.

    The warning is returned as well, by its key, for what is shown of the scores.

    Raises:
        DataError: No example is left, or the targets do not cover the dropped ones too.
    """
    forecasts = dict(predictions)
    masks = [
        forecast.dropped
        for forecast in forecasts.values()
        if isinstance(forecast, Prediction) and forecast.dropped is not None
    ]
    if not masks or len({mask.shape for mask in masks}) > 1 or not np.any(masks):
        return forecasts, y_true, {}
    kept = ~np.any(masks, axis=0)
    targets = np.asarray(y_true)
    if targets.shape[:1] != kept.shape:
        raise DataError(
            f"`y_true` has shape {targets.shape}, expected a target for each of the {len(kept)} "
            "examples, the dropped ones too."
        )
    told = tell_dropped(~kept)
    warnings.warn(told, ModelWarning, stacklevel=3)
    left = {name: _take(forecast, kept) for name, forecast in forecasts.items()}
    return left, targets[kept], {"dropped_examples": told}


def tell_dropped(dropped: NDArray[np.bool_]) -> str:
    """Returns the warning that some examples were dropped.

    Raises:
        DataError: All were.
    """
    if dropped.all():
        raise DataError("All examples were dropped, as the model put out NaN or infinity for them.")
    return (
        f"{np.count_nonzero(dropped)} of {len(dropped)} examples were dropped, as the model put "
        "out NaN or infinity for them; the scores are those of the others."
    )


def _take(forecast: Any, kept: Any) -> Any:
    if isinstance(forecast, Prediction):
        return forecast.take(kept) if len(forecast) == len(kept) else forecast
    if isinstance(forecast, tuple):
        return tuple(_take(part, kept) for part in forecast)
    values = np.asarray(forecast)
    return values[kept] if values.shape[:1] == kept.shape else forecast
