"""What T passes give in place of infinitely many: the tables of docs/how-to/choose-passes.md."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import mcdrop
from mcdrop.demo import train_digits_model
from mcdrop.loading import load_named

REFERENCE_PASSES = 6000
REFERENCE_SEED = 10**6
TOLERANCE, LIMIT = 0.01, 500
BIASED = {
    "mutual_information": "mutual_information",
    "mutual_information_corrected": "mutual_information",
    "predictive_entropy": "predictive_entropy",
}
"""Quantities of T passes, and those of the reference that they estimate."""

Runs = list[mcdrop.Prediction]


def to_markdown(seeds: int) -> str:
    """Returns the tables for the digits of the demonstration, averaged over `seeds` seeds."""
    x = load_named("digits").x
    model = train_digits_model()
    ordinary, balanced = mcdrop.MCDropout(model), mcdrop.MCDropout(model, balanced=True)
    reference = ordinary.predict(x, num_samples=REFERENCE_PASSES, seed=REFERENCE_SEED)

    def runs(mc: mcdrop.MCDropout, count: int) -> Runs:
        return [mc.predict(x, num_samples=count, seed=seed) for seed in range(seeds)]

    finite = ["| T | error of the mean | mutual information | corrected | predictive entropy |"]
    finite.append("| ---: | ---: | ---: | ---: | ---: |")
    for count in (5, 10, 20, 50, 100):
        drawn = runs(ordinary, count)
        biases = [_bias(drawn, name, reference, truth) for name, truth in BIASED.items()]
        shown = " | ".join(f"{100 * bias:+.0f}%" for bias in biases)
        finite.append(f"| {count} | {_error(drawn, reference):.3f} | {shown} |")

    even = ["| T | error: ordinary | balanced | passes saved | variance, balanced | stated error |"]
    even.append("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in (10, 20, 50, 100):
        error = _error(runs(ordinary, count), reference)
        drawn = runs(balanced, count)
        less = _error(drawn, reference)
        saved, spread = (error / less) ** 2, _bias(drawn, "variance", reference, "variance")
        stated = _root_mean_square([run.monte_carlo_error for run in drawn]) / less
        even.append(
            f"| {count} | {error:.3f} | {less:.3f} | {saved:.1f}x | {100 * spread:+.0f}% "
            f"| {stated:.1f}x the true one |"
        )

    spent = ordinary.predict(x, num_samples=LIMIT, tolerance=TOLERANCE).num_samples_per_example
    early = (
        f"`tolerance={TOLERANCE}`: {spent.mean():.0f} passes on average in place of {LIMIT}; "
        f"{(spent == spent.min()).sum()} of {len(spent)} examples are done after {spent.min()}, "
        f"{(spent == LIMIT).sum()} need all {LIMIT}."
    )
    return "\n".join([*finite, "", *even, "", early])


def _error(runs: Runs, reference: mcdrop.Prediction) -> float:
    """Root of the mean over examples of the squared distance of the class probabilities."""
    return _root_mean_square([run.mean - reference.mean for run in runs])


def _root_mean_square(values: list[npt.NDArray[np.floating]]) -> float:
    return float(np.sqrt(np.square(values).sum(axis=-1).mean()))


def _bias(runs: Runs, name: str, reference: mcdrop.Prediction, truth: str) -> float:
    """Relative error of the mean over examples and seeds."""
    found = np.mean([getattr(run, name) for run in runs])
    return float(found / np.mean(getattr(reference, truth)) - 1)
