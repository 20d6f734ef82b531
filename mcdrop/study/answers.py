"""The answer of a study in sentences made from its numbers, each with its interval over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mcdrop.study.paired import MINIMUM_SEEDS

POINTS = 100.0


@dataclass(frozen=True)
class Quantity:
    """A score as sentences speak of it.

    Attributes:
        title: Name for a reader.
        unit: Unit behind a difference.
        scale: Factor from the score to that unit.
        digits: Decimals.
    """

    title: str
    unit: str
    scale: float
    digits: int


QUANTITIES: Mapping[str, Quantity] = {
    "test_accuracy": Quantity("Test accuracy", "points", POINTS, 2),
    "gap": Quantity("Gap, training less test accuracy", "points", POINTS, 2),
    "test_loss": Quantity("Test loss", "nats", 1.0, 4),
    "train_loss": Quantity("Training loss, dropout off", "nats", 1.0, 4),
    "epochs_to_lowest_test_loss": Quantity("Epochs to the lowest test loss", "epochs", 1.0, 1),
    "expected_calibration_error_deterministic": Quantity(
        "Calibration error, deterministic", "points", POINTS, 2
    ),
    "expected_calibration_error_monte_carlo": Quantity(
        "Calibration error, Monte Carlo", "points", POINTS, 2
    ),
    "brier_score_deterministic": Quantity("Brier score, deterministic", "", 1.0, 4),
    "brier_score_monte_carlo": Quantity("Brier score, Monte Carlo", "", 1.0, 4),
    "negative_log_likelihood_monte_carlo": Quantity("Test loss, Monte Carlo", "nats", 1.0, 4),
}
"""The scores that the page and the sentences show, in their order."""

_SPOKEN = ("test_accuracy", "gap", "test_loss", "epochs_to_lowest_test_loss")


def answer(summary: pd.DataFrame, setting: str, reference: str) -> str:
    """Returns what a setting changes against its reference, one clause a score.

    Args:
        summary: As `summarize` returns it.
        setting: Name of the setting.
        reference: Name of its reference.
    """
    rows = {row["score"]: row for row in summary[summary["setting"] == setting].to_dict("records")}
    seeds = int(rows["test_accuracy"]["seeds"])
    clauses = [clause(rows[score], QUANTITIES[score]) for score in _SPOKEN]
    if seeds < MINIMUM_SEEDS:
        few = f"{seeds} seeds are" if seeds > 1 else "A single seed is"
        return (
            f"{few} too few to tell: an interval takes {MINIMUM_SEEDS}. Seen for “{setting}” "
            f"against “{reference}”: {'; '.join(clauses)}."
        )
    return f"“{setting}” against “{reference}”, over {seeds} seeds: {'; '.join(clauses)}."


def clause(row: Mapping[Any, Any], quantity: Quantity) -> str:
    """Returns one difference in words: its sign only where the interval shows it."""
    name = quantity.title[0].lower() + quantity.title[1:]
    value, low, high = (
        row[key] * quantity.scale for key in ("difference", "difference_low", "difference_high")
    )
    unit = f" {quantity.unit}" if quantity.unit else ""
    amount = f"{value:+.{quantity.digits}f}{unit}"
    if row["seeds"] < MINIMUM_SEEDS:
        return f"{name} {amount}"
    if not np.isfinite(low):
        return f"{name} {amount} (no interval: {row['reason']})"
    interval = f"[{low:+.{quantity.digits}f}, {high:+.{quantity.digits}f}]"
    if low <= 0.0 <= high:
        return f"{name} {amount} {interval}, no clear difference"
    return f"{name} {'rises' if value > 0 else 'falls'}, {amount} {interval}"
