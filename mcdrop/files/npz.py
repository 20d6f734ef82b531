"""Arrays with a JSON header in an `.npz` file."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.files.outputs import Kind, replaced

_HEADER = "header"
_LARGEST_HEADER = 2**20
_DAMAGES = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What reading a damaged archive raises, depending on which of its bytes are wrong."""


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
        with zipfile.ZipFile(path) as archive, archive.open(f"{_HEADER}.npy") as member:
            start = member.read(_LARGEST_HEADER)
        header = json.loads(str(np.load(io.BytesIO(start), allow_pickle=False)))
    except (*_DAMAGES, RecursionError):
        return False
    return isinstance(header, dict) and header.get("format") == kind


def load(path: Path, kind: str, version: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Reads the header and the arrays of a file that `save` wrote; pickles are refused.

    Raises:
        DataError: The file is missing, damaged, of another kind or of a newer version.
    """
    try:
        with path.open("rb") as file:  # np.load leaves a damaged file open that it opened itself
            arrays = _read_arrays(file)
        header = json.loads(str(arrays.pop(_HEADER)))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except _DAMAGES as error:
        raise DataError(f"{path} is not a file of kind {kind}: {error}") from None
    if not isinstance(header, dict) or header.get("format") != kind:
        raise DataError(f"{path} is not a file of kind {kind}.")
    if header.get("version") != version:
        raise DataError(
            f"{path} has format version {header.get('version')}, this mcdrop reads {version}."
        )
    return header, arrays


def _read_arrays(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Returns all arrays of an `.npz` file."""
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it holds a single array")
    return {name: archive[name] for name in archive.files}
