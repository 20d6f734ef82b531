"""Worlds of classifiers: what is true, and what two models say of it.

A world draws the class probabilities of examples and two models that see them through a slope
(1 calibrated, above 1 overconfident, below underconfident) and noise. One class leads, one is
second, eight share the rest evenly; which class leads is drawn, so that some are rare, but for
the world "even". With no expected error the leader is always right, whatever the models say.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, special

NUM_CLASSES = 10
WORLDS = (
    "smooth",
    "smooth-over",
    "smooth-under",
    "twopoint",
    "twopoint-over",
    "sharp",
    "heavy",
    "ties",
    "constant",
    "even",
)
SLOPES = {"smooth-over": 2.0, "smooth-under": 0.6, "twopoint-over": 1.8}
LEAST_EXPECTED = 0.5
"""Expected errors that the models of a world without errors are made for."""
LEADERS = 0.5 ** np.arange(1, NUM_CLASSES + 1)
"""Relative frequency of the classes as leaders: the ninth leads one example in 512."""


@dataclass(frozen=True)
class Classes:
    """Examples of a world, shape (n, 10) each: true probabilities and those of two models."""

    truth: np.ndarray
    first: np.ndarray
    second: np.ndarray


def draw(world, num_examples, expected, size, generator, *, stratified=False):
    """Returns examples of a world in which the first model errs `expected` times in `size`.

    Args:
        world: One of WORLDS.
        num_examples: n.
        expected: Expected errors among `size` examples; 0 makes every leader right.
        size: Examples of a data set.
        generator: Source of chance.
        stratified: Whether to spread evenly what decides.
    """
    parameter = solve(world, (expected or LEAST_EXPECTED) / size)
    uniform = generator.random(num_examples)
    if stratified:
        uniform = (generator.permutation(num_examples) + uniform) / num_examples
    true, logit = _latent(world, uniform, parameter, generator)
    leaders = np.ones(NUM_CLASSES) if world == "even" else LEADERS
    leader = generator.choice(NUM_CLASSES, p=leaders / leaders.sum(), size=num_examples)
    noise = 0.4 * generator.standard_normal(num_examples)
    tilt = generator.beta(3, 2, num_examples)
    if world in ("ties", "constant"):
        noise = np.round(noise) if world == "ties" else np.zeros(num_examples)
        tilt = np.full(num_examples, 0.6)
    if expected == 0:
        true = np.ones(num_examples)
    slope = SLOPES.get(world, 1.0)
    logits = slope * logit, 1.2 * slope * logit + noise
    tops = true, *(special.expit(np.clip(x, -12, 12)) for x in logits)
    return Classes(*(_table(top, tilt, leader) for top in tops))


def labels_of(truth, generator):
    """Returns one label of each row of probabilities."""
    reached = np.cumsum(truth, axis=1)[:, :-1]
    return (generator.random((len(truth), 1)) > reached).sum(axis=1)


def _latent(world, uniform, parameter, generator):
    """Returns the true probability of the leader, and the logits of the first model."""
    normal = special.ndtri(uniform)
    if world == "ties":
        # Confidences as a share of ten votes has them: five values, every score tied.
        logit = np.round((parameter + 1.5 * normal) / 1.5) * 1.5
        return special.expit(logit), logit
    if world.startswith("smooth") or world == "even":
        logit = parameter + 1.5 * normal
        return special.expit(logit), logit
    if world == "sharp":
        logit = parameter + 4.0 * normal
        return special.expit(logit), logit
    if world.startswith("twopoint"):
        true = np.where(uniform < parameter, 0.6, 0.9999)
        return true, special.logit(true)
    if world == "constant":
        # A model that has learned the frequencies only: one confidence, no ranking at all.
        true = np.full(uniform.size, 1.0 - parameter)
        return true, special.logit(true)
    # "heavy": errors do not depend on the confidence, which is .999 in most cases.
    sure = np.where(uniform < 0.7, 0.999, generator.uniform(0.6, 0.99, uniform.size))
    return np.full(uniform.size, 1.0 - parameter), special.logit(sure)


def _table(top, tilt, leader):
    rest = 1.0 - top
    table = np.repeat((rest * (1.0 - tilt) / 8)[:, None], NUM_CLASSES, axis=1)
    rows = np.arange(len(top))
    table[rows, leader] = top
    table[rows, (leader + 1) % NUM_CLASSES] = rest * tilt
    return table


@cache
def solve(world, rate):
    """Returns the parameter for which the first model errs at `rate`."""
    if world.startswith("twopoint"):
        return max((rate - 1e-4) / (0.4 - 1e-4), 1e-6)
    if world in ("heavy", "constant"):
        return rate

    def excess(parameter):
        uniform = (np.arange(10_000) + 0.5) / 10_000
        top = _latent(world, uniform, parameter, np.random.default_rng(1))[0]
        return 1.0 - np.maximum(top, 0.6 * (1.0 - top)).mean() - rate

    return optimize.brentq(excess, -4.0, 40.0, xtol=1e-3)
