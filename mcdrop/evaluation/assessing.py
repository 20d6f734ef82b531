"""Every metric of a prediction, with dropout and without, each with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import check_number
from mcdrop.errors import DataError
from mcdrop.evaluation.cautions import cautions
from mcdrop.evaluation.class_scores import (
    ClassTotals,
    Passes,
    class_scores,
    class_totals,
    confusion_matrix,
)
from mcdrop.evaluation.comparing import (
    NUM_RESAMPLES,
    check_enough,
    check_settings,
    compare_sources,
)
from mcdrop.evaluation.dropping import set_aside_dropped
from mcdrop.evaluation.forecasts import ClassForecast, Forecast
from mcdrop.evaluation.records import ComparedMetric, MetricComparison
from mcdrop.evaluation.results import Evaluation
from mcdrop.evaluation.sources import Source, of_deterministic, of_prediction
from mcdrop.evaluation.targets import VOID_LABEL, Targets, as_targets, shape_of
from mcdrop.prediction import CLASS_TASKS, Prediction, check_prediction
from mcdrop.targets import PredictionWithTargets, split_targets

MONTE_CARLO = "Monte Carlo"
DETERMINISTIC = "deterministic"


def evaluate(
    prediction: Prediction | PredictionWithTargets,
    y_true: ArrayLike | None = None,
    *,
    confidence_level: float = 0.95,
    seed: int = 0,
    metrics: str | Sequence[str] = "default",
    num_resamples: int = NUM_RESAMPLES,
) -> Evaluation:
    """Scores a prediction against targets, Monte Carlo beside deterministic.

    This is `mcdrop.compare` of two forecasts, the mean of the passes and the prediction with
    dropout off. Intervals hold the noise of the examples and of the finite number of passes:
    the value that T passes, and that infinitely many, would have on new examples. An interval
    of the difference that excludes 0 says that dropout at prediction time makes a difference
    of that sign. Where the data cannot carry an interval, as an area of one error, it is left
    out, and the estimate says why.

    The value of a calibration error cannot fall below a floor of chance. So the floor stands
    beside the value, and the interval starts at 0 when the value is no higher than chance
    gives (`floor.high`). The interval of a difference of two errors near their floors is still
    only rough.

    Several outputs, labels or pixels of one example are averaged, and drawn together. Votes
    and deviations are not known for parts of the passes unless these were kept
    (`keep_samples=True`): the metrics that need them then have no Monte Carlo error, and an
    interval over examples alone.

    Args:
        prediction: Prediction of N >= 2 examples, or one with its targets, as
            `MCDropout.predict_with_targets` returns it.
        y_true: Integer labels of shape (N,) or (N, 1) for "classification" and "binary", or
            one-hot ones, (N, C); for dense outputs (N, ...), where pixels of -1 count nowhere;
            (N, L) of 0 and 1 for "multilabel", -1 where a label is unknown; numbers of the
            shape of `prediction.mean` for "regression" and "gaussian".
        confidence_level: Level of the intervals, and of the predictive intervals whose
            coverage and width are measured; within (0, 1).
        seed: Seed of the resamples; equal seeds give equal evaluations.
        metrics: "default", "all", or names of metrics.
        num_resamples: Resamples behind an interval, at least 100; 0 for point values alone,
            without any interval.

    Returns:
        The evaluation. A metric that is not defined for these data, such as the detection of
        errors where there are none, is left out and named in `omitted`.

    Raises:
        DataError: The targets do not fit the prediction, a value of either is not finite or
            impossible, a metric is unknown, or one asked for by name is not defined for
            these data.

    References:
        Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338.

    Example:
        >>> import mcdrop
        >>> passes = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]]])
        >>> prediction = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
        >>> evaluation = evaluate(prediction, [0, 1])
        >>> evaluation["accuracy"].monte_carlo.value, evaluation["brier_score"].difference.value
        (1.0, 0.0)
    """
    level = check_number("confidence_level", confidence_level, low=0, high=1, open_ends=True)
    check_settings(seed, num_resamples)
    given, y_true = split_targets(prediction, y_true)
    warnings: dict[str, str] = {}
    if isinstance(given, Prediction):
        kept, y_true, warnings = set_aside_dropped({MONTE_CARLO: given}, y_true)
        given = kept[MONTE_CARLO]
    targets = match_targets(given, y_true, level)
    source = of_prediction(given, targets)
    halves: list[tuple[float, ClassTotals]] = []

    def on_half(name: str, share: float, half: Forecast) -> None:
        if isinstance(half, ClassForecast):
            halves.append((share, class_totals(half)))

    plain = of_deterministic(given, targets)
    compared = compare_sources(
        {MONTE_CARLO: source, DETERMINISTIC: plain},
        targets,
        reference=DETERMINISTIC,
        metrics=metrics,
        seed=seed,
        num_resamples=num_resamples,
        on_half=on_half,
    )
    of_passes = [metric for metric in compared.metrics if MONTE_CARLO in metric.estimates]
    left_out = {
        metric.name: metric.omitted[MONTE_CARLO]
        for metric in compared.metrics
        if MONTE_CARLO in metric.omitted
    }
    return Evaluation(
        task=given.task,
        num_examples=len(given),
        num_samples=given.num_samples,
        confidence_level=level,
        num_resamples=num_resamples,
        seed=seed,
        comparisons=tuple(_beside(metric) for metric in of_passes),
        flipped=_flipped(given, targets),
        prediction=given,
        y_true=targets.y,
        omitted={**compared.omitted, **left_out},
        warnings={**warnings, **cautions(given, source.forecast)},
        **_of_classes(source, plain, halves, level, with_intervals=num_resamples > 0),
    )


def _of_classes(
    source: Source,
    plain: Source,
    halves: Sequence[tuple[float, ClassTotals]],
    level: float,
    *,
    with_intervals: bool,
) -> dict[str, Any]:
    """Returns the confusion matrix and the scores of each class, nothing for a regression."""
    forecast, deterministic = source.forecast, plain.forecast
    if not (isinstance(forecast, ClassForecast) and isinstance(deterministic, ClassForecast)):
        return {}
    passes = Passes(halves, source.num_groups)
    return {
        "confusion": confusion_matrix(forecast),
        "class_scores": class_scores(
            forecast, deterministic, passes, level, with_intervals=with_intervals
        ),
    }


def match_targets(prediction: Prediction, y_true: ArrayLike, level: float = 0.95) -> Targets:
    """Returns targets, checked against a prediction, which is checked too.

    Raises:
        DataError: The prediction is none, or holds impossible values; or the targets do not
            fit it.
    """
    if not isinstance(prediction, Prediction):
        raise DataError(
            f"`prediction` is a {type(prediction).__name__}, expected a Prediction. Of a model "
            "with several outputs evaluate each output's prediction by itself."
        )
    check_prediction("prediction", prediction)
    targets = as_targets(y_true, prediction.task, shape_of(prediction), level)
    check_enough(targets)
    return targets


def _beside(metric: ComparedMetric) -> MetricComparison:
    """Returns one metric of the passes beside the deterministic prediction."""
    return MetricComparison(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        better=metric.better,
        monte_carlo=metric.estimates[MONTE_CARLO],
        deterministic=metric.estimates.get(DETERMINISTIC),
        difference=metric.differences.get(MONTE_CARLO),
        floor=metric.floors.get(MONTE_CARLO),
        deterministic_floor=metric.floors.get(DETERMINISTIC),
        note=metric.note,
    )


def _flipped(prediction: Prediction, targets: Targets) -> NDArray[np.intp]:
    """Returns the examples of which some class differs with dropout on and off."""
    if prediction.task not in CLASS_TASKS:
        return np.empty(0, np.intp)
    deterministic = prediction.deterministic_class_probabilities.argmax(axis=-1)
    differs = (prediction.predicted_class != deterministic) & (targets.y != VOID_LABEL)
    return np.flatnonzero(differs.reshape(differs.shape[0], -1).any(axis=1))
