import os

import pytest

from mcdrop.cli.outputs import check_output, unfinished
from mcdrop.errors import DataError


def test_what_exists_needs_force(tmp_path):
    (tmp_path / "p.csv").touch()
    with pytest.raises(DataError, match=r"exists\. Choose another --output, or .*--force"):
        check_output(tmp_path / "p.csv", force=False)
    check_output(tmp_path / "p.csv", force=True)


def test_a_folder_never_gives_way_to_a_file_nor_the_other_way_round(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a folder, which is never replaced"):
        check_output(tmp_path, force=True)
    with pytest.raises(DataError, match="is a file, which is never replaced"):
        check_output(tmp_path / "file", force=True, owned=("index.html",))


def test_folders_with_other_files_are_never_replaced(tmp_path):
    (tmp_path / "index.html").touch()
    check_output(tmp_path, force=True, owned=("index.html",))
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DataError, match=r"did not write \(thesis\.tex\)"):
        check_output(tmp_path, force=True, owned=("index.html",))


def test_an_empty_folder_needs_no_force(tmp_path):
    check_output(tmp_path, force=False, owned=("index.html",))


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written in"):
        check_output(tmp_path / "file" / "report", force=False, owned=("index.html",))


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "p.csv"
    with pytest.raises(KeyError):
        _fail_in_the_middle(path)
    assert list(path.parent.iterdir()) == []
    with unfinished(path) as draft:
        draft.write_text("whole")
    assert path.read_text() == "whole"
    assert [child.name for child in path.parent.iterdir()] == ["p.csv"]


def _fail_in_the_middle(path):
    with unfinished(path) as draft:
        draft.write_text("half")
        assert not path.exists()
        raise KeyError


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "report"
    path.mkdir()
    (path / "old").touch()
    with unfinished(path) as draft:
        draft.mkdir()
        (draft / "new").touch()
    assert [child.name for child in path.iterdir()] == ["new"]
    assert [child.name for child in tmp_path.iterdir()] == ["report"]


def test_what_is_written_has_the_usual_rights(tmp_path):
    mask = os.umask(0o022)
    try:
        with unfinished(tmp_path / "p.csv") as draft:
            draft.touch()
    finally:
        os.umask(mask)
    assert (tmp_path / "p.csv").stat().st_mode & 0o777 == 0o644
