"""Early stopping: is the stated error right, and what becomes of the uncertainty measures?

Passes are drawn with replacement from many passes of each example, so that the truth, their
average, is known exactly, and thousands of replicas cost nothing.
"""

from __future__ import annotations

import keras
import numpy as np

import mcdrop
from mcdrop.accumulation import PassAccumulator
from mcdrop.prediction import Prediction
from mcdrop.stopping import TwoLooks

LOOK_EVERY = 16


def replay(passes: np.ndarray, tolerance: float, most: int, seed: int) -> Prediction:
    """Returns what `predict` makes of passes drawn from some, stopped by the library's own rule.

    Args:
        passes: Class probabilities of shape (T, N, C) to draw from.
        tolerance: The largest error to stop at.
        most: The largest number of passes.
        seed: Seed of the draws.
    """
    generator = np.random.default_rng(seed)
    count = passes.shape[1]
    accumulator = PassAccumulator("classification", (most,), tolerance=tolerance)
    looks, active = TwoLooks(count, tolerance), np.arange(count)
    mean = passes.mean(axis=0)
    for first in range(0, most, LOOK_EVERY):
        drawn = generator.integers(0, len(passes), (min(LOOK_EVERY, most - first), len(active)))
        block = passes[drawn, active[None]]
        accumulator.update(block, first_pass=first, rows=active, num_examples=count)
        errors = accumulator.stopping_error(active, mean)
        active = active[looks.go_on(active, errors, first + len(drawn))]
        if not active.size:
            break
    return accumulator.finish(mean)


def measure(passes: np.ndarray, tolerance: float, most: int, seeds: int) -> dict[str, float]:
    """Returns the error, true and stated, and the bias of entropy and mutual information.

    The bias is that of the average over the examples, relative to its true value; `finite` is
    what the same average number of passes, the same for all, would do to it.
    """
    truth = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
    runs = [replay(passes, tolerance, most, seed) for seed in range(seeds)]
    errors = np.array([run.mean - truth.mean for run in runs])
    stated = np.array([run.monte_carlo_error for run in runs])
    counts = np.array([run.num_samples_per_example for run in runs])
    early = counts < most
    result = {
        "passes": counts.mean(),
        "early": early.mean(),
        "true / stated": np.sqrt(np.square(errors).mean() / np.square(stated).mean()),
        "beyond 3": (np.abs(errors).max(axis=2)[early] > 3 * tolerance).mean(),
        "worst": np.abs(errors).max(axis=2)[early].max() / tolerance,
    }
    for name in ("predictive_entropy", "mutual_information", "mutual_information_corrected"):
        found = np.mean([getattr(run, name).mean() for run in runs])
        result[name] = found / getattr(truth, name).mean() - 1.0
    return result


def rare_unit(tolerances: tuple[float, ...], replicas: int) -> dict[float, tuple[float, float]]:
    """Returns (true / stated error, average passes) of a model whose one unit is seldom dropped.

    Dropout of rate 0.02 before a sigmoid: the first 16 passes agree in 72% of all cases.
    """
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dropout(0.02),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.set_weights([np.array([[6.0]]), np.array([-3.0])])
    kept, lost = (1.0 / (1.0 + np.exp(-z)) for z in (6.0 / 0.98 - 3.0, -3.0))
    truth = 0.98 * kept + 0.02 * lost
    mc, found = mcdrop.MCDropout(model, task="binary"), {}
    for tolerance in tolerances:
        run = mc.predict(np.ones((replicas, 1)), num_samples=2000, tolerance=tolerance)
        squares = np.square(run.mean - truth).mean()
        ratio = np.sqrt(squares / np.square(run.monte_carlo_error).mean())
        found[tolerance] = (float(ratio), float(run.num_samples_per_example.mean()))
    return found


def to_markdown(passes: np.ndarray | None) -> str:
    """Returns both tables; `passes` of shape (T, N, C) are those of a trained model."""
    lines = ["| tolerance | true / stated error | passes |", "| ---: | ---: | ---: |"]
    for tolerance, (ratio, count) in rare_unit((0.02, 0.01, 0.005), 3000).items():
        lines.append(f"| {tolerance} | {ratio:.2f} | {count:.0f} |")
    if passes is None:
        return "\n".join([*lines, "", "MNIST skipped: MCDROP_DATA names no folder with mnist.npz."])
    lines += [
        "",
        "| tolerance | limit | passes | stopped early | true / stated error | off by more than 3 "
        "tolerances | worst | entropy | mutual information | corrected |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for tolerance, most in ((0.02, 200), (0.01, 500), (0.005, 1000)):
        found = measure(passes, tolerance, most, seeds=6)
        biases = [
            f"{100 * found[name]:+.1f}%"
            for name in ("predictive_entropy", "mutual_information", "mutual_information_corrected")
        ]
        lines.append(
            f"| {tolerance} | {most} | {found['passes']:.0f} | {100 * found['early']:.0f}% | "
            f"{found['true / stated']:.2f} | {100 * found['beyond 3']:.2f}% | {found['worst']:.1f} "
            f"| {' | '.join(biases)} |"
        )
    return "\n".join(lines)
