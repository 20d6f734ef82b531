"""Python values as the JSON of Keras 2 writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

_ELLIPSIS = "__ellipsis__"
_TENSORS = ("__tensor__", "__numpy__")


def plain(value: Any) -> Any:
    """Returns a value of a configuration without the wrapping that tells its Python type.

    Tuples come back as tuples, arrays as arrays (as numbers when they hold one), slices and the
    ellipsis as themselves; anything else stays as it is, with its parts made plain.
    """
    if isinstance(value, list):
        return [plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__tuple__":
        return tuple(plain(part) for part in value["items"])
    if kind == _ELLIPSIS:
        return Ellipsis
    if kind in _TENSORS and isinstance(config, dict):
        return _number_or_array(np.asarray(config["value"], config["dtype"]))
    if kind == "TensorShape":
        return value.get("items")
    if value.get("type") == "ndarray" and "value" in value:
        return _number_or_array(np.asarray(value["value"]))
    return {key: plain(part) for key, part in value.items()}


def _number_or_array(array: Any) -> Any:
    return array.item() if array.ndim == 0 else array
