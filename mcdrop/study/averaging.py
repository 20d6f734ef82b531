"""How to average over sub-networks: weight scaling, or the mean of k passes, and how many.

Srivastava et al. (2014), Dropout, JMLR 15, section 7.5 and Figure 11. In small networks, all
sub-networks are enumerated, so that both approximations are set beside the exact means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from mcdrop import metrics
from mcdrop.predictor import MCDropout
from mcdrop.study import networks
from mcdrop.study.answers import clause, measured
from mcdrop.study.catalog import STUDIES
from mcdrop.study.images import BATCH_SIZE, load_images, num_classes
from mcdrop.study.plan import POINTS, Found, Job, Plan, Request, Row, Score, Tick
from mcdrop.study.running import record_of
from mcdrop.study.training import (
    Examples,
    Schedule,
    Sets,
    Trainer,
    predict_probabilities,
)

Array = NDArray[np.float64]

PASSES = (1, 2, 4, 8, 20, 40, 100)
INNER = 4
"""Late masks for each draw of the early ones, of split passes."""

_MOST_REPEATS = 10
_ENUMERATED = 500
"""Test examples for which all 4,096 sub-networks of a small network are run."""

_RATE = 0.5
_SMALL_RATE = 0.2
_SMALL = {"one layer of 12": (12,), "two layers of 6": (6, 6)}
_MEANS = ("weight scaling", "geometric mean of all", "mean of all", "mean of k passes")

SCORES: Mapping[str, Score] = {
    "test_error": Score("Test error", "points", POINTS, 2),
    "test_loss": Score("Test loss", "nats"),
    "distance": Score("Distance to the mean of all sub-networks", digits=5),
    "vanilla_difference": Score("Largest difference, vanilla to inverted", digits=8),
}


def plan(request: Request) -> Plan:
    """Returns the study; every kind of passes is set beside weight scaling of the same weights."""
    sets = load_images(request)
    schedule = Schedule(request.epochs, BATCH_SIZE, request.num_samples)
    large = [f"mlp, {name}" for name in ("weight scaling", *_KINDS)]
    small = [f"{net}, {name}" for net in _SMALL for name in _MEANS]
    passes = list(_passes(request.num_samples))
    settings = {name: {"passes": passes} for name in (*large, *small)}
    references = {name: f"{name.split(', ')[0]}, weight scaling" for name in settings}
    work = _Averaging(sets, schedule)
    seeds = range(request.seeds)
    return Plan(
        name="averaging",
        question=STUDIES["averaging"],
        settings=settings,
        references=references,
        headline=large[1],
        jobs=[
            Job(names, (seed,), _bound(run, seed))
            for seed in seeds
            for names, run in ((tuple(large), work.large), (tuple(small), work.small))
        ],
        record=record_of(sets, seeds, schedule),
        scores=SCORES,
        spoken=("test_error", "test_loss"),
        drawn=("test_error", "test_loss", "distance"),
        axis="passes",
        logarithmic=True,
        answers=_answers,
    )


_KINDS: Mapping[str, Mapping[str, Any]] = {
    "ordinary": {},
    "balanced": {"balanced": True},
    "split": {},
}


def _bound(run: Any, seed: int) -> Any:
    return lambda tick: Found(run(seed, tick))


def _passes(most: int) -> tuple[int, ...]:
    return (*(k for k in PASSES if k < most), most)


class _Averaging:
    """Trains a network a seed and averages over its sub-networks in every way."""

    def __init__(self, sets: Sets, schedule: Schedule) -> None:
        self._test = sets.test
        self._most = schedule.num_samples
        shape, classes = sets.train.x.shape[1:], num_classes(sets)

        def build(hidden: tuple[int, ...], rate: float, input_rate: float) -> keras.Model:
            rates = (rate,) * len(hidden)
            return networks.mlp(shape, classes, hidden=hidden, rates=rates, input_rate=input_rate)

        def trainer(hidden: tuple[int, ...], rate: float, input_rate: float) -> Trainer:
            given = {"hidden": hidden, "rate": rate, "input_rate": input_rate}
            return Trainer(build, given, sets, schedule, compile_once=True)

        self._large = trainer((128, 64), _RATE, 0.2)
        self._small = {name: trainer(hidden, _SMALL_RATE, 0.0) for name, hidden in _SMALL.items()}

    def large(self, seed: int, tick: Tick) -> list[Row]:
        """Returns error and loss against k, of each kind of passes."""
        model = self._large.model(seed)
        self._large.train(model, seed)
        scaled = _scores(predict_probabilities(model, self._test.x), self._test.y)
        scaled["vanilla_difference"] = vanilla_difference(model, self._test.x[:100], seed)
        rows = [_row("mlp, weight scaling", seed, k, scaled) for k in self._ks()]
        for kind in _KINDS:
            for k in self._ks():
                if kind != "split" or (k % INNER == 0 and k > INNER):
                    means = self._means(model, kind, k, seed)
                    scores = [_scores(each, self._test.y) for each in means]
                    mean = {
                        name: float(np.mean([one[name] for one in scores])) for name in scores[0]
                    }
                    rows.append(_row(f"mlp, {kind}", seed, k, mean))
        tick()
        return rows

    def _ks(self) -> tuple[int, ...]:
        return _passes(self._most)

    def _means(self, model: keras.Model, kind: str, k: int, seed: int) -> Iterator[Array]:
        """Yields several independent means of k passes: error and loss of one are noisy."""
        splitting = (k // INNER, INNER) if kind == "split" else None
        mc = MCDropout(model, task="classification", splitting=splitting, **_KINDS[kind])
        for repeat in range(max(1, min(_MOST_REPEATS, self._most // k))):
            mask_seed = 1000 * (seed + 1) + repeat
            if k == 1:
                yield np.asarray(mc.sample(self._test.x, num_samples=1, seed=mask_seed)[0])
            else:
                yield mc.predict(self._test.x, num_samples=k, seed=mask_seed).class_probabilities

    def small(self, seed: int, tick: Tick) -> list[Row]:
        """Returns how far weight scaling and k passes are from the means of all sub-networks."""
        rows = []
        for net, trainer in self._small.items():
            model = trainer.model(seed)
            trainer.train(model, seed)
            test = Examples(self._test.x[:_ENUMERATED], self._test.y[:_ENUMERATED])
            mean, geometric = means_of_all(model, test.x, _SMALL_RATE)
            passes = MCDropout(model, task="classification").sample(
                test.x, num_samples=self._most, seed=seed
            )
            for k in self._ks():
                found = {
                    "weight scaling": predict_probabilities(model, test.x),
                    "geometric mean of all": geometric,
                    "mean of all": mean,
                    "mean of k passes": np.asarray(passes[:k].mean(axis=0), dtype=np.float64),
                }
                for name, probabilities in found.items():
                    distance = float(np.abs(probabilities - mean).sum(axis=1).mean() / 2)
                    scores = _scores(probabilities, test.y) | {"distance": distance}
                    rows.append(_row(f"{net}, {name}", seed, k, scores))
        tick()
        return rows


def _row(setting: str, seed: int, k: int, scores: Mapping[str, Any]) -> Row:
    return {"setting": setting, "seed": seed, "passes": k, **scores}


def _scores(probabilities: Any, y: NDArray[np.int64]) -> Row:
    normal = np.asarray(probabilities, dtype=np.float64)
    normal /= normal.sum(axis=1, keepdims=True)
    error = 1.0 - float((normal.argmax(axis=1) == y).mean())
    return {"test_error": error, "test_loss": metrics.negative_log_likelihood(normal, y)}


def means_of_all(model: keras.Model, x: NDArray[Any], rate: float) -> tuple[Array, Array]:
    """Returns arithmetic and geometric mean of all sub-networks of a small perceptron.

    Each sub-network has its probability as weight: rate^dropped (1 - rate)^kept. The geometric
    mean is normalized again to sum to 1.

    Args:
        model: Dense layers, a dropout of the same rate behind each but the last.
        x: Inputs, shape (N, ...).
        rate: The rate.
    """
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    weights = [
        [np.asarray(part, dtype=np.float64) for part in layer.get_weights()] for layer in dense
    ]
    sizes = [bias.size for _, bias in weights[:-1]]
    flat = x.reshape(len(x), -1).astype(np.float64)
    first = np.maximum(flat @ weights[0][0] + weights[0][1], 0.0)  # no dropout before it
    mean = np.zeros((len(x), weights[-1][1].size))
    log_mean = np.zeros_like(mean)
    for kept in product((0.0, 1.0), repeat=sum(sizes)):
        probability = float(np.prod([1.0 - rate if one else rate for one in kept]))
        masks = np.split(np.array(kept) / (1.0 - rate), np.cumsum(sizes)[:-1])
        hidden = first * masks[0]
        for (kernel, bias), mask in zip(weights[1:-1], masks[1:], strict=True):
            hidden = np.maximum(hidden @ kernel + bias, 0.0) * mask
        forecast = softmax(hidden @ weights[-1][0] + weights[-1][1], axis=1)
        mean += probability * forecast
        log_mean += probability * np.log(forecast)
    return mean, softmax(log_mean, axis=1)


def vanilla_difference(model: keras.Model, x: NDArray[Any], seed: int) -> float:
    """Returns the largest difference of passes between inverted dropout and the vanilla one.

    Vanilla dropout does not scale while training and multiplies the weights by (1 - rate) at
    test time. The same function with inverted dropout has those weights from the start, so the
    vanilla network's are larger by 1 / (1 - rate); with equal masks all passes are equal, and so
    are the scaled networks at test time.
    """
    vanilla = keras.Sequential([keras.Input(model.input_shape[1:])])
    keep = 1.0
    for layer in model.layers:
        copy = type(layer).from_config(layer.get_config())
        vanilla.add(copy)
        if isinstance(layer, keras.layers.Dropout):
            keep = 1.0 - layer.rate
            vanilla.add(keras.layers.Rescaling(keep))  # what is left is the mask of zeros and ones
        elif isinstance(layer, keras.layers.Dense):
            kernel, bias = layer.get_weights()
            copy.set_weights([kernel / keep, bias])
            keep = 1.0
    passes = [
        np.asarray(MCDropout(each, task="classification").sample(x, num_samples=8, seed=seed))
        for each in (model, vanilla)
    ]
    return float(np.abs(passes[0] - passes[1]).max())


def _answers(runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    last = {(row["setting"], row["score"]): row for row in summary.to_dict("records")}
    sentences = [_crossing(runs, last, f"mlp, {kind}") for kind in _KINDS]
    for net in _SMALL:
        distances = {
            name: measured(last[f"{net}, {name}", "distance"], SCORES["distance"])
            for name in _MEANS
            if name != "mean of all"
        }
        told = "; ".join(f"{name} {distance}" for name, distance in distances.items())
        sentences.append(
            f"{net}: mean distance (total variation) to the exact mean of all 4,096 sub-networks: "
            f"{told}."
        )
    apart = float(runs["vanilla_difference"].max())
    sentences.append(
        "Vanilla and inverted dropout are one function: with equal masks their passes differ by at "
        f"most {apart:.1g}."
    )
    return sentences


def _crossing(runs: pd.DataFrame, last: Mapping[Any, Any], setting: str) -> str:
    """Returns from how many passes on the mean error is at most that of weight scaling."""
    error = runs.groupby(["setting", "passes"])["test_error"].mean()
    scaled = float(error["mlp, weight scaling"].iloc[-1])
    reached = error[setting] <= scaled
    first = next((k for k in reached.index if reached.loc[k:].all()), None)
    most = int(reached.index[-1])
    how = (
        f"has at most the error of weight scaling from k = {first} on (means over seeds)"
        if first is not None
        else f"does not come to the error of weight scaling by k = {most} (means over seeds)"
    )
    row = last[setting, "test_error"]
    return (
        f"The mean of k {setting.split(', ')[1]} passes {how}; at k = {most} against weight "
        f"scaling: {clause(row, SCORES['test_error'])}; "
        f"{clause(last[setting, 'test_loss'], SCORES['test_loss'])}."
    )
