"""Does mcdrop reproduce the regression table of Gal and Ghahramani (2016)?

The recipe is that of the authors' code: standardized inputs and targets, one hidden layer, dropout
before it and before the output, Adam, batches of 128, and the weight decay of equation 7 with prior
length-scale 0.01. Rate and precision of the noise are chosen on the last fifth of the training
rows, and a network that is trained with them on all rows is tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcdrop import metrics
from mcdrop.errors import DataError
from mcdrop.predictor import MCDropout
from mcdrop.study import regression_data, stacked
from mcdrop.study.answers import answer
from mcdrop.study.catalog import STUDIES
from mcdrop.study.plan import Found, Job, Plan, Request, Row, Score, Tick, beside, group_of
from mcdrop.study.regression_data import RegressionData
from mcdrop.study.runs import fingerprint

FloatArray = NDArray[np.float64]

MONTE_CARLO, DETERMINISTIC, FITTED = "Monte Carlo", "dropout off", "precision fitted"
PUBLISHED = "published"
SCORES = {
    "log_likelihood": Score("Test log-likelihood", "nats"),
    "rmse": Score("Test RMSE"),
}
WIDE_PRECISIONS = 2.0 ** np.arange(-4.0, 12.25, 0.25)
"""Precisions of the setting "precision fitted", in units of 1 / variance of the targets."""

_BATCH_SIZE = 128
_LENGTH_SCALE = 1e-2
_VALIDATION_SAMPLES = 1000
_VALIDATION_SHARE = 0.2
_SPLITS_AT_ONCE = 10


def plan(request: Request) -> Plan:
    """Returns the study for a folder of splits, or for scikit-learn's diabetes data."""
    if request.train_size is not None or request.test_size is not None:
        raise DataError(
            "--train-size or --test-size is given, but the splits of the study uci say what is "
            "trained and tested on. Leave both out."
        )
    tables = regression_data.load(request.data)
    settings: dict[str, dict[str, Any]] = {}
    references: dict[str, str] = {}
    jobs: list[Job] = []
    for table in tables:
        names = (MONTE_CARLO, DETERMINISTIC, FITTED, *([PUBLISHED] if table.published else []))
        own = {f"{table.name}, {name}": {"network": f"1 x {table.hidden}"} for name in names}
        settings |= own
        references |= beside(own, PUBLISHED if table.published else MONTE_CARLO)
        jobs += _jobs(table, tuple(own), request)
    study = Plan(
        name="uci",
        question=STUDIES["uci"],
        settings=settings,
        references=references,
        headline=f"{tables[0].name}, {MONTE_CARLO if tables[0].published else DETERMINISTIC}",
        jobs=jobs,
        record={
            "data": fingerprint(*(array for table in tables for array in (table.x, table.y))),
            "splits": {table.name: _count(table, request) for table in tables},
            "epochs": request.epochs,
            "num_samples": request.num_samples,
        },
        scores=SCORES,
        spoken=tuple(SCORES),
    )
    return replace(study, answers=partial(_answers, study, tables, request.epochs))


def _answers(
    plan: Plan,
    tables: Sequence[RegressionData],
    epochs: int,
    runs: pd.DataFrame,
    summary: pd.DataFrame,
) -> list[str]:
    """Returns a sentence a setting; those of a table end with how long others trained on it."""
    endings = {
        table.name: f" These networks were trained for {epochs} epochs, the published ones for "
        f"{table.published_epochs}."
        for table in tables
        if table.published_epochs not in (None, epochs)
    }
    others = [name for name, base in plan.references.items() if name not in (base, plan.headline)]
    return [
        answer(plan, summary, name) + endings.get(group_of(name), "")
        for name in (plan.headline, *others)
    ]


def _count(table: RegressionData, request: Request) -> int:
    return min(request.seeds, len(table.splits))


def _jobs(table: RegressionData, settings: tuple[str, ...], request: Request) -> list[Job]:
    """Returns jobs of a few splits each; those of a stack have sets of one size."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for split in range(_count(table, request)):
        train, test = table.splits[split]
        by_size.setdefault((len(train), len(test)), []).append(split)
    parts = [
        tuple(splits[start : start + _SPLITS_AT_ONCE])
        for splits in by_size.values()
        for start in range(0, len(splits), _SPLITS_AT_ONCE)
    ]
    ticks = 2 * request.epochs * len(table.rates)
    return [
        Job(settings, splits, partial(run_splits, table, splits, request), ticks=ticks)
        for splits in parts
    ]


class _Split:
    """Rows of a split of a table, standardized by those that are trained on.

    Args:
        table: The table.
        number: Which split.
        validation_share: Share of the training rows, the last of them, kept for validation.
    """

    def __init__(self, table: RegressionData, number: int, validation_share: float) -> None:
        train, test = table.splits[number]
        cut = int((1.0 - validation_share) * len(train))
        rows = {"train": train[:cut], "validation": train[cut:], "test": test}
        x, y = table.x[rows["train"]], table.y[rows["train"]]
        spread = x.std(axis=0)
        spread[spread == 0.0] = 1.0
        self.number = number
        self.x = {
            part: (table.x[chosen] - x.mean(axis=0)) / spread for part, chosen in rows.items()
        }
        self.y = {part: table.y[chosen] for part, chosen in rows.items()}
        self.center, self.spread = float(y.mean()), float(y.std())
        if self.spread == 0.0:
            raise DataError(
                f"All training targets of split {number} of {table.name} are {self.center}: there "
                "is nothing to learn."
            )

    def penalty(self, rate: float, precision: float) -> float:
        """Returns the weight decay of the paper's equation 7."""
        return _LENGTH_SCALE**2 * (1.0 - rate) / (2.0 * len(self.y["train"]) * precision)


@dataclass(frozen=True, eq=False)
class _Choice:
    """What may be chosen for a split: rate, precision, and how the validation rows liked them."""

    rate: float
    precision: float
    fitted_precision: float
    log_likelihood: float


def run_splits(
    table: RegressionData, numbers: Sequence[int], request: Request, tick: Tick
) -> Found:
    """Returns the test scores of splits with sets of one size, whose networks are stacked."""
    parts = [_Split(table, number, _VALIDATION_SHARE) for number in numbers]
    best: dict[int, _Choice] = {}
    for rate in table.rates:
        for number, choice in _choices(table, parts, rate, request, tick):
            if number not in best or choice.log_likelihood > best[number].log_likelihood:
                best[number] = choice
    rows: list[Row] = []
    for rate in table.rates:
        chosen = [number for number in numbers if best[number].rate == rate]
        if chosen:
            rows += _tested(table, chosen, best, request, tick)
        else:
            for _ in range(request.epochs):
                tick()
    return Found(rows)


def _choices(
    table: RegressionData, splits: Sequence[_Split], rate: float, request: Request, tick: Tick
) -> Iterator[tuple[int, _Choice]]:
    """Yields the choices of one rate, one a split and precision, trained and validated."""
    pairs = list(product(splits, table.precisions))
    networks = [split for split, _ in pairs]
    stack = _trained(table, networks, rate, [precision for _, precision in pairs], request, tick)
    num_samples = min(request.num_samples, _VALIDATION_SAMPLES)
    samples = _passes(stack, networks, "validation", num_samples)
    for place, (split, precision) in enumerate(pairs):
        likelihoods = {
            tried: metrics.mixture_log_likelihood(
                samples[..., place], split.y["validation"], noise_variance=1.0 / tried
            )
            for tried in (precision, *(WIDE_PRECISIONS / split.spread**2))
        }
        fitted = float(max(likelihoods, key=likelihoods.__getitem__))
        yield split.number, _Choice(rate, precision, fitted, likelihoods[precision])


def _tested(
    table: RegressionData,
    numbers: Sequence[int],
    best: Mapping[int, _Choice],
    request: Request,
    tick: Tick,
) -> Iterator[Row]:
    """Yields the test scores of splits whose choices have one rate, trained on all their rows."""
    splits = [_Split(table, number, 0.0) for number in numbers]
    rate, precisions = best[numbers[0]].rate, [best[number].precision for number in numbers]
    stack = _trained(table, splits, rate, precisions, request, tick)
    samples = _passes(stack, splits, "test", request.num_samples)
    inputs = _side_by_side([split.x["test"] for split in splits]).astype(np.float32)
    off = np.asarray(stack.model()(inputs, training=False), dtype=np.float64)
    for place, split in enumerate(splits):
        choice, passes = best[split.number], samples[..., place]
        plain = off[None, :, place] * split.spread + split.center
        by_setting = {
            MONTE_CARLO: (passes, choice.precision),
            DETERMINISTIC: (plain, choice.precision),
            FITTED: (passes, choice.fitted_precision),
        }
        common = {"seed": split.number, "epoch": request.epochs}
        for name, (outputs, precision) in by_setting.items():
            yield {
                **common,
                "setting": f"{table.name}, {name}",
                "rmse": metrics.root_mean_squared_error(outputs.mean(axis=0), split.y["test"]),
                "log_likelihood": metrics.mixture_log_likelihood(
                    outputs, split.y["test"], noise_variance=1.0 / precision
                ),
                "dropout_rate": rate,
                "precision": precision,
            }
        if table.published:
            scores = {name: float(values[split.number]) for name, values in table.published.items()}
            yield {**common, "setting": f"{table.name}, {PUBLISHED}", **scores}


def _trained(
    table: RegressionData,
    splits: Sequence[_Split],
    rate: float,
    precisions: Sequence[float],
    request: Request,
    tick: Tick,
) -> stacked.Stack:
    """Returns a network for each split and its precision, trained on the split's training rows."""
    weights = stacked.initial_weights(
        [split.number for split in splits], table.x.shape[1], table.hidden
    )
    return stacked.train(
        stacked.Stack(rate, weights),
        _side_by_side([split.x["train"] for split in splits]),
        _side_by_side([(split.y["train"] - split.center) / split.spread for split in splits]),
        penalties=[
            split.penalty(rate, precision)
            for split, precision in zip(splits, precisions, strict=True)
        ],
        epochs=request.epochs,
        batch_size=_BATCH_SIZE,
        seed=splits[0].number,
        on_epoch=tick,
    )


def _passes(
    stack: stacked.Stack, splits: Sequence[_Split], part: str, num_samples: int
) -> FloatArray:
    """Returns the outputs of the passes in the unit of the targets, shape (T, N, K)."""
    inputs = _side_by_side([split.x[part] for split in splits]).astype(np.float32)
    mc = MCDropout(stack.model(), task="regression")
    passes = mc.sample(inputs, num_samples=num_samples, seed=splits[0].number)
    outputs = np.asarray(passes, dtype=np.float64)
    spreads, centers = ([getattr(split, name) for split in splits] for name in ("spread", "center"))
    return np.asarray(outputs * np.array(spreads) + np.array(centers))


def _side_by_side(arrays: Sequence[FloatArray]) -> FloatArray:
    """Returns the rows of several networks with the networks on axis 1."""
    return np.stack(arrays, axis=1)
