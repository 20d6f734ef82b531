"""Where the time of a prediction goes: measured by leaving one part out at a time."""

from __future__ import annotations

from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import mcdrop
from benchmarks import baselines
from benchmarks.measure import interleaved
from benchmarks.models import CASES, Case
from mcdrop.engine import masks


def shares(name: str, rounds: int) -> dict[str, float]:
    """Returns the share of each part in the time of `predict`, float32, independent masks.

    Masks: `sample` against the same with masking replaced by a copy. Products: what is left
    of that copy beyond prefix and deterministic pass. Statistics: `predict` against `sample`.
    """
    case = CASES[name]
    keras.utils.set_random_seed(0)
    model, x = case.build(), case.inputs(case.num_examples)
    prefix, suffix = baselines.floor_parts(model, x)
    mc = mcdrop.MCDropout(model, task=case.task)
    ways = {
        "predict": lambda: mc.predict(x, num_samples=case.num_samples),
        "sample": lambda: mc.sample(x, num_samples=case.num_samples),
        "unmasked": _unmasked(model, case, x),
        "prefix": prefix,
        "suffix": suffix,
    }
    seconds = interleaved(ways, rounds)
    total = seconds["predict"]
    once = seconds["prefix"] + seconds["suffix"]
    return {
        "prefix and deterministic pass, once": once / total,
        "suffix without masks, T times": (seconds["unmasked"] - once) / total,
        "drawing and applying masks": (seconds["sample"] - seconds["unmasked"]) / total,
        "statistics": (total - seconds["sample"]) / total,
    }


def _unmasked(model: Any, case: Case, x: Any) -> Any:
    """Returns `sample` of a wrapper traced with masks that keep everything."""

    def keep_all(inputs: Any, *_: Any, repeat: bool = False) -> Any:
        rows = _[-1]
        ones = [1] * (inputs.shape.rank - 1)
        return tf.tile(inputs, [tf.shape(rows.passes)[0], *ones]) if repeat else inputs

    mc = mcdrop.MCDropout(model, task=case.task)
    with mock.patch.object(masks, "drop", keep_all):
        mc.sample(x[:1], num_samples=case.num_samples)
    return lambda: mc.sample(x, num_samples=case.num_samples)


def to_markdown(name: str, parts: dict[str, float]) -> str:
    """Returns the shares as a table."""
    rows = [f"| {part} | {100 * np.clip(share, 0, 1):.0f}% |" for part, share in parts.items()]
    return "\n".join([f"| {CASES[name].name} | share |", "| --- | ---: |", *rows])
