"""TensorFlow functions that Keras 2 used as layers (TFOpLambda), as operations of Keras 3.

Each entry takes its arguments under TensorFlow's names, as a file records them. Only what is
listed here can be called; a file cannot name any other function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from mcdrop.loading.keras2.record import UntranslatableError

OPERATION_LAYERS = ("ClassMethod", "SlicingOpLambda", "TFOpLambda")
"""The layers of Keras 2 that stand for a function."""


def operation(serialized: Mapping[str, Any]) -> Callable[..., Any]:
    """Returns the function that a layer of Keras 2 stood for.

    Raises:
        UntranslatableError: It is not one of those that Keras 3 has.
    """
    config = serialized["config"]
    symbol = str(config.get("function", config.get("cls_symbol")))
    name = symbol.removeprefix("compat.v1.")
    found = _OPERATIONS.get(name)
    if found is None:
        raise UntranslatableError(
            f"the layer {config.get('name')!r} calls the TensorFlow function tf.{symbol}, "
            "which Keras 3 does not have"
        )

    def call(*args: Any, name: str | None = None, **options: Any) -> Any:
        return found(*args, **options)

    return call


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x: function(x)


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda x, y: function(x, y)


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(input_tensor: Any, axis: Any = None, keepdims: bool = False, **old: Any) -> Any:
        axis = old.pop("reduction_indices", axis) if axis is None else axis
        keepdims = bool(old.pop("keep_dims", None) or keepdims)
        _refuse(old)
        return function(input_tensor, axis=_axes(axis), keepdims=keepdims)

    return call


def _refuse(options: Mapping[str, Any]) -> None:
    set_options = [key for key, value in options.items() if value is not None]
    if set_options:
        raise UntranslatableError(f"Keras 3 has no argument {set_options[0]!r} there")


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _add_all(inputs: Any) -> Any:
    total, *others = inputs
    for value in others:
        total = ops.add(total, value)
    return total


def _broadcast(input: Any, shape: Any) -> Any:
    return ops.broadcast_to(input, tuple(shape))


def _cast(x: Any, dtype: Any) -> Any:
    return ops.cast(x, dtype)


def _clip(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    return ops.clip(t, clip_value_min, clip_value_max)


def _concat(values: Any, axis: Any) -> Any:
    return ops.concatenate(values, axis=axis)


def _convert(value: Any, dtype: Any = None, dtype_hint: Any = None) -> Any:
    return ops.convert_to_tensor(value, dtype)


def _cumulative(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    if exclusive or reverse:
        raise UntranslatableError("exclusive and reverse sums are not translated")
    return ops.cumsum(x, axis=axis)


def _expand(input: Any, axis: Any = None, dim: Any = None) -> Any:
    return ops.expand_dims(input, axis if dim is None else dim)


def _gather(params: Any, indices: Any, axis: Any = None, batch_dims: Any = 0, **old: Any) -> Any:
    _refuse(old)
    if batch_dims:
        raise UntranslatableError("Keras 3 has no argument 'batch_dims' there")
    return ops.take(params, ops.cast(ops.convert_to_tensor(indices), "int32"), axis=axis or 0)


def _leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    return ops.leaky_relu(features, negative_slope=alpha)


def _gelu(features: Any, approximate: bool = False) -> Any:
    return ops.gelu(features, approximate=approximate)


def _l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, dim: Any = None) -> Any:
    axis = _axes(axis if dim is None else dim)
    total = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(total, epsilon))


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, **o: Any) -> Any:
    if any(o.values()):
        raise UntranslatableError(f"Keras 3 has no argument {next(iter(o))!r} there")
    left = ops.swapaxes(a, -1, -2) if transpose_a else a
    right = ops.swapaxes(b, -1, -2) if transpose_b else b
    return ops.matmul(left, right)


def _norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None) -> Any:
    if ord not in ("euclidean", 2):
        raise UntranslatableError(f"the norm {ord!r} is not translated")
    total = ops.sum(ops.square(tensor), axis=_axes(axis), keepdims=bool(keepdims))
    return ops.sqrt(total)


def _one_hot(indices: Any, depth: int, axis: Any = None, dtype: Any = None, **other: Any) -> Any:
    if other.get("on_value") not in (None, 1) or other.get("off_value") not in (None, 0):
        raise UntranslatableError("a one-hot code of other values than 0 and 1 is not translated")
    return ops.one_hot(indices, depth, axis=-1 if axis is None else axis, dtype=dtype)


def _pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    widths = tuple(tuple(pair) for pair in paddings)
    mode = mode.lower()
    value = {"constant_values": constant_values} if mode == "constant" else {}
    return ops.pad(tensor, widths, mode=mode, **value)


def _reshape(tensor: Any, shape: Any) -> Any:
    return ops.reshape(tensor, tuple(-1 if size is None else int(size) for size in shape))


def _resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Any:
    if preserve_aspect_ratio:
        raise UntranslatableError("Keras 3 has no argument 'preserve_aspect_ratio' there")
    resized = ops.image.resize(images, tuple(size), interpolation=method, antialias=antialias)
    return resized if method == "nearest" else ops.cast(resized, "float32")


def _reverse(tensor: Any, axis: Any) -> Any:
    return ops.flip(tensor, axis=_axes(axis))


def _shape(input: Any, out_type: Any = None) -> Any:
    return ops.shape(input)


def _slice(x: Any, slice_spec: Any = None, var: Any = None) -> Any:
    return x[_index(slice_spec)]


def _index(spec: Any) -> Any:
    if isinstance(spec, (list, tuple)):
        return tuple(_index(part) for part in spec)
    if spec == "Ellipsis":
        return Ellipsis
    if isinstance(spec, Mapping):
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    return spec


def _softmax(logits: Any, axis: Any = None, dim: Any = None) -> Any:
    axis = axis if dim is None else dim
    return ops.softmax(logits, axis=-1 if axis is None else axis)


def _log_softmax(logits: Any, axis: Any = None, dim: Any = None) -> Any:
    axis = axis if dim is None else dim
    return ops.log_softmax(logits, axis=-1 if axis is None else axis)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0, num: Any = None) -> Any:
    if isinstance(num_or_size_splits, int):
        return ops.split(value, num_or_size_splits, axis=axis)
    ends = [sum(num_or_size_splits[: k + 1]) for k in range(len(num_or_size_splits) - 1)]
    return ops.split(value, ends, axis=axis)


def _squeeze(input: Any, axis: Any = None, squeeze_dims: Any = None) -> Any:
    return ops.squeeze(input, axis=_axes(axis if squeeze_dims is None else squeeze_dims))


def _stack(values: Any, axis: int = 0) -> Any:
    if not any(hasattr(value, "shape") for value in values):
        return list(values)  # sizes that were read off a tensor, for a reshape
    return ops.stack(values, axis=axis)


def _tile(input: Any, multiples: Any) -> Any:
    return ops.tile(input, tuple(multiples))


def _top(input: Any, k: int = 1, sorted: bool = True) -> Any:
    return ops.top_k(input, k, sorted=sorted)


def _transpose(a: Any, perm: Any = None, conjugate: bool = False) -> Any:
    return ops.transpose(a, axes=perm)


def _unstack(value: Any, num: Any = None, axis: int = 0) -> Any:
    return ops.unstack(value, num=num, axis=axis)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        raise UntranslatableError("tf.where without values to choose from is not translated")
    return ops.where(condition, x, y)


def _argument(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(input: Any, axis: Any = None, output_type: Any = "int64", **old: Any) -> Any:
        _refuse({key: value for key, value in old.items() if key != "dimension"})
        axis = old.get("dimension") if axis is None else axis
        return ops.cast(function(input, axis=0 if axis is None else axis), output_type)

    return call


_UNARY: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "stop_gradient": ops.stop_gradient,
    "ones_like": ops.ones_like,
    "zeros_like": ops.zeros_like,
    "__operators__.abs": ops.absolute,
    "__operators__.neg": ops.negative,
    "math.abs": ops.absolute,
    "math.ceil": ops.ceil,
    "math.cos": ops.cos,
    "math.erf": ops.erf,
    "math.exp": ops.exp,
    "math.floor": ops.floor,
    "math.is_nan": ops.isnan,
    "math.log": ops.log,
    "math.log1p": ops.log1p,
    "math.log_sigmoid": ops.log_sigmoid,
    "math.logical_not": ops.logical_not,
    "math.negative": ops.negative,
    "math.reciprocal": ops.reciprocal,
    "math.rsqrt": ops.rsqrt,
    "math.sigmoid": ops.sigmoid,
    "math.sign": ops.sign,
    "math.sin": ops.sin,
    "math.softplus": ops.softplus,
    "math.sqrt": ops.sqrt,
    "math.square": ops.square,
    "math.tanh": ops.tanh,
    "nn.elu": ops.elu,
    "nn.relu": ops.relu,
    "nn.relu6": ops.relu6,
    "nn.selu": ops.selu,
    "nn.sigmoid": ops.sigmoid,
    "nn.silu": ops.silu,
    "nn.softplus": ops.softplus,
    "nn.softsign": ops.softsign,
    "nn.swish": ops.silu,
    "nn.tanh": ops.tanh,
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "math.add": ops.add,
    "math.divide": ops.true_divide,
    "math.divide_no_nan": ops.divide_no_nan,
    "math.equal": ops.equal,
    "floor_div": ops.floor_divide,
    "math.floordiv": ops.floor_divide,
    "math.floormod": ops.mod,
    "math.greater": ops.greater,
    "math.greater_equal": ops.greater_equal,
    "math.less": ops.less,
    "math.less_equal": ops.less_equal,
    "math.logical_and": ops.logical_and,
    "math.logical_or": ops.logical_or,
    "math.maximum": ops.maximum,
    "math.minimum": ops.minimum,
    "math.multiply": ops.multiply,
    "math.not_equal": ops.not_equal,
    "math.pow": ops.power,
    "math.squared_difference": lambda x, y: ops.square(ops.subtract(x, y)),
    "math.subtract": ops.subtract,
    "math.truediv": ops.true_divide,
    "__operators__.add": ops.add,
    "__operators__.eq": ops.equal,
    "__operators__.ne": ops.not_equal,
    "__operators__.radd": lambda x, y: ops.add(y, x),
    "__operators__.rmatmul": lambda x, y: ops.matmul(y, x),
    "__operators__.rmul": lambda x, y: ops.multiply(y, x),
    "__operators__.rpow": lambda x, y: ops.power(y, x),
    "__operators__.rsub": lambda x, y: ops.subtract(y, x),
    "__operators__.rtruediv": lambda x, y: ops.true_divide(y, x),
}
_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "math.reduce_all": ops.all,
    "math.reduce_any": ops.any,
    "math.reduce_logsumexp": ops.logsumexp,
    "math.reduce_max": ops.max,
    "math.reduce_mean": ops.mean,
    "math.reduce_min": ops.min,
    "math.reduce_prod": ops.prod,
    "math.reduce_std": ops.std,
    "math.reduce_sum": ops.sum,
    "math.reduce_variance": ops.var,
}
_OTHERS: dict[str, Callable[..., Any]] = {
    "__operators__.getitem": _slice,
    "broadcast_to": _broadcast,
    "cast": _cast,
    "clip_by_value": _clip,
    "concat": _concat,
    "convert_to_tensor": _convert,
    "expand_dims": _expand,
    "gather": _gather,
    "image.resize": _resize,
    "linalg.l2_normalize": _l2_normalize,
    "linalg.matmul": _matmul,
    "linalg.norm": _norm,
    "math.add_n": _add_all,
    "math.argmax": _argument(ops.argmax),
    "math.argmin": _argument(ops.argmin),
    "math.cumsum": _cumulative,
    "math.l2_normalize": _l2_normalize,
    "math.top_k": _top,
    "norm": _norm,
    "nn.gelu": _gelu,
    "nn.l2_normalize": _l2_normalize,
    "nn.leaky_relu": _leaky_relu,
    "nn.log_softmax": _log_softmax,
    "nn.softmax": _softmax,
    "one_hot": _one_hot,
    "pad": _pad,
    "reshape": _reshape,
    "reverse": _reverse,
    "shape": _shape,
    "split": _split,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _tile,
    "transpose": _transpose,
    "unstack": _unstack,
    "where": _where,
}
_OPERATIONS: dict[str, Callable[..., Any]] = (
    {name: _unary(function) for name, function in _UNARY.items()}
    | {name: _binary(function) for name, function in _BINARY.items()}
    | {name: _reduction(function) for name, function in _REDUCTIONS.items()}
    | _OTHERS
)
