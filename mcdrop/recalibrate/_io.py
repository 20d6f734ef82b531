"""What all calibrators share: a JSON file of one format, and the words for a missing fit."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from mcdrop.errors import DataError
from mcdrop.files import Kind, replaced
from mcdrop.files.archives import describe, read_text
from mcdrop.files.paths import as_path

Value = TypeVar("Value")

FORMAT = "mcdrop.recalibrate"
VERSION = 1
MOST_BYTES = 64 * 2**20
"""Size above which no calibrator is read: isotonic ones hold a few numbers an example."""


@dataclass(frozen=True)
class Calibrator:
    """Base of the calibrators: settings and fitted numbers that travel as JSON.

    A calibrator is frozen. `fit` returns a fitted copy and leaves the one it is called on as it
    is; `transform` applies the fitted numbers.
    """

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes settings and fitted numbers to a JSON file, exactly; no pickle.

        Args:
            path: File to write; its folder must be there.
            force: Whether to replace a saved calibrator that is already there.

        Raises:
            DataError: The file exists and `force` is not set, it is no saved calibrator, or it
                cannot be written.
        """
        content = {field.name: _encode(getattr(self, field.name)) for field in fields(self)}
        document = {
            "format": FORMAT,
            "version": VERSION,
            "kind": type(self).__name__,
            "fields": content,
        }
        text = json.dumps(document, indent=1, allow_nan=False)
        with replaced(path, SAVED_CALIBRATOR, force=force) as draft:
            draft.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a calibrator of this class from a file that `save` wrote.

        Args:
            path: File to read.

        Returns:
            A calibrator equal to the saved one.

        Raises:
            DataError: The file is missing, damaged, of another kind or of another version.
        """
        kind, content = read(path)
        if kind != cls.__name__:
            raise DataError(
                f"{path} holds a {kind}, expected a {cls.__name__}. Use mcdrop.recalibrate.load."
            )
        return cls.from_fields(path, content)

    @classmethod
    def from_fields(cls, path: str | os.PathLike[str], content: dict[str, Any]) -> Self:
        """Returns a calibrator of the decoded fields of a file; `path` is for messages."""
        expected = {field.name for field in fields(cls)}
        if set(content) != expected:
            raise DataError(
                f"{path} has the fields {sorted(content)} for a {cls.__name__}, expected "
                f"{sorted(expected)}. Fit and save it again."
            )
        try:
            return cls(**content)
        except (TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged: {error} Fit and save it again.") from None


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Returns the kind and the decoded fields of a saved calibrator.

    Raises:
        DataError: The file is missing, damaged, of another format or of another version.
    """
    text = read_text(as_path("path", path), DataError, MOST_BYTES)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a saved calibrator: {describe(error)}.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{path} is not a saved calibrator: its format is not {FORMAT!r}.")
    if document.get("version") != VERSION:
        raise DataError(
            f"{path} has format version {document.get('version')!r}, this mcdrop reads {VERSION}."
        )
    kind, content = document.get("kind"), document.get("fields")
    if not isinstance(kind, str) or not isinstance(content, dict):
        raise DataError(f"{path} is damaged: it has no kind or no fields. Fit and save it again.")
    return kind, {name: _decode(value) for name, value in content.items()}


def _is_calibrator(path: Path) -> bool:
    try:
        read(path)
    except DataError:
        return False
    return True


SAVED_CALIBRATOR = Kind("a saved calibrator", _is_calibrator)


def _encode(value: Any) -> Any:
    """Returns the value for JSON, which has no infinity: that is written as "inf"."""
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return "inf" if value == math.inf else value


def _decode(value: Any) -> Any:
    """Returns what `_encode` was given: lists as tuples, "inf" as infinity."""
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    return math.inf if value == "inf" else value


def require_fit(value: Value | None, calibrator: Calibrator) -> Value:
    """Returns the fitted value, or raises DataError when there is none yet."""
    if value is None:
        raise DataError(
            f"This {type(calibrator).__name__} is not fitted. Call fit(...) on held-out data and "
            "use the calibrator that it returns."
        )
    return value
