"""What balanced masks and half precision do to the error of the predictive mean."""

from __future__ import annotations

import keras
import numpy as np

import mcdrop
from benchmarks.models import mnist_cnn


def trained_mnist(x: np.ndarray, y: np.ndarray, epochs: int = 1) -> keras.Model:
    """Returns the tutorial CNN, trained on images in [0, 1]."""
    keras.utils.set_random_seed(0)
    model = mnist_cnn()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=128, epochs=epochs, verbose=0)
    return model


def errors_of_the_mean(
    model: keras.Model, x: np.ndarray, *, reference_passes: int, seeds: int
) -> dict[str, float]:
    """Returns the root mean squared error of the predictive mean of several ways of sampling."""
    base = mcdrop.MCDropout(model)
    reference = base.predict(x, num_samples=reference_passes, seed=10**6).mean
    ways = {
        "ordinary, T=16": ({}, 16),
        "ordinary, T=50": ({}, 50),
        "balanced, T=16": ({"balanced": True}, 16),
        "balanced, T=50": ({"balanced": True}, 50),
        "bfloat16, T=50": ({"compute_dtype": "bfloat16"}, 50),
    }
    result = {}
    for name, (options, passes) in ways.items():
        mc = mcdrop.MCDropout(model, **options)
        squares = [
            np.square(mc.predict(x, num_samples=passes, seed=seed).mean - reference).mean()
            for seed in range(seeds)
        ]
        result[name] = float(np.sqrt(np.mean(squares)))
    return result


def bfloat16_error(model: keras.Model, x: np.ndarray) -> tuple[float, float]:
    """Returns the largest and the root mean squared difference of single passes, same masks."""
    exact = mcdrop.MCDropout(model).sample(x, num_samples=20)
    half = mcdrop.MCDropout(model, compute_dtype="bfloat16").sample(x, num_samples=20)
    return float(np.abs(exact - half).max()), float(np.sqrt(np.square(exact - half).mean()))
