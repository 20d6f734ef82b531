"""Outputs that appear whole or not at all, and never in place of what mcdrop did not write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mcdrop.errors import DataError


def check_output(path: Path, *, force: bool, owned: tuple[str, ...] = ()) -> None:
    """Raises DataError when an output may not be written, before any work is done for it.

    Args:
        path: File or folder to write.
        force: Whether what exists may be replaced.
        owned: Names that a folder of this kind may hold; empty for a file.
    """
    if not path.exists() or (path.is_dir() and owned and not any(path.iterdir())):
        _check_parent(path)
        return
    if not force:
        raise DataError(f"{path} exists. Choose another --output, or replace it with --force.")
    if path.is_dir() != bool(owned):
        kind = "a folder" if path.is_dir() else "a file"
        raise DataError(f"{path} is {kind}, which is never replaced here. Choose another --output.")
    foreign = sorted({child.name for child in path.iterdir()} - {*owned}) if owned else []
    if foreign:
        raise DataError(
            f"{path} holds files that mcdrop did not write ({', '.join(foreign[:3])}), so it is "
            "not replaced. Choose another --output."
        )


def _check_parent(path: Path) -> None:
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        # Permissions do not tell all: root may write where the file system does not let it.
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=parent).cleanup()
    except OSError:
        raise DataError(f"{path} cannot be written in {parent}. Choose another --output.") from None


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yields a place beside `path` to write to, moved to `path` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        yield draft
        if path.is_dir():
            path.rename(Path(folder) / "replaced")
        draft.replace(path)
