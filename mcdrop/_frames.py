"""Predictions as pandas tables; imports pandas only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.prediction import EXAMPLE

if TYPE_CHECKING:
    import pandas as pd

    from mcdrop.prediction import Prediction

_UNCERTAINTIES = {
    "confidence": "mean",
    "predictive_entropy": "mean",
    "expected_entropy": "expected_entropy",
    "mutual_information": "expected_entropy",
    "variation_ratio": "votes",
}
"""Columns, by the field that they need; a recalibrated mean does not have them all."""


def of_prediction(prediction: Prediction) -> pd.DataFrame:
    """Returns one row an example; see `Prediction.to_frame`."""
    import pandas as pd

    columns: dict[str, NDArray[Any]] = {
        EXAMPLE: prediction.example_numbers,
        "num_samples": prediction.num_samples_per_example,
    }
    if prediction.dropped is not None:
        columns["dropped"] = prediction.dropped
    continuous = prediction.task in ("regression", "gaussian")
    named = _regression_columns(prediction) if continuous else _class_columns(prediction)
    for name, values in named.items():
        columns |= _spread(name, values)
    return pd.DataFrame(columns)


def _regression_columns(prediction: Prediction) -> dict[str, NDArray[Any]]:
    """Returns the columns of a regression; pixels of dense outputs are averaged."""
    named = {"mean": prediction.mean, "std": prediction.std}
    # The averaged ends of the pixels' intervals would be no interval of anything.
    if prediction.mean.ndim <= 2:
        named["low"], named["high"] = prediction.interval(0.95)
    if prediction.epistemic_variance is not None:
        named["epistemic_std"] = np.sqrt(prediction.epistemic_variance)
    named["deterministic"] = prediction.deterministic
    return {name: _average_pixels(values, 2) for name, values in named.items()}


def _class_columns(prediction: Prediction) -> dict[str, NDArray[Any]]:
    """Returns the columns of a class task; pixels of dense outputs are averaged."""
    labels = 2 if prediction.task == "multilabel" else 1
    classes = 1 if prediction.task == "binary" else 2
    named: dict[str, NDArray[Any]] = {}
    if prediction.predicted_class.ndim == labels:
        named["predicted_class"] = prediction.predicted_class
        named["deterministic_class"] = prediction.deterministic_class
    known = (
        name for name, source in _UNCERTAINTIES.items() if getattr(prediction, source) is not None
    )
    for name in known:
        named[name] = _average_pixels(getattr(prediction, name), labels)
    named["probability"] = _average_pixels(prediction.mean, classes)
    named["std"] = _average_pixels(prediction.std, classes)
    named["deterministic_probability"] = _average_pixels(prediction.deterministic, classes)
    return named


def _average_pixels(values: NDArray[Any], ndim: int) -> NDArray[Any]:
    """Averages the axes between the examples and the last `ndim - 1` axes."""
    extra = values.ndim - ndim
    return values.mean(axis=tuple(range(1, 1 + extra))) if extra > 0 else values


def _spread(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Returns one column for (N,) or (N, 1), and numbered columns for wider arrays."""
    flat = values.reshape(values.shape[0], -1)
    if flat.shape[1] == 1:
        return {name: flat[:, 0]}
    return {f"{name}_{index}": flat[:, index] for index in range(flat.shape[1])}
