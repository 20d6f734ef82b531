"""The entry point: runs one command and turns what went wrong into one line and a status."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from mcdrop.cli import printing
from mcdrop.cli.parser import build_parser
from mcdrop.cli.terminal import Terminal
from mcdrop.errors import DataError, McdropError
from mcdrop.files import Stopped
from mcdrop.files.signals import stopping_raises

DONE, FAILED = 0, 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit status.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        0 when done, 1 after an error told in one line, 128 and the signal's number after Ctrl-C
        (130) and other requests to stop. Wrong usage exits with status 2 from within.
    """
    printing.open_closed_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal()
    try:
        _check_arguments(arguments)
        options = build_parser().parse_args(arguments)
        options.command_line = shlex.join(["mcdrop", *arguments])
        flags = {name: getattr(options, name, False) for name in ("quiet", "verbose", "json")}
        terminal = Terminal(**flags)
        with stopping_raises(), terminal.warnings_shown():
            status = _run(options, terminal)
        printing.flush_result()
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; nothing more can be written to it.
        printing.give_up_output()
        return DONE
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        word = "interrupted" if number == signal.SIGINT else "terminated"
        # A command that keeps what it has so far says so in a note.
        kept = getattr(stop, "__notes__", ["nothing was written"])[-1]
        terminal.error(f"{word}; {kept}.")
        return 128 + number
    except (McdropError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is None:
            raise  # not the system's word, but another package's way to report a defect
        terminal.trace()
        terminal.error(_describe(error))
        return FAILED
    return status


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raises DataError for arguments that are empty, or that no file and no report could hold."""
    for place, argument in enumerate(arguments):
        option, *value = argument.split("=", 1)
        if argument == "" or (option.startswith("--") and value == [""]):
            before = option or (arguments[place - 1] if place else "")
            what = f"The value of {before}" if before.startswith("-") else "An argument"
            raise DataError(
                f"{what} is empty, expected a name or a number. If it comes from a variable of the "
                "shell, that is not set."
            )
        if "\0" in argument:
            raise DataError(f"The argument {argument!a} has a NUL character in it.")
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"The argument {argument!a} has bytes that are not UTF-8, which a report cannot "
                "name. Rename the file first."
            ) from None


def _run(options: Namespace, terminal: Terminal) -> int:
    """Runs the module of the command, which is imported only now, and returns its status."""
    command = import_module(f"mcdrop.cli.{options.command}")
    status: int | None = command.run(options, terminal)
    return DONE if status is None else status


def _describe(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "memory ran out; lower --batch-size, or use --limit."
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{os.strerror(error.errno or 0).lower()}."
    return str(error)
