"""The files that Keras 2 wrote: HDF5, and the zip archives of Keras 2.12 and later."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import h5py

from mcdrop.loading.keras2.graphs import is_model, layers_of, make_model
from mcdrop.loading.keras2.layers import allowed_name, class_name, name_of
from mcdrop.loading.keras2.operations import OPERATION_LAYERS
from mcdrop.loading.keras2.record import Record, UntranslatableError
from mcdrop.loading.keras2.stored import Stored, arrays_by_number, arrays_of_layer, child, names
from mcdrop.loading.keras2.training import compile_model
from mcdrop.loading.keras2.weights import assign
from mcdrop.loading.saved import SavedModel

WEIGHTS = "model.weights.h5"
_PARTS_OF_ATTENTION = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")


def translate(saved: SavedModel) -> tuple[Any, Record]:
    """Returns the model of Keras 3 for a file of Keras 2, and what was understood.

    Raises:
        UntranslatableError: Part of the model has no counterpart, or its weights do not fit.
    """
    record = Record(saved.version)
    if not is_model(saved.config):
        raise UntranslatableError(
            f"it is a subclassed model ({saved.config.get('class_name')}), whose layers no file "
            "records"
        )
    with warnings.catch_warnings():
        # What Keras warns of here concerns options that the old file spells out.
        warnings.simplefilter("ignore")
        model = make_model(saved.config, record)
        _load_weights(model, saved)
        compile_model(model, saved.training, record)
    return model, record


def _load_weights(model: Any, saved: SavedModel) -> None:
    if not saved.zipped:
        with h5py.File(saved.path, "r") as archive:
            _load_listed(model, saved.config, archive)
        return
    with zipfile.ZipFile(saved.path) as archive:
        content = io.BytesIO(archive.read(WEIGHTS))
    with h5py.File(content, "r") as weights:
        if "layers" not in weights:
            raise UntranslatableError(f"its {WEIGHTS} has the layout of an early Keras 2.12")
        _load_numbered(model, saved.config, weights, "")


def _load_listed(model: Any, serialized: Mapping[str, Any], archive: Any) -> None:
    """Puts the weights of every layer of an HDF5 file into the model."""
    group = child(archive, "model_weights") if "model_weights" in archive else archive
    if "top_level_model_weights" in group and names(group["top_level_model_weights"], "weight"):
        raise UntranslatableError("it has weights outside of its layers")
    saved = set(names(group, "layer"))
    for part in _layers_with_weights(serialized):
        name = name_of(part)
        arrays = list(arrays_of_layer(child(group, name))) if name in saved else []
        assign(model.get_layer(allowed_name(name)), part, arrays)


def _load_numbered(layer: Any, serialized: Mapping[str, Any], group: Any, path: str) -> None:
    """Puts the weights of a layer of a zip archive, and of those inside it, into place."""
    config = serialized["config"]
    if is_model(serialized):
        places = _places(layers_of(serialized))
        for part, place in zip(layers_of(serialized), places, strict=True):
            if part in _layers_with_weights(serialized):
                inner = layer.get_layer(allowed_name(name_of(part)))
                _load_numbered(inner, part, group, f"{path}/layers/{place}".strip("/"))
    elif class_name(serialized) == "Bidirectional":
        backward = config.get("backward_layer") or config["layer"]
        _load_numbered(layer.forward_layer, config["layer"], group, f"{path}/forward_layer")
        _load_numbered(layer.backward_layer, backward, group, f"{path}/backward_layer")
    elif class_name(serialized) == "TimeDistributed":
        _load_numbered(layer.layer, config["layer"], group, f"{path}/layer")
    else:
        arrays: list[Stored] = []
        for place in _own_places(serialized, path):
            arrays.extend(arrays_by_number(group, place))
        assign(layer, serialized, arrays)


def _own_places(serialized: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yields the groups that hold the weights of a layer without layers that are its own."""
    cell = serialized["config"].get("cell")
    if class_name(serialized) == "MultiHeadAttention":
        yield from (f"{path}/{part}" for part in _PARTS_OF_ATTENTION)
    elif class_name(serialized) == "SpectralNormalization":
        yield f"{path}/layer"
    elif cell and class_name(cell) == "StackedRNNCells":
        yield from (f"{path}/cell/cells/{place}" for place in _places(cell["config"]["cells"]))
    else:
        yield f"{path}/cell"
    yield path


def _places(parts: list[Mapping[str, Any]]) -> list[str]:
    """Returns the names of the groups of layers in a list: their classes, numbered."""
    used: Counter[str] = Counter()
    places = []
    for part in parts:
        name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name(part))
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
        places.append(f"{name}_{used[name]}" if used[name] else name)
        used[name] += 1
    return places


def _layers_with_weights(serialized: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the serialized layers of a model that may have weights."""
    without = ("InputLayer", *OPERATION_LAYERS)
    return [part for part in layers_of(serialized) if class_name(part) not in without]
