"""What is left of accuracy and calibration when the images change after training.

Networks are trained on clean images and tested on corrupted ones of rising degree, and on
images of something else. Temperatures are fitted on clean validation images.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdrop import metrics
from mcdrop.errors import DataError
from mcdrop.loading import load_named
from mcdrop.predictor import MCDropout
from mcdrop.recalibrate import TemperatureScaling
from mcdrop.study.answers import answer
from mcdrop.study.catalog import STUDIES
from mcdrop.study.corruptions import CORRUPTIONS, SEVERITIES, Images, corrupt, shuffled
from mcdrop.study.images import BATCH_SIZE, load_images, num_classes
from mcdrop.study.networks import strided_cnn
from mcdrop.study.plan import (
    POINTS,
    Found,
    Job,
    Plan,
    Request,
    Row,
    Score,
    Tick,
    beside,
    group_of,
)
from mcdrop.study.running import record_of
from mcdrop.study.training import (
    Examples,
    Schedule,
    Sets,
    Trainer,
    class_scores,
    predict_probabilities,
)

FloatArray = NDArray[np.float64]

DETERMINISTIC, TEMPERATURE, DROPOUT_OFF, MONTE_CARLO, ENSEMBLE = METHODS = (
    "deterministic",
    "temperature-scaled",
    "dropout off",
    "Monte Carlo",
    "ensemble of 5",
)
MEMBERS = 5
AVERAGED = ("brier_score", "negative_log_likelihood", "expected_calibration_error", "accuracy")
RATES = {"pooling_rate": 0.25, "dense_rate": 0.5}
LETTERS, SHUFFLED = "letters", "shuffled pixels"
_OTHER_IMAGES = "notmnist"

SCORES = {
    "mean_brier_score": Score("Mean Brier score of all degrees"),
    "mean_negative_log_likelihood": Score("Mean negative log-likelihood of all degrees", "nats"),
    "mean_expected_calibration_error": Score(
        "Mean calibration error of all degrees", "points", POINTS, 2
    ),
    "mean_accuracy": Score("Mean accuracy of all degrees", "points", POINTS, 2),
    "brier_score": Score("Brier score"),
    "negative_log_likelihood": Score("Negative log-likelihood", "nats"),
    "expected_calibration_error": Score("Calibration error", "points", POINTS, 2),
    "accuracy": Score("Accuracy", "points", POINTS, 2),
    "error_auroc": Score("AUROC of the entropy for errors", digits=3),
    "shift_auroc": Score("AUROC of the entropy for shifted images", digits=3),
}
_SPOKEN = ("mean_brier_score", "mean_expected_calibration_error", "mean_accuracy")
_DRAWN = (*AVERAGED, "error_auroc", "shift_auroc")


def plan(request: Request) -> Plan:
    """Returns the study; each method is set beside the deterministic network.

    A seed trains five networks without dropout, of which the first is the deterministic one,
    and one with dropout that starts from the weights of the first.
    """
    sets = load_images(request)
    others = _other_images(sets)
    settings = {
        f"{group}, {method}": {"method": method}
        for group in (*CORRUPTIONS, *others)
        for method in METHODS
    }
    schedule = Schedule(request.epochs, BATCH_SIZE, request.num_samples)
    shape, classes = sets.train.x.shape[1:], num_classes(sets)
    build = partial(strided_cnn, shape, classes)
    plain = Trainer(build, {}, sets, schedule, compile_once=True)
    dropped = Trainer(build, RATES, sets, schedule, compile_once=True)
    seeds = range(request.seeds)
    study = Plan(
        name="shift",
        question=STUDIES["shift"],
        settings=settings,
        references=beside(settings, DETERMINISTIC),
        headline=f"rotated, {MONTE_CARLO}",
        jobs=[
            Job(
                tuple(settings),
                (seed,),
                partial(run_seed, plain, dropped, sets, others, request.num_samples, seed),
                ticks=MEMBERS + 1 + len(CORRUPTIONS),
            )
            for seed in seeds
        ],
        record=record_of(sets, seeds, schedule),
        scores=SCORES,
        spoken=_SPOKEN,
        drawn=_DRAWN,
        axis="severity",
    )
    return replace(study, answers=partial(_answers, study))


def run_seed(
    plain: Trainer,
    dropped: Trainer,
    sets: Sets,
    others: Mapping[str, Images],
    num_samples: int,
    seed: int,
    tick: Tick,
) -> Found:
    """Trains the networks of a seed, and scores every method on every corruption and degree."""
    members = []
    for member in range(MEMBERS):
        # The first member starts where the network with dropout does: those two are paired.
        drawn = np.random.SeedSequence([seed, member]).generate_state(1)[0]
        own = int(drawn) if member else seed
        model = plain.model(own)
        plain.train(model, own)
        members.append(model.get_weights())
        tick()
    with_dropout = dropped.model(seed)
    dropped.train(with_dropout, seed)
    tick()
    mc = MCDropout(with_dropout, task="classification")
    forecast = _Forecaster(model, members, mc, num_samples, seed)
    forecast.fit_temperature(sets.validation or sets.train)
    clean = forecast(sets.test.x)
    rows: list[Row] = []
    for name in CORRUPTIONS:
        rows += _corruption_rows(forecast, clean, sets.test, name, seed)
        tick()
    for name, images in others.items():
        found = forecast(images)
        for method in METHODS:
            known = method in found
            score = {"shift_auroc": _auroc(clean[method], found[method])} if known else {}
            rows.append(_row(name, method, seed, SEVERITIES[-1], score))
    return Found(rows)


class _Forecaster:
    """The forecasts of every method for images, from the networks of one seed."""

    def __init__(
        self,
        model: keras.Model,
        members: Sequence[Sequence[FloatArray]],
        mc: MCDropout,
        num_samples: int,
        seed: int,
    ) -> None:
        self._model = model
        self._members = members
        self._mc = mc
        self._num_samples = num_samples
        self._seed = seed
        self._scaling: TemperatureScaling | None = None

    def fit_temperature(self, validation: Examples) -> None:
        """Fits the temperature of the deterministic network on clean images.

        A network that is right about all of them has no best temperature, and goes without.
        """
        probabilities = self._member(0, validation.x)
        with contextlib.suppress(DataError):
            self._scaling = TemperatureScaling().fit(probabilities, validation.y)

    def __call__(self, x: Images) -> dict[str, FloatArray]:
        """Returns the class probabilities of each method that there is, shape (N, C)."""
        members = [self._member(number, x) for number in range(MEMBERS)]
        prediction = self._mc.predict(x, num_samples=self._num_samples, seed=self._seed)
        scaled = {TEMPERATURE: self._scaling.transform(members[0])} if self._scaling else {}
        return {
            DETERMINISTIC: members[0],
            **scaled,
            DROPOUT_OFF: prediction.deterministic,
            MONTE_CARLO: prediction.class_probabilities,
            ENSEMBLE: np.mean(members, axis=0),
        }

    def _member(self, number: int, x: Images) -> FloatArray:
        self._model.set_weights(list(self._members[number]))
        return predict_probabilities(self._model, x)


def _corruption_rows(
    forecast: _Forecaster, clean: Mapping[str, FloatArray], test: Examples, name: str, seed: int
) -> list[Row]:
    """Returns the scores of every method at every degree; the last row has their means too."""
    rows: list[Row] = []
    for severity in SEVERITIES:
        found = forecast(corrupt(test.x, name, severity)) if severity else clean
        for method in METHODS:
            scores = _scores(found[method], clean[method], test.y) if method in found else {}
            if not severity:
                scores.pop("shift_auroc", None)
            rows.append(_row(name, method, seed, severity, scores))
    for last in rows[-len(METHODS) :]:
        own = [row for row in rows if row["setting"] == last["setting"] and row["severity"] > 0]
        means = [score for score in AVERAGED if score in last]
        last |= {f"mean_{score}": float(np.mean([row[score] for row in own])) for score in means}
    return rows


def _scores(probabilities: FloatArray, clean: FloatArray, y: NDArray[np.int64]) -> Row:
    """Returns the scores of shifted images; those for errors only where there are some."""
    scores: Row = class_scores(probabilities, y)
    wrong = probabilities.argmax(axis=-1) != y
    if 0 < wrong.sum() < wrong.size:
        entropy = metrics.entropy(probabilities)
        scores["error_auroc"] = metrics.error_detection(entropy, wrong).auroc
    return scores | {"shift_auroc": _auroc(clean, probabilities)}


def _auroc(clean: FloatArray, other: FloatArray) -> float:
    entropies = metrics.entropy(clean), metrics.entropy(other)
    return metrics.out_of_distribution_detection(*entropies).auroc


def _row(group: str, method: str, seed: int, severity: int, scores: Mapping[str, float]) -> Row:
    return {"setting": f"{group}, {method}", "seed": seed, "severity": severity, **scores}


def _other_images(sets: Sets) -> dict[str, Images]:
    """Returns images of something else by name: letters where there are some of the same shape."""
    found = {SHUFFLED: shuffled(sets.test.x)}
    with contextlib.suppress(DataError):
        letters = (load_named(_OTHER_IMAGES, split="test").x[..., np.newaxis] / 255.0).astype(
            np.float32
        )
        if letters.shape[1:] == sets.test.x.shape[1:]:
            order = np.random.default_rng(0).permutation(len(letters))
            found[LETTERS] = letters[order[: len(sets.test)]]
    return found


def _answers(plan: Plan, runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    """Returns a sentence a setting: for images of something else how well they are told apart."""
    headline = plan.headline
    others = [name for name, base in plan.references.items() if name not in (base, headline)]
    return [
        answer(
            plan, summary, name, plan.spoken if group_of(name) in CORRUPTIONS else ("shift_auroc",)
        )
        for name in (headline, *others)
    ]
