"""The layers of Keras 2, made by Keras 3's class of the same name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import keras

from mcdrop.loading.keras2.objects import activation, data_type, registered, training_only
from mcdrop.loading.keras2.record import NotImportedError, Record, UntranslatableError
from mcdrop.loading.keras2.rules import ALIASES, EVERY_LAYER, MISSING, RULES, Rule
from mcdrop.loading.keras2.values import plain

MakeLayer = Callable[[Mapping[str, Any]], Any]

_INNER_LAYERS = ("backward_layer", "cell", "layer")
_TRAINING_ONLY = ("_initializer", "_regularizer", "_constraint")
_OBJECTS_OF_APPLICATIONS = {
    "CustomScaleLayer": "inception_resnet_v2",
    "LayerScale": "convnext",
    "StochasticDepth": "convnext",
}


def make_layer(serialized: Mapping[str, Any], record: Record, make: MakeLayer) -> Any:
    """Returns a layer of Keras 3 that computes what a serialized layer of Keras 2 computed.

    Args:
        serialized: The layer's `class_name` and `config`.
        record: Takes the remarks.
        make: Makes the layers inside it, which may be models.

    Raises:
        UntranslatableError: The layer, or one of its options, has no counterpart.
    """
    name, config = class_name(serialized), dict(serialized["config"])
    if isinstance(config.get("name"), str):
        config["name"] = allowed_name(config["name"])
    label = f"the layer {config.get('name', name)!r} ({name})"
    try:
        custom = registered(name)
        if custom is not None:
            return _make_custom(custom, config)
        return _make_built_in(name, config, record, make)
    except UntranslatableError as error:
        raise type(error)(f"{label}: {error}") from error
    except Exception as error:  # layers refuse options in many ways
        raise UntranslatableError(f"{label}: {reason_of(error)}") from error


def class_name(serialized: Mapping[str, Any]) -> str:
    """Returns the class of a serialized layer, by the name under which it was registered."""
    name = str(serialized.get("registered_name") or serialized["class_name"])
    name = name.removeprefix("Custom>") if registered(name) is None else name
    return ALIASES.get(name, name)


def name_of(serialized: Mapping[str, Any]) -> str:
    """Returns the name of a serialized layer; a list of layers for a model has none inside."""
    config = serialized["config"]
    inner = config.get("name") if isinstance(config, dict) else None
    return str(inner if inner is not None else serialized.get("name"))


def allowed_name(name: str) -> str:
    """Returns the name of a layer as Keras 3 allows it, which is without slashes."""
    return name.replace("/", "_")


def call_options(serialized: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a layer that Keras 3 takes when it is called."""
    rule = RULES.get(class_name(serialized))
    config = serialized["config"]
    if rule is None:
        return {}
    return {new: True for old, new in rule.call.items() if config.get(old)}


def reason_of(error: BaseException) -> str:
    """Returns the first line of what Keras says, without the wrapping it puts around it."""
    text = str(error).rsplit("Exception encountered:", 1)[-1].strip()
    text = text.split("\n")[0].strip().rstrip(".")
    return text if len(text) <= 200 else f"{text[:200]}..."


def _make_custom(custom: Any, config: dict[str, Any]) -> Any:
    if not hasattr(custom, "from_config"):
        raise UntranslatableError("a function is registered under its name, not a layer")
    return custom.from_config(config)


def _make_built_in(name: str, config: dict[str, Any], record: Record, make: MakeLayer) -> Any:
    if name in MISSING:
        raise UntranslatableError(MISSING[name])
    rule = RULES.get(name, Rule(name))
    kind = _find_class(rule.target)
    if rule.remark:
        record.remark(rule.remark)
    options = _rename(config, rule)
    accepted = _parameters(kind) | set(rule.also)
    without_effect = EVERY_LAYER | dict(rule.without_effect)
    for option in [key for key in options if key not in accepted]:
        _check_without_effect(option, options.pop(option), without_effect)
    return kind(**{key: _convert(key, value, record, make) for key, value in options.items()})


def _find_class(name: str) -> type:
    kind = getattr(keras.layers, name, None)
    if kind is None and name in _OBJECTS_OF_APPLICATIONS:
        module = import_module(f"keras.src.applications.{_OBJECTS_OF_APPLICATIONS[name]}")
        kind = getattr(module, name, None)
    if not (isinstance(kind, type) and issubclass(kind, keras.layers.Layer)):
        raise NotImportedError(
            f"Keras 3 has no layer {name!r}, and no custom layer of that name is imported"
        )
    return kind


def _rename(config: dict[str, Any], rule: Rule) -> dict[str, Any]:
    """Returns the options under their new names, those taken at the call left out."""
    options = dict(rule.unrecorded)
    for key, value in config.items():
        if key not in rule.call:
            options[rule.renamed.get(key, key)] = plain_option(key, value, rule)
    dtype = data_type(options.pop("dtype", None))
    return options | ({} if dtype is None else {"dtype": dtype})


def plain_option(key: str, value: Any, rule: Rule) -> Any:
    """Returns an option's value; a list of one number becomes the number where that is meant."""
    if key in _INNER_LAYERS or key == "cells" or key == "dtype":
        return value
    value = plain(value)
    if key not in rule.lists or not isinstance(value, (list, tuple)):
        return value
    if len(value) != 1:
        raise UntranslatableError(f"Keras 3 takes a single {key}, and it has {list(value)}")
    return value[0]


def _check_without_effect(
    option: str, value: Any, without_effect: Mapping[str, tuple[Any, ...] | None]
) -> None:
    values = without_effect.get(option, ())
    if values is not None and value not in values:
        raise UntranslatableError(f"Keras 3 has no option {option!r}, and it is {value!r}")


def _convert(option: str, value: Any, record: Record, make: MakeLayer) -> Any:
    if option.endswith("activation"):
        return activation(value, record, make)
    if option.endswith(_TRAINING_ONLY):
        return training_only(option, value, record)
    if option in _INNER_LAYERS:
        return None if value is None else make(value)
    if option == "cells":
        return [make(cell) for cell in value]
    return value


@cache
def _parameters(kind: type) -> frozenset[str]:
    """Returns the options that a class of Keras 3 takes, those of its bases included."""
    names: set[str] = set()
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return frozenset(names - {"self"})
