"""Text tables (.csv, .tsv, .txt, also compressed): their dialect, and types over the whole file."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from mcdrop.errors import DataError
from mcdrop.files.archives import DAMAGES, UTF_16, describe
from mcdrop.loading.columns import check_unique, is_number
from mcdrop.loading.options import TextOptions

SUFFIXES = (".csv", ".tsv", ".txt")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MISSING = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""What pandas reads as a missing value."""

_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_KINDS = ("integer", "number", "boolean")
_SNIFFED_BYTES = 2**20
_SNIFFED_LINES = 50
_BLOCK_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class DelimitedTable:
    """A text table whose columns have one type over the whole file.

    Attributes:
        path: The file.
        names: Names of the columns; as in pandas, an empty one is "Unnamed: " and its number.
        num_rows: Number of examples.
        readings: What was found out about the dialect without being told.
    """

    path: Path
    names: tuple[str, ...]
    num_rows: int
    readings: tuple[str, ...]
    _columns: dict[str, _Column]
    _dialect: _Dialect
    _missing: frozenset[str]

    @property
    def index_names(self) -> tuple[str, ...]:
        """None: a text table does not tell the index of a pandas table from other columns."""
        return ()

    def has_missing(self, columns: Sequence[str]) -> bool:
        """Returns whether a value of some columns is missing."""
        return any(self._columns[name].num_missing for name in columns)

    def name_classes(self, column: str) -> tuple[None, None]:
        """Returns nothing: a text table names no classes."""
        return None, None

    def batches(
        self, columns: Sequence[str], size: int, *, as_text: bool = False, start: int = 0
    ) -> Iterator[Any]:
        """Yields record batches of at most `size` rows; `as_text` leaves every word as it is."""
        import pyarrow as pa

        for batch in _read(self.path, self._dialect, self.names, columns):
            if start >= batch.num_rows:
                start -= batch.num_rows
                continue
            arrays = [batch.column(name) for name in columns]
            if not as_text:
                arrays = [
                    _convert(array, self._columns[name].kind, self._dialect, self._missing)
                    for name, array in zip(columns, arrays, strict=True)
                ]
            # Only now: pyarrow 16 reads wrong bytes when it trims text that is a slice.
            converted = pa.RecordBatch.from_arrays(arrays, names=list(columns)).slice(start)
            start = 0
            for first in range(0, converted.num_rows, size):
                yield converted.slice(first, size)


@dataclass(frozen=True)
class _Dialect(TextOptions):
    """How the file is written, all found out, and how many empty lines it begins with."""

    num_blank: int = 0


@dataclass(frozen=True)
class _Column:
    """The kind of a column, one of integer, number, boolean and text, and its missing values."""

    kind: str
    num_missing: int


def open_delimited(
    path: Path, options: TextOptions, *, present: Sequence[str] = ()
) -> DelimitedTable:
    """Returns a text table after going through the whole file once for its types.

    Args:
        path: The file.
        options: How it is written.
        present: Words that are values although pandas would take them for missing ones.

    Raises:
        DataError: The file is damaged, in another encoding, without a line of names, with lines
            of another width, or has several readings.
    """
    encoding = options.encoding or _find_encoding(path)
    lines = _first_lines(path, encoding)
    separator = options.separator or _find_separator(path, lines)
    num_blank = next((number for number, line in enumerate(lines) if line.strip("\r\n")), 0)
    dialect = _Dialect(separator, options.decimal, encoding, num_blank)
    rows = _rows(lines, separator)
    if len(rows) < 2:
        raise DataError(f"{path} is empty; at least one example is needed.")
    names, readings = _read_names(path, rows[0])
    if options.separator is None and separator != ",":
        readings.insert(0, f"The columns of {path.name} are separated by {SEPARATORS[separator]}.")
    missing = frozenset(MISSING) - frozenset(present)
    columns, num_rows = _scan(path, dialect, names, missing)
    return DelimitedTable(path, names, num_rows, tuple(readings), columns, dialect, missing)


def _find_encoding(path: Path) -> str:
    """Returns utf-8 or utf-16, after reading all of the file once."""
    with _opened(path) as stream:
        block = stream.read(_BLOCK_BYTES)
        if block.startswith(UTF_16):
            return "utf-16"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block:
                decoder.decode(block)
                block = stream.read(_BLOCK_BYTES)
        except UnicodeDecodeError as problem:
            raise DataError(
                f"{path} is not written in UTF-8: it has the byte "
                f"0x{problem.object[problem.start]:02x}. Say its encoding, as in --encoding cp1252 "
                "for Western European Windows, or save it as UTF-8."
            ) from None
    return "utf-8"


def _first_lines(path: Path, encoding: str) -> list[str]:
    """Returns the first lines of the file, the last of them whole."""
    with _opened(path) as stream:
        start = stream.read(_SNIFFED_BYTES)
    try:
        "a".encode(encoding)  # fails for what Python encodes bytes with, as hex
        decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)
        text = decoder().decode(start)
    except LookupError:
        raise DataError(
            f"--encoding is {encoding!r}, which is no encoding of text that Python knows."
        ) from None
    except UnicodeError as problem:
        raise DataError(
            f"{path} is not written in {encoding} ({describe(problem)}). Say another encoding, or "
            "save it as UTF-8."
        ) from None
    lines = list(io.StringIO(text, newline=""))
    is_cut = len(start) == _SNIFFED_BYTES and len(lines) > 1
    return lines[:-1] if is_cut else lines


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    try:
        with pa.input_stream(str(path)) as stream:
            yield stream
    except DataError:
        raise
    except (pa.ArrowException, *DAMAGES) as problem:
        raise _unreadable(path, problem) from None


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Returns the first lines as fields, without empty ones, as far as they can be split."""
    rows = csv.reader(lines, delimiter=separator)
    found = []
    with contextlib.suppress(csv.Error):  # a field longer than the module takes
        found += [row for row in islice(rows, _SNIFFED_LINES) if row]
    return found


def _find_separator(path: Path, lines: Sequence[str]) -> str:
    """Returns the only separator that gives all lines the same number of fields, above 1."""
    fitting, widths_of_names = [], {}
    for separator in SEPARATORS:
        widths = [len(row) for row in _rows(lines, separator)]
        widths_of_names[separator] = widths[0] if widths else 0
        if len(set(widths)) == 1 and widths[0] > 1:
            fitting.append(separator)
    if len(fitting) > 1:
        words = " or ".join(SEPARATORS[separator] for separator in fitting)
        raise DataError(
            f"{path} may be separated by {words}: both give every line the same number of fields. "
            f"Say which, as in --separator '{fitting[0]}'."
        )
    return fitting[0] if fitting else max(widths_of_names, key=lambda s: widths_of_names[s])


def _read_names(path: Path, fields: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Returns the names of the columns, and what to say about them."""
    numbers = [float(field) for field in fields if is_number(field)]
    readings = []
    are_names = all(low < high for low, high in pairwise(numbers))  # wavelengths, say, or steps
    is_whole = all(number.is_integer() for number in numbers)
    if not are_names and (len(numbers) == len(fields) or not is_whole):
        raise DataError(
            f"{path} seems to lack the names of its columns: its first line is "
            f"{', '.join(fields[:4])}... Put a line with one name a column at its top."
        )
    is_counted = numbers and numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1
    if len(numbers) == len(fields) and not is_counted:
        readings.append(
            f"The first line of {path.name} ({', '.join(fields[:4])}...) was read as the names of "
            "the columns."
        )
    names = [field or f"Unnamed: {number}" for number, field in enumerate(fields)]
    check_unique(path, names)
    return tuple(names), readings


def _scan(
    path: Path, dialect: _Dialect, names: Sequence[str], missing: frozenset[str]
) -> tuple[dict[str, _Column], int]:
    """Returns what each column holds over the whole file, and the number of rows."""
    kinds, counts, num_rows = {name: list(_KINDS) for name in names}, dict.fromkeys(names, 0), 0
    for batch in _read(path, dialect, names, names):
        num_rows += batch.num_rows
        for name in names:
            column = _without(batch.column(name), missing)
            counts[name] += column.null_count
            kinds[name] = [kind for kind in kinds[name] if _fits(column, kind, dialect)]
    columns = {name: _Column((*kinds[name], "text")[0], counts[name]) for name in names}
    return columns, num_rows


def _read(
    path: Path, dialect: _Dialect, names: Sequence[str], columns: Sequence[str]
) -> Iterator[Any]:
    """Yields record batches of some columns as text, null where a cell is empty."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        with arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                encoding=dialect.encoding,
                column_names=names,
                skip_rows=dialect.num_blank,
                skip_rows_after_names=1,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=dialect.separator, newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.large_string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        ) as reader:
            yield from reader
    except (pa.ArrowException, *DAMAGES) as problem:
        raise _unreadable(path, problem) from None


def _unreadable(path: Path, problem: Exception) -> DataError:
    reason = " ".join(describe(problem).split())
    return DataError(
        f"{path} cannot be read as a table of text ({reason}). Check its separator, quotes "
        "and encoding (--separator, --encoding)."
    )


def _without(column: Any, missing: frozenset[str]) -> Any:
    """Returns a column with nulls in place of blanks and of the words for what is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words = pa.array(sorted(missing), pa.large_string())
    return pc.if_else(
        pc.is_in(pc.utf8_trim_whitespace(column), words), pa.scalar(None, pa.large_string()), column
    )


def _fits(column: Any, kind: str, dialect: _Dialect) -> bool:
    import pyarrow as pa

    try:
        _cast(column, kind, dialect)
    except pa.ArrowInvalid:
        return False
    return True


def _convert(column: Any, kind: str, dialect: _Dialect, missing: frozenset[str]) -> Any:
    column = _without(column, missing)
    return column if kind == "text" else _cast(column, kind, dialect)


def _cast(column: Any, kind: str, dialect: _Dialect) -> Any:
    """Returns a column of text as numbers or truth values.

    Raises:
        ArrowInvalid: A value is of another kind.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "boolean":
        words = pa.array([*_TRUE, *_FALSE], pa.large_string())
        known = pc.is_in(column, words, skip_nulls=False)
        if not pc.all(pc.or_(known, pc.is_null(column)), min_count=0).as_py():
            raise pa.ArrowInvalid("not a truth value")
        return pc.match_substring(column, "t", ignore_case=True)
    column = pc.utf8_trim_whitespace(column)
    # Arrow would read 0x1F as a number, which is a name to everyone else.
    refused = "[xX]" if dialect.decimal == "." else "[xX.]"
    if pc.any(pc.match_substring_regex(column, refused), min_count=0).as_py():
        raise pa.ArrowInvalid("not a decimal number")
    if dialect.decimal != ".":
        column = pc.replace_substring(column, dialect.decimal, ".")
    return column.cast(pa.int64() if kind == "integer" else pa.float64())
