"""What a Prediction says, beside the targets: of all passes, of halves of them, without dropout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from mcdrop._checks import as_array, as_float, as_labels
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.pass_statistics import entropy
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.weighted.bootstrap import half_samples
from mcdrop.weighted.units import Units

Array = NDArray[Any]

VOID_LABEL = -1
"""Label of pixels, or of single labels of an example, that count nowhere."""


@dataclass(frozen=True, eq=False)
class ClassForecast:
    """Class probabilities of M units with their labels.

    Attributes:
        probabilities: Shape (M, C).
        labels: Shape (M,).
        units: How the units belong to examples.
        dense: Whether the units are pixels.
        expected_entropy: Mean entropy of the passes, shape (M,).
        mutual_information: Shape (M,).
        variation_ratio: Shape (M,).
        standard_deviation: Over the passes, averaged over classes, shape (M,). This and the
            three above are None where they are not known: without passes, for instance.
    """

    probabilities: Array
    labels: NDArray[np.int64]
    units: Units
    dense: bool
    expected_entropy: Array | None = None
    mutual_information: Array | None = None
    variation_ratio: Array | None = None
    standard_deviation: Array | None = None

    @cached_property
    def predictive_entropy(self) -> Array:
        """Entropy of the probabilities in nats, shape (M,)."""
        return entropy(self.probabilities)

    @cached_property
    def confidence(self) -> Array:
        """Largest probability, shape (M,)."""
        return self.probabilities.max(axis=1)

    @cached_property
    def correct(self) -> Array:
        """1 where the most probable class is the label, else 0, shape (M,)."""
        return (self.probabilities.argmax(axis=1) == self.labels).astype(np.float64)


@dataclass(frozen=True, eq=False)
class RegressionForecast:
    """Predicted numbers with their targets, all of shape (N,) or (N, ..., D).

    Attributes:
        task: "regression" or "gaussian".
        mean: Predicted means.
        y: Targets.
        units: One unit an example: outputs are averaged.
        level: Probability inside [low, high].
        variance: Total predictive variance. None, as all below, where it is not known.
        low: Lower end of the predictive interval.
        high: Upper end.
        samples: Passes, shape (T, N, ..., D).
        sample_variances: Predicted variances of the passes, "gaussian" only.
        aleatoric_variance: "gaussian" only.
        epistemic_variance: "gaussian" only.
        is_point: Whether the forecast is one number without a distribution.
    """

    task: str
    mean: Array
    y: Array
    units: Units
    level: float
    variance: Array | None = None
    low: Array | None = None
    high: Array | None = None
    samples: Array | None = None
    sample_variances: Array | None = None
    aleatoric_variance: Array | None = None
    epistemic_variance: Array | None = None
    is_point: bool = False


Forecast = ClassForecast | RegressionForecast


@dataclass(frozen=True, eq=False)
class Problem:
    """A prediction with targets that fit it, ready to be scored.

    Attributes:
        prediction: The prediction.
        y: Targets in the shape that the prediction calls for.
        level: Level of the predictive intervals of a regression.
    """

    prediction: Prediction
    y: Array
    level: float

    @property
    def _valid(self) -> Array:
        return self.y != VOID_LABEL

    @cached_property
    def _units(self) -> Units:
        num_examples = len(self.prediction)
        if self.prediction.task not in CLASS_TASKS or self.y.ndim == 1:
            return Units(num_examples)
        return Units(num_examples, np.nonzero(self._valid)[0])

    def monte_carlo(self) -> Forecast:
        """Returns the forecast of all passes."""
        prediction = self.prediction
        if prediction.task not in CLASS_TASKS:
            return self._regression(prediction)
        others: dict[str, Array] = {}
        if prediction.expected_entropy is not None:
            others["expected_entropy"] = prediction.expected_entropy
            others["mutual_information"] = prediction.mutual_information_corrected
        if prediction.votes is not None:
            others["variation_ratio"] = prediction.variation_ratio
        return self._class_forecast(
            prediction.class_probabilities,
            **others,
            standard_deviation=_over_classes(prediction.task, prediction.std),
        )

    def uncorrected(self, forecast: Forecast) -> Forecast:
        """Returns the forecast of all passes in the form in which halves give it."""
        if isinstance(forecast, RegressionForecast) or forecast.mutual_information is None:
            return forecast
        information = self.prediction.mutual_information
        return replace(forecast, mutual_information=self._flat(information))

    def deterministic(self) -> Forecast:
        """Returns the forecast of the prediction without dropout."""
        prediction = self.prediction
        if prediction.task in CLASS_TASKS:
            return self._class_forecast(prediction.deterministic_class_probabilities)
        mean, variance = prediction.deterministic, prediction.deterministic_variance
        if variance is None:
            return self._point(mean)
        reach = special.ndtri((1.0 + self.level) / 2.0) * np.sqrt(variance)
        return replace(
            self._point(mean),
            is_point=False,
            variance=variance,
            low=mean - reach,
            high=mean + reach,
        )

    @property
    def num_groups(self) -> int:
        """Number of groups of passes, of which halves are made."""
        return int(self.prediction.group_counts.shape[0])

    def flipped(self) -> NDArray[np.intp]:
        """Returns the examples of which some class differs with dropout on and off."""
        if self.prediction.task not in CLASS_TASKS:
            return np.empty(0, np.intp)
        deterministic = self.prediction.deterministic_class_probabilities.argmax(axis=-1)
        differs = (self.prediction.predicted_class != deterministic) & self._valid
        return np.flatnonzero(differs.reshape(differs.shape[0], -1).any(axis=1))

    def halves(self) -> Iterator[tuple[float, Forecast]]:
        """Yields the share of the passes that a half holds, and its forecast."""
        counts = self.prediction.group_counts
        for chosen in half_samples(counts.shape[0]):
            share = float(counts[chosen].sum() / counts.sum())
            if self.prediction.task in CLASS_TASKS:
                yield share, self._class_half(chosen)
            else:
                yield share, self._regression_half(chosen)

    def _flat(self, values: Array | None) -> Array | None:
        """Returns values of shape (N, ...) as one value a unit, shape (M,)."""
        if values is None or self.y.ndim == 1:
            return values
        return values[self._valid]

    def _class_forecast(self, probabilities: Array, **others: Array | None) -> ClassForecast:
        dense = self.y.ndim > (2 if self.prediction.task == "multilabel" else 1)
        flat = {name: self._flat(values) for name, values in others.items()}
        labels = self.y if self.y.ndim == 1 else self.y[self._valid]
        chosen = probabilities if self.y.ndim == 1 else probabilities[self._valid]
        return ClassForecast(chosen, labels, self._units, dense, **flat)

    def _class_half(self, chosen: NDArray[np.intp]) -> ClassForecast:
        """Returns a half's forecast; votes and deviations only when the passes were kept."""
        half = replace(
            self.prediction, mean=np.clip(self._half_mean("group_means", "mean", chosen), 0.0, 1.0)
        )
        others: dict[str, Array] = {}
        if half.expected_entropy is not None:
            expected = self._half_mean("group_expected_entropy", "expected_entropy", chosen)
            half = replace(half, expected_entropy=expected)
            others["expected_entropy"] = expected
            others["mutual_information"] = half.mutual_information
        if half.samples is not None:
            passes = half.samples[self._passes_of(chosen)]
            votes = replace(half, mean=passes).class_probabilities.argmax(axis=-1)
            most = [(votes == c).mean(axis=0) for c in range(half.class_probabilities.shape[-1])]
            others["variation_ratio"] = 1.0 - np.max(most, axis=0)
            if len(passes) > 1:
                std = passes.std(axis=0, ddof=1, dtype=np.float64)
                others["standard_deviation"] = _over_classes(half.task, std)
        return self._class_forecast(half.class_probabilities, **others)

    def _point(self, mean: Array) -> RegressionForecast:
        return RegressionForecast(
            self.prediction.task, mean, self.y, self._units, self.level, is_point=True
        )

    def _regression(self, prediction: Prediction) -> RegressionForecast:
        low, high = prediction.interval(self.level)
        return replace(
            self._point(prediction.mean),
            is_point=False,
            variance=prediction.variance,
            low=low,
            high=high,
            samples=prediction.samples,
            sample_variances=prediction.sample_variances,
            aleatoric_variance=prediction.aleatoric_variance,
            epistemic_variance=prediction.epistemic_variance,
        )

    def _regression_half(self, chosen: NDArray[np.intp]) -> RegressionForecast:
        """Returns a half's forecast: its mean alone, unless the passes were kept."""
        prediction = self.prediction
        if prediction.samples is None or prediction.num_samples < 4:
            return replace(
                self._point(self._half_mean("group_means", "mean", chosen)), is_point=False
            )
        passes = self._passes_of(chosen)
        variances = prediction.sample_variances
        half = from_samples(
            prediction.samples[passes],
            prediction.deterministic,
            task=prediction.task,
            variances=None if variances is None else variances[passes],
            deterministic_variance=prediction.deterministic_variance,
        )
        return self._regression(half)

    def _passes_of(self, chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Returns which passes belong to the chosen groups, shape (T,)."""
        return np.isin(self.prediction.pass_groups, chosen)

    def _half_mean(self, of_groups: str, of_all: str, chosen: NDArray[np.intp]) -> Array:
        """Returns the mean over the passes of the chosen groups; of all where they have none."""
        values: Array = getattr(self.prediction, of_groups)
        mean: Array = getattr(self.prediction, of_all)
        counts = self.prediction.group_counts
        counts = counts.reshape(counts.shape + (1,) * (mean.ndim - 1))
        total = np.zeros(mean.shape)
        for group in chosen:
            total += counts[group] * values[group]
        passes = counts[chosen].sum(axis=0)
        return np.where(passes > 0, total / np.maximum(passes, 1), mean)


def make_problem(prediction: Prediction, y_true: ArrayLike, level: float) -> Problem:
    """Returns the prediction with its targets, checked against it.

    Raises:
        DataError: The targets do not fit the prediction.
    """
    if not isinstance(prediction, Prediction):
        raise DataError(
            f"`prediction` is a {type(prediction).__name__}, expected a Prediction. Of a model "
            "with several outputs evaluate each output's prediction by itself."
        )
    if len(prediction) < 2:
        raise DataError(
            f"`prediction` has {len(prediction)} example(s), expected at least 2: one example "
            "gives no interval."
        )
    if prediction.task in CLASS_TASKS:
        return Problem(prediction, _as_class_targets(prediction, y_true), level)
    return Problem(prediction, _as_numbers(prediction, y_true), level)


def _as_class_targets(prediction: Prediction, y_true: ArrayLike) -> NDArray[np.int64]:
    """Returns labels in the shape of the predicted classes; void ones stay."""
    *shape, num_classes = prediction.class_probabilities.shape
    labels = as_array("y_true", y_true)
    if labels.shape == (*shape, 1):
        labels = labels[..., 0]
    if len(shape) == 1 or labels.shape != tuple(shape):
        return as_labels("y_true", labels, tuple(shape), num_classes)
    void = labels == VOID_LABEL
    if void.all():
        raise DataError(f"`y_true` is {VOID_LABEL}, void, everywhere; expected some labels.")
    checked = as_labels("y_true", np.where(void, 0, labels), tuple(shape), num_classes)
    return np.where(void, VOID_LABEL, checked)


def _as_numbers(prediction: Prediction, y_true: ArrayLike) -> NDArray[np.float64]:
    """Returns targets in the shape of the predicted means."""
    targets = as_float("y_true", y_true)
    shape = prediction.mean.shape
    if targets.shape != shape and targets.shape not in (shape[:-1], (*shape, 1)):
        raise DataError(
            f"`y_true` has shape {targets.shape}, expected {shape}, the shape of the predictions."
        )
    if targets.size != prediction.mean.size:
        raise DataError(
            f"`y_true` has shape {targets.shape}, expected {shape}, one target for each output."
        )
    return targets.reshape(shape)


def _over_classes(task: str, std: Array) -> Array:
    """Returns the standard deviation averaged over classes; those of yes and no are equal."""
    return std.mean(axis=-1) if task == "classification" else std
