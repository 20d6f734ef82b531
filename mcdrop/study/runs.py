"""The runs of a study on disk: one row a run and epoch, kept as they come in."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mcdrop.errors import DataError
from mcdrop.study.training import Examples

RUNS, TABLE, RECORD = "runs.csv", "runs.parquet", "study.json"
KEYS = ("study", "setting", "seed", "epoch")
FORMAT, FORMAT_VERSION = "mcdrop.study", 1


class RunsFolder:
    """The folder of a study: every finished run is on disk before the next one begins.

    Args:
        path: The folder; it is made when it is missing.
        record: What decides the numbers: settings, seeds, data, versions of the packages. A
            folder with another record is not resumed.
        resume: Whether runs that are there are taken over.

    Raises:
        DataError: The folder holds a study already and `resume` is not asked for, or it holds
            another one.
    """

    def __init__(self, path: Path, record: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self._rows: list[dict[str, Any]] = []
        text = json.dumps({"format": FORMAT, "version": FORMAT_VERSION, **record}, indent=2) + "\n"
        if path.exists() and any(path.iterdir()):
            self._take_over(text, resume=resume)
        path.mkdir(parents=True, exist_ok=True)
        replace_text(path / RECORD, text)

    @property
    def finished(self) -> set[tuple[str, int]]:
        """Setting and seed of every run that is there."""
        return {(str(row["setting"]), int(row["seed"])) for row in self._rows}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the rows of one run."""
        self._rows += [dict(row) for row in rows]
        replace_text(self.path / RUNS, self.frame().to_csv(index=False))

    def frame(self) -> pd.DataFrame:
        """Returns all rows so far."""
        return pd.DataFrame(self._rows)

    def _take_over(self, record: str, *, resume: bool) -> None:
        known = self.path / RECORD
        if not resume or not known.is_file():
            what = "holds a study" if known.is_file() else "is not empty, and holds no study"
            way = "Pass --resume to go on with it, or" if known.is_file() else "Name"
            raise DataError(f"The folder {self.path} {what}. {way} another folder.")
        before, now = json.loads(known.read_text(encoding="utf-8")), json.loads(record)
        changed = [key for key in now if before.get(key) != now[key]]
        if changed:
            raise DataError(
                f"The study in {self.path} was made with another {', '.join(changed)}. Resume it "
                "with the same, or name another folder."
            )
        if (self.path / RUNS).is_file():
            with (self.path / RUNS).open(encoding="utf-8", newline="") as file:
                self._rows = [_typed(row) for row in csv.DictReader(file)]


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    """Returns a row of the table with its numbers exactly as they were, without empty cells."""
    words = {key: row[key] for key in ("study", "setting")}
    counts = {key: int(row[key]) for key in ("seed", "epoch")}
    scores = {key: float(text) for key, text in row.items() if key not in KEYS and text}
    return {**words, **counts, **scores}


def replace_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def fingerprint(*sets: Examples) -> str:
    """Returns a checksum of the data, to tell whether a study goes on with the same."""
    digest = hashlib.sha256()
    for examples in sets:
        for array in (examples.x, examples.y):
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:16]
