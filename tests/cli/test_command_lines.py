"""Hundreds of wrong command lines, as data: one clear line each, nothing written, nothing changed.

Each line of `command_lines.txt` is a status, what the message must hold, and the command.
"""

import hashlib
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from mcdrop.cli import main

LINES = [
    line.split(" | ", 2)
    for line in Path(__file__).with_name("command_lines.txt").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with a model, data that fit it, and all that is wrong with others."""
    folder = tmp_path_factory.mktemp("shelf")
    fill(folder)
    return folder


def fill(folder):
    """Writes what the command lines name."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    hidden = [layers.Dense(8, "relu"), layers.Dropout(0.5)]
    for name, between in (("m", hidden), ("plain", [])):
        keras.Sequential([keras.Input((4,)), *between, layers.Dense(3, "softmax")]).save(
            folder / f"{name}.keras"
        )
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(20, 4)).astype("f4"), generator.integers(0, 3, 20)
    arrays = {
        "d": (x, y),
        "narrow": (x[:, :3], y),
        "soft": (x, generator.dirichlet([1, 1, 1], 20)),
        "names": (x, np.array(["a", "b", "zz"])[y]),
        "objects": (x, np.array([1, "a"] * 10, dtype=object)),
        "complex": (x.astype(complex), y),
        "dates": (x.astype("datetime64[s]"), y),
        "fractions": (x, y + 0.5),
    }
    for name, (inputs, labels) in arrays.items():
        np.savez(folder / f"{name}.npz", x=inputs, y=labels)
    for suffix in ("npz", "keras", "csv", "parquet", "h5", "npy"):
        (folder / f"empty.{suffix}").touch()
    for name, count in (("d.npz", 300), ("m.keras", 3000)):
        (folder / f"cut.{name}").write_bytes((folder / name).read_bytes()[:count])
    texts = {
        "x.txt": "hello",
        "header.csv": "a,b,c,d,label\n",
        "wide.csv": "a,b,c,d,e,label\n1,2,3,4,5,0\n",
        "text.csv": "a,b,c,d,label\n1,2,3,q,0\n",
        "ragged.csv": "a,b,c,d,label\n1,2,3,4,0\n1,2,3\n",
        "other.json": "{}",
        "deep.json": "[" * 200_000,  # Python 3.13 reads some thousand levels
        "mine.csv": "mine",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "latin.csv").write_bytes("a,b,c,d,é\n1,2,3,4,0\n".encode("latin-1"))
    (folder / "bytes.txt").write_bytes(b"\xff\xfe\xe9")
    for name in ("folder.npz", "folder.keras", "folder", "mine"):
        (folder / name).mkdir()
    (folder / "mine" / "text").write_text("mine", encoding="utf-8")
    for name in ("pipe.npz", "pipe.keras", "pipe.csv"):
        os.mkfifo(folder / name)
    (folder / "dangling").symlink_to("nowhere/x")
    (folder / "loop").symlink_to("loop")


def contents(folder):
    """Returns what lies in a folder, with a hash of each file."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).digest()
        if path.is_file() and not path.is_symlink()
        else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(("status", "phrase", "line"), LINES, ids=[line for _, _, line in LINES])
def test_a_wrong_command_line_gets_one_clear_line(shelf, monkeypatch, capfd, status, phrase, line):
    monkeypatch.chdir(shelf)
    before = contents(shelf)
    try:
        found = main(shlex.split(line))
    except SystemExit as usage:
        found = usage.code
    captured = capfd.readouterr()
    told = [text for text in captured.err.splitlines() if not re.match(r"[IWE]\d{4} ", text)]
    assert (found, captured.out) == (int(status), "")
    assert phrase in told[-1]
    if found == 1:
        assert len(told) == 1
        assert told[0].startswith("mcdrop: error: ")
    assert contents(shelf) == before


def test_there_are_hundreds_of_them():
    assert len({line for _, _, line in LINES}) == len(LINES) > 200
