"""Finding the stochastic layers of a model, and choosing which of them sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from mcdrop._checks import check_choice
from mcdrop.engine.functional import is_plain
from mcdrop.engine.private_keras import draws_masks
from mcdrop.engine.randomness import describe_unknown
from mcdrop.errors import DataError, ModelError, NoDropoutError

Layer = Any

DEFAULT_KINDS = (
    "dropout",
    "spatial_dropout",
    "alpha_dropout",
    "gaussian_dropout",
    "rnn",
    "attention",
    "custom",
)
"""Kinds that sample unless `layers` says otherwise; registered layers are of kind "custom"."""

OPTIONAL_KINDS = ("drop_path", "noise")
"""Kinds that sample only when asked for: stochastic depth and additive noise."""

NEVER_CHOSEN = ("augmentation", "always_on")
"""Kinds that are listed, and that `layers` cannot choose."""

_WHY_OPTIONAL = {
    "unregistered": "draws random numbers in training, but its class is unknown; name it in "
    "`layers`, or mcdrop.register its class, to sample it",
    "augmentation": "augmentation of inputs is no dropout; it stays in inference",
    "always_on": "draws in inference too: random in every pass, whatever `layers` says",
    "drop_path": "stochastic depth drops whole branches; opt in with layers=[..., 'drop_path']",
    "noise": "additive noise is no dropout; opt in with layers=[..., 'noise']",
}
_BLACK_BOXES = ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")
_REGISTERED: dict[type, str] = {}


@dataclass(frozen=True)
class StochasticLayer:
    """One layer that can be random.

    Attributes:
        path: Names from the model down to the layer, joined by "/".
        kind: "dropout", "spatial_dropout", "alpha_dropout", "gaussian_dropout", "rnn",
            "attention", "custom", "drop_path" or "noise"; "unregistered" for a random layer of a
            class that mcdrop does not know, "augmentation", and "always_on" for one that draws
            without being told that it is training.
        rate: Its dropout rate (the larger of the two of an RNN, the standard deviation of
            "noise"), NaN where a custom layer states none.
        selected: Whether it was chosen to sample.
        reason: Why it does, or does not.
    """

    path: str
    kind: str
    rate: float
    selected: bool
    reason: str


@dataclass(frozen=True)
class Leaf:
    """A stochastic layer with the Keras layer that is switched on for it.

    `ordinal` counts all stochastic layers of the model, selected or not, so that masks do not
    depend on the selection.
    """

    layer: Layer
    ordinal: int
    info: StochasticLayer


def register(layer_class: type, *, kind: str = "custom") -> None:
    """Teaches mcdrop that instances of a custom layer class are stochastic.

    A selected instance runs with `training=True`, its own sublayers stay in inference unless
    they are selected themselves, and whatever it draws from `keras.random` becomes
    reproducible. Its rate is read from an attribute `rate` when there is one.

    Args:
        layer_class: A subclass of `keras.layers.Layer`, also a model's own class where its
            `call` draws.
        kind: The kind to list it under, one of the known kinds or "custom".

    Raises:
        DataError: `layer_class` is no Keras layer class, or `kind` is unknown.

    Example:
        >>> class DropConnect(keras.layers.Dense):
        ...     def call(self, inputs, training=False):
        ...         kernel = self.kernel
        ...         if training:
        ...             kernel = keras.random.dropout(kernel, 0.5)
        ...         return inputs @ kernel + self.bias
        >>> register(DropConnect)
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise DataError(f"`layer_class` is {layer_class!r}, expected a keras.layers.Layer class.")
    _REGISTERED[layer_class] = check_choice("kind", kind, (*DEFAULT_KINDS, *OPTIONAL_KINDS))


def find_leaves(
    model: Any, layers: Iterable[str] | Callable[[StochasticLayer], bool] | None
) -> tuple[Leaf, ...]:
    """Returns the stochastic layers of a model, in a fixed order, with their selection.

    Args:
        model: A built Keras 3 model.
        layers: None for the default kinds; kinds, layer names and paths; or a predicate.

    Raises:
        ModelError: The object is no Keras 3 model, is not built, holds a black box, or
            nothing in it would be random.
        DataError: `layers` names something that the model does not have.
    """
    check_model(model)
    walked = list(_walk(model))
    if not is_plain(model):
        # Last, so that registering its class does not change the masks of its layers.
        walked.append((model.name, model, model))
    found = [
        (path, layer, *described)
        for path, layer, parent in walked
        if (described := _describe(layer, parent)) is not None
    ]
    # Last as well: masks are drawn by the number of a layer among those that are known.
    known = {id(layer) for _, layer, *_ in found}
    found += [
        (path, layer, *other, "")
        for path, layer, _ in walked
        if id(layer) not in known
        and not draws_masks(layer)
        and (other := describe_unknown(layer)) is not None
    ]
    candidates = [
        StochasticLayer(path, kind, rate, selected=True, reason=note)
        for path, _, kind, rate, note in found
    ]
    chosen = _select(candidates, layers)
    leaves = tuple(
        Leaf(layer, ordinal, info)
        for ordinal, ((_, layer, *_), info) in enumerate(zip(found, chosen, strict=True))
    )
    _check_random(leaves)
    return leaves


def check_model(model: Any) -> None:
    """Raises ModelError unless `model` is a built Keras 3 model that can be sampled."""
    origin = type(model).__module__.split(".")[0]
    if any(base.__module__.split(".")[0] == "tf_keras" for base in type(model).__mro__):
        raise ModelError(
            f"The model is a tf_keras {type(model).__name__}, expected a Keras 3 model. Save it as "
            ".h5 with tf_keras and load that with keras.models.load_model."
        )
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"`model` is a {origin}.{type(model).__name__}, expected a keras.Model. Load the file "
            "with keras.models.load_model first."
        )
    if not model.built or (isinstance(model, keras.Sequential) and model._functional is None):
        raise ModelError(
            f"The model {model.name!r} is not built: its input shape is unknown. Call it once on "
            "data, or give it an Input."
        )
    for path, layer, _ in _walk(model):
        if type(layer).__name__ in _BLACK_BOXES:
            raise ModelError(
                f"Layer {path!r} is a {type(layer).__name__}: its graph is frozen and holds no "
                "dropout that could be switched on. Wrap the Keras model it was exported from."
            )
        if getattr(layer, "stateful", False) and isinstance(layer, keras.layers.RNN):
            raise ModelError(
                f"Layer {path!r} is a stateful RNN: what it predicts depends on earlier batches. "
                "Rebuild the model with stateful=False and load the same weights."
            )


def known_selectors(leaves: Iterable[StochasticLayer]) -> list[str]:
    """Returns every string that `layers` understands for these stochastic layers."""
    names = {part for info in leaves for part in (info.path, info.path.split("/")[-1])}
    return [*DEFAULT_KINDS, *OPTIONAL_KINDS, "unregistered", *sorted(names)]


def _walk(model: Any) -> Iterator[tuple[str, Layer, Layer]]:
    """Yields (path, layer, parent) depth first, each layer once, the model itself left out."""
    seen: set[int] = set()
    stack = [("", layer, model) for layer in reversed(model._layers)]
    while stack:
        prefix, layer, parent = stack.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        yield path, layer, parent
        stack.extend((f"{path}/", child, layer) for child in reversed(layer._layers))


def _describe(layer: Layer, parent: Layer) -> tuple[str, float, str] | None:
    """Returns kind, rate and a note for a stochastic layer, None for any other."""
    for layer_class in type(layer).__mro__:
        if layer_class in _REGISTERED:
            rate = getattr(layer, "rate", float("nan"))
            return _REGISTERED[layer_class], _as_rate(rate), "registered custom layer"
    if isinstance(layer, keras.layers.GaussianNoise):
        return "noise", float(layer.stddev), ""
    if isinstance(layer, keras.layers.GaussianDropout):
        return "gaussian_dropout", float(layer.rate), ""
    if isinstance(layer, keras.layers.AlphaDropout):
        return "alpha_dropout", float(layer.rate), ""
    if isinstance(layer, keras.layers.Dropout):
        return _dropout_kind(layer, parent), float(layer.rate), ""
    if isinstance(layer, (keras.layers.Attention, keras.layers.AdditiveAttention)):
        return ("attention", float(layer.dropout), "") if layer.dropout else None
    return _describe_recurrent(layer, parent)


def _dropout_kind(layer: Layer, parent: Layer) -> str:
    if isinstance(parent, (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)):
        return "attention"
    spatial = (
        keras.layers.SpatialDropout1D,
        keras.layers.SpatialDropout2D,
        keras.layers.SpatialDropout3D,
    )
    if isinstance(layer, spatial):
        return "spatial_dropout"
    noise_shape = layer.noise_shape
    whole_branch = noise_shape is not None and len(noise_shape) > 1
    if whole_branch and noise_shape[0] is None and all(size == 1 for size in noise_shape[1:]):
        return "drop_path"
    return "dropout"


def _describe_recurrent(layer: Layer, parent: Layer) -> tuple[str, float, str] | None:
    if isinstance(layer, keras.layers.RNN):
        cells = recurrent_cells(layer)
    elif draws_masks(layer) and not isinstance(
        parent, (keras.layers.RNN, keras.layers.StackedRNNCells)
    ):
        cells = [layer]
    else:
        return None
    rates = [(float(cell.dropout), float(cell.recurrent_dropout)) for cell in cells]
    # Keras ignores a rate of 1 in a cell.
    largest = max((rate for pair in rates for rate in pair if rate < 1.0), default=0.0)
    if largest == 0.0:
        return None
    words = ", ".join(f"dropout {first:g}, recurrent_dropout {second:g}" for first, second in rates)
    return "rnn", largest, words


def recurrent_cells(layer: Layer) -> list[Layer]:
    """Returns the cells of an RNN layer that draw dropout masks; a cell is its own only cell."""
    if draws_masks(layer):
        return [layer]
    cell = getattr(layer, "cell", None)
    cells = cell.cells if isinstance(cell, keras.layers.StackedRNNCells) else [cell]
    return [cell for cell in cells if draws_masks(cell)]


def _as_rate(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _select(
    candidates: list[StochasticLayer],
    layers: Iterable[str] | Callable[[StochasticLayer], bool] | None,
) -> list[StochasticLayer]:
    """Returns the candidates with `selected` and `reason` filled in."""
    if layers is None:
        return [_by_default(info) for info in candidates]
    if callable(layers):
        return [
            _decided(
                info, bool(layers(info)), "chosen by the predicate", "left out by the predicate"
            )
            for info in candidates
        ]
    if isinstance(layers, str):
        raise DataError(f"`layers` is the string {layers!r}, expected a list: [{layers!r}].")
    if not np.iterable(layers):
        raise DataError(
            f"`layers` is {layers!r}, expected a list of kinds, names or paths, or a function of a "
            "StochasticLayer."
        )
    wanted = list(layers)
    unknown = [name for name in wanted if name not in known_selectors(candidates)]
    if unknown:
        raise DataError(
            f"`layers` names {unknown}, which the model does not have. "
            f"It may name {', '.join(known_selectors(candidates))}."
        )
    for info in candidates:
        if info.kind in NEVER_CHOSEN and {info.path, info.path.split("/")[-1]} & set(wanted):
            raise DataError(
                f"`layers` names {info.path!r}, which cannot be chosen: {_WHY_OPTIONAL[info.kind]}."
            )
    return [
        _decided(
            info,
            bool({info.kind, info.path, info.path.split("/")[-1]} & set(wanted)),
            "named in `layers`",
            "not named in `layers`",
        )
        for info in candidates
    ]


def _by_default(info: StochasticLayer) -> StochasticLayer:
    on = info.kind in DEFAULT_KINDS
    return _decided(
        info, on, f"kind {info.kind} samples by default", _WHY_OPTIONAL.get(info.kind, "")
    )


def _decided(info: StochasticLayer, selected: bool, yes: str, no: str) -> StochasticLayer:
    if info.rate == 0.0:
        selected, no = False, "its rate is 0, it never drops anything"
    if info.kind in NEVER_CHOSEN:
        selected, no = False, _WHY_OPTIONAL[info.kind]
    reason = yes if selected else no
    note = f" ({info.reason})" if info.reason else ""
    return StochasticLayer(info.path, info.kind, info.rate, selected, reason + note)


def _check_random(leaves: tuple[Leaf, ...]) -> None:
    """Raises ModelError when nothing would be random, or a rate makes no distribution."""
    selected = [leaf.info for leaf in leaves if leaf.info.selected]
    for info in selected:
        if info.rate == 1.0 and info.kind in ("alpha_dropout", "gaussian_dropout"):
            raise ModelError(
                f"Layer {info.path!r} has rate 1, for which {info.kind} is not defined. Leave it "
                "out of `layers`."
            )
    if any(info.rate != 1.0 for info in selected):
        return
    if not leaves:
        raise NoDropoutError(
            "The model has no dropout or other stochastic layer, so every pass would be the same. "
            "Wrap a model that was trained with dropout, or mcdrop.register the class of your "
            "custom layer, or the model's own class if its `call` draws."
        )
    listed = "; ".join(f"{leaf.info.path} ({leaf.info.reason})" for leaf in leaves)
    if all(leaf.info.kind in ("unregistered", *NEVER_CHOSEN) for leaf in leaves):
        raise NoDropoutError(
            "The model has no dropout or other stochastic layer of a known class. It has: "
            f"{listed}. "
            "The class to register may be the model's own, if its `call` draws."
        )
    raise NoDropoutError(
        f"Nothing in the model would be random. Its stochastic layers: {listed}. "
        "Choose some with `layers`."
    )
