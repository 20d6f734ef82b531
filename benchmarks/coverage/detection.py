"""Worlds of known and foreign examples: what an uncertainty tells of where one comes from."""

from functools import cache

import numpy as np

WORLDS = ("same", "apart 1.5", "apart 3", "narrow", "bimodal", "ties")
NUM_KNOWN = 300


def draw(world, size, generator, *, foreign):
    """Returns the uncertainties of two models, (2, n)."""
    shared, own = generator.standard_normal((2, size))
    if foreign and world.startswith("apart"):
        shared = shared + float(world.split()[1])
    elif foreign and world == "narrow":
        shared = 2 + 0.3 * shared
    elif foreign and world in ("bimodal", "ties"):
        shared = np.where(generator.random(size) < 0.7, 3 + 0.5 * shared, shared)
    scores = np.stack([shared, 0.8 * shared + 0.6 * own])
    return np.round(scores) if world == "ties" else scores


@cache
def truth(world, size=1_000_000):
    """Returns the area under the ROC curve and the false positive rate at 95%, of the first."""
    generator = np.random.default_rng(10)
    known = np.sort(draw(world, size, generator, foreign=False)[0])
    foreign = draw(world, size, generator, foreign=True)[0]
    sides = np.searchsorted(known, foreign), np.searchsorted(known, foreign, "right")
    threshold = np.sort(foreign)[int(0.05 * size)]
    rate = 1.0 - np.searchsorted(known, threshold) / size
    return (sides[0] + sides[1]).mean() / (2.0 * size), rate
