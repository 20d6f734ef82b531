"""Unit costs of a large run, in processor time, for the plan of docs/how-to/cluster.md.

python -m benchmarks.cluster
"""

from __future__ import annotations

import io
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE, CLASSES, PASSES = 224, 1000, 50


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


if __name__ == "__main__":
    main()
