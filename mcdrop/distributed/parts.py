"""A folder of predictions in parts: what is finished survives whatever ends the run.

Parts grow in a folder beside the output, `NAME.partial`, which becomes the output when the last
one is there, so that nobody takes a half for the whole. A part is in place before the line of
`parts.jsonl` that vouches for it: its rows, its checksum, and that of the inputs it was made of.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mcdrop.errors import DataError
from mcdrop.files import Kind, Output, manifest
from mcdrop.files.outputs import reason

RECORD, LINES = "predictions.json", "parts.jsonl"
FORMAT, FORMAT_VERSION = "mcdrop.predictions", 1
PARTS = Kind("a folder of predictions")

_PART_NAME = re.compile(r"part-\d{5,}\.parquet")


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        part: Name of the file.
        start: Position of its first example among those predicted.
        stop: Position after its last example.
        bytes: Size of the file.
        blake2b: Checksum of the file.
        inputs: Checksum of the inputs that it was made of.
    """

    part: str
    start: int
    stop: int
    bytes: int
    blake2b: str
    inputs: str


class PartsFolder:
    """The parts of one run that are on disk, and the place for those to come.

    Args:
        path: The folder; it is made when it is missing.
        record: What decides the numbers. A folder with another record is not resumed.

    Raises:
        DataError: The folder holds parts of another run, or files that are none.
    """

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self.path = path
        self._finished: dict[str, Part] = {}
        if path.exists():
            self._take_over(record)
            return
        path.mkdir(parents=True)
        document = {"format": FORMAT, "version": FORMAT_VERSION, **record}
        with self._in_place(RECORD) as draft:
            draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    @property
    def num_finished(self) -> int:
        """Number of parts that are whole."""
        return len(self._finished)

    def find(self, number: int) -> Part | None:
        """Returns a part by its number, None where there is no whole one."""
        return self._finished.get(_name(number))

    @contextmanager
    def add(self, number: int) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yields the path to write a part to, and a place for its `start`, `stop` and `inputs`."""
        name = _name(number)
        rows: dict[str, Any] = {}
        with self._in_place(name) as draft:
            yield draft, rows
            part = Part(part=name, **manifest.describe_file(draft), **rows)
        with self._told(), (self.path / LINES).open("a", encoding="utf-8") as file:
            # A line that a killed run left without its end must not swallow this one.
            file.write(f"\n{json.dumps(asdict(part))}\n")
            file.flush()
            os.fsync(file.fileno())
        self._finished[name] = part

    def publish(self, output: Output) -> None:
        """Makes the folder the output; what is finished stays when that is refused."""
        try:
            with output.draft() as draft:
                self.path.rename(draft)
        except BaseException:
            if draft.exists():
                (draft / manifest.NAME).unlink(missing_ok=True)
                draft.rename(self.path)
            raise

    @contextmanager
    def _in_place(self, name: str) -> Iterator[Path]:
        """Yields the path of a draft that takes its name only when it is whole and on the disk."""
        draft = self.path / f".{name}.new"
        try:
            with self._told():
                yield draft
                with draft.open("rb") as file:
                    os.fsync(file.fileno())
                draft.replace(self.path / name)
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says of the system's errors about this folder that the finished parts are kept."""
        try:
            yield
        except OSError as error:
            if error.filename and not str(error.filename).startswith(str(self.path)):
                raise
            raise DataError(
                f"{self.path} cannot be written: {reason(error)}. Its {self.num_finished} finished "
                "parts are kept; make room, and go on with --resume."
            ) from error

    def _take_over(self, record: Mapping[str, Any]) -> None:
        before = read_record(self.path)
        changed = [name for name in record if before.get(name) != record[name]]
        if changed:
            raise DataError(
                f"The predictions in {self.path} were made with another {', '.join(changed)}. "
                "Resume them with the same, or name another folder."
            )
        listed = {part.part: part for part in _read_lines(self.path / LINES)}
        _check_own(self.path)
        for draft in self.path.glob(".*.new"):
            draft.unlink()
        for name, part in listed.items():
            path = self.path / name
            if path.is_file() and manifest.describe_file(path) == {
                "bytes": part.bytes,
                "blake2b": part.blake2b,
            }:
                self._finished[name] = part


def read_record(folder: Path) -> dict[str, Any]:
    """Returns what the predictions in a folder were made with.

    Raises:
        DataError: The folder holds none.
    """
    try:
        document = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(
            f"{folder} holds no predictions to go on with: its {RECORD} is missing or damaged. "
            "Name another folder, or remove it."
        )
    return document


def remove_parts(folder: Path) -> None:
    """Removes a folder of parts.

    Raises:
        DataError: It holds something else.
    """
    _check_own(folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _check_own(folder: Path) -> None:
    """Raises DataError for an entry that no run of `mcdrop predict` makes."""
    names = {RECORD, LINES, manifest.NAME}
    for path in folder.iterdir():
        name = path.name.removeprefix(".").removesuffix(".new")
        is_own = name in names or _PART_NAME.fullmatch(name)
        if not is_own or path.is_symlink() or not path.is_file():
            raise DataError(
                f"{folder} holds {path.name}, which mcdrop did not write. Move it away first."
            )


def _read_lines(path: Path) -> Iterator[Part]:
    """Yields the parts that a list vouches for; a line that is not whole vouches for none."""
    if not path.is_file():
        return
    names = {field.name for field in fields(Part)}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and set(found) == names:
            yield Part(**found)
