"""Peak memory of whole processes (Linux): it must not grow with T, nor with N disk to disk."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

_PEAK = """
import re
from pathlib import Path
status = Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024)
"""
"""Not resource.ru_maxrss, which starts at what the parent process holds."""

_PREDICT = """
import sys
import mcdrop
from benchmarks.models import CASES
passes = int(sys.argv[1])
case = CASES["mnist"]
mcdrop.MCDropout(case.build()).predict(case.inputs(2000), num_samples=passes)
"""

_STREAM = """
import sys
from mcdrop.cli import main
status = main(sys.argv[1:])
assert status == 0, status
"""

_SCORE = """
import mcdrop
from benchmarks import scoring
prediction, labels = scoring.classes(50_000, 1_000, 4)
mcdrop.evaluate(prediction, labels)
"""


def peak_of_scores() -> float:
    """Returns peak MiB of scoring 50,000 examples of 1,000 classes; the passes hold 763 of them."""
    return _run(_SCORE)


def peak_by_passes(counts: tuple[int, ...] = (20, 200, 800)) -> dict[int, float]:
    """Returns peak MiB of predicting 2,000 images, by T."""
    return {count: _run(_PREDICT, str(count)) for count in counts}


def peak_by_examples(counts: tuple[int, ...] = (50_000, 500_000, 2_000_000)) -> dict[int, float]:
    """Returns peak MiB of `mcdrop predict` from an .npy file to a .parquet file, by N."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {count: _predict(folder, count, f"{count}.parquet") for count in counts}


def peak_of_parts(counts: tuple[int, ...] = (50_000, 1_000_000)) -> dict[int, dict[str, float]]:
    """Returns peak MiB of a folder of parts, and of the report on 50,000 of them, by N."""
    peaks: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in counts:
            predicted = _predict(folder, count, str(count), "--scorable")
            labels = folder / "labels.npy"
            np.save(labels, np.random.default_rng(1).integers(0, 10, count))
            stored, page = folder / str(count), folder / f"report-{count}"
            options = ("--predictions", stored, "--labels", labels, "--output", page)
            reported = _run(_STREAM, "report", *map(str, options), "--limit", "50000", "--quiet")
            peaks[count] = {"predict": predicted, "report": reported}
    return peaks


def _predict(folder: Path, count: int, output: str, *options: str) -> float:
    """Returns peak MiB of `mcdrop predict` on examples of 64 features, T = 20."""
    model, data = folder / "model.keras", folder / f"{count}.npy"
    if not model.exists():
        import keras

        layers = keras.layers
        hidden = [layers.Dense(64, activation="relu"), layers.Dropout(0.5)]
        top = layers.Dense(10, activation="softmax")
        keras.Sequential([keras.Input((64,)), *hidden, top]).save(model)
    np.save(data, np.random.default_rng(0).random((count, 64), np.float32))
    paths = [str(model), str(data), "--output", str(folder / output)]
    return _run(_STREAM, "predict", *paths, "--samples", "20", "--quiet", *options)


def _run(program: str, *arguments: str) -> float:
    command = [sys.executable, "-c", program + _PEAK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])
