"""The first screen in words: can I trust it, what does MC dropout change, where does it fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mcdrop.report.answers import Answers
from mcdrop.report.content import Answer, ClassRow, Confusion, Fact, Regression
from mcdrop.report.formatting import count, joined, number, percent, plural
from mcdrop.report.intervals import binomial_interval, mean_interval
from mcdrop.report.tables import (
    cell,
    difference_cell,
    is_share,
    number_cell,
    reading,
    share_cell,
)

if TYPE_CHECKING:
    from mcdrop.evaluation import Estimate, Evaluation, MetricComparison
    from mcdrop.report.recalibration import RepairedMetric

TRUST = "Can I trust it?"
CHANGE = "What does MC dropout change?"
FAILURE = "Where does it fail?"

SCORES = (
    "negative_log_likelihood",
    "brier_score",
    "accuracy",
    "expected_calibration_error",
    "area_under_risk_coverage",
    "root_mean_squared_error",
    "log_likelihood",
    "crps",
)
"""The metrics with a better and a worse side that the second answer weighs, in this order."""

PROPER = ("negative_log_likelihood", "brier_score", "log_likelihood", "crps")
"""Proper scores: when one of them worsens, so does the prediction as a whole."""

PROPER_NOUNS = ("Brier",)


def find(evaluation: Evaluation, name: str) -> MetricComparison | None:
    """Returns a comparison by name, or None when it was not computed."""
    for comparison in evaluation.comparisons:
        if comparison.name == name:
            return comparison
    return None


def change(evaluation: Evaluation) -> Answer:
    """Returns what MC dropout changes against the deterministic prediction."""
    found = [
        comparison
        for name in SCORES
        if (comparison := find(evaluation, name)) is not None and comparison.difference is not None
    ]
    better = [comparison for comparison in found if reading(comparison) == "better"]
    worse = [comparison for comparison in found if reading(comparison) == "worse"]
    shown = (better[:1] + worse[:1] + better[1:] + worse[1:] + found)[:2]
    facts = [_difference_fact(comparison) for comparison in dict.fromkeys(shown)]
    if evaluation.task in ("classification", "binary"):
        facts.append(_flips_fact(evaluation))
    if better and not worse:
        return Answer(CHANGE, f"It improves {titles(better)}.", tuple(facts), "good")
    if worse and not better:
        tone = "bad" if any(comparison.name in PROPER for comparison in worse) else "caution"
        return Answer(CHANGE, f"It worsens {titles(worse)}.", tuple(facts), tone)
    if better:
        headline = f"It improves {titles(better)} and worsens {titles(worse)}."
        return Answer(CHANGE, headline, tuple(facts), "caution")
    headline = "No score by more than chance; what it adds is the uncertainty."
    return Answer(CHANGE, headline, tuple(facts), "caution")


def titles(metrics: Sequence[MetricComparison] | Sequence[RepairedMetric]) -> str:
    """Returns the titles of metrics within a sentence, the first two of many."""
    found = [_lower(metric.title) for metric in metrics]
    return joined(found if len(found) <= 3 else [*found[:2], f"{len(found) - 2} more"])


def _lower(title: str) -> str:
    """Returns a title within a sentence; acronyms and proper nouns stay as they are."""
    if title[:2].isupper() or title.startswith(PROPER_NOUNS):
        return title
    return title[:1].lower() + title[1:]


def _difference_fact(comparison: MetricComparison) -> Fact:
    """Returns a metric without and with MC dropout, and its difference."""
    share = is_share(comparison)
    after = cell(comparison.monte_carlo, as_percent=share).value
    if comparison.difference is None or comparison.deterministic is None:
        return Fact(comparison.title, after, "")
    before = cell(comparison.deterministic, as_percent=share).value
    found = difference_cell(comparison.difference, as_percent=share)
    unit = " points" if share else ""
    return Fact(
        comparison.title, f"{before} → {after}", f"{found.value}{unit} {found.interval}".strip()
    )


def _flips_fact(evaluation: Evaluation) -> Fact:
    """Returns how many answers flip, and how many of them for the better."""
    prediction = evaluation.prediction
    truth = np.asarray(evaluation.y_true)
    predicted = prediction.predicted_class
    plain = prediction.deterministic_class_probabilities.argmax(axis=-1)
    flipped = predicted != plain
    label = "Pixels that flip" if predicted.ndim > 1 else "Answers that flip"
    gained = count(int((flipped & (predicted == truth)).sum()))
    lost = count(int((flipped & (plain == truth)).sum()))
    value = f"{count(int(flipped.sum()))} of {count(flipped.size)}"
    detail = f"{gained} become right, {lost} become wrong" if flipped.any() else ""
    return Fact(label, value, detail)


def trust_classes(evaluation: Evaluation, answers: Answers) -> Answer:
    """Returns whether answers and confidences of a classifier can be relied on."""
    accuracy = find(evaluation, "accuracy")
    value = float(answers.correct.mean()) if accuracy is None else accuracy.monte_carlo.value
    low = value if accuracy is None else accuracy.monte_carlo.low
    frequent = float(np.bincount(answers.labels).max() / len(answers))
    facts, right = [], percent(value)
    if accuracy is not None:
        found = cell(accuracy.monte_carlo, as_percent=True)
        right = found.value
        detail = f"{found.interval}; always naming one class gives {percent(frequent)}"
        facts.append(Fact("Accuracy", found.value, detail))
    calibration, calibrated = _calibration_fact(evaluation)
    facts.extend(calibration)
    level, effect = evaluation.confidence_level, answers.design_effect
    confidence = answers.probabilities.max(axis=-1)
    found = share_cell(mean_interval(confidence, level, design_effect=effect, most=1.0))
    detail = f"{found.interval}; equals the accuracy when calibrated"
    facts.append(Fact("Mean confidence", found.value, detail))
    lead = f"Right {right} of the time"
    if low <= frequent:
        headline = f"{lead}, not measurably better than always naming the most frequent class."
        return Answer(TRUST, headline, tuple(facts), "bad")
    if calibrated:
        headline = f"{lead}, and its confidence is off by no more than chance."
        return Answer(TRUST, headline, tuple(facts), "good")
    gap = mean_interval(confidence - answers.correct, level, design_effect=effect)
    fault = "overconfident" if gap.value > 0 else "underconfident"
    if gap.low <= 0 <= gap.high:
        fault = "its confidence is right on average only, not everywhere"
    return Answer(TRUST, f"{lead}, but {fault}.", tuple(facts), "caution")


def _calibration_fact(evaluation: Evaluation) -> tuple[list[Fact], bool]:
    """Returns the calibration error, and whether it is within chance."""
    comparison = find(evaluation, "expected_calibration_error")
    if comparison is None or comparison.floor is None:
        return [], False
    found = cell(comparison.monte_carlo, as_percent=True)
    floor = comparison.floor
    chance = f"chance alone gives {percent(floor.low)} to {percent(floor.high)}"
    fact = Fact("Calibration error", found.value, f"{found.interval}; {chance}")
    return [fact], comparison.monte_carlo.value <= floor.high


def failure_classes(
    evaluation: Evaluation, rows: Sequence[ClassRow], confusion: Confusion | None, wrong: int
) -> Answer:
    """Returns which class fails most, and whether the uncertainty sees mistakes coming."""
    if wrong == 0:
        return Answer(FAILURE, "Nowhere in these data: every answer is right.", (), "good")
    worst = min((row for row in rows if row.count), key=lambda row: row.accuracy.value)
    found = share_cell(worst.accuracy)
    detail = found.interval
    if worst.confused_with is not None:
        detail += f"; {count(worst.confused_count)} taken for {worst.confused_with}"
    facts = [Fact(f"Right on {worst.name}", found.value, detail)]
    if confusion is not None:
        inside = share_cell(
            binomial_interval(
                confusion.errors_inside, confusion.errors, evaluation.confidence_level
            )
        )
        among = f"of {plural(confusion.errors, 'mistake')}, in the {percent(confusion.share, 0)}"
        detail = f"{inside.interval} {among} most uncertain"
        facts.append(Fact("Mistakes among the uncertain", inside.value, detail))
    detection = find(evaluation, "error_detection_auroc")
    if detection is None:
        return Answer(FAILURE, f"Least often right on {worst.name}.", tuple(facts), "caution")
    area = detection.monte_carlo
    found = cell(area, as_percent=False)
    facts.append(Fact("Error detection AUROC", found.value, f"{found.interval}; 0.5 is chance"))
    headline = f"Least often right on {worst.name}; its uncertainty {_flag_words(area)}."
    return Answer(FAILURE, headline, tuple(facts), "good" if area.value >= 0.8 else "caution")


def _flag_words(area: Estimate) -> str:
    """Returns what an area under the ROC curve says of the uncertainty."""
    if not area.low > 0.5:
        return "does not measurably tell mistakes from right answers"
    often = cell(area, as_percent=True).value
    return f"is higher on a mistake than on a right answer {often} of the time"


def trust_values(evaluation: Evaluation, regression: Regression) -> Answer:
    """Returns whether predictions and intervals of a regression can be relied on."""
    targets = np.asarray(evaluation.y_true, dtype=np.float64).reshape(
        evaluation.prediction.mean.shape
    )
    spread = float(targets.var())
    errors = np.square(targets - evaluation.prediction.mean)
    explained = 1.0 - float(errors.mean()) / spread if spread > 0 else float("nan")
    facts = []
    error = find(evaluation, "root_mean_squared_error")
    if error is not None:
        found = cell(error.monte_carlo, as_percent=False)
        detail = f"{found.interval}; the targets spread by {number(float(np.sqrt(spread)))}"
        facts.append(Fact("Root mean squared error", found.value, detail))
    coverage = find(evaluation, "interval_coverage")
    nominal = percent(regression.level, 0)
    if coverage is not None:
        found = cell(coverage.monte_carlo, as_percent=True)
        noise = "" if regression.states_noise else "; the model states no noise of the targets"
        detail = f"{found.interval}{noise}"
        facts.append(Fact(f"Targets inside {nominal} intervals", found.value, detail))
    if not explained > 0:
        headline = "It predicts no better than the mean of the targets."
        return Answer(TRUST, headline, tuple(facts), "bad")
    lead = f"It explains {percent(explained, 0)} of the variance"
    if coverage is None:
        return Answer(TRUST, f"{lead}.", tuple(facts), "caution")
    covered = coverage.monte_carlo
    if covered.low <= regression.level <= covered.high:
        return Answer(
            TRUST,
            f"{lead}, and its intervals cover as often as stated, within chance.",
            tuple(facts),
            "good",
        )
    fault = "too narrow" if covered.value < regression.level else "wider than needed"
    return Answer(TRUST, f"{lead}, but its intervals are {fault}.", tuple(facts), "caution")


def failure_values(regression: Regression) -> Answer:
    """Returns whether the spread of a regression sees large errors coming."""
    ends = (("Error where most certain", 0), ("Error where least certain", -1))
    facts = []
    for label, place in ends:
        found = number_cell(
            float(regression.bin_error[place]),
            float(regression.bin_low[place]),
            float(regression.bin_high[place]),
        )
        stated = f"stated deviation {number(float(regression.bin_std[place]))}"
        facts.append(Fact(label, found.value, f"{found.interval}; {stated}".strip("; ")))
    correlation = regression.rank_correlation
    found = number_cell(correlation.value, correlation.low, correlation.high)
    detail = f"{found.interval}; of error and stated deviation".strip("; ")
    facts.append(Fact("Rank correlation", found.value, detail))
    if not correlation.low > 0:
        headline = "Its stated deviation does not measurably tell where errors are large."
        return Answer(FAILURE, headline, tuple(facts), "caution")
    strong = correlation.value >= 0.3
    lead = "Its errors tend to be larger where its stated deviation is"
    headline = f"{lead}." if strong else f"{lead}, but only weakly."
    return Answer(FAILURE, headline, tuple(facts), "good" if strong else "caution")
