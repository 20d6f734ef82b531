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
    *("deterministic", "variance", "votes"),
    *("aleatoric_variance", "epistemic_variance", "deterministic_variance"),
)
_PASSES_LIKE_MEAN = ("group_means", "samples", "sample_variances")
_AT_LEAST_0 = (
    *("variance", "aleatoric_variance", "epistemic_variance", "deterministic_variance"),
    *("sample_variances", "expected_entropy", "group_expected_entropy"),
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
    _check_shapes(label, arrays)
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise DataError(f"`{label}.{name}` has dtype {array.dtype}, expected numbers.")
        _check_range(label, name, array, *_range(name, task))
    if task == "classification":
        for name in _SUMMING_TO_1:
            _check_sums(label, name, arrays[name])


def _check_shapes(label: str, arrays: Mapping[str, Array]) -> None:
    shape = arrays["mean"].shape
    for name, array in arrays.items():
        if name in _LIKE_MEAN and array.shape != shape:
            _refuse_shape(label, name, array, str(shape))
        if name in _PASSES_LIKE_MEAN and array.shape[1:] != shape:
            _refuse_shape(label, name, array, f"({', '.join(['T', *map(str, shape)])})")
    per_example, counts = arrays["num_samples_per_example"], arrays["group_counts"]
    if per_example.shape != shape[:1]:
        _refuse_shape(label, "num_samples_per_example", per_example, str(shape[:1]))
    if counts.shape != (arrays["group_means"].shape[0], *shape[:1]):
        expected = str((arrays["group_means"].shape[0], *shape[:1]))
        _refuse_shape(label, "group_counts", counts, expected)
    if (counts.sum(axis=0) != per_example).any():
        raise DataError(
            f"`{label}.group_counts` does not add up to the passes of each example. "
            "Sample the prediction anew."
        )


def _refuse_shape(label: str, name: str, array: Array, expected: str) -> None:
    raise DataError(
        f"`{label}.{name}` has shape {array.shape}, expected {expected} beside a mean of the "
        "same prediction."
    )


def _range(name: str, task: str) -> tuple[float, float]:
    """Returns the smallest and the largest possible value of a field."""
    if name in ("num_samples_per_example", "group_counts"):
        return 0.0, np.inf
    if task in CLASS_TASKS and name in _PROBABILITIES:
        return 0.0, 1.0
    return (0.0, np.inf) if name in _AT_LEAST_0 else (-np.inf, np.inf)


def _check_range(label: str, name: str, array: Array, least: float, most: float) -> None:
    """Raises DataError for a value outside the range, NaN or infinite, naming its index."""
    if not array.size:
        return
    low, high = float(array.min()), float(array.max())
    slack = SUM_TOLERANCE if most == 1.0 else 1e-9
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


def _check_sums(label: str, name: str, array: Array) -> None:
    error = np.abs(array.sum(axis=-1) - 1.0)
    if error.size and error.max() > SUM_TOLERANCE:
        row = tuple(int(i) for i in np.argwhere(error > SUM_TOLERANCE)[0])
        raise DataError(
            f"`{label}.{name}` holds probabilities that do not sum to 1, the first at index "
            f"{row}, which sum to {array[row].sum():.4g}. Apply softmax if these are logits."
        )
