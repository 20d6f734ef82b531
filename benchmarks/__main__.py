"""Runs the benchmarks and prints a results page: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks import curves, goals, memory, passes, profile, quality, scoring, stopping, table
from benchmarks.models import CASES

PARTS = (
    *("table", "goals", "profile", "curves", "quality"),
    *("passes", "stopping", "memory", "scores"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default 5)")
    options = parser.parse_args()
    print(_machine())
    for part in options.parts:
        print(_SECTIONS[part](options), flush=True)
    return 0


def _table(options: argparse.Namespace) -> str:
    results = table.table(options.cases, options.rounds)
    return f"## Table\n\n{table.to_markdown(results)}\n"


def _profile(options: argparse.Namespace) -> str:
    tables = [
        profile.to_markdown(name, profile.shares(name, options.rounds))
        for name in ("mnist", "cifar")
    ]
    return "\n\n".join(["## Where the time goes", *tables]) + "\n"


def _curves(options: argparse.Namespace) -> str:
    lines = ["## Curves", "", "| T | cost / D (MNIST CNN, N = 512) |", "| ---: | ---: |"]
    lines += [f"| {t} | {cost:.2f} |" for t, cost in curves.by_passes(options.rounds).items()]
    lines += ["", "| N | µs per pass and example (T = 50) |", "| ---: | ---: |"]
    lines += [f"| {n:,} | {cost:.1f} |" for n, cost in curves.by_examples(options.rounds).items()]
    lines += ["", "| one Dropout | runs once | cost / D (T = 50) |", "| --- | ---: | ---: |"]
    for name, (share, cost) in curves.by_position(options.rounds).items():
        lines.append(f"| {name} | {100 * share:.1f}% | {cost:.2f} |")
    return "\n".join(lines) + "\n"


def _quality(options: argparse.Namespace) -> str:
    import numpy as np

    folder = os.environ.get("MCDROP_DATA")
    if folder is None:
        return "## Error of the mean\n\nSkipped: MCDROP_DATA names no folder with mnist.npz.\n"
    model, x_test = _trained_mnist(folder)
    confidence = model.predict(x_test, verbose=0).max(axis=1)
    hard = x_test[np.argsort(confidence)[:300]]
    lines = ["## Error of the mean", "", "| masks | root mean squared error |", "| --- | ---: |"]
    errors = quality.errors_of_the_mean(model, hard, reference_passes=6000, seeds=10)
    lines += [f"| {name} | {error:.5f} |" for name, error in errors.items()]
    largest, typical = quality.bfloat16_error(model, hard)
    lines += ["", "bfloat16 against float32, same masks: largest difference of a probability "]
    lines[-1] += f"{largest:.4f}, root mean square {typical:.5f}."
    return "\n".join(lines) + "\n"


def _stopping(options: argparse.Namespace) -> str:
    import mcdrop

    folder, drawn = os.environ.get("MCDROP_DATA"), None
    if folder is not None:
        model, x = _trained_mnist(folder)
        drawn = mcdrop.MCDropout(model).sample(x[:500], num_samples=2048)
    return f"## Early stopping\n\n{stopping.to_markdown(drawn)}\n"


def _trained_mnist(folder: str) -> tuple[Any, Any]:
    """Returns the tutorial CNN, trained, and test images."""
    import numpy as np

    with np.load(Path(folder) / "mnist.npz", allow_pickle=False) as archive:
        x = archive["x_train"][:20000, ..., None].astype("float32") / 255
        y = archive["y_train"][:20000]
        x_test = archive["x_test"][:2000, ..., None].astype("float32") / 255
    return quality.trained_mnist(x, y), x_test


def _memory(options: argparse.Namespace) -> str:
    lines = ["## Peak memory", "", "| work | peak MiB |", "| --- | ---: |"]
    for count, peak in memory.peak_by_passes().items():
        lines.append(f"| MNIST CNN, N = 2,000, T = {count} | {peak:,.0f} |")
    for count, peak in memory.peak_by_examples().items():
        lines.append(f"| MLP, .npy to .parquet, T = 20, N = {count:,} | {peak:,.0f} |")
    lines.append(f"| `evaluate`, 50,000 x 1,000, T = 4 | {memory.peak_of_scores():,.0f} |")
    for count, peaks in memory.peak_of_parts().items():
        lines += [
            f"| {name} of parts, N = {count:,} | {peak:,.0f} |" for name, peak in peaks.items()
        ]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    names = ("tensorflow", "keras", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    python = f"Python {platform.python_version()}"
    return f"Machine: {_processor()}, {os.cpu_count()} cores. {python}, {versions}.\n"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    features = fields.get("flags", "").split()
    known = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in features]
    return f"{fields.get('model name', 'unknown')} ({', '.join(known)})"


_SECTIONS = {
    "table": _table,
    "goals": lambda options: (
        f"## Other goals\n\n{goals.to_markdown(options.rounds, os.environ.get('MCDROP_DATA'))}\n"
    ),
    "profile": _profile,
    "curves": _curves,
    "quality": _quality,
    "passes": lambda _: f"## Finite T\n\n{passes.to_markdown(seeds=8)}\n",
    "stopping": _stopping,
    "memory": _memory,
    "scores": lambda options: f"## Scores\n\n{scoring.to_markdown(options.rounds)}\n",
}

if __name__ == "__main__":
    sys.exit(main())
