"""A forecast with its targets: one type for class tasks, one for numbers.

What a measure reads is here and nothing else: where a forecast came from, an array or the passes
of a Prediction, is the matter of `mcdrop.evaluation.sources`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.metrics.scoring import SMALLEST_PROBABILITY
from mcdrop.pass_statistics import entropy
from mcdrop.weighted.arrays import TiedGroups, equalled, group_ties
from mcdrop.weighted.units import Units

Array = NDArray[Any]
Labels = NDArray[np.int64]
Rows = NDArray[np.intp]
Table = Callable[["slice | Rows"], Array]
"""Class probabilities of some units, shape (m, C)."""

CHUNK_ELEMENTS = 2**18
"""Probabilities looked at together: 2 MiB of float64, so that what is made of them stays near."""


@dataclass(frozen=True, eq=False)
class ClassColumns:
    """What most measures need of class probabilities, one number a unit, each of shape (M,).

    Attributes:
        predicted: The most probable class, the first of tied ones.
        confidence: Its probability.
        chosen: Probability of the label.
        square: Sum of the squared probabilities.
        entropy: In nats.
    """

    predicted: Labels
    confidence: Array
    chosen: Array
    square: Array
    entropy: Array

    def take(self, units: Rows) -> ClassColumns:
        """Returns the columns of some units."""
        return ClassColumns(*(getattr(self, each.name)[units] for each in fields(self)))


def class_columns(table: Table, labels: Labels, num_classes: int) -> ClassColumns:
    """Returns the columns of probabilities, shape (M, C), that are read piece by piece."""
    columns = ClassColumns(
        np.empty(labels.size, np.int64), *(np.empty(labels.size) for _ in range(4))
    )
    step = max(1, CHUNK_ELEMENTS // num_classes)
    for start in range(0, labels.size, step):
        piece = slice(start, start + step)
        part = table(piece)
        rows = np.arange(part.shape[0])
        columns.predicted[piece] = part.argmax(axis=1)
        columns.confidence[piece] = part[rows, columns.predicted[piece]]
        columns.chosen[piece] = part[rows, labels[piece]]
        columns.square[piece] = np.einsum("ij,ij->i", part, part)
        columns.entropy[piece] = entropy(part)
    return replace(columns, entropy=equalled(columns.entropy))


@dataclass(frozen=True, eq=False)
class ClassForecast:
    """Class probabilities of M units with their labels.

    Attributes:
        table: Reads the probabilities; measures that can do without them spare the memory.
        num_classes: C.
        labels: Shape (M,).
        units: How the units belong to examples.
        dense: Whether the units are pixels.
        columns: What the probabilities come to, one number a unit.
        position: Which of several labels each unit is, shape (M,), multilabel only.
        expected_entropy: Mean entropy of the passes, shape (M,).
        mutual_information: Of the passes at hand, shape (M,).
        variation_ratio: Shape (M,).
        standard_deviation: Over the passes, averaged over classes, shape (M,). This and the
            four above are None where they are not known: without passes, for instance.
    """

    table: Table
    num_classes: int
    labels: Labels
    units: Units
    dense: bool
    columns: ClassColumns
    position: Rows | None = None
    expected_entropy: Array | None = None
    mutual_information: Array | None = None
    variation_ratio: Array | None = None
    standard_deviation: Array | None = None

    @cached_property
    def probabilities(self) -> Array:
        """Class probabilities, shape (M, C)."""
        return self.table(slice(None))

    @cached_property
    def correct(self) -> NDArray[np.float64]:
        """1 where the most probable class is the label, else 0, shape (M,)."""
        return np.asarray((self.columns.predicted == self.labels).astype(np.float64))

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """1 where the most probable class is not the label, else 0, shape (M,)."""
        return 1.0 - self.correct

    @cached_property
    def ranking(self) -> TiedGroups:
        """The units in the order of their predictive entropy."""
        return group_ties(self.predictive_entropy)

    @property
    def confidence(self) -> Array:
        """Largest probability, shape (M,)."""
        return self.columns.confidence

    @property
    def predictive_entropy(self) -> Array:
        """Entropy of the probabilities in nats, shape (M,)."""
        return self.columns.entropy

    @cached_property
    def log_loss(self) -> Array:
        """Loss -log p of each label in nats, shape (M,)."""
        return np.asarray(np.abs(np.log(np.clip(self.columns.chosen, SMALLEST_PROBABILITY, 1.0))))

    @cached_property
    def brier_loss(self) -> Array:
        """Squared distance from the one-hot label, shape (M,)."""
        return np.maximum(self.columns.square - 2.0 * self.columns.chosen + 1.0, 0.0)

    def relabelled(self, labels: Labels) -> ClassForecast:
        """Returns the forecast with other labels, shape (M,)."""
        chosen = self.probabilities[np.arange(labels.size), labels]
        return replace(self, labels=labels, columns=replace(self.columns, chosen=chosen))

    def extended(self, rows: Rows, labels: Labels) -> ClassForecast:
        """Returns the forecast with some examples once more, under labels of their own.

        Args:
            rows: The examples that are repeated, shape (m,).
            labels: Labels of all their units, in the order of `units.repeated`.
        """
        units, copies = self.units.repeated(rows)
        every = np.concatenate([np.arange(self.labels.size), copies])
        columns = self.columns.take(every)
        columns.chosen[self.labels.size :] = self.table(copies)[np.arange(copies.size), labels]
        optional = {name: getattr(self, name) for name in _OPTIONAL}
        repeated: dict[str, Any] = {
            name: None if values is None else values[every] for name, values in optional.items()
        }
        return replace(
            self,
            table=lambda chosen: self.table(every[chosen]),
            labels=np.concatenate([self.labels, labels]),
            units=units,
            columns=columns,
            **repeated,
        )


_OPTIONAL = (
    "position",
    "expected_entropy",
    "mutual_information",
    "variation_ratio",
    "standard_deviation",
)


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
        num_draws: Draws of the first masks, fewer than passes where these share them.
        aleatoric_variance: "gaussian" only.
        epistemic_variance: "gaussian" only.
        is_point: Whether the forecast is one number without a distribution.
        borrows_spread: Whether the variance is that of other passes than the mean: halves of
            passes that were not kept know no variance of their own.
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
    num_draws: int = 0
    aleatoric_variance: Array | None = None
    epistemic_variance: Array | None = None
    is_point: bool = False
    borrows_spread: bool = False


Forecast = ClassForecast | RegressionForecast


def are_equal(first: Forecast, second: Forecast) -> bool:
    """Returns whether two forecasts of the same examples say the same of each of them."""
    if isinstance(first, ClassForecast) and isinstance(second, ClassForecast):
        ours, theirs = first.columns, second.columns
        return np.array_equal(ours.predicted, theirs.predicted) and all(
            np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12, atol=1e-15)
            for name in ("confidence", "chosen", "entropy")
        )
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("mean", "variance")
    )
