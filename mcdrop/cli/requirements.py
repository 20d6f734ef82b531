"""`mcdrop report --require`: what must be shown to hold, for a pipeline to gate on."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mcdrop.cli.terminal import Terminal
from mcdrop.errors import DataError

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation

NOT_SHOWN = 3
"""Exit status when a requirement is not shown to hold."""

_FORM = re.compile(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Requirement:
    """A bound on a metric of the Monte Carlo prediction, as in accuracy>=0.9."""

    metric: str
    operator: str
    bound: float

    def __str__(self) -> str:
        """Returns the requirement as it is typed."""
        return f"{self.metric}{self.operator}{self.bound:g}"


@dataclass(frozen=True)
class Outcome:
    """Whether a requirement was shown to hold.

    Attributes:
        requirement: As it is typed.
        metric: Name of the metric.
        operator: "<=" or ">=".
        bound: The bound.
        value: The metric; None where it is not defined for these data.
        tested: The end of the interval that was set against the bound, the upper one for "<=";
            None where there is no interval.
        end: "high" or "low", the end that is tested.
        confidence_level: Level of the interval.
        shown: Whether that end keeps the bound.
        reason: Why it is not shown, "" where it is.
    """

    requirement: str
    metric: str
    operator: str
    bound: float
    value: float | None
    tested: float | None
    end: str
    confidence_level: float
    shown: bool
    reason: str

    def __str__(self) -> str:
        """Returns the outcome in one line."""
        verdict = "is shown to hold" if self.shown else "is not shown to hold"
        if self.tested is None:
            return f"{self.requirement} {verdict}: {self.reason}."
        end = "upper" if self.end == "high" else "lower"
        return (
            f"{self.requirement} {verdict}: the {end} end of the {self.confidence_level:.0%} "
            f"interval is {self.tested:.4g}, the value {self.value:.4g}."
        )


def requirement(text: str) -> Requirement:
    """Returns the requirement that a text such as accuracy>=0.9 states."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no requirement, expected METRIC<=NUMBER or METRIC>=NUMBER in quotes, as "
            "in 'accuracy>=0.9'"
        )
    name, operator, number = match.groups()
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise argparse.ArgumentTypeError(f"{text!r} ends in {number!r}, expected a number")
    return Requirement(name, operator, bound)


def check_names(requirements: Sequence[Requirement], task: str | None = None) -> None:
    """Raises DataError for metrics that are unknown, or that predictions of a task do not have."""
    from mcdrop.evaluation.class_measures import CLASS_MEASURES
    from mcdrop.evaluation.regression_measures import REGRESSION_MEASURES
    from mcdrop.prediction import CLASS_TASKS

    classes = [measure.name for measure in CLASS_MEASURES]
    numbers = [measure.name for measure in REGRESSION_MEASURES]
    if task is None:
        known = list(dict.fromkeys([*classes, *numbers]))
    else:
        known = classes if task in CLASS_TASKS else numbers
    for each in requirements:
        if each.metric in known:
            continue
        close = difflib.get_close_matches(each.metric, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}."
        where = f"is no metric of the task {task}" if task else "is no metric"
        raise DataError(f"--require {each}: {each.metric!r} {where}; {hint}")


def metrics_for(requirements: Sequence[Requirement], task: str, asked: str) -> str:
    """Returns the metrics to evaluate: those asked for, or all where more are required."""
    from mcdrop.evaluation.class_measures import CLASS_MEASURES
    from mcdrop.evaluation.regression_measures import REGRESSION_MEASURES
    from mcdrop.prediction import CLASS_TASKS

    measures = CLASS_MEASURES if task in CLASS_TASKS else REGRESSION_MEASURES
    default = {measure.name for measure in measures if measure.is_default}
    more = {each.metric for each in requirements} - default
    return "all" if more else asked


def judge(requirements: Sequence[Requirement], evaluation: Evaluation) -> list[Outcome]:
    """Returns the outcome of each requirement: the interval's end is tested, not the value."""
    return [_judge(each, evaluation) for each in requirements]


def _judge(required: Requirement, evaluation: Evaluation) -> Outcome:
    end = "high" if required.operator == "<=" else "low"
    value = tested = None
    reason = evaluation.omitted.get(required.metric, "it is not defined for these data")
    for comparison in evaluation.comparisons:
        if comparison.name == required.metric:
            estimate = comparison.monte_carlo
            value, found = estimate.value, float(getattr(estimate, end))
            tested = found if math.isfinite(found) else None
            reason = "" if tested is not None else estimate.reason or "there is no interval"
    shown = tested is not None and (
        tested <= required.bound if end == "high" else tested >= required.bound
    )
    if tested is not None and not shown:
        reason = "the end of the interval does not keep the bound"
    return Outcome(
        requirement=str(required),
        metric=required.metric,
        operator=required.operator,
        bound=required.bound,
        value=value if value is not None and math.isfinite(value) else None,
        tested=tested,
        end=end,
        confidence_level=evaluation.confidence_level,
        shown=shown,
        reason=reason,
    )


def tell(outcomes: Sequence[Outcome], terminal: Terminal) -> int:
    """Says what was shown and, as an error, what was not; returns the exit status."""
    for outcome in outcomes:
        if outcome.shown:
            terminal.say(f"Requirement {outcome}")
        else:
            terminal.error(f"requirement {outcome}")
    return 0 if all(outcome.shown for outcome in outcomes) else NOT_SHOWN


def as_records(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Returns the outcomes as report.json and --json hold them."""
    return [asdict(outcome) for outcome in outcomes]
