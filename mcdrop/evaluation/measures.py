"""What comparing needs to know of a metric: how to compute it, name it and draw its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation.forecasts import ClassForecast, RegressionForecast
from mcdrop.intervals import Interval
from mcdrop.metrics.calibration import CalibrationFloor
from mcdrop.weighted.units import Statistic

Array = NDArray[np.float64]
ForecastT = TypeVar("ForecastT", ClassForecast, RegressionForecast)


def nothing() -> Array:
    """Returns the values of a measure that is not resampled."""
    return np.empty(0)


def always(forecast: object) -> bool:
    """Returns that every forecast needs resamples."""
    return True


def never(forecast: object) -> bool:
    """Returns that no forecast does."""
    return False


@dataclass(frozen=True, eq=False)
class Side(Generic[ForecastT]):
    """One forecast, with what a rule may need of a measure to draw its interval.

    Attributes:
        forecast: The forecast.
        value: The measure of it.
        floor: What chance gives a calibrated forecast, if the measure has a floor.
        wrong: The measure on resamples whose pseudo-example has a wrong label, shape (R,);
            empty where the rule needs none.
        right: The same with the label that the forecasts predict.
        companion: The rule's companion on the resamples of `right`.
        atoms: Weight of half an example in each of these, shape (R,).
    """

    forecast: ForecastT
    value: float
    floor: CalibrationFloor | None = None
    wrong: Array = field(default_factory=nothing)
    right: Array = field(default_factory=nothing)
    companion: Array = field(default_factory=nothing)
    atoms: Array = field(default_factory=nothing)

    @cached_property
    def num_errors(self) -> int:
        """Examples with an error; several errors of one example are not independent."""
        if isinstance(self.forecast, RegressionForecast):
            return self.forecast.units.num_examples
        return int(np.count_nonzero(self.forecast.units.sums(self.forecast.error)))


@dataclass(frozen=True)
class Rule(Generic[ForecastT]):
    """How the intervals of a measure are made; the functions of `mcdrop.intervals` make them.

    Attributes:
        of_one: From a side and a confidence level to the interval of its value.
        of_two: From two sides to the interval of the difference of their values.
        resamples: Whether the sides need values on resamples, of the forecast at hand.
        companion: A statistic that is resampled as well, for the rule's own use.
    """

    of_one: Callable[[Side[ForecastT], float], Interval]
    of_two: Callable[[Side[ForecastT], Side[ForecastT], float], Interval]
    resamples: Callable[[ForecastT], bool] = always
    companion: Callable[[ForecastT], Statistic] | None = None


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
        rule: How its intervals are made.
        is_default: Whether `metrics="default"` includes it.
        leads_dense: Whether it comes before all others of dense outputs, and by default there.
        bounds: Smallest and largest possible value.
        floor: What the metric is by chance for a calibrated forecast.
        note: What a reader of the number has to know of it, "" for nothing.
        is_costly: Whether fewer resamples and halves of the passes are looked at, as it takes long.
    """

    name: str
    title: str
    unit: str
    better: str
    statistic: Callable[[ForecastT], Statistic]
    rule: Rule[ForecastT]
    is_default: bool = False
    leads_dense: bool = False
    bounds: tuple[float, float] = (0.0, float("inf"))
    floor: Callable[[ForecastT], CalibrationFloor] | None = None
    note: Callable[[ForecastT], str] = lambda forecast: ""
    is_costly: bool = False

    @property
    def difference_bounds(self) -> tuple[float, float]:
        """Smallest and largest possible difference of two values."""
        reach = self.bounds[1] - self.bounds[0]
        return -reach, reach
