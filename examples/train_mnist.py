"""Trains the tutorial CNN on MNIST for two epochs and saves it, for the README's MNIST run.

    python examples/train_mnist.py mnist_cnn.keras

The images come from mnist.npz in the folder that MCDROP_DATA names, or from keras.datasets.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers


def load() -> tuple[np.ndarray, np.ndarray]:
    folder = os.environ.get("MCDROP_DATA")
    if folder is None:
        return keras.datasets.mnist.load_data()[0]
    with np.load(Path(folder) / "mnist.npz", allow_pickle=False) as archive:
        return archive["x_train"], archive["y_train"]


def build() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        name="mnist_cnn",
    )


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else "mnist_cnn.keras"
    keras.utils.set_random_seed(0)
    x, y = load()
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[..., None], y, batch_size=128, epochs=2, verbose=2)
    model.save(path)
    print(f"Saved {path}.")


if __name__ == "__main__":
    main()
