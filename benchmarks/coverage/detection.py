"""Worlds of known and out-of-distribution examples, which an uncertainty should tell apart."""

from functools import partial

import numpy as np

from mcdrop.weighted import ranking

WORLDS = ("same", "apart 1.5", "apart 3", "narrow", "bimodal", "ties", "constant")
SHIFTS = {"apart 1.5": 1.5, "apart 3": 3.0, "constant": 1.5}


def draw(world, size, generator, *, out_of_distribution):
    """Returns the uncertainties of two models, (2, n)."""
    shared, own = generator.standard_normal((2, size))
    if out_of_distribution and world.startswith(("apart", "constant")):
        shared = shared + SHIFTS[world]
    elif out_of_distribution and world == "narrow":
        shared = 2 + 0.3 * shared
    elif out_of_distribution and world in ("bimodal", "ties"):
        shared = np.where(generator.random(size) < 0.7, 3 + 0.5 * shared, shared)
    scores = np.stack([shared, 0.8 * shared + 0.6 * own])
    if world == "constant":  # one that knows nothing, beside one that does
        scores[0] = 0.5
    return np.round(scores) if world == "ties" else scores


def truths(world, known, out_of_distribution, size=500_000):
    """Returns the scores of both uncertainties with infinitely many examples of either kind.

    Precision depends on the share of out-of-distribution ones, which is that of the data sets.
    """
    generator = np.random.default_rng(10)
    inside = draw(world, size, generator, out_of_distribution=False)
    outside = draw(world, size, generator, out_of_distribution=True)
    positive = np.repeat([0.0, 1.0], size)
    weights = np.repeat([known, out_of_distribution], size)[np.newaxis] / (
        known + out_of_distribution
    )
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
