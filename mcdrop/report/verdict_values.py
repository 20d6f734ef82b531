"""Can a regression be trusted, and where are its errors large? In words, from the intervals."""

from __future__ import annotations

from dataclasses import replace

from mcdrop.diagnostics.regression import Regression, TargetRange
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.baselines import baseline
from mcdrop.evaluation.formatting import percent, plural
from mcdrop.evaluation.records import Estimate
from mcdrop.report.content import Answer, Fact
from mcdrop.report.tables import cell, share_cell
from mcdrop.report.verdict import FAILURE, TRUST, is_known
from mcdrop.report.words import WORDS, brief, find

NARROW = 0.1
"""Width of an interval of the coverage that is narrow enough to call it kept."""

STRONG_CORRELATION = 0.3


def trust(evaluation: Evaluation, regression: Regression) -> Answer:
    """Returns whether predictions and intervals of a regression can be relied on."""
    known = baseline(evaluation)
    gain = known.gain
    found = cell(known.score)
    constant = cell(replace(known.score, value=known.constant)).value
    detail = f"{found.detail}; {constant} by always naming the mean".strip("; ")
    unit = ", in standard deviations of each target" if known.is_standardised else ""
    facts = [Fact(f"Root mean squared error{unit}", found.value, detail)]
    coverage = find(evaluation, "interval_coverage")
    nominal = percent(regression.level, 0)
    if coverage is not None:
        shown = share_cell(coverage.monte_carlo)
        noise = "" if regression.states_noise else "; the model states no noise of the targets"
        facts.append(
            Fact(
                f"Targets inside {nominal} intervals",
                shown.value,
                f"{shown.detail}{noise}".strip("; "),
            )
        )
    examples = plural(evaluation.num_examples, "example")
    if gain.low >= 0:
        headline = "It predicts no better than the mean of the targets."
        return Answer(TRUST, "no", WORDS["no"], headline, tuple(facts))
    if not gain.high < 0:
        why = "to tell it from always naming the mean"
        if not is_known(gain):
            why = f"to judge its errors ({gain.reason})"
        headline = f"{examples} are too few {why}."
        return Answer(TRUST, "few", WORDS["few"], headline, tuple(facts))
    lead = f"It explains {percent(known.explained, 0)} of the variance"
    if coverage is None:
        return Answer(TRUST, "partly", WORDS["partly"], f"{lead}.", tuple(facts))
    tone, rest = _kept(coverage.monte_carlo, regression.level, examples)
    return Answer(TRUST, tone, WORDS[tone], f"{lead}{rest}", tuple(facts))


def _kept(covered: Estimate, level: float, examples: str) -> tuple[str, str]:
    """Returns tone and end of the sentence: do the intervals cover as often as they say?"""
    nominal, seen = percent(level, 0), percent(covered.value, 0)
    if not is_known(covered):
        return "few", f"; too few to judge its intervals ({covered.reason})."
    if covered.high < level:
        return "partly", f", but its {nominal} intervals are too narrow: they hold {seen}."
    if covered.low > level:
        return "partly", f", but its {nominal} intervals are wider than needed: they hold {seen}."
    if covered.high - covered.low <= NARROW:
        return "yes", f", and its {nominal} intervals hold {seen} of the targets."
    return "few", f"; {examples} cannot say whether its {nominal} intervals keep their word."


def failure(regression: Regression) -> Answer:
    """Returns where errors are large, and whether the stated deviation sees them coming."""
    spread = regression.spread
    facts = [_range_fact(regression.worst_range)] if regression.worst_range else []
    if spread.std.size > 1:
        ends = f"{brief(float(spread.error[0]))} → {brief(float(spread.error[-1]))}"
        stated = f"stated {brief(float(spread.std[0]))} → {brief(float(spread.std[-1]))}"
        facts.append(Fact("Error, most to least certain", ends, stated))
    correlation = regression.rank_correlation
    found = cell(correlation)
    detail = f"{found.detail}; of error and stated deviation".removeprefix("; ")
    facts.append(Fact("Rank correlation", found.value, detail))
    where = _where(regression.worst_range)
    if not is_known(correlation):
        reason = correlation.reason or "too few targets"
        headline = f"{where}; its deviation cannot be judged ({reason})."
        return Answer(FAILURE, "few", WORDS["few"], headline, tuple(facts))
    if correlation.low > 0:
        strong = correlation.value >= STRONG_CORRELATION
        tone = "yes" if strong else "partly"
        seen = "errors tend to be larger where it states more deviation"
        headline = f"{where}; {seen}{'' if strong else ', but only weakly'}."
    elif correlation.high < STRONG_CORRELATION:
        tone, headline = "no", f"{where}; its stated deviation hardly tells large errors."
    else:
        tone = "few"
        seen = "cannot say whether its stated deviation tells large errors"
        headline = f"{where}; {plural(regression.count, 'target')} {seen}."
    words = {"yes": "Large errors are seen", "partly": "Partly seen", "no": "Not seen"}
    return Answer(FAILURE, tone, words.get(tone, WORDS["few"]), headline, tuple(facts))


def _range_fact(found: TargetRange) -> Fact:
    shown = cell(found.root_mean_squared_error)
    detail = f"{shown.detail}; {brief(found.overall)} over all".removeprefix("; ")
    output = f" of output {found.output}" if found.output else ""
    label = f"Error on targets {brief(found.low)} to {brief(found.high)}{output}"
    return Fact(label, shown.value, detail)


def _where(found: TargetRange | None) -> str:
    if found is None or not found.is_worse:
        return "No range of targets is shown to be worse than the others"
    output = f" of output {found.output}" if found.output else ""
    return (
        f"Largest errors on targets{output} from {brief(found.low)} to {brief(found.high)} "
        f"(RMSE {cell(found.root_mean_squared_error).value})"
    )
