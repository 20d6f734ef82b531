"""Dense outputs: pixels of segmentation maps, intersection over union, reductions of maps.

A map has shape (N, ...), such as (N, H, W); probabilities have the classes on a last axis more.
Any metric of probabilities (N, C) and labels (N,) applies to pixels through `flatten_pixels`.
Pixels of one image are correlated, so an interval that takes them as independent is too narrow:
resample images, for which `intersection_and_union_per_example` gives the terms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import (
    as_array,
    as_float,
    as_labels,
    check_choice,
    check_count,
    check_not_empty,
    check_number,
    check_simplex,
)
from mcdrop.errors import DataError

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int64]


def flatten_pixels(
    probabilities: ArrayLike, y: ArrayLike, *, void_label: int | None = None
) -> tuple[FloatArray, Labels]:
    """Returns the pixels as rows, without those whose label is void.

    Args:
        probabilities: Class probabilities, shape (N, ..., C); each sums to 1 over the last axis.
        y: Integer labels, shape (N, ...).
        void_label: Label of pixels to leave out, as 255; it need not be a class. None keeps all.

    Returns:
        Probabilities of shape (M, C) and labels of shape (M,), M the number of pixels kept.

    Raises:
        DataError: Shapes do not fit, a probability is invalid, a label that is not void is no
            class, or all pixels are void.

    Example:
        >>> p, y = flatten_pixels([[[0.9, 0.1], [0.5, 0.5]]], [[0, 255]], void_label=255)
        >>> p, y
        (array([[0.9, 0.1]]), array([0]))
    """
    array = as_float("probabilities", probabilities)
    if array.ndim < 2:
        raise DataError(
            f"`probabilities` has shape {array.shape}, expected (N, ..., C). Put classes last."
        )
    check_not_empty("probabilities", array)
    check_simplex("probabilities", array)
    num_classes = array.shape[-1]
    valid = _valid_pixels(y, array.shape[:-1], void_label)
    labels = as_labels("y", as_array("y", y)[valid], (int(valid.sum()),), num_classes)
    return array[valid], labels


def intersection_and_union_per_example(
    predicted: ArrayLike, y: ArrayLike, *, num_classes: int, void_label: int | None = None
) -> tuple[FloatArray, FloatArray]:
    """Returns the pixels in the intersection and in the union of each class, by example.

    Summed over examples, their ratio is `intersection_over_union`: the terms for a bootstrap
    over images.

    Args:
        predicted: Predicted classes, shape (N, ...).
        y: Integer labels, the same shape.
        num_classes: Number of classes C.
        void_label: Label of pixels to leave out. None keeps all.

    Returns:
        Two arrays of counts, each of shape (N, C).

    Raises:
        DataError: The shapes differ, or a label that is not void is no class.

    Example:
        >>> intersection_and_union_per_example([[0, 1, 1]], [[0, 0, 1]], num_classes=2)
        (array([[1., 1.]]), array([[2., 2.]]))
    """
    classes = check_count("num_classes", num_classes, minimum=2)
    labels = as_array("y", y)
    if labels.ndim < 2:
        raise DataError(f"`y` has shape {labels.shape}, expected (N, ...), one map an example.")
    check_not_empty("y", labels)
    guesses = as_array("predicted", predicted)
    if guesses.shape != labels.shape:
        raise DataError(
            f"`predicted` has shape {guesses.shape} and `y` {labels.shape}, expected one shape. "
            "Take np.argmax(probabilities, axis=-1) of class probabilities first."
        )
    valid = _valid_pixels(labels, labels.shape, void_label)
    count = (int(valid.sum()),)
    truth = as_labels("y", labels[valid], count, classes)
    guess = as_labels("predicted", guesses[valid], count, classes)
    offset = np.nonzero(valid)[0] * classes

    def class_counts(keys: Labels) -> FloatArray:
        counts = np.bincount(keys, minlength=labels.shape[0] * classes)
        return counts.reshape(-1, classes).astype(np.float64)

    hits = truth == guess
    intersection = class_counts((offset + truth)[hits])
    union = class_counts(offset + truth) + class_counts(offset + guess) - intersection
    return intersection, union


def intersection_over_union(
    predicted: ArrayLike, y: ArrayLike, *, num_classes: int, void_label: int | None = None
) -> FloatArray:
    """Returns the intersection over union (Jaccard index) of each class over all pixels.

    TP / (TP + FP + FN), counted over the whole set, not averaged over images. Unit: none. Range:
    [0, 1]; higher is better. Void pixels count nowhere, whatever is predicted there.

    Args:
        predicted: Predicted classes, shape (N, ...).
        y: Integer labels, the same shape.
        num_classes: Number of classes C.
        void_label: Label of pixels to leave out, as 255; it may also be one of the classes.

    Returns:
        Shape (C,); NaN for a class that is in neither the labels nor the predictions, and for a
        class that is void.

    Raises:
        DataError: The shapes differ, a label that is not void is no class, or all are void.

    References:
        Everingham et al. (2010), doi:10.1007/s11263-009-0275-4.

    Example:
        >>> intersection_over_union([[0, 1, 1]], [[0, 0, 1]], num_classes=3)
        array([0.5, 0.5, nan])
    """
    intersection, union = intersection_and_union_per_example(
        predicted, y, num_classes=num_classes, void_label=void_label
    )
    hits, total = intersection.sum(axis=0), union.sum(axis=0)
    ratio = np.divide(hits, total, out=np.full(num_classes, np.nan), where=total > 0)
    if void_label is not None and 0 <= void_label < num_classes:
        ratio[void_label] = np.nan
    return np.asarray(ratio)


def mean_intersection_over_union(
    predicted: ArrayLike, y: ArrayLike, *, num_classes: int, void_label: int | None = None
) -> float:
    """Returns the mean intersection over union of the classes that occur.

    Classes in neither labels nor predictions are left out of the mean rather than counted as 0
    or 1. Unit: none. Range: [0, 1]; higher is better.

    Args:
        predicted: Predicted classes, shape (N, ...).
        y: Integer labels, the same shape.
        num_classes: Number of classes C.
        void_label: Label of pixels to leave out. None keeps all.

    Returns:
        One number.

    Raises:
        DataError: The shapes differ, a label that is not void is no class, or all are void.

    References:
        Everingham et al. (2010), doi:10.1007/s11263-009-0275-4.

    Example:
        >>> mean_intersection_over_union([[0, 1, 1]], [[0, 0, 1]], num_classes=3)
        0.5
    """
    ratios = intersection_over_union(predicted, y, num_classes=num_classes, void_label=void_label)
    return float(np.nanmean(ratios))


def reduce_map(
    uncertainty_map: ArrayLike,
    *,
    how: str = "mean",
    quantile: float = 0.95,
    valid: ArrayLike | None = None,
) -> FloatArray:
    """Returns one uncertainty for each example from its map.

    The mean grows with the share of boundary pixels, the maximum tells of one bad pixel, and the
    quantile lies between. Unit and direction: those of the map.

    Args:
        uncertainty_map: One value a pixel, shape (N, ...).
        how: "mean", "max" or "quantile".
        quantile: Level used by "quantile", within [0, 1].
        valid: Boolean map of the pixels to use, the same shape; None uses all.

    Returns:
        Shape (N,).

    Raises:
        DataError: The map has no pixel axis, a value is not finite, or an example has no valid
            pixel.

    Example:
        >>> reduce_map([[0.0, 1.0, 5.0]], valid=[[True, True, False]])
        array([0.5])
        >>> reduce_map([[0.0, 1.0, 5.0]], how="max")
        array([5.])
    """
    check_choice("how", how, ("mean", "max", "quantile"))
    level = check_number("quantile", quantile, low=0, high=1)
    values = _as_map("uncertainty_map", uncertainty_map)
    used = np.ones(values.shape, dtype=bool) if valid is None else as_array("valid", valid)
    if used.dtype != bool or used.shape != values.shape:
        raise DataError(
            f"`valid` has dtype {used.dtype} and shape {used.shape}, expected booleans of shape "
            f"{values.shape}. Compare labels with the void label: y != 255."
        )
    rows = values.reshape(values.shape[0], -1)
    kept = used.reshape(rows.shape)
    if not kept.any(axis=1).all():
        raise DataError(
            f"`valid` has no pixel for example {int(np.argmin(kept.any(axis=1)))}, expected at "
            "least one an example. Leave that example out."
        )
    masked = np.where(kept, rows, np.nan)
    if how == "mean":
        return np.asarray(np.nanmean(masked, axis=1))
    if how == "max":
        return np.asarray(np.nanmax(masked, axis=1))
    return np.nanquantile(masked, level, axis=1)


def reduce_map_by_class(
    uncertainty_map: ArrayLike, predicted: ArrayLike, *, num_classes: int
) -> FloatArray:
    """Returns the mean uncertainty over the pixels of each predicted class, by example.

    Unit and direction: those of the map. Small objects keep their own figure, which the mean of
    the whole map would drown in background.

    Args:
        uncertainty_map: One value a pixel, shape (N, ...).
        predicted: Predicted classes, the same shape.
        num_classes: Number of classes C.

    Returns:
        Shape (N, C); NaN where an example has no pixel of a class.

    Raises:
        DataError: The shapes differ, a value is not finite, or a prediction is no class.

    Example:
        >>> reduce_map_by_class([[0.0, 1.0, 5.0]], [[0, 0, 1]], num_classes=3)
        array([[0.5, 5. , nan]])
    """
    classes = check_count("num_classes", num_classes, minimum=2)
    values = _as_map("uncertainty_map", uncertainty_map)
    labels = as_labels("predicted", predicted, values.shape, classes)
    num_examples = values.shape[0]
    keys = (labels.reshape(num_examples, -1) + classes * np.arange(num_examples)[:, None]).ravel()
    counts = np.bincount(keys, minlength=num_examples * classes)
    sums = np.bincount(keys, weights=values.ravel(), minlength=num_examples * classes)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return np.asarray(means.reshape(num_examples, classes))


def patch_means(values: ArrayLike, *, patch_size: int) -> FloatArray:
    """Returns the mean over square patches that do not overlap.

    For accuracy against uncertainty by patch: apply it to the uncertainty map and to the map of
    correct pixels, and threshold the second. Rows and columns beyond the last whole patch are
    left out. Unit and direction: those of the map.

    Args:
        values: Numbers or booleans, shape (N, H, W).
        patch_size: Side of a patch in pixels, at most H and W.

    Returns:
        Shape (N, H // patch_size, W // patch_size).

    Raises:
        DataError: The rank is not 3, a value is not finite, or a patch is larger than the map.

    References:
        Mukhoti and Gal (2018), arXiv:1811.12709.

    Example:
        >>> patch_means([[[0.0, 1.0], [2.0, 5.0]]], patch_size=2)
        array([[[2.]]])
    """
    size = check_count("patch_size", patch_size, minimum=1)
    maps = _as_map("values", values)
    if maps.ndim != 3 or size > min(maps.shape[1:]):
        raise DataError(
            f"`values` has shape {maps.shape}, expected (N, H, W) with H and W of at least "
            f"`patch_size` {size}. Choose smaller patches."
        )
    num_examples, rows, columns = maps.shape[0], maps.shape[1] // size, maps.shape[2] // size
    whole = maps[:, : rows * size, : columns * size]
    return np.asarray(whole.reshape(num_examples, rows, size, columns, size).mean(axis=(2, 4)))


def _as_map(name: str, values: ArrayLike) -> FloatArray:
    """Returns a map of shape (N, ...) with at least one pixel axis as finite float64."""
    array = as_float(name, values)
    if array.ndim < 2:
        raise DataError(f"`{name}` has shape {array.shape}, expected (N, ...), one map an example.")
    check_not_empty(name, array)
    return array


def _valid_pixels(
    y: ArrayLike, shape: tuple[int, ...], void_label: int | None
) -> NDArray[np.bool_]:
    """Returns where the labels, checked to have `shape`, are not void."""
    labels = as_array("y", y)
    if labels.shape != shape:
        raise DataError(f"`y` has shape {labels.shape}, expected {shape}, one label a pixel.")
    if void_label is None:
        return np.ones(shape, dtype=bool)
    if isinstance(void_label, bool) or not isinstance(void_label, int | np.integer):
        raise DataError(f"`void_label` is {void_label!r}, expected a whole number or None.")
    valid = labels != void_label
    if not valid.any():
        raise DataError(
            f"`y` holds nothing but the void label {void_label}, expected at least one labelled "
            "pixel. Check `void_label`."
        )
    return np.asarray(valid)
