"""Are T passes enough? Metrics against the number of passes, from the means of their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation.targets import VOID_LABEL
from mcdrop.metrics.scoring import accuracy, negative_log_likelihood
from mcdrop.pass_statistics import entropy
from mcdrop.prediction import CLASS_TASKS, Prediction

MAX_ELEMENTS = 2_000_000
"""Probabilities (or outputs) scored at once; of more, evenly spaced examples are taken."""

Array = NDArray[Any]
Score = Callable[[Array], list[float]]

_CLASS_TITLES = {
    "negative_log_likelihood": "Negative log-likelihood (nats)",
    "accuracy": "Accuracy",
    "predictive_entropy": "Mean predictive entropy (nats)",
}
_VALUE_TITLES = {"root_mean_squared_error": "Root mean squared error"}


@dataclass(frozen=True, eq=False)
class Convergence:
    """A metric against the number of passes, from the means of the groups of passes.

    Attributes:
        name: The metric.
        title: The same in words.
        passes: Number of passes, shape (K,).
        value: Mean of the metric over choices of so many passes, shape (K,).
        error: Monte Carlo standard error of the metric at so many passes, shape (K,).
        deterministic: The deterministic prediction's value; None when it has none.
        num_examples: Examples that the curve rests on; of very many, some evenly spaced ones.
    """

    name: str
    title: str
    passes: Array
    value: Array
    error: Array
    deterministic: float | None
    num_examples: int


def convergence(prediction: Prediction, y_true: Array) -> tuple[Convergence, ...]:
    """Returns curves of the task's main metrics; none when there are fewer than three groups.

    `y_true` holds the targets in the shape that the prediction calls for.
    """
    prediction, labels = _thinned(prediction, y_true)
    sizes = _sizes(prediction.group_counts)
    if len(sizes) < 3:
        return ()
    if prediction.task in CLASS_TASKS:
        titles, score = _CLASS_TITLES, _class_score(prediction, labels)
    else:
        titles, score = _VALUE_TITLES, _value_score(prediction, labels)
    # The means are as large as the prediction: score each and let it go. One table a number
    # of groups, one row a choice of groups, one column a metric.
    tables = [np.array([score(mean) for mean in _means(prediction, size)]) for size in sizes]
    plain = score(prediction.deterministic)
    num_groups = prediction.group_counts.shape[0]
    passes = prediction.num_samples_per_example.mean() * np.array(sizes) / num_groups
    return tuple(
        Convergence(
            name=name,
            title=title,
            passes=passes,
            value=np.array([table[:, place].mean() for table in tables]),
            error=standard_errors([table[:, place] for table in tables], num_groups),
            deterministic=plain[place],
            num_examples=len(prediction),
        )
        for place, (name, title) in enumerate(titles.items())
    )


def _thinned(prediction: Prediction, y_true: Array) -> tuple[Prediction, Array]:
    """Returns evenly spaced examples, few enough to score them a hundred times."""
    step = max(1, -(-prediction.mean.size // MAX_ELEMENTS))
    chosen = np.arange(0, len(prediction), step)
    return prediction.take(chosen), y_true[chosen]


def _class_score(prediction: Prediction, labels: Array) -> Score:
    """Returns the function from predictive means to the metrics of `_CLASS_TITLES`."""
    num_classes = 2 if prediction.task != "classification" else prediction.mean.shape[-1]
    flat_labels = labels.reshape(-1).astype(np.int64)
    known = flat_labels != VOID_LABEL
    truth = flat_labels[known]

    def score(mean: Array) -> list[float]:
        full = mean if prediction.task == "classification" else np.stack([1 - mean, mean], -1)
        flat = np.clip(full.reshape(-1, num_classes)[known], 0.0, 1.0)
        flat /= flat.sum(axis=-1, keepdims=True)
        return [
            negative_log_likelihood(flat, truth),
            accuracy(flat, truth),
            float(entropy(flat).mean()),
        ]

    return score


def _value_score(prediction: Prediction, labels: Array) -> Score:
    """Returns the function from predictive means to the metrics of `_VALUE_TITLES`."""
    targets = labels.reshape(prediction.mean.shape).astype(np.float64)
    return lambda mean: [float(np.sqrt(np.square(mean - targets).mean()))]


def _sizes(counts: Array) -> range:
    """Returns the numbers of groups for which each choice has passes of every example."""
    empty = int((counts == 0).sum(axis=0).max())
    return range(1 + empty, counts.shape[0] + 1)


def _means(prediction: Prediction, size: int) -> Iterator[Array]:
    """Yields the mean over each run of `size` consecutive groups, the last run wrapping round."""
    counts = prediction.group_counts
    num_groups = counts.shape[0]
    shape = (-1,) + (1,) * (prediction.mean.ndim - 1)
    for start in range(1 if size == num_groups else num_groups):
        total = np.zeros(prediction.mean.shape)
        for group in (start + np.arange(size)) % num_groups:
            total += counts[group].reshape(shape) * prediction.group_means[group]
        passes = counts[(start + np.arange(size)) % num_groups].sum(axis=0)
        yield total / passes.reshape(shape)


def standard_errors(values: Sequence[Array], num_groups: int) -> Array:
    """Returns the Monte Carlo standard error of a metric for each number of groups.

    Choices of k out of G groups vary by σ² (1/k - 1/G) around the value of all groups, so
    their variance divided by (1 - k/G) estimates σ²/k. Beyond half of the groups the choices
    are too alike to tell, the more so for metrics with steps such as the accuracy: the error
    at half of them is carried on as 1/√k.

    Args:
        values: The metric for each choice of k groups, for k upward to G; at k = G one choice.
        num_groups: G.
    """
    sizes = np.arange(num_groups - len(values) + 1, num_groups + 1)
    spread = np.array([np.std(chosen) for chosen in values])
    errors = spread / np.sqrt(np.maximum(1.0 - sizes / num_groups, 1.0 / num_groups))
    half = max(int((sizes <= num_groups / 2).sum()) - 1, 0)
    errors[half:] = errors[half] * np.sqrt(sizes[half] / sizes[half:])
    return errors
