"""Several models side by side, each with Monte Carlo dropout and without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

import numpy as np

from mcdrop.diagnostics.calibration import CalibrationCurve, calibration_curves
from mcdrop.diagnostics.selective import SelectiveCurve, accuracy_curves, ending_at, error_curves
from mcdrop.errors import DataError
from mcdrop.evaluation import Comparison, Evaluation, compare
from mcdrop.evaluation.formatting import joined
from mcdrop.evaluation.records import ComparedMetric, Estimate
from mcdrop.plot.inputs import class_forecasts
from mcdrop.report.content import Answer, ComparisonContent, Fact
from mcdrop.report.context import ReportContext, kind_of
from mcdrop.report.tables import OF_DISTRIBUTIONS, cell, ranked
from mcdrop.report.words import WORDS, isolated, lower

MAX_MODELS = 12
LONGEST_NAME = 24

OFF = "{}, off"
"""Name of a model's prediction without dropout; that with it has the letter alone."""

QUESTIONS = {
    "mean_intersection_over_union": "Whose classes overlap the truth most?",
    "negative_log_likelihood": "Whose probabilities are best?",
    "accuracy": "Which is right most often?",
    "root_mean_squared_error": "Which predicts best?",
    "crps": "Whose distributions are best?",
}


def build_comparison(
    evaluations: Mapping[str, Evaluation], context: ReportContext | None = None
) -> ComparisonContent:
    """Returns the content of a comparison; see `mcdrop.report.compare`."""
    names, found = tuple(evaluations), tuple(evaluations.values())
    _check(names, found)
    letters = dict(zip(names, ascii_uppercase, strict=False))
    truth = np.asarray(found[0].y_true)
    paired = all(np.array_equal(truth, np.asarray(other.y_true)) for other in found[1:])
    by_letter = dict(zip(letters.values(), found, strict=True))
    compared = _compared(by_letter) if paired else None
    metrics = compared.metrics if compared else _apart(by_letter)
    short = dict(zip(letters.values(), shortened(names), strict=True))
    selective, calibration = _curves(by_letter)
    whole = {metric.name: metric.estimates for metric in metrics}
    return ComparisonContent(
        letters=letters,
        context=_titled(context or ReportContext(), len(names)),
        kind=kind_of(found[0].prediction),
        num_examples=found[0].num_examples,
        num_samples={name: each.num_samples for name, each in evaluations.items()},
        confidence_level=found[0].confidence_level,
        paired=paired,
        answers=_answers(metrics, compared, short),
        forecasts=compared.names if compared else tuple(by_letter),
        metrics=metrics,
        selective=ending_at(selective, whole.get(next(iter(selective.values())).quality, {})),
        calibration=calibration,
    )


def _compared(evaluations: Mapping[str, Evaluation]) -> Comparison:
    """Returns every forecast beside the first model's, on the same examples."""
    first = next(iter(evaluations.values()))
    forecasts: dict[str, Any] = {}
    for letter, evaluation in evaluations.items():
        prediction = evaluation.prediction
        variance = prediction.deterministic_variance
        plain = prediction.deterministic
        forecasts[letter] = prediction
        forecasts[OFF.format(letter)] = plain if variance is None else (plain, variance)
    shared = [
        comparison.name
        for comparison in first.comparisons
        if all(comparison.name in _names(each) for each in evaluations.values())
    ]
    return compare(
        forecasts,
        first.y_true,
        metrics=shared,
        confidence_level=first.confidence_level,
        num_resamples=first.num_resamples,
        seed=first.seed,
    )


def _names(evaluation: Evaluation) -> set[str]:
    return {comparison.name for comparison in evaluation.comparisons}


def _apart(evaluations: Mapping[str, Evaluation]) -> tuple[ComparedMetric, ...]:
    """Returns the metrics of models with targets of their own, which have no differences."""
    metrics = []
    for each in next(iter(evaluations.values())).comparisons:
        estimates: dict[str, Estimate] = {}
        for letter, evaluation in evaluations.items():
            if each.name not in _names(evaluation):
                continue
            found = evaluation[each.name]
            estimates[letter] = found.monte_carlo
            if found.deterministic is not None:
                estimates[OFF.format(letter)] = found.deterministic
        metrics.append(
            ComparedMetric(
                each.name, each.title, each.unit, each.better, estimates, {}, {}, {}, each.note
            )
        )
    return tuple(metrics)


def _curves(
    evaluations: Mapping[str, Evaluation],
) -> tuple[dict[str, SelectiveCurve], dict[str, CalibrationCurve]]:
    """Returns quality against coverage, and calibration, of every forecast that has them."""
    selective: dict[str, SelectiveCurve] = {}
    calibration: dict[str, CalibrationCurve] = {}
    for letter, evaluation in evaluations.items():
        level = evaluation.confidence_level
        named = {"MC dropout": letter, "deterministic": OFF.format(letter)}
        if kind_of(evaluation.prediction) == "values":
            found = error_curves(evaluation.prediction, evaluation.y_true, confidence_level=level)
        else:
            forecasts = class_forecasts(evaluation.prediction, evaluation.y_true)
            found = accuracy_curves(forecasts, confidence_level=level)
            curves = calibration_curves(forecasts, confidence_level=level)
            calibration |= {named[name]: curve for name, curve in curves.items()}
        selective |= {named[name]: curve for name, curve in found.items()}
    return selective, calibration


def shortened(names: Sequence[str]) -> list[str]:
    """Returns the names without what all of them begin and end with, and cut where too long.

    Example:
        >>> shortened(["runs/cnn_small.keras", "runs/cnn_large.keras"])
        ['small', 'large']
    """
    words = [_words(name) for name in names]
    while all(len(each) > 1 for each in words) and len({each[0] for each in words}) == 1:
        words = [each[1:] for each in words]
    while all(len(each) > 1 for each in words) and len({each[-1] for each in words}) == 1:
        words = [each[:-1] for each in words]
    joined_words = ["".join(each).strip("/_-. ") for each in words]
    if not all(joined_words) or len(set(joined_words)) < len(names):
        joined_words = list(names)
    return [n if len(n) <= LONGEST_NAME else f"{n[: LONGEST_NAME - 1]}…" for n in joined_words]


def _words(name: str) -> list[str]:
    """Returns a name in parts that end at separators."""
    parts = [""]
    for letter in name:
        parts[-1] += letter
        if letter in "/_-. ":
            parts.append("")
    if name.endswith(".keras"):
        parts = [*_words(name.removesuffix(".keras")), ".keras"]
    return [part for part in parts if part]


def _titled(context: ReportContext, num_models: int) -> ReportContext:
    """Returns the context with a title, a plain one where none was given."""
    return replace(context, title=context.title or f"{num_models} models compared")


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


def _answers(
    metrics: Sequence[ComparedMetric], compared: Comparison | None, short: Mapping[str, str]
) -> tuple[Answer, ...]:
    """Returns which forecast is best by the main scores."""
    by_name = {metric.name: metric for metric in metrics}
    return tuple(
        _answer(question, by_name[name], compared, short)
        for name, question in QUESTIONS.items()
        if name in by_name
    )


def _answer(
    question: str, metric: ComparedMetric, compared: Comparison | None, short: Mapping[str, str]
) -> Answer:
    """Returns the best of all forecasts by one metric, and which the data cannot tell from it."""
    fair = {n: e for n, e in metric.estimates.items() if not _is_point(metric, n)}
    order = ranked(fair, metric.better)
    share, title = metric.unit == "share", lower(metric.title)
    facts = []
    for name in order[:3]:
        found = cell(fair[name], as_percent=share)
        facts.append(Fact(f"{_title(name, short)}: {title}", found.value, found.detail))
    best, *others = order
    side = "highest" if metric.better == "higher" else "lowest"
    lead = f"{_title(best, short)} has the {side} {title}"
    if compared is None:
        headline = "The models were scored on different targets, so they are not ranked."
        return Answer(question, "few", WORDS["few"], headline, tuple(facts))
    tied = [o for o in others if not compared.difference(metric.name, best, o).excludes_zero]
    if not tied:
        headline = f"{lead}, clear of the other {len(others)}."
        return Answer(question, "yes", "Clear", headline, tuple(facts))
    if len(tied) == len(others):
        headline = f"By {title} these data cannot tell the {len(order)} forecasts apart."
        return Answer(question, "few", WORDS["few"], headline, tuple(facts))
    named = [_title(name, short) for name in tied[:3]]
    named += [f"{len(tied) - 3} more"] if len(tied) > 3 else []
    headline = f"{lead}, but these data cannot tell it from {joined(named)}."
    return Answer(question, "partly", "Not alone", headline, tuple(facts))


def _is_point(metric: ComparedMetric, name: str) -> bool:
    """Returns whether the metric would judge a point forecast by a spread that it lacks."""
    has_spread = any("," in each for each in metric.estimates)
    return metric.name in OF_DISTRIBUTIONS and "," in name and has_spread


def _title(name: str, short: Mapping[str, str]) -> str:
    """Returns a forecast in words: its letter, its model's name, and whether dropout is off."""
    letter, _, off = name.partition(",")
    return f"{letter} ({isolated(short[letter])}){' without MC dropout' if off else ''}"
