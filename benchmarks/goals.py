"""What the table of models leaves out: first calls, new sizes, own code, shared masks.

Ratios of processor time, of ways that take turns in one process, so that they hold on a machine
that does other things beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import mcdrop
from benchmarks import baselines, splitting
from benchmarks.measure import interleaved
from benchmarks.models import CASES, SubclassedCNN
from mcdrop.engine.processor import has_bfloat16

FIRST_EXAMPLES = 32
WARM = 5
"""Calls of a size before it is timed: masks of a shape that comes again are compiled then."""

SIZES = ((61, 50), (64, 47), (3, 50), (64, 9), (37, 23))
"""Examples and passes that come after a warm call of 64 and 50."""


def to_markdown(rounds: int, data: str | None) -> str:
    """Returns the rows: work, goal, measured."""
    lines = ["| work | goal | measured |", "| --- | --- | --- |"]
    for name in ("mnist", "lstm", "transformer"):
        found = first_call(name, rounds)
        lines.append(f"| first call, {CASES[name].name} | 3 first calls of D | {found:.1f} |")
    largest, typical = new_sizes(rounds)
    lines.append(
        f"| a new N or T | 3 warm calls of it | {typical:.1f}, at most {largest:.1f} of "
        f"{len(SIZES)} sizes |"
    )
    lines.append(f"| subclassed MNIST CNN, T=50 | 1.25 of Sequential | {subclassed(rounds):.2f} |")
    lines.append(f"| bfloat16 without instructions for it | not slower | {bfloat16(rounds)} |")
    if data is None:
        return "\n".join([*lines, "", "Without MCDROP_DATA: no shared masks."])
    for name, goals in {"mnist": (0.40, 0.30), "cifar": (0.35, 0.20)}.items():
        for balanced, goal in zip((False, True), goals, strict=True):
            share, error, counts = shared_masks(name, rounds, balanced=balanced)
            kind = "auto, balanced" if balanced else "auto"
            lines.append(
                f"| {splitting.MODELS[name][0]}: {kind}, the error of 50 ordinary passes | "
                f"{goal:.2f} of their time | {share:.2f} with an error of {error:.2f}, "
                f"{' x '.join(str(count) for count in counts if count > 1)} passes |"
            )
    return "\n".join(lines)


def first_call(name: str, rounds: int) -> float:
    """Returns the time of a first `predict`, over that of the compiled deterministic model."""
    case = CASES[name]
    x = case.inputs(FIRST_EXAMPLES)
    own: dict[str, list[float]] = {"D": [], "mcdrop": []}
    for _ in range(rounds):
        for way in own:
            model = case.build()
            start = time.process_time()
            if way == "D":
                baselines.deterministic(model, x)()
            else:
                mcdrop.MCDropout(model, task=case.task).predict(x, num_samples=50)
            own[way].append(time.process_time() - start)
    return median(own["mcdrop"]) / median(own["D"])


def new_sizes(rounds: int) -> tuple[float, float]:
    """Returns the largest and the median time of a call of a new size, in warm calls of it."""
    case = CASES["mnist"]
    mc = mcdrop.MCDropout(case.build(), task=case.task)
    for _ in range(3):
        mc.predict(case.inputs(64), num_samples=50)
    ratios = []
    for count, passes in SIZES:
        x = case.inputs(count)
        seconds = [_seconds(lambda x=x, t=passes: mc.predict(x, num_samples=t)) for _ in range(8)]
        ratios.append(seconds[0] / median(seconds[1:]))
    return max(ratios), median(ratios)


def subclassed(rounds: int) -> float:
    """Returns the time of the MNIST CNN as a subclass, over that of the same as Sequential."""
    case = CASES["mnist"]
    x = case.inputs(256)
    own = SubclassedCNN()
    own(x[:1])
    ways = {}
    for name, model in {"own": own, "Sequential": case.build()}.items():
        mc = mcdrop.MCDropout(model, task=case.task)
        ways[name] = lambda mc=mc: mc.predict(x, num_samples=50)
    seconds = interleaved(ways, rounds, time.process_time, WARM)
    return seconds["own"] / seconds["Sequential"]


def bfloat16(rounds: int) -> str:
    """Returns how many times the time of float32 the passes take, or that they are in float32."""
    if not has_bfloat16():
        return "computed in float32, with a warning"
    case = CASES["mnist"]
    x, model = case.inputs(256), case.build()
    ways = {}
    for dtype in (None, "bfloat16"):
        mc = mcdrop.MCDropout(model, task=case.task, compute_dtype=dtype)
        ways[str(dtype)] = lambda mc=mc: mc.predict(x, num_samples=50)
    seconds = interleaved(ways, rounds, time.process_time, WARM)
    return f"{seconds['bfloat16'] / seconds['None']:.2f}"


def shared_masks(name: str, rounds: int, *, balanced: bool) -> tuple[float, float, tuple[int, ...]]:
    """Returns time and error of the draws that "auto" chose, and how many they are.

    Both over those of 50 ordinary passes; the error of the mean against 3,000 on the least certain
    of the examples, 30 copies of each. The pilot is not timed.
    """
    model, pool = _trained(name)
    ordinary = mcdrop.MCDropout(model)
    auto = mcdrop.MCDropout(model, splitting="auto", balanced=balanced)
    chosen = auto.choose_splitting(pool, num_samples=50)
    ways = {
        "ordinary": lambda: ordinary.predict(pool, num_samples=50),
        "auto": lambda: chosen.predict(pool),
    }
    seconds = interleaved(ways, rounds, time.process_time, WARM)
    spread = ordinary.predict(pool, num_samples=20, seed=1).variance.sum(axis=-1)
    few = pool[np.argsort(-spread)[: splitting.EXAMPLES]]
    truth = ordinary.predict(few, num_samples=3000, seed=2).mean
    many = np.concatenate([few] * splitting.COPIES)
    errors = {}
    for way, (mc, passes) in {"ordinary": (ordinary, 50), "auto": (chosen, None)}.items():
        mean = mc.predict(many, num_samples=passes, seed=3).mean
        errors[way] = float(np.square(mean.reshape(-1, *truth.shape) - truth).mean() ** 0.5)
    counts = chosen.splitting or (50,)
    return seconds["auto"] / seconds["ordinary"], errors["auto"] / errors["ordinary"], counts


@cache
def _trained(name: str) -> tuple[Any, Any]:
    with TemporaryDirectory() as folder:
        return splitting.trained(name, Path(folder))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
