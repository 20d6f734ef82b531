"""Worlds of regression: two models of the same targets, by the shape of the residuals."""

import numpy as np

WORLDS = ("normal", "t3", "contaminated", "skewed", "lognormal")


def draw(world, size, generator):
    """Returns targets (n,), and mean and variance of two models, (2, n) each."""
    scale = np.exp(0.4 * generator.standard_normal(size))
    center = generator.standard_normal(size)
    target = center + scale * _residuals(world, size, generator)
    means = np.stack([center, center + 0.3 * scale * generator.standard_normal(size)])
    return target, means, np.square(np.stack([scale, 1.3 * scale]))


def _residuals(world, size, generator):
    normal = generator.standard_normal(size)
    if world == "t3":
        return generator.standard_t(3, size)
    if world == "contaminated":
        return normal * np.where(generator.random(size) < 0.1, 5.0, 1.0)
    if world == "skewed":
        return generator.standard_exponential(size) - 1.0
    if world == "lognormal":
        return np.exp(normal) - np.exp(0.5)
    return normal


SQUARES = {
    "normal": 1.0,
    "t3": 3.0,
    "contaminated": 0.9 + 0.1 * 25.0,
    "skewed": 1.0,
    "lognormal": (np.e - 1.0) * np.e,
}
"""Mean square of the residuals."""
