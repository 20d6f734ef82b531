"""Whether confidence is right: accuracy against confidence in bins of equal mass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from mcdrop.diagnostics.estimates import by_example, share
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.weighted.calibration import assign_bins

MOST_BINS = 15
BIN_SIZE = 30
"""Answers that a bin should hold at least: the band of chance is then narrower than the scale."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Accuracy against confidence in bins of (nearly) as many answers each; none is empty.

    Attributes:
        confidence: Mean confidence, shape (B,), upward.
        accuracy: Share of right answers, shape (B,).
        count: Number of answers, shape (B,).
        low: Lower ends of the interval of the accuracy, shape (B,).
        high: Upper ends.
        chance_low: Lower ends of where the accuracy of a calibrated model would fall.
        chance_high: Upper ends.
    """

    confidence: Array
    accuracy: Array
    count: Array
    low: Array
    high: Array
    chance_low: Array
    chance_high: Array

    @property
    def gap(self) -> Array:
        """Accuracy minus confidence, shape (B,): below 0 where the model is overconfident."""
        return self.accuracy - self.confidence


def calibration_curve(
    confidence: Array,
    correct: Array,
    *,
    example: Array | None = None,
    confidence_level: float = 0.95,
) -> CalibrationCurve:
    """Returns accuracy against confidence in bins of equal mass.

    Equal confidences stay in one bin. There are as many bins as hold 30 answers each, at most 15,
    at least 1. The band of chance is the binomial one of the bin's mean confidence, which is a
    little wider than that of the confidences themselves (Hoeffding 1956).

    Args:
        confidence: Probability of the answered class, shape (M,).
        correct: Whether the answer is right, shape (M,).
        example: Example that each answer belongs to, shape (M,); None where each is its own.
        confidence_level: Level of intervals and band.

    References:
        Bröcker & Smith (2007), doi:10.1175/WAF993.1, on the band of chance.
    """
    num_bins = int(np.clip(confidence.size // BIN_SIZE, 1, MOST_BINS))
    place = assign_bins(np.asarray(confidence, dtype=np.float64), num_bins, "quantile")
    _, place = np.unique(place, return_inverse=True)
    count = np.bincount(place)
    mean = np.bincount(place, confidence) / count
    accuracy = np.bincount(place, correct) / count
    found = [
        share(correct[mine], None if example is None else example[mine], confidence_level)
        for mine in (place == index for index in range(count.size))
    ]
    # Answers of one example err together, so chance moves them by more than as many alone.
    effective = np.maximum(np.rint(count / _design_effect(correct - confidence, example)), 1.0)
    tail = (1.0 - confidence_level) / 2.0
    chance = binom.ppf([[tail], [1.0 - tail]], effective, mean) / effective
    return CalibrationCurve(
        confidence=mean,
        accuracy=accuracy,
        count=count,
        low=np.array([each.low for each in found]),
        high=np.array([each.high for each in found]),
        chance_low=chance[0],
        chance_high=chance[1],
    )


def calibration_curves(
    forecasts: Mapping[str, ClassForecast], *, confidence_level: float = 0.95
) -> dict[str, CalibrationCurve]:
    """Returns the calibration curve of each forecast by its name."""
    return {
        name: calibration_curve(
            forecast.confidence,
            forecast.correct,
            example=forecast.units.example,
            confidence_level=confidence_level,
        )
        for name, forecast in forecasts.items()
    }


def _design_effect(deviations: Array, example: Array | None) -> float:
    """Returns how much less than independent answers these tell, at least 1.

    The variance of the sum of deviations of mean 0 with those of an example taken together, over
    its variance were they independent.

    References:
        Kish (1965), Survey Sampling, section 8.2.
    """
    sums, _ = by_example(deviations, example)
    alone = float(np.square(deviations).sum())
    if sums.size == deviations.size or sums.size < 2 or alone == 0.0:
        return 1.0
    return max(1.0, float(np.square(sums).sum()) / alone)
