"""argparse with the answers that people need who guess an option."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mcdrop.cli import printing

_GUESSES = {
    "--samples": "num-samples n-samples mc-samples samples-per-example passes num-passes n-passes "
    "forward-passes mc-passes iterations num-iterations n-iter repeats draws t n s",
    "--output": "out outdir output-dir output-folder output-file outfile dest destination save "
    "save-to path",
    "--batch-size": "batch bs b",
    "--force": "overwrite f y yes clobber replace exist-ok",
    "--seed": "random-seed random-state rng",
    "--x-key": "x inputs input features feature-columns x-col x-column x-columns",
    "--y-key": "y target targets label label-column label-key y-col y-column target-column",
    "--class-names": "classes names label-names labels-names",
    "--layers": "layer dropout kinds kind",
    "--scale": "rescale scaling normalize normalise preprocess",
    "--image-size": "size resize img-size target-size shape",
    "--compute-dtype": "dtype precision half mixed-precision bf16",
    "--tolerance": "tol eps epsilon early-stop early-stopping",
    "--limit": "max max-examples num-examples n-examples head first subset",
    "--calibration-data": "calib-data calibration-set validation-data val-data",
    "--recalibrate": "recalibration calibrator",
    "--ood": "out-of-distribution ood-data",
    "--require": "requirement requirements assert threshold gate",
    "--model-output": "head",
    "--import": "custom-objects module",
    "--quiet": "silent",
    "--verbose": "debug log-level",
    "--json": "as-json format",
}
"""What people write for an option of this name, because other programs call it so."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are the usage in one line, and one line that says what was meant."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Makes a parser that takes whole options only: --model is not --model-output."""
        super().__init__(*args, **{"allow_abbrev": False, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses, after looking for options that are unknown.

        argparse would first complain of a required option that is there under another name, and
        tell unknown options of a command with the usage of the whole program.
        """
        arguments = list(args or ())
        self._check_options(arguments)
        if any(action.nargs == "+" and not action.option_strings for action in self._actions):
            arguments = self._options_first(arguments)
        namespace, rest = super().parse_known_args(arguments, namespace)
        if rest:
            self.error(f"unexpected argument: {' '.join(rest)}")
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Prints the usage in one line and the message in one line; exits with status 2."""
        text = " ".join(message.split())
        self.exit(2, f"usage: {self.short_usage()}\n{self.prog}: error: {text}\n")

    def short_usage(self) -> str:
        """Returns what a command line must hold, in one line."""
        parts = [self.prog]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                parts.append("COMMAND ...")
            elif not action.option_strings:
                name = str(action.metavar or action.dest)
                parts.append(f"{name} [{name} ...]" if action.nargs == "+" else name)
            elif action.required:
                parts.append(f"{max(action.option_strings, key=len)} {action.metavar}")
        return " ".join([*parts, "[options]"])

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            printing.write_result(message)
            printing.flush_result()
        else:
            printing.write_message(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        close = difflib.get_close_matches(str(value), choices, 1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        listing = ", ".join(choices)
        raise argparse.ArgumentError(action, f"{value!r} is unknown{hint} Choose from {listing}.")

    def _check_options(self, arguments: Sequence[str]) -> None:
        has_commands = any(isinstance(a, argparse._SubParsersAction) for a in self._actions)
        for argument in arguments:
            if argument == "--" or (has_commands and not argument.startswith("-")):
                return
            name = argument.split("=")[0]
            if _looks_like_option(argument) and not self._knows(name):
                self.error(f"unknown option {name}{self._suggestion(name)}")

    def _options_first(self, arguments: Sequence[str]) -> list[str]:
        """Returns the arguments with options before the rest: argparse wants lists in one piece."""
        options: list[str] = []
        others: list[str] = []
        remaining = iter(arguments)
        for argument in remaining:
            if argument == "--":
                others += remaining
            elif not _looks_like_option(argument):
                others.append(argument)
            else:
                options.append(argument)
                action = self._option_string_actions.get(argument)
                if action is not None and action.nargs is None:
                    options += [value for value in [next(remaining, None)] if value is not None]
        return [*options, "--", *others]

    def _knows(self, name: str) -> bool:
        # Of short options several may be joined, or one and its value.
        return (name if name.startswith("--") else name[:2]) in self._option_string_actions

    def _suggestion(self, name: str) -> str:
        plain = _plain(name)
        options = [option for option in self._option_string_actions if option.startswith("--")]
        for option in options:
            if plain in map(_plain, _GUESSES.get(option, "").split()):
                return f"; did you mean {option}?"
        for action in self._actions:
            if not action.option_strings and plain in (action.dest, action.dest.removesuffix("s")):
                return f"; {action.metavar} is given without one: {self.short_usage()}"
        close = difflib.get_close_matches(plain, map(_plain, options), 1)
        if close:
            option = next(option for option in options if _plain(option) == close[0])
            return f"; did you mean {option}?"
        return f"; {self.prog} --help lists all options."


def _looks_like_option(argument: str) -> bool:
    """Returns whether argparse takes an argument for an option, known or not."""
    if len(argument) < 2 or not argument.startswith("-") or " " in argument.split("=")[0]:
        return False
    return not re.fullmatch(r"-\d+|-\d*\.\d+", argument)


def _plain(option: str) -> str:
    return re.sub(r"[-_]", "", option).lower()
