"""A sampled model as a SavedModel: statistics of T passes, computed where it is served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from mcdrop._checks import SIMPLEX_TOLERANCE
from mcdrop.engine.describe import input_structure, model_errors
from mcdrop.engine.masks import split_seed
from mcdrop.engine.program import Program
from mcdrop.engine.sampling import Sampler
from mcdrop.engine.stages import Plan, plan
from mcdrop.engine.tasks import Asked, OutputTask, resolve
from mcdrop.errors import DataError, ModelError
from mcdrop.files import Kind, claim
from mcdrop.prediction import CLASS_TASKS
from mcdrop.splitting import Splitting

Tensor = Any

WITH_SETTINGS, SEED, NUM_SAMPLES = "with_settings", "seed", "num_samples"
"""The signature that takes settings, and their names."""

_SLICE = 8
_WORD = 2**32


SAVED_MODEL = Kind("a SavedModel")


def write(
    model: Any,
    sampler: Sampler,
    asked: Asked,
    path: str | Path,
    *,
    splitting: Splitting,
    seed: int,
    force: bool,
) -> None:
    """Writes the SavedModel; see `MCDropout.export`."""
    with claim(path, SAVED_MODEL, force=force) as output:
        archive = _make_archive(model, sampler, asked, splitting, seed)
        with output.draft() as draft:
            _write_out(archive, draft)


def _make_archive(
    model: Any, sampler: Sampler, asked: Asked, splitting: Splitting, seed: int
) -> Any:
    names, specs, structure = _signature(model)
    with model_errors("The model fails while it is traced"):
        program = sampler.portable_program(specs, structure)
    drawn = plan(program, splitting)
    outputs = program.pack([0] * len(program.output_specs))
    tasks = resolve(model, asked, outputs)
    if len(tasks) != 1:
        raise ModelError(
            f"The model has {len(tasks)} outputs; export one of them: "
            f"MCDropout(model, output={tasks[0].name!r})."
        )

    def serve(*inputs: Tensor) -> dict[str, Tensor]:
        words = tf.constant(split_seed(seed), tf.uint32)
        return _statistics(drawn, tasks[0], inputs, tf.constant(splitting[0]), words)

    def serve_with_settings(*inputs: Tensor) -> dict[str, Tensor]:
        *own, seed_given, num_samples = inputs
        draws = _check_settings(drawn, seed_given, num_samples, balanced=sampler.settings.balanced)
        with tf.control_dependencies([draws]):
            words = tf.cast(tf.stack([seed_given % _WORD, seed_given // _WORD]), tf.uint32)
            return _statistics(drawn, tasks[0], tuple(own), draws, words)

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in zip(names, specs, strict=True)
    ]
    taken = sorted({SEED, NUM_SAMPLES} & set(names))
    if taken:
        raise ModelError(f"An input of the model is called {taken[0]!r}, as a setting. Rename it.")
    settings = [tf.TensorSpec([], tf.int64, SEED), tf.TensorSpec([], tf.int32, NUM_SAMPLES)]
    archive.add_endpoint("serve", serve, input_signature=signature)
    archive.add_endpoint(
        WITH_SETTINGS, serve_with_settings, input_signature=[*signature, *settings]
    )
    return archive


def _check_settings(drawn: Plan, seed: Tensor, num_samples: Tensor, *, balanced: bool) -> Tensor:
    """Returns the draws of stage 1 for so many passes, after looking that they can be made."""
    most, inner = drawn.splitting[0] * drawn.inner, drawn.inner
    least = most if balanced else max(2, 2 * inner if inner > 1 else 2)
    whole = f" and a multiple of {inner}" if inner > 1 else ""
    expected = f"{most}, as the masks are balanced" if balanced else f"{least} to {most}{whole}"
    fits = (num_samples >= least) & (num_samples <= most) & (num_samples % inner == 0)
    checks = [
        tf.debugging.Assert(seed >= 0, [f"`{SEED}` is below 0:", seed]),
        tf.debugging.Assert(fits, [f"`{NUM_SAMPLES}` must be {expected}; it is", num_samples]),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(num_samples // inner)


def _write_out(archive: Any, path: Path) -> None:
    try:
        archive.write_out(str(path), verbose=False)
    except (tf.errors.ResourceExhaustedError, tf.errors.OutOfRangeError) as error:
        # The reason stands between the name of a file and that of an operation.
        reason = error.message.rsplit("; ", 1)[-1].split(" [Op:")[0].lower()
        raise DataError(f"The SavedModel cannot be written: {reason}.") from error


def _signature(model: Any) -> tuple[list[str], list[tf.TensorSpec], Any]:
    """Returns names, specs and nesting of the model's inputs."""
    structure = input_structure(model)
    tensors = tree.flatten(structure)
    if not tensors or not all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        raise ModelError(
            f"The inputs of {model.name!r} have no declared shapes, so it cannot be exported. "
            "Build it as a Functional or Sequential model."
        )
    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in tensors]
    return [tensor.name for tensor in tensors], specs, tree.map_structure(lambda _: 0, structure)


def _statistics(
    drawn: Plan, task: OutputTask, inputs: tuple[Tensor, ...], draws: Tensor, seed: Tensor
) -> dict[str, Tensor]:
    """Returns the statistics of the passes of a batch, as TensorFlow operations.

    Args:
        drawn: What is run, and how.
        task: What the outputs mean.
        inputs: The flat inputs.
        draws: Draws of stage 1.
        seed: The seed as two words.
    """
    frontier, deterministic = drawn.program.begin(*inputs)
    outputs = _passes(drawn, list(frontier), tf.shape(inputs[0])[0], draws, seed)
    passes, variances = _read(task, outputs, batch_axes=2)
    reference, _ = _read(task, list(deterministic), batch_axes=1)
    mean = tf.reduce_mean(passes, axis=0)
    spread = _variance(passes, drawn.levels)
    result = {"mean": mean, "variance": spread, "deterministic": reference}
    if variances is not None:
        aleatoric = tf.reduce_mean(variances, axis=0)
        result |= {"aleatoric_variance": aleatoric, "epistemic_variance": spread}
        result["variance"] = aleatoric + spread
    if task.task in CLASS_TASKS:
        total = _entropy(task.task, mean)
        expected = tf.reduce_mean(_entropy(task.task, passes), axis=0)
        result["predictive_entropy"], result["expected_entropy"] = total, expected
        result["mutual_information"] = tf.maximum(total - expected, 0.0)
    drawn_of = [passes] if variances is None else [passes, variances]
    fits = _finite_rows([*inputs, reference], 1) & tf.reduce_all(_finite_rows(drawn_of, 2), axis=0)
    return {name: _marked(values, fits) for name, values in result.items()}


def _finite_rows(arrays: Sequence[Tensor], axes: int) -> Tensor:
    """Returns which rows hold numbers only, in every array; the first `axes` axes tell rows."""
    fits = tf.constant(True)
    for array in arrays:
        if array.dtype.is_floating:
            rest = list(range(axes, array.shape.rank))
            fits &= tf.reduce_all(tf.math.is_finite(array), axis=rest)
    return fits


def _marked(values: Tensor, fits: Tensor) -> Tensor:
    """Returns statistics of shape (N, ...), NaN in every row that does not fit."""
    column = tf.reshape(fits, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(column, values, values.dtype.as_numpy_dtype(np.nan))


def _passes(
    drawn: Plan, frontier: list[Tensor], count: Tensor, draws: Tensor, seed: Tensor
) -> list[Tensor]:
    """Returns the flat outputs of all passes, shape (T, N, ...), with the masks of example 0."""
    program, examples = drawn.program, tf.zeros([count], tf.uint32)
    positions, width, held = tf.range(count), tf.constant(_SLICE), frontier
    if len(drawn.levels) > 1:
        counts = tf.concat([draws[None], tf.constant(drawn.levels[1:], tf.int32)], axis=0)
        first = tf.constant(0, tf.uint32)
        made = program.nested(
            seed, examples, positions, first, counts, width, *held, starts=drawn.starts
        )
        return [output[:, :count] for output in made]

    def run(numbers: Tensor) -> list[Tensor]:
        outputs = program.run(seed, examples, positions, numbers, width, *held)
        return [output[:, :count] for output in outputs]

    numbers = tf.cast(tf.range(draws), tf.uint32)
    return _one_by_one(run, numbers, program) if program.one_pass else run(numbers)


def _variance(passes: Tensor, levels: Splitting) -> Tensor:
    """Returns the unbiased variance of a pass, as `NestedMoments.variance` does in NumPy."""
    shape = tf.shape(passes)
    values = tf.reshape(passes, tf.concat([[-1], levels[1:], shape[1:]], axis=0))
    total = tf.zeros(shape[1:], passes.dtype)
    for level in range(len(levels) - 1, -1, -1):
        center = tf.reduce_mean(values, axis=level, keepdims=True)
        squares = tf.reduce_sum(tf.square(values - center), axis=level)
        count = tf.cast(tf.shape(values)[level], passes.dtype)
        square = tf.reduce_mean(squares, axis=list(range(level))) / (count - 1.0)
        total += square * (1.0 - 1.0 / count if level else 1.0)
        values = tf.squeeze(center, axis=level)
    return total


def _one_by_one(
    run: Callable[[Tensor], list[Tensor]], numbers: Tensor, program: Program
) -> list[Tensor]:
    """Runs passes in a loop, for models whose steps hold one pass."""
    outputs: list[Tensor] = tf.map_fn(
        lambda number: [output[0] for output in run(number[None])],
        numbers,
        fn_output_signature=program.output_specs,
    )
    return outputs


def _read(task: OutputTask, flat: list[Tensor], batch_axes: int) -> tuple[Tensor, Tensor | None]:
    """Does in TensorFlow what `OutputTask.read` does in NumPy; NaN for what that refuses."""
    values = flat[task.outputs[0]]
    axis = task.axis_among(batch_axes)
    if task.task == "gaussian":
        pair = [flat[i] for i in task.outputs] if len(task.outputs) == 2 else None
        mean, raw = pair or tf.split(values, 2, axis=axis)
        if task.gaussian_scale == "log_variance":
            return mean, tf.exp(raw)
        scale = tf.where(raw < 0.0, raw.dtype.as_numpy_dtype(np.nan), raw)
        return mean, scale if task.gaussian_scale == "variance" else tf.square(scale)
    if task.task == "binary":
        if values.shape.rank > batch_axes and values.shape[axis] == 1:
            values = tf.squeeze(values, axis)
    elif task.task != "regression" and axis != -1:
        values = tf.experimental.numpy.moveaxis(values, axis, -1)
    if task.logits:
        values = tf.nn.softmax(values) if task.task == "classification" else tf.sigmoid(values)
    elif task.task in CLASS_TASKS:
        fits = (values >= 0.0) & (values <= 1.0 + SIMPLEX_TOLERANCE)
        if task.task == "classification":
            off = tf.abs(tf.reduce_sum(values, axis=-1, keepdims=True) - 1.0)
            fits &= off <= 10.0 * SIMPLEX_TOLERANCE
        values = tf.where(fits, values, values.dtype.as_numpy_dtype(np.nan))
    return values, None


def _entropy(task: str, probabilities: Tensor) -> Tensor:
    if task == "classification":
        return -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), axis=-1)
    other = 1.0 - probabilities
    return -tf.math.xlogy(probabilities, probabilities) - tf.math.xlogy(other, other)
