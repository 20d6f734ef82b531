"""Worlds of a few trainings: how a score, or a paired difference of two, varies over seeds."""

import numpy as np

WORLDS = ("normal", "t5", "skewed", "counts", "rare counts")
TEST_EXAMPLES = 200


def draw(world, num_seeds, generator):
    """Returns the score of each seed, (n,)."""
    if world == "t5":
        return generator.standard_t(5, num_seeds)
    if world == "skewed":  # as losses are, of which some runs are much worse
        return np.exp(0.5 * generator.standard_normal(num_seeds))
    if world.endswith("counts"):  # accuracies of a small test set
        return generator.binomial(TEST_EXAMPLES, MEANS[world], num_seeds) / TEST_EXAMPLES
    return generator.standard_normal(num_seeds)


MEANS = {
    "normal": 0.0,
    "t5": 0.0,
    "skewed": float(np.exp(0.125)),
    "counts": 0.1,
    "rare counts": 0.005,
}
