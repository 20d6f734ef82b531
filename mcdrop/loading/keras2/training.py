"""The compiled loss of Keras 2, from which the task of a model is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from mcdrop.loading.keras2.objects import registered
from mcdrop.loading.keras2.record import Record
from mcdrop.loading.keras2.values import plain

_LONG_NAMES = {
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_CLASSES = {"KLDivergence": "KLDivergence", "LogCosh": "LogCosh"}
_LEARNING = ("learning_rate", "lr")


def compile_model(model: Any, config: Mapping[str, Any] | None, record: Record) -> None:
    """Compiles a model with the loss and the kind of optimizer that the file records.

    The state of the optimizer and the metrics are left out. A model whose loss is custom, or
    that was not compiled, stays uncompiled.
    """
    if not config or not config.get("loss"):
        return
    try:
        loss = _loss(plain(config["loss"]))
        weights = plain(config.get("loss_weights"))
        model.compile(optimizer=_optimizer(config, record), loss=loss, loss_weights=weights)
    except Exception:  # losses refuse options in many ways
        record.remark("the compiled loss was left out, because Keras 3 does not know it")
        return
    record.remark("the state of the optimizer and the metrics were left out")


def _loss(value: Any) -> Any:
    if isinstance(value, Mapping) and "class_name" in value:
        name, config = value["class_name"], value["config"]
        if name == "function":
            return _loss(config)
        custom = registered(name)
        if custom is not None:
            return custom.from_config(dict(config))
        options = dict(config)
        if options.get("reduction") in ("auto", "sum_over_batch_size"):
            options["reduction"] = "sum_over_batch_size"
        options.pop("fn", None)
        return getattr(keras.losses, name)(**options)
    if isinstance(value, Mapping):
        return {key: _loss(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_loss(part) for part in value]
    if value is None:
        return None
    name = _LONG_NAMES.get(value, value)
    return registered(name) or keras.losses.get(name)


def _optimizer(config: Mapping[str, Any], record: Record) -> Any:
    """Returns a new optimizer of the same kind and learning rate, or Keras' own choice."""
    serialized = config.get("optimizer_config", config.get("optimizer")) or {}
    try:
        options = plain(serialized["config"])
        rate = next(options[key] for key in _LEARNING if key in options)
        optimizer = keras.optimizers.get(str(serialized["class_name"]).lower())
        optimizer.learning_rate = float(rate)
    except Exception:  # a custom optimizer, or a schedule in place of a learning rate
        record.remark("the optimizer was replaced by Keras' own choice")
        return "rmsprop"
    return optimizer
