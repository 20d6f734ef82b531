"""Zip archives from strangers: the checks made before anything is unpacked."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from mcdrop.errors import McdropError

MAX_RATIO = 200
"""How far an archive may expand. Real images and weights stay below 20; deflate reaches 1032."""

ALWAYS_ALLOWED = 2**30
"""Expanded size in bytes up to which the ratio does not matter."""

ZIP_MAGIC = b"PK\x03\x04"


def list_members(path: Path, error: type[McdropError]) -> dict[str, zipfile.ZipInfo]:
    """Returns the members of a zip archive by name, refusing damaged ones and zip bombs.

    Declared sizes can be relied on: zipfile never reads past them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as problem:
        raise error(f"{path} is damaged ({problem}). Save or copy it again.") from None
    expanded = sum(info.file_size for info in members.values())
    if expanded > ALWAYS_ALLOWED and expanded > MAX_RATIO * path.stat().st_size:
        raise error(
            f"{path} would expand from {path.stat().st_size:,} to {expanded:,} bytes, which looks "
            "like a zip bomb. If you trust it, save it again without compression."
        )
    return members


def read_start(path: Path, count: int = 8) -> bytes:
    """Returns the first bytes of a file, which tell its format whatever its name says."""
    with path.open("rb") as file:
        return file.read(count)


def open_member(path: Path, member: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    """Returns a function that opens a member of a zip archive as a stream."""

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream

    return opened
