"""Paths that users give."""

from __future__ import annotations

import os
from pathlib import Path

from mcdrop.errors import DataError


def as_path(name: str, value: object) -> Path:
    """Returns a path; DataError, naming the argument, for what is none."""
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise DataError(
            f"`{name}` is a {type(value).__name__}, expected a path: a string or a pathlib.Path."
        )
    return Path(value)
