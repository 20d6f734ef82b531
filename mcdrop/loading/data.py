"""The front door for data: a file, a folder or a name in, examples and labels out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.archives import ZIP_MAGIC, ByteSource, list_members, read_start
from mcdrop.loading.images import ImageOptions, open_folder
from mcdrop.loading.named import KNOWN_NAMES, is_named, load_named
from mcdrop.loading.rows import ArrayRows, ChosenRows, NpyRows, Rows, npy_rows, read
from mcdrop.loading.tables import open_table

KEY_PAIRS = (("x_test", "y_test"), ("x", "y"), ("images", "labels"))
"""Names under which an `.npz` file may hold inputs and labels without being told."""

_NPY_MAGIC = b"\x93NUMPY"
Array = NDArray[Any]


@dataclass(frozen=True)
class DataOptions:
    """How to read a data source.

    Attributes:
        x_key: Name of the input array or column; several, separated by commas, for tables
            and for models with several inputs.
        y_key: Name of the label array or column.
        labels: An `.npy` file with the labels, for sources without them.
        class_names: Names of the classes, in the order of the labels.
        images: How image files are decoded.
    """

    x_key: str | None = None
    y_key: str | None = None
    labels: Path | None = None
    class_names: tuple[str, ...] | None = None
    images: ImageOptions = field(default_factory=ImageOptions)

    @property
    def x_keys(self) -> tuple[str, ...]:
        """The names in `x_key`."""
        return tuple(self.x_key.split(",")) if self.x_key else ()


@dataclass(frozen=True, eq=False)
class Data:
    """Examples of one or several inputs, perhaps with labels, none of it read yet.

    Attributes:
        name: What the user typed.
        inputs: Rows of each input; a single input has the name "x".
        labels: Rows of the labels, or None.
        class_names: Names of the classes, or None.
        listed: Whether several inputs come as a list in their order, not as a dict by name.
    """

    name: str
    inputs: Mapping[str, Rows]
    labels: Rows | None = None
    class_names: tuple[str, ...] | None = None
    listed: bool = False

    def __len__(self) -> int:
        """Returns the number of examples."""
        return next(iter(self.inputs.values())).shape[0]

    def blocks(self, size: int) -> Iterator[Any]:
        """Yields blocks of at most `size` examples: an array, or several of them by input."""
        for parts in zip(*(rows.blocks(size) for rows in self.inputs.values()), strict=True):
            yield self._nest(parts)

    def x(self) -> Any:
        """Returns all examples: an array, or several of them by input."""
        return self._nest([read(rows) for rows in self.inputs.values()])

    def _nest(self, arrays: Sequence[Array]) -> Any:
        if len(arrays) == 1:
            return arrays[0]
        return list(arrays) if self.listed else dict(zip(self.inputs, arrays, strict=True))

    def y(self) -> Array:
        """Returns all labels.

        Raises:
            DataError: The source has none.
        """
        if self.labels is None:
            raise DataError(
                f"{self.name} has no labels. Name them with --y-key, or pass an .npy file of them "
                "with --labels."
            )
        return read(self.labels)

    def limit(self, count: int | None) -> Data:
        """Returns `count` examples chosen at random, the same ones every time, in their order."""
        if count is None or count >= len(self):
            return self
        indices = np.sort(np.random.default_rng(0).choice(len(self), count, replace=False))
        inputs = {name: ChosenRows(rows, indices) for name, rows in self.inputs.items()}
        labels = None if self.labels is None else ChosenRows(self.labels, indices)
        return replace(self, inputs=inputs, labels=labels)


def open_data(source: str, options: DataOptions | None = None) -> Data:
    """Opens a data source without reading its examples yet.

    Args:
        source: An `.npz`, `.npy`, `.parquet` or `.csv` file, a folder of images with one
            subfolder a class, or the name of a data set (see `load_named`).
        options: How to read it.

    Raises:
        DataError: The source is missing, damaged, empty, of no known kind, holds Python
            objects, or its inputs and labels differ in length.

    Example:
        >>> data = open_data("digits").limit(100)
        >>> len(data), data.x().shape, data.y()[:4]
        (100, (100, 8, 8, 1), array([3, 7, 8, 6]))
    """
    chosen = options or DataOptions()
    data = _open(source, chosen)
    if chosen.labels is not None:
        data = replace(data, labels=_open_npy(chosen.labels))
    if chosen.class_names is not None:
        data = replace(data, class_names=chosen.class_names)
    _check_lengths(data)
    return data


def _open(source: str, options: DataOptions) -> Data:
    path = Path(source)
    if is_named(source):
        named = load_named(source)
        return Data(source, {"x": ArrayRows(named.x)}, ArrayRows(named.y), named.class_names)
    if path.is_dir():
        images, labels, names = open_folder(path, options.images)
        rows = None if labels is None else ArrayRows(labels)
        return Data(source, {"x": images}, rows, names)
    if not path.exists():
        raise DataError(
            f"{source} does not exist, and is no known data set ({', '.join(KNOWN_NAMES)})."
        )
    if path.suffix in (".parquet", ".csv"):
        x, y = open_table(path, options.x_keys, options.y_key, options.images)
        return Data(source, {"x": x}, y)
    return _open_arrays(source, path, options)


def _open_arrays(source: str, path: Path, options: DataOptions) -> Data:
    start = read_start(path, DataError)
    if start.startswith(_NPY_MAGIC):
        return Data(source, {"x": _open_npy(path)})
    if start.startswith(ZIP_MAGIC):
        return _open_npz(source, path, options)
    raise DataError(
        f"{source} is neither an .npz, .npy, .parquet or .csv file nor a folder of images. Save "
        "arrays with np.savez(file, x=..., y=...)."
    )


def _open_npy(path: Path) -> NpyRows:
    read_start(path, DataError)
    return npy_rows(str(path), ByteSource(path))


def _open_npz(source: str, path: Path, options: DataOptions) -> Data:
    members = list_members(path, DataError)
    names = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
    x_keys, y_key = _choose_keys(source, names, options)
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
    source: str, names: Sequence[str], options: DataOptions
) -> tuple[tuple[str, ...], str | None]:
    """Returns the names of the inputs and of the labels in an `.npz` file."""
    listing = ", ".join(names) or "nothing"
    for name in (*options.x_keys, *([options.y_key] if options.y_key else [])):
        if name not in names:
            raise DataError(f"{source} has no array {name!r}; it has {listing}.")
    found = [pair for pair in KEY_PAIRS if pair[0] in names]
    if options.x_keys:
        label = dict(KEY_PAIRS).get(options.x_keys[0])
        return options.x_keys, options.y_key or (label if label in names else None)
    if len(found) == 1:
        x_key, label = found[0]
        return (x_key,), options.y_key or (label if label in names else None)
    if len(names) == 1:
        return (names[0],), options.y_key
    expected = " or ".join(pair[0] for pair in KEY_PAIRS)
    raise DataError(
        f"{source} has {listing}; expected exactly one of {expected}. Name the inputs with --x-key "
        "and the labels with --y-key."
    )


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
