"""`mcdrop completion`: the completion script of a shell."""

from __future__ import annotations

import argparse
from argparse import Namespace

from mcdrop.cli import options as opt
from mcdrop.cli.parser import build_parser
from mcdrop.cli.terminal import Terminal


def run(options: Namespace, terminal: Terminal) -> None:
    """Prints the script, which the user saves where the shell looks for it."""
    import shtab

    parser = build_parser()
    offers = {opt.MODEL: shtab.FILE, opt.DATA: shtab.FILE, opt.FILE: shtab.FILE}
    offers[opt.FOLDER] = shtab.DIRECTORY
    for action in _actions(parser):
        if action.metavar in offers:
            action.complete = offers[action.metavar]  # type: ignore[attr-defined]
    terminal.say(shtab.complete(parser, options.shell))


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Returns the options and arguments of a parser and of its commands."""
    actions = []
    for action in parser._actions:
        actions.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                actions += _actions(command)
    return actions
