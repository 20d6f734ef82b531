"""Costs of a large run, for docs/how-to/cluster.md.

python -m benchmarks.cluster               unit costs, in processor time
python -m benchmarks.cluster 0 1 2 4       one job here, and with workers of Ray (mcdrop[ray])
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mcdrop.cli import main as mcdrop_main
from mcdrop.cli import predict_ray

SIDE, CLASSES, PASSES = 224, 1000, 50
EXAMPLES, PART = 8192, 1024

IMAGES, PART_SIZE, WORKERS, WORKER_CORES = 10**9, 65_536, 125, 8
CORE_HOUR, GPU_HOUR, GIGABYTE_MONTH = 0.04, 2.5, 0.02
"""Prices, which are assumptions."""

FAILURE_HOURS, GPU_IMAGES = 1000, 2000
"""Hours until a machine is lost, and images a second of a GPU, which are assumptions too."""


def resnet():
    """ResNet-50 with dropout before its last layer, as it is tuned with; the weights are random."""
    import keras

    base = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    hidden = keras.layers.Dropout(0.2)(base.output)
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(hidden)
    return keras.Model(base.input, outputs)


def seconds(work) -> float:
    """Returns processor seconds, after a first call that compiles."""
    work()
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    from PIL import Image

    import mcdrop
    from mcdrop.cli.writers import ParquetWriter

    mc = mcdrop.MCDropout(resnet())
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (32, SIDE, SIDE, 3)).astype(np.float32)
    plain = seconds(lambda: mc.model(x, training=False))
    sampled = seconds(lambda: mc.predict(x, num_samples=PASSES))
    # Smooth noise, which a JPEG file holds about as a photograph.
    small = rng.integers(0, 256, (28, 28, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    decode = seconds(lambda: [np.asarray(Image.open(buffer)) for _ in range(200)]) / 200
    prediction = mc.predict(x, num_samples=PASSES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.parquet"

        def write() -> None:
            with ParquetWriter(path) as writer:
                writer.write(prediction, {})

        writing = seconds(write) / len(x)
        size = path.stat().st_size / len(x)
    print(f"eager deterministic pass {plain / len(x):.4f} s an image")
    print(f"mcdrop predict, T={PASSES}     {sampled / len(x):.4f} s an image")
    print(f"decoding a JPEG          {decode:.5f} s, {buffer.getbuffer().nbytes} bytes")
    print(f"writing a row            {writing:.5f} s, {size:.0f} bytes")
    plan(sampled / len(x), decode, writing, buffer.getbuffer().nbytes, size)


def plan(predict: float, decode: float, write: float, read_bytes: float, row: float) -> None:
    """Prints the plan for IMAGES images from what one costs, in processor seconds and bytes."""
    cores = {"predict": predict, "decode": decode, "write": write}
    hours = {work: IMAGES * seconds / 3600 for work, seconds in cores.items()}
    total, parts = sum(hours.values()), IMAGES / PART_SIZE
    for work, found in hours.items():
        print(f"{work}: {found:,.0f} core hours, {found * CORE_HOUR:,.0f}")
    print(f"all: {total * CORE_HOUR / IMAGES * 1e6:.2f} a million images")
    print(f"{WORKERS} workers of {WORKER_CORES} cores: {total / WORKERS / WORKER_CORES:.0f} hours")
    print(
        f"{parts:,.0f} parts, each {total / parts:.1f} core hours, {row * PART_SIZE / 1e9:.2f} GB"
    )
    print(
        f"input {read_bytes * IMAGES / 1e12:.0f} TB, storage {row * IMAGES / 1e12:.1f} TB, ", end=""
    )
    print(f"{row * IMAGES / 1e9 * GIGABYTE_MONTH:,.0f} a month")
    lost = total / WORKER_CORES / FAILURE_HOURS
    each = total / parts / WORKER_CORES * 30
    print(f"machines lost {lost:.0f}, each costs {each:.0f} minutes of a worker")
    gpu = IMAGES / GPU_IMAGES / 3600
    beside = {work: GPU_IMAGES * cores[work] for work in ("decode", "write")}
    print(f"GPU: {gpu:.0f} hours, {gpu * GPU_HOUR:,.0f}, cores beside it {beside}")


class TimedWorker(predict_ray.PartWorker):
    """Notes the processor seconds of each part beside the folder of parts."""

    def _do(self, text: str) -> str:
        started = time.process_time()
        done = super()._do(text)
        with self._folder.with_name(f"worker-{os.getpid()}").open("a") as file:
            file.write(f"{time.process_time() - started}\n")
        return done


def scale(counts: list[int]) -> None:
    """Prints what one job costs in this process, and with some numbers of workers of Ray."""
    import ray

    from benchmarks.models import CASES

    predict_ray.PartWorker = TimedWorker  # type: ignore[misc]
    ray.init(include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = CASES["mnist"]
        case.build().save(folder / "m.keras")
        np.save(folder / "x.npy", case.inputs(EXAMPLES))
        for count in counts:
            _one_job(folder, count)
    ray.shutdown()


def _one_job(folder: Path, count: int) -> None:
    paths: list[Any] = [folder / "m.keras", folder / "x.npy", "--output", folder / f"out-{count}"]
    engine = ["--engine", "ray", "--workers", count] if count else []
    options = ["--samples", PASSES, "--part-size", PART, "--quiet", *engine]
    wall, driver = time.monotonic(), time.process_time()
    assert mcdrop_main([str(word) for word in ["predict", *paths, *options]]) == 0
    wall, driver = time.monotonic() - wall, time.process_time() - driver
    notes = list(folder.glob("worker-*"))
    parts = [list(map(float, note.read_text().split())) for note in notes]
    for note in notes:
        note.unlink()
    first = sum(part[0] for part in parts)  # with the model's loading and tracing
    later = [seconds for part in parts for seconds in part[1:]]
    each = f"{1000 * np.mean(later) / PART:.2f} ms an image" if later else "-"
    print(
        f"{count} workers ({len(parts)} at work): {wall:.0f} s, driver {driver:.1f} processor s, "
        f"first parts {first:.1f}, later ones {sum(later):.1f}, {each}",
        flush=True,
    )


if __name__ == "__main__":
    scale([int(count) for count in sys.argv[1:]]) if sys.argv[1:] else main()
