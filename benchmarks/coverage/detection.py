"""Worlds of known and foreign examples: what an uncertainty tells of where one comes from."""

from functools import partial

import numpy as np

from mcdrop.weighted import ranking

WORLDS = ("same", "apart 1.5", "apart 3", "narrow", "bimodal", "ties", "constant")
SHIFTS = {"apart 1.5": 1.5, "apart 3": 3.0, "constant": 1.5}


def draw(world, size, generator, *, foreign):
    """Returns the uncertainties of two models, (2, n)."""
    shared, own = generator.standard_normal((2, size))
    if foreign and world.startswith(("apart", "constant")):
        shared = shared + SHIFTS[world]
    elif foreign and world == "narrow":
        shared = 2 + 0.3 * shared
    elif foreign and world in ("bimodal", "ties"):
        shared = np.where(generator.random(size) < 0.7, 3 + 0.5 * shared, shared)
    scores = np.stack([shared, 0.8 * shared + 0.6 * own])
    if world == "constant":  # one that knows nothing, beside one that does
        scores[0] = 0.5
    return np.round(scores) if world == "ties" else scores


def truths(world, known, foreign, size=500_000):
    """Returns the scores of both uncertainties with infinitely many examples of either kind.

    Precision depends on the share of foreign ones, which is that of the data sets.
    """
    generator = np.random.default_rng(10)
    inside = draw(world, size, generator, foreign=False)
    outside = draw(world, size, generator, foreign=True)
    positive = np.repeat([0.0, 1.0], size)
    weights = np.repeat([known, foreign], size)[np.newaxis] / (known + foreign)
    makers = {
        "auroc": ranking.auroc_statistic,
        "aupr": ranking.average_precision_statistic,
        "fpr95": partial(ranking.false_positive_rate_statistic, true_positive_rate=0.95),
    }
    return {
        f"out_of_distribution_{name}": tuple(
            float(make(np.concatenate(pair), positive)(weights)[0])
            for pair in zip(inside, outside, strict=True)
        )
        for name, make in makers.items()
    }
