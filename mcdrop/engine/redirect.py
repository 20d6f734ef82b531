"""While a model is traced, the functions of `keras.random` draw counter-based noise.

Every stochastic Keras layer, and every custom one, gets its randomness from the random
module of the backend. Replacing that module's functions for the tracing thread makes all
of them draw from `masks`, in the shapes and with the semantics that they asked for; no
layer has to be written again, and no seed variable is read or advanced.

A draw with a batch axis is keyed by example and pass. Any other (noise on
weights, say) is keyed by the pass alone, and then a step may hold one pass only.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf

from mcdrop.engine import masks
from mcdrop.engine.masks import Rows
from mcdrop.engine.private_keras import backend_random

Tensor = Any

_FOREIGN = 0xFFF
_UNSUPPORTED = ("beta", "binomial", "gamma", "shuffle")


@dataclass(frozen=True)
class Place:
    """Where noise enters the traced model: one call of a layer that samples.

    Attributes:
        ordinal: Ordinal of the layer, -1 for a draw that no selected layer asked for.
        passes: The numbers of the passes, as this place alone reads them.
        path: Path of the layer that ran.
        owners: Ordinals of the selected layers that ran, those around it included.
    """

    ordinal: int
    passes: Tensor
    path: str
    owners: tuple[int, ...]


@dataclass(frozen=True)
class Dropped:
    """How a tensor was made by dropout from one that is the same in every pass.

    Attributes:
        source: The tensor before it, one row an example.
        rate: Its rate.
        stream: The constant that names the draw.
        rows: The rows it drew for.
    """

    source: Tensor
    rate: float
    stream: int
    rows: Rows


class Draws:
    """The noise of one trace, and a record of who drew it.

    Args:
        rows: Passes and examples of the batch; None gives every draw its mean instead, which
            is what the deterministic prediction of an always-on layer is.
        is_random: Whether a tensor depends on a draw.
        who: Returns the path of the layer that runs right now.
        barred: Names of tensors that hold other rows than one an example, see `cutting`.

    Attributes:
        owner: Ordinal of the layer that is switched on right now; None outside of one.
        calls: How often each owner was called.
        places: Where noise entered, in order of execution.
        sources: Tensors before a dropout that are the same in every pass: they enter the passes
            with one row an example, and leave the dropout with one for every pass too. By `id`,
            each with the passes of the place that reads it.
        dropped: What dropout made of such a source, by `id` of the tensor.
        spans: Where the calls of each owner begin and end among the operations of the graph.
        foreign: How many draws there were that no selected layer asked for.
        refused: Stand-ins for draws that cannot be made reproducible, each with the name of the
            function of `keras.random` that was called.
        single_pass: Something drew noise for no particular example.
        units: Random numbers that each place draws for one example and pass, by `id` of its
            passes; sizes that are unknown count as 1.
    """

    def __init__(
        self,
        rows: Rows | None,
        is_random: Callable[[Tensor], bool] = lambda _: True,
        who: Callable[[], str] = lambda: "",
        barred: frozenset[str] = frozenset(),
    ) -> None:
        self.rows = rows
        self.owner: int | None = None
        self.calls: Counter[int] = Counter()
        self.places: list[Place] = []
        self.sources: dict[int, tuple[Tensor, Tensor]] = {}
        self.dropped: dict[int, tuple[Tensor, Dropped]] = {}
        self.spans: defaultdict[int, list[range]] = defaultdict(list)
        self.foreign = 0
        self.refused: list[tuple[Tensor, str]] = []
        self.single_pass = False
        self.units: Counter[int] = Counter()
        self._graph = tf.compat.v1.get_default_graph()
        self.is_random = is_random
        self._who = who
        self._barred = barred
        self._muted = False
        self._drawn = 0
        self._owners: tuple[int, ...] = ()

    @contextmanager
    def owned_by(self, ordinal: int) -> Iterator[None]:
        """Attributes the draws inside to one call of the layer with this ordinal."""
        outer, start = (self.owner, self._owners, self._drawn, self.rows), self._graph.version
        self.owner, self._owners, self._drawn = ordinal, (*self._owners, ordinal), 0
        self.rows = self._enter(ordinal)
        try:
            yield
        finally:
            self.calls[ordinal] += 1
            self.spans[ordinal].append(range(start, self._graph.version))
            self.owner, self._owners, self._drawn, self.rows = outer

    @contextmanager
    def mute(self) -> Iterator[None]:
        """Lets draws inside return their mean unrecorded; the layer does not use them."""
        outer, self._muted = self._muted, True
        try:
            yield
        finally:
            self._muted = outer

    def stream(self, rows: Rows, sizes: masks.Shape) -> int:
        """Returns the constant that names the next draw: owner, its call, and draw in the call.

        Args:
            rows: The rows it draws for.
            sizes: Sizes of what it draws for one of them.
        """
        if not rows.shared:
            self.units[id(rows.passes)] += prod(filter(_is_known, sizes))
        if self.owner is None:
            self.foreign += 1
            owner, call, drawn = _FOREIGN, self.foreign, 0
        else:
            owner, call, drawn = self.owner, self.calls[self.owner], self._drawn
            self._drawn += 1
        return (owner % 2**12) << 20 | (call % 2**12) << 8 | drawn % 2**8

    def source(self) -> Rows | None:
        """Returns the rows to draw for, or None when the mean is wanted."""
        if self._muted:
            return None
        if self.owner is not None:
            return self.rows
        if self.rows is None:
            self.foreign += 1
            return None
        return self._enter(-1)

    def whole(self, rows: Rows) -> Rows:
        """Returns rows that draw one tensor a pass, for no example in particular."""
        self.single_pass = True
        return replace(rows, examples=tf.zeros((1,), tf.uint32), shared=True, balanced=False)

    def as_source(self, tensor: Tensor, stream: int, rows: Rows) -> Tensor | None:
        """Returns a copy of a tensor that is the same in every pass; None when it is not."""
        if tensor.graph is not self._graph or self.is_random(tensor):
            return None
        name = f"mcdrop_source_{stream}"
        if any(other.rsplit("/", 1)[-1] == f"{name}:0" for other in self._barred):
            return None
        # The copy is read by this dropout alone, so that it can enter the passes as it is while
        # other readers of the tensor get it once for every pass.
        source = tf.identity(tensor, name=name)
        self.sources[id(source)] = source, rows.passes
        return source

    def refuse(self, tensor: Tensor, name: str) -> Tensor:
        """Returns a stand-in for noise of `keras.random` that cannot be made reproducible."""
        self.foreign += 1
        stand_in = tf.identity(tensor, name="mcdrop_refused")
        self.refused.append((stand_in, name))
        return stand_in

    def _enter(self, ordinal: int) -> Rows | None:
        """Returns rows whose passes belong to this place of the model alone."""
        if self.rows is None:
            return None
        # In the outermost graph, also where the draw is inside of a loop: places can be told
        # apart, and stages be given numbers of their own, only there.
        with self._graph.as_default():
            passes = tf.identity(self.rows.passes, name="mcdrop_passes")
        place = Place(ordinal, passes, self._who(), self._owners)
        self.places.append(place)
        return replace(self.rows, passes=place.passes)


@contextmanager
def redirect(draws: Draws) -> Iterator[None]:
    """Makes `keras.random` draw from `draws` on this thread until the block ends.

    The caller holds the tracing lock: the backend's functions are replaced for the process,
    and other threads are passed through to the originals.
    """
    thread = threading.get_ident()
    originals: dict[str, Callable[..., Tensor]] = {}
    replacements = {name: _bind(function, draws) for name, function in _DRAWS.items()}
    replacements |= {name: _refuse(name, draws) for name in _UNSUPPORTED}
    try:
        for name, replacement in replacements.items():
            original = getattr(backend_random, name)
            originals[name] = original
            setattr(backend_random, name, _gate(thread, original, replacement))
        yield
    finally:
        for name, original in originals.items():
            setattr(backend_random, name, original)


def _gate(
    thread: int, original: Callable[..., Tensor], replacement: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    def function(*args: Any, **kwargs: Any) -> Tensor:
        chosen = replacement if threading.get_ident() == thread else original
        return chosen(*args, **kwargs)

    return function


def _bind(function: Callable[..., Tensor], draws: Draws) -> Callable[..., Tensor]:
    return lambda *args, **kwargs: function(draws, *args, **kwargs)


def _refuse(name: str, draws: Draws) -> Callable[..., Tensor]:
    def noise(shape: Any, *_: Any, dtype: Any = None, **__: Any) -> Tensor:
        return draws.refuse(tf.zeros(_sizes_of_shape(shape), dtype or "float32"), name)

    def shuffle(x: Any, *_: Any, **__: Any) -> Tensor:
        return draws.refuse(tf.convert_to_tensor(x), name)

    return shuffle if name == "shuffle" else noise


def _dropout(
    draws: Draws, inputs: Tensor, rate: float, noise_shape: Any = None, seed: Any = None
) -> Tensor:
    rows = draws.source()
    if rows is None or rate <= 0.0:
        return inputs
    if rate >= 1.0:
        return tf.zeros_like(inputs)
    sizes = _sizes(inputs)
    noise = sizes if noise_shape is None else _noise_sizes(noise_shape, sizes)
    if not any(map(_is_batch, sizes)):
        rows = draws.whole(rows)
        values = masks.drop(inputs[None], rate, noise, draws.stream(rows, noise), rows)
        return tf.ensure_shape(values[0], inputs.shape)
    order = _batch_first(sizes)
    first, *units = (noise[axis] for axis in order)
    if not _is_batch(first):
        rows = replace(rows, shared=True)
    stream = draws.stream(rows, units)
    moved = tf.transpose(inputs, order) if order[0] else inputs
    source = draws.as_source(moved, stream, rows)
    values = moved if source is None else source
    dropped = masks.drop(values, rate, units, stream, rows, repeat=source is not None)
    back = tf.transpose(dropped, np.argsort(order)) if order[0] else dropped
    result = tf.ensure_shape(back, [_static(size) for size in sizes])
    if source is not None:
        draws.dropped[id(result)] = result, Dropped(source, rate, stream, rows)
    return result


def _uniform(
    draws: Draws,
    shape: Any,
    minval: Any = 0.0,
    maxval: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Tensor:
    unit = _unit_noise(draws, shape, masks.uniform, 0.5)
    dtype = dtype or "float32"
    low, high = tf.cast(minval, tf.float32), tf.cast(maxval, tf.float32)
    return tf.cast(low + unit * (high - low), dtype)


def _normal(
    draws: Draws,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Tensor:
    unit = _unit_noise(draws, shape, masks.normal, 0.0)
    dtype = dtype or "float32"
    return tf.cast(mean, dtype) + tf.cast(stddev, dtype) * tf.cast(unit, dtype)


def _truncated_normal(
    draws: Draws,
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Tensor:
    unit = _unit_noise(draws, shape, masks.uniform, 0.5)
    tail = 0.02275013194817921  # probability of a standard normal below -2
    cut = tf.math.ndtri(tail + unit * (1.0 - 2.0 * tail))
    dtype = dtype or "float32"
    return tf.cast(mean, dtype) + tf.cast(stddev, dtype) * tf.cast(cut, dtype)


def _randint(
    draws: Draws, shape: Any, minval: Any, maxval: Any, dtype: Any = "int32", seed: Any = None
) -> Tensor:
    return tf.cast(tf.floor(_uniform(draws, shape, minval, maxval)), dtype)


def _categorical(
    draws: Draws, logits: Tensor, num_samples: int, dtype: Any = "int64", seed: Any = None
) -> Tensor:
    sizes = _sizes(logits)
    unit = _uniform(draws, [sizes[0], num_samples, *sizes[1:]])
    gumbel = -tf.math.log(-tf.math.log(unit))
    return tf.argmax(tf.cast(logits, tf.float32)[:, None] + gumbel, axis=-1, output_type=dtype)


_DRAWS: dict[str, Callable[..., Tensor]] = {
    "dropout": _dropout,
    "uniform": _uniform,
    "normal": _normal,
    "truncated_normal": _truncated_normal,
    "randint": _randint,
    "categorical": _categorical,
}


def _unit_noise(draws: Draws, shape: Any, generator: Callable[..., Tensor], mean: float) -> Tensor:
    """Returns standard noise of the shape asked for, or its mean in a deterministic trace."""
    rows = draws.source()
    sizes = _sizes_of_shape(shape)
    if rows is None:
        return tf.fill(sizes, mean)
    if not any(map(_is_batch, sizes)):
        rows = draws.whole(rows)
        return generator(tf.constant(1), sizes, draws.stream(rows, sizes), rows)[0]
    order = _batch_first(sizes)
    first, *units = (sizes[axis] for axis in order)
    noise = generator(first, units, draws.stream(rows, units), rows)
    noise = tf.transpose(noise, np.argsort(order)) if order[0] else noise
    return tf.ensure_shape(noise, [_static(size) for size in sizes])


def _batch_first(sizes: masks.Shape) -> list[int]:
    """Returns the order of axes that puts the batch first: masks are drawn for its rows."""
    axis = next(axis for axis, size in enumerate(sizes) if _is_batch(size))
    return [axis, *(other for other in range(len(sizes)) if other != axis)]


def _sizes(tensor: Tensor) -> masks.Shape:
    """Returns the sizes of a tensor, ints where they are static."""
    dynamic = tf.shape(tensor)
    return [
        dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape.as_list())
    ]


def _sizes_of_shape(shape: Any) -> masks.Shape:
    """Returns a shape given as a tensor or as a sequence of ints and tensors, as a list."""
    if tf.is_tensor(shape):
        static = tf.get_static_value(shape, partial=True)
        count = shape.shape[0]
        known = [None] * count if static is None else list(static)
        return [shape[i] if size is None else int(size) for i, size in enumerate(known)]
    return [_static_or_tensor(size) for size in shape]


def _noise_sizes(noise_shape: Any, sizes: masks.Shape) -> masks.Shape:
    given = _sizes_of_shape(noise_shape) if tf.is_tensor(noise_shape) else list(noise_shape)
    noise = [
        size if value is None else _static_or_tensor(value)
        for value, size in zip(given, sizes, strict=True)
    ]
    # A fixed batch size in noise_shape would tie the masks to it: only 1 means "one for all".
    if not _is_batch(noise[0]) and noise[0] != 1:
        noise[0] = sizes[0]
    return noise


def _static_or_tensor(size: Any) -> Any:
    if tf.is_tensor(size):
        value = tf.get_static_value(size)
        return size if value is None else int(value)
    return int(size)


def _static(size: Any) -> int | None:
    return size if _is_known(size) else None


def _is_known(size: Any) -> bool:
    return isinstance(size, int)


def _is_batch(size: Any) -> bool:
    """The batch axis is the one whose size is unknown while tracing."""
    return not _is_known(size)
