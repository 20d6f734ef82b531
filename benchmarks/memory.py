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
status = main(["predict", *sys.argv[1:]])
assert status == 0, status
"""


def peak_by_passes(counts: tuple[int, ...] = (20, 200, 800)) -> dict[int, float]:
    """Returns peak MiB of predicting 2,000 images, by T."""
    return {count: _run(_PREDICT, str(count)) for count in counts}


def peak_by_examples(counts: tuple[int, ...] = (50_000, 500_000, 2_000_000)) -> dict[int, float]:
    """Returns peak MiB of `mcdrop predict` from an .npy file to a .parquet file, by N."""
    import keras

    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.keras"
        keras.Sequential(
            [
                keras.Input((64,)),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dropout(0.5),
                keras.layers.Dense(10, activation="softmax"),
            ]
        ).save(model)
        for count in counts:
            data = Path(folder) / f"{count}.npy"
            np.save(data, np.random.default_rng(0).random((count, 64), np.float32))
            output = Path(folder) / f"{count}.parquet"
            arguments = [
                str(model),
                str(data),
                "--samples",
                "20",
                "--output",
                str(output),
                "--quiet",
            ]
            peaks[count] = _run(_STREAM, *arguments)
    return peaks


def _run(program: str, *arguments: str) -> float:
    command = [sys.executable, "-c", program + _PEAK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])
