"""Inputs of every form, as chunks of NumPy arrays with the number of their first example."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from mcdrop._checks import as_array, check_finite, check_not_masked
from mcdrop.errors import DataError

Array = NDArray[Any]
Shape = tuple[int | None, ...]
Numbers = range | NDArray[Any]

_NUMBER_KINDS = "biuf"
_TEXT_KINDS = "SUT"


@dataclass(frozen=True)
class Batch:
    """Examples: flat arrays, and the number of each example in the user's data."""

    arrays: list[Array]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        """Returns the number of examples."""
        return int(self.arrays[0].shape[0])

    def split(self) -> list[Batch]:
        """Returns the two halves of the batch."""
        middle = len(self) // 2
        return [
            Batch([array[:middle] for array in self.arrays], self.numbers[:middle]),
            Batch([array[middle:] for array in self.arrays], self.numbers[middle:]),
        ]


@dataclass(frozen=True)
class Inputs:
    """A source of batches.

    Attributes:
        structure: How the model's inputs are nested, with a leaf for each array.
        first: A few examples, to trace with.
        num_examples: N when it is known.
        _pieces: Consecutive flat arrays of any sizes.
        numbers: Number of each example in the whole data, of which these may be a part; None
            counts them from 0.
    """

    structure: Any
    first: list[Array]
    num_examples: int | None
    _pieces: Iterable[list[Array]]
    numbers: Numbers | None = None

    def with_head(self, count: int) -> tuple[Inputs, Inputs]:
        """Returns these inputs, and apart from them the first `count` examples of one shape."""
        pieces = iter(self._pieces)
        first = next(pieces)
        read, alike, held = [first], [first], len(first[0])
        while held < count:
            piece = next(pieces, None)
            if piece is None:
                break
            read.append(piece)
            if _kind_of(piece) != _kind_of(first):
                break
            alike.append(piece)
            held += len(piece[0])
        arrays = [array[:count] for array in _join(alike)]
        head = Inputs(self.structure, self.first, len(arrays[0]), [arrays])
        return replace(self, _pieces=itertools.chain(read, pieces)), head

    def take(self, rows: NDArray[np.intp]) -> Inputs:
        """Returns some examples of inputs of one shape, such as a head, at hand at once."""
        (arrays,) = self._pieces
        return Inputs(self.structure, self.first, len(rows), [[array[rows] for array in arrays]])

    def batches(
        self, size_of: Callable[[list[Array]], int], *, finite: bool = True
    ) -> Iterator[Batch]:
        """Yields batches of consecutive examples of one shape.

        Args:
            size_of: Returns how many examples to hold at once, from some examples of that
                shape; a batch is smaller only where the shape changes, and at the end.
            finite: Whether to check that they are finite.

        Raises:
            DataError: A value is not finite, there are more or fewer examples than numbers, or
                too many to be numbered.
        """
        start = 0
        for _, pieces in itertools.groupby(self._pieces, _kind_of):
            for arrays in _cut(pieces, size_of):
                numbers = self._numbers(start, start + len(arrays[0]))
                for array in arrays if finite else ():
                    if array.dtype.kind == "f":
                        check_finite("x", array, rows=numbers)
                yield Batch(arrays, numbers)
                start += len(arrays[0])
        if self.numbers is not None and start != len(self.numbers):
            raise _wrong_count(self.numbers, f"{start} examples")

    def numbered(self, numbers: Numbers) -> Inputs:
        """Returns the same examples with numbers of their own.

        Raises:
            DataError: There is not one number for each example.
        """
        if self.num_examples not in (None, len(numbers)):
            raise _wrong_count(numbers, f"{self.num_examples} examples")
        return replace(self, numbers=numbers)

    def _numbers(self, start: int, stop: int) -> NDArray[np.int64]:
        if self.numbers is None:
            return np.asarray(check_numbers(range(start, stop)), np.int64)
        if stop > len(self.numbers):
            raise _wrong_count(self.numbers, f"at least {stop} examples")
        return np.asarray(self.numbers[start:stop], np.int64)


def check_numbers(examples: Any) -> Numbers:
    """Returns the numbers of examples, whole and from 0 below 2**32, of which masks are made.

    Raises:
        DataError: They are none.
    """
    if isinstance(examples, range):
        ends = (examples[0], examples[-1]) if examples else ()
        numbers: Numbers = examples
    else:
        numbers = as_array("examples", examples)
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise DataError(
                f"`examples` has shape {numbers.shape} and dtype {numbers.dtype}, expected one "
                "whole number for each example, its row in the whole data."
            )
        ends = (int(numbers.min()), int(numbers.max())) if numbers.size else ()
    for number in ends:
        if not 0 <= number < 2**32:
            raise DataError(
                f"The number of an example is {number}, expected one from 0 below 2**32. Predict "
                "larger data in pieces, each numbered from 0 under a seed of its own."
            )
    return numbers


def _wrong_count(numbers: Numbers, found: str) -> DataError:
    return DataError(
        f"`examples` holds {len(numbers)} numbers, but `x` {found}; expected one number each."
    )


def open_inputs(x: Any, *, double: bool = False, example_shape: Shape | None = None) -> Inputs:
    """Returns the batches of `x`.

    Args:
        x: An array of numbers or strings; a dict, list or tuple of arrays; a list of examples;
            a `tf.data.Dataset`, a `PyDataset` or a generator of batches, each the inputs alone
            or a tuple (inputs, targets, ...).
        double: Keep float64 as it is, for a model that computes in it; else it becomes float32.
        example_shape: Shape of an example of a model with one input, None for an open size:
            what tells a list of examples, which may differ in length, from a list of inputs.

    Raises:
        DataError: It holds no example, never ends, the arrays differ in length, or hold
            neither numbers nor strings.
    """
    if is_stream(x):
        return _of_batches((inputs_of(batch) for batch in read_batches(x)), double)
    if isinstance(x, list) and x and _is_plain(x[0]):
        x = _from_lists(x)
    if _is_list_of_examples(x, example_shape):
        return _of_batches((np.asarray(example)[np.newaxis] for example in x), double, len(x))
    arrays = _flat_arrays(x, double)
    if not arrays:
        raise DataError("`x` holds no array.")
    count = _check_lengths(arrays)
    structure = tree.map_structure(lambda _: 0, x)
    return Inputs(structure, [array[:1] for array in arrays], count, [arrays])


def is_stream(x: Any) -> bool:
    """Returns whether `x` yields batches rather than holding all examples."""
    return isinstance(x, keras.utils.PyDataset | tf.data.Dataset | Iterator)


def read_batches(x: Any) -> Iterator[Any]:
    """Returns an iterator over the batches of a dataset or generator, as they are.

    Raises:
        DataError: A dataset is known to have no end, or no length.
    """
    if isinstance(x, tf.data.Dataset):
        if x.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise DataError(
                "`x` is a dataset that never ends. Take away its repeat(), or cut it with take(n)."
            )
        return iter(x.as_numpy_iterator())
    if isinstance(x, keras.utils.PyDataset):
        return map(x.__getitem__, range(_count_batches(x)))
    if isinstance(x, itertools.cycle | itertools.repeat) and operator.length_hint(x, -1) < 0:
        raise DataError(
            f"`x` is an itertools.{type(x).__name__} that never ends. Cut it with itertools.islice."
        )
    return iter(x)


def inputs_of(batch: Any) -> Any:
    """Returns the inputs of a batch: a tuple is (inputs, targets, weights), as in Keras."""
    return batch[0] if isinstance(batch, tuple) else batch


def _count_batches(dataset: Any) -> int:
    try:
        count = dataset.num_batches
    except NotImplementedError:
        count = None
    if count is None:
        raise DataError(
            "`x` is a PyDataset that never ends, or does not say its length. Give it a `__len__` "
            "that returns its number of batches."
        )
    return int(count)


def _of_batches(batches: Iterator[Any], double: bool, num_examples: int | None = None) -> Inputs:
    try:
        first = next(batches)
    except StopIteration:
        raise DataError("`x` is empty: it yields no batch.") from None
    arrays = _flat_arrays(first, double)
    _check_lengths(arrays)
    structure = tree.map_structure(lambda _: 0, first)

    def pieces() -> Iterator[list[Array]]:
        yield arrays
        for batch in batches:
            piece = _flat_arrays(batch, double)
            _check_lengths(piece)
            _check_alike(arrays, piece)
            yield piece

    return Inputs(structure, [array[:1] for array in arrays], num_examples, pieces())


def _is_plain(value: Any) -> bool:
    """Returns whether a value is a Python number or text, or a list that begins with one."""
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, str | bytes | Real) and not isinstance(value, np.number)


def _from_lists(x: list[Any]) -> Array:
    try:
        array = np.asarray(x)
        # NumPy would make text of numbers among words.
        return np.array(x, dtype=object) if array.dtype.kind in _TEXT_KINDS else array
    except ValueError:
        raise DataError(
            "`x` is a list of lists of different lengths. Pad them to one length, as with "
            "keras.utils.pad_sequences, or make each an array."
        ) from None


def _is_list_of_examples(x: Any, shape: Shape | None) -> bool:
    """Returns whether a list holds arrays that are examples each, not the inputs of a model."""
    if shape is None or not isinstance(x, list) or not x:
        return False
    sizes = [np.shape(example) if hasattr(example, "shape") else () for example in x]
    return all(
        len(size) == len(shape) > 0
        and all(want in (None, got) for want, got in zip(shape, size, strict=True))
        for size in sizes
    )


def _flat_arrays(inputs: Any, double: bool) -> list[Array]:
    arrays = [_as_array(path, value) for path, value in tree.flatten_with_path(inputs)]
    if double:
        return arrays
    return [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]


def _as_array(path: Sequence[Any], value: Any) -> Array:
    """Returns an array of numbers, or of strings as objects, with examples on axis 0."""
    name = "x" + "".join(f"[{part!r}]" for part in path)
    check_not_masked(name, value)
    array = np.asarray(value)
    if array.dtype.kind == "O":
        array = _from_objects(name, array)
    elif array.dtype.kind in _TEXT_KINDS:
        array = array.astype(object)
    elif array.dtype.kind not in _NUMBER_KINDS and array.dtype.name != "bfloat16":
        raise DataError(f"`{name}` has dtype {array.dtype}, expected numbers or strings.")
    if array.ndim == 0:
        raise DataError(
            f"`{name}` is a single value, expected an array with examples on axis 0. Batch a "
            "dataset, as with dataset.batch(32)."
        )
    return array


def _from_objects(name: str, array: Array) -> Array:
    """Returns objects as strings where all are, and as numbers where all are."""
    if all(isinstance(value, str | bytes) for value in array.flat):
        return array
    if all(isinstance(value, Real | Decimal) for value in array.flat):
        return array.astype(np.float64)
    import pandas as pd

    missing = np.asarray(pd.isna(array))
    if array.ndim and missing.any() and missing.shape == array.shape:
        raise DataError(
            f"`{name}` has {np.count_nonzero(missing)} missing values, the first in example "
            f"{np.argwhere(missing)[0][0]}. Remove or impute them first."
        )
    raise DataError(
        f"`{name}` is an array of objects, expected numbers or strings in a full array; pad ragged "
        "data, make sparse data dense."
    )


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
    ranks = [[array.ndim - 1 for array in arrays] for arrays in (first, piece)]
    if ranks[0] != ranks[1]:
        raise DataError(
            f"Batches of `x` have different numbers of axes {ranks}, expected those of one model."
        )


def _kind_of(arrays: list[Array]) -> list[tuple[Any, ...]]:
    """Returns what must be equal for pieces to be joined."""
    return [(array.shape[1:], array.dtype) for array in arrays]


def _cut(
    pieces: Iterable[list[Array]], size_of: Callable[[list[Array]], int]
) -> Iterator[list[Array]]:
    """Yields the examples of some pieces of one shape in batches of one size, the last smaller."""
    size, count = 0, 0
    held: list[list[Array]] = []
    for piece in pieces:
        size = size or size_of([array[:1] for array in piece])
        offset, total = 0, int(piece[0].shape[0])
        while offset < total:
            taken = min(size - count, total - offset)
            held.append([array[offset : offset + taken] for array in piece])
            count, offset = count + taken, offset + taken
            if count == size:
                yield _join(held)
                held, count = [], 0
    if held:
        yield _join(held)


def _join(pieces: list[list[Array]]) -> list[Array]:
    return [
        np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*pieces, strict=True)
    ]
