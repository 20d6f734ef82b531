"""Parquet tables, with what pandas and Hugging Face note in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrop.errors import DataError
from mcdrop.files.archives import DAMAGES, check_regular, describe, list_folder
from mcdrop.loading.columns import has_nulls

PARQUET_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True, eq=False)
class ParquetTable:
    """A Parquet file, or a folder of files that are the parts of one table.

    Attributes:
        path: The file, or the folder of its parts.
        names: Names of the columns.
        num_rows: Number of examples.
        index_names: Columns that hold the index of a pandas table, which pandas hides.
        readings: Nothing: types, names and index are written in the file.
    """

    path: Path
    names: tuple[str, ...]
    num_rows: int
    index_names: tuple[str, ...]
    readings: tuple[str, ...]
    _class_names: Mapping[str, tuple[str, ...]]
    _categorical: frozenset[str]
    _files: tuple[tuple[Path, int], ...]

    def has_missing(self, columns: Sequence[str]) -> bool:
        """Returns whether a value of some columns is missing."""
        # The file has counts of its own, but damaged ones end the process inside of pyarrow.
        batches = self.batches(columns, 65536)
        return any(has_nulls(column) for batch in batches for column in batch.columns)

    def name_classes(self, column: str) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
        """Returns Hugging Face's names for the numbers of a column, and pandas' categories."""
        categories = None
        if column in self._categorical:
            values = next(self.batches((column,), 1)).column(0)
            # Categories that are no text are stored as plain values, without their order.
            names = values.dictionary.to_pylist() if hasattr(values, "dictionary") else [None]
            categories = tuple(names) if all(isinstance(name, str) for name in names) else None
        return self._class_names.get(column), categories

    def batches(
        self, columns: Sequence[str], size: int, *, as_text: bool = False, start: int = 0
    ) -> Iterator[Any]:
        """Yields record batches of at most `size` rows, with the types of the file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for file_path, num_rows in self._files:
            if start >= num_rows:
                start -= num_rows
                continue
            try:
                with pq.ParquetFile(file_path) as file:
                    yield from _read_from(file, columns, size, start)
            except (pa.ArrowException, *DAMAGES) as problem:
                raise _unreadable(file_path, problem) from None
            start = 0


def _read_from(file: Any, columns: Sequence[str], size: int, start: int) -> Iterator[Any]:
    """Yields the batches of a file from a row on, passing over whole row groups."""
    groups = list(range(file.num_row_groups))
    while start >= file.metadata.row_group(groups[0]).num_rows:
        start -= file.metadata.row_group(groups.pop(0)).num_rows
    for batch in file.iter_batches(size, row_groups=groups, columns=list(columns)):
        if start < batch.num_rows:
            yield batch.slice(start)
        start = max(0, start - batch.num_rows)


def parquet_files(folder: Path) -> list[Path]:
    """Returns the Parquet files in a folder by name, without hidden ones, parts of one table.

    Raises:
        DataError: The folder cannot be read.
    """
    found = (p for p in list_folder(folder, DataError) if p.suffix.lower() in PARQUET_SUFFIXES)
    return [path for path in found if path.name[0] not in "._"]


def open_parquet(path: Path) -> ParquetTable:
    """Returns a Parquet table, or the table whose parts are in a folder, after reading footers.

    Raises:
        DataError: A file is damaged or of another format, or parts have different columns.
    """
    paths = parquet_files(path) if path.is_dir() else [path]
    (schema, first), *others = map(_read_footer, paths)
    files = [(paths[0], first)]
    for part, (own, num_rows) in zip(paths[1:], others, strict=True):
        _check_alike(path, paths[0], schema, part, own)
        files.append((part, num_rows))
    names, metadata = schema.names, schema.metadata or {}
    pandas = _load_json(metadata, b"pandas")
    index, columns = (_items(pandas.get(key)) for key in ("index_columns", "columns"))
    return ParquetTable(
        path,
        tuple(names),
        sum(num_rows for _, num_rows in files),
        tuple(name for name in index if isinstance(name, str) and name in names),
        (),
        _read_class_names(_load_json(metadata, b"huggingface")),
        frozenset(
            str(column.get("name"))
            for column in columns
            if isinstance(column, dict) and column.get("pandas_type") == "categorical"
        ),
        tuple(files),
    )


def _read_footer(path: Path) -> tuple[Any, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular(path, DataError)
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, *DAMAGES) as problem:
        raise _unreadable(path, problem) from None


def _check_alike(folder: Path, first: Path, schema: Any, part: Path, own: Any) -> None:
    if own.equals(schema):
        return
    types = ({field.name: str(field.type) for field in each} for each in (schema, own))
    before, found = types
    differing = [name for name in (*before, *found) if before.get(name) != found.get(name)]
    what = (
        f"column {differing[0]!r} is {found.get(differing[0], 'absent')}, not "
        f"{before.get(differing[0], 'absent')}"
        if differing
        else "the columns are in another order"
    )
    raise DataError(
        f"The Parquet files of {folder} are no parts of one table: in {part.name} {what}, as in "
        f"{first.name}. Write them with one schema."
    )


def _read_class_names(document: Any) -> dict[str, tuple[str, ...]]:
    info = document.get("info")
    features = info.get("features") if isinstance(info, dict) else None
    if not isinstance(features, dict):
        return {}
    return {
        column: tuple(map(str, feature["names"]))
        for column, feature in features.items()
        if isinstance(feature, dict) and isinstance(feature.get("names"), list)
    }


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _load_json(metadata: Mapping[bytes, bytes], key: bytes) -> Any:
    """Returns a JSON document in the metadata of a file, {} where it is absent or damaged."""
    try:
        found = json.loads(metadata[key])
    except (KeyError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unreadable(path: Path, problem: Exception) -> DataError:
    reason = " ".join(describe(problem).split())
    return DataError(f"{path} cannot be read as a Parquet table ({reason}).")
