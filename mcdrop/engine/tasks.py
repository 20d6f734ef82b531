"""What a model's outputs mean: read from its configuration, never guessed from values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import tree
from numpy.typing import NDArray
from scipy import special

from mcdrop._checks import SIMPLEX_TOLERANCE, check_choice
from mcdrop.engine import losses
from mcdrop.engine.gaussian import read_scale, which_is_scale
from mcdrop.engine.heads import Head, read_head, read_last_half
from mcdrop.engine.losses import Loss, loss_of
from mcdrop.errors import DataError, ModelError
from mcdrop.prediction import GAUSSIAN_SCALES, TASKS

Array = NDArray[Any]
Task = str | Mapping[str, str] | Sequence[str] | None

_OVER_CLASSES = ("softmax", "log_softmax", "sparsemax")
_PROBABILITIES = (*_OVER_CLASSES, "sigmoid", "hard_sigmoid")


@dataclass(frozen=True)
class Asked:
    """What the user said of the outputs.

    Attributes:
        task: The task, one for each of several outputs, or None to read it from the model.
        gaussian_scale: What the second half of a "gaussian" output is, None to read it.
        output: The name of the only output to predict, None for all of them.
    """

    task: Task = None
    gaussian_scale: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        """Raises DataError for what can be no task, scale or name, whatever the model."""
        several = isinstance(self.task, (Mapping, list, tuple))
        if self.task is not None and not several:
            check_choice("task", self.task, TASKS)
        if self.gaussian_scale is not None:
            check_choice("gaussian_scale", self.gaussian_scale, GAUSSIAN_SCALES)
        if self.output is not None and not isinstance(self.output, str):
            raise DataError(f"`output` is {self.output!r}, expected the name of an output.")


@dataclass(frozen=True)
class OutputTask:
    """How one prediction is made of the model's flat outputs.

    Attributes:
        name: Key of the prediction among several, "" for the only one.
        task: One of `mcdrop.prediction.TASKS`.
        outputs: Indices of the flat outputs it reads; two for a mean and its scale.
        logits: Whether the output is before its softmax or sigmoid.
        axis: Axis of the classes, labels or channels in the output, the examples being axis 0;
            None for the last. Classes and labels are moved to the last place.
        gaussian_scale: What the second half of "gaussian" is, one of `GAUSSIAN_SCALES`.
    """

    name: str
    task: str
    outputs: tuple[int, ...]
    logits: bool = False
    axis: int | None = None
    gaussian_scale: str | None = None

    def read(self, flat: Sequence[Array], batch_axes: int) -> tuple[Array, Array | None]:
        """Returns the values of the prediction, and the predicted variances of "gaussian".

        Args:
            flat: The model's flat outputs, with `batch_axes` axes before the output's own.
            batch_axes: 1 for (N, ...), 2 for (T, N, ...).
        """
        values = flat[self.outputs[0]]
        if self.task == "gaussian":
            return self._read_gaussian(flat, batch_axes)
        axis = self.axis_among(batch_axes)
        if self.task == "binary":
            if values.ndim > batch_axes and values.shape[axis] == 1:
                values = values.squeeze(axis)
        elif self.task != "regression" and axis != -1:
            values = np.moveaxis(values, axis, -1)
        if self.logits:
            link = special.softmax if self.task == "classification" else special.expit
            wide = values.astype(np.float64)
            values = link(wide, axis=-1) if self.task == "classification" else link(wide)
        return values, None

    def axis_among(self, batch_axes: int) -> int:
        """Returns the axis of the classes behind `batch_axes` axes."""
        if self.axis is None:
            return -1
        return self.axis if self.axis < 0 else self.axis + batch_axes - 1

    def check(self, values: Array) -> None:
        """Raises DataError when the values of a class task are no probabilities."""
        if self.task in ("regression", "gaussian") or not values.size:
            return
        what = f"output {self.name!r}" if self.name else "the output"
        low, high = float(values.min()), float(values.max())
        off = 0.0
        if self.task == "classification":
            if values.shape[-1] < 2:
                raise ModelError(_one_class(what))
            off = float(np.abs(values.sum(axis=-1, dtype=np.float64) - 1.0).max())
        if low < 0.0 or high > 1.0 + SIMPLEX_TOLERANCE or off > 10 * SIMPLEX_TOLERANCE:
            found = f"it has values in [{low:.4g}, {high:.4g}]"
            raise DataError(_no_probabilities(self.task, what, found))

    def _read_gaussian(self, flat: Sequence[Array], batch_axes: int) -> tuple[Array, Array]:
        if len(self.outputs) == 2:
            mean, raw = flat[self.outputs[0]], flat[self.outputs[1]]
            if mean.shape != raw.shape:
                raise ModelError(
                    f"The mean output has shape {mean.shape[batch_axes:]} and the other one "
                    f"{raw.shape[batch_axes:]}, expected the same for both."
                )
        else:
            whole, axis = flat[self.outputs[0]], self.axis_among(batch_axes)
            if whole.ndim <= batch_axes or whole.shape[axis] % 2:
                raise ModelError(_odd(whole.shape[batch_axes:]))
            mean, raw = np.split(whole, 2, axis=axis)
        if self.gaussian_scale == "log_variance":
            return mean, np.exp(raw.astype(np.float64))
        if raw.size and float(raw.min()) < 0.0:
            words = (self.gaussian_scale or "variance").replace("_", " ")
            raise DataError(
                f"The {words} that the model puts out is negative. Give it a softplus, or say "
                "gaussian_scale='log_variance' if it is one."
            )
        wide = raw.astype(np.float64)
        return mean, wide if self.gaussian_scale == "variance" else np.square(wide)


def resolve(model: Any, asked: Asked, structure: Any) -> tuple[OutputTask, ...]:
    """Returns how to read each of a model's outputs, or the one that was asked for.

    Args:
        model: The model.
        asked: What the user said; what is None is read from the model's configuration.
        structure: The model's outputs, as it nests them.

    Raises:
        ModelError: An output's meaning is ambiguous, or the task does not fit the outputs.
        DataError: What was asked for is not known, or names an output that is not there.
    """
    names = output_names(model, structure)
    if asked.output is not None and (asked.output not in names or len(names) < 2):
        raise DataError(
            f"`output` is {asked.output!r}, expected one of {', '.join(names)}."
            if len(names) > 1
            else f"`output` is {asked.output!r}, but the model has a single output; leave it out."
        )
    if asked.task == "gaussian" and asked.output is None:
        return (_gaussian(model, names, asked.gaussian_scale, isinstance(structure, Mapping)),)
    wanted = _by_output(asked, names)
    chosen = tuple(
        _resolve_one(model, index, names, wanted[name], asked)
        for index, name in enumerate(names)
        if asked.output in (None, name)
    )
    if asked.gaussian_scale is not None and all(one.task != "gaussian" for one in chosen):
        raise DataError(
            f"`gaussian_scale` is for the task 'gaussian', but the task is {chosen[0].task!r}. "
            "Pass task='gaussian' too, or leave it out."
        )
    return chosen


def output_names(model: Any, structure: Any) -> list[str]:
    """Returns a name for every flat output: its keys, or the output's own name, or its number."""
    paths = [path for path, _ in tree.flatten_with_path(structure)]
    if all(path and isinstance(path[-1], str) for path in paths):
        return ["/".join(str(part) for part in path) for path in paths]
    own = list(getattr(model, "output_names", None) or [])
    if len(own) == len(paths) and len(set(own)) == len(own):
        return own
    return [str(index) for index in range(len(paths))]


def _by_output(asked: Asked, names: list[str]) -> dict[str, str | None]:
    """Returns the task the user gave for each output."""
    task = asked.task
    if task is None or isinstance(task, str):
        return dict.fromkeys(names, task)
    given = dict(task) if isinstance(task, Mapping) else dict(zip(names, task, strict=False))
    only = asked.output is not None and set(given) == {asked.output} and len(task) == 1
    if not only and (set(given) != set(names) or len(task) != len(names)):
        raise DataError(f"`task` is {task!r}, expected one task for each of the outputs {names}.")
    checked = {name: check_choice(f"task[{name!r}]", value, TASKS) for name, value in given.items()}
    return dict.fromkeys(names) | checked


def _resolve_one(
    model: Any, index: int, names: list[str], task: str | None, asked: Asked
) -> OutputTask:
    """Returns how to read one output."""
    several = len(names) > 1 and asked.output is None
    name = names[index] if several else ""
    what = f"output {names[index]!r}" if len(names) > 1 else "the output"
    head, loss, shape = read_head(model, index), loss_of(model, index, names), _shape(model, index)
    if head.activation in _OVER_CLASSES and head.width == 1:
        raise ModelError(_one_class(what))
    read = task is None
    task = task or _read_task(head, loss, shape)
    if task is None:
        raise ModelError(_ambiguous(what, head, loss))
    if task == "gaussian":
        return _gaussian_halves(model, index, name, asked.gaussian_scale)
    if task == "regression":
        return OutputTask(name, task, (index,))
    _check_fits(task, what, head, loss)
    logits = _is_logits(head, loss)
    if task == "classification":
        axis = _classes_axis(what, head, loss, shape, read=read)
        if shape is not None and len(shape) > 1 and shape[-1 if axis is None else axis] == 1:
            raise ModelError(_one_class(what))
    else:
        axis = None if shape is None or head.axis == len(shape) - 1 else head.axis
    return OutputTask(name, task, (index,), logits=logits, axis=axis)


def _read_task(head: Head, loss: Loss | None, shape: tuple[int | None, ...] | None) -> str | None:
    """Returns the task that activation and loss imply, None when they do not settle it."""
    name = loss.name if loss is not None else ""
    from_logits = loss is not None and bool(loss.from_logits)
    if head.activation in ("softmax", "log_softmax"):
        return None if name in (*losses.VALUES, *losses.MARGINS) else "classification"
    if name in losses.CLASSES and from_logits and head.activation not in _PROBABILITIES:
        return "classification"
    yes_no = head.activation == "sigmoid" and name in ("", *losses.LABELS, *losses.OVERLAPS)
    if name in losses.LABELS and (from_logits or head.activation == "hard_sigmoid"):
        yes_no = True
    if yes_no:
        return {None: None, 1: "binary"}.get(_width(head, shape), "multilabel")
    if head.activation == "linear" and name in losses.REGRESSION:
        return "regression"
    return None


def _check_fits(task: str, what: str, head: Head, loss: Loss | None) -> None:
    """Raises an error when the outputs surely are no probabilities of this task, nor logits."""
    if task == "binary" and head.activation in _OVER_CLASSES:
        raise ModelError(
            f"Task 'binary' reads one probability, but {what} is a {head.activation} over "
            f"{head.width or 'several'} classes. Pass task='classification'."
        )
    logits_by_loss = loss is not None and bool(loss.from_logits)
    if head.activation in (None, "linear", *_PROBABILITIES) or logits_by_loss:
        scores = head.activation == "linear" and loss is not None
        if scores and loss is not None and loss.name in (*losses.VALUES, *losses.MARGINS):
            raise DataError(
                _no_probabilities(
                    task, what, f"it is linear and was trained with {loss.name}: no logits"
                )
            )
        return
    raise DataError(_no_probabilities(task, what, f"its activation is {head.activation!r}"))


def _is_logits(head: Head, loss: Loss | None) -> bool:
    """Whether the outputs of a class task are before their softmax or sigmoid."""
    if head.activation == "log_softmax":
        return True  # softmax(log p) = p
    if head.activation in _PROBABILITIES:
        return False  # Keras takes the logits from before the activation, whatever the loss says.
    if loss is not None and loss.from_logits is not None:
        return loss.from_logits
    return head.activation == "linear"


def _classes_axis(
    what: str, head: Head, loss: Loss | None, shape: tuple[int | None, ...] | None, *, read: bool
) -> int | None:
    """Returns the axis of the classes, None for the last one.

    Args:
        what: Words for the output.
        head: The end of the model.
        loss: Its loss.
        shape: The shape of the output, None when it is unknown.
        read: Whether the task was read from the model, and not said by the user.

    Raises:
        ModelError: The axis is none of the output's own, or two readings disagree.
    """
    stated = None if loss is None else loss.axis
    if shape is None:
        return None if stated == -1 else stated
    last = len(shape) - 1
    stated = None if stated is None or not -len(shape) <= stated <= last else stated % len(shape)
    if head.activation in _OVER_CLASSES:
        if head.axis is None or head.axis == 0:
            where = "the examples" if head.axis == 0 else "no single axis of the output"
            raise ModelError(
                f"The {head.activation} behind {what} runs over {where}, so that the rows are no "
                "class probabilities. Keep the classes on an axis of their own."
            )
        if read and stated not in (None, head.axis):
            raise ModelError(_two_axes(what, f"the {head.activation}", head.axis, stated or 0))
        return None if head.axis == last else head.axis
    explicit = stated is not None and stated != last
    if not explicit and head.axis not in (None, last):
        if loss is not None and loss.axis is not None:
            raise ModelError(_two_axes(what, "the last layer", head.axis or 0, last))
        raise ModelError(
            f"The last layer puts the channels of {what}, shape {shape}, on axis {head.axis}, and "
            "nothing says which axis holds the classes. Compile the model with "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True, axis=...), or end it "
            "with keras.layers.Softmax(axis=...)."
        )
    return stated if explicit else None


def _gaussian(model: Any, names: list[str], scale: str | None, by_key: bool) -> OutputTask:
    if len(names) > 2:
        raise ModelError(
            f"Task 'gaussian' needs two outputs, a mean and a variance, or one that holds both; "
            f"the model has {len(names)}: {names}."
        )
    if len(names) == 1:
        return _gaussian_halves(model, 0, "", scale)
    spread = which_is_scale(names, by_key)
    head = read_head(model, spread)
    scale = scale or read_scale(head, f"output {names[spread]!r}", f"{names[spread]} {head.name}")
    return OutputTask("", "gaussian", (1 - spread, spread), gaussian_scale=scale)


def _gaussian_halves(model: Any, index: int, name: str, scale: str | None) -> OutputTask:
    """Returns how to read means and scales that one output holds side by side."""
    head, shape = read_last_half(model, index), _shape(model, index)
    axis = None if shape is None or head.axis in (None, len(shape) - 1) else head.axis
    width = None if shape is None else shape[-1 if axis is None else axis]
    if width is not None and (width % 2 or len(shape or ()) < 2):
        raise ModelError(_odd((shape or ())[1:]))
    what = f"output {name!r}" if name else "the output"
    scale = scale or read_scale(head, f"the second half of {what}", head.name)
    return OutputTask(name, "gaussian", (index,), axis=axis, gaussian_scale=scale)


def _width(head: Head, shape: tuple[int | None, ...] | None) -> int | None:
    """Returns how many labels an output has: 1 when it has no axis for them."""
    if shape is None:
        return None
    if len(shape) == 1 or head.width == 1:
        return 1
    return shape[-1 if head.axis is None else head.axis]


def _shape(model: Any, index: int) -> tuple[int | None, ...] | None:
    """Returns the shape of a flat output, None when the model does not tell."""
    tensors = tree.flatten(getattr(model, "outputs", None) or [])
    return tuple(tensors[index].shape) if index < len(tensors) else None


def _ambiguous(what: str, head: Head, loss: Loss | None) -> str:
    compiled = f"is compiled with {loss.name}" if loss is not None else "is compiled with no loss"
    return (
        f"The task is ambiguous: {what} of the model has activation "
        f"{head.activation or 'unknown'!r} and {compiled}. Pass task=, one of {', '.join(TASKS)}."
    )


def _no_probabilities(task: str, what: str, found: str) -> str:
    return (
        f"For task {task!r} {what} of the model must hold probabilities, but {found}. Add a "
        "softmax or sigmoid to the model, or compile it with a loss that says from_logits=True."
    )


def _one_class(what: str) -> str:
    return (
        f"The softmax behind {what} runs over a single class, so that it is 1 whatever the input. "
        "Give it a unit for each class, or put a sigmoid on the one unit; a model that was trained "
        "like this has learnt nothing."
    )


def _two_axes(what: str, first: str, axis: int, other: int) -> str:
    return (
        f"The classes of {what} may be on axis {axis}, by {first}, or on axis {other}, by the "
        "loss. Compile the model with the loss's axis= set to the right one."
    )


def _odd(shape: tuple[int | None, ...]) -> str:
    return (
        f"Task 'gaussian' reads an output as means and their scales, half each; one example's "
        f"output has shape {tuple(shape)}, which has an odd number of them."
    )
