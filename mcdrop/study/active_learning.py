"""How many labels a rule of choosing images saves.

Every round trains a network from its initial weights on the images labelled so far, and
chooses the next from a random part of the rest: the same part for every rule of a seed, as far
as it is not labelled yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from mcdrop import acquisition
from mcdrop.errors import DataError
from mcdrop.predictor import MCDropout
from mcdrop.study.answers import answer
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import load_images, num_classes
from mcdrop.study.networks import strided_cnn
from mcdrop.study.plan import POINTS, Found, Job, Plan, Request, Row, Score, Tick, beside
from mcdrop.study.running import record_of
from mcdrop.study.training import Schedule, Sets, Trainer, accuracy

Indices = NDArray[np.intp]

RULES: Mapping[str, str | None] = {
    "random": None,
    "entropy": "predictive_entropy",
    "variation ratios": "variation_ratio",
    "BALD": "mutual_information",
    "BatchBALD": "batch_bald",
}
"""The rules, and the names that `mcdrop.acquisition` has for them."""

TARGETS = (0.10, 0.05)
"""Test errors whose numbers of labelled images are told."""

FIRST, BATCH, LAST, POOL = 20, 10, 300, 1000
"""Images labelled at the start, in a round, and at the end; images that a round chooses from."""

_STEPS_AN_EPOCH = 10
_BATCH_SIZE = 64
RATES = {"pooling_rate": 0.25, "dense_rate": 0.5}


def images_to(target: float) -> str:
    """Returns the column that holds the labelled images at which the error is at most `target`."""
    return f"images_to_{target:.0%}_error".replace("%", "")


SCORES = {
    "mean_error": Score("Mean test error of all rounds", "points", POINTS, 2),
    "error": Score("Test error", "points", POINTS, 2),
    **{
        images_to(target): Score(f"Labelled images to {target:.0%} error", "images", digits=0)
        for target in TARGETS
    },
}


def plan(request: Request) -> Plan:
    """Returns the study; every rule is set beside the random one."""
    sets = load_images(request)
    if len(sets.train) < LAST + BATCH:
        raise DataError(
            f"There are {len(sets.train)} training images, and {LAST} are to be labelled and "
            "more to be left to choose from. Take a larger --train-size, or more data."
        )
    settings = {f"labels, {rule}": {"rule": rule} for rule in RULES}
    learner = _Learner(sets, request)
    seeds = range(request.seeds)
    study = Plan(
        name="active-learning",
        question=STUDIES["active-learning"],
        settings=settings,
        references=beside(settings, "random"),
        headline="labels, BALD",
        jobs=[
            Job((f"labels, {rule}",), (seed,), partial(learner.run, rule, seed), ticks=num_rounds())
            for seed in seeds
            for rule in RULES
        ],
        record=record_of(sets, seeds, learner.schedule) | {"pool": POOL, "batch": BATCH},
        scores=SCORES,
        spoken=("mean_error", "error"),
        drawn=("error",),
        axis="labelled",
    )
    return replace(study, answers=partial(_answers, study))


def num_rounds() -> int:
    """Returns how often a network is trained in a run."""
    return (LAST - FIRST) // BATCH + 1


class _Learner:
    """Runs the rounds; the networks of all rounds and rules are one compiled model.

    Args:
        sets: The pool, whose labels are looked up when they are asked for, and the test images.
        request: What was asked.
    """

    def __init__(self, sets: Sets, request: Request) -> None:
        self._sets = sets
        self.schedule = Schedule(request.epochs, _BATCH_SIZE, request.num_samples)
        build = partial(strided_cnn, sets.train.x.shape[1:], num_classes(sets))
        self._trainer = Trainer(build, RATES, sets, self.schedule, compile_once=True)
        self._samplers: dict[str, MCDropout] = {}

    def run(self, rule: str, seed: int, tick: Tick) -> Found:
        """Returns one row a round; the last one tells what the run came to."""
        setting = f"labels, {rule}"
        labelled = balanced_start(self._sets.train.y, FIRST, seed)
        rows: list[Row] = []
        while True:
            model = self._train(labelled, seed)
            error = self._error(model, seed)
            rows.append(
                {"setting": setting, "seed": seed, "labelled": len(labelled), "error": error}
            )
            tick()
            if len(labelled) >= LAST:
                break
            chosen = self._choose(model, rule, labelled, seed)
            labelled = np.concatenate([labelled, chosen])
        rows[-1] |= reached(rows)
        return Found(rows)

    def _train(self, labelled: Indices, seed: int) -> keras.Model:
        """Returns the network trained on the labelled images, as long for few as for many."""
        model = self._trainer.model(seed)
        train = self._sets.train
        data = tf.data.Dataset.from_tensor_slices((train.x[labelled], train.y[labelled]))
        batches = data.shuffle(len(labelled), seed=seed).repeat().batch(_BATCH_SIZE).prefetch(1)
        steps = _STEPS_AN_EPOCH * self.schedule.epochs
        model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)
        return model

    def _error(self, model: keras.Model, seed: int) -> float:
        test = self._sets.test
        mc = self._sampler(model, "independent")
        found = mc.predict(test.x, num_samples=self.schedule.num_samples, seed=seed)
        return 1.0 - accuracy(found.class_probabilities, test.y)

    def _choose(self, model: keras.Model, rule: str, labelled: Indices, seed: int) -> Indices:
        """Returns the images to label next, as numbers of the training images."""
        generator = np.random.default_rng([seed, len(labelled)])
        shuffled = generator.permutation(len(self._sets.train))
        # As many in every round, so that one compiled program serves all of them.
        size = min(POOL, len(shuffled) - LAST)
        candidates = shuffled[~np.isin(shuffled, labelled)][:size]
        method = RULES[rule]
        if method is None:
            return candidates[:BATCH]
        # BatchBALD asks for passes that are the same sub-network for all images.
        mc = self._sampler(model, "shared" if method == "batch_bald" else "independent")
        passes = mc.sample(
            self._sets.train.x[candidates],
            num_samples=self.schedule.num_samples,
            seed=seed + len(labelled),
        )
        return candidates[acquisition.select(passes, BATCH, method=method, seed=seed)]

    def _sampler(self, model: keras.Model, masks: str) -> MCDropout:
        """Returns the model's sampler, made once: it reads the weights that the model has."""
        if masks not in self._samplers:
            self._samplers[masks] = MCDropout(model, masks=masks, task="classification")
        return self._samplers[masks]


def balanced_start(y: NDArray[np.int64], count: int, seed: int) -> Indices:
    """Returns random examples, as many of each class as possible.

    Example:
        >>> y = np.array([0, 0, 0, 0, 1, 1])
        >>> sorted(y[balanced_start(y, 4, seed=0)].tolist())
        [0, 0, 1, 1]
    """
    shuffled = np.random.default_rng(seed).permutation(len(y))
    place_in_class = pd.Series(y[shuffled]).groupby(y[shuffled]).cumcount().to_numpy()
    return shuffled[np.argsort(place_in_class, kind="stable")[:count]]


def reached(rows: list[Row]) -> Row:
    """Returns the mean error of a run, and the labelled images at which it first met each target.

    A target that was not met has no number; to take the last one would make a bad rule look better.

    Example:
        >>> rows = [{"labelled": 20, "error": 0.3}, {"labelled": 30, "error": 0.08}]
        >>> reached(rows)
        {'mean_error': 0.19, 'images_to_10_error': 30}
    """
    found: Row = {"mean_error": float(np.mean([row["error"] for row in rows]))}
    for target in TARGETS:
        met = [row["labelled"] for row in rows if row["error"] <= target]
        if met:
            found[images_to(target)] = met[0]
    return found


def _answers(plan: Plan, runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Returns how each rule did against the random one, and medians of images to each target."""
    others = [name for name, base in plan.references.items() if name not in (base, plan.headline)]
    compared = [answer(plan, summary, name) for name in (plan.headline, *others)]
    last = runs.groupby(["setting", "seed"], sort=False).tail(1)
    return [*compared, *(_medians(last, target) for target in TARGETS)]


def _medians(last: pd.DataFrame, target: float) -> str:
    """Returns the median over seeds of each rule; a run that never met the target is above all."""
    parts = []
    for rule in RULES:
        runs = last[last["setting"] == f"labels, {rule}"]
        numbers = runs.get(images_to(target), pd.Series(np.nan, runs.index)).fillna(np.inf)
        median = float(np.quantile(numbers, 0.5, method="higher"))
        number = f"{median:.0f}" if np.isfinite(median) else f"more than {LAST}"
        missed = int(np.isinf(numbers).sum())
        some = f" ({missed} of {len(runs)} runs never)" if missed else ""
        parts.append(f"{rule} {number}{some}")
    return f"Median number of labelled images to {target:.0%} test error: {'; '.join(parts)}."
