"""Which class each pass puts first: the passes of an example as they were drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.prediction import Prediction
from mcdrop.report.content import VoteCount

MOST_LANES = 5
"""Classes of one example that have a lane of their own."""
MOST_DOTS = 200
"""Passes of one example that are shown, a byte each; all of them are counted."""
TOLERATED = 0.02
"""Share of votes that other batches may turn, by rounding; other masks turn more."""

Array = NDArray[Any]
Sampled = Callable[[NDArray[np.intp]], Prediction]
"""From the places of some examples to their prediction with its passes kept."""


def winners(
    prediction: Prediction, places: NDArray[np.intp], sampled: Sampled | None
) -> list[Array] | None:
    """Returns the class that each pass puts first, of each example those of its first passes.

    Args:
        prediction: One class an example.
        places: Places of the examples that matter.
        sampled: Draws their passes when the prediction did not keep them.

    Returns:
        None where the passes are not known: they were not kept and cannot be drawn, or the
        prediction was recalibrated and they were not.

    Raises:
        DataError: What `sampled` returns has no passes, or those of another run.
    """
    passes = prediction.samples
    if prediction.votes is None or (passes is None and sampled is None):
        return None
    counts = np.minimum(prediction.num_samples_per_example[places], MOST_DOTS)
    if passes is not None:
        passes = passes[: counts.max(), places]
    elif sampled is not None:
        passes = sampled(places).samples
        expected = (int(counts.max()), len(places), *prediction.mean.shape[1:])
        if passes is None or (len(passes) < expected[0] or passes.shape[1:] != expected[1:]):
            shape = "no passes" if passes is None else f"passes of shape {passes.shape}"
            raise DataError(
                f"`sampled` returned {shape}, expected the first of {len(places)} examples, of "
                f"shape {expected}. Predict them with keep_samples=True."
            )
    first = _as_classes(passes, prediction.task).argmax(axis=-1).T
    found = [row[:number] for row, number in zip(first, counts, strict=True)]
    votes = _as_classes(prediction.votes[places], prediction.task)
    totals = prediction.num_samples_per_example[places]
    if np.mean([_astray(*each) for each in zip(found, votes, totals, strict=True)]) > TOLERATED:
        raise DataError(
            "`sampled` returned other passes than those that were evaluated; expected the same "
            "seed and settings, and examples=places."
        )
    return found


def _as_classes(probabilities: Any, task: str) -> Array:
    if task != "binary":
        return np.asarray(probabilities)
    return np.stack([1.0 - probabilities, probabilities], axis=-1)


def _astray(first: Array, votes: Array, total: int) -> float:
    """Returns the share of passes that put a class first more often than it came first in all."""
    shown = np.bincount(first, minlength=votes.size)
    return float(np.maximum(shown - total * votes, 0.0).sum() / first.size)


def hesitation(
    first: Array, votes: Array, total: int, names: Sequence[str], truth: int
) -> dict[str, Any]:
    """Returns the lanes of an example, the true class among them, and into which each pass falls.

    Args:
        first: The class that each of the first passes puts first.
        votes: Share of all passes that put each class first.
        total: Number of all passes.
        names: Names of the classes.
        truth: The true class.
    """
    shown = np.bincount(first, minlength=votes.size)
    counts = shown if total == first.size else np.rint(total * votes).astype(int)
    order = np.argsort(-counts, kind="stable")
    ranked = [int(c) for c in order if counts[c] or shown[c] or c == truth]
    kept = ranked if len(ranked) <= MOST_LANES else ranked[: MOST_LANES - 1]
    if truth not in kept:
        kept[-1] = truth
    lanes = [VoteCount(names[c], int(counts[c]), c == truth) for c in kept]
    if len(kept) < len(ranked):
        left = total - sum(lane.passes for lane in lanes)
        lanes.append(VoteCount(f"{len(ranked) - len(kept)} other classes", left, False))
    falls = [kept.index(c) if c in kept else len(kept) for c in first.tolist()]
    return {"votes": tuple(lanes), "passes": tuple(falls)}
