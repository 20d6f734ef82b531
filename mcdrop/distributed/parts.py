"""A folder of predictions in parts: what is finished survives whatever ends the run.

Parts grow in a folder beside the output, `NAME.partial`, which becomes the output when the last
one is there, so that nobody takes a half for the whole. A part is in place before the line of
`_parts.jsonl` that vouches for it: its rows, its checksum, and that of the inputs it was made of.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mcdrop.errors import DataError
from mcdrop.files import Kind, Output, manifest
from mcdrop.files.outputs import reason

# Engines that read a folder of Parquet files leave out names that begin so.
RECORD, LINES = "_predictions.json", "_parts.jsonl"
_SETTLED = "settled"
FORMAT, FORMAT_VERSION = "mcdrop.predictions", 1
PARTS = Kind("a folder of predictions")

_PART_NAME = re.compile(r"part-\d{5,}\.parquet")
_DRAFT_NAME = re.compile(r"\.(.+)\.[0-9a-f]{8}\.new")

Writer = Callable[[Path], dict[str, Any]]


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

    @property
    def checksum(self) -> dict[str, Any]:
        """Size and checksum of the file, as `mcdrop.files.manifest` takes them."""
        return {"bytes": self.bytes, "blake2b": self.blake2b}

    def is_whole(self, folder: Path) -> bool:
        """Returns whether the file in a folder is as it was written; reads all of it."""
        path = folder / self.part
        return path.is_file() and manifest.describe_file(path) == self.checksum


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
        self._write_record({"format": FORMAT, "version": FORMAT_VERSION, **record})

    @property
    def num_finished(self) -> int:
        """Number of parts that are listed and in place."""
        return len(self._finished)

    @property
    def settled(self) -> dict[str, Any]:
        """What the run that began these parts settled on, as --splitting auto; {} before that."""
        found = read_record(self.path).get(_SETTLED)
        return found if isinstance(found, dict) else {}

    def settle(self, **choices: Any) -> None:
        """Keeps what was found out, for all runs that go on with these parts."""
        self._write_record({**read_record(self.path), _SETTLED: choices})

    def find(self, number: int) -> Part | None:
        """Returns a part by its number, None where there is none in place.

        Whether it is whole is looked at by whoever may make it again: reading all parts would be
        the work of one machine.
        """
        return self._finished.get(_name(number))

    def vouch(self, part: Part) -> None:
        """Lists a part that is in place, after looking that it is.

        Raises:
            DataError: It is not, as where a worker wrote to a folder of its own.
        """
        path = self.path / part.part
        # Its size is enough here: whoever wrote it took its checksum, and reading all parts once
        # more would be the work of one machine.
        if not path.is_file() or path.stat().st_size != part.bytes:
            raise DataError(
                f"{path} is not what a worker wrote there. The folder must be one that all "
                "machines share, under the same path."
            )
        with _told(self.path), (self.path / LINES).open("a", encoding="utf-8") as file:
            # A line that a killed run left without its end must not swallow this one.
            file.write(f"\n{json.dumps(asdict(part))}\n")
            file.flush()
            os.fsync(file.fileno())
        self._finished[part.part] = part

    def publish(self, output: Output) -> None:
        """Makes the folder the output; what is finished stays when that is refused."""
        self._remove_drafts()
        try:
            known = {name: part.checksum for name, part in self._finished.items()}
            with output.draft(known) as draft:
                self.path.rename(draft)
        except BaseException:
            if draft.exists():
                (draft / manifest.NAME).unlink(missing_ok=True)
                draft.rename(self.path)
            raise

    def _write_record(self, record: Mapping[str, Any]) -> None:
        with _in_place(self.path, RECORD) as draft:
            draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

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
        self._remove_drafts()
        for name, part in listed.items():
            if (self.path / name).is_file():
                self._finished[name] = part

    def _remove_drafts(self) -> None:
        """Removes what runs and workers that were killed left unfinished."""
        for draft in self.path.glob(".*.new"):
            draft.unlink(missing_ok=True)


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


def has_parts(folder: Path) -> bool:
    """Returns whether a part in a folder was finished."""
    return any(_read_lines(folder / LINES))


def finished_parts(folder: Path) -> list[Path]:
    """Returns the parts of a finished folder in order, each as it was written.

    Raises:
        DataError: The folder holds no predictions, or a part is missing or damaged.
    """
    read_record(folder)
    parts = sorted({part.part: part for part in _read_lines(folder / LINES)}.values(), key=_start)
    stop = 0
    for part in parts:
        if part.start != stop or not part.is_whole(folder):
            raise DataError(
                f"{folder} lacks examples {stop} to {part.stop - 1}: a part is missing or damaged. "
                "Make it again: the same mcdrop predict with --resume."
            )
        stop = part.stop
    if not parts or len(parts) != len(list(folder.glob("part-*.parquet"))):
        raise DataError(
            f"{folder} holds parts that its {LINES} does not vouch for, or none. Make them again: "
            "the same mcdrop predict with --resume."
        )
    return [folder / part.part for part in parts]


def _start(part: Part) -> int:
    return part.start


def remove_parts(folder: Path) -> None:
    """Removes a folder of parts.

    Raises:
        DataError: It holds something else.
    """
    _check_own(folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def write_part(folder: Path, number: int, write: Writer) -> Part:
    """Puts a part in place, whole or not at all, for which nothing vouches yet.

    Several processes may write the same part, as where a worker was taken for dead: each writes a
    draft of its own, and the last one stays.

    Args:
        folder: The folder of parts.
        number: Number of the part.
        write: Writes the file, and returns its `start`, `stop` and `inputs`.

    Raises:
        DataError: The folder cannot be written, as when the disk is full.
    """
    name = _name(number)
    with _in_place(folder, name) as draft:
        rows = write(draft)
        return Part(part=name, **manifest.describe_file(draft), **rows)


@contextmanager
def _in_place(folder: Path, name: str) -> Iterator[Path]:
    """Yields the path of a draft that takes its name only when it is whole and on the disk."""
    draft = folder / f".{name}.{uuid.uuid4().hex[:8]}.new"
    try:
        with _told(folder):
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(folder / name)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Says of the system's errors about a folder that the finished parts are kept."""
    try:
        yield
    except OSError as error:
        if error.filename and not str(error.filename).startswith(str(folder)):
            raise
        raise DataError(
            f"{folder} cannot be written: {reason(error)}. Its finished parts are kept; make "
            "room, and go on with --resume."
        ) from error


def _name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def _check_own(folder: Path) -> None:
    """Raises DataError for an entry that no run of `mcdrop predict` makes."""
    names = {RECORD, LINES, manifest.NAME}
    for path in folder.iterdir():
        name = _DRAFT_NAME.sub(r"\1", path.name)
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
