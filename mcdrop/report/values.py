"""The numbers of a regression: intervals against targets, calibration, error against spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from mcdrop.metrics.quantile import (
    probability_integral_transform,
    probability_integral_transform_gaussian,
    probability_integral_transform_gaussian_mixture,
    quantile_calibration_curve,
)
from mcdrop.metrics.selective import risk_coverage_curve
from mcdrop.report.classes import operating_points
from mcdrop.report.content import OutputRow, Regression, Selective
from mcdrop.report.intervals import (
    Interval,
    binomial_interval,
    normal_quantile,
    rank_correlation_interval,
)

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation
    from mcdrop.prediction import Prediction

MAX_POINTS = 400
MAX_OUTPUTS = 4
PIT_BINS = 20
SPREAD_BINS = 10

Array = NDArray[Any]


def regression(evaluation: Evaluation) -> Regression:
    """Returns the diagnostics of a regression."""
    prediction, level = evaluation.prediction, evaluation.confidence_level
    targets = targets_of(evaluation)
    low, high = prediction.interval(level)
    pit = _pit(prediction, targets, evaluation.seed)
    curve = quantile_calibration_curve(pit, confidence_level=level)
    share, edges = np.histogram(pit, PIT_BINS, (0.0, 1.0))
    band = binom.interval(level, pit.size, 1.0 / PIT_BINS)
    spread = _spread_bins(prediction, targets, level)
    output, chosen = _drawn(targets, evaluation.seed)
    return Regression(
        level=level,
        basis=prediction.interval_basis,
        states_noise=prediction.task == "gaussian",
        output=output,
        true=targets.reshape(-1)[chosen],
        mean=prediction.mean.reshape(-1)[chosen],
        low=low.reshape(-1)[chosen],
        high=high.reshape(-1)[chosen],
        count=targets.size,
        nominal=curve.level,
        observed=curve.observed,
        observed_low=curve.low,
        observed_high=curve.high,
        pit_edges=edges,
        pit_share=share / pit.size,
        pit_band=(float(band[0] / pit.size), float(band[1] / pit.size)),
        bin_std=spread[0],
        bin_error=spread[1],
        bin_low=spread[2],
        bin_high=spread[3],
        rank_correlation=rank_correlation_interval(
            np.abs(prediction.mean - targets).reshape(-1), prediction.variance.reshape(-1), level
        ),
        outputs=_output_rows(prediction, targets, low, high, level),
    )


def targets_of(evaluation: Evaluation) -> Array:
    """Returns the targets as float64 in the shape of the predictive mean."""
    targets = np.asarray(evaluation.y_true, dtype=np.float64)
    return targets.reshape(evaluation.prediction.mean.shape)


def selective_values(evaluation: Evaluation) -> Selective:
    """Returns the error against coverage, the examples ordered by their standard deviation."""
    prediction = evaluation.prediction
    targets = targets_of(evaluation)
    errors = _per_example(np.square(prediction.mean - targets))
    spread = np.sqrt(_per_example(prediction.variance))
    curve = risk_coverage_curve(spread, errors)
    points = operating_points(curve.coverage)
    accepted = curve.coverage[points] * errors.size
    mean = curve.risk[points]
    variance = risk_coverage_curve(spread, np.square(errors)).risk[points] - np.square(mean)
    half = normal_quantile(evaluation.confidence_level) * np.sqrt(
        np.maximum(variance, 0.0) / accepted
    )
    plain_coverage, plain_value = _deterministic_curve(prediction, targets)
    return Selective(
        quality="root_mean_squared_error",
        measure="std",
        unit="units of the target",
        count=errors.size,
        coverage=curve.coverage[points],
        threshold=curve.threshold[points],
        value=np.sqrt(mean),
        low=np.sqrt(np.maximum(mean - half, 0.0)),
        high=np.sqrt(mean + half),
        deterministic_coverage=plain_coverage,
        deterministic_value=plain_value,
    )


def _deterministic_curve(prediction: Prediction, targets: Array) -> tuple[Array, Array]:
    """Returns coverage and error of the deterministic prediction, if it predicts a variance."""
    if prediction.deterministic_variance is None:
        return np.empty(0), np.empty(0)
    errors = _per_example(np.square(prediction.deterministic - targets))
    curve = risk_coverage_curve(_per_example(prediction.deterministic_variance), errors)
    points = operating_points(curve.coverage)
    return curve.coverage[points], np.sqrt(curve.risk[points])


def _per_example(values: Array) -> Array:
    return values.reshape(values.shape[0], -1).mean(axis=1)


def _pit(prediction: Prediction, targets: Array, seed: int) -> Array:
    """Returns where each target falls in its predictive distribution, shape of the targets."""
    if prediction.samples is None:
        # A variance of exactly 0 leaves no distribution to place the target in.
        variance = np.maximum(prediction.variance, np.finfo(np.float64).tiny)
        return probability_integral_transform_gaussian(prediction.mean, variance, targets)
    if prediction.sample_variances is None:
        return probability_integral_transform(prediction.samples, targets, seed=seed)
    variances = np.maximum(
        prediction.sample_variances.astype(np.float64), np.finfo(np.float64).tiny
    )
    return probability_integral_transform_gaussian_mixture(prediction.samples, variances, targets)


def _drawn(targets: Array, seed: int) -> tuple[Array, Array]:
    """Returns the outputs and flat places of the points to draw; maps count as one output."""
    num_outputs = targets.shape[1] if targets.ndim == 2 else 1
    panels = min(num_outputs, MAX_OUTPUTS)
    rows = targets.size // num_outputs
    size = min(rows, MAX_POINTS // panels)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    outputs = np.repeat(np.arange(panels), size)
    return outputs, np.tile(chosen, panels) * num_outputs + outputs


def _spread_bins(prediction: Prediction, targets: Array, level: float) -> tuple[Array, ...]:
    """Returns root mean variance and error, with its interval, in bins of equal count."""
    variance = prediction.variance.reshape(-1)
    errors = np.square(prediction.mean - targets).reshape(-1)
    order = np.argsort(variance, kind="stable")
    parts = np.array_split(order, min(SPREAD_BINS, max(1, order.size // 5)))
    rows = [(np.sqrt(variance[part].mean()), *_root_mean(errors[part], level)) for part in parts]
    return tuple(np.array(rows).T)


def _root_mean(squares: Array, level: float) -> tuple[float, float, float]:
    """Returns the root of a mean of squares with a normal interval of the mean."""
    mean = float(squares.mean())
    if squares.size < 2:
        return float(np.sqrt(mean)), float("nan"), float("nan")
    half = normal_quantile(level) * float(squares.std(ddof=1)) / np.sqrt(squares.size)
    return float(np.sqrt(mean)), float(np.sqrt(max(mean - half, 0.0))), float(np.sqrt(mean + half))


def _output_rows(
    prediction: Prediction, targets: Array, low: Array, high: Array, level: float
) -> tuple[OutputRow, ...]:
    """Returns one row an output; maps count as one output."""
    width = targets.shape[1] if targets.ndim == 2 else 1

    def columns(values: Array) -> Array:
        return values.reshape(-1, width).T

    errors = columns(np.square(prediction.mean - targets))
    plain = columns(np.square(prediction.deterministic - targets))
    inside = columns((low <= targets) & (targets <= high))
    widths = columns(high - low)
    return tuple(
        OutputRow(
            name=str(index),
            root_mean_squared_error=Interval(*_root_mean(errors[index], level)),
            deterministic_root_mean_squared_error=Interval(*_root_mean(plain[index], level)),
            coverage=binomial_interval(int(inside[index].sum()), inside[index].size, level),
            width=float(widths[index].mean()),
        )
        for index in range(width)
    )
