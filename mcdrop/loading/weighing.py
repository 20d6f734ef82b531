"""How much memory the weights of a model file would take, found before any is taken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from math import prod
from typing import Any

from mcdrop.errors import ModelError
from mcdrop.files.archives import ALWAYS_ALLOWED
from mcdrop.loading.saved import SAVE_WHOLE, SavedModel, objects

_MOST_TIMES = 4
"""How many times the bytes of a file its weights may take; Keras writes them uncompressed."""

_WIDTHS = ("units", "filters", "input_dim", "output_dim", "num_heads", "key_dim", "output_shape")


def check_weights(saved: SavedModel, make: Callable[[], Any]) -> None:
    """Raises ModelError when the layers have far more weights than the file can hold.

    The model is made once in a graph, where variables have shapes and no values, unless it is
    small by a bound that needs no model.

    Args:
        saved: The file.
        make: Makes the model from the configuration in the file, without its weights.
    """
    if _bound(saved.config) <= ALWAYS_ALLOWED:
        return
    import tensorflow as tf

    with tf.Graph().as_default() as graph, contextlib.suppress(Exception):
        make()  # what is wrong with it is told when the model is made in earnest
    needed = sum(_num_bytes(op) for op in graph.get_operations() if op.type == "VarHandleOp")
    if needed > max(ALWAYS_ALLOWED, _MOST_TIMES * saved.num_bytes):
        raise ModelError(
            f"{saved.path} is damaged (its layers have {needed:,} bytes of weights, and the file "
            f"holds {saved.num_bytes:,} bytes). {SAVE_WHOLE}"
        )


def _num_bytes(variable: Any) -> int:
    shape = variable.get_attr("shape").dim
    return prod(max(axis.size, 0) for axis in shape) * int(variable.get_attr("dtype").size)


def _bound(config: Any) -> int:
    """Returns more bytes than the weights of ordinary layers take: widths times the largest size.

    Sizes of inputs, kernels and upsampling are all among the numbers of a configuration.
    """
    largest, widths = 1, 0
    for part in objects(config):
        sizes = {name: _size(value) for name, value in part.items() if name != "seed"}
        largest = max(largest, *sizes.values(), 1)
        own = [sizes[name] for name in _WIDTHS if name in sizes]
        widths += prod(own) * sizes.get("kernel_size", 1) if own else 0
    return 4 * largest * widths


def _size(value: Any) -> int:
    """Returns the product of the numbers in an option, 1 where it has none."""
    parts = value if isinstance(value, list | tuple) else [value]
    return prod(abs(part) for part in parts if isinstance(part, int) and part) or 1
