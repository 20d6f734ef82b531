"""What a model's outputs mean: read from its configuration, never guessed from values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree
from numpy.typing import NDArray
from scipy import special

from mcdrop._checks import SIMPLEX_TOLERANCE, check_choice
from mcdrop.engine.functional import graph_of, is_plain
from mcdrop.errors import DataError, ModelError
from mcdrop.prediction import TASKS

Array = NDArray[Any]
Task = str | Mapping[str, str] | Sequence[str] | None

_POSITIVE = ("softplus", "exponential", "relu", "sigmoid", "elu_plus_one")
_PASS_THROUGH = (
    "Dropout",
    "Flatten",
    "Reshape",
    "Permute",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
)
_REGRESSION_LOSSES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "huber",
    "huber_loss",
    "log_cosh",
    "mean_squared_logarithmic_error",
    "mse",
    "mae",
    "msle",
    "mape",
    "poisson",
)


@dataclass(frozen=True)
class OutputTask:
    """How one prediction is made of the model's flat outputs.

    Attributes:
        name: Key of the prediction among several, "" for the only one.
        task: One of `mcdrop.prediction.TASKS`.
        outputs: Indices of the flat outputs it reads; two for a mean and its variance.
        logits: Whether the output is before its softmax or sigmoid.
        log_variance: Whether the variance of "gaussian" comes as its logarithm.
    """

    name: str
    task: str
    outputs: tuple[int, ...]
    logits: bool = False
    log_variance: bool = True

    def read(self, flat: Sequence[Array], batch_axes: int) -> tuple[Array, Array | None]:
        """Returns the values of the prediction, and the predicted variances of "gaussian".

        Args:
            flat: The model's flat outputs, with `batch_axes` axes before the output's own.
            batch_axes: 1 for (N, ...), 2 for (T, N, ...).
        """
        values = flat[self.outputs[0]]
        if self.task == "gaussian":
            return self._read_gaussian(flat)
        if self.task == "binary" and values.ndim > batch_axes and values.shape[-1] == 1:
            values = values[..., 0]
        if self.logits:
            link = special.softmax if self.task == "classification" else special.expit
            wide = values.astype(np.float64)
            values = link(wide, axis=-1) if self.task == "classification" else link(wide)
        return values, None

    def check(self, values: Array) -> None:
        """Raises DataError when the values of a class task are no probabilities."""
        if self.task in ("regression", "gaussian"):
            return
        what = f"output {self.name!r}" if self.name else "the output"
        low, high = float(values.min()), float(values.max())
        off = 0.0
        if self.task == "classification":
            off = float(np.abs(values.sum(axis=-1, dtype=np.float64) - 1.0).max())
        if low < 0.0 or high > 1.0 + SIMPLEX_TOLERANCE or off > 10 * SIMPLEX_TOLERANCE:
            raise DataError(
                f"For task {self.task!r} {what} of the model must hold probabilities, but it has "
                f"values in [{low:.4g}, {high:.4g}]. Add a softmax or sigmoid to the model, or "
                "compile it with a loss that says from_logits=True."
            )

    def _read_gaussian(self, flat: Sequence[Array]) -> tuple[Array, Array]:
        if len(self.outputs) == 2:
            mean, raw = flat[self.outputs[0]], flat[self.outputs[1]]
        else:
            mean, raw = np.split(flat[self.outputs[0]], 2, axis=-1)
        variance = np.exp(raw.astype(np.float64)) if self.log_variance else raw
        if variance.size and float(variance.min()) < 0.0:
            raise DataError(
                "The variance output of the model is negative. Give it a softplus, or no "
                "activation so that it is read as a log-variance."
            )
        return mean, variance


def resolve(model: Any, task: Task, structure: Any) -> tuple[OutputTask, ...]:
    """Returns how to read each of a model's outputs.

    Args:
        model: The model.
        task: What the user said; None reads every output from the model's configuration.
        structure: The model's outputs, as it nests them.

    Raises:
        ModelError: An output's meaning is ambiguous, or the task does not fit the outputs.
        DataError: `task` is no known task, or names an output that is not there.
    """
    names = output_names(model, structure)
    if task == "gaussian":
        return (_gaussian(model, names),)
    wanted = _by_output(task, names)
    several = len(names) > 1
    return tuple(
        _resolve_one(model, index, name if several else "", wanted[name])
        for index, name in enumerate(names)
    )


def output_names(model: Any, structure: Any) -> list[str]:
    """Returns a name for every flat output: its keys, or the output's own name, or its number."""
    paths = [path for path, _ in tree.flatten_with_path(structure)]
    if all(path and isinstance(path[-1], str) for path in paths):
        return ["/".join(str(part) for part in path) for path in paths]
    own = list(getattr(model, "output_names", None) or [])
    if len(own) == len(paths) and len(set(own)) == len(own):
        return own
    return [str(index) for index in range(len(paths))]


def _by_output(task: Task, names: list[str]) -> dict[str, str | None]:
    """Returns the task the user gave for each output."""
    if task is None or isinstance(task, str):
        return dict.fromkeys(names, task if task is None else check_choice("task", task, TASKS))
    given = dict(task) if isinstance(task, Mapping) else dict(zip(names, task, strict=False))
    count = len(task)
    if set(given) != set(names) or count != len(names):
        raise DataError(f"`task` is {task!r}, expected one task for each of the outputs {names}.")
    return {name: check_choice(f"task[{name!r}]", value, TASKS) for name, value in given.items()}


def _resolve_one(model: Any, index: int, name: str, task: str | None) -> OutputTask:
    activation = output_activation(model, index)
    loss = _loss_of(model, index, name)
    logits_by_loss = _from_logits(loss)
    if task is None:
        task = _read_task(activation, _width(model, index), loss)
    if task is None:
        what = f"output {name!r}" if name else "the output"
        raise ModelError(
            f"The task is ambiguous: {what} of the model has activation "
            f"{activation or 'unknown'!r} and {_words(loss)}. Pass task=, one of "
            f"{', '.join(TASKS)}."
        )
    if task == "gaussian":
        return _gaussian_halves(model, index, name)
    is_logit = logits_by_loss if logits_by_loss is not None else activation == "linear"
    logits = task in ("classification", "binary", "multilabel") and is_logit
    if activation in ("softmax", "sigmoid"):
        logits = False
    return OutputTask(name, task, (index,), logits=logits)


def _gaussian(model: Any, names: list[str]) -> OutputTask:
    if len(names) > 2:
        raise ModelError(
            f"Task 'gaussian' needs two outputs, a mean and a variance, or one that holds both; "
            f"the model has {len(names)}: {names}."
        )
    if len(names) == 2:
        # Keras sorts the keys of a dict, so that a log_variance comes before a mean.
        reverse = "var" in names[0].lower() and "var" not in names[1].lower()
        mean, variance = (1, 0) if reverse else (0, 1)
        positive = output_activation(model, variance) in _POSITIVE
        return OutputTask("", "gaussian", (mean, variance), log_variance=not positive)
    return _gaussian_halves(model, 0, "")


def _gaussian_halves(model: Any, index: int, name: str) -> OutputTask:
    """Returns how to read means and log-variances that one output holds side by side."""
    width = _width(model, index)
    if width is not None and width % 2:
        raise ModelError(
            f"Task 'gaussian' reads the last axis of the output as means and log-variances, half "
            f"each; it has {width} units, an odd number."
        )
    return OutputTask(name, "gaussian", (index,), log_variance=True)


def _read_task(activation: str | None, width: int | None, loss: Any) -> str | None:
    """Returns the task that activation and loss imply, None when they do not settle it."""
    name = _loss_name(loss)
    if activation == "softmax":
        return "classification"
    sparse_or_categorical = "categorical" in name
    if sparse_or_categorical and "binary" not in name and _from_logits(loss):
        return "classification"
    if activation == "sigmoid" or ("binary" in name and _from_logits(loss)):
        return {None: None, 1: "binary"}.get(width, "multilabel")
    if activation == "linear" and name in _REGRESSION_LOSSES:
        return "regression"
    return None


def output_activation(model: Any, index: int) -> str | None:
    """Returns the name of the activation behind a flat output, None when it cannot be read."""
    if not is_plain(model):
        return None
    graph = graph_of(model)
    tensor = graph._outputs[index]
    while True:
        history = tensor._keras_history
        operation = history.operation
        if isinstance(operation, keras.layers.TimeDistributed):
            operation = operation.layer
        if isinstance(operation, keras.Model):
            return output_activation(operation, history.tensor_index)
        if type(operation).__name__ in _PASS_THROUGH or _is_cast(operation):
            node = history.operation._inbound_nodes[history.node_index]
            tensor = node.input_tensors[0]
            continue
        return _activation_of(operation)


def _is_cast(operation: Any) -> bool:
    """Whether an operation is a linear activation, which only changes the data type."""
    return (
        isinstance(operation, keras.layers.Activation)
        and operation.activation is keras.activations.linear
    )


def _activation_of(operation: Any) -> str | None:
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    activation = getattr(operation, "activation", None)
    if callable(activation):
        return getattr(activation, "__name__", None)
    name = type(operation).__name__.lower()
    return name if name in ("softmax", "sigmoid", "softplus") else None


def _width(model: Any, index: int) -> int | None:
    """Returns the size of the last axis of a flat output, 1 when it has only the batch axis."""
    shape = tree.flatten(getattr(model, "outputs", None) or [])
    if index >= len(shape):
        return None
    sizes = tuple(shape[index].shape)
    return 1 if len(sizes) == 1 else sizes[-1]


def _loss_of(model: Any, index: int, name: str) -> Any:
    """Returns the loss the model was compiled with for one output, None without."""
    if not getattr(model, "compiled", False):
        return None
    loss = getattr(model, "loss", None)
    if isinstance(loss, Mapping):
        return loss.get(name)
    if isinstance(loss, (list, tuple)):
        return loss[index] if index < len(loss) else None
    return loss


def _loss_name(loss: Any) -> str:
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name or "").lower()


def _from_logits(loss: Any) -> bool | None:
    """Returns whether a loss takes logits; None when it says nothing of it."""
    if loss is None or "crossentropy" not in _loss_name(loss):
        return None
    settings = getattr(loss, "_fn_kwargs", None)
    if isinstance(settings, Mapping) and "from_logits" in settings:
        return bool(settings["from_logits"])
    return bool(getattr(loss, "from_logits", False))


def _words(loss: Any) -> str:
    return f"is compiled with {_loss_name(loss)}" if _loss_name(loss) else "is not compiled"
