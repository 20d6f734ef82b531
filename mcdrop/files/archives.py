"""Files from strangers: the checks made before anything is unpacked, and the words for damage."""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcdrop.errors import McdropError

MAX_RATIO = 200
"""How far an archive may expand. Real images and weights stay below 20; deflate reaches 1032."""

ALWAYS_ALLOWED = 2**30
"""Expanded size in bytes up to which the ratio does not matter."""

ZIP_MAGIC = b"PK\x03\x04"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Marks at the start of text that Windows writes."""

DAMAGES = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, OverflowError, RecursionError),
    *(MemoryError, RuntimeError, NotImplementedError),
    *(struct.error, zlib.error, zipfile.BadZipFile, zipfile.LargeZipFile),
)
"""What reading a damaged or encrypted file raises, depending on which of its bytes are wrong.

MemoryError, because sizes in it may be wrong; RuntimeError, because that is what zipfile raises
for encrypted members; NotImplementedError for compressions that nobody uses.
"""

_NO_FILES = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISSOCK: "a socket",
}


@contextlib.contextmanager
def damage_told(name: str, error: type[McdropError], advice: str) -> Iterator[None]:
    """Words what reading a damaged file raises: `name` is damaged, why, and the advice."""
    try:
        yield
    except McdropError:
        raise
    except DAMAGES as problem:
        raise error(f"{name} is damaged ({describe(problem)}). {advice}") from None


def describe(problem: Exception) -> str:
    """Returns the reason of an exception in one short line, for a message."""
    if isinstance(problem, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(problem, RecursionError):
        return "it is nested too deeply"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror.lower()
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return lines[0].rstrip(".") if len(lines[0]) <= 200 else f"{lines[0][:200]}..."


def check_regular(path: Path, error: type[McdropError]) -> None:
    """Raises unless a path that exists is a file or a folder: reading a pipe might never end."""
    mode = path.stat().st_mode
    for is_kind, kind in _NO_FILES.items():
        if is_kind(mode):
            raise error(f"{path} is {kind}, which cannot be read twice. Save it to a file first.")


def list_members(path: Path, error: type[McdropError]) -> dict[str, zipfile.ZipInfo]:
    """Returns the members of a zip archive by name, refusing damaged ones and zip bombs.

    Declared sizes can be relied on: zipfile never reads past them.
    """
    with damage_told(str(path), error, "Save or copy it again."):
        check_regular(path, error)
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
    expanded = sum(info.file_size for info in members.values())
    if expanded > ALWAYS_ALLOWED and expanded > MAX_RATIO * path.stat().st_size:
        raise error(
            f"{path} would expand from {path.stat().st_size:,} to {expanded:,} bytes, which looks "
            "like a zip bomb. If you trust it, save it again without compression."
        )
    return members


def read_start(path: Path, error: type[McdropError], count: int = 8) -> bytes:
    """Returns the first bytes of a file, which tell its format whatever its name says.

    Raises:
        McdropError: Of the type `error`, when the file cannot be read, or is no file.
    """
    try:
        check_regular(path, error)
        with path.open("rb") as file:
            return file.read(count)
    except FileNotFoundError:
        raise error(f"{path} does not exist.") from None
    except OSError as problem:
        raise error(f"{path} cannot be read: {describe(problem)}.") from None


def list_folder(folder: Path, error: type[McdropError]) -> list[Path]:
    """Returns what is in a folder, in alphabetical order.

    Raises:
        McdropError: Of the type `error`, when the folder cannot be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError as problem:
        raise error(f"{folder} cannot be read ({problem.strerror}).") from None
    return [folder / name for name in names]


def read_text(path: Path, error: type[McdropError], most: int) -> str:
    """Returns the text of a file of at most so many bytes, in UTF-8, or UTF-16 with its mark.

    Raises:
        McdropError: Of the type `error`, when the file cannot be read, is larger, or no text.
    """
    try:
        check_regular(path, error)
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise error(f"{path} has more than {most:,} bytes, expected a small text file.")
        return data.decode("utf-16" if data.startswith(UTF_16) else "utf-8-sig")
    except FileNotFoundError:
        raise error(f"{path} does not exist.") from None
    except (OSError, ValueError) as problem:
        if isinstance(problem, McdropError):
            raise
        raise error(f"{path} cannot be read: {describe(problem)}.") from None


@dataclass(frozen=True)
class ByteSource:
    """A file, or a member of a zip archive; calling it opens it."""

    path: Path
    member: str | None = None

    @property
    def num_bytes(self) -> int:
        """Size of what is read from it."""
        if self.member is None:
            return os.stat(self.path).st_size
        with zipfile.ZipFile(self.path) as archive:
            return archive.getinfo(self.member).file_size

    @contextlib.contextmanager
    def __call__(self) -> Iterator[IO[bytes]]:
        """Opens it as a stream."""
        if self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
            yield stream


def read_member(path: Path, info: zipfile.ZipInfo, most: int) -> bytes:
    """Returns a member of a zip archive of at most so many bytes; raises ValueError beyond."""
    if info.file_size > most:
        raise ValueError(f"{info.filename} has {info.file_size:,} bytes, expected at most {most:,}")
    with zipfile.ZipFile(path) as archive, archive.open(info) as stream:
        return stream.read()
