"""Text on its way to a terminal: nothing in a name may steer it, nor break its encoding."""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from typing import IO, Any

from mcdrop.errors import DataError

_LINES = "\n\t"
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that let text be shown in another order than it is."""

_STEERING = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that are no text: controls, halves of pairs, separators of lines."""


def printable(text: str) -> str:
    """Returns the text with what steers a terminal written as an escape, as backslash x1b."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    steers = unicodedata.category(character) in _STEERING or character in _DIRECTIONS
    if steers and character not in _LINES:
        return character.encode("unicode_escape").decode("ascii")
    return character


def write(stream: IO[str], text: str) -> None:
    """Writes text, with escapes for what steers a terminal or is not in the stream's encoding."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(printable(text).encode(encoding, "backslashreplace").decode(encoding))


def write_result(text: str) -> None:
    """Writes to standard output.

    Raises:
        BrokenPipeError: Its reader left.
        DataError: It cannot be written, as when it goes to a disk that is full.
    """
    try:
        write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _lost_output(error) from None


def flush_result() -> None:
    """Writes what is held back for standard output; raises as `write_result`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _lost_output(error) from None


def write_message(text: str) -> None:
    """Writes to standard error, or nowhere when that is closed: there is no other place."""
    with contextlib.suppress(OSError, ValueError):
        write(sys.stderr, text)


def _lost_output(error: OSError) -> DataError:
    give_up_output()
    reason = os.strerror(error.errno or 0).lower()
    return DataError(f"Standard output cannot be written: {reason}.")


def give_up_output() -> None:
    """Lets what is still held back for standard output go nowhere, without further errors."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_closed_streams() -> None:
    """Lets standard streams that were closed lead nowhere.

    Otherwise the next file that is opened would take their number, and be written to.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            stream: Any = open(os.devnull, "r" if number == 0 else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
