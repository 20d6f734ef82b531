"""Several models side by side, each with Monte Carlo dropout and without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase

import numpy as np

from mcdrop.diagnostics.calibration import CalibrationCurve, calibration_curves
from mcdrop.diagnostics.selective import SelectiveCurve, accuracy_curves, ending_at, error_curves
from mcdrop.errors import DataError
from mcdrop.evaluation import Comparison, Estimate, Evaluation
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.formatting import joined, plural
from mcdrop.evaluation.models import (
    OFF,
    Plain,
    compare_models,
    have_same_targets,
    metrics_apart,
    warnings_of,
)
from mcdrop.evaluation.records import ComparedMetric
from mcdrop.plot.inputs import class_forecasts
from mcdrop.report.content import Answer, ComparisonContent, Fact
from mcdrop.report.context import ReportContext, kind_of
from mcdrop.report.findings import deployed
from mcdrop.report.tables import OF_DISTRIBUTIONS, cell, ranked
from mcdrop.report.words import WORDS, isolated, lower

MAX_MODELS = 12
LONGEST_NAME = 24

QUESTIONS = {
    "mean_intersection_over_union": "Whose classes overlap the truth most?",
    "negative_log_likelihood": "Whose probabilities are best?",
    "accuracy": "Which is right most often?",
    "root_mean_squared_error": "Which predicts best?",
    "crps": "Whose distributions are best?",
}


def build_comparison(
    models: Mapping[str, Evaluation | Plain],
    context: ReportContext | None = None,
) -> ComparisonContent:
    """Returns the content of a comparison; see `mcdrop.report.compare`."""
    names = tuple(models)
    letters = dict(zip(names, ascii_uppercase, strict=False))
    evaluations = {n: each for n, each in models.items() if isinstance(each, Evaluation)}
    _check(names, evaluations)
    by_letter = {letters[name]: each for name, each in models.items()}
    evaluated = {letters[name]: each for name, each in evaluations.items()}
    first = next(iter(evaluations.values()))
    compared = None
    if len(evaluations) < len(models) or have_same_targets(evaluations):
        compared = compare_models(by_letter)
    metrics = compared.metrics if compared else metrics_apart(evaluated)
    short = dict(zip(letters.values(), shortened(names), strict=True))
    selective, calibration = _curves(by_letter, first)
    whole = {metric.name: metric.estimates for metric in metrics}
    selective = ending_at(selective, whole.get(next(iter(selective.values())).quality, {}))
    return ComparisonContent(
        letters=letters,
        context=_titled(context or ReportContext(), len(names)),
        kind=kind_of(first.prediction),
        num_examples=first.num_examples,
        num_samples={n: evaluations[n].num_samples if n in evaluations else 0 for n in names},
        confidence_level=first.confidence_level,
        paired=compared is not None,
        answers=_answers(metrics, compared, short),
        forecasts=compared.names if compared else tuple(by_letter),
        metrics=metrics,
        selective=selective,
        calibration=calibration,
        warnings=compared.warnings if compared else warnings_of(evaluated),
        findings=_findings(metrics, compared, selective, short),
    )


def _curves(
    models: Mapping[str, Evaluation | Plain], first: Evaluation
) -> tuple[dict[str, SelectiveCurve], dict[str, CalibrationCurve]]:
    """Returns quality against coverage, and calibration, of every forecast that has them.

    Args:
        models: Evaluations, and predictions of models without dropout.
        first: An evaluation, by whose targets the latter are scored.
    """
    selective: dict[str, SelectiveCurve] = {}
    calibration: dict[str, CalibrationCurve] = {}
    level, is_values = first.confidence_level, kind_of(first.prediction) == "values"
    for letter, model in models.items():
        named = {"MC dropout": letter, "deterministic": OFF.format(letter)}
        found: Mapping[str, SelectiveCurve] = {}
        if not is_values:
            forecasts = _class_forecasts(model, first)
            found = accuracy_curves(forecasts, confidence_level=level)
            curves = calibration_curves(forecasts, confidence_level=level)
            calibration |= {named[name]: curve for name, curve in curves.items()}
        elif isinstance(model, Evaluation):
            found = error_curves(model.prediction, model.y_true, confidence_level=level)
        selective |= {named[name]: curve for name, curve in found.items()}
    return selective, calibration


def _class_forecasts(model: Evaluation | Plain, first: Evaluation) -> dict[str, ClassForecast]:
    """Returns the forecasts of a model by name; of one without dropout its only one."""
    if isinstance(model, Evaluation):
        return class_forecasts(model.prediction, model.y_true)
    forecast = replace(first.prediction, deterministic=np.asarray(model))
    return {"deterministic": class_forecasts(forecast, first.y_true)["deterministic"]}


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


def _check(names: Sequence[str], evaluations: Mapping[str, Evaluation]) -> None:
    """Raises DataError unless the models are few, and those evaluated of one task and shape."""
    if not 2 <= len(names) <= MAX_MODELS:
        raise DataError(f"`evaluations` holds {len(names)} models, expected 2 to {MAX_MODELS}.")
    if not evaluations:
        raise DataError("No model was evaluated; at least one must have dropout.")
    tasks = {evaluation.task for evaluation in evaluations.values()}
    if len(tasks) > 1:
        listed = ", ".join(f"{name}: {each.task}" for name, each in evaluations.items())
        raise DataError(f"The models have different tasks ({listed}); compare models of one task.")
    sizes = {name: each.prediction.mean.shape[1:] for name, each in evaluations.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(
            f"{name}: {' x '.join(map(str, size)) or 1}" for name, size in sizes.items()
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
        return Answer(question, "few", "Not comparable", headline, tuple(facts))
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


def _findings(
    metrics: Sequence[ComparedMetric],
    compared: Comparison | None,
    selective: Mapping[str, SelectiveCurve],
    short: Mapping[str, str],
) -> dict[str, str]:
    """Returns a sentence without a full stop for each section, by its id."""
    if compared is None:
        return {
            "metrics": "Scored on different targets, so the models are not ranked",
            "threshold": "Each model on its own targets, the uncertain left out",
            "calibration": "Accuracy less confidence, each model on its own targets",
        }
    orders = {
        m.name: ranked({n: e for n, e in m.estimates.items() if not _is_point(m, n)}, m.better)
        for m in metrics
        if m.better != "neither"
    }
    firsts = Counter(order[0] for order in orders.values())
    (first, times), *_ = firsts.most_common() or [("", 0)]
    found = {"metrics": "Nothing here has a better and a worse side"}
    if first:
        clear = sum(
            all(compared.difference(name, first, other).excludes_zero for other in order[1:])
            for name, order in orders.items()
            if order[0] == first
        )
        scores = plural(firsts.total(), "score")
        alone = f"clear of all others in {clear or 'none'}"
        found["metrics"] = f"{_title(first, short)} comes first in {times} of {scores}, {alone}"
    quality = next(iter(selective.values())).quality
    is_share = quality == "accuracy"
    kept = {}
    for name, curve in selective.items():
        place = deployed(curve)
        value, low, high = (float(ends[place]) for ends in (curve.value, curve.low, curve.high))
        kept[name] = Estimate(value, low, high)
    best = ranked(kept, "higher" if is_share else "lower")[0]
    side = "the highest accuracy" if is_share else "the smallest error"
    told = cell(kept[best], as_percent=is_share)
    found["threshold"] = f"Of the most certain 90%, {_title(best, short)} has {side}: {told}"
    error = next((m for m in metrics if m.name == "expected_calibration_error"), None)
    if error is not None:
        least = ranked(error.estimates, "lower")[0]
        told, title = cell(error.estimates[least], as_percent=True), _title(least, short)
        found["calibration"] = f"{title} has the smallest calibration error: {told}"
    return found


def _is_point(metric: ComparedMetric, name: str) -> bool:
    """Returns whether the metric would judge a point forecast by a spread that it lacks."""
    has_spread = any("," in each for each in metric.estimates)
    return metric.name in OF_DISTRIBUTIONS and "," in name and has_spread


def _title(name: str, short: Mapping[str, str]) -> str:
    """Returns a forecast in words: its letter, its model's name, and whether dropout is off."""
    letter, _, off = name.partition(",")
    return f"{letter} ({isolated(short[letter])}){' without MC dropout' if off else ''}"
