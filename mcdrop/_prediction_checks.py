"""Checks of what a Prediction holds, whether computed, made by hand or read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError

Array = NDArray[Any]

TASKS = ("classification", "binary", "multilabel", "regression", "gaussian")
"""softmax; one sigmoid; independent sigmoids; plain outputs; a mean with a (log-)variance."""

CLASS_TASKS = TASKS[:3]

SUM_TOLERANCE = 1e-2
"""How far probabilities may be from summing to 1: bfloat16 rounds to 4e-3."""

_LIKE_MEAN = (
    *("mean", "deterministic", "variance", "votes"),
    *("aleatoric_variance", "epistemic_variance", "deterministic_variance"),
)
_NEEDS = {
    "expected_entropy": ("group_expected_entropy",),
    "group_expected_entropy": ("expected_entropy",),
    "sample_variances": ("samples",),
    "aleatoric_variance": ("epistemic_variance",),
}
"""Fields that are never there without these others."""

_AT_LEAST_0 = (
    *("variance", "aleatoric_variance", "epistemic_variance", "deterministic_variance"),
    "sample_variances",
)
_PROBABILITIES = ("mean", "deterministic", "votes", "group_means", "samples")
_SUMMING_TO_1 = ("mean", "deterministic")


def check_fields(label: str, task: Any, arrays: Mapping[str, Array]) -> None:
    """Raises DataError for what no sampling gives, naming the field and the first row.

    Args:
        label: What holds the fields, in the user's words.
        task: Task of the prediction.
        arrays: Its arrays by name.
    """
    if task not in TASKS:
        raise DataError(f"`{label}` has task {task!r}, expected one of {', '.join(TASKS)}.")
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise DataError(f"`{label}.{name}` has dtype {array.dtype}, expected numbers.")
    _check_shapes(label, task, arrays)
    for name, array in arrays.items():
        _check_range(label, name, array, *_range(name, task, arrays["mean"].shape))
    if task == "classification":
        for name in _SUMMING_TO_1:
            _check_sums(label, name, arrays[name])
    if "aleatoric_variance" in arrays:
        _check_parts(label, arrays)


def _check_shapes(label: str, task: str, arrays: Mapping[str, Array]) -> None:
    shape = arrays["mean"].shape
    if not shape:
        raise DataError(f"`{label}.mean` is a single number, expected one row an example.")
    shapes = _shapes(task, arrays)
    for name, array in arrays.items():
        expected = shapes[name]
        wanted = tuple(
            size if want is None else want
            for size, want in zip(array.shape, expected, strict=False)
        )
        if array.shape != wanted or len(wanted) < len(expected):
            _refuse_shape(label, name, array, expected)
    per_example, counts = arrays["num_samples_per_example"], arrays["group_counts"]
    if (counts.sum(axis=0) != per_example).any():
        raise DataError(
            f"`{label}.group_counts` does not add up to the passes of each example. "
            "Sample the prediction anew."
        )
    for name, needed in _NEEDS.items():
        if name in arrays and not all(other in arrays for other in needed):
            raise DataError(
                f"`{label}.{name}` is there without {' and '.join(needed)}. Sample the prediction "
                "anew."
            )


def _shapes(task: str, arrays: Mapping[str, Array]) -> dict[str, tuple[int | None, ...]]:
    """Returns the shape of each field beside such a mean; None is any length."""
    shape = arrays["mean"].shape
    units = shape[:-1] if task == "classification" else shape
    num_groups = arrays["group_means"].shape[0] if arrays["group_means"].ndim else 0
    per_example = arrays["num_samples_per_example"]
    num_passes = int(per_example.max()) if per_example.size else None
    return {
        **dict.fromkeys(_LIKE_MEAN, shape),
        "group_means": (None, *shape),
        "group_counts": (num_groups, *shape[:1]),
        "num_samples_per_example": shape[:1],
        "expected_entropy": units,
        "group_expected_entropy": (num_groups, *units),
        "samples": (num_passes, *shape),
        "sample_variances": (num_passes, *shape),
        "variance_components": (None, *shape),
        "dropped": shape[:1],
        "examples": shape[:1],
    }


def _refuse_shape(label: str, name: str, array: Array, expected: tuple[int | None, ...]) -> None:
    sizes = ", ".join("any" if size is None else str(size) for size in expected)
    raise DataError(
        f"`{label}.{name}` has shape {array.shape}, expected ({sizes}{',' * (len(expected) == 1)}) "
        "beside a mean of the same prediction."
    )


def _range(name: str, task: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Returns the smallest and the largest possible value of a field beside a mean of a shape."""
    if name in ("expected_entropy", "group_expected_entropy"):
        return 0.0, float(np.log(max(2, shape[-1]) if task == "classification" else 2))
    if name in ("num_samples_per_example", "group_counts", "examples"):
        return 0.0, np.inf
    if task in CLASS_TASKS and name in _PROBABILITIES:
        return 0.0, 1.0
    return (0.0, np.inf) if name in _AT_LEAST_0 else (-np.inf, np.inf)


def _check_range(label: str, name: str, array: Array, least: float, most: float) -> None:
    """Raises DataError for a value outside the range, NaN or infinite, naming its index."""
    if not array.size:
        return
    low, high = float(array.min()), float(array.max())
    slack = 1e-9 if np.isinf(most) else SUM_TOLERANCE
    if np.isfinite(low) and np.isfinite(high) and low >= least - slack and high <= most + slack:
        return
    bad = ~np.isfinite(array) | (array < least - slack) | (array > most + slack)
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    expected = "finite numbers"
    if np.isfinite(least):
        expected += (
            f" from {least:g} to {most:g}" if np.isfinite(most) else f" of at least {least:g}"
        )
    raise DataError(
        f"`{label}.{name}` has {np.count_nonzero(bad)} impossible value(s), the first "
        f"{array[index]:.4g} at index {index}; expected {expected}. Look at the inputs and the "
        "model's outputs there, and sample anew."
    )


def _check_parts(label: str, arrays: Mapping[str, Array]) -> None:
    """Raises DataError where the total variance is not the sum of its parts."""
    total = arrays["aleatoric_variance"] + arrays["epistemic_variance"]
    off = ~np.isclose(arrays["variance"], total, rtol=SUM_TOLERANCE, atol=0.0)
    if off.any():
        index = tuple(int(i) for i in np.argwhere(off)[0])
        raise DataError(
            f"`{label}.variance` is not the sum of `aleatoric_variance` and `epistemic_variance`, "
            f"first at index {index}: {arrays['variance'][index]:.4g} beside {total[index]:.4g}. "
            "Leave both parts out where the total alone is known."
        )


def _check_sums(label: str, name: str, array: Array) -> None:
    error = np.abs(array.sum(axis=-1) - 1.0)
    if error.size and error.max() > SUM_TOLERANCE:
        row = tuple(int(i) for i in np.argwhere(error > SUM_TOLERANCE)[0])
        raise DataError(
            f"`{label}.{name}` holds probabilities that do not sum to 1, the first at index "
            f"{row}, which sum to {array[row].sum():.4g}. Apply softmax if these are logits."
        )
