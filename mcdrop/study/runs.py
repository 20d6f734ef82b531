"""The runs of a study on disk: one row a run and step, kept as they come in."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from mcdrop.errors import DataError
from mcdrop.files import Kind, Output, claim, replaced
from mcdrop.study.plan import Found, Row

RUNS, TABLE, RECORD, PICTURES = "runs.csv", "runs.parquet", "study.json", "pictures"
KEYS = ("study", "setting", "seed")
FORMAT, FORMAT_VERSION = "mcdrop.study", 2
KIND = Kind("a file of a study", lambda _: True)


class RunsFolder:
    """The folder of a study: every finished run is on disk before the next one begins."""

    def __init__(self, path: Path, record: Mapping[str, Any], output: Output) -> None:
        self.path = path
        self._record = record
        self._output = output
        self._rows = read_rows(path) if (path / RUNS).is_file() else []

    @property
    def finished(self) -> set[tuple[str, int]]:
        """Setting and seed of every run that is there."""
        return {(str(row["setting"]), int(row["seed"])) for row in self._rows}

    @property
    def rows(self) -> list[Row]:
        """All rows so far."""
        return list(self._rows)

    def add(self, study: str, found: Found) -> None:
        """Keeps what a job found."""
        self._rows += [{"study": study, **row} for row in found.rows]
        if not (self.path / RECORD).exists():
            write(self.path / RECORD, (json.dumps(self._record, indent=2) + "\n").encode())
        for name, picture in found.pictures.items():
            _make(self.path / PICTURES)
            write(self.path / PICTURES / f"{name}.png", _png(picture))
        # The rows come last: a run counts as finished once they are there.
        with self._output.draft() as draft:
            pd.DataFrame(self._rows).to_csv(draft, index=False)


@contextmanager
def open_folder(path: Path, record: Mapping[str, Any], *, resume: bool) -> Iterator[RunsFolder]:
    """Yields the folder of a study, which no other run of mcdrop writes to meanwhile.

    Args:
        path: The folder; it is made when it is missing.
        record: What decides the numbers: settings, seeds, data, versions of the packages. A
            folder with another record is not resumed.
        resume: Whether runs that are there are taken over.

    Raises:
        DataError: The folder holds a study already and `resume` is not asked for, or it holds
            another one, or another run is writing to it.
    """
    full = {"format": FORMAT, "version": FORMAT_VERSION, **record}
    if path.is_dir() and any(not entry.name.startswith(".") for entry in path.iterdir()):
        _check_same(path, json.loads(json.dumps(full)), resume=resume)
    _make(path)
    with claim(path / RUNS, KIND, force=True) as output:
        yield RunsFolder(path, full, output)


def _check_same(path: Path, record: Mapping[str, Any], *, resume: bool) -> None:
    """Raises DataError unless a folder holds this very study, and it is to be resumed."""
    known = path / RECORD
    if not resume or not known.is_file():
        what = "holds a study" if known.is_file() else "is not empty, and holds no study"
        way = "Pass --resume to go on with it, or name" if known.is_file() else "Name"
        raise DataError(f"The folder {path} {what}. {way} another folder.")
    before = read_record(path)
    changed = [key for key in record if before.get(key) != record[key]]
    if changed:
        raise DataError(
            f"The study in {path} was made with another {', '.join(changed)}. Resume it "
            "with the same, or name another folder."
        )


def _make(folder: Path) -> None:
    """Makes a folder in one that there is; whoever writes to it then says what is in the way."""
    with suppress(OSError):
        folder.mkdir(exist_ok=True)


def write(path: Path, content: bytes) -> None:
    """Writes a file of a study whole or not at all."""
    with replaced(path, KIND, force=True) as draft:
        draft.write_bytes(content)


def read_record(folder: Path) -> dict[str, Any]:
    """Returns what study.json says.

    Raises:
        DataError: It is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{folder / RECORD} is damaged: {error}. Name another folder.") from None
    if not isinstance(record, dict):
        raise DataError(f"{folder / RECORD} holds no record of a study. Name another folder.")
    return record


def read_rows(folder: Path) -> list[Row]:
    """Returns the rows of a study's folder, numbers exactly as they were, without empty cells."""
    with (folder / RUNS).open(encoding="utf-8", newline="") as file:
        return [_typed(row) for row in csv.DictReader(file)]


def read_pictures(folder: Path) -> dict[str, bytes]:
    """Returns the pictures of a study's folder by name, as PNG."""
    return {file.stem: file.read_bytes() for file in sorted((folder / PICTURES).glob("*.png"))}


def _typed(row: Mapping[str, str]) -> Row:
    words = {key: row[key] for key in ("study", "setting")}
    scores = {key: _number(text) for key, text in row.items() if key not in KEYS and text}
    return {**words, "seed": int(row["seed"]), **scores}


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _png(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def fingerprint(*arrays: NDArray[Any]) -> str:
    """Returns a checksum of the data, to tell whether a study goes on with the same."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
