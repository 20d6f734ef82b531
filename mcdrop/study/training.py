"""One run of a study: a network built, its initial weights paired, trained, and scored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mcdrop import metrics
from mcdrop.engine.audit import find_leaves
from mcdrop.errors import DataError, ModelError
from mcdrop.predictor import MCDropout
from mcdrop.study.plan import Row, Tick

Build = Callable[..., keras.Model]

_SCORED_EXAMPLES = 10_000
"""Training examples on which the training scores of an epoch are measured: more say no more."""

_SCORING_BATCH = 1000


@dataclass(frozen=True, eq=False)
class Examples:
    """Inputs with their class labels, shapes (N, ...) and (N,), or with other targets."""

    x: NDArray[Any]
    y: NDArray[Any]

    def __len__(self) -> int:
        """Returns N."""
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Sets:
    """The data of a study: what is learned from, what may be chosen by, and what is told."""

    train: Examples
    test: Examples
    validation: Examples | None = None

    def arrays(self) -> list[NDArray[Any]]:
        """Returns everything, for a checksum."""
        parts = [self.train, self.test, *([self.validation] if self.validation else [])]
        return [array for part in parts for array in (part.x, part.y)]


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


class Trainer:
    """Trains and scores the networks of one setting, one a seed.

    Equal seeds give equal initial weights and an equal order of the data, whatever the
    arguments of `build`.

    Args:
        build: Returns a compiled network.
        arguments: Those of `build`.
        sets: The data.
        schedule: How long.
        compile_once: Whether what `build` makes differs between seeds in its variables alone, so
            that one compiled program serves all; compiling it takes longer than a short training.
    """

    def __init__(
        self,
        build: Build,
        arguments: Mapping[str, Any],
        sets: Sets,
        schedule: Schedule,
        *,
        compile_once: bool = False,
    ) -> None:
        self._build = build
        self._arguments = arguments
        self.sets = sets
        self.schedule = schedule
        self._compile_once = compile_once
        self._model: keras.Model | None = None
        self._monte_carlo: MCDropout | None = None

    def model(self, seed: int) -> keras.Model:
        """Returns the network with the initial weights of a seed.

        Raises:
            ModelError: `build` returns no compiled Keras model.
        """
        keras.utils.set_random_seed(seed)
        fresh = self._build(**self._arguments)
        if not isinstance(fresh, keras.Model) or not fresh.compiled:
            raise ModelError(
                f"`build` returned {type(fresh).__name__}, expected a compiled keras.Model: call "
                "model.compile before returning it."
            )
        pair_initial_weights(fresh, seed)
        if not self._compile_once:
            return fresh
        fresh.optimizer.build(fresh.trainable_variables)
        if self._model is None:
            self._model = fresh
        for kept, new in (
            *zip(self._model.variables, fresh.variables, strict=True),
            *zip(self._model.optimizer.variables, fresh.optimizer.variables, strict=True),
        ):
            kept.assign(new)
        return self._model

    def train(self, model: keras.Model, seed: int, callbacks: Sequence[Any] = ()) -> None:
        """Trains a network on batches in the order of a seed."""
        with _many_networks_are_meant():
            model.fit(
                _batches(self.sets.train, self.schedule.batch_size, seed),
                epochs=self.schedule.epochs,
                verbose=0,
                shuffle=False,
                callbacks=list(callbacks),
            )

    def __call__(self, seed: int, tick: Tick) -> list[Row]:
        """Returns one row of scores an epoch; the last one holds those of the trained network too.

        Raises:
            DataError: The output is no class probabilities.
            ModelError: `build` returns no compiled Keras model.
        """
        model = self.model(seed)
        scores = _EpochScores(self.sets, tick)
        self.train(model, seed, [scores])
        if self._monte_carlo is None or not self._compile_once:
            self._monte_carlo = as_monte_carlo(model)
        samples = self.schedule.num_samples
        final = _final_scores(model, self._monte_carlo, self.sets.test, samples, seed)
        scores.rows[-1] |= final | stopped_early(scores.rows)
        if not self._compile_once:
            keras.backend.clear_session()
        return scores.rows


@contextmanager
def _many_networks_are_meant() -> Iterator[None]:
    """Keeps TensorFlow from warning of functions traced again: a study trains many networks."""

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


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
    ordinal, seen = 0, set()
    for layer in model._flatten_layers(include_self=False):
        random = [
            (weight, initializer)
            for weight in layer.trainable_variables
            if id(weight) not in seen  # as a recurrent layer's, which are those of its cell
            and (initializer := _random_initializer(layer, weight.name)) is not None
        ]
        seen |= {id(weight) for weight, _ in random}
        for place, (weight, initializer) in enumerate(random):
            drawn = np.random.SeedSequence([seed, ordinal, place]).generate_state(1)[0]
            config = initializer.get_config() | {"seed": int(drawn)}
            weight.assign(type(initializer).from_config(config)(weight.shape))
        ordinal += bool(random)


def _random_initializer(layer: Any, name: str) -> Any:
    names = (name, name.removesuffix("_kernel"))  # "depthwise_kernel" has "depthwise_initializer"
    found = (getattr(layer, f"{part}_initializer", None) for part in names)
    initializer = next((one for one in found if one is not None), None)
    is_random = isinstance(initializer, keras.initializers.Initializer) and (
        "seed" in initializer.get_config()
    )
    return initializer if is_random else None


def _batches(examples: Examples, batch_size: int, seed: int) -> tf.data.Dataset:
    """Returns the batches of an epoch in an order that the seed alone decides."""
    data = tf.data.Dataset.from_tensor_slices((examples.x, examples.y))
    return data.shuffle(len(examples), seed=seed).batch(batch_size).prefetch(1)


class _EpochScores(keras.callbacks.Callback):
    """Measures all sets after each epoch, without dropout, beside what Keras reports with it."""

    def __init__(self, sets: Sets, tick: Tick) -> None:
        super().__init__()
        chosen = slice(None, _SCORED_EXAMPLES)
        self._sets = {
            "train": Examples(sets.train.x[chosen], sets.train.y[chosen]),
            "test": sets.test,
        }
        if sets.validation is not None:
            self._sets["validation"] = sets.validation
        self._tick = tick
        self.rows: list[Row] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Adds the epoch's row."""
        row: Row = {"epoch": epoch + 1, "train_loss_with_dropout": float((logs or {})["loss"])}
        for name, examples in self._sets.items():
            probabilities = predict_probabilities(self.model, examples.x)
            row[f"{name}_loss"] = metrics.negative_log_likelihood(probabilities, examples.y)
            row[f"{name}_accuracy"] = accuracy(probabilities, examples.y)
        row["gap"] = row["train_accuracy"] - row["test_accuracy"]
        self.rows.append(row)
        self._tick()


def stopped_early(rows: Sequence[Row]) -> Row:
    """Returns the epoch of the lowest validation loss, and the test scores at it.

    The test examples have no say in it. Empty where there are no validation examples.

    Example:
        >>> rows = [{"epoch": 1, "validation_loss": 0.2, "test_loss": 0.3, "test_accuracy": 0.9},
        ...         {"epoch": 2, "validation_loss": 0.4, "test_loss": 0.1, "test_accuracy": 0.8}]
        >>> stopped_early(rows)["test_loss_stopped_early"]
        0.3
    """
    if "validation_loss" not in rows[0]:
        return {}
    best = min(rows, key=lambda row: float(row["validation_loss"]))
    return {
        "epochs_to_lowest_validation_loss": best["epoch"],
        "test_loss_stopped_early": best["test_loss"],
        "test_accuracy_stopped_early": best["test_accuracy"],
    }


def accuracy(probabilities: NDArray[Any], y: NDArray[np.int64]) -> float:
    """Returns the share of right classes."""
    return float((probabilities.argmax(axis=-1) == y).mean())


def predict_probabilities(model: keras.Model, x: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the class probabilities with dropout off, shape (N, C)."""
    probabilities = forward(model, x)
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all():
        raise DataError(
            f"The network's output has shape {probabilities.shape} or holds values that are not "
            "finite; expected class probabilities, shape (N, C). A study needs a softmax at the "
            "end, and a training that does not diverge."
        )
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))


def forward(model: keras.Model, x: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the one output of a network with dropout off, batch by batch."""
    if not hasattr(model, "_study_forward"):  # compiled once a model, for any number of examples
        signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype)]
        model._study_forward = tf.function(lambda x: model(x, training=False), signature)
    parts = [
        np.asarray(model._study_forward(tf.constant(x[start : start + _SCORING_BATCH])))
        for start in range(0, len(x), _SCORING_BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def _final_scores(
    model: keras.Model, mc: MCDropout | None, test: Examples, num_samples: int, seed: int
) -> Row:
    """Returns the scores of the trained network, without dropout and with it where it has some."""
    found = {
        f"{name}_deterministic": value
        for name, value in class_scores(predict_probabilities(model, test.x), test.y).items()
    }
    if mc is None:
        return found
    prediction = mc.predict(test.x, num_samples=num_samples, seed=seed)
    scores = class_scores(prediction.class_probabilities, test.y)
    scores["mutual_information"] = float(prediction.mutual_information.mean())
    return found | {f"{name}_monte_carlo": value for name, value in scores.items()}


def as_monte_carlo(model: keras.Model, task: str = "classification") -> MCDropout | None:
    """Returns a trained network that samples, None when it has no dropout."""
    try:
        find_leaves(model, None)
    except ModelError:
        return None
    return MCDropout(model, task=task)


def class_scores(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> Row:
    """Returns accuracy, negative log-likelihood, Brier score and calibration error."""
    return {
        "accuracy": accuracy(probabilities, y),
        "negative_log_likelihood": metrics.negative_log_likelihood(probabilities, y),
        "brier_score": metrics.brier_score(probabilities, y),
        "expected_calibration_error": metrics.expected_calibration_error(probabilities, y),
    }
