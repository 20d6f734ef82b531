"""What a model expects and what of it samples, in words; and its failures as ModelError."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from mcdrop.engine import tasks
from mcdrop.engine.audit import NEVER_CHOSEN, StochasticLayer
from mcdrop.engine.functional import graph_of, is_plain
from mcdrop.engine.inputs import Inputs
from mcdrop.engine.randomness import is_augmentation
from mcdrop.errors import DataError, McdropError, ModelError

_LINES_THAT_SAY_NOTHING = (
    "Exception encountered when calling",
    "Graph execution error",
    "Detected at node",
    "<stack traces unavailable>",
    'File "',
)
_REPAIRS = {
    True: "Each element seems to be one example: batch them, as with dataset.batch(32).",
    False: "Reshape the data.",
}
_MODEL_ERRORS = (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError)
_EAGER_ERRORS = (AttributeError, NotImplementedError, TypeError)
_KEPT_IN_INFERENCE = ("BatchNormalization", "SpectralNormalization", "GroupNormalization")


def input_structure(model: Any) -> Any:
    """Returns the model's inputs as it nests them; one leaf when they cannot be read."""
    if not is_plain(model):
        return getattr(model, "_inputs_struct", None) or 0
    graph = graph_of(model)
    structure = graph._inputs_struct
    return structure[0] if isinstance(structure, list) and len(structure) == 1 else structure


def output_names(model: Any) -> tuple[str, ...]:
    """Returns the names of the outputs of a Functional model; none of any other."""
    if not is_plain(model):
        return ()
    return tuple(tasks.output_names(model, graph_of(model)._outputs_struct))


def declared_inputs(model: Any) -> tuple[list[tf.TensorSpec], Any] | None:
    """Returns specs of the flat inputs that a model is known to take, and how it nests them.

    None when it does not say: a subclassed model that was built by a call may know its shapes.
    """
    structure = input_structure(model)
    tensors = tree.flatten(structure)
    if tensors and all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in tensors]
        return specs, tree.map_structure(lambda _: 0, structure)
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    if len(shapes) != 1 or not isinstance(shapes[0], (tuple, list)) or not shapes[0]:
        return None
    if not all(size is None or isinstance(size, int) for size in shapes[0]):
        return None
    return [tf.TensorSpec([None, *shapes[0][1:]], model.input_dtype)], 0


def reads_float64(model: Any) -> bool:
    """Whether a model computes with float64 inputs as they are; most read them as float32."""
    if not is_plain(model):
        return bool(model.compute_dtype == "float64")
    return any(tensor.dtype == "float64" for tensor in graph_of(model)._inputs)


def example_shape(model: Any) -> tuple[int | None, ...] | None:
    """Returns the shape of an example of a Functional model with one input, else None."""
    if not is_plain(model) or len(graph_of(model)._inputs) != 1:
        return None
    return tuple(graph_of(model)._inputs[0].shape[1:])


def check_inputs(model: Any, inputs: Inputs) -> None:
    """Raises DataError when the shapes of the data do not fit the inputs of a Functional model."""
    if not is_plain(model):
        return
    graph = graph_of(model)
    expected, arrays = tree.flatten(graph._inputs_struct), inputs.first
    if isinstance(inputs.structure, dict):
        expected, arrays = _by_name(graph._inputs_struct, inputs)
    if len(expected) != len(arrays):
        raise DataError(
            f"`x` holds {len(arrays)} arrays, the model takes {len(expected)} inputs: "
            f"{[tensor.name for tensor in expected]}."
        )
    for tensor, array in zip(expected, arrays, strict=True):
        wanted, got = tuple(tensor.shape[1:]), array.shape[1:]
        _check_kind(tensor, array)
        if not _fits(wanted, got) and not _fits(wanted, (*got, 1)) and not _fits((*wanted, 1), got):
            raise DataError(
                f"Examples have shape {got}, the model's input {tensor.name!r} expects {wanted} "
                f"(None is any size). {_REPAIRS[_fits(wanted[1:], got)]}"
            )


def _check_kind(tensor: Any, array: Any) -> None:
    """Raises DataError for text where a model takes numbers, and the other way round."""
    kinds = ("text", "numbers") if array.dtype.kind == "O" else ("numbers", "text")
    if (array.dtype.kind == "O") != (tensor.dtype == "string"):
        raise DataError(
            f"`x` holds {kinds[0]}, but the model's input {tensor.name!r} takes {kinds[1]}."
        )


def _by_name(struct: Any, inputs: Inputs) -> tuple[list[Any], list[Any]]:
    """Returns the model's inputs and the arrays for them, of data given as a dict."""
    named = struct if isinstance(struct, dict) else {t.name: t for t in tree.flatten(struct)}
    missing = sorted(set(named) - set(inputs.structure))
    if missing:
        raise DataError(f"`x` lacks the inputs {missing}; the model takes {sorted(named)}.")
    paths = [path for path, _ in tree.flatten_with_path(inputs.structure)]
    arrays = {path[0]: array for path, array in zip(paths, inputs.first, strict=True)}
    flat = [name for name, tensor in named.items() if not tree.is_nested(tensor)]
    return [named[name] for name in flat], [arrays[name] for name in flat]


def stages(layers: Sequence[str]) -> str:
    """Returns in words which layers form the stages that splitting counts."""
    listed = "; ".join(f"{number}. {names}" for number, names in enumerate(layers, 1))
    return f"Stages that `splitting` counts: {listed}."


def summary(
    model: Any,
    layers: Sequence[StochasticLayer],
    share_run_once: float | None,
    notes: Sequence[str] = (),
) -> str:
    """Returns the audit as text.

    Args:
        model: The model.
        layers: Its stochastic layers.
        share_run_once: Share of its arithmetic that runs once; None when that is not known yet.
        notes: What was found when it was traced.
    """
    rows = _audit_rows(layers)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    ]
    lines.insert(1, "  ".join(["-" * width for width in [*widths, 3]]))
    return "\n".join([*_audit_lines(model, layers, share_run_once, notes), "", *lines])


def summary_html(
    model: Any,
    layers: Sequence[StochasticLayer],
    share_run_once: float | None,
    notes: Sequence[str] = (),
) -> str:
    """Returns the audit as HTML for a notebook; names are escaped."""
    head, *rows = [[escape(cell) for cell in row] for row in _audit_rows(layers)]
    said = "<br>".join(map(escape, _audit_lines(model, layers, share_run_once, notes)))
    heads = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p>{said}</p>{table if rows else ''}"


def _audit_rows(layers: Sequence[StochasticLayer]) -> list[tuple[str, str, str, str, str]]:
    """Returns the headings and one row a layer."""
    rows = [("layer", "kind", "rate", "samples", "why")]
    for info in layers:
        rate = "?" if info.rate != info.rate else f"{info.rate:g}"
        chosen = "yes" if info.selected else "always" if info.kind == "always_on" else "no"
        rows.append((info.path, info.kind, rate, chosen, info.reason))
    return rows


def _audit_lines(
    model: Any,
    layers: Sequence[StochasticLayer],
    share_run_once: float | None,
    notes: Sequence[str],
) -> list[str]:
    """Returns what stands above the rows: how many sample, and what runs only once."""
    sampled = sum(info.selected for info in layers)
    eligible = sum(info.kind not in NEVER_CHOSEN for info in layers)
    head = f"{model.name}: {sampled} of {eligible} stochastic layers sample."
    if share_run_once is not None:
        once = f"About {_percent(share_run_once)} of its multiply-accumulates run only once."
    else:
        once = "How much of it runs only once is known when it has seen data."
    return [head, once, *_inference_line(model), *notes]


@contextmanager
def model_errors(what: str) -> Iterator[None]:
    """Turns what Keras and TensorFlow raise for a model into one ModelError."""
    try:
        yield
    except (McdropError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        if isinstance(error, _EAGER_ERRORS) and "symbolic" in str(error).lower():
            raise ModelError(
                f"{what}: its code runs only eagerly, but the passes are compiled. Use keras.ops "
                "in place of NumPy, and of Python conditions and loops on tensors."
            ) from error
        if isinstance(error, _MODEL_ERRORS):
            raise ModelError(f"{what}: {_reason(error)}") from error
        raise


def _reason(error: Exception) -> str:
    """Returns the line of a Keras or TensorFlow message that says what went wrong."""
    text = re.sub(r"\x1b\[\d+m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_LINES_THAT_SAY_NOTHING)]
    return lines[0] if lines else type(error).__name__


def _inference_line(model: Any) -> list[str]:
    counts = Counter(
        type(layer).__name__
        for layer in model._flatten_layers()
        if type(layer).__name__ in _KEPT_IN_INFERENCE or is_augmentation(layer)
    )
    listed = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return [f"Kept in inference: {listed}."] if listed else []


def _percent(share: float) -> str:
    """Returns a share in percent, never rounded to 0 or 100 unless it is exactly that."""
    if 0.0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1.0:
        return ">99.9%"
    return f"{100 * share:.1f}%"


def _fits(expected: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(expected) == len(shape) and all(
        want is None or want == got for want, got in zip(expected, shape, strict=True)
    )
