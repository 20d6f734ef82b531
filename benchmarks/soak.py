"""A long-lived process: calls of random sizes, whose memory and compiled shapes must not grow."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from tensorflow.python.eager import context

import mcdrop
from benchmarks.models import CASES

MOST = {"mlp": 96, "mnist": 24}
"""Examples and passes of a call are below this; the CNN is twenty times as dear."""


@dataclass(frozen=True)
class Look:
    """The process after some calls.

    Attributes:
        calls: How many.
        sizes: Different pairs of N and T so far.
        resident: Resident memory in MiB.
        compiled: Shapes that XLA compiled for.
        functions: Functions that TensorFlow keeps.
    """

    calls: int
    sizes: int
    resident: float
    compiled: int
    functions: int


def soak(name: str, masks: str, calls: int = 500, every: int = 100) -> list[Look]:
    """Predicts random numbers of examples with random numbers of passes, in one process.

    Args:
        name: The model, a key of `CASES` and `MOST`.
        masks: "independent" or "shared".
        calls: Number of calls.
        every: Calls between looks.
    """
    case = CASES[name]
    mc = mcdrop.MCDropout(case.build(), task=case.task, masks=masks)
    generator, looks, sizes = np.random.default_rng(0), [], set()
    for call in range(1, calls + 1):
        size = int(generator.integers(1, MOST[name])), int(generator.integers(2, MOST[name]))
        sizes.add(size)
        mc.predict(case.inputs(size[0]), num_samples=size[1], seed=call)
        if call == 1 or call % every == 0:
            program = mc._samplers[0].audited_program(mc.model)
            functions = len(context.context().list_function_names())
            compiled = len(program.compiled_shapes)
            looks.append(Look(call, len(sizes), _resident(), compiled, functions))
    return looks


def to_markdown(names: tuple[str, ...] = tuple(MOST), calls: int = 500) -> str:
    """Returns the looks as tables."""
    lines = []
    for name in names:
        for masks in ("independent", "shared"):
            lines += [
                f"{CASES[name].name}, {masks} masks:",
                "",
                "| calls | sizes | resident MiB | shapes compiled by XLA | functions kept |",
                "| ---: | ---: | ---: | ---: | ---: |",
            ]
            lines += [
                f"| {look.calls} | {look.sizes} | {look.resident:,.0f} | {look.compiled} | "
                f"{look.functions:,} |"
                for look in soak(name, masks, calls)
            ]
            lines.append("")
    return "\n".join(lines)


def _resident() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    print(to_markdown())
