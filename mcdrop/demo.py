"""The small CNN of the demonstration, trained on scikit-learn's embedded digit images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from mcdrop.loading import load_named

NUM_EPOCHS = 60


def train_digits_model(
    *, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> keras.Model:
    """Returns a CNN with SpatialDropout2D and Dropout, trained on the digits in seconds.

    Args:
        seed: Seed of the initial weights and of the training; sets the global generators of
            Python, NumPy and TensorFlow.
        progress: Called with the epochs done and their total after each epoch.
    """
    keras.utils.set_random_seed(seed)
    digits = load_named("digits", split="train")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.SpatialDropout2D(0.1),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.1),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks: list[Any] = []
    if progress is not None:
        report = progress
        callbacks.append(
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: report(epoch + 1, NUM_EPOCHS)
            )
        )
    model.fit(digits.x, digits.y, batch_size=32, epochs=NUM_EPOCHS, verbose=0, callbacks=callbacks)
    return model
