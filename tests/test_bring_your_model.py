"""The page "Bring your model", run from top to bottom: every block of Python and every command."""

import re
import shlex
from pathlib import Path

import pytest

from mcdrop.cli import main

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "bring-your-model.md"


def test_every_command_of_the_page_gives_its_report(tmp_path, monkeypatch, capsys):
    pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    names, notes = {}, ""
    for language, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            exec(code, names)  # noqa: S102
        for line in code.splitlines() if language == "sh" else ():
            _, *words = shlex.split(line)
            assert main(words) == 0, capsys.readouterr().err
            notes += capsys.readouterr().err
    reports = sorted(path.parent.name for path in tmp_path.glob("*/index.html"))
    kinds = ("forecast", "image", "segmentation", "table", "text")
    assert reports == [f"{kind}-report" for kind in kinds]
    assert "1 of 60 examples of animals.csv are left out" in notes
    assert "0 cat, 1 dog, 2 fox" in notes
    assert "resized to 32x32 (from 40x30)" in notes
