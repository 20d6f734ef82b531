"""The front door for data: a file, a folder or a name in, examples and labels out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.archives import ZIP_MAGIC, ByteSource, list_members, read_start
from mcdrop.loading.columns import check_apart, listed
from mcdrop.loading.expected import InputSpec, fill_images
from mcdrop.loading.folders import open_folder
from mcdrop.loading.labels import check_present, find_missing
from mcdrop.loading.named import KNOWN_NAMES, is_named, load_named
from mcdrop.loading.options import DataOptions
from mcdrop.loading.rows import (
    ArrayRows,
    ChosenRows,
    MappedRows,
    NpyRows,
    Rows,
    npy_rows,
    read,
)
from mcdrop.loading.tables import is_table, open_table

KEY_PAIRS = (("x_test", "y_test"), ("x", "y"), ("images", "labels"))
"""Names under which an `.npz` file may hold inputs and labels without being told."""

_SAVE_ARRAYS = "Save arrays with np.savez(file, x=..., y=...)."
_WAYS_OUT = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), f"A pickle may run code. {_SAVE_ARRAYS}"),
    **dict.fromkeys((".xlsx", ".xls"), "Save it with pd.read_excel(...).to_parquet(file)."),
    **dict.fromkeys((".json", ".jsonl"), "Save it with pd.read_json(...).to_parquet(file)."),
    **dict.fromkeys((".feather", ".arrow"), "Save it with pd.read_feather(...).to_parquet(file)."),
    **dict.fromkeys((".zip", ".xz", ".zst", ".tar", ".tgz"), "Unpack it first."),
    **dict.fromkeys((".keras", ".h5", ".hdf5"), "It seems to be a model; name data in its place."),
    ".tfrecord": "Read it with tf.data and pass the dataset to MCDropout.predict.",
}
_NPY_MAGIC = b"\x93NUMPY"
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Data:
    """Examples of one or several inputs, perhaps with labels, none of it read yet.

    Attributes:
        name: What the user typed.
        inputs: Rows of each input; a single input has the name "x".
        labels: Rows of the labels, or None.
        class_names: Names of the classes, or None.
        listed: Whether several inputs come as a list in their order, not as a dict by name.
        is_images: Whether the only input comes from encoded images, in [0, 255].
        columns: Names of the columns stacked into the only input, for a table.
        categories: The order in which the source holds the names that are its labels.
        readings: How the source was read where it might be read otherwise, one sentence each.
        indices: Number of each example in the whole source, when only some are chosen.
    """

    name: str
    inputs: Mapping[str, Rows]
    labels: Rows | None = None
    class_names: tuple[str, ...] | None = None
    listed: bool = False
    is_images: bool = False
    columns: tuple[str, ...] = ()
    categories: tuple[str, ...] | None = None
    readings: tuple[str, ...] = ()
    indices: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        """Returns the number of examples."""
        return next(iter(self.inputs.values())).shape[0]

    @property
    def numbers(self) -> range | NDArray[np.intp]:
        """Number of each example in the whole source, counted from 0."""
        return range(len(self)) if self.indices is None else self.indices

    def blocks(self, size: int, start: int = 0) -> Iterator[Any]:
        """Yields blocks of at most `size` examples: an array, or several of them by input."""
        sources = (rows.blocks(size, start) for rows in self.inputs.values())
        for parts in zip(*sources, strict=True):
            yield self._nest(parts)

    def x(self) -> Any:
        """Returns all examples: an array, or several of them by input."""
        return self._nest([read(rows) for rows in self.inputs.values()])

    def _nest(self, arrays: Sequence[Array]) -> Any:
        if len(arrays) == 1:
            return arrays[0]
        return list(arrays) if self.listed else dict(zip(self.inputs, arrays, strict=True))

    def y(self) -> Array:
        """Returns all labels, as numbers or as names.

        Raises:
            DataError: The source has none, or some are missing.
        """
        if self.labels is None:
            sort = "Sort the images into one subfolder a class"
            way = sort if self.is_images else "Name them with --y-key"
            raise DataError(
                f"{self.name} has no labels. {way}, or pass an .npy file of them with --labels."
            )
        labels = read(self.labels)
        check_present(self.name, labels)
        return labels

    def drop_missing(self) -> Data:
        """Returns the examples that have a label, and says in `readings` how many have none.

        Raises:
            DataError: None has one.
        """
        if self.labels is None:
            return self
        missing = find_missing(read(self.labels))
        if missing.all():
            raise DataError(f"All {len(self)} labels of {self.name} are missing.")
        if not missing.any():
            return self
        note = f"{missing.sum()} of {len(self)} examples of {self.name} are left out: no label."
        chosen = self.choose(np.flatnonzero(~missing))
        return replace(chosen, readings=(*self.readings, note))

    def limit(self, count: int | None) -> Data:
        """Returns `count` examples chosen at random, the same ones every time, in their order."""
        if count is None or count >= len(self):
            return self
        return self.choose(np.sort(np.random.default_rng(0).choice(len(self), count, False)))

    def choose(self, indices: NDArray[np.intp]) -> Data:
        """Returns the examples with these numbers, which keep their numbers in the whole data."""
        return replace(
            self,
            inputs={name: ChosenRows(rows, indices) for name, rows in self.inputs.items()},
            labels=None if self.labels is None else ChosenRows(self.labels, indices),
            indices=indices if self.indices is None else self.indices[indices],
        )


def open_data(
    source: str,
    options: DataOptions | None = None,
    expected: Mapping[str, InputSpec] | None = None,
) -> Data:
    """Opens a data source without reading its examples yet.

    Args:
        source: An `.npz`, `.npy`, `.parquet`, `.csv`, `.tsv` or `.txt` file, a folder of images
            with one subfolder a class, or the name of a data set (see `load_named`).
        options: How to read it.
        expected: The inputs of the model, as `input_specs` gives them: the size and channels of
            images, which columns are text, and columns that are inputs of their own.

    Raises:
        DataError: The source is missing, damaged, empty, of no known kind, holds Python
            objects, or its inputs and labels differ in length.

    Example:
        >>> data = open_data("digits").limit(100)
        >>> len(data), data.x().shape, data.y()[:4]
        (100, (100, 8, 8, 1), array([3, 7, 8, 6]))
    """
    chosen = options or DataOptions()
    data = _open(source, chosen, expected)
    if chosen.labels is not None:
        note = f"The labels are those of {chosen.labels}, in place of those in {source}."
        readings = data.readings if data.labels is None else (*data.readings, note)
        labels = _open_npy(chosen.labels)
        data = replace(data, labels=labels, categories=None, readings=readings)
    if chosen.class_names is not None:
        data = rename_classes(data, chosen.class_names)
    _check_lengths(data)
    _check_class_names(data)
    return data


def _check_class_names(data: Data) -> None:
    """Raises DataError when two classes have one name: pages and tables would mix them up."""
    names = data.class_names or ()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"The class names of {data.name} hold {listed(map(repr, twice))} more than once. Give "
            "each class a name of its own."
        )


def _open(source: str, options: DataOptions, expected: Mapping[str, InputSpec] | None) -> Data:
    path = Path(source)
    if is_named(source):
        _check_keyless(source, options)
        named = load_named(source)
        return Data(source, {"x": ArrayRows(named.x)}, ArrayRows(named.y), named.class_names)
    if path.is_dir() and not is_table(path):
        _check_keyless(source, options)
        folder = open_folder(path, fill_images(options.images, expected))
        rows = None if folder.labels is None else ArrayRows(folder.labels)
        return Data(
            source,
            {"x": folder.images},
            rows,
            folder.class_names,
            is_images=True,
            readings=folder.readings,
        )
    if not path.exists():
        raise DataError(
            f"{source} does not exist, and is no known data set ({', '.join(KNOWN_NAMES)})."
        )
    if is_table(path):
        table = open_table(path, options, expected)
        return Data(
            source,
            table.inputs,
            table.labels,
            table.class_names,
            columns=table.columns,
            categories=table.categories,
            readings=table.readings,
        )
    return _open_arrays(source, path, options, tuple(expected or ()))


def _check_keyless(source: str, options: DataOptions) -> None:
    """Raises DataError for names of arrays or columns in a source that has none.

    Where labels have a file of their own, the name of labels is for the other data of the command.
    """
    y_key = options.y_key if options.labels is None else None
    for option, key in (("--x-key", options.x_key), ("--y-key", y_key)):
        if key is not None and options.is_labelled:
            raise DataError(
                f"{option} is {key!r}, but {source} has no arrays or columns with names. Leave it "
                "out; labels in a file of their own are named by --labels."
            )


def rename_classes(data: Data, names: tuple[str, ...]) -> Data:
    """Returns the data with the classes named and numbered as the user says.

    Where the source has names of its own, and they are among the given ones, each label keeps
    its name and gets the number that the name has in the given order.
    """
    own = data.class_names
    if own is None or own == names or data.labels is None:
        return replace(data, class_names=names)
    unknown = [name for name in own if name not in names]
    if not unknown:
        position = np.array([names.index(name) for name in own])
        labels = MappedRows(
            data.labels, lambda block, _: position[block], data.labels.shape[1:], position.dtype
        )
        note = f"The classes of {data.name} are numbered as given: {', '.join(names[:10])}."
        return replace(data, labels=labels, class_names=names, readings=(*data.readings, note))
    if len(unknown) < len(own) or len(own) != len(names):
        raise DataError(
            f"{data.name} has the classes {listed(own)}, of which {listed(unknown)} are not among "
            f"the given class names, {listed(names)}."
        )
    pairs = listed(f"{old} is {new}" for old, new in zip(own, names, strict=True))
    note = f"The classes of {data.name} are renamed in their order: {pairs}."
    return replace(data, class_names=names, readings=(*data.readings, note))


def _open_arrays(source: str, path: Path, options: DataOptions, expected: Sequence[str]) -> Data:
    start = read_start(path, DataError)
    if start.startswith(_NPY_MAGIC):
        _check_keyless(source, options)
        return Data(source, {"x": _open_npy(path)})
    if start.startswith(ZIP_MAGIC):
        members = list_members(path, DataError)
        names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
        if names:
            return _open_npz(source, path, names, options, expected)
    raise DataError(
        f"{source} is neither an .npz, .npy, .parquet, .csv, .tsv or .txt file nor a folder of "
        f"images. {_WAYS_OUT.get(path.suffix.lower(), _SAVE_ARRAYS)}"
    )


def _open_npy(path: Path) -> NpyRows:
    if not read_start(path, DataError).startswith(_NPY_MAGIC):
        raise DataError(f"{path} is no .npy file. Save the array with np.save(file, array).")
    return npy_rows(str(path), ByteSource(path))


def _open_npz(
    source: str, path: Path, names: Sequence[str], options: DataOptions, expected: Sequence[str]
) -> Data:
    x_keys, y_key = _choose_keys(source, names, options, expected)
    rows = {
        name: npy_rows(f"{name} in {source}", ByteSource(path, f"{name}.npy"))
        for name in (*x_keys, *([y_key] if y_key else []), "class_names")
        if name in names
    }
    class_names = None
    if "class_names" in rows:
        class_names = tuple(str(name) for name in read(rows["class_names"]))
    inputs = {name if len(x_keys) > 1 else "x": rows[name] for name in x_keys}
    return Data(source, inputs, rows[y_key] if y_key else None, class_names)


def _choose_keys(
    source: str, names: Sequence[str], options: DataOptions, expected: Sequence[str]
) -> tuple[tuple[str, ...], str | None]:
    """Returns the names of the inputs and of the labels in an `.npz` file."""
    x_keys, y_keys = options.x_names(names), options.y_names(names)
    listing = listed(names)
    for name in (*x_keys, *y_keys):
        if name not in names:
            raise DataError(f"{source} has no array {name!r}; it has {listing}.")
    if len(y_keys) > 1:
        raise DataError(
            f"--y-key names {listed(y_keys)}, expected one array of {source} with all targets, as "
            "np.stack([...], axis=1) makes it."
        )
    if not x_keys and len(expected) > 1 and set(expected) <= set(names) - set(y_keys):
        x_keys = tuple(expected)
    if not x_keys:
        others = [name for name in names if name not in (*y_keys, "class_names")]
        found = [name for name, _ in KEY_PAIRS if name in others] or others
        if len(found) != 1:
            expected = " or ".join(pair[0] for pair in KEY_PAIRS)
            raise DataError(
                f"{source} has {listing}; expected exactly one of {expected}. Name the inputs with "
                "--x-key and the labels with --y-key."
            )
        x_keys = tuple(found)
    check_apart(x_keys, y_keys)
    return x_keys, next(iter(y_keys), _find_labels(names, x_keys))


def _find_labels(names: Sequence[str], x_keys: Sequence[str]) -> str | None:
    """Returns the array that has the usual name of the labels of these inputs, if there is one."""
    own = dict(KEY_PAIRS).get(x_keys[0])
    if own in names and own not in x_keys:
        return own
    # Labels that belong to other inputs in the file are not those of these.
    free = [label for x, label in KEY_PAIRS if label in names and x not in names]
    return free[0] if len(free) == 1 and free[0] not in x_keys else None


def _check_lengths(data: Data) -> None:
    lengths = {name: rows.shape[0] for name, rows in data.inputs.items()}
    if len(set(lengths.values())) > 1:
        listing = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise DataError(f"{data.name} has inputs of different lengths: {listing}.")
    for name, rows in data.inputs.items():
        if 0 in rows.shape:
            raise DataError(
                f"`{name}` of {data.name} is empty, shape {rows.shape}; at least one example is "
                "needed."
            )
    if data.labels is not None and data.labels.shape[0] != len(data):
        raise DataError(
            f"{data.name} has {len(data)} examples but {data.labels.shape[0]} labels; expected one "
            "label an example, in the same order."
        )
