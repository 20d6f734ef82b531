"""What a reader of an evaluation has to know before trusting it: `Evaluation.warnings`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation.forecasts import ClassForecast, Forecast, RegressionForecast
from mcdrop.evaluation.formatting import significant
from mcdrop.prediction import Prediction
from mcdrop.splitting import MINIMUM_OUTER_DRAWS

FEW_ERRORS = 10
FEW_EXAMPLES = 50
FEW_PASSES = 10
MOST_NAMED = 5

RESIDUALS = (0.5, 2.0)
"""Root mean square of standardised residuals, 1 if all is well, outside of which is a warning."""

LEAST_RESIDUALS = 20

UNLIKE = 5.0
"""Ratio of the spreads of two outputs' targets from which one of them rules their scores."""


def cautions(prediction: Prediction, forecast: Forecast) -> dict[str, str]:
    """Returns warnings by key: few examples, few errors, few passes, labels, residuals.

    Args:
        prediction: The prediction.
        forecast: The mean of its passes, with targets.
    """
    found = {}
    if len(prediction) < FEW_EXAMPLES:
        found["few_examples"] = (
            f"{len(prediction)} examples are few: intervals are wide, and what they do not show "
            "may still be so."
        )
    draws = prediction.num_samples // prod((prediction.splitting or (0,))[1:])
    few = None
    if prediction.num_samples < FEW_PASSES:
        few = f"{prediction.num_samples} passes are few: uncertainties are low"
    elif draws < MINIMUM_OUTER_DRAWS:
        few = f"{draws} draws of the first masks are few, however many passes share them"
    if few is not None:
        found["few_passes"] = (
            f"{few}, and every Monte Carlo number wavers, by what its interval says."
        )
    if isinstance(forecast, ClassForecast):
        return found | _of_classes(forecast)
    return found | _of_residuals(forecast)


def _of_classes(forecast: ClassForecast) -> dict[str, str]:
    found = {}
    num_examples = forecast.units.num_examples
    errors = int(np.count_nonzero(forecast.units.sums(forecast.error)))
    if errors < FEW_ERRORS:
        found["few_errors"] = (
            f"{errors} of {num_examples} examples {'is' if errors == 1 else 'are'} wrong: all that "
            f"is said of mistakes rests on {'it' if errors == 1 else 'these'}."
            if errors
            else "no example is wrong: nothing is known of how well the uncertainty finds errors."
        )
    sizes = np.bincount(forecast.labels, minlength=forecast.num_classes)
    present = np.flatnonzero(sizes)
    if present.size == 1:
        found["one_class"] = f"every label is {present[0]}: nothing is known of other classes."
    elif forecast.position is None and present.size < forecast.num_classes:
        missing = np.flatnonzero(sizes == 0)
        named = ", ".join(map(str, missing[:MOST_NAMED]))
        more = f" and {missing.size - MOST_NAMED} more" if missing.size > MOST_NAMED else ""
        found["missing_classes"] = f"no example is of class {named}{more}: nothing is known of it."
    return found


def _of_residuals(forecast: RegressionForecast) -> dict[str, str]:
    """Returns the warnings of outputs in unlike units, and of a variance that fits no errors."""
    return _of_units(forecast.y) | _of_variance(forecast)


def _of_units(y: NDArray[Any]) -> dict[str, str]:
    """Returns the warning of outputs whose units let one of them rule the scores of all."""
    if y.ndim != 2 or y.shape[1] < 2:
        return {}
    spread = y.std(axis=0)
    if not spread.min() * UNLIKE < spread.max():
        return {}
    return {
        "units": (
            f"the targets of output {spread.argmax()} spread {significant(spread.max())}, those of "
            f"output {spread.argmin()} {significant(spread.min())}: scores over all outputs are "
            "ruled by the former. Read each output's own row."
        )
    }


def _of_variance(forecast: RegressionForecast) -> dict[str, str]:
    """Returns the warning of a Gaussian head whose variance does not fit its errors."""
    variance = forecast.variance
    if forecast.task != "gaussian" or variance is None or len(forecast.y) < LEAST_RESIDUALS:
        return {}
    squares = np.square(forecast.y - forecast.mean)
    # The median of a chi-square of one degree is .455; outliers do not move it.
    ratio = float(np.sqrt(np.median(squares / np.maximum(variance, 1e-300)) / 0.4549))
    if RESIDUALS[0] <= ratio <= RESIDUALS[1]:
        return {}
    side = "too small" if ratio > 1 else "too large"
    return {
        "residuals": (
            f"the errors are {ratio:.3g} times as large as the stated deviations say: these are "
            f"{side}. Look whether the second output is read rightly (gaussian_scale), and "
            "whether the targets are in the units of the training."
        )
    }
