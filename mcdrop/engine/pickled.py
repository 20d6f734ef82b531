"""A model as bytes, for `pickle` and `copy.deepcopy`, which compiled programs refuse."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from mcdrop.engine.audit import Leaf, StochasticLayer, find_leaves
from mcdrop.errors import ModelError


def to_bytes(model: Any) -> bytes:
    """Returns the model as a `.keras` file.

    Raises:
        ModelError: Keras cannot save the model, or could not make it anew from what it saved.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            data = path.read_bytes()
    except Exception as error:  # layers and configurations may be wrong in many ways
        raise _refusal(error) from error
    # Keras saves some models that it cannot load, which would be known only when it is too late.
    from_bytes(data)
    return data


def from_bytes(data: bytes) -> Any:
    """Returns the model of a `.keras` file.

    Keras' safe mode is off: a pickle runs code in any case, and models with Lambda layers are
    to be copied too.

    Raises:
        ModelError: Keras cannot make the model anew.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(data)
            return keras.saving.load_model(path, safe_mode=False)
    except Exception as error:
        raise _refusal(error) from error


def select_again(model: Any, infos: Sequence[StochasticLayer]) -> tuple[Leaf, ...]:
    """Returns the stochastic layers of a copied model, chosen as in the original.

    Raises:
        ModelError: The copy has others, as where a class was not registered: its masks would
            be others too.
    """
    chosen = {info.path for info in infos if info.selected}
    leaves = find_leaves(model, lambda info: info.path in chosen)
    known = [(info.path, info.kind, info.selected) for info in infos]
    if [(leaf.info.path, leaf.info.kind, leaf.info.selected) for leaf in leaves] != known:
        raise ModelError(
            "The stochastic layers of the copied model are not those of the original: "
            f"{[(leaf.info.path, leaf.info.kind) for leaf in leaves]} in place of "
            f"{[(info.path, info.kind) for info in infos]}. Call mcdrop.register for the same "
            "classes before loading."
        )
    return tuple(
        Leaf(leaf.layer, leaf.ordinal, info) for leaf, info in zip(leaves, infos, strict=True)
    )


def _refusal(error: Exception) -> ModelError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(
        f"Keras cannot copy the model ({reason}). Give its own classes a `get_config` and register "
        "them with keras.saving.register_keras_serializable, or save its weights and wrap it anew."
    )
