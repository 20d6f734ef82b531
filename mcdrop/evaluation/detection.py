"""How well each uncertainty sets apart: errors from right answers, other data from known data.

Telling other data from known data is telling errors from right answers, the other examples in
the place of the errors, so both are comparisons of the measures of error detection: one
forecast for each uncertainty, all of them of the same examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation.class_measures import CLASS_MEASURES, MEAN_CONFIDENCE
from mcdrop.evaluation.comparing import compare_measures
from mcdrop.evaluation.forecasts import ClassColumns, ClassForecast, Forecast
from mcdrop.evaluation.measures import Measure
from mcdrop.evaluation.records import ComparedMetric, Estimate
from mcdrop.evaluation.results import Evaluation
from mcdrop.evaluation.sources import Source, of_deterministic, of_prediction
from mcdrop.evaluation.targets import Targets, shape_of
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.weighted.arrays import equalled, mean_per_example
from mcdrop.weighted.units import Units

Array = NDArray[Any]
Read = Callable[[Forecast], "Array | None"]

MONTE_CARLO, DETERMINISTIC = "monte_carlo", "deterministic"


@dataclass(frozen=True)
class Uncertainty:
    """A number that should be high where a prediction is not to be trusted.

    Attributes:
        name: Name of the field of a Prediction, as "mutual_information".
        title: Name for a reader.
        side: "monte_carlo", or "deterministic" for the prediction with dropout off.
    """

    name: str
    title: str
    side: str

    @property
    def key(self) -> str:
        """Name among the forecasts of a comparison."""
        return self.name if self.side == MONTE_CARLO else f"deterministic_{self.name}"


OF_CLASSES = (
    Uncertainty("predictive_entropy", "Predictive entropy", MONTE_CARLO),
    Uncertainty("mutual_information", "Mutual information", MONTE_CARLO),
    Uncertainty("predictive_entropy", "Entropy, deterministic", DETERMINISTIC),
)
OF_NUMBERS = (
    Uncertainty("std", "Standard deviation", MONTE_CARLO),
    Uncertainty("epistemic_std", "Epistemic standard deviation", MONTE_CARLO),
    Uncertainty("std", "Standard deviation, deterministic", DETERMINISTIC),
)
_OF_ERRORS, _OF_DATA = "error_detection_", "out_of_distribution_"
_WORDS = {"positives and negatives": "examples of either kind"}
_WORDS |= dict.fromkeys(("positives", "errors"), "other examples")
_DETECTION = tuple(each for each in CLASS_MEASURES if each.name.startswith(_OF_ERRORS))


def _of_data(measure: Measure[ClassForecast]) -> Measure[ClassForecast]:
    return replace(
        measure,
        name=measure.name.replace(_OF_ERRORS, _OF_DATA),
        title=measure.title.replace("Error detection", "Out-of-distribution"),
    )


DATA_MEASURES = tuple(_of_data(each) for each in _DETECTION)
"""The measures of error detection, of which data an example is from in place of errors."""


def uncertainties(prediction: Prediction) -> tuple[Uncertainty, ...]:
    """Returns the uncertainties that a prediction has."""
    if prediction.task in CLASS_TASKS:
        has_parts = prediction.expected_entropy is not None
        return tuple(u for u in OF_CLASSES if has_parts or u.name != "mutual_information")
    missing = set()
    if prediction.epistemic_variance is None:
        missing.add("epistemic_std")
    if prediction.deterministic_variance is None:
        missing.add("deterministic_std")
    return tuple(u for u in OF_NUMBERS if u.key not in missing)


def error_detection(evaluation: Evaluation) -> ComparedMetric | None:
    """Returns how well each uncertainty of classes tells errors: the area under the ROC curve.

    The areas of the entropies are the evaluation's own.

    Returns:
        One estimate for each of `uncertainties`, by its key, with the differences to the
        deterministic entropy; None where all answers are right or all are wrong.
    """
    # Neither entropies nor their areas ask for votes, which are the long part of many classes.
    prediction = replace(evaluation.prediction, samples=None)
    targets = _targets(prediction, evaluation.confidence_level, evaluation.y_true)
    sides = _sides(prediction, targets)
    sources = {u.key: _mapped(sides[u.side], _ranked_by(u.name)) for u in uncertainties(prediction)}
    area = next(each for each in _DETECTION if each.name == "error_detection_auroc")
    found = compare_measures(
        sources,
        (area,),
        reference="deterministic_predictive_entropy",
        level=evaluation.confidence_level,
        num_resamples=evaluation.num_resamples,
        seed=evaluation.seed,
    )[0]
    if not found:
        return None
    known = {each.name: each for each in evaluation.comparisons}.get(area.name)
    own = {} if known is None else {"predictive_entropy": known.monte_carlo}
    if known is not None and known.deterministic is not None:
        own["deterministic_predictive_entropy"] = known.deterministic
    return replace(found[0], estimates={**found[0].estimates, **own})


@dataclass(frozen=True, eq=False)
class DataDetection:
    """How well uncertainties tell other data from known data.

    Attributes:
        scores: Uncertainty of each known and of each other example, by its key: shapes (N,), (M,).
        metrics: Area under the ROC curve, average precision and false positive rate, with one
            estimate for each of `uncertainties` and the differences to the first without passes.
        confidences: Mean confidence on the known and on the other data by side; empty for a
            regression.
    """

    scores: Mapping[str, tuple[Array, Array]]
    metrics: tuple[ComparedMetric, ...]
    confidences: Mapping[str, tuple[Estimate, Estimate]]


def data_detection(evaluation: Evaluation, other: Prediction) -> DataDetection:
    """Returns how well the uncertainties tell other examples from the evaluated ones.

    An example's uncertainty is the mean over its pixels, labels or outputs. Intervals hold the
    noise of both data and of the passes; of a regression whose passes were not kept, that of
    the examples alone.

    Args:
        evaluation: Evaluation of the known data.
        other: The same model's prediction of other data, with as many passes; the examples
            that it dropped are left out.

    Raises:
        DataError: The two predictions are not of one model, or not of as many passes.
    """
    known = evaluation.prediction
    other = other if other.dropped is None else other.take(~other.dropped)
    check_same_model(known, other)
    level = evaluation.confidence_level
    sides = tuple(_sides(each, _targets(each, level)) for each in (known, other))
    sources: dict[str, Source] = {}
    scores: dict[str, tuple[Array, Array]] = {}
    for u in uncertainties(known):
        read = _per_example(u.name)
        pair = sides[0][u.side], sides[1][u.side]
        first, second = read(pair[0].forecast), read(pair[1].forecast)
        if first is None or second is None:
            continue
        scores[u.key] = first, second
        sources[u.key] = _of_both(pair, read, (first, second))
    plain = next((key for key in sources if key.startswith(DETERMINISTIC)), next(iter(sources)))
    settings = _settings(evaluation)
    metrics, *_ = compare_measures(sources, DATA_MEASURES, reference=plain, **settings)
    confidences: dict[str, tuple[Estimate, Estimate]] = {}
    if known.task in CLASS_TASKS:
        here, there = mean_confidences(evaluation), _confidences(sides[1], settings)
        confidences = {side: (here[side], there[side]) for side in here}
    return DataDetection(scores, tuple(_in_words_of_data(each) for each in metrics), confidences)


def mean_confidences(evaluation: Evaluation) -> dict[str, Estimate]:
    """Returns the mean confidence of a classifier by side, "monte_carlo" and "deterministic"."""
    prediction, level = evaluation.prediction, evaluation.confidence_level
    targets = _targets(prediction, level, evaluation.y_true)
    return _confidences(_sides(prediction, targets), _settings(evaluation))


def _confidences(sides: Mapping[str, Source], settings: Mapping[str, Any]) -> dict[str, Estimate]:
    found, *_ = compare_measures(sides, (MEAN_CONFIDENCE,), reference=DETERMINISTIC, **settings)
    return dict(found[0].estimates)


def _settings(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "level": evaluation.confidence_level,
        "num_resamples": evaluation.num_resamples,
        "seed": evaluation.seed,
    }


def check_same_model(known: Prediction, other: Prediction) -> None:
    """Raises DataError unless both predictions can be of one model, sampled alike."""
    if not isinstance(other, Prediction):
        raise DataError(
            f"`out_of_distribution` is a {type(other).__name__}, expected a Prediction of other "
            "data by the same model."
        )
    if known.task != other.task or known.mean.shape[1:] != other.mean.shape[1:]:
        raise DataError(
            f"`out_of_distribution` has task {other.task!r} and output shape "
            f"{other.mean.shape[1:]}, the evaluated prediction {known.task!r} and "
            f"{known.mean.shape[1:]}. Predict both with the same model."
        )
    by_tolerance = known.tolerance is not None and known.tolerance == other.tolerance
    is_alike = known.num_samples == other.num_samples and known.splitting == other.splitting
    if not (is_alike or by_tolerance):
        raise DataError(
            f"`out_of_distribution` has {other.num_samples} passes, the evaluated prediction "
            f"{known.num_samples}; uncertainties of few passes are lower. Predict both with the "
            "same passes."
        )
    if not len(other):
        raise DataError("`out_of_distribution` holds no example; expected at least one.")


def _targets(prediction: Prediction, level: float, y: Array | None = None) -> Targets:
    """Returns targets, those of a prediction without any being 0: what is asked needs none."""
    shape = shape_of(prediction)
    if prediction.task in CLASS_TASKS:
        labels = np.zeros(shape[:-1], np.int64) if y is None else y
        return Targets(prediction.task, labels, shape[-1], level)
    return Targets(prediction.task, np.zeros(shape), 0, level)


def _sides(prediction: Prediction, targets: Targets) -> dict[str, Source]:
    return {
        MONTE_CARLO: of_prediction(prediction, targets),
        DETERMINISTIC: of_deterministic(prediction, targets),
    }


def _mapped(source: Source, change: Callable[[Forecast], Forecast]) -> Source:
    """Returns the source with its forecast, and those of the halves of its passes, changed."""
    return replace(
        source,
        forecast=change(source.forecast),
        halves=lambda: ((share, change(half)) for share, half in source.halves()),
    )


def _ranked_by(name: str) -> Callable[[Forecast], Forecast]:
    """Returns the change that puts an uncertainty in the place of the predictive entropy."""

    def change(forecast: Forecast) -> Forecast:
        assert isinstance(forecast, ClassForecast)  # noqa: S101  # errors are of class tasks
        scores = equalled(getattr(forecast, name))
        return replace(forecast, columns=replace(forecast.columns, entropy=scores))

    return change


def _per_example(name: str) -> Read:
    """Returns the reader of an uncertainty of each example; None where a forecast has none."""

    def read(forecast: Forecast) -> Array | None:
        if isinstance(forecast, ClassForecast):
            return np.asarray(forecast.units.sums(getattr(forecast, name)) / forecast.units.sizes)
        variance = {"std": forecast.variance, "epistemic_std": forecast.epistemic_variance}[name]
        if variance is None or forecast.borrows_spread:
            return None
        return mean_per_example(np.sqrt(variance))

    return read


def _of_both(pair: tuple[Source, Source], read: Read, scores: tuple[Array, Array]) -> Source:
    """Returns the forecast of which example is of the other data, by halves of the passes too."""

    def halves() -> Iterator[tuple[float, Forecast]]:
        if pair[0].num_groups != pair[1].num_groups:
            return
        for (share, first), (_, second) in zip(*(s.halves() for s in pair), strict=True):
            parts = read(first), read(second)
            if parts[0] is not None and parts[1] is not None:
                yield share, which_data(parts[0], parts[1])

    return Source(which_data(*scores), halves, pair[0].num_groups, pair[0].passes)


def which_data(known: Array, other: Array) -> ClassForecast:
    """Returns a forecast that takes every example for known, with its uncertainty."""
    labels = np.repeat([0, 1], [known.size, other.size])
    sure = np.ones(labels.size)
    columns = ClassColumns(
        predicted=np.zeros(labels.size, np.int64),
        confidence=sure,
        chosen=1.0 - labels,
        square=sure,
        entropy=equalled(np.concatenate([known, other])),
    )
    return ClassForecast(
        lambda units: np.stack([sure[units], 0.0 * sure[units]], axis=-1),
        num_classes=2,
        labels=labels,
        units=Units(labels.size),
        dense=False,
        columns=columns,
    )


def _in_words_of_data(metric: ComparedMetric) -> ComparedMetric:
    """Returns the metric with reasons that speak of other examples in place of errors."""

    def reworded(reason: str) -> str:
        for theirs, ours in _WORDS.items():
            reason = reason.replace(theirs, ours)
        return reason

    def told(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
        return {k: replace(each, reason=reworded(each.reason)) for k, each in estimates.items()}

    return replace(metric, estimates=told(metric.estimates), differences=told(metric.differences))
