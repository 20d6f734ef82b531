"""What `evaluate` needs to know of a metric: how to compute it, name it and draw its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.weighted.units import Statistic

ForecastT = TypeVar("ForecastT")


@dataclass(frozen=True)
class Measure(Generic[ForecastT]):
    """A metric of a forecast.

    Attributes:
        name: Name in an evaluation, that of the function in `mcdrop.metrics` where it is one.
        title: Name for a reader.
        unit: Unit, "" for none.
        better: "higher", "lower" or "neither".
        statistic: Computes the metric of a forecast; DataError, with the reason, where it is
            not defined for that forecast.
        is_default: Whether `metrics="default"` includes it.
        bounds: Smallest and largest possible value.
        is_share: Whether it is a mean of zeros and ones.
        is_biased: Whether resampling pushes it upward; its interval then allows for that.
        floor: What the metric is by chance for a calibrated forecast.
        note: What a reader of the number has to know of it, "" for nothing.
    """

    name: str
    title: str
    unit: str
    better: str
    statistic: Callable[[ForecastT], Statistic]
    is_default: bool = False
    bounds: tuple[float, float] = (0.0, float("inf"))
    is_share: bool = False
    is_biased: bool = False
    floor: Callable[[ForecastT], CalibrationFloor] | None = None
    note: Callable[[ForecastT], str] = lambda forecast: ""
