"""What Concrete Dropout learns from N examples, in the authors' synthetic experiment.

Gal, Hron and Kendall (2017), arXiv:1705.07832; network, data and epochs are those of their
notebook: y = 2 x + 8 + noise of standard deviation 1, three layers of 1,024 units, mean and
log-variance as outputs, 20 passes. Beside it the same network with a fixed rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import ops
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.layers import ConcreteDropout
from mcdrop.predictor import MCDropout
from mcdrop.study.answers import clause, measured
from mcdrop.study.catalog import STUDIES
from mcdrop.study.paired import summarize
from mcdrop.study.plan import Found, Job, Plan, Request, Row, Score, Tick

Tensor = Any

EPOCHS = {10: 2000, 25: 1000, 50: 500, 100: 200, 1000: 20, 10_000: 2}
"""Passes over the data for each N in the authors' notebook, which `--epochs 20` stands for."""

AUTHORS = {10: 1.092, 25: 0.820, 50: 0.745, 100: 0.668, 1000: 0.652, 10_000: 0.542}
"""Their epistemic standard deviation."""

UNITS = 1024
_LENGTH_SCALE = 1e-4
_FIXED_RATE = 0.1
_BATCH_SIZE = 20
_TEST_SIZE = 1000
_PASSES = 20
_LEARNED, _FIXED = "synthetic, learned rates", "synthetic, fixed rate 0.1"

SCORES: Mapping[str, Score] = {
    "epistemic": Score("Epistemic standard deviation", digits=3),
    "aleatoric": Score("Aleatoric standard deviation, 1 in truth", digits=3),
    "root_mean_squared_error": Score("Root mean squared error", digits=3),
    "rate_1": Score("Rate of the inputs", digits=3),
    "rate_2": Score("Rate behind the first layer", digits=3),
    "rate_3": Score("Rate behind the second layer", digits=3),
    "rate_4": Score("Rate behind the third layer, mean", digits=3),
    "rate_5": Score("Rate behind the third layer, variance", digits=3),
}


def plan(request: Request) -> Plan:
    """Returns the study, a run over all N; `--train-size` leaves out those above it.

    Raises:
        DataError: No N is left, or another data set was asked for than the synthetic one.
    """
    sizes = [size for size in EPOCHS if request.train_size is None or size <= request.train_size]
    if not sizes:
        raise DataError(f"--train-size is {request.train_size}, expected at least {min(EPOCHS)}.")
    epochs = {size: max(1, round(EPOCHS[size] * request.epochs / EPOCHS[1000])) for size in sizes}
    settings: dict[str, dict[str, Any]] = {_LEARNED: {}, _FIXED: {"rate": _FIXED_RATE}}

    def job(setting: str, seed: int) -> Job:
        def work(tick: Tick) -> Found:
            return Found([_run(setting, size, epochs[size], seed, tick) for size in sizes])

        return Job((setting,), (seed,), work, len(sizes))

    return Plan(
        name="concrete",
        question=STUDIES["concrete"],
        settings=settings,
        references=dict.fromkeys(settings, _FIXED),
        headline=_LEARNED,
        jobs=[job(setting, seed) for seed in range(request.seeds) for setting in settings],
        record={
            "seeds": list(range(request.seeds)),
            "epochs": {str(size): count for size, count in epochs.items()},
            "units": UNITS,
            "passes": _PASSES,
        },
        scores=SCORES,
        spoken=("epistemic", "aleatoric", "root_mean_squared_error"),
        drawn=("epistemic", "aleatoric", "root_mean_squared_error", "rate_2"),
        axis="examples",
        logarithmic=True,
        answers=_answers,
    )


def _run(setting: str, size: int, epochs: int, seed: int, tick: Tick) -> Row:
    """Returns what a network learned from `size` examples."""
    x, y = synthetic(size, seed, which=0)
    test_x, test_y = synthetic(_TEST_SIZE, seed, which=1)
    keras.utils.set_random_seed(seed)
    model = network(size, learned=setting == _LEARNED)
    model.fit(x, y, epochs=epochs, batch_size=_BATCH_SIZE, verbose=0)
    mc = MCDropout(model, task="gaussian", gaussian_scale="log_variance")
    passes = np.asarray(mc.sample(test_x, num_samples=_PASSES, seed=seed), dtype=np.float64)
    means, log_variances = passes[..., 0], passes[..., 1]
    row: Row = {
        "setting": setting,
        "seed": seed,
        "examples": size,
        # As in the authors' notebook: the variance over passes without the correction T / (T - 1).
        "epistemic": float(np.sqrt(means.var(axis=0).mean())),
        "aleatoric": float(np.sqrt(np.exp(log_variances.mean(axis=0)).mean())),
        "root_mean_squared_error": float(np.sqrt(((means.mean(axis=0) - test_y) ** 2).mean())),
    }
    rates = [each.rate for each in model.layers if isinstance(each, ConcreteDropout)]
    keras.backend.clear_session()
    tick()
    return row | {f"rate_{place}": rate for place, rate in enumerate(rates, start=1)}


def synthetic(size: int, seed: int, *, which: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns inputs of shape (N, 1) and targets 2 x + 8 + noise of shape (N,)."""
    generator = np.random.default_rng([seed, size, which])
    x = generator.normal(size=(size, 1)).astype(np.float32)
    return x, (2.0 * x[:, 0] + 8.0 + generator.normal(size=size)).astype(np.float32)


def network(size: int, *, learned: bool) -> keras.Model:
    """Returns the authors' network for so many examples, with outputs of shape (N, 2).

    Args:
        size: N, which decides the weights of the regularizers.
        learned: Whether the rates are learned, or 0.1 everywhere.
    """
    penalty = _LENGTH_SCALE**2 / size

    def dropped(inputs: Tensor, units: int, **options: Any) -> Tensor:
        if learned:
            dense = keras.layers.Dense(units, **options)
            return ConcreteDropout(
                dense, weight_regularizer=penalty, dropout_regularizer=2.0 / size
            )(inputs)
        regularizer = keras.regularizers.L2(penalty / (1.0 - _FIXED_RATE))
        dense = keras.layers.Dense(units, kernel_regularizer=regularizer, **options)
        return dense(keras.layers.Dropout(_FIXED_RATE)(inputs))

    inputs = hidden = keras.Input((1,))
    for _ in range(3):
        hidden = dropped(hidden, UNITS, activation="relu")
    outputs = keras.layers.Concatenate()([dropped(hidden, 1), dropped(hidden, 1)])
    model = keras.Model(inputs, outputs)
    model.compile("adam", _heteroscedastic_loss)
    return model


def _heteroscedastic_loss(targets: Tensor, outputs: Tensor) -> Tensor:
    mean, log_variance = outputs[..., 0], outputs[..., 1]
    error = ops.square(ops.reshape(targets, ops.shape(mean)) - mean)
    return ops.exp(-log_variance) * error + log_variance


def _answers(runs: pd.DataFrame, summary: pd.DataFrame) -> list[str]:
    sizes = sorted(runs["examples"].unique())
    tables = {size: _rows(runs[runs["examples"] == size].reset_index(drop=True)) for size in sizes}
    score = SCORES["epistemic"]
    smallest, largest = sizes[0], sizes[-1]
    sentences = [
        f"With learned rates the epistemic standard deviation is "
        f"{measured(tables[smallest][_LEARNED, 'epistemic'], score)} at N = {smallest} and "
        f"{measured(tables[largest][_LEARNED, 'epistemic'], score)} at N = {largest:,} (the "
        f"authors: {AUTHORS[smallest]:.3f} and {AUTHORS[largest]:.3f}); with a fixed rate of "
        f"{_FIXED_RATE} it is {measured(tables[smallest][_FIXED, 'epistemic'], score)} and "
        f"{measured(tables[largest][_FIXED, 'epistemic'], score)}."
    ]
    for size in sizes:
        row = tables[size][_LEARNED, "epistemic"]
        rate = measured(tables[size][_LEARNED, "rate_2"], SCORES["rate_2"])
        sentences.append(
            f"N = {size:,}: learned against fixed, {clause(row, score)}; the rate behind the first "
            f"layer is {rate}."
        )
    return sentences


def _rows(runs: pd.DataFrame) -> dict[tuple[str, str], Any]:
    table = summarize(runs, {_LEARNED: _FIXED, _FIXED: _FIXED})
    return {(row["setting"], row["score"]): row for row in table.to_dict("records")}
