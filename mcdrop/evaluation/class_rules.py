"""Which interval belongs to which kind of measure of class tasks.

Where examples hold several units (pixels, labels), the examples are the clusters, and counts of
errors count examples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcdrop import intervals
from mcdrop.evaluation.forecasts import CHUNK_ELEMENTS, ClassForecast
from mcdrop.evaluation.measures import Rule, Side, never
from mcdrop.intervals import Interval
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]
ClassSide = Side[ClassForecast]
ClassRule = Rule[ClassForecast]
Scores = Callable[[ClassForecast], Array]
Bounds = tuple[float, float]
OfOne = Callable[[ClassSide, float], Interval]
OfTwo = Callable[[ClassSide, ClassSide, float], Interval]

MINIMUM_ERRORS_RANKING = 10
MINIMUM_ERRORS_DETECTION = 7
MINIMUM_POSITIVES_RATE = 72
"""Errors below which the high end of a false positive rate at 95% is 1 in any case."""

MINIMUM_CLUSTERS_COUNTS = 10
"""Images below which a mean over classes of ratios of their pixels has no interval."""

MINIMUM_CLUSTERS = 20
"""Images, say, below which the area under the ROC curve of their errors has no interval."""

FEW_CLUSTERS = 200
"""Images below which a difference of rankings holds the one recovered from both sides too."""

UNIT_INTERVAL = (0.0, 1.0)


def share(outcome: Scores) -> ClassRule:
    """Returns the rule of a share of units: exact limits, or those of clusters."""

    def of_one(side: ClassSide, level: float) -> Interval:
        units, hits = side.forecast.units, outcome(side.forecast)
        if units.example is None:
            return intervals.share(int(hits.sum()), hits.size, level)
        return intervals.cluster_share(units.sums(hits), units.sizes, level)

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        units = first.forecast.units
        a, b = outcome(first.forecast), outcome(second.forecast)
        if units.example is None:
            only = int(((a > 0) & (b == 0)).sum()), int(((a == 0) & (b > 0)).sum())
            return intervals.paired_share_difference(*only, a.size, level)
        return intervals.cluster_share_difference(units.sums(a), units.sums(b), units.sizes, level)

    return Rule(of_one, of_two, resamples=never)


def loss(losses: Scores) -> ClassRule:
    """Returns the rule of a mean loss that grows where the label is wrong: NLL and Brier."""

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        units = first.forecast.units
        gaps = losses(first.forecast) - losses(second.forecast)
        labels = likeliest_error(first.forecast, second.forecast)
        if_wrong = losses(first.forecast.relabelled(labels))
        if_wrong = if_wrong - losses(second.forecast.relabelled(labels))
        few = min(first.num_errors, second.num_errors)
        if units.example is None:
            return intervals.paired_loss_difference(gaps, if_wrong, few, level)
        counted = units.sizes > 0
        of_examples = units.sums(if_wrong)[counted] / units.sizes[counted]
        return intervals.paired_loss_difference(
            units.sums(gaps), of_examples, few, level, sizes=units.sizes
        )

    return Rule(_pseudo, of_two)


def likeliest_error(first: ClassForecast, second: ClassForecast) -> NDArray[np.int64]:
    """Returns the class that both together hold likeliest, but for the first's choice, (M,)."""
    labels = np.empty_like(first.labels)
    step = max(1, CHUNK_ELEMENTS // first.num_classes)
    for start in range(0, labels.size, step):
        piece = slice(start, start + step)
        mixed = first.table(piece) + second.table(piece)
        mixed[np.arange(mixed.shape[0]), first.columns.predicted[piece]] = -1.0
        labels[piece] = mixed.argmax(axis=1)
    return labels


def uncertainty(values: Scores, most: Callable[[ClassForecast], float]) -> ClassRule:
    """Returns the rule of a mean of what needs no label, within [0, most]."""

    def of_one(side: ClassSide, level: float) -> Interval:
        units, high = side.forecast.units, most(side.forecast)
        # An estimate without the bias of few passes may leave the range in single examples.
        sums = units.sums(np.clip(values(side.forecast), 0.0, high))
        return intervals.mean_with_atoms(sums, 0.0, high, level, sizes=units.sizes)

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        units, high = first.forecast.units, most(first.forecast)
        gaps = units.sums(values(first.forecast) - values(second.forecast))
        # One example in a hundred may carry the whole difference, and none of them be seen.
        return intervals.mean_with_atoms(gaps, -high, high, level, sizes=units.sizes)

    return Rule(of_one, of_two, resamples=never)


def _pseudo(side: ClassSide, level: float) -> Interval:
    return intervals.pseudo(side.wrong, side.right, level)


def _few(first: ClassSide, second: ClassSide) -> int:
    return min(first.num_errors, second.num_errors)


def _pseudo_difference(minimum: int) -> Callable[[ClassSide, ClassSide, float], Interval]:
    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        right = first.right - second.right
        drawn = intervals.pseudo_difference(
            first.wrong - second.wrong, right, _few(first, second), level, minimum=minimum
        )
        mirrored = intervals.reflected(first.value - second.value, right, level)
        return drawn if drawn.reason else intervals.hull(drawn, mirrored)

    return of_two


def _accepted(forecast: ClassForecast, coverage: float) -> NDArray[np.bool_]:
    """Returns which units the smallest threshold that accepts the share `coverage` accepts."""
    scores = forecast.predictive_entropy
    needed = int(np.ceil(coverage * scores.size - 1e-9))
    return np.asarray(scores <= np.partition(scores, needed - 1)[needed - 1])


def _with_recovered(
    drawn: Interval, first: ClassSide, second: ClassSide, rule: OfOne, level: float
) -> Interval:
    """Returns the hull of an interval of a difference and the one recovered from both sides."""
    sides = [(side.value, rule(side, level)) for side in (first, second)]
    return intervals.hull(drawn, intervals.recovered_difference(sides[0], sides[1]))


def _of_clusters(rule: OfOne, drawn: OfTwo) -> OfTwo:
    """Returns the rule of a difference, with what few images cannot show of their resamples."""

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        found, units = drawn(first, second, level), first.forecast.units
        if found.reason or units.example is None or units.num_examples >= FEW_CLUSTERS:
            return found
        return _with_recovered(found, first, second, rule, level)

    return of_two


RISK_COVERAGE = ClassRule(
    _pseudo, _of_clusters(_pseudo, _pseudo_difference(MINIMUM_ERRORS_RANKING))
)
"""Areas under the risk-coverage curve."""


def risk_at_coverage(coverage: float) -> ClassRule:
    """Returns the rule of the risk at a coverage."""

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        accepted = [_accepted(side.forecast, coverage) for side in (first, second)]
        count = int(accepted[0].sum())
        if first.forecast.units.example is not None or count != accepted[1].sum():
            drawn = RISK_COVERAGE.of_two(first, second, level)
            # Where scores are tied, a resample rarely moves the thresholds as far as new data do.
            return drawn if drawn.reason else _with_recovered(drawn, first, second, _pseudo, level)
        wrong = [side.forecast.error > 0 for side in (first, second)]
        return intervals.risk_difference(
            (accepted[0], wrong[0]), (accepted[1], wrong[1]), count / wrong[0].size, level
        )

    return Rule(_pseudo, of_two)


def coverage_at_risk(risk: float) -> ClassRule:
    """Returns the rule of the coverage at a risk."""

    def of_one(side: ClassSide, level: float) -> Interval:
        forecast = side.forecast
        drawn = _pseudo(side, level)
        if forecast.units.example is not None:
            return drawn
        scan = intervals.coverage_scan(forecast.predictive_entropy, forecast.error > 0, risk, level)
        return intervals.hull(drawn, scan)

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        value = first.value - second.value
        drawn = intervals.hull(
            intervals.reflected(value, first.wrong - second.wrong, level),
            intervals.reflected(value, first.right - second.right, level),
        )
        # A threshold can jump from all to none, which no resample of the difference shows.
        return _with_recovered(drawn, first, second, of_one, level)

    return Rule(of_one, of_two)


def _error_rate(forecast: ClassForecast) -> Statistic:
    return forecast.units.average(forecast.error)


def _auroc(side: ClassSide, level: float) -> Interval:
    forecast = side.forecast
    if forecast.units.example is None:
        return intervals.auroc(forecast.predictive_entropy, forecast.error > 0, level)
    few = intervals.too_few([side.num_errors], 2, "examples with an error")
    few = few or intervals.too_few([forecast.units.num_examples], MINIMUM_CLUSTERS, "examples")
    if few is not None:
        return few
    return intervals.hull(_pseudo(side, level), intervals.reflected(side.value, side.right, level))


def _auroc_difference(first: ClassSide, second: ClassSide, level: float) -> Interval:
    if first.forecast.units.example is not None:
        few = intervals.too_few([first.forecast.units.num_examples], MINIMUM_CLUSTERS, "examples")
        return few or _detection_of_clusters(first, second, level)
    sides = [
        intervals.Detection(
            side.right,
            side.companion * side.forecast.labels.size,
            intervals.as_positive(side.forecast.predictive_entropy, side.forecast.error > 0),
            side.num_errors,
        )
        for side in (first, second)
    ]
    return intervals.auroc_difference(sides[0], sides[1], first.atoms, level)


AUROC = ClassRule(_auroc, _auroc_difference, companion=_error_rate)
"""The area under the ROC curve of errors."""


def _reflected_difference(minimum: int) -> Callable[[ClassSide, ClassSide, float], Interval]:
    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        few = _few(first, second)
        if few < minimum:
            return intervals.absent(f"fewer than {minimum} errors ({few})")
        return intervals.reflected(first.value - second.value, first.right - second.right, level)

    return of_two


_detection_of_clusters = _of_clusters(_auroc, _reflected_difference(MINIMUM_ERRORS_DETECTION))


def _average_precision(side: ClassSide, level: float) -> Interval:
    return intervals.average_precision(side.value, side.num_errors, side.wrong, side.right, level)


AVERAGE_PRECISION = ClassRule(_average_precision, _reflected_difference(MINIMUM_ERRORS_DETECTION))
"""The area under the precision-recall curve of errors."""


def false_positive_rate(true_positive_rate: float) -> ClassRule:
    """Returns the rule of the false positive rate at a true positive rate."""

    def of_one(side: ClassSide, level: float) -> Interval:
        forecast = side.forecast
        if forecast.units.example is not None:
            drawn = _pseudo(side, level)
            return intervals.hull(drawn, intervals.reflected(side.value, side.right, level))
        wrong = forecast.error > 0
        scores = forecast.predictive_entropy
        return intervals.false_positive_rate(
            scores[~wrong], scores[wrong], true_positive_rate, level
        )

    return Rule(of_one, _reflected_difference(MINIMUM_POSITIVES_RATE))


def _as_calibration(side: ClassSide) -> intervals.Calibration:
    floor = -1.0 if side.floor is None else side.floor.high
    return intervals.Calibration(side.value, side.wrong, side.right, floor)


def calibration(companion: Callable[[ClassForecast], Statistic] | None = None) -> ClassRule:
    """Returns the rule of a calibration error.

    Args:
        companion: How far a resample moves the gaps of the bins, for binned errors.
    """

    def of_one(side: ClassSide, level: float) -> Interval:
        noise = side.companion if side.companion.size else None
        return intervals.calibration_error(_as_calibration(side), noise, level)

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        return intervals.calibration_error_difference(
            _as_calibration(first), _as_calibration(second), _few(first, second), level
        )

    return Rule(of_one, of_two, companion=companion)


def squared_calibration(
    companion: Callable[[ClassForecast], Statistic], squares: Scores
) -> ClassRule:
    """Returns the rule of a root mean squared calibration error.

    One more example, of a kind that is rare, may lie in a bin that is off by 1: the square is
    a mean that the many examples of small gaps do not bound.
    """
    binned = calibration(companion)

    def of_one(side: ClassSide, level: float) -> Interval:
        units = side.forecast.units
        sums = units.sums(squares(side.forecast))
        mean = intervals.mean_with_atoms(sums, 0.0, 1.0, level, sizes=units.sizes)
        rare = Interval(side.value, float(np.sqrt(mean.high)), mean.reason)
        return intervals.hull(binned.of_one(side, level), rare)

    def of_two(first: ClassSide, second: ClassSide, level: float) -> Interval:
        found = binned.of_two(first, second, level)
        return found if found.reason else _with_recovered(found, first, second, of_one, level)

    return Rule(of_one, of_two, companion=companion)


_OF_ANY_BIN = intervals.absent("the bin that is furthest off may be one that no example fell into")
MAXIMUM = ClassRule(lambda *_: _OF_ANY_BIN, lambda *_: _OF_ANY_BIN, resamples=never)
"""The largest gap of all bins."""


def _mirrored(side: ClassSide, level: float) -> Interval:
    units = side.forecast.units
    few = None
    if units.example is not None:
        few = intervals.too_few([units.num_examples], MINIMUM_CLUSTERS_COUNTS, "examples")
    if few is not None:
        return few
    mirrored = intervals.reflected(side.value, side.right, level)
    return intervals.hull(_pseudo(side, level), mirrored)


def _mirrored_difference(first: ClassSide, second: ClassSide, level: float) -> Interval:
    few = _mirrored(first, level)
    return few if few.reason else _reflected_difference(2)(first, second, level)


MIRRORED = ClassRule(_mirrored, _of_clusters(_mirrored, _mirrored_difference))
"""Ratios and other smooth scores of counts, which resampling may shift."""
