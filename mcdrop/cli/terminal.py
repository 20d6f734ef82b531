"""What the user sees: results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mcdrop.cli import printing

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Terminal:
    """Writes results, warnings and progress as --quiet, --verbose and --json ask for.

    Attributes:
        quiet: Only errors, and the JSON result.
        verbose: Also the messages of other packages, and tracebacks.
        json: Results for programs: one JSON document on standard output.
    """

    quiet: bool = False
    verbose: bool = False
    json: bool = False

    def say(self, text: str) -> None:
        """Writes a line for people to standard output, unless programs read it."""
        if not (self.quiet or self.json):
            printing.write_result(f"{text}\n")

    def result(self, values: dict[str, Any]) -> None:
        """Writes the result for programs, with --json."""
        if self.json:
            printing.write_result(json.dumps(values, indent=2, allow_nan=False) + "\n")

    def warn(self, text: str) -> None:
        """Writes a warning to standard error."""
        if not self.quiet:
            printing.write_message(f"mcdrop: warning: {' '.join(text.split())}\n")

    def note(self, text: str) -> None:
        """Writes how something was understood to standard error."""
        if not self.quiet:
            sys.stderr.write(f"mcdrop: note: {' '.join(text.split())}\n")

    def error(self, text: str) -> None:
        """Writes an error to standard error, in one line."""
        printing.write_message(f"mcdrop: error: {' '.join(text.split())}\n")

    def trace(self) -> None:
        """Writes the traceback of the present exception to standard error, with --verbose."""
        if self.verbose:
            printing.write_message(traceback.format_exc())

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """Shows a progress bar on standard error when that is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield _ignore
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(escape(printing.printable(what)), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    @contextlib.contextmanager
    def warnings_shown(self) -> Iterator[None]:
        """Words the warnings of mcdrop as lines; those of other packages need --verbose."""
        from mcdrop.errors import ModelWarning

        def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
            if self.verbose or issubclass(category, ModelWarning):
                self.warn(str(message))

        with warnings.catch_warnings():
            warnings.simplefilter("default" if self.verbose else "ignore")
            warnings.simplefilter("always", ModelWarning)
            warnings.showwarning = show
            yield


def import_keras(*, verbose: bool) -> None:
    """Imports Keras on TensorFlow, keeping the notes that TensorFlow prints to itself.

    TensorFlow writes some lines before its own log level takes effect, so standard error is
    closed to it, at the level of the process, during the import.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if verbose:
        importlib.import_module("keras")
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_closed():
        import absl.logging

        importlib.import_module("keras")
    absl.logging.set_verbosity(absl.logging.ERROR)


@contextlib.contextmanager
def _standard_error_closed() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _ignore(done: int, total: int) -> None:
    """Takes the place of a progress bar."""
