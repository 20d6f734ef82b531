"""What each section found, as its heading: a sentence made from the numbers of the section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcdrop.diagnostics.calibration import CalibrationCurve
from mcdrop.diagnostics.regression import Regression
from mcdrop.diagnostics.selective import SelectiveCurve
from mcdrop.evaluation import Estimate, Evaluation
from mcdrop.evaluation.formatting import count, joined, percent, plural
from mcdrop.report.content import Answer, Separation
from mcdrop.report.passes import enough
from mcdrop.report.tables import cell, direction, is_unfair, share_cell
from mcdrop.report.verdict import is_known
from mcdrop.report.words import brief, find, share_text

KEPT = 0.9
"""The share of predictions that the heading of the threshold accepts."""


def findings(kind: str, evaluation: Evaluation, parts: Mapping[str, Any]) -> dict[str, str]:
    """Returns a sentence without a full stop for each section of the page, by its id."""
    found = {
        "metrics": _metrics(evaluation),
        "examples": _examples(kind, evaluation),
        "threshold": _threshold(parts["selective"]),
        "passes": f"{plural(evaluation.num_samples, 'pass', 'passes')}: "
        + enough(parts["convergence"], evaluation)[0].lower(),
    }
    if kind == "values":
        found["calibration"] = _quantiles(evaluation, parts["regression"])
        if len(parts["regression"].outputs) > 1:
            found["failures"] = _outputs(parts["regression"])
    else:
        found["calibration"] = _calibration(parts["calibration"], parts["answers"][0])
        found["uncertainty"] = _uncertainty(parts["separations"])
    if "doubt" in parts:
        found["map"] = _map(parts["selective"]["MC dropout"])
    answers = parts["answers"]
    if kind != "values":
        found["failures"] = answers[-1].headline.split(";")[0].rstrip(".")
    headlines = {answer.question: answer.headline.rstrip(".") for answer in answers}
    for section, question in (
        ("recalibration", "Does recalibration help?"),
        ("out_of_distribution", "Does it notice other data?"),
    ):
        if question in headlines:
            found[section] = headlines[question]
    return found


def _metrics(evaluation: Evaluation) -> str:
    """Returns how many scores got better, worse, or cannot be told apart."""
    judged = [
        direction(each.difference, each.better)
        for each in evaluation.comparisons
        if each.difference is not None
        and each.better != "neither"
        and not is_unfair(evaluation, each.name)
    ]
    if not judged:
        return "Nothing here has a better and a worse side"
    words = {
        "better": "better",
        "worse": "worse",
        "unclear": "not told apart",
        "unknown": "not to be judged",
    }
    counts = {judged.count(side): side for side in ("same", "unknown", "unclear")}
    scores = plural(len(judged), "score")
    if len(judged) in counts:
        only = counts[len(judged)]
        more = " by more than chance" if only == "unclear" else ""
        if only == "unknown":
            none = "The one score cannot" if len(judged) == 1 else f"Of {scores} none can"
            return f"{none} be judged: the data are too few"
        none = "The one score does not change" if len(judged) == 1 else f"Of {scores} none changes"
        return f"{none}{more}"
    if len(judged) == 1:
        return f"With MC dropout the one score is {words[judged[0]]}"
    named = [f"{judged.count(side)} {said}" for side, said in words.items() if side in judged]
    return f"With MC dropout, of {scores}: {joined(named)}"


def _calibration(curves: Mapping[str, CalibrationCurve], trust: Answer) -> str:
    """Returns the bin that is furthest outside the band of chance, or what the answer says."""
    curve = curves["MC dropout"]
    outside = np.maximum(curve.chance_low - curve.accuracy, curve.accuracy - curve.chance_high)
    # Of 15 bins of a calibrated model about one lies outside by chance.
    if (outside > 0).sum() < 2 and not (curve.count.size < 5 and (outside > 0).any()):
        # All answers together show a gap before one bin does.
        fault = trust.headline.partition(", but ")[2].rstrip(".")
        if "confident by" in fault:
            return f"On the whole {fault}, which no bin alone shows"
        if curve.count.size < 5:
            return f"{plural(int(curve.count.sum()), 'answer')} show no clear gap"
        return "Confidence and accuracy agree as well as chance lets them"
    worst = int(outside.argmax())
    said, was = percent(float(curve.confidence[worst]), 0), percent(float(curve.accuracy[worst]), 0)
    above = curve.accuracy[worst] > curve.chance_high[worst]
    end = (curve.chance_high if above else curve.chance_low)[worst]
    chance = f"chance reaches {'up' if above else 'down'} to {percent(float(end), 0)}"
    return f"Where it says {said}, it is right {was} of the time; {chance}"


def _uncertainty(rows: Sequence[Separation]) -> str:
    """Returns how often the best uncertainty of the passes ranks a mistake higher."""
    passes = [row for row in rows if row.source == "monte_carlo"]
    if rows[0].histogram is None:
        return "All answers are of one kind, so there is nothing to set apart"
    area = passes[0].auroc
    often = f"{share_text(area)} of the time"
    if area.high < 0.5:
        return f"A mistake is more uncertain than a right answer only {often}"
    if not is_known(area) or not area.low > 0.5:
        return "These data do not show that mistakes are more uncertain than right answers"
    return f"A mistake is more uncertain than a right answer {often}"


def _threshold(curves: Mapping[str, SelectiveCurve]) -> str:
    """Returns what accepting the most certain nine tenths does."""
    curve = next(iter(curves.values()))
    place = deployed(curve)
    kept = percent(float(curve.coverage[place]), 0)
    if place == curve.coverage.size - 1:
        return "Its uncertainty takes one value only, so no threshold parts the predictions"
    worse = curve.value[place] - curve.value[-1]
    if (worse <= 0) if curve.quality == "accuracy" else (worse >= 0):
        return f"Accepting only the most certain {kept} makes them no better"
    is_share = curve.quality == "accuracy"
    value, low, high = (float(ends[place]) for ends in (curve.value, curve.low, curve.high))
    left = Estimate(1.0 - value, 1.0 - high, 1.0 - low) if is_share else Estimate(value, low, high)
    all_of_them = 1.0 - float(curve.value[-1]) if is_share else float(curve.value[-1])
    told = f"{'' if is_share else 'an error of '}{cell(left, as_percent=is_share)}"
    told += " mistakes" if is_share else ""
    before = percent(all_of_them) if is_share else brief(all_of_them)
    if left.high < all_of_them:
        return f"Accepting the most certain {kept} leaves {told}, not {before}"
    return f"Accepting the most certain {kept} leaves {told}; too few to tell it from {before}"


def _examples(kind: str, evaluation: Evaluation) -> str:
    """Returns how many classes the passes name for the example on which they disagree most."""
    votes = evaluation.prediction.votes
    if kind != "classes" or votes is None:
        return "The examples worth a look"
    each = np.stack([1.0 - votes, votes], axis=-1) if evaluation.task == "binary" else votes
    named = int((each > 0).sum(axis=-1).max())
    if named < 2:
        return "For every example all passes name one class"
    return f"For one example the passes name {named} different classes"


def _map(curve: SelectiveCurve) -> str:
    """Returns on which side of the threshold the mistakes of these data lie."""
    place = deployed(curve)

    def wrong(at: int) -> int:
        accepted = round(float(curve.coverage[at]) * curve.count)
        return accepted - round(float(curve.value[at]) * accepted)

    mistakes = wrong(-1)
    if not mistakes:
        return f"{plural(curve.count, 'right answer')} by their doubt, and no mistake"
    beyond = curve.count - round(float(curve.coverage[place]) * curve.count)
    return (
        f"Of {plural(mistakes, 'mistake')} {count(mistakes - wrong(place))} lie beyond the "
        f"threshold, where {count(beyond)} of {plural(curve.count, 'example')} are"
    )


def deployed(curve: SelectiveCurve) -> int:
    """Returns the operating point that the page shows first."""
    return int(np.abs(curve.coverage - KEPT).argmin())


def _quantiles(evaluation: Evaluation, found: Regression) -> str:
    """Returns how often the central interval covers, as the first screen says it."""
    nominal = percent(found.level, 0)
    covered = find(evaluation, "interval_coverage")
    if covered is None:
        return f"How far targets lie from their predictions and their {nominal} intervals"
    return f"Its {nominal} intervals hold {share_cell(covered.monte_carlo)} of the targets"


def _outputs(found: Regression) -> str:
    """Returns the output whose intervals cover least."""
    worst = min(found.outputs, key=lambda row: row.coverage.value)
    return f"Output {worst.name} is covered least: {share_cell(worst.coverage)} of its targets"
