"""The entry point: runs one command and turns what went wrong into one line and a status."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from importlib import import_module

from mcdrop.cli.parser import build_parser
from mcdrop.cli.terminal import Terminal
from mcdrop.errors import McdropError
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
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(arguments)
    options.command_line = shlex.join(["mcdrop", *arguments])
    flags = {name: getattr(options, name, False) for name in ("quiet", "verbose", "json")}
    terminal = Terminal(**flags)
    try:
        with stopping_raises(), terminal.warnings_shown():
            _run(options, terminal)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does; nothing more can be written to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        word = "interrupted" if number == signal.SIGINT else "terminated"
        terminal.error(f"{word}; nothing was written.")
        return 128 + number
    except (McdropError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno is None:
            raise  # not the system's word, but another package's way to report a defect
        if terminal.verbose:
            traceback.print_exc()
        terminal.error(_describe(error))
        return FAILED
    return DONE


def _run(options: Namespace, terminal: Terminal) -> None:
    """Runs the module of the command, which is imported only now."""
    command = import_module(f"mcdrop.cli.{options.command}")
    command.run(options, terminal)


def _describe(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "memory ran out; lower --batch-size, or use --limit."
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{os.strerror(error.errno or 0).lower()}."
    return str(error)
