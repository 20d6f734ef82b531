"""Diagnostics of a regression: intervals against targets, calibration, error against spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, rankdata

from mcdrop import intervals
from mcdrop.diagnostics.estimates import by_example, estimate, share
from mcdrop.evaluation.records import Estimate
from mcdrop.intervals import Interval
from mcdrop.intervals.correlation import rank_correlation
from mcdrop.metrics.quantile import (
    QuantileCalibrationCurve,
    probability_integral_transform,
    probability_integral_transform_gaussian,
    probability_integral_transform_gaussian_mixture,
    quantile_calibration_curve,
)
from mcdrop.prediction import Prediction
from mcdrop.weighted.calibration import assign_bins

MAX_POINTS = 400
MAX_OUTPUTS = 4
PIT_BINS = 20
SPREAD_BINS = 10
RANGES = 5
BIN_SIZE = 50
"""Errors that carry an interval of their root mean square."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class IntervalPoints:
    """Some predictions with their intervals beside their targets, each of shape (P,).

    Attributes:
        output: Output that each point belongs to.
        true: Targets.
        mean: Predictive means.
        low: Lower ends of the predictive intervals.
        high: Upper ends.
    """

    output: Array
    true: Array
    mean: Array
    low: Array
    high: Array

    @property
    def missed(self) -> Array:
        """Whether each target lies outside its interval, shape (P,)."""
        return (self.true < self.low) | (self.true > self.high)

    def of(self, output: int) -> IntervalPoints:
        """Returns the points of one output."""
        mine = self.output == output
        fields = (self.output, self.true, self.mean, self.low, self.high)
        return IntervalPoints(*(values[mine] for values in fields))


@dataclass(frozen=True, eq=False)
class PitHistogram:
    """Histogram of the probability integral transform.

    Attributes:
        edges: Bin edges on [0, 1], shape (B + 1,).
        share: Share of targets in each bin, shape (B,).
        band: Band that holds a calibrated histogram's bars at the confidence level.
    """

    edges: Array
    share: Array
    band: tuple[float, float]


@dataclass(frozen=True, eq=False)
class SpreadBins:
    """Error in bins of equal count by stated deviation, each of shape (B,).

    Attributes:
        std: Root mean predictive variance.
        error: Root mean squared error.
        low: Lower ends of its interval.
        high: Upper ends.
    """

    std: Array
    error: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class TargetRange:
    """The range of targets with the largest errors, beside all of them.

    Attributes:
        output: Name of the output, "" where there is one.
        low: Smallest target of the range.
        high: Largest target.
        root_mean_squared_error: Error in the range.
        overall: Error over all targets of the output.
        is_worse: Whether the error of the range is shown to be above that of all: its interval,
            at a level that allows for the choice among the ranges, lies above.
    """

    output: str
    low: float
    high: float
    root_mean_squared_error: Estimate
    overall: float
    is_worse: bool


@dataclass(frozen=True)
class OutputRow:
    """How one output of a regression fares: its error and its interval's coverage."""

    name: str
    root_mean_squared_error: Estimate
    deterministic_root_mean_squared_error: Estimate
    coverage: Estimate
    width: float


@dataclass(frozen=True, eq=False)
class Regression:
    """Diagnostics of a regression.

    Attributes:
        level: Nominal level of the intervals.
        basis: What the intervals rest on: "samples", "mixture" or "normal".
        states_noise: Whether the model predicts the noise of the targets ("gaussian").
        count: Number of targets.
        points: At most 400 of them, at most 4 outputs.
        quantiles: Calibration of the quantiles.
        pit: Histogram of the probability integral transform.
        spread: Error against stated deviation, of several outputs in standard deviations of each
            one's targets.
        rank_correlation: Spearman correlation of |error| and standard deviation, the mean over
            outputs.
        outputs: One row an output.
        worst_range: Where errors are largest; None for too few targets to part them.
    """

    level: float
    basis: str
    states_noise: bool
    count: int
    points: IntervalPoints
    quantiles: QuantileCalibrationCurve
    pit: PitHistogram
    spread: SpreadBins
    rank_correlation: Estimate
    outputs: tuple[OutputRow, ...]
    worst_range: TargetRange | None = None


def regression(
    prediction: Prediction, targets: Array, *, confidence_level: float = 0.95, seed: int = 0
) -> Regression:
    """Returns the diagnostics of a regression; targets have the shape of its mean."""
    level = confidence_level
    low, high = prediction.interval(level)
    pit = pit_of(prediction, targets, seed)
    unit = units_of(targets)
    absolute, variance = np.abs(prediction.mean - targets) / unit, prediction.variance / unit**2
    return Regression(
        level=level,
        basis=prediction.interval_basis,
        states_noise=prediction.task == "gaussian",
        count=targets.size,
        points=interval_points(targets, prediction.mean, low, high, seed=seed),
        quantiles=quantile_calibration_curve(pit, confidence_level=level),
        pit=pit_histogram(pit, confidence_level=level),
        spread=spread_bins(variance, absolute**2, confidence_level=level),
        rank_correlation=_rank_correlation(absolute, variance, len(prediction), level),
        outputs=_output_rows(prediction, targets, low, high, level),
        worst_range=_worst_range(targets, np.square(prediction.mean - targets), level),
    )


def with_own_scores(
    found: Regression,
    scores: Mapping[str, Estimate],
    deterministic_error: Estimate | None = None,
) -> Regression:
    """Returns the diagnostics of a single output with the scores that an evaluation has of it.

    One quantity has one interval: the evaluation's, which holds the noise of the passes too.
    """
    if len(found.outputs) > 1:
        return found
    (row,) = found.outputs
    error, covered = scores.get("root_mean_squared_error"), scores.get("interval_coverage")
    row = replace(
        row,
        root_mean_squared_error=error or row.root_mean_squared_error,
        deterministic_root_mean_squared_error=deterministic_error
        or row.deterministic_root_mean_squared_error,
        coverage=covered or row.coverage,
    )
    return replace(found, outputs=(row,))


def interval_points(
    targets: Array, mean: Array, low: Array, high: Array, *, seed: int = 0
) -> IntervalPoints:
    """Returns at most 400 points, at random, of at most 4 outputs; maps count as one output."""
    num_outputs = targets.shape[1] if targets.ndim == 2 else 1
    panels = min(num_outputs, MAX_OUTPUTS)
    rows = targets.size // num_outputs
    size = min(rows, MAX_POINTS // panels)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    output = np.repeat(np.arange(panels), size)
    place = np.tile(chosen, panels) * num_outputs + output
    return IntervalPoints(output, *(v.reshape(-1)[place] for v in (targets, mean, low, high)))


def pit_of(prediction: Prediction, targets: Array, seed: int) -> Array:
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


def pit_histogram(pit: Array, *, confidence_level: float = 0.95) -> PitHistogram:
    """Returns the histogram of a probability integral transform, with its band of chance."""
    counts, edges = np.histogram(pit, PIT_BINS, (0.0, 1.0))
    # Targets of one example hang together: chance moves them as if they were one.
    low, high = binom.interval(confidence_level, len(pit), 1.0 / PIT_BINS)
    band = (float(low / len(pit)), float(high / len(pit)))
    return PitHistogram(edges, counts / pit.size, band)


def spread_bins(
    variance: Array, squared_error: Array, *, confidence_level: float = 0.95
) -> SpreadBins:
    """Returns root mean variance and error, with its interval.

    In ten bins of equal count, or fewer, so that each holds the 50 errors of an interval; equal
    variances share a bin. Several errors of one example count as one.
    """
    spread, errors, example = variance.reshape(-1), squared_error.reshape(-1), _examples(variance)
    num_bins = int(np.clip(len(variance) // BIN_SIZE, 1, SPREAD_BINS))
    bins = assign_bins(spread, num_bins, "quantile")
    parts = [np.flatnonzero(bins == chosen) for chosen in np.unique(bins)]
    found = [
        root_mean_square(errors[part], confidence_level, None if example is None else example[part])
        for part in parts
    ]
    return SpreadBins(
        std=np.array([np.sqrt(spread[part].mean()) for part in parts]),
        error=np.array([each.value for each in found]),
        low=np.array([each.low for each in found]),
        high=np.array([each.high for each in found]),
    )


def root_mean_square(squares: Array, level: float, example: Array | None = None) -> Estimate:
    """Returns the root of a mean of squares, shape (M,), with its interval over examples.

    Squares of one example hang together: they count as their mean, and the interval of the means
    is scaled to the value, which weighs examples by their squares.
    """
    sums, sizes = by_example(squares, example)
    value = float(np.sqrt(squares.mean()))
    found = intervals.root_mean_square(sums / sizes, level)
    middle = float(np.sqrt((sums / sizes).mean()))
    scale = value / middle if middle > 0 else 1.0
    return estimate(value, Interval(scale * found.low, scale * found.high, found.reason))


def _examples(values: Array) -> Array | None:
    """Returns the example of each of the flattened values, None where each is its own."""
    count = values.shape[0]
    return None if values.size == count else np.repeat(np.arange(count), values.size // count)


def _worst_range(targets: Array, squares: Array, level: float) -> TargetRange | None:
    """Returns the fifth (or larger part) of the targets of an output with the largest error.

    Errors are compared with those of the same output, whose units outputs do not share.
    """
    width = targets.shape[1] if targets.ndim == 2 else 1
    columns = zip(targets.reshape(-1, width).T, squares.reshape(-1, width).T, strict=True)
    found: list[tuple[float, int, Array]] = []
    for output, (column, errors) in enumerate(columns):
        parts = min(RANGES, column.size // BIN_SIZE)
        if parts < 2 or errors.mean() == 0.0:
            continue
        for part in np.array_split(np.argsort(column, kind="stable"), parts):
            found.append((float(errors[part].mean() / errors.mean()), output, part))
    if not found:
        return None
    _, output, part = max(found, key=lambda each: each[0])
    column, errors = targets.reshape(-1, width)[:, output], squares.reshape(-1, width)[:, output]
    overall = float(np.sqrt(errors.mean()))
    example = None if width > 1 else _examples(targets)
    mine = None if example is None else example[part]
    adjusted = root_mean_square(errors[part], 1.0 - (1.0 - level) / len(found), mine)
    return TargetRange(
        output=str(output) if width > 1 else "",
        low=float(column[part].min()),
        high=float(column[part].max()),
        root_mean_squared_error=root_mean_square(errors[part], level, mine),
        overall=overall,
        is_worse=adjusted.low > overall,
    )


def units_of(targets: Array) -> Array:
    """Returns what errors of different outputs are divided by to be set beside each other."""
    if targets.ndim != 2 or targets.shape[1] == 1:
        return np.ones(1)
    spread = targets.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


def _rank_correlation(first: Array, second: Array, num_examples: int, level: float) -> Estimate:
    """Returns Spearman's rank correlation, NaN where one side is constant.

    Of several outputs it is the mean of each one's own: outputs with larger units have larger
    errors and larger deviations, which says nothing of examples. Its interval counts examples:
    several targets of one hang together.
    """
    width = first.shape[1] if first.ndim == 2 else 1
    values = [
        np.corrcoef(rankdata(one), rankdata(other))[0, 1]
        for one, other in zip(first.reshape(-1, width).T, second.reshape(-1, width).T, strict=True)
        if np.ptp(one) > 0 and np.ptp(other) > 0
    ]
    value = float(np.mean(values)) if values else float("nan")
    found = rank_correlation(value, num_examples, level)
    return Estimate(value, found.low, found.high, reason=found.reason)


def _output_rows(
    prediction: Prediction, targets: Array, low: Array, high: Array, level: float
) -> tuple[OutputRow, ...]:
    """Returns one row an output; maps count as one output."""
    width = targets.shape[1] if targets.ndim == 2 else 1

    def columns(values: Array) -> Array:
        return values.reshape(-1, width).T

    errors = columns(np.square(prediction.mean - targets))
    plain = columns(np.square(prediction.deterministic - targets))
    inside = columns(1.0 * ((low <= targets) & (targets <= high)))
    example = None if targets.ndim == 2 else _examples(targets)
    widths = columns(high - low)
    return tuple(
        OutputRow(
            name=str(index),
            root_mean_squared_error=root_mean_square(errors[index], level, example),
            deterministic_root_mean_squared_error=root_mean_square(plain[index], level, example),
            coverage=share(inside[index], example, level),
            width=float(widths[index].mean()),
        )
        for index in range(width)
    )
