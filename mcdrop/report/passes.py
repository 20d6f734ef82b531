"""Were the passes enough? In words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcdrop.diagnostics.convergence import Convergence
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.formatting import decimals_for, number
from mcdrop.report.words import find, lower

SMALL = 1.0 / 3.0
"""The Monte Carlo share of an interval's half width that is called small: it adds 5%."""


def enough(curves: Sequence[Convergence], evaluation: Evaluation) -> tuple[str, str]:
    """Returns in words whether the passes were enough, and what that rests on.

    They are when the metrics would move, for infinitely many passes, by little beside what
    the choice of examples does to them. The shift left is estimated by the last doubling: a
    bias of b/T falls by as much from T/2 to T as it has left to fall.
    """
    judged = [(curve, half) for curve in curves if (half := _half_width(evaluation, curve.name))]
    if not judged:
        return "It cannot be told", "Too few passes, or no interval to measure them against."
    ratios = [_move(curve) / half for curve, half in judged]
    worst = int(np.argmax(ratios))
    (curve, half), ratio = judged[worst], ratios[worst]
    verdict = "Yes" if ratio < SMALL else "Nearly" if ratio < 1.0 else "No"
    title = lower(curve.title.split(" (")[0])
    basis = (
        f"More passes could move {title} by about {_amount(curve, _move(curve))}; the choice of "
        f"examples leaves it open by {_amount(curve, half)}."
    )
    if ratio >= SMALL:
        needed = int(np.ceil(evaluation.num_samples * (ratio / SMALL) ** 2 / 10.0) * 10)
        basis += f" About {needed} passes would make the first small beside the second."
    return verdict, basis


def _half_width(evaluation: Evaluation, name: str) -> float | None:
    """Returns half the width of a metric's interval, None where there is none."""
    found = find(evaluation, name)
    half = np.nan if found is None else (found.monte_carlo.high - found.monte_carlo.low) / 2.0
    return float(half) if np.isfinite(half) and half > 0 else None


def _move(curve: Convergence) -> float:
    """Returns how far infinitely many passes could move a metric: two errors and the shift."""
    half = int(np.abs(curve.passes - curve.passes[-1] / 2.0).argmin())
    return float(2.0 * curve.error[-1] + abs(curve.value[-1] - curve.value[half]))


def _amount(curve: Convergence, size: float) -> str:
    if curve.name == "accuracy":
        return f"±{number(100.0 * size, decimals_for(100.0 * size))} points"
    return f"±{number(size, decimals_for(size))}"
