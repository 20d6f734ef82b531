"""The answer of a study in sentences made from its numbers, each with its interval over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mcdrop.study.paired import MINIMUM_SEEDS
from mcdrop.study.plan import POINTS, Plan, Score, signed

_SCORES: Mapping[str, Score] = {
    "test_accuracy": Score("Test accuracy", "points", POINTS, 2),
    "gap": Score("Gap, training less test accuracy", "points", POINTS, 2),
    "test_loss": Score("Test loss", "nats"),
    "train_loss": Score("Training loss, dropout off", "nats"),
    "epochs_to_lowest_validation_loss": Score(
        "Epochs to the lowest validation loss", "epochs", digits=1
    ),
    "test_loss_stopped_early": Score("Test loss at that epoch", "nats"),
    "test_accuracy_stopped_early": Score("Test accuracy at that epoch", "points", POINTS, 2),
    "negative_log_likelihood_monte_carlo": Score("Test loss, Monte Carlo", "nats"),
    "brier_score_deterministic": Score("Brier score, deterministic"),
    "brier_score_monte_carlo": Score("Brier score, Monte Carlo"),
    "expected_calibration_error_deterministic": Score(
        "Calibration error, deterministic", "points", POINTS, 2
    ),
    "expected_calibration_error_monte_carlo": Score(
        "Calibration error, Monte Carlo", "points", POINTS, 2
    ),
}

TRAINED: Mapping[str, Any] = {
    "scores": _SCORES,
    "spoken": ("test_accuracy", "gap", "test_loss", "epochs_to_lowest_validation_loss"),
    "drawn": ("test_loss", "train_loss", "test_accuracy", "gap"),
}
"""What the plan of a study that trains classifiers shows: its scores in the order of its page."""


def answers(plan: Plan, runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Returns the sentences of a study, that of the headline first.

    Args:
        plan: The study.
        runs: Its table.
        summary: As `summarize` returns it.
    """
    if plan.answers is not None:
        return list(plan.answers(runs, summary))
    others = [name for name, base in plan.references.items() if name not in (base, plan.headline)]
    return [answer(plan, summary, setting) for setting in (plan.headline, *others)]


def answer(
    plan: Plan, summary: pd.DataFrame, setting: str, scores: Sequence[str] | None = None
) -> str:
    """Returns what a setting changes against its reference, one clause a score.

    Args:
        plan: The study.
        summary: As `summarize` returns it.
        setting: Name of the setting.
        scores: Columns to speak of; None takes those of the study.
    """
    reference = plan.references[setting]
    rows = {row["score"]: row for row in summary[summary["setting"] == setting].to_dict("records")}
    spoken = [name for name in (plan.spoken if scores is None else scores) if name in rows]
    seeds = int(rows[spoken[0]]["seeds"])
    clauses = "; ".join(clause(rows[name], plan.scores[name]) for name in spoken)
    if seeds < MINIMUM_SEEDS:
        few = f"{seeds} seeds are" if seeds > 1 else "A single seed is"
        return (
            f"{few} too few to tell: an interval takes {MINIMUM_SEEDS}. Seen for “{setting}” "
            f"against “{reference}”: {clauses}."
        )
    return f"“{setting}” against “{reference}”, over {seeds} seeds: {clauses}."


def clause(row: Mapping[Any, Any], score: Score) -> str:
    """Returns one difference in words: its sign only where the interval shows it."""
    value, low, high = (
        row[key] * score.scale for key in ("difference", "difference_low", "difference_high")
    )
    unit = f" {score.unit}" if score.unit else ""
    amount = f"{signed(value, score.digits)}{unit}"
    if row["seeds"] < MINIMUM_SEEDS:
        return f"{score.name} {amount}"
    if not np.isfinite(low):
        return f"{score.name} {amount} (no interval: {row['reason']})"
    ends = [signed(number, score.digits) for number in (low, high)]
    interval = f"[{', '.join(ends)}]"
    if low <= 0.0 <= high or not set("".join(ends)) & set("+-"):
        return f"{score.name} {amount} {interval}, no clear difference"
    return f"{score.name} {'rises' if value > 0 else 'falls'}, {amount} {interval}"


def measured(row: Mapping[Any, Any], score: Score) -> str:
    """Returns a value itself with its interval over seeds, as in "0.54 nats [0.51, 0.57]"."""
    value, low, high = (row[key] * score.scale for key in ("value", "low", "high"))
    unit = f" {score.unit}" if score.unit else ""
    amount = f"{value:.{score.digits}f}{unit}"
    if not np.isfinite(low):
        return amount
    return f"{amount} [{low:.{score.digits}f}, {high:.{score.digits}f}]"
