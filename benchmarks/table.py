"""The performance table: each model against what people write today and against the floor."""

from __future__ import annotations

from typing import Any

import keras

import mcdrop
from benchmarks import baselines
from benchmarks.measure import interleaved
from benchmarks.models import CASES, Case
from mcdrop.engine.processor import has_bfloat16

BASELINE_PASSES = 3
"""Passes timed of the slow baselines; their cost is linear in T and is scaled up."""

WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"compute_dtype": "bfloat16"},
    "shared": {"masks": "shared"},
    "shared bfloat16": {"masks": "shared", "compute_dtype": "bfloat16"},
    "balanced": {"balanced": True},
}


def measure_case(case: Case, rounds: int) -> dict[str, float]:
    """Returns milliseconds of every way of sampling one model, its floor and its baselines."""
    keras.utils.set_random_seed(0)
    model = case.build()
    x = case.inputs(case.num_examples)
    passes = case.num_samples
    prefix, suffix = baselines.floor_parts(model, x)
    ways = {
        "D": baselines.deterministic(model, x),
        "P": prefix,
        "S": suffix,
        "eager": baselines.eager_loop(model, x, BASELINE_PASSES),
        "tf.function": baselines.compiled_loop(model, x, BASELINE_PASSES),
    }
    if case.name.startswith(("MNIST", "MLP", "CIFAR", "Spatial")):
        ways["predict"] = baselines.predict_loop(model, x, BASELINE_PASSES)
    for name, options in WAYS.items():
        if "compute_dtype" in options and not has_bfloat16():
            continue  # mcdrop would compute in float32
        try:
            mc = mcdrop.MCDropout(model, task=case.task, **options)
        except mcdrop.ModelError:
            continue  # no layer of this model computes in bfloat16
        ways[name] = lambda mc=mc: mc.predict(x, num_samples=passes)
    milliseconds = {k: 1e3 * s for k, s in interleaved(ways, rounds).items()}
    for name in {"eager", "tf.function", "predict"} & set(milliseconds):
        milliseconds[name] *= passes / BASELINE_PASSES
    milliseconds["floor"] = milliseconds["P"] + passes * milliseconds["S"]
    return milliseconds


def table(names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Returns the measurements of the named cases."""
    return {name: measure_case(CASES[name], rounds) for name in names}


def to_markdown(results: dict[str, dict[str, float]]) -> str:
    """Returns the table of ratios."""
    lines = [
        "| model | N, T | D ms | floor / D | eager / D | way | ms | / D | / floor | eager / way |",
        "| --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, times in results.items():
        case = CASES[name]
        head = (
            f"| {case.name} | {case.num_examples:,}, {case.num_samples} | {times['D']:.1f} "
            f"| {times['floor'] / times['D']:.2f} | {times['eager'] / times['D']:.1f} "
        )
        ways = [way for way in ("tf.function", "predict", *WAYS) if way in times]
        for way in ways:
            t = times[way]
            lines.append(
                f"{head}| {_title(way)} | {t:,.0f} | {t / times['D']:.2f} "
                f"| {t / times['floor']:.2f} | {times['eager'] / t:.1f} |"
            )
            head = "| | | | | "
    return "\n".join(lines)


def _title(way: str) -> str:
    titles = {"tf.function": "loop of a tf.function", "predict": "loop of model.predict"}
    return titles.get(way, f"mcdrop, {way}")
