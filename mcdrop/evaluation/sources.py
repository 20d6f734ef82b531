"""Where forecasts come from: the passes of a Prediction, its deterministic side, an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from mcdrop._checks import as_float, check_positive, check_simplex
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.evaluation.forecasts import (
    CHUNK_ELEMENTS,
    ClassForecast,
    Forecast,
    RegressionForecast,
    Rows,
    Table,
    class_columns,
)
from mcdrop.evaluation.targets import Targets
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.splitting import NestedMoments, Splitting, levels_of
from mcdrop.weighted.halves import half_samples

Array = NDArray[Any]
Halves = Iterator[tuple[float, Forecast]]


@dataclass(frozen=True, eq=False)
class Source:
    """A forecast, with what its passes tell of their noise.

    Attributes:
        forecast: The forecast.
        halves: Yields the share of the passes that a half holds, and its forecast.
        num_groups: Groups of passes of which halves are made; 0 without passes.
        passes: What two forecasts of the same passes share, None without passes.
    """

    forecast: Forecast
    halves: Callable[[], Halves]
    num_groups: int = 0
    passes: object = None

    def shares_passes(self, other: Source) -> bool:
        """Returns whether both forecasts are made of the same passes, as repairs of one are."""
        return self.passes is not None and self.passes is other.passes


def without_passes(forecast: Forecast) -> Source:
    """Returns the source of a forecast that has no noise of its own."""
    return Source(forecast, lambda: iter(()))


def of_prediction(prediction: Prediction, targets: Targets) -> Source:
    """Returns the mean of the passes of a prediction, with halves of them."""
    if prediction.task in CLASS_TASKS:
        passes = _ClassPasses(prediction, targets)
        return Source(
            passes.forecast,
            passes.halves,
            int(prediction.group_counts.shape[0]),
            prediction.group_counts,
        )
    return Source(
        _of_passes(prediction, targets),
        lambda: _regression_halves(prediction, targets),
        int(prediction.group_counts.shape[0]),
        prediction.group_counts,
    )


def of_deterministic(prediction: Prediction, targets: Targets) -> Source:
    """Returns the prediction with dropout off."""
    if prediction.task in CLASS_TASKS:
        return without_passes(_class_forecast(prediction.deterministic, targets))
    mean, variance = prediction.deterministic, prediction.deterministic_variance
    return without_passes(_normal(mean, variance, targets))


def of_array(
    values: ArrayLike | tuple[ArrayLike, ArrayLike], targets: Targets, name: str
) -> Source:
    """Returns a forecast from anywhere: probabilities, means, or means with variances.

    Raises:
        DataError: The values do not fit the task or the targets, or are no probabilities.
    """
    label = f"predictions[{name!r}]"
    if targets.task in CLASS_TASKS:
        return without_passes(
            _class_forecast(as_class_values(values, targets.task, label), targets)
        )
    mean, variance = as_numbers(values, label)
    if mean.shape != targets.y.shape:
        raise DataError(f"`{label}` has shape {mean.shape}, expected {targets.y.shape}.")
    return without_passes(_normal(mean, variance, targets))


def as_class_values(values: Any, task: str, label: str) -> Array:
    """Returns class probabilities as a Prediction of the task holds them, checked."""
    array = as_float(label, values)
    if task == "classification":
        check_simplex(label, array)
        return array
    if task == "binary" and array.ndim == 2 and array.shape[1] == 2:
        check_simplex(label, array)
        return array[:, 1]
    if task == "binary" and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.size and (array.min() < 0 or array.max() > 1):
        raise DataError(
            f"`{label}` has values in [{array.min():.4g}, {array.max():.4g}], expected "
            "probabilities in [0, 1]. Apply the sigmoid if these are logits."
        )
    return array


def as_numbers(values: Any, label: str) -> tuple[Array, Array | None]:
    """Returns predicted means and, where a pair was given, their variances, checked."""
    if not isinstance(values, tuple):
        return as_float(label, values), None
    if len(values) != 2:
        raise DataError(f"`{label}` is a tuple of {len(values)}, expected (mean, variance).")
    mean, variance = (as_float(label, part) for part in values)
    if mean.shape != variance.shape:
        raise DataError(
            f"`{label}` holds means of shape {mean.shape} and variances of {variance.shape}; "
            "expected the same."
        )
    check_positive(label, variance, fix="Give (mean, variance).", allow_zero=True)
    return mean, variance


def class_table(values: Array, targets: Targets) -> Table:
    """Returns the reader of probabilities held as a Prediction holds them."""
    flat = targets.flat(values)
    if flat.ndim == 2:
        return lambda units: flat[units]
    return lambda units: np.stack([1.0 - flat[units], flat[units]], axis=-1)


def _class_forecast(values: Array, targets: Targets) -> ClassForecast:
    """Returns the forecast of probabilities held as a Prediction holds them."""
    return _tabled(class_table(values, targets), targets)


def _tabled(table: Table, targets: Targets) -> ClassForecast:
    columns = class_columns(table, targets.labels, targets.num_classes)
    return ClassForecast(
        table,
        targets.num_classes,
        targets.labels,
        targets.units,
        targets.is_dense,
        columns,
        targets.position,
    )


@dataclass(frozen=True, eq=False)
class _ClassPasses:
    """The passes of class probabilities, whole and by halves."""

    prediction: Prediction
    targets: Targets

    @property
    def forecast(self) -> ClassForecast:
        """The mean of all passes, with uncertainties of the passes as they are.

        Nothing is corrected for their number: a table that corrects the mutual information
        and not the entropy shows a part above its whole.
        """
        prediction, flat = self.prediction, self.targets.flat
        found = _class_forecast(prediction.mean, self.targets)
        others: dict[str, Any] = {}
        if prediction.expected_entropy is not None:
            expected = flat(prediction.expected_entropy)
            others["expected_entropy"] = expected
            others["mutual_information"] = np.maximum(found.predictive_entropy - expected, 0.0)
        if prediction.votes is not None:
            others["variation_ratio"] = flat(prediction.variation_ratio)
        others["standard_deviation"] = flat(_over_classes(prediction.task, prediction.variance))
        return replace(found, **others)

    def halves(self) -> Halves:
        """Yields the share of the passes that a half holds, and its forecast."""
        counts = self.prediction.group_counts
        for chosen in half_samples(counts.shape[0]):
            yield float(counts[chosen].sum() / counts.sum()), self._half(chosen)

    def _half(self, chosen: Rows) -> ClassForecast:
        """Returns a half's forecast; votes and deviations only when the passes were kept."""
        prediction, flat = self.prediction, self.targets.flat
        half = _tabled(self._half_table(chosen), self.targets)
        others: dict[str, Any] = {}
        if prediction.expected_entropy is not None:
            expected = flat(_half_mean(prediction, "group_expected_entropy", chosen))
            others["expected_entropy"] = expected
            others["mutual_information"] = np.maximum(half.predictive_entropy - expected, 0.0)
        if prediction.samples is not None and prediction.votes is not None:
            ratio, spread = _votes_and_spread(
                prediction, prediction.samples, _passes_of(prediction, chosen)
            )
            others["variation_ratio"] = flat(ratio)
            if spread is not None:
                others["standard_deviation"] = flat(spread)
        return replace(half, **others)

    def _half_table(self, chosen: Rows) -> Table:
        """Returns the reader of a half's mean, made when it is read: halves are many."""
        prediction, flat = self.prediction, self.targets.flat
        counts = prediction.group_counts[chosen].astype(np.float32)
        places = (1,) * (self.targets.y.ndim - 1)
        weights = np.broadcast_to(
            counts.reshape(*counts.shape, *places), (len(chosen), *self.targets.y.shape)
        )
        whole = class_table(prediction.mean, self.targets)
        parts = [class_table(group, self.targets) for group in prediction.group_means[chosen]]
        sizes = [flat(weight) for weight in weights]

        def table(units: slice | Rows) -> Array:
            total = np.zeros_like(parts[0](units))
            passes = np.zeros((total.shape[0], 1), np.float32)
            for part, size in zip(parts, sizes, strict=True):
                share = size[units, np.newaxis]
                total += share * part(units)
                passes += share
            half = np.divide(total, np.maximum(passes, 1.0), out=total)
            if not passes.all():  # sampling stopped before any pass of the half was due
                half = np.where(passes > 0, half, whole(units))
            return np.clip(half, 0.0, 1.0, out=half)

        return table


def _over_classes(task: str, variance: Array) -> Array:
    """Returns the standard deviation averaged over classes; those of yes and no are equal."""
    if task != "classification":
        return np.sqrt(variance)
    rows = variance.reshape(-1, variance.shape[-1])
    found = np.empty(rows.shape[0])
    step = max(1, CHUNK_ELEMENTS // rows.shape[1])
    for start in range(0, rows.shape[0], step):
        found[start : start + step] = np.sqrt(rows[start : start + step]).mean(axis=1)
    return found.reshape(variance.shape[:-1])


def _votes_and_spread(
    prediction: Prediction, samples: Array, passes: NDArray[np.bool_]
) -> tuple[Array, Array | None]:
    """Returns the variation ratio of some kept passes and, of two draws or more, their deviation.

    Passes of one draw of stage 1 share its masks and do not show what other ones would do.
    """
    num_passes = int(passes.sum())
    levels = levels_of(_splitting_of(prediction, num_passes))
    step = max(1, CHUNK_ELEMENTS // max(1, samples[:, 0].size))
    ratios, spreads = [], []
    for start in range(0, samples.shape[1], step):
        block = samples[:, start : start + step][passes].astype(np.float64)
        winners = replace(prediction, mean=block).class_probabilities.argmax(axis=-1)
        votes = np.sort(winners, axis=0)
        # The most votes are the longest run of equal classes in sorted order.
        run = most = np.ones(votes.shape[1:], np.int64)
        for first, second in pairwise(votes):
            run = np.where(first == second, run + 1, 1)
            most = np.maximum(most, run)
        ratios.append(1.0 - most / num_passes)
        if levels[0] > 1:
            moments = NestedMoments.empty(levels, block.shape[1:])
            moments.update(block, np.arange(block.shape[1]))
            spreads.append(_over_classes(prediction.task, moments.variance()))
    return np.concatenate(ratios), np.concatenate(spreads) if spreads else None


def _splitting_of(prediction: Prediction, num_passes: int) -> Splitting:
    """Returns the draws of each stage of so many passes, whole draws of stage 1."""
    inner = (prediction.splitting or (0,))[1:]
    return num_passes // prod(inner), *inner


def _normal(mean: Array, variance: Array | None, targets: Targets) -> RegressionForecast:
    """Returns the normal forecast of a mean and a variance, a point where there is none."""
    point = RegressionForecast(
        targets.task, mean, targets.y, targets.units, targets.level, is_point=variance is None
    )
    if variance is None:
        return point
    reach = special.ndtri((1.0 + targets.level) / 2.0) * np.sqrt(variance)
    return replace(point, variance=variance, low=mean - reach, high=mean + reach)


def _of_passes(prediction: Prediction, targets: Targets) -> RegressionForecast:
    low, high = prediction.interval(targets.level)
    return RegressionForecast(
        prediction.task,
        prediction.mean,
        targets.y,
        targets.units,
        targets.level,
        variance=prediction.variance,
        low=low,
        high=high,
        samples=prediction.samples,
        sample_variances=prediction.sample_variances,
        num_draws=_splitting_of(prediction, prediction.num_samples)[0],
        aleatoric_variance=prediction.aleatoric_variance,
        epistemic_variance=prediction.epistemic_variance,
    )


def _regression_halves(prediction: Prediction, targets: Targets) -> Halves:
    """Yields the share of the passes that a half holds, and its forecast."""
    counts = prediction.group_counts
    for chosen in half_samples(counts.shape[0]):
        yield (
            float(counts[chosen].sum() / counts.sum()),
            _regression_half(prediction, targets, chosen),
        )


def _regression_half(prediction: Prediction, targets: Targets, chosen: Rows) -> RegressionForecast:
    """Returns a half's forecast: with the variance of all passes, unless they were kept."""
    if prediction.samples is None:
        mean = _half_mean(prediction, "group_means", chosen)
        return replace(_normal(mean, prediction.variance, targets), borrows_spread=True)
    if prediction.group_counts.shape[0] < 4:  # a half of two groups is one, without a spread
        mean = _half_mean(prediction, "group_means", chosen)
        return replace(_normal(mean, None, targets), is_point=False)
    passes = _passes_of(prediction, chosen)
    variances = prediction.sample_variances
    half = from_samples(
        prediction.samples[passes],
        prediction.deterministic,
        task=prediction.task,
        variances=None if variances is None else variances[passes],
        deterministic_variance=prediction.deterministic_variance,
        splitting=_splitting_of(prediction, int(passes.sum())),
    )
    return _of_passes(half, targets)


def _passes_of(prediction: Prediction, chosen: Rows) -> NDArray[np.bool_]:
    """Returns which passes belong to the chosen groups, shape (T,)."""
    return np.isin(prediction.pass_groups, chosen)


_WHOLE = {"group_means": "mean", "group_expected_entropy": "expected_entropy"}


def _half_mean(prediction: Prediction, name: str, chosen: Rows) -> Array:
    """Returns the mean over the passes of the chosen groups; of all where they have none."""
    values: Array = getattr(prediction, name)
    mean: Array = getattr(prediction, _WHOLE[name])
    counts = prediction.group_counts.reshape(prediction.group_counts.shape + (1,) * (mean.ndim - 1))
    total = np.zeros(mean.shape)
    for group in chosen:
        total += counts[group] * values[group]
    passes = counts[chosen].sum(axis=0)
    return np.where(passes > 0, total / np.maximum(passes, 1), mean)
