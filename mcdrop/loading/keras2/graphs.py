"""The models of Keras 2, sequential and functional, with models inside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from mcdrop.engine import private_keras
from mcdrop.loading.keras2.layers import (
    allowed_name,
    call_options,
    class_name,
    make_layer,
    reason_of,
)
from mcdrop.loading.keras2.masks import DROP_MASKS, MERGES, is_masked, merge, unmasked
from mcdrop.loading.keras2.objects import data_type, registered
from mcdrop.loading.keras2.operations import OPERATION_LAYERS, operation
from mcdrop.loading.keras2.record import Record, UntranslatableError
from mcdrop.loading.keras2.values import plain

_FUNCTIONAL = ("Functional", "Model", "Network")
_CONSTANT = "_CONSTANT_VALUE"
_RECURRENT = (keras.layers.RNN, keras.layers.Bidirectional)
MOST_DEPTH = 50
"""How deeply models may lie in each other; a file that goes deeper was made to do harm."""


def make_model(serialized: Mapping[str, Any], record: Record, depth: int = 0) -> Any:
    """Returns the model of Keras 3 for the configuration of one of Keras 2.

    Raises:
        UntranslatableError: Part of it has no counterpart; the text says which.
    """
    if depth > MOST_DEPTH:
        raise UntranslatableError(f"its layers lie more than {MOST_DEPTH} deep in each other")
    name = class_name(serialized)
    if registered(name) is None and is_sequential(serialized):
        return _make_sequential(serialized["config"], record, depth)
    if registered(name) is None and name in _FUNCTIONAL and is_model(serialized):
        return _Graph(serialized["config"], record, depth).model()
    return make_layer(serialized, record, lambda inner: make_model(inner, record, depth + 1))


def is_sequential(serialized: Mapping[str, Any]) -> bool:
    """Whether a serialized layer is a Sequential model."""
    return serialized.get("class_name") == "Sequential"


def is_model(serialized: Mapping[str, Any]) -> bool:
    """Whether a serialized layer is a model whose layers the configuration lists."""
    return is_sequential(serialized) or (
        isinstance(serialized.get("config"), dict) and "layers" in serialized["config"]
    )


def layers_of(serialized: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the serialized layers of a serialized model, in the order of Keras 2."""
    config = serialized["config"]
    layers: list[Mapping[str, Any]] = config if isinstance(config, list) else config["layers"]
    return layers


def make_input(config: Mapping[str, Any]) -> Any:
    """Returns the input tensor that an input layer of Keras 2 stood for."""
    name = None if config.get("name") is None else allowed_name(config["name"])
    for option in ("ragged", "type_spec"):
        if config.get(option):
            raise UntranslatableError(f"the input {name!r} is {option}, which Keras 3 has not")
    shape = plain(config.get("batch_input_shape", config.get("batch_shape")))
    return keras.Input(
        batch_shape=tuple(shape),
        dtype=data_type(config.get("dtype")),
        sparse=bool(config.get("sparse")),
        name=name,
    )


def _make_sequential(config: Any, record: Record, depth: int) -> Any:
    serialized = layers_of({"config": config})
    name = config.get("name") if isinstance(config, dict) else None
    if any(class_name(part) in OPERATION_LAYERS for part in serialized):
        raise UntranslatableError("a Sequential model holds a TensorFlow function")
    kept = [part for part in serialized if class_name(part) != "InputLayer"]
    layers = [make_model(part, record, depth + 1) for part in kept]
    entry = _sequential_input(config, serialized, layers)
    model = keras.Sequential([entry, *layers], name=name)
    for layer in layers:
        if isinstance(layer, DROP_MASKS) and is_masked(layer.input):
            raise UntranslatableError(
                f"the layer {layer.name!r} lost its mask in Keras 2, and keeps it in Keras 3"
            )
    _set_trainable(model, config)
    return model


def _sequential_input(config: Any, serialized: list[Mapping[str, Any]], layers: list[Any]) -> Any:
    """Returns the input of a Sequential model, wherever its configuration tells the shape."""
    nothing: Mapping[str, Any] = {"class_name": "", "config": {}}
    first = serialized[0] if serialized else nothing
    if class_name(first) == "InputLayer":
        return make_input(first["config"])
    inner = first["config"]
    if isinstance(inner, dict) and inner.get("batch_input_shape") is not None:
        dtype = inner.get("dtype")
        return make_input(
            {
                "name": f"{inner['name']}_input",
                "batch_input_shape": inner["batch_input_shape"],
                "dtype": dtype if isinstance(dtype, str) else None,
            }
        )
    if is_model(first):
        (tensor,) = layers[0].inputs
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
    shape = config.get("build_input_shape") if isinstance(config, dict) else None
    if shape is None:
        raise UntranslatableError("a Sequential model was saved before its input shape was known")
    return keras.Input(batch_shape=tuple(plain(shape)))


def _set_trainable(model: Any, config: Any) -> None:
    """Freezes a model that was frozen as a whole; the flags of its layers stay as they were."""
    if isinstance(config, dict) and config.get("trainable") is False:
        model.trainable = False


class _Graph:
    """A functional model while it is being made: its layers, and the tensors between them.

    Keras 2 names a tensor by the layer it came from, the number of that layer's call, and its
    place among the results of the call.
    """

    def __init__(self, config: Mapping[str, Any], record: Record, depth: int) -> None:
        self._config = config
        self._record = record
        self._serialized = {layer["name"]: layer for layer in config["layers"]}
        self._calls = {name: list(self._nodes(layer)) for name, layer in self._serialized.items()}
        self._first_call = {name: self._number_of_first_call(name) for name in self._serialized}
        self._results: dict[tuple[str, int], list[Any]] = {}
        self._layers = {name: self._make(layer, depth) for name, layer in self._serialized.items()}

    def model(self) -> Any:
        """Returns the model, after every call whose inputs can be had was made."""
        waiting = {name: calls for name, calls in self._calls.items() if calls}
        while waiting:
            before = sum(map(len, waiting.values()))
            for name in list(waiting):
                waiting[name] = self._call_ready(name, waiting[name])
            waiting = {name: calls for name, calls in waiting.items() if calls}
            if sum(map(len, waiting.values())) == before:
                raise UntranslatableError(
                    f"the calls of {', '.join(map(repr, waiting))} depend on each other"
                )
        inputs = _single(self._tensors(self._config["input_layers"]))
        outputs = _single(self._tensors(self._config["output_layers"]))
        _name_apart(outputs, {allowed_name(name) for name in self._serialized})
        model = keras.Model(inputs, outputs, name=self._config.get("name"))
        _set_trainable(model, self._config)
        return model

    def _make(self, serialized: Mapping[str, Any], depth: int) -> Any:
        name = class_name(serialized)
        if name == "InputLayer":
            tensor = make_input(serialized["config"])
            self._results[serialized["name"], 0] = [tensor]
            return None
        if name in OPERATION_LAYERS:
            return operation(serialized)
        return make_model(serialized, self._record, depth + 1)

    def _nodes(self, serialized: Mapping[str, Any]) -> Iterator[Any]:
        """Yields what each call of a layer was given, as the file has it."""
        yield from serialized.get("inbound_nodes") or []

    def _number_of_first_call(self, name: str) -> int:
        """Returns the number of a layer's first call: models often count their own making."""
        if not is_model(self._serialized[name]):
            return 0
        calls = len(self._calls[name])
        asked = [number for layer, number in self._references() if layer == name]
        if asked and max(asked) >= calls:
            return 1
        if asked and min(asked) == 0:
            return 0
        parts = layers_of(self._serialized[name])
        return int(bool(parts) and class_name(parts[0]) == "InputLayer")

    def _references(self) -> Iterator[tuple[str, int]]:
        """Yields the layer and the number of the call of every tensor that is used."""
        for key in ("input_layers", "output_layers"):
            yield from self._references_in(self._config[key])
        for calls in self._calls.values():
            yield from self._references_in(calls)

    def _references_in(self, value: Any) -> Iterator[tuple[str, int]]:
        if self._is_reference(value):
            yield value[0], value[1]
        parts = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list)):
            for part in parts:
                yield from self._references_in(part)

    def _is_reference(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in self._serialized
            and all(type(part) is int for part in value[1:3])
        )

    def _call_ready(self, name: str, calls: list[Any]) -> list[Any]:
        """Makes the calls of a layer whose inputs are there, and returns the rest of them."""
        number = self._first_call[name] + len(self._calls[name]) - len(calls)
        while calls and all(key in self._results for key in self._references_in(calls[0])):
            try:
                results = self._call(name, calls[0])
            except UntranslatableError as error:
                raise type(error)(f"the layer {name!r}: {error}") from error
            except Exception as error:  # layers refuse inputs in many ways
                raise UntranslatableError(f"the layer {name!r}: {reason_of(error)}") from error
            self._results[name, number] = results
            number, calls = number + 1, calls[1:]
        return calls

    def _call(self, name: str, node: Any) -> list[Any]:
        """Returns the results of a call of a layer, in a flat list."""
        layer, serialized = self._layers[name], self._serialized[name]
        options = self._options(node)
        inputs = self._tensors(node)
        if class_name(serialized) in OPERATION_LAYERS:
            return _results_of_operation(layer(inputs, **options))
        inputs = _single(inputs)
        options = call_options(serialized) | {
            # `training=None` and the like say nothing.
            key: value
            for key, value in options.items()
            if value is not None
        }
        if isinstance(layer, _RECURRENT) and isinstance(inputs, list):
            inputs, *state = inputs
            options["initial_state"] = state
        if isinstance(layer, MERGES):
            return [merge(layer, inputs)]
        if isinstance(layer, keras.layers.MultiHeadAttention):
            inputs, options = self._masks_of_attention(inputs, options)
        results = list(keras.tree.flatten(layer(inputs, **options)))
        return [unmasked(part) for part in results] if isinstance(layer, DROP_MASKS) else results

    def _masks_of_attention(self, query: Any, options: dict[str, Any]) -> tuple[Any, Any]:
        """Returns the arguments with masks as the version of the file treated them."""
        if self._record.is_older_than(2, 10):  # it did not look at masks
            return unmasked(query), keras.tree.map_structure(unmasked, options)
        if is_masked(query):
            self._record.caution(
                "MultiHeadAttention gives other values than in Keras 2 at the masked steps of its "
                "query, which matters if a later layer ignores the mask"
            )
        return query, options

    def _tensors(self, value: Any) -> Any:
        """Returns a value of the file with every tensor that it names in its place."""
        if self._is_reference(value):
            return self._results[value[0], value[1]][value[2]]
        if isinstance(value, list) and value[:1] == [_CONSTANT]:
            return plain(value[2])
        if isinstance(value, list):
            return [self._tensors(part) for part in value]
        if isinstance(value, dict) and "class_name" not in value:
            return {key: self._tensors(part) for key, part in value.items()}
        return plain(value)

    def _options(self, node: Any) -> dict[str, Any]:
        """Returns the arguments of a call beside its inputs; each input carries a copy."""
        if self._is_reference(node) or (isinstance(node, list) and node[:1] == [_CONSTANT]):
            return self._tensors(dict(node[3])) if len(node) == 4 else {}
        parts = node.values() if isinstance(node, dict) else node
        for part in parts:
            return self._options(part)
        return {}


def _name_apart(outputs: Any, taken: set[str]) -> None:
    """Gives other names to operations that Keras named like a layer of the file.

    Functions become operations with names of their own, and so do the masks between layers.
    """
    waiting = keras.tree.flatten(outputs)
    seen: set[tuple[int, int]] = set()
    while waiting:
        tensor = waiting.pop()
        operation, number, _ = private_keras.origin(tensor)
        if (id(operation), number) in seen:
            continue
        seen.add((id(operation), number))
        if not isinstance(operation, keras.layers.Layer):
            while operation.name in taken:
                operation.name = f"{operation.name}_operation"
        waiting.extend(private_keras.sources(tensor))


def _results_of_operation(results: Any) -> list[Any]:
    """Returns the results of an operation in a list; the sizes of a shape are one result."""
    several = isinstance(results, (list, tuple)) and any(hasattr(part, "shape") for part in results)
    return list(results) if several else [results]


def _single(value: Any) -> Any:
    """Returns the only part of a list of one, which Keras 2 writes for a part by itself."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
