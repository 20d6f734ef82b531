"""What a run leaves that was killed is found and put right by the next one."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from mcdrop.errors import DataError
from mcdrop.files import Kind, claim, replaced, workplaces

FILE = Kind("a note", lambda path: True)

KILLED = """
import os, signal, sys
from mcdrop.files import Kind, claim, workplaces

workplaces._rename = lambda *_: False  # the way in which the old output is away for a moment
move = workplaces.move

def die_between_the_moves(source, target):
    move(source, target)
    os.kill(os.getpid(), signal.SIGKILL)

moment, path = sys.argv[1:]
if moment == "between":
    workplaces.move = die_between_the_moves
with claim(path, Kind("a note", lambda path: True), force=True) as output, output.draft() as draft:
    draft.write_text("half")
    if moment == "working":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def kill(moment, path):
    done = subprocess.run([sys.executable, "-c", KILLED, moment, path])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["working", "between"])
@pytest.mark.parametrize("next_path", ["p", "other"])
def test_the_next_run_cleans_up_after_a_killed_one(tmp_path, moment, next_path):
    (tmp_path / "p").write_text("old")
    kill(moment, tmp_path / "p")
    assert len(os.listdir(tmp_path)) == (2 if moment == "working" else 1)
    with claim(tmp_path / next_path, FILE, force=True):
        assert (tmp_path / "p").read_text() == "old"
    assert os.listdir(tmp_path) == ["p"]


def test_a_run_that_is_alive_is_left_alone(tmp_path):
    with claim(tmp_path / "p", FILE), claim(tmp_path / "q", FILE):
        assert sorted(os.listdir(tmp_path)) == [".p.mcdrop", ".q.mcdrop"]
    assert os.listdir(tmp_path) == []


def test_folders_of_others_with_such_a_name_are_left_alone(tmp_path):
    (tmp_path / ".mine.mcdrop").mkdir()
    (tmp_path / ".mine.mcdrop" / "precious").touch()
    with replaced(tmp_path / "p", FILE) as draft:
        draft.touch()
    assert (tmp_path / ".mine.mcdrop" / "precious").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_without_locks_a_workplace_that_exists_is_taken_for_busy(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", refuse)
    with claim(tmp_path / "p", FILE) as output:
        with pytest.raises(DataError, match="another run"), claim(tmp_path / "p", FILE):
            pass
        with output.draft() as draft:
            draft.touch()
    assert os.listdir(tmp_path) == ["p"]


def test_a_file_system_without_hard_links_gets_its_file(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr(workplaces.os, "link", refuse)
    for rename in (workplaces._rename, lambda *_: False):
        monkeypatch.setattr(workplaces, "_rename", rename)
        (tmp_path / "new").write_text("new")
        workplaces.move(tmp_path / "new", tmp_path / "p")
        assert (tmp_path / "p").read_text() == "new"
        (tmp_path / "new").write_text("other")
        with pytest.raises(FileExistsError):
            workplaces.move(tmp_path / "new", tmp_path / "p")
        assert (tmp_path / "p").read_text() == "new"
        (tmp_path / "p").unlink()
