"""Saving arrays with a JSON header to `.npz`, and files written whole or not at all."""

from __future__ import annotations

import json
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError

_HEADER = "header"
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


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside `path` that replaces it when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def save(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes `arrays` with a JSON `header` to a compressed `.npz` file."""
    text = np.array(json.dumps(header))
    with atomic_write(path) as file:
        everything: dict[str, Any] = {_HEADER: text, **arrays}
        np.savez_compressed(file, **everything)


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


def _umask() -> int:
    """Returns the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
