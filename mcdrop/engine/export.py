"""A sampled model as a SavedModel: statistics of T passes, computed where it is served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from mcdrop.engine.describe import input_structure, model_errors
from mcdrop.engine.masks import split_seed
from mcdrop.engine.program import Program
from mcdrop.engine.sampling import Sampler
from mcdrop.engine.tasks import Asked, OutputTask, resolve
from mcdrop.errors import DataError, ModelError
from mcdrop.files import Kind, claim
from mcdrop.prediction import CLASS_TASKS

Tensor = Any

_SLICE = 8


SAVED_MODEL = Kind("a SavedModel")


def write(
    model: Any,
    sampler: Sampler,
    asked: Asked,
    path: str | Path,
    *,
    num_samples: int,
    seed: int,
    force: bool,
) -> None:
    """Writes the SavedModel; see `MCDropout.export`."""
    with claim(path, SAVED_MODEL, force=force) as output:
        archive = _make_archive(model, sampler, asked, num_samples, seed)
        with output.draft() as draft:
            _write_out(archive, draft)


def _make_archive(model: Any, sampler: Sampler, asked: Asked, num_samples: int, seed: int) -> Any:
    names, specs, structure = _signature(model)
    with model_errors("The model fails while it is traced"):
        program = sampler.portable_program(specs, structure)
    outputs = program.pack([0] * len(program.output_specs))
    tasks = resolve(model, asked, outputs)
    if len(tasks) != 1:
        raise ModelError(
            f"The model has {len(tasks)} outputs; export one of them: "
            f"MCDropout(model, output={tasks[0].name!r})."
        )

    def serve(*inputs: Tensor) -> dict[str, Tensor]:
        return _statistics(program, tasks[0], inputs, num_samples, seed)

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in zip(names, specs, strict=True)
    ]
    archive.add_endpoint("serve", serve, input_signature=signature)
    return archive


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
    program: Program, task: OutputTask, inputs: tuple[Tensor, ...], num_samples: int, seed: int
) -> dict[str, Tensor]:
    """Returns the statistics of T passes of a batch, as TensorFlow operations."""
    frontier, deterministic = program.begin(*inputs)
    count = tf.shape(inputs[0])[0]

    def run(numbers: Tensor) -> list[Tensor]:
        words = tf.constant(split_seed(seed), tf.uint32)
        examples = tf.zeros([count], tf.uint32)
        outputs = program.run(
            words, examples, tf.range(count), numbers, tf.constant(_SLICE), *frontier
        )
        return [output[:, :count] for output in outputs]

    numbers = tf.cast(tf.range(num_samples), tf.uint32)
    outputs = _one_by_one(run, numbers, program) if program.one_pass else run(numbers)
    passes, variances = _read(task, outputs, batch_axes=2)
    reference, _ = _read(task, list(deterministic), batch_axes=1)
    mean = tf.reduce_mean(passes, axis=0)
    spread = tf.reduce_sum(tf.square(passes - mean), axis=0) / (num_samples - 1)
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
    return result


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
    """Does in TensorFlow what `OutputTask.read` does in NumPy."""
    values = flat[task.outputs[0]]
    axis = task.axis_among(batch_axes)
    if task.task == "gaussian":
        pair = [flat[i] for i in task.outputs] if len(task.outputs) == 2 else None
        mean, raw = pair or tf.split(values, 2, axis=axis)
        if task.gaussian_scale == "log_variance":
            return mean, tf.exp(raw)
        return mean, raw if task.gaussian_scale == "variance" else tf.square(raw)
    if task.task == "binary":
        if values.shape.rank > batch_axes and values.shape[axis] == 1:
            values = tf.squeeze(values, axis)
    elif task.task != "regression" and axis != -1:
        values = tf.experimental.numpy.moveaxis(values, axis, -1)
    if task.logits:
        values = tf.nn.softmax(values) if task.task == "classification" else tf.sigmoid(values)
    return values, None


def _entropy(task: str, probabilities: Tensor) -> Tensor:
    if task == "classification":
        return -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), axis=-1)
    other = 1.0 - probabilities
    return -tf.math.xlogy(probabilities, probabilities) - tf.math.xlogy(other, other)
