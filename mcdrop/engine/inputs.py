"""Inputs of every form, as chunks of NumPy arrays with the number of their first example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from mcdrop._checks import check_finite, check_not_masked
from mcdrop.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Consecutive examples: flat arrays, and the number of the first example."""

    arrays: list[Array]
    start: int

    def __len__(self) -> int:
        """Returns the number of examples."""
        return int(self.arrays[0].shape[0])

    def split(self) -> list[Batch]:
        """Returns the two halves of the batch."""
        middle = len(self) // 2
        return [
            Batch([array[:middle] for array in self.arrays], self.start),
            Batch([array[middle:] for array in self.arrays], self.start + middle),
        ]


@dataclass(frozen=True)
class Inputs:
    """A source of batches.

    Attributes:
        structure: How the model's inputs are nested, with a leaf for each array.
        first: A few examples, to trace with.
        num_examples: N when it is known.
        _pieces: Consecutive flat arrays of any sizes.
    """

    structure: Any
    first: list[Array]
    num_examples: int | None
    _pieces: Iterable[list[Array]]

    def batches(self, size: int, *, finite: bool = True) -> Iterator[Batch]:
        """Yields batches of `size` examples, the last one smaller, checked to be `finite`."""
        start = 0
        held: list[list[Array]] = []
        count = 0
        for piece in self._pieces:
            offset, total = 0, int(piece[0].shape[0])
            while offset < total:
                taken = min(size - count, total - offset)
                held.append([array[offset : offset + taken] for array in piece])
                count, offset = count + taken, offset + taken
                if count == size:
                    yield _join(held, start, finite=finite)
                    start, held, count = start + count, [], 0
        if held:
            yield _join(held, start, finite=finite)


def open_inputs(x: Any, *, double: bool = False) -> Inputs:
    """Returns the batches of `x`.

    Args:
        x: An array; a dict, list or tuple of arrays; a `tf.data.Dataset`, a `PyDataset` or a
            generator of batches, each the inputs alone or a tuple (inputs, targets, ...).
        double: Keep float64 as it is, for a model that computes in it; else it becomes float32.

    Raises:
        DataError: It holds no example, the arrays differ in length, or are not numeric.
    """
    if isinstance(x, keras.utils.PyDataset):
        return _of_batches(_indexed(x), double)
    if isinstance(x, tf.data.Dataset):
        return _of_batches(iter(x.as_numpy_iterator()), double)
    if isinstance(x, Iterator):
        return _of_batches(x, double)
    arrays = _flat_arrays(x, double)
    if not arrays:
        raise DataError("`x` holds no array.")
    count = _check_lengths(arrays)
    structure = tree.map_structure(lambda _: 0, x)
    return Inputs(structure, [array[:1] for array in arrays], count, [arrays])


def _of_batches(batches: Iterator[Any], double: bool) -> Inputs:
    try:
        first = _inputs_of(next(batches))
    except StopIteration:
        raise DataError("`x` is empty: it yields no batch.") from None
    arrays = _flat_arrays(first, double)
    _check_lengths(arrays)
    structure = tree.map_structure(lambda _: 0, first)

    def pieces() -> Iterator[list[Array]]:
        yield arrays
        for batch in batches:
            piece = _flat_arrays(_inputs_of(batch), double)
            _check_lengths(piece)
            _check_alike(arrays, piece)
            yield piece

    return Inputs(structure, [array[:1] for array in arrays], None, pieces())


def _inputs_of(batch: Any) -> Any:
    """Returns the inputs of a batch: a tuple is (inputs, targets, weights), as in Keras."""
    return batch[0] if isinstance(batch, tuple) else batch


def _indexed(dataset: Any) -> Iterator[Any]:
    for index in range(len(dataset)):
        yield dataset[index]


def _flat_arrays(inputs: Any, double: bool) -> list[Array]:
    arrays = [_as_array(path, value) for path, value in tree.flatten_with_path(inputs)]
    if double:
        return arrays
    return [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]


def _as_array(path: Sequence[Any], value: Any) -> Array:
    name = "x" + "".join(f"[{part!r}]" for part in path)
    check_not_masked(name, value)
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise DataError(
            f"`{name}` is an array of objects, expected numbers in a full array; pad ragged data, "
            "make sparse data dense."
        )
    if array.dtype.kind not in "biufSU" and array.dtype.name != "bfloat16":
        raise DataError(f"`{name}` has dtype {array.dtype}, expected numbers.")
    if array.ndim == 0:
        raise DataError(f"`{name}` is a single number, expected an array with examples on axis 0.")
    return array


def _check_lengths(arrays: list[Array]) -> int:
    lengths = {int(array.shape[0]) for array in arrays}
    if len(lengths) > 1:
        raise DataError(
            f"The inputs have {sorted(lengths)} examples, expected the same number each."
        )
    if lengths == {0}:
        raise DataError("`x` is empty: it holds no example.")
    return lengths.pop()


def _check_alike(first: list[Array], piece: list[Array]) -> None:
    shapes = [[array.shape[1:] for array in arrays] for arrays in (first, piece)]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"Batches of `x` have different shapes {shapes}, expected one. Pad them alike."
        )


def _join(pieces: list[list[Array]], start: int, *, finite: bool) -> Batch:
    arrays = [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*pieces)]  # noqa: B905
    for array in arrays:
        if finite and array.dtype.kind == "f":
            check_finite("x", array, first_row=start)
    return Batch(arrays, start)
