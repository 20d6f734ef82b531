"""Can a classifier be trusted, and where does it fail? In words, from the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcdrop.diagnostics.confusion import Confusion
from mcdrop.diagnostics.estimates import mean, share
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.baselines import baseline
from mcdrop.evaluation.detection import MONTE_CARLO, mean_confidences
from mcdrop.evaluation.forecasts import ClassForecast
from mcdrop.evaluation.formatting import count, joined, percent, plural
from mcdrop.evaluation.records import Estimate
from mcdrop.report.content import Answer, ClassRow, Fact
from mcdrop.report.context import kind_of
from mcdrop.report.tables import cell, share_cell
from mcdrop.report.verdict import FAILURE, TRUST, is_known, mistakes_fact, tone_of_area
from mcdrop.report.words import WORDS, find, isolated, points, share_text

TOLERATED = 0.05
"""A calibration error that is called right when the whole interval lies below."""

MOST_NAMED = 3

BASELINES = {
    "classes": "always naming the most frequent class",
    "labels": "always giving each label its more frequent value",
    "pixels": "always naming the most frequent class",
}


def trust(evaluation: Evaluation, forecast: ClassForecast) -> Answer:
    """Returns whether answers and confidences of a classifier can be relied on."""
    level, example = evaluation.confidence_level, forecast.units.example
    found = find(evaluation, "accuracy")
    right = found.monte_carlo if found else share(forecast.correct, example, level)
    kind = kind_of(evaluation.prediction)
    known = baseline(evaluation)
    constant = f"{share_text(replace(right, value=known.constant))} by {BASELINES[kind]}"
    accuracy = share_cell(right)
    facts = [Fact("Accuracy", accuracy.value, f"{accuracy.detail}; {constant}".strip("; "))]
    lead = f"Right {share_text(right)} of the time"
    overlap = find(evaluation, "mean_intersection_over_union") if kind == "pixels" else None
    if overlap is not None:
        mean_overlap = share_cell(overlap.monte_carlo)
        facts.insert(0, Fact("Mean IoU", mean_overlap.value, mean_overlap.detail))
        lead = f"Its classes overlap the truth by {mean_overlap.value} (mean IoU)"
    error = find(evaluation, "expected_calibration_error")
    if error is not None:
        shown = share_cell(error.monte_carlo)
        chance = ""
        if error.floor is not None:
            chance = f"; chance gives {percent(error.floor.low)} to {percent(error.floor.high)}"
        facts.append(Fact("Calibration error", shown.value, f"{shown.detail}{chance}".strip("; ")))
    if len(facts) < 3:
        shown = share_cell(mean_confidences(evaluation)[MONTE_CARLO])
        detail = f"{shown.detail}; equals the accuracy when calibrated".strip("; ")
        facts.append(Fact("Mean confidence", shown.value, detail))
    tone, rest = _judged(
        evaluation, forecast, known.gain, None if error is None else error.monte_carlo
    )
    return Answer(TRUST, tone, WORDS[tone], f"{lead}{rest}", tuple(facts))


def _judged(
    evaluation: Evaluation, forecast: ClassForecast, gain: Estimate, error: Estimate | None
) -> tuple[str, str]:
    """Returns tone and end of the sentence: better than a constant, and honest about itself?"""
    examples = plural(evaluation.num_examples, "example")
    constant = BASELINES[kind_of(evaluation.prediction)]
    if gain.high <= 0:
        return "no", f", no better than {constant}."
    if not gain.low > 0:
        return "few", f"; {examples} are too few to tell it from {constant}."
    if error is None:
        return "partly", "; its calibration was not scored."
    if not is_known(error):
        return "few", f"; too few to judge its confidence ({error.reason})."
    fault = _fault(evaluation, forecast, error)
    if fault:
        return "partly", f", but {fault}."
    if error.high <= TOLERATED:
        return "yes", f", and its confidence is right to within {points(error.high)}."
    return (
        "few",
        f"; its confidence may be off by up to {points(error.high)}, {examples} cannot say.",
    )


def _fault(evaluation: Evaluation, forecast: ClassForecast, error: Estimate) -> str:
    """Returns how the confidence is shown to be off: on the whole, or in places only; or ""."""
    gaps, level = forecast.confidence - forecast.correct, evaluation.confidence_level
    gap = mean(gaps, forecast.units.example, level, bounds=(-1.0, 1.0))
    # A gap on the whole is a calibration error, and shows with fewer examples.
    is_small = error.low <= 0 and error.high <= TOLERATED
    if gap.low > 0 and not is_small:
        return f"overconfident by {points(gap.value)}"
    if gap.high < 0 and not is_small:
        return f"underconfident by {points(-gap.value)}"
    if error.low > 0:
        return f"its confidence is off by {points(error.value)}, in both directions"
    return ""


def failure(
    evaluation: Evaluation,
    forecast: ClassForecast,
    rows: Sequence[ClassRow],
    confusion: Confusion | None,
) -> Answer:
    """Returns which classes fail most, and whether the uncertainty sees mistakes coming."""
    correct, example = forecast.correct, forecast.units.example
    level = evaluation.confidence_level
    wrong = int((correct == 0).sum())
    if wrong == 0:
        most = share(correct, example, level)
        bound = percent(1.0 - most.low) if is_known(most) else "more"
        headline = f"Nowhere in these data; up to {bound} mistakes are still possible."
        return Answer(FAILURE, "few", "No mistake seen", headline, ())
    worst, shown = _worst(rows, level)
    facts = [_class_fact(worst[0])] if shown else []
    if confusion is not None and confusion.share < 1.0:
        inside = forecast.predictive_entropy >= confusion.threshold
        mistakes = correct == 0
        held = share(1.0 * inside[mistakes], None if example is None else example[mistakes], level)
        facts.append(mistakes_fact(held, wrong, confusion.count, confusion.share))
    where = _where(worst, shown, kind_of(evaluation.prediction))
    detection = find(evaluation, "error_detection_auroc")
    if detection is None:
        return Answer(FAILURE, "few", WORDS["few"], f"{where}.", tuple(facts))
    area = detection.monte_carlo
    found = cell(area)
    detail = f"{found.detail}; 0.5 is chance".removeprefix("; ")
    facts.append(Fact("Error detection AUROC", found.value, detail))
    tone = tone_of_area(area)
    # A class that is mostly wrong is no good news, however well its mistakes are seen.
    if tone == "yes" and shown and worst[0].recall.high < 0.5:
        tone = "partly"
    seen = {"yes": "Mistakes are seen", "partly": "Partly seen", "no": "Mistakes are not seen"}
    headline = f"{where}; {_flags(area, wrong)}."
    return Answer(FAILURE, tone, seen.get(tone, WORDS["few"]), headline, tuple(facts))


def _worst(rows: Sequence[ClassRow], level: float) -> tuple[list[ClassRow], bool]:
    """Returns the classes of the lowest recall, ties together, and whether that is shown.

    It is shown when the interval, at a level that allows for the choice among all classes, lies
    below the recall of all classes together.
    """
    filled = [row for row in rows if row.count]
    least = min(row.recall.value for row in filled)
    worst = [row for row in filled if row.recall.value == least]
    hits = sum(row.recall.value * row.count for row in filled)
    overall = hits / sum(row.count for row in filled)
    adjusted = 1.0 - (1.0 - level) / len(filled)
    first = worst[0]
    right = round(first.recall.value * first.count)
    flags = np.repeat([1.0, 0.0], [right, first.count - right])
    bound = share(flags, None, adjusted).high
    # Pixels err together, so their own wider interval decides.
    return worst, max(bound, first.recall.high) < overall


def _where(worst: Sequence[ClassRow], shown: bool, kind: str) -> str:
    noun = "label" if kind == "labels" else "class"
    if not shown:
        return f"No {noun} is shown to be worse than the others"
    row = worst[0]
    if len(worst) > 1:
        listed = joined([isolated(each.name) for each in worst[:MOST_NAMED]])
        more = f" and {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
        return f"Least often right on {listed}{more} ({share_text(row.recall)} each)"
    taken = ""
    if row.confused_with is not None and row.confused_count > 1:
        taken = f", often taken for {isolated(row.confused_with)}"
    return f"Least often right on {isolated(row.name)} ({share_text(row.recall)}){taken}"


def _class_fact(row: ClassRow) -> Fact:
    found = share_cell(row.recall)
    detail = f"{found.detail} of {count(row.count)}"
    if row.confused_with is not None:
        detail += f"; {count(row.confused_count)} taken for {isolated(row.confused_with)}"
    return Fact(f"Right on {isolated(row.name)}", found.value, detail.strip())


def _flags(area: Estimate, wrong: int) -> str:
    """Returns what an area under the ROC curve says of the uncertainty."""
    if not is_known(area):
        return f"{plural(wrong, 'mistake')} cannot say whether it sees them coming"
    if area.low > 0.5:
        return f"a mistake is more uncertain than a right answer {share_text(area)} of the time"
    if area.high < 0.5:
        surer = replace(area, value=1.0 - area.value, low=1.0 - area.high, high=1.0 - area.low)
        return f"a mistake is less uncertain than a right answer {share_text(surer)} of the time"
    if tone_of_area(area) == "no":
        return "its uncertainty hardly tells mistakes from right answers"
    return f"{plural(wrong, 'mistake')} cannot say whether its uncertainty sees them coming"
