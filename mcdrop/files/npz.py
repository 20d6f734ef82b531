"""Arrays with a JSON header in an `.npz` file."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.archives import (
    DAMAGES,
    ZIP_MAGIC,
    ByteSource,
    damage_told,
    list_members,
    read_member,
    read_start,
)
from mcdrop.files.arrays import read_array
from mcdrop.files.outputs import Kind, replaced

_HEADER = "header"
_LARGEST_HEADER = 2**20


def save(
    path: Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    kind: Kind,
    *,
    force: bool = False,
) -> None:
    """Writes `arrays` with a JSON `header` to a compressed `.npz` file."""
    everything: dict[str, Any] = {_HEADER: np.array(json.dumps(header)), **arrays}
    with replaced(path, kind, force=force) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **everything)


def holds(path: Path, kind: str) -> bool:
    """Returns whether a file is one of this kind that `save` wrote, of whatever version."""
    try:
        header = _read_header(path, list_members(path, DataError))
    except DAMAGES:
        return False
    return isinstance(header, dict) and header.get("format") == kind


def load(path: Path, kind: str, version: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Reads the header and the arrays of a file that `save` wrote; pickles are refused.

    Raises:
        DataError: The file is missing, damaged, of another kind or of a newer version.
    """
    if not read_start(path, DataError).startswith(ZIP_MAGIC):
        raise DataError(f"{path} is not a file of kind {kind}.")
    members = list_members(path, DataError)
    if f"{_HEADER}.npy" not in members:
        raise DataError(f"{path} is not a file of kind {kind}.")
    with damage_told(str(path), DataError, "Save or copy it again."):
        header = _read_header(path, members)
    if not isinstance(header, dict) or header.get("format") != kind:
        raise DataError(f"{path} is not a file of kind {kind}.")
    if header.get("version") != version:
        raise DataError(
            f"{path} has format version {header.get('version')}, this mcdrop reads {version}."
        )
    with damage_told(str(path), DataError, "Save or copy it again."):
        names = [name.removesuffix(".npy") for name in members if name != f"{_HEADER}.npy"]
        return header, {name: _read(path, f"{name}.npy") for name in names}


def _read_header(path: Path, members: Mapping[str, zipfile.ZipInfo]) -> Any:
    text = read_member(path, members[f"{_HEADER}.npy"], _LARGEST_HEADER)
    return json.loads(str(read_array(io.BytesIO(text), len(text))))


def _read(path: Path, member: str) -> NDArray[Any]:
    source = ByteSource(path, member)
    with source() as stream:
        return read_array(stream, source.num_bytes)
