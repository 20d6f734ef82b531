"""The first screen in words: what holds for every task. No sentence says more than an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.formatting import count, percent, plural
from mcdrop.evaluation.records import Estimate, MetricComparison
from mcdrop.report.content import (
    Answer,
    Fact,
    OutOfDistribution,
    Recalibrated,
    RepairedMetric,
    Separation,
)
from mcdrop.report.tables import READINGS, cell, difference_cell, direction, is_unfair
from mcdrop.report.words import WORDS, find, lower, share_text, titles

MetricT = TypeVar("MetricT", MetricComparison, RepairedMetric)

TRUST = "Can I trust it?"
CHANGE = "What does MC dropout change?"
FAILURE = "Where does it fail?"
NOTICE = "Does it notice other data?"
REPAIR = "Does recalibration help?"

SCORES = (
    "negative_log_likelihood",
    "brier_score",
    "accuracy",
    "mean_intersection_over_union",
    "expected_calibration_error",
    "area_under_risk_coverage",
    "root_mean_squared_error",
    "log_likelihood",
    "crps",
)
"""The metrics with a better and a worse side that the second answer weighs, in this order."""

PROPER = ("negative_log_likelihood", "brier_score", "log_likelihood", "crps")
"""Proper scores: when one of them worsens, so does the prediction as a whole."""

STRONG_AREA = 0.8
"""An area under the ROC curve that is called strong when its whole interval lies above."""

WEAK_AREA = 0.65
"""One that is called no better than chance, for practice, when its whole interval lies below."""

_CHANGE_WORDS = {"yes": "Better", "partly": "Mixed", "no": "Worse", "few": "No clear change"}


def change(evaluation: Evaluation) -> Answer:
    """Returns what MC dropout changes against the deterministic prediction."""
    found = [
        comparison
        for name in SCORES
        if (comparison := find(evaluation, name)) is not None
        and comparison.difference is not None
        and not is_unfair(evaluation, name)
    ]
    by_reading = _by_reading(found)
    better, worse, unknown = (by_reading[each] for each in ("better", "worse", "unknown"))
    shown = (better[:1] + worse[:1] + better[1:] + worse[1:] + found)[:2]
    facts = [_difference_fact(comparison) for comparison in dict.fromkeys(shown)]
    if evaluation.task in ("classification", "binary"):
        facts.append(_flips_fact(evaluation))
    tone, word = _balance(better, worse, unknown)
    if better and worse:
        headline = f"It improves {titles(better)} and worsens {titles(worse)}."
    elif better or worse:
        headline = f"It {'improves' if better else 'worsens'} {titles(better or worse)}."
    else:
        headline = f"{unmoved(evaluation.num_examples, by_reading)}; it adds the uncertainty."
    return Answer(CHANGE, tone, word, headline, tuple(facts))


def _by_reading(metrics: Sequence[MetricT]) -> dict[str, list[MetricT]]:
    """Returns the metrics by what their differences show; those that cannot change are left out."""
    found: dict[str, list[MetricT]] = {each: [] for each in READINGS}
    for metric in metrics:
        found[direction(metric.difference, metric.better)].append(metric)
    return found


def _balance(
    better: Sequence[Any], worse: Sequence[Any], unknown: Sequence[Any]
) -> tuple[str, str]:
    """Returns tone and word of some scores that got better, got worse, or cannot be judged."""
    if not better and not worse and unknown:
        return "few", WORDS["few"]
    tone = "partly" if better and worse else "yes" if better else "no" if worse else "few"
    return tone, _CHANGE_WORDS[tone]


def unmoved(num_examples: int, by_reading: Mapping[str, Sequence[MetricT]]) -> str:
    """Returns why no change is told, without a full stop: by chance, or because data are few."""
    examples = plural(num_examples, "example")
    unknown = by_reading["unknown"]
    if unknown and not by_reading["unclear"]:
        difference = unknown[0].difference
        reason = difference.reason if difference is not None else ""
        return f"{examples} are too few to judge a change ({reason})"
    too_few = f", too few to judge {titles(unknown)}" if unknown else ""
    return f"No score changes by more than chance in {examples}{too_few}"


def _difference_fact(comparison: MetricComparison) -> Fact:
    """Returns a metric without and with MC dropout, and its difference."""
    share = comparison.unit == "share"
    after = cell(comparison.monte_carlo, as_percent=share).value
    if comparison.difference is None or comparison.deterministic is None:
        return Fact(comparison.title, after, "")
    before = cell(comparison.deterministic, as_percent=share).value
    found = difference_cell(comparison.difference, as_percent=share)
    unit = " points" if share else ""
    return Fact(
        comparison.title, f"{before} → {after}", f"{found.value}{unit} {found.detail}".strip()
    )


def _flips_fact(evaluation: Evaluation) -> Fact:
    """Returns how many answers flip, and how many of them for the better."""
    prediction, truth = evaluation.prediction, evaluation.y_true
    predicted = prediction.predicted_class
    plain = prediction.deterministic_class_probabilities.argmax(axis=-1)
    known = truth >= 0
    flipped = (predicted != plain) & known
    label = "Pixels that flip" if predicted.ndim > 1 else "Answers that flip"
    gained = count(int((flipped & (predicted == truth)).sum()))
    lost = count(int((flipped & (plain == truth)).sum()))
    value = f"{count(int(flipped.sum()))} of {count(int(known.sum()))}"
    detail = f"{gained} become right, {lost} become wrong" if flipped.any() else ""
    return Fact(label, value, detail)


def tone_of_area(area: Estimate) -> str:
    """Returns the tone of an area under a ROC curve: what its whole interval allows to say."""
    if area.low >= STRONG_AREA:
        return "yes"
    if area.low > 0.5:
        return "partly"
    return "no" if area.high < WEAK_AREA else "few"


def notice(found: OutOfDistribution) -> Answer:
    """Returns whether the uncertainty tells other data from the evaluated data."""
    passes = [row for row in found.separations if row.source == "monte_carlo"]
    plain = [row for row in found.separations if row.source == "deterministic"]
    best = max(passes, key=lambda row: row.auroc.value)
    facts = [_area_fact(row) for row in [best, *plain, *(p for p in passes if p is not best)][:3]]
    tone = tone_of_area(best.auroc)
    lead = f"{best.title} is higher on the other data {share_text(best.auroc)} of the time"
    if tone == "few":
        lead = f"{plural(found.count, 'other example')} cannot tell {lower(best.title)} from chance"
    if tone == "no":
        lead = f"Hardly: {lower(lead)}"
    beside = f", without dropout {share_text(plain[0].auroc)}" if plain and tone != "few" else ""
    return Answer(NOTICE, tone, WORDS[tone], f"{lead}{beside}.", tuple(facts))


def _area_fact(row: Separation) -> Fact:
    found = cell(row.auroc)
    detail = f"{found.detail}; 0.5 is chance".removeprefix("; ")
    return Fact(f"AUROC, {lower(row.title)}", found.value, detail)


def repair(found: Recalibrated, num_examples: int) -> Answer:
    """Returns what recalibration changes, by more than chance."""
    by_reading = _by_reading([metric for metric in found.metrics if metric.name in SCORES])
    judged = [metric for reading in READINGS if reading != "same" for metric in by_reading[reading]]
    better, worse, unknown = (by_reading[each] for each in ("better", "worse", "unknown"))
    order = ("expected_calibration_error", *SCORES)
    better.sort(key=lambda metric: order.index(metric.name))
    shown = (better[:1] + worse[:1] + better[1:] + judged)[:3]
    facts = []
    for metric in {each.name: each for each in shown}.values():
        share = metric.unit == "share"
        before, after = (cell(each, as_percent=share) for each in (metric.before, metric.after))
        difference = difference_cell(metric.difference, as_percent=share)
        unit = " points" if share else ""
        detail = f"{difference.value}{unit} {difference.detail}".strip()
        facts.append(Fact(metric.title, f"{before.value} → {after.value}", detail))
    tone, word = _balance(better, worse, unknown)
    if better:
        first = facts[0].value.replace(" → ", " to ")
        headline = f"It takes the {lower(better[0].title)} from {first}"
        headline += f", and worsens {titles(worse)}." if worse else "."
    elif worse:
        headline = f"It worsens {titles(worse)}."
    else:
        headline = f"{unmoved(num_examples, by_reading)}."
    return Answer(REPAIR, tone, word, headline, tuple(facts))


def mistakes_fact(inside: Estimate, errors: int, taken: int, share: float) -> Fact:
    """Returns how many mistakes the most uncertain hold, beside chance and the most possible."""
    found = cell(inside, as_percent=True)
    most = min(1.0, taken / errors)
    ceiling = f"at most {percent(most)}, " if most < 1.0 else ""
    detail = f"{found.detail} of {plural(errors, 'mistake')}; {ceiling}{percent(share)} by chance"
    label = f"Mistakes in the most uncertain {percent(share, 0)}"
    return Fact(label, found.value, detail.strip())


def is_known(estimate: Estimate) -> bool:
    """Returns whether there is an interval."""
    return bool(np.isfinite(estimate.low))
