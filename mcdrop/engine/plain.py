"""What a model says with its dropout off, for models that have none to switch on."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from mcdrop.engine import describe
from mcdrop.engine.audit import check_model
from mcdrop.engine.inputs import open_inputs
from mcdrop.engine.tasks import Asked, resolve
from mcdrop.errors import DataError

Array = NDArray[Any]

BATCH_SIZE = 128


def predict_plain(
    model: Any, x: Any, asked: Asked, batch_size: int | None = None
) -> tuple[str, Array, Array | None]:
    """Returns the task, the prediction and the predicted variance of a model in inference.

    Args:
        model: A built Keras 3 model, with dropout or without.
        x: Inputs of N examples, as for `MCDropout.predict`.
        asked: What its output means.
        batch_size: Examples computed at once.

    Returns:
        The task; the values as `Prediction.deterministic` holds them; and their variance for the
        task "gaussian", else None.

    Raises:
        DataError: The inputs do not fit, or the model has several outputs and none was chosen.
        ModelError: The model fails on them, or its task is ambiguous.
    """
    check_model(model)
    inputs = open_inputs(
        x,
        double=describe.reads_float64(model),
        example_shape=describe.example_shape(model),
    )
    describe.check_inputs(model, inputs)

    infer = tf.function(
        lambda arrays: model(tree.pack_sequence_as(inputs.structure, arrays), training=False),
        reduce_retracing=True,
    )
    parts: list[tuple[Array, Array | None]] = []
    task = ""
    for batch in inputs.batches(lambda examples: batch_size or BATCH_SIZE):
        with describe.model_errors("The model fails on this data"):
            outputs = infer([tf.convert_to_tensor(array) for array in batch.arrays])
        tasks = resolve(model, asked, outputs)
        if len(tasks) > 1:
            names = ", ".join(one.name for one in tasks)
            raise DataError(f"The model has several outputs, {names}; choose one.")
        flat = [np.asarray(output) for output in tree.flatten(outputs)]
        values, variances = tasks[0].read(flat, batch_axes=1)
        tasks[0].check(values)
        parts.append((values, variances))
        task = tasks[0].task
    values = np.concatenate([part for part, _ in parts])
    if parts[0][1] is None:
        return task, values, None
    return task, values, np.concatenate([part for _, part in parts if part is not None])
