"""What is gained by accepting only the most certain predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.diagnostics.estimates import share
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.records import Estimate
from mcdrop.metrics.selective import risk_coverage_curve
from mcdrop.prediction import Prediction
from mcdrop.weighted.arrays import mean_per_example

OPERATING_POINTS = 201
KNOTS = 41
"""Points at which an interval that takes long is made; it is interpolated between them."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class SelectiveCurve:
    """Quality of the accepted predictions against the share that is accepted.

    Attributes:
        quality: "accuracy", or "root_mean_squared_error".
        measure: The uncertainty that orders the predictions: "predictive_entropy" or "std".
        count: Number of scored predictions.
        coverage: Share accepted at each of up to 201 operating points, shape (K,).
        threshold: Largest uncertainty accepted there, shape (K,).
        value: Quality of what is accepted, shape (K,).
        low: Lower ends of its interval.
        high: Upper ends of its interval.
    """

    quality: str
    measure: str
    count: int
    coverage: Array
    threshold: Array
    value: Array
    low: Array
    high: Array


def selective_accuracy(
    predictive_entropy: Array,
    correct: Array,
    *,
    example: Array | None = None,
    confidence_level: float = 0.95,
) -> SelectiveCurve:
    """Returns accuracy against coverage, the answers ordered by predictive entropy, shape (M,)."""
    curve = risk_coverage_curve(predictive_entropy, 1.0 - correct)
    points = operating_points(curve.coverage)
    order = np.argsort(predictive_entropy, kind="stable")
    accepted = np.rint(curve.coverage[points] * correct.size).astype(np.intp)

    def interval(count: int) -> tuple[float, float]:
        chosen = order[:count]
        found = share(
            correct[chosen], None if example is None else example[chosen], confidence_level
        )
        return found.low, found.high

    low, high = _band(accepted, interval, every_point=example is None)
    return SelectiveCurve(
        quality="accuracy",
        measure="predictive_entropy",
        count=correct.size,
        coverage=curve.coverage[points],
        threshold=curve.threshold[points],
        value=np.rint((1.0 - curve.risk[points]) * accepted) / accepted,
        low=low,
        high=high,
    )


def selective_error(
    std: Array, squared_error: Array, *, confidence_level: float = 0.95
) -> SelectiveCurve:
    """Returns the root mean squared error against coverage, ordered by deviation, shape (N,)."""
    curve = risk_coverage_curve(std, squared_error)
    points = operating_points(curve.coverage)
    squares = squared_error[np.argsort(std, kind="stable")]
    accepted = np.rint(curve.coverage[points] * std.size).astype(np.intp)

    def interval(count: int) -> tuple[float, float]:
        found = intervals.root_mean_square(squares[:count], confidence_level)
        return found.low, found.high

    low, high = _band(accepted, interval, every_point=False)
    value = np.sqrt(curve.risk[points])
    return SelectiveCurve(
        quality="root_mean_squared_error",
        measure="std",
        count=std.size,
        coverage=curve.coverage[points],
        threshold=curve.threshold[points],
        value=value,
        low=np.minimum(low, value),
        high=np.maximum(high, value),
    )


def accuracy_curves(
    forecasts: Mapping[str, ClassForecast], *, confidence_level: float = 0.95
) -> dict[str, SelectiveCurve]:
    """Returns accuracy against coverage of each forecast, ordered by its own entropy."""
    return {
        name: selective_accuracy(
            forecast.predictive_entropy,
            forecast.correct,
            example=forecast.units.example,
            confidence_level=confidence_level,
        )
        for name, forecast in forecasts.items()
    }


def error_curves(
    prediction: Prediction, targets: Array, *, confidence_level: float = 0.95
) -> dict[str, SelectiveCurve]:
    """Returns the curves of a regression, that without dropout only where it states a variance."""
    pairs = {"MC dropout": (prediction.mean, prediction.variance)}
    if prediction.deterministic_variance is not None:
        pairs["deterministic"] = (prediction.deterministic, prediction.deterministic_variance)
    return {
        name: selective_error(
            np.sqrt(mean_per_example(variance)),
            mean_per_example(np.square(mean - targets)),
            confidence_level=confidence_level,
        )
        for name, (mean, variance) in pairs.items()
    }


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


def _band(
    accepted: NDArray[np.intp],
    interval: Callable[[int], tuple[float, float]],
    *,
    every_point: bool,
) -> tuple[Array, Array]:
    """Returns both ends of the interval at each point, between some of them by interpolation."""
    if every_point or accepted.size <= KNOTS:
        chosen = np.arange(accepted.size)
    else:
        chosen = np.unique(np.rint(np.linspace(0, accepted.size - 1, KNOTS)).astype(np.intp))
    ends = np.array([interval(int(count)) for count in accepted[chosen]])
    return tuple(np.interp(accepted, accepted[chosen], end) for end in ends.T)


def operating_points(coverage: Array) -> Array:
    """Returns the indices of at most 201 points of a curve, evenly spread over coverage."""
    wanted = np.linspace(0.0, 1.0, OPERATING_POINTS)[1:]
    nearest = np.searchsorted(coverage, wanted - 1e-12)
    return np.unique(np.minimum(nearest, coverage.size - 1))
