"""Several models side by side: each with Monte Carlo dropout and without, or without alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mcdrop.errors import DataError
from mcdrop.evaluation.comparing import compare
from mcdrop.evaluation.records import ComparedMetric, Estimate
from mcdrop.evaluation.results import Comparison, Evaluation

Plain = ArrayLike | tuple[ArrayLike, ArrayLike]
"""What a model without dropout predicts, as `mcdrop.compare` takes it."""

OFF = "{}, off"
"""Name of a model's prediction without dropout; that with it has the model's name alone."""


def compare_models(models: Mapping[str, Evaluation | Plain]) -> Comparison:
    """Returns the comparison of all forecasts of several models, on the same examples.

    The reference is the first model, with its dropout on where it has dropout. Values and
    intervals of an evaluated model are those of its evaluation, so that one quantity has one
    interval; the differences of any two forecasts are paired.

    Args:
        models: Evaluations on the same targets by name, at least one; and predictions of models
            without dropout for the same examples.

    Raises:
        DataError: No model was evaluated, targets differ, or a forecast does not fit them.
    """
    evaluations = {n: each for n, each in models.items() if isinstance(each, Evaluation)}
    if not evaluations:
        raise DataError("No model has dropout, so there is none to evaluate. Give one that has.")
    first = next(iter(evaluations.values()))
    if not have_same_targets(evaluations):
        raise DataError("The models were evaluated on different targets; evaluate all on the same.")
    forecasts: dict[str, Any] = {}
    for name, each in models.items():
        if not isinstance(each, Evaluation):
            forecasts[OFF.format(name)] = each
            continue
        prediction = each.prediction
        variance, plain = prediction.deterministic_variance, prediction.deterministic
        forecasts[name] = prediction
        forecasts[OFF.format(name)] = plain if variance is None else (plain, variance)
    named = [{metric.name for metric in each.comparisons} for each in evaluations.values()]
    shared = [each.name for each in first.comparisons if all(each.name in names for names in named)]
    compared = compare(
        forecasts,
        first.y_true,
        metrics=shared,
        confidence_level=first.confidence_level,
        num_resamples=first.num_resamples,
        seed=first.seed,
        task=first.task,
    )
    own = estimates_of(evaluations)
    metrics = tuple(
        replace(metric, estimates={**metric.estimates, **own[metric.name]})
        for metric in compared.metrics
    )
    return replace(compared, metrics=metrics, warnings=warnings_of(evaluations))


def warnings_of(evaluations: Mapping[str, Evaluation]) -> dict[str, str]:
    """Returns the warnings of evaluations, each once, behind the names that it is about."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, evaluation in evaluations.items():
        for found in evaluation.warnings.items():
            names.setdefault(found, []).append(name)
    return {
        f"{key} of {', '.join(about)}": f"{', '.join(about)}: {warning}"
        for (key, warning), about in names.items()
    }


def have_same_targets(evaluations: Mapping[str, Evaluation]) -> bool:
    """Returns whether all evaluations are of the same targets."""
    first, *others = (np.asarray(each.y_true) for each in evaluations.values())
    return all(np.array_equal(first, other) for other in others)


def estimates_of(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, Estimate]]:
    """Returns the estimates of evaluations by metric, and by the names of their forecasts."""
    found: dict[str, dict[str, Estimate]] = {}
    for name, evaluation in evaluations.items():
        for each in evaluation.comparisons:
            estimates = found.setdefault(each.name, {})
            estimates[name] = each.monte_carlo
            if each.deterministic is not None:
                estimates[OFF.format(name)] = each.deterministic
    return found


def metrics_apart(evaluations: Mapping[str, Evaluation]) -> tuple[ComparedMetric, ...]:
    """Returns the metrics of models with targets of their own, which have no differences."""
    estimates = estimates_of(evaluations)
    return tuple(
        ComparedMetric(
            each.name,
            each.title,
            each.unit,
            each.better,
            estimates[each.name],
            {},
            {},
            {},
            each.note,
        )
        for each in next(iter(evaluations.values())).comparisons
    )
