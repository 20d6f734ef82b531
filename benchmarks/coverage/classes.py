"""Worlds of classifiers: what is true, and what two models say of it.

A world draws the class probabilities of examples and two models that see them through a slope
(1 calibrated, above 1 overconfident, below underconfident) and noise. One class leads, one is
second, eight share the rest evenly; which class leads is drawn, so that some are rare.
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
)
SLOPES = {"smooth-over": 2.0, "smooth-under": 0.6, "twopoint-over": 1.8}
LEADERS = 0.5 ** np.arange(1, NUM_CLASSES + 1)
"""Relative frequency of the classes as leaders: the ninth leads one example in 512."""


@dataclass(frozen=True)
class Classes:
    """Examples of a world, shape (n, 10) each: true probabilities and those of two models."""

    truth: np.ndarray
    first: np.ndarray
    second: np.ndarray


def draw(world, size, parameter, generator, *, stratified=False):
    """Returns `size` examples of a world; `stratified` spreads what decides evenly."""
    uniform = generator.random(size)
    if stratified:
        uniform = (generator.permutation(size) + uniform) / size
    true, logit = _latent(world, uniform, parameter, generator)
    tilt = np.full(size, 0.6) if world == "ties" else generator.beta(3, 2, size)
    slope = SLOPES.get(world, 1.0)
    leader = generator.choice(NUM_CLASSES, p=LEADERS / LEADERS.sum(), size=size)
    noise = 0.4 * generator.standard_normal(size)
    if world == "ties":
        noise = np.round(noise)
    tables = [
        true,
        *(special.expit(np.clip(x, -12, 12)) for x in (slope * logit, 1.2 * slope * logit + noise)),
    ]
    return Classes(*(_table(top, tilt, leader) for top in tables))


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
    if world.startswith("smooth"):
        logit = parameter + 1.5 * normal
        return special.expit(logit), logit
    if world == "sharp":
        logit = parameter + 4.0 * normal
        return special.expit(logit), logit
    if world.startswith("twopoint"):
        true = np.where(uniform < parameter, 0.6, 0.9999)
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
    if world == "heavy":
        return rate

    def excess(parameter):
        drawn = draw(world, 10_000, parameter, np.random.default_rng(1), stratified=True)
        return 1.0 - drawn.truth.max(axis=1).mean() - rate

    return optimize.brentq(excess, -4.0, 40.0, xtol=1e-3)
