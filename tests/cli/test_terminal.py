import json
import sys

import pytest

from mcdrop.cli.terminal import Terminal


def test_progress_stays_out_of_pipes(capsys):
    with Terminal().progress("Sampling") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("quiet", "shown"), [(False, True), (True, False)])
def test_progress_is_shown_on_a_terminal_unless_quiet(capsys, monkeypatch, quiet, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with Terminal(quiet=quiet).progress("Sampling") as progress:
        progress(1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Sampling" in err) == shown


def test_json_replaces_the_text_and_is_valid(capsys):
    terminal = Terminal(json=True)
    terminal.say("for people")
    terminal.result({"value": 1.5})
    assert json.loads(capsys.readouterr().out) == {"value": 1.5}
    Terminal().result({"value": 1.5})
    assert capsys.readouterr().out == ""


def test_quiet_keeps_the_json(capsys):
    Terminal(quiet=True, json=True).result({"a": None})
    assert json.loads(capsys.readouterr().out) == {"a": None}
