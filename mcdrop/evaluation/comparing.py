"""Comparing any number of forecasts of the same examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mcdrop._checks import check_choice, check_count, check_number, check_seed
from mcdrop.errors import DataError
from mcdrop.evaluation.class_measures import CLASS_MEASURES
from mcdrop.evaluation.dropping import set_aside_dropped
from mcdrop.evaluation.records import ComparedMetric, Estimate
from mcdrop.evaluation.regression_measures import REGRESSION_MEASURES
from mcdrop.evaluation.results import Comparison
from mcdrop.evaluation.scoring import AnyMeasure, OnHalf, Score, difference, score
from mcdrop.evaluation.sources import Source, as_class_values, as_numbers, of_array, of_prediction
from mcdrop.evaluation.targets import Targets, as_targets
from mcdrop.prediction import CLASS_TASKS, TASKS, Prediction, check_prediction

NUM_RESAMPLES = 500
"""Resamples with a wrongly and as many with a rightly labelled pseudo-example."""

LEAST_RESAMPLES = 100

Metrics = str | Sequence[str] | None


def compare(
    predictions: Mapping[str, Prediction | ArrayLike | tuple[ArrayLike, ArrayLike]],
    y_true: ArrayLike,
    *,
    reference: str | None = None,
    metrics: Metrics = None,
    confidence_level: float = 0.95,
    seed: int = 0,
    task: str | None = None,
    num_resamples: int = NUM_RESAMPLES,
) -> Comparison:
    """Scores any number of forecasts of the same examples, and their differences.

    A forecast is a Prediction, whose passes have a noise of their own, or an array from
    anything: a model without dropout, an ensemble, another library. Intervals hold the noise
    of the examples; those of Predictions hold that of the finite number of passes as well, and
    those of differences that of the passes of both sides. Where the data cannot carry an
    interval it is left out, and the estimate says why.

    Args:
        predictions: Forecasts by name, all of the same N >= 2 examples. Arrays are class
            probabilities of shape (N, ..., C) for "classification"; (N,), (N, 1) or (N, 2)
            for "binary"; (N, L) for "multilabel"; numbers of the shape of the targets for
            "regression" and "gaussian", or a pair (mean, variance) of such.
        y_true: Integer labels of shape (N,) or (N, 1) for "classification" and "binary"; for
            dense outputs (N, ...), where pixels of -1 count nowhere; (N, L) of 0 and 1 for
            "multilabel", -1 where a label is unknown; numbers for the others.
        reference: Name of the forecast that the others are compared with; the first if None.
        metrics: None or "default", "all", or names of metrics.
        confidence_level: Level of the intervals, and of the predictive intervals whose
            coverage and width are measured; within (0, 1).
        seed: Seed of the resamples; equal seeds give equal comparisons.
        task: Needed where no forecast is a Prediction.
        num_resamples: Resamples behind an interval, at least 100; 0 for point values alone,
            without any interval.

    Returns:
        Every score of every forecast, each difference to the reference, and, on demand, the
        difference of any two.

    Raises:
        DataError: A forecast does not fit the others or the targets, a value is not finite or
            impossible, a name is unknown, or one asked for is not defined for any forecast.

    References:
        Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338. The page on intervals
        names the method of each score.

    Example:
        >>> forecasts = {"plain": [[0.6, 0.4], [0.4, 0.6]], "sharp": [[0.9, 0.1], [0.2, 0.8]]}
        >>> found = compare(forecasts, [0, 1], task="classification")
        >>> round(found["brier_score"].differences["sharp"].value, 3)
        -0.27
    """
    level = check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    check_settings(seed, num_resamples)
    if not isinstance(predictions, Mapping) or not predictions:
        raise DataError(
            f"`predictions` is a {type(predictions).__name__}, expected a dict of forecasts by "
            'name, as {"with dropout": prediction, "ensemble": probabilities}.'
        )
    unnamed = [name for name in predictions if not isinstance(name, str) or not name]
    if unnamed:
        raise DataError(f"`predictions` has the key {unnamed[0]!r}, expected names.")
    reference = check_choice(
        "reference", next(iter(predictions)) if reference is None else reference, tuple(predictions)
    )
    predictions, y_true, warnings = set_aside_dropped(predictions, y_true)
    kind = _task(predictions, task)
    targets = as_targets(y_true, kind, _shape(predictions, kind), level)
    check_enough(targets)
    sources = {name: _source(name, values, targets) for name, values in predictions.items()}
    compared = compare_sources(
        sources,
        targets,
        reference=reference,
        metrics=metrics,
        seed=seed,
        num_resamples=num_resamples,
    )
    return replace(compared, warnings=warnings)


def check_settings(seed: int, num_resamples: int) -> None:
    """Raises DataError unless both are whole numbers in their ranges."""
    check_seed("seed", seed)
    if check_count("num_resamples", num_resamples, minimum=0):
        check_count("num_resamples", num_resamples, minimum=LEAST_RESAMPLES)


def check_enough(targets: Targets) -> None:
    """Raises DataError for fewer than two examples."""
    if len(targets) < 2:
        raise DataError(
            f"`prediction` has {len(targets)} example(s), expected at least 2: one example "
            "gives no interval."
        )


def compare_sources(
    sources: Mapping[str, Source],
    targets: Targets,
    *,
    reference: str,
    metrics: Metrics,
    seed: int,
    num_resamples: int,
    on_half: OnHalf | None = None,
) -> Comparison:
    """Returns the comparison of forecasts that are known to fit; see `score` for `on_half`."""
    measures = _choose(metrics, targets)
    found, omitted, pairs = compare_measures(
        sources,
        measures,
        reference=reference,
        level=targets.level,
        num_resamples=num_resamples,
        seed=seed,
        on_half=on_half,
    )
    missing = {name: reasons for name, reasons in omitted.items() if len(reasons) == len(sources)}
    if missing and not isinstance(metrics, str | None):
        name, reasons = next(iter(missing.items()))
        reason = next(iter(reasons.values()))
        raise DataError(f"`metrics` asks for {name!r}, which is not defined here: {reason}.")
    return Comparison(
        task=targets.task,
        names=tuple(sources),
        reference=reference,
        num_examples=len(targets),
        confidence_level=targets.level,
        num_resamples=num_resamples,
        seed=seed,
        metrics=found,
        omitted={name: next(iter(reasons.values())) for name, reasons in missing.items()},
        y_true=targets.y,
        pairs=pairs,
    )


def compare_measures(
    sources: Mapping[str, Source],
    measures: Sequence[AnyMeasure],
    *,
    reference: str,
    level: float,
    num_resamples: int,
    seed: int,
    on_half: OnHalf | None = None,
) -> tuple[tuple[ComparedMetric, ...], dict[str, dict[str, str]], Pairs]:
    """Returns the metrics that some forecast has, why others lack one, and their differences."""
    scores, omitted = score(
        sources, measures, num_resamples=num_resamples, seed=seed, on_half=on_half
    )
    pairs = Pairs(scores, level, bool(num_resamples))
    found = tuple(
        pairs.metric(measure, reference, omitted[measure.name])
        for measure in measures
        if scores[measure.name]
    )
    return found, omitted, pairs


@dataclass(frozen=True, eq=False)
class Pairs:
    """The scores of a comparison, from which the difference of any two forecasts follows."""

    scores: Mapping[str, Mapping[str, Score]]
    level: float
    resampled: bool

    def __call__(self, metric: str, first: str, second: str) -> Estimate:
        """Returns the metric of `first` minus that of `second`."""
        found = self.scores[metric]
        return difference(found[first], found[second], self.level, resampled=self.resampled)

    def __reduce__(self) -> tuple[type[KnownPairs], tuple[dict[tuple[str, str, str], Estimate]]]:
        """Returns every difference, for `pickle`: measures are functions, which it refuses."""
        return KnownPairs, (
            {
                (metric, first, second): self(metric, first, second)
                for metric, found in self.scores.items()
                for first, second in product(found, repeat=2)
            },
        )

    def metric(
        self, measure: AnyMeasure, reference: str, omitted: Mapping[str, str]
    ) -> ComparedMetric:
        """Returns one metric of all forecasts, beside the reference."""
        found = self.scores[measure.name]
        others = [name for name in found if name != reference and reference in found]
        notes = (measure.note(each.side.forecast) for each in found.values())
        return ComparedMetric(
            name=measure.name,
            title=measure.title,
            unit=measure.unit,
            better=measure.better,
            estimates={
                name: each.estimate(self.level, resampled=self.resampled)
                for name, each in found.items()
            },
            differences={name: self(measure.name, name, reference) for name in others},
            floors={
                name: each.side.floor for name, each in found.items() if each.side.floor is not None
            },
            omitted=omitted,
            note=next(filter(None, notes), ""),
        )


@dataclass(frozen=True, eq=False)
class KnownPairs:
    """The differences of a comparison that was pickled or copied."""

    differences: Mapping[tuple[str, str, str], Estimate]

    def __call__(self, metric: str, first: str, second: str) -> Estimate:
        """Returns the metric of `first` minus that of `second`."""
        return self.differences[metric, first, second]


def _task(predictions: Mapping[str, Any], task: str | None) -> str:
    """Returns the task that all forecasts have."""
    if task is not None:
        check_choice("task", task, TASKS)
    tasks = {name: p.task for name, p in predictions.items() if isinstance(p, Prediction)}
    tasks |= {} if task is None else {"task": task}
    if len(set(tasks.values())) > 1:
        listed = ", ".join(f"{name}: {found}" for name, found in tasks.items())
        raise DataError(f"The forecasts have different tasks ({listed}); compare those of one.")
    if not tasks:
        raise DataError(
            "No forecast is a Prediction, so what the arrays hold is not known. Give `task`, one "
            f"of {', '.join(TASKS)}."
        )
    return str(next(iter(tasks.values())))


def _shape(predictions: Mapping[str, Any], task: str) -> tuple[int, ...]:
    """Returns the shape of class probabilities, or of predicted numbers, that all share."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, values in predictions.items():
        if isinstance(values, Prediction):
            check_prediction(f"predictions[{name!r}]", values)
            mean = values.mean
        elif task in CLASS_TASKS:
            mean = as_class_values(values, task, f"predictions[{name!r}]")
        else:
            mean, _ = as_numbers(values, f"predictions[{name!r}]")
        shapes[name] = mean.shape if task not in ("binary", "multilabel") else (*mean.shape, 2)
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
        raise DataError(
            f"The forecasts have different shapes ({listed}); compare forecasts of the same "
            "examples and the same classes or targets."
        )
    shape = next(iter(shapes.values()))
    if not shape or not np.prod(shape):
        raise DataError(f"The forecasts have shape {shape}, expected at least two examples.")
    return shape


def _source(name: str, values: Any, targets: Targets) -> Source:
    if isinstance(values, Prediction):
        return of_prediction(values, targets)
    return of_array(values, targets, name)


def _choose(metrics: Metrics, targets: Targets) -> tuple[AnyMeasure, ...]:
    """Returns the measures that `metrics` names, in the order of the registry."""
    measures: tuple[AnyMeasure, ...] = (
        CLASS_MEASURES if targets.task in CLASS_TASKS else REGRESSION_MEASURES
    )
    if metrics is None or (isinstance(metrics, str) and metrics == "default"):
        return tuple(m for m in measures if m.is_default or (m.leads_dense and targets.is_dense))
    if isinstance(metrics, str) and metrics == "all":
        return measures
    given: Any = metrics
    names = list(given) if np.iterable(given) and not isinstance(given, str) else []
    known = {measure.name for measure in measures}
    unknown = [name for name in names if not isinstance(name, str) or name not in known]
    if unknown or isinstance(metrics, str) or not names:
        raise DataError(
            f"`metrics` is {metrics!r}, expected 'default', 'all', or a list of names out of "
            f"{', '.join(measure.name for measure in measures)}."
        )
    return tuple(measure for measure in measures if measure.name in names)
