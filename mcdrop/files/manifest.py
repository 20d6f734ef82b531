"""The list of its files that mcdrop leaves in every folder, by which it knows them again."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Checksums = Mapping[str, Mapping[str, Any]]

# Engines that read a folder of Parquet files leave out names that begin so.
NAME = "_mcdrop-files.json"
FORMAT = "mcdrop.files"
VERSION = 1

_LARGEST = 2**26
"""Bytes of the largest list that is read; a hundred thousand files take a tenth of it."""

_NOBODYS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file browsers leave in folders that were merely looked at."""


def write(folder: Path, known: Checksums) -> None:
    """Lists every file of a folder with its size and its hash, in the folder.

    Args:
        folder: The folder.
        known: What `describe_file` returned of some files, by their names in the folder.
    """
    names = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(_entries(folder))
        if path.is_file() and path.name != NAME
    }
    files = {name: known.get(name) or describe_file(path) for name, path in names.items()}
    document = {"format": FORMAT, "version": VERSION, "files": files}
    (folder / NAME).write_text(json.dumps(document, indent=1), encoding="utf-8")


def find_foreign(folder: Path) -> list[str]:
    """Returns the entries of a folder that mcdrop did not write, or that changed since.

    Nothing is followed: a link is foreign, whatever it points to. Folders without files hold
    nothing that could be lost.
    """
    listed = _read(folder)
    foreign = []
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        if (name == NAME and listed) or path.name in _NOBODYS:
            continue
        mode = path.lstat().st_mode
        if not (stat.S_ISDIR(mode) or _is_own(path, mode, listed.get(name))):
            foreign.append(name)
    return sorted(foreign)


def _is_own(path: Path, mode: int, listed: Any) -> bool:
    if not stat.S_ISREG(mode) or not isinstance(listed, dict):
        return False
    # The size spares reading a file that cannot be the same.
    return listed.get("bytes") == path.lstat().st_size and listed == describe_file(path)


def _entries(folder: Path) -> Iterator[Path]:
    """Yields everything in a folder at any depth, following no link."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def describe_file(path: Path) -> dict[str, Any]:
    """Returns what tells whether a file is still the same: its size and its checksum."""
    return {"bytes": path.stat().st_size, "blake2b": checksum(path)}


def checksum(path: Path) -> str:
    """Returns the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    """Returns the list of a folder; an empty one where there is none that can be trusted."""
    path = folder / NAME
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST:
            return {}
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return {}
    files = document.get("files")
    return files if isinstance(files, dict) else {}
