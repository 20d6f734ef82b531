"""Checks of arrays and arguments: the one place that words these errors."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop.errors import DataError

SIMPLEX_TOLERANCE = 1e-3
"""How far the sum of a row of probabilities may be from 1 (half precision rounds to 1e-3)."""


VARIANCE_FIX = "Pass variances: the exponential of a log-variance, the square of a deviation."


def as_array(name: str, values: ArrayLike) -> NDArray[Any]:
    """Returns `values` as a numeric or boolean array; object and string arrays are refused."""
    check_not_masked(name, values)
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(
            f"`{name}` holds rows of different lengths, expected an array. Give all the same shape."
        ) from None
    if array.dtype.kind in "UST":
        raise DataError(
            f"`{name}` holds text, dtype {array.dtype}, expected numbers. Names of classes become "
            "numbers with mcdrop.loading.number_labels."
        )
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"`{name}` has dtype {array.dtype}, expected numbers. Convert it to a numeric array."
        )
    return array


def check_not_masked(name: str, values: object) -> None:
    """Raises DataError when a value of a NumPy masked array, or of a list of such, is masked."""
    parts = values if isinstance(values, list | tuple) else [values]
    if not any(isinstance(part, np.ma.MaskedArray) for part in parts):
        return
    masks = [np.ma.getmaskarray(np.ma.asarray(part)) for part in parts]
    masked = sum(int(np.count_nonzero(mask)) for mask in masks)
    if masked:
        raise DataError(
            f"`{name}` is a masked array with {masked} of {sum(mask.size for mask in masks)} "
            "value(s) masked, expected none. Leave those examples out of all arrays first."
        )


def as_float(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Returns `values` as a finite float64 array."""
    array = as_array(name, values).astype(np.float64, copy=False)
    check_finite(name, array)
    return array


def check_finite(name: str, array: NDArray[Any], *, rows: NDArray[np.int64] | None = None) -> None:
    """Raises DataError when a value is NaN or infinite, naming the first such index.

    `rows` holds the number of each row of the array in the user's data; None counts from 0.
    """
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        index = index if rows is None else (int(rows[index[0]]), *index[1:])
        count = int(finite.size - np.count_nonzero(finite))
        raise DataError(
            f"`{name}` has {count} value(s) that are NaN or infinite, the first at index {index}. "
            "Remove or impute them first."
        )


def check_ndim(name: str, array: NDArray[Any], ndim: int, expected: str) -> None:
    """Raises DataError unless `array` has `ndim` axes; `expected` words the shape, as (N, C)."""
    if array.ndim != ndim:
        raise DataError(f"`{name}` has shape {array.shape}, expected {expected}.")


def check_not_empty(name: str, array: NDArray[Any]) -> None:
    """Raises DataError when `array` has no element."""
    if array.size == 0:
        raise DataError(f"`{name}` is empty, shape {array.shape}; at least one example is needed.")


def check_simplex(name: str, array: NDArray[np.float64]) -> None:
    """Raises DataError unless the last axis holds probabilities that sum to 1."""
    if array.shape[-1] < 2:
        raise DataError(
            f"`{name}` has {array.shape[-1]} class on its last axis, shape {array.shape}; expected "
            "at least 2. For one probability p of a binary task stack (1 - p, p)."
        )
    if array.min() < 0 or array.max() > 1 + SIMPLEX_TOLERANCE:
        raise DataError(
            f"`{name}` has values in [{array.min():.4g}, {array.max():.4g}], expected "
            "probabilities in [0, 1]. Apply softmax if these are logits."
        )
    error = np.abs(array.sum(axis=-1) - 1.0)
    if error.max() > SIMPLEX_TOLERANCE:
        raise DataError(
            f"`{name}` does not sum to 1 over its last axis (largest error {error.max():.3g}). "
            "Apply softmax if these are logits."
        )


def as_probabilities(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Returns class probabilities of shape (N, C) as float64, checked to lie on the simplex."""
    array = as_float(name, values)
    check_ndim(name, array, 2, "(N, C)")
    check_not_empty(name, array)
    check_simplex(name, array)
    return array


def as_samples(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Returns sampled class probabilities of shape (T, N, ..., C) as float64, checked likewise."""
    array = as_float(name, values)
    if array.ndim < 3:
        raise DataError(
            f"`{name}` has shape {array.shape}, expected (T, N, C). Stack the passes on axis 0."
        )
    check_not_empty(name, array)
    check_simplex(name, array)
    return array


def as_labels(
    name: str, values: ArrayLike, shape: tuple[int, ...], num_classes: int
) -> NDArray[np.int64]:
    """Returns integer class labels of the given shape as int64, each in [0, num_classes)."""
    array = as_array(name, values)
    if array.shape == (*shape, num_classes) and num_classes > 1:
        raise DataError(
            f"`{name}` has shape {array.shape}, a number for each class; expected integer labels "
            f"of shape {shape}. np.argmax({name}, axis=-1) reads one-hot labels, and takes the "
            "largest of soft ones."
        )
    if array.shape != shape:
        raise DataError(
            f"`{name}` has shape {array.shape}, expected {shape}, one label an example."
        )
    if array.dtype.kind == "f":
        check_finite(name, array)
        if (array != np.floor(array)).any():
            raise DataError(f"`{name}` holds fractions, expected integer class labels.")
    labels = array.astype(np.int64)
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise DataError(
            f"`{name}` holds labels from {labels.min()} to {labels.max()}, expected 0 to "
            f"{num_classes - 1}. Number the classes from 0."
        )
    return labels


def is_one_hot(values: NDArray[Any]) -> bool:
    """Returns whether every row of the last axis is a single 1 among zeros.

    Example:
        >>> is_one_hot(np.eye(3)), is_one_hot(np.full((2, 3), 1 / 3)), is_one_hot(np.ones((2, 1)))
        (True, False, False)
    """
    is_binary = bool(((values == 0) | (values == 1)).all())
    return values.shape[-1] > 1 and is_binary and bool((values.sum(axis=-1) == 1).all())


def check_same_shape(name: str, array: NDArray[Any], other_name: str, other: NDArray[Any]) -> None:
    """Raises DataError unless both arrays have one shape."""
    if array.shape != other.shape:
        raise DataError(
            f"`{name}` has shape {array.shape} and `{other_name}` {other.shape}; expected the same."
        )


def check_count(name: str, value: object, *, minimum: int, power: int = 31) -> int:
    """Returns `value` as an int of at least `minimum` and below 2**`power`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise DataError(f"`{name}` is {value!r}, expected a whole number of at least {minimum}.")
    if int(value) >= 2**power:
        raise DataError(f"`{name}` is {value!r}, expected a whole number below 2**{power}.")
    return int(value)


def check_seed(name: str, value: object) -> int:
    """Returns `value` as an int from 0 below 2**64."""
    return check_count(name, value, minimum=0, power=64)


def check_number(
    name: str, value: object, *, low: float, high: float, open_ends: bool = False
) -> float:
    """Returns `value` as a float within [low, high], or (low, high) with `open_ends`."""
    brackets = "()" if open_ends else "[]"
    expected = f"a number in {brackets[0]}{low:g}, {high:g}{brackets[1]}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataError(f"`{name}` is {value!r}, expected {expected}.")
    number = float(value)
    inside = low < number < high if open_ends else low <= number <= high
    if not inside:
        raise DataError(f"`{name}` is {value!r}, expected {expected}.")
    return number


def check_flag(name: str, value: object) -> bool:
    """Returns a truth value; anything else that Python would take for one is refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise DataError(f"`{name}` is {value!r}, expected True or False.")
    return bool(value)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Returns `value` when it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise DataError(f"`{name}` is {value!r}, expected one of {', '.join(map(repr, choices))}.")
    return value


def as_matched(**arrays: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    """Returns the named arrays as finite float64 arrays of one shape (N, ...), N at least 1."""
    named = {name: as_float(name, values) for name, values in arrays.items()}
    first_name, first = next(iter(named.items()))
    if first.ndim == 0:
        raise DataError(f"`{first_name}` is a single number, expected an array of shape (N, ...).")
    check_not_empty(first_name, first)
    for name, array in named.items():
        check_same_shape(first_name, first, name, array)
    return tuple(named.values())


def as_passes(
    name: str, values: ArrayLike, shape: tuple[int, ...], *, minimum: int = 1
) -> NDArray[np.float64]:
    """Returns `values` as finite float64 of shape (T, *shape), with T at least `minimum`."""
    array = as_float(name, values)
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        expected = ", ".join(["T", *map(str, shape)])
        raise DataError(
            f"`{name}` has shape {array.shape}, expected ({expected}). Stack the passes on axis 0."
        )
    if array.shape[0] < minimum:
        raise DataError(f"`{name}` has {array.shape[0]} passes, expected at least {minimum}.")
    return array


def check_positive(name: str, array: NDArray[Any], *, fix: str, allow_zero: bool = False) -> None:
    """Raises DataError, ending in `fix`, when a value is below 0, or is 0 unless `allow_zero`."""
    bad = array < 0 if allow_zero else array <= 0
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        limit = "at least 0" if allow_zero else "above 0"
        raise DataError(
            f"`{name}` has {np.count_nonzero(bad)} value(s) that are not {limit}, the first "
            f"{array[index]:.4g} at index {index}. {fix}"
        )


def as_indices(values: object, length: int) -> NDArray[Any]:
    """Returns indices of examples, or a mask over all of them, that suit `length` examples."""
    chosen = values if isinstance(values, slice) else as_array("indices", cast(ArrayLike, values))
    if isinstance(chosen, slice):
        return np.arange(length)[chosen]
    if chosen.size == 0 and chosen.dtype.kind == "f":
        chosen = chosen.astype(np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "biu":
        raise DataError(
            f"`indices` has shape {chosen.shape} and dtype {chosen.dtype}, expected a list of "
            "whole numbers, or a mask."
        )
    if chosen.dtype.kind == "b":
        if chosen.shape != (length,):
            raise DataError(
                f"`indices` is a mask of {len(chosen)}, expected one of {length}, the number of "
                "examples."
            )
    elif chosen.size and (int(chosen.min()) < -length or int(chosen.max()) >= length):
        worst = int(chosen.max()) if int(chosen.max()) >= length else int(chosen.min())
        raise DataError(
            f"`indices` holds {worst}, but there are {length} examples: 0 to {length - 1}."
        )
    return chosen
