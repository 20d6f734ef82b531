"""Parquet tables, with what pandas and Hugging Face note in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcdrop.errors import DataError
from mcdrop.files.archives import DAMAGES, describe
from mcdrop.loading.columns import has_nulls


@dataclass(frozen=True, eq=False)
class ParquetTable:
    """A Parquet file.

    Attributes:
        path: The file.
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

        try:
            with pq.ParquetFile(self.path) as file:
                groups = list(range(file.num_row_groups))
                while groups and start >= file.metadata.row_group(groups[0]).num_rows:
                    start -= file.metadata.row_group(groups.pop(0)).num_rows
                for batch in file.iter_batches(size, row_groups=groups, columns=list(columns)):
                    if start < batch.num_rows:
                        yield batch.slice(start)
                    start = max(0, start - batch.num_rows)
        except (pa.ArrowException, *DAMAGES) as problem:
            raise _unreadable(self.path, problem) from None


def open_parquet(path: Path) -> ParquetTable:
    """Returns a Parquet table after reading its footer.

    Raises:
        DataError: The file is damaged, or of another format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names, metadata = file.schema_arrow.names, file.schema_arrow.metadata or {}
            num_rows = file.metadata.num_rows
    except (pa.ArrowException, *DAMAGES) as problem:
        raise _unreadable(path, problem) from None
    pandas = _load_json(metadata, b"pandas")
    index, columns = (_items(pandas.get(key)) for key in ("index_columns", "columns"))
    return ParquetTable(
        path,
        tuple(names),
        num_rows,
        tuple(name for name in index if isinstance(name, str) and name in names),
        (),
        _read_class_names(_load_json(metadata, b"huggingface")),
        frozenset(
            str(column.get("name"))
            for column in columns
            if isinstance(column, dict) and column.get("pandas_type") == "categorical"
        ),
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
