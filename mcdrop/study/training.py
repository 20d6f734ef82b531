"""One run of a study: a network built, its initial weights paired, trained, and scored."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mcdrop import metrics
from mcdrop.errors import DataError, ModelError
from mcdrop.predictor import MCDropout

Build = Callable[..., keras.Model]
Row = dict[str, float]

_SCORED_EXAMPLES = 10_000
"""Training examples on which the training scores of an epoch are measured: more say no more."""

_SCORING_BATCH = 1000


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs with their class labels, shapes (N, ...) and (N,)."""

    x: NDArray[Any]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        """Returns N."""
        return len(self.y)


@dataclass(frozen=True)
class Schedule:
    """How long and on what a network is trained.

    Attributes:
        epochs: Passes over the training data.
        batch_size: Examples of a step.
        num_samples: Monte Carlo passes with which the trained network is scored.
    """

    epochs: int
    batch_size: int
    num_samples: int


def train_and_score(
    build: Build,
    arguments: Mapping[str, Any],
    train: Examples,
    test: Examples,
    *,
    seed: int,
    schedule: Schedule,
    on_epoch: Callable[[], None],
) -> list[Row]:
    """Returns one row of scores an epoch; the last one holds those of the trained network too.

    Equal seeds give equal initial weights and an equal order of the data, whatever the
    arguments of `build`.

    Raises:
        ModelError: `build` returns no compiled Keras model.
    """
    keras.utils.set_random_seed(seed)
    model = build(**arguments)
    if not isinstance(model, keras.Model) or not model.compiled:
        raise ModelError(
            f"`build` returned {type(model).__name__}, expected a compiled keras.Model: call "
            "model.compile before returning it."
        )
    pair_initial_weights(model, seed)
    scores = _EpochScores(train, test, on_epoch)
    model.fit(
        _batches(train, schedule.batch_size, seed),
        epochs=schedule.epochs,
        verbose=0,
        shuffle=False,
        callbacks=[scores],
    )
    scores.rows[-1] |= _final_scores(model, test, schedule.num_samples, seed)
    keras.backend.clear_session()
    return scores.rows


def pair_initial_weights(model: keras.Model, seed: int) -> None:
    """Draws the initial weights again so that they do not depend on the layers between.

    Keras draws the seed of every initializer from one sequence, and so does each dropout layer: a
    network with one layer more would start elsewhere. Here the seed of a weight comes
    from `seed`, the number of its layer among those with random weights, and its name.

    Example:
        >>> def build(rate):
        ...     drop = [keras.layers.Dropout(rate)] if rate else []
        ...     dense = [keras.layers.Dense(3), *drop, keras.layers.Dense(2)]
        ...     return keras.Sequential([keras.Input((4,)), *dense])
        >>> plain, dropped = build(0.0), build(0.5)
        >>> for model in (plain, dropped): pair_initial_weights(model, seed=1)
        >>> [bool((a == b).all()) for a, b in zip(plain.get_weights(), dropped.get_weights())]
        [True, True, True, True]
    """
    ordinal = 0
    for layer in model._flatten_layers(include_self=False):
        random = [
            (weight, initializer)
            for weight in layer._trainable_variables
            if (initializer := _random_initializer(layer, weight.name)) is not None
        ]
        for place, (weight, initializer) in enumerate(random):
            drawn = np.random.SeedSequence([seed, ordinal, place]).generate_state(1)[0]
            config = initializer.get_config() | {"seed": int(drawn)}
            weight.assign(type(initializer).from_config(config)(weight.shape))
        ordinal += bool(random)


def _random_initializer(layer: Any, name: str) -> Any:
    initializer = getattr(layer, f"{name}_initializer", None)
    is_random = isinstance(initializer, keras.initializers.Initializer) and (
        "seed" in initializer.get_config()
    )
    return initializer if is_random else None


def _batches(examples: Examples, batch_size: int, seed: int) -> tf.data.Dataset:
    """Returns the batches of an epoch in an order that the seed alone decides."""
    data = tf.data.Dataset.from_tensor_slices((examples.x, examples.y))
    return data.shuffle(len(examples), seed=seed).batch(batch_size).prefetch(1)


class _EpochScores(keras.callbacks.Callback):
    """Measures both sets after each epoch, without dropout, beside what Keras reports with it."""

    def __init__(self, train: Examples, test: Examples, on_epoch: Callable[[], None]) -> None:
        super().__init__()
        chosen = slice(None, _SCORED_EXAMPLES)
        self._sets = {"train": Examples(train.x[chosen], train.y[chosen]), "test": test}
        self._on_epoch = on_epoch
        self.rows: list[Row] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Adds the epoch's row."""
        row: Row = {"epoch": epoch + 1, "train_loss_with_dropout": float((logs or {})["loss"])}
        for name, examples in self._sets.items():
            probabilities = predict_probabilities(self.model, examples.x)
            row[f"{name}_loss"] = metrics.negative_log_likelihood(probabilities, examples.y)
            row[f"{name}_accuracy"] = float((probabilities.argmax(axis=-1) == examples.y).mean())
        row["gap"] = row["train_accuracy"] - row["test_accuracy"]
        self.rows.append(row)
        self._on_epoch()


def predict_probabilities(model: keras.Model, x: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the class probabilities with dropout off, shape (N, C)."""
    forward = _compiled(model)
    parts = [
        np.asarray(forward(tf.constant(x[start : start + _SCORING_BATCH])), dtype=np.float64)
        for start in range(0, len(x), _SCORING_BATCH)
    ]
    probabilities = np.concatenate(parts)
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all():
        raise DataError(
            f"The network's output has shape {probabilities.shape} or holds values that are not "
            "finite; expected class probabilities, shape (N, C). A study needs a softmax at the "
            "end, and a training that does not diverge."
        )
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))


def _compiled(model: keras.Model) -> Any:
    """Returns the model's inference as one compiled function, made once a model."""
    if not hasattr(model, "_study_forward"):
        model._study_forward = tf.function(
            lambda x: model(x, training=False), reduce_retracing=True
        )
    return model._study_forward


def _final_scores(model: keras.Model, test: Examples, num_samples: int, seed: int) -> Row:
    """Returns the scores of the trained network, without dropout and with it where it has some."""
    found = {
        f"{name}_deterministic": value
        for name, value in _scores(predict_probabilities(model, test.x), test.y).items()
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            mc = MCDropout(model, task="classification")
    except ModelError:
        return found  # the network has no dropout, and so no passes that differ
    prediction = mc.predict(test.x, num_samples=num_samples, seed=seed)
    scores = _scores(prediction.class_probabilities, test.y)
    scores["mutual_information"] = float(prediction.mutual_information.mean())
    return found | {f"{name}_monte_carlo": value for name, value in scores.items()}


def _scores(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> Row:
    return {
        "accuracy": float((probabilities.argmax(axis=-1) == y).mean()),
        "negative_log_likelihood": metrics.negative_log_likelihood(probabilities, y),
        "brier_score": metrics.brier_score(probabilities, y),
        "expected_calibration_error": metrics.expected_calibration_error(probabilities, y),
    }
