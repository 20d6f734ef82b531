"""Several models side by side: their metrics, and their paired differences to the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.evaluation import Estimate
from mcdrop.metrics.calibration import ReliabilityCurve
from mcdrop.metrics.regression import squared_error_per_example
from mcdrop.metrics.scoring import brier_score_per_example, negative_log_likelihood_per_example
from mcdrop.report import figures
from mcdrop.report.answers import Answers, answers_of, kind_of
from mcdrop.report.classes import reliability, selective
from mcdrop.report.content import Answer, Fact, Selective
from mcdrop.report.context import ReportContext
from mcdrop.report.figures import Figure
from mcdrop.report.formatting import joined
from mcdrop.report.tables import cell
from mcdrop.report.values import selective_values, targets_of
from mcdrop.weighted.bootstrap import percentile_interval, resample

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation, MetricComparison

Array = NDArray[Any]

MAX_MODELS = 12


@dataclass(frozen=True)
class ComparedMetric:
    """One metric of all models.

    Attributes:
        name: Name of the metric.
        title: The same in words.
        unit: Its unit; "share" is shown in percent.
        better: "higher", "lower" or "neither".
        monte_carlo: One estimate a model.
        deterministic: One a model, None where there is no such quantity.
        difference: Paired difference to the first model, one a model, the first's being 0;
            None when the metric has no paired form or the targets differ.
    """

    name: str
    title: str
    unit: str
    better: str
    monte_carlo: tuple[Estimate, ...]
    deterministic: tuple[Estimate | None, ...]
    difference: tuple[Estimate, ...] | None


@dataclass(frozen=True)
class ComparisonContent:
    """Everything that a comparison says.

    Attributes:
        names: Names of the models, the reference first.
        evaluations: Their evaluations, in that order.
        context: Where the numbers come from.
        kind: "classes", "labels", "pixels" or "values".
        paired: Whether all models were evaluated on the same targets.
        answers: Which model to choose.
        metrics: One a metric that all models have.
        selective: Risk against coverage, one a model.
        reliability: One a model; empty for a regression.
    """

    names: tuple[str, ...]
    evaluations: tuple[Evaluation, ...]
    context: ReportContext
    kind: str
    paired: bool
    answers: tuple[Answer, ...]
    metrics: tuple[ComparedMetric, ...]
    selective: tuple[Selective, ...]
    reliability: tuple[ReliabilityCurve, ...]


@dataclass(frozen=True)
class _Resampled:
    """A metric of every model on common resamples, shape (K, R), with its values (K,)."""

    values: Array
    drawn: Array

    def difference(self, model: int, other: int, level: float) -> Estimate:
        """Returns the paired difference of a model to another."""
        low, high = percentile_interval(self.drawn[model] - self.drawn[other], level)
        return Estimate(float(self.values[model] - self.values[other]), low, high)


def build_comparison(
    evaluations: Mapping[str, Evaluation], context: ReportContext | None = None
) -> ComparisonContent:
    """Returns the content of a comparison; see `mcdrop.report.compare`."""
    names, found = tuple(evaluations), tuple(evaluations.values())
    _check(names, found)
    kind = kind_of(found[0].prediction)
    level = found[0].confidence_level
    truth = np.asarray(found[0].y_true)
    paired = all(np.array_equal(truth, np.asarray(other.y_true)) for other in found[1:])
    answers = [] if kind == "values" else [answers_of(evaluation) for evaluation in found]
    resampled = _resampled(found, answers) if paired else {}
    metrics = tuple(
        _metric(comparison, found, resampled.get(comparison.name), level)
        for comparison in found[0].comparisons
        if all(_find(other, comparison.name) for other in found[1:])
    )
    return ComparisonContent(
        names=names,
        evaluations=found,
        context=_titled(context or ReportContext(), len(names)),
        kind=kind,
        paired=paired,
        answers=_answers(names, metrics, resampled, level),
        metrics=metrics,
        selective=tuple(selective(part, level) for part in answers)
        or tuple(selective_values(evaluation) for evaluation in found),
        reliability=tuple(reliability(part, part.probabilities, level) for part in answers),
    )


def _titled(context: ReportContext, num_models: int) -> ReportContext:
    """Returns the context with a title, a plain one where none was given."""
    return replace(context, title=context.title or f"{num_models} models compared")


def draw_comparison(content: ComparisonContent) -> dict[str, Figure]:
    """Returns the figures of a comparison by name."""
    drawn = [figures.compared_selective(content.selective, "risk_coverage")]
    for index, curve in enumerate(content.reliability):
        colour = figures.MODEL_COLOURS[index % len(figures.MODEL_COLOURS)]
        drawn.append(figures.reliability(curve, f"reliability_{index}", colour, f"model {index}"))
    return {figure.name: figure for figure in drawn}


def _check(names: Sequence[str], evaluations: Sequence[Evaluation]) -> None:
    if not 2 <= len(names) <= MAX_MODELS:
        raise DataError(f"`evaluations` holds {len(names)} models, expected 2 to {MAX_MODELS}.")
    tasks = {evaluation.task for evaluation in evaluations}
    if len(tasks) > 1:
        listed = ", ".join(f"{n}: {e.task}" for n, e in zip(names, evaluations, strict=True))
        raise DataError(f"The models have different tasks ({listed}); compare models of one task.")
    sizes = [evaluation.prediction.mean.shape[1:] for evaluation in evaluations]
    if len(set(sizes)) > 1:
        listed = ", ".join(
            f"{name}: {' x '.join(map(str, size)) or 1}"
            for name, size in zip(names, sizes, strict=True)
        )
        raise DataError(
            f"The models have different outputs ({listed}); compare models of the same classes or "
            "targets."
        )


def _find(evaluation: Evaluation, name: str) -> MetricComparison | None:
    return next((c for c in evaluation.comparisons if c.name == name), None)


def _resampled(
    evaluations: Sequence[Evaluation], answers: Sequence[Answers]
) -> dict[str, _Resampled]:
    """Returns the metrics that are means over examples, on resamples common to all models."""
    first = evaluations[0]
    if answers:
        examples, count = answers[0].example, len(first.prediction)
        losses: dict[str, tuple[list[Array], Callable[[Array], Array]]] = {
            "accuracy": ([1.0 * part.correct for part in answers], np.asarray),
            "negative_log_likelihood": (
                [negative_log_likelihood_per_example(a.probabilities, a.labels) for a in answers],
                np.asarray,
            ),
            "brier_score": (
                [brier_score_per_example(a.probabilities, a.labels) for a in answers],
                np.asarray,
            ),
        }
    else:
        errors = [squared_error_per_example(e.prediction.mean, targets_of(e)) for e in evaluations]
        examples, count = np.arange(errors[0].size), errors[0].size
        losses = {"root_mean_squared_error": (errors, np.sqrt)}
    sizes = np.bincount(examples, minlength=count)
    found = {}
    for name, (columns, transform) in losses.items():
        sums = np.stack([np.bincount(examples, column, count) for column in columns])
        statistics = [
            lambda w, s=row, f=transform: f(w @ s / np.maximum(w @ sizes, 1e-300)) for row in sums
        ]
        drawn = resample(statistics, count, num_resamples=first.num_resamples, seed=first.seed)
        found[name] = _Resampled(transform(sums.sum(axis=1) / sizes.sum()), drawn)
    return found


def _metric(
    comparison: MetricComparison,
    evaluations: Sequence[Evaluation],
    resampled: _Resampled | None,
    level: float,
) -> ComparedMetric:
    all_models = [evaluation[comparison.name] for evaluation in evaluations]
    return ComparedMetric(
        name=comparison.name,
        title=comparison.title,
        unit=comparison.unit,
        better=comparison.better,
        monte_carlo=tuple(found.monte_carlo for found in all_models),
        deterministic=tuple(found.deterministic for found in all_models),
        difference=None
        if resampled is None
        else tuple(resampled.difference(k, 0, level) for k in range(len(evaluations))),
    )


def _answers(
    names: Sequence[str],
    metrics: Sequence[ComparedMetric],
    resampled: Mapping[str, _Resampled],
    level: float,
) -> tuple[Answer, ...]:
    """Returns which model is best by the main score, and by accuracy."""
    answers = []
    wanted = {
        "negative_log_likelihood": "Whose probabilities are best?",
        "accuracy": "Which is right most often?",
        "root_mean_squared_error": "Which predicts best?",
        "crps": "Whose distributions are best?",
    }
    for name, question in wanted.items():
        metric = next((metric for metric in metrics if metric.name == name), None)
        if metric is not None:
            answers.append(_answer(question, names, metric, resampled.get(name), level))
    return tuple(answers)


def _answer(
    question: str,
    names: Sequence[str],
    metric: ComparedMetric,
    resampled: _Resampled | None,
    level: float,
) -> Answer:
    values = np.array([estimate.value for estimate in metric.monte_carlo])
    best = int(values.argmax() if metric.better == "higher" else values.argmin())
    others = [index for index in range(len(names)) if index != best]
    if resampled is None:
        level_with = [
            k for k in others if _overlap(metric.monte_carlo[k], metric.monte_carlo[best])
        ]
    else:
        differences = {k: resampled.difference(k, best, level) for k in others}
        level_with = [k for k in others if differences[k].low <= 0.0 <= differences[k].high]
    share = metric.unit == "share"
    cells = [cell(estimate, as_percent=share) for estimate in metric.monte_carlo]
    order = np.argsort(-values if metric.better == "higher" else values, kind="stable")[:3]
    facts = tuple(Fact(names[k], cells[k].value, cells[k].interval) for k in order)
    if not level_with:
        return Answer(question, f"{names[best]}, clear of the others.", facts, "good")
    tied = joined([names[k] for k in level_with])
    headline = f"{names[best]}, but these data cannot tell it from {tied}."
    return Answer(question, headline, facts, "caution")


def _overlap(first: Estimate, second: Estimate) -> bool:
    return first.low <= second.high and second.low <= first.high
