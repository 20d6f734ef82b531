"""Labels as people have them: names, missing values, one-hot rows; as numbers that models mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import is_one_hot
from mcdrop.errors import DataError
from mcdrop.loading.columns import is_number, listed

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels that are numbers from 0, or targets as they were.

    Attributes:
        values: The labels, one row an example.
        class_names: Names of the classes in the order of the numbers, or None.
        readings: What to say about how the labels were read.
    """

    values: Array
    class_names: tuple[str, ...] | None = None
    readings: tuple[str, ...] = ()


def find_missing(labels: ArrayLike) -> NDArray[np.bool_]:
    """Returns which examples lack a label, shape (N,).

    Missing are NaN, None, `pandas.NA`, NaT, an empty or blank text, and what a mask covers; of
    several labels an example, one is enough. A -1 is a number.

    Args:
        labels: Labels, shape (N, ...).

    Example:
        >>> find_missing([1.0, np.nan]), find_missing(np.ma.masked_equal([7, 8], 8))
        (array([False,  True]), array([False,  True]))
    """
    values = np.asarray(labels)
    if values.dtype.kind in "OUSTMm":
        import pandas as pd

        objects = values.astype(object)
        is_empty = [isinstance(value, str | bytes) and not value.strip() for value in objects.flat]
        missing = pd.isna(objects) | np.array(is_empty).reshape(values.shape)
    else:
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if isinstance(labels, np.ma.MaskedArray):
        missing = missing | np.ma.getmaskarray(labels)
    by_example: NDArray[np.bool_] = np.asarray(missing).reshape(len(values), -1)
    return np.logical_or.reduce(by_example, axis=1)


def check_present(name: str, labels: ArrayLike) -> None:
    """Raises DataError when labels are missing, with how many and of which examples.

    Args:
        name: What the labels are called in the message.
        labels: Labels, shape (N, ...).
    """
    rows = np.flatnonzero(find_missing(labels))
    if rows.size:
        examples = f"example{'s' if rows.size > 1 else ''} {listed(rows)}"
        raise DataError(
            f"{name} lacks {rows.size} of its {len(np.asarray(labels))} labels, in {examples} "
            "(counted from 0). Fill them in, or leave these examples out with --drop-missing."
        )


def check_numbers(labels: Array) -> Array:
    """Returns targets that are numbers; raises DataError for names."""
    values = _as_plain(labels)
    if values.dtype.kind != "O":
        return values
    words = [(place, word) for place, word in enumerate(values.flat) if not is_number(word)]
    if not words:
        raise DataError(
            f"they are numbers written as text ({values.flat[0]!r}, ...). Save them as numbers."
        )
    place, word = words[0]
    raise DataError(
        f"{len(words)} of {values.size} are text, the first {word[:40]!r} in example "
        f"{place * len(values) // values.size}, but the task takes numbers. If a comma stands "
        "before the fraction, add --decimal ','; leave empty what is missing."
    )


def number_labels(
    labels: ArrayLike,
    num_classes: int,
    class_names: Sequence[str] | None = None,
    *,
    row_shape: tuple[int, ...] = (),
    categories: Sequence[str] | None = None,
) -> Labels:
    """Returns class labels as numbers from 0, whatever they were.

    Names are matched with `class_names`. Without these, exactly as many names as classes are
    numbered in alphabetical order, as scikit-learn, pandas and Keras do. Rows of a single 1
    among zeros are one-hot labels. Everything else stays as it is, to be checked against the
    prediction.

    Args:
        labels: Numbers or names, shape (N,) or (N, ...); one-hot (N, ..., C).
        num_classes: C.
        class_names: Names of the classes in the order of the model's outputs.
        row_shape: Shape of the labels of one example, () for one label, (H, W) for a map.
        categories: The order in which the source itself holds the names, if it has one.

    Raises:
        DataError: A label is missing, names match no class, or can be numbered in two ways.

    Example:
        >>> number_labels(["dog", "cat", "dog"], 2).values
        array([1, 0, 1])
        >>> number_labels(["dog", "cat"], 3, ["cow", "dog", "cat"]).values
        array([1, 2])
        >>> number_labels([[0, 1], [1, 0]], 2).values
        array([1, 0])
    """
    check_present("The data", labels)
    values = _as_plain(labels)
    given = None if class_names is None else tuple(class_names)
    if values.dtype.kind == "O":
        return _number_names(values, num_classes, given, categories)
    if values.dtype.kind in "iu" and given is not None and _are_named_by_number(values, given):
        return _match(values.astype(str).astype(object), given)
    if values.shape[1:] == (*row_shape, num_classes) and is_one_hot(values):
        note = "The labels are one-hot, read by the position of the 1."
        return Labels(values.argmax(axis=-1), given, (note,))
    return Labels(values, given)


def _as_plain(labels: ArrayLike) -> Array:
    """Returns numbers as a numeric array and names as an array of `str` objects, shape (N, ...)."""
    values = np.asarray(labels)
    if values.dtype.kind == "O":
        if all(
            isinstance(value, bool | int | float | np.number | np.bool_) for value in values.flat
        ):
            return np.array(values.tolist())
    elif values.dtype.kind not in "UST":
        return values
    names = [v.decode() if isinstance(v, bytes) else str(v) for v in values.flat]
    has_column_axis = values.ndim > 1 and values.shape[-1] == 1
    shape = values.shape[:-1] if has_column_axis else values.shape
    return np.array(names, dtype=object).reshape(shape)


def _number_names(
    values: Array,
    num_classes: int,
    class_names: tuple[str, ...] | None,
    categories: Sequence[str] | None,
) -> Labels:
    if class_names is not None:
        return _match(values, class_names)
    found = sorted(set(values.flat))
    names = tuple(found if categories is None else categories)
    say = "Say the order of the model's outputs, as in --class-names A,B,..."
    if all(map(is_number, found)):
        # A float column that became text: its alphabetical order, 0.0 10.0 2.0, is nobody's.
        if {float(name) for name in found} <= set(range(num_classes)):
            return Labels(values.astype(np.float64).astype(np.int64), None)
        raise DataError(
            f"The labels are numbers written as text ({listed(found)}), not 0 to "
            f"{num_classes - 1}. {say}"
        )
    if len(names) != num_classes:
        raise DataError(
            f"The labels are {len(names)} names ({listed(names)}), but the model has "
            f"{num_classes} classes. {say}"
        )
    if names != tuple(sorted(names)):
        raise DataError(
            f"The labels are categories in the order {listed(names)}, which is not the "
            f"alphabetical one; either may be the model's. {say}"
        )
    numbered = _match(values, names)
    order = listed(f"{number} {name}" for number, name in enumerate(names))
    note = f"The labels are names, numbered in alphabetical order: {order}."
    return Labels(numbered.values, names, (f"{note} Another order: --class-names.",))


def _match(values: Array, class_names: tuple[str, ...]) -> Labels:
    number = {name: index for index, name in enumerate(class_names)}
    unknown = sorted(set(values.flat) - set(number))
    if unknown:
        raise DataError(
            f"The labels {listed(map(repr, unknown))} are among no class names, which are "
            f"{listed(map(repr, class_names))}."
        )
    matched = np.array([number[name] for name in values.flat], np.int64).reshape(values.shape)
    order = listed(f"{index} {name}" for index, name in enumerate(class_names))
    return Labels(matched, class_names, (f"The labels are names, numbered as given: {order}.",))


def _are_named_by_number(values: Array, class_names: tuple[str, ...]) -> bool:
    """Returns whether numeric labels are the names of classes that are called by numbers.

    Raises:
        DataError: They may be names or positions, which differ.
    """
    positions = tuple(map(str, range(len(class_names))))
    if class_names == positions or not all(name.isdecimal() for name in class_names):
        return False
    if not set(np.unique(values).astype(str)) <= set(class_names):
        return False
    if values.min() >= 0 and values.max() < len(class_names):
        raise DataError(
            f"The labels are numbers and so are the class names ({listed(class_names)}): a label "
            f"{values.flat[0]} may be the class of that name or the one at that position, counted "
            "from 0. Give the classes other names, or write the labels as text."
        )
    return True
