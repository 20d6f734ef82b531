"""What may be overwritten: decided before the work and again after it, and nothing is lost."""

import errno
import json
import os
import threading

import pytest

from mcdrop.errors import DataError
from mcdrop.files import Kind, claim, replaced, workplaces
from mcdrop.files.manifest import NAME

FILE = Kind("a note", lambda path: path.read_text().startswith("note"))
FOLDER = Kind("a report")


def write_folder(path, text="new", **settings):
    with replaced(path, FOLDER, **settings) as draft:
        (draft / "figures").mkdir(parents=True)
        (draft / "index.html").write_text(text)
        (draft / "figures" / "a.svg").write_text(text)


def write_file(path, text="note new", **settings):
    with replaced(path, FILE, **settings) as draft:
        draft.write_text(text)


def everything(folder):
    """The content of every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != NAME
    }


@pytest.fixture(params=["exchange", "two moves"])
def either_way(request, monkeypatch):
    """Systems that exchange two paths in one step, and those that cannot."""
    if request.param == "two moves":
        monkeypatch.setattr(workplaces, "_rename", lambda *_: False)


@pytest.mark.parametrize("write", [write_file, write_folder])
def test_an_output_appears_whole_and_alone(tmp_path, write):
    write(tmp_path / "p")
    assert os.listdir(tmp_path) == ["p"]


@pytest.mark.parametrize("make", [write_file, write_folder])
def test_what_exists_needs_force(tmp_path, make, either_way):
    make(tmp_path / "p")
    before = everything(tmp_path)
    with pytest.raises(DataError, match=r"p exists\. .* replace it with --force"):
        make(tmp_path / "p", "note 2")
    assert everything(tmp_path) == before
    make(tmp_path / "p", "note 2", force=True)
    assert set(everything(tmp_path).values()) == {"note 2"}


def test_an_empty_folder_needs_no_force(tmp_path, either_way):
    (tmp_path / "p").mkdir()
    write_folder(tmp_path / "p")
    assert sorted(everything(tmp_path)) == ["p/figures/a.svg", "p/index.html"]


def test_an_empty_file_is_of_every_kind(tmp_path):
    (tmp_path / "p").touch()
    write_file(tmp_path / "p", force=True)
    assert everything(tmp_path) == {"p": "note new"}


def test_a_file_of_another_kind_is_never_replaced(tmp_path):
    (tmp_path / "p").write_text("thesis")
    with pytest.raises(DataError, match="is not a note that mcdrop wrote"):
        write_file(tmp_path / "p", force=True)
    assert everything(tmp_path) == {"p": "thesis"}


def test_a_folder_never_gives_way_to_a_file_nor_the_other_way_round(tmp_path):
    write_folder(tmp_path / "folder")
    write_file(tmp_path / "file")
    with pytest.raises(DataError, match="is a folder, which is never replaced by a note"):
        write_file(tmp_path / "folder", force=True)
    with pytest.raises(DataError, match="is a file, which is never replaced by a report"):
        write_folder(tmp_path / "file", force=True)


def add(folder):
    (folder / "figures" / "mine.svg").write_text("precious")


def change(folder):
    (folder / "index.html").write_text("precious")


def change_but_not_the_size(folder):
    (folder / "index.html").write_text("mew")


def nest(folder):
    (folder / "figures" / "mine" / "deep").mkdir(parents=True)
    (folder / "figures" / "mine" / "deep" / NAME).write_text("{}")


def link(folder):
    (folder / "mine").symlink_to(folder / "index.html")


def replace_by_link(folder):
    (folder / "index.html").rename(folder.parent / "elsewhere")
    (folder / "index.html").symlink_to(folder.parent / "elsewhere")


def lose_the_list(folder):
    (folder / NAME).unlink()


def spoil_the_list(folder):
    (folder / NAME).write_text("[" * 100_000)


def borrow_the_list(folder):
    files = json.loads((folder / NAME).read_text())
    files["files"]["mine"] = {"bytes": 8, "blake2b": "0"}
    (folder / NAME).write_text(json.dumps(files))
    (folder / "mine").write_text("precious")


FOREIGN = [
    add,
    change,
    change_but_not_the_size,
    nest,
    link,
    replace_by_link,
    lose_the_list,
    spoil_the_list,
    borrow_the_list,
]


@pytest.mark.parametrize("spoil", FOREIGN)
def test_a_folder_with_anything_foreign_is_never_replaced(tmp_path, spoil):
    write_folder(tmp_path / "p")
    spoil(tmp_path / "p")
    before = everything(tmp_path)
    with pytest.raises(DataError, match="holds files that mcdrop did not write"):
        write_folder(tmp_path / "p", force=True)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("spoil", FOREIGN)
def test_a_folder_that_becomes_foreign_during_the_run_is_kept(tmp_path, spoil, either_way):
    write_folder(tmp_path / "p")
    before = {}

    def run():
        with claim(tmp_path / "p", FOLDER, force=True) as output, output.draft() as draft:
            draft.mkdir()
            spoil(tmp_path / "p")
            before.update(everything(tmp_path / "p"))

    with pytest.raises(DataError, match="holds files that mcdrop did not write"):
        run()
    assert everything(tmp_path / "p") == before


def test_what_appears_during_the_run_is_kept(tmp_path, either_way):
    def write_file_meanwhile():
        with replaced(tmp_path / "file", FILE) as draft:
            draft.write_text("note new")
            (tmp_path / "file").write_text("precious")

    def write_folder_meanwhile():
        with replaced(tmp_path / "folder", FOLDER) as draft:
            draft.mkdir()
            (tmp_path / "folder").mkdir()
            (tmp_path / "folder" / "mine").write_text("precious")

    for run in (write_file_meanwhile, write_folder_meanwhile):
        with pytest.raises(DataError, match="exists"):
            run()
    assert everything(tmp_path) == {"file": "precious", "folder/mine": "precious"}


def test_what_changes_between_the_last_look_and_the_exchange_is_put_back(tmp_path, monkeypatch):
    write_folder(tmp_path / "p")
    exchange = workplaces.exchange

    def intrude(source, target):
        if (tmp_path / "p" / "index.html").read_text() == "new":
            add(tmp_path / "p")
        return exchange(source, target)

    monkeypatch.setattr(workplaces, "exchange", intrude)
    with pytest.raises(DataError, match=r"figures/mine\.svg"):
        write_folder(tmp_path / "p", "other", force=True)
    assert everything(tmp_path / "p")["figures/mine.svg"] == "precious"
    assert everything(tmp_path / "p")["index.html"] == "new"
    assert os.listdir(tmp_path) == ["p"]


@pytest.mark.parametrize("make", [write_file, write_folder])
def test_a_last_step_that_fails_brings_the_old_output_back(tmp_path, monkeypatch, make):
    make(tmp_path / "p", "note old")
    before = everything(tmp_path)
    monkeypatch.setattr(workplaces, "_rename", lambda *_: False)
    move = workplaces.move

    def refuse(source, target):
        if source.name.startswith("new"):
            raise OSError(errno.EIO, "broken", str(target))
        move(source, target)

    monkeypatch.setattr(workplaces, "move", refuse)
    with pytest.raises(DataError, match=r"cannot be written: input/output error\. What was there"):
        make(tmp_path / "p", force=True)
    assert everything(tmp_path) == before
    assert os.listdir(tmp_path) == ["p"]


def fill_the_disk(draft):
    raise OSError(errno.ENOSPC, "No space left on device", str(draft / "x"))


def fill_as_hdf5_does(draft):
    raise OSError("Can't write (errno = 28, error message = 'No space left on device', buf = 0)")


@pytest.mark.parametrize("fail", [fill_the_disk, fill_as_hdf5_does])
def test_a_full_disk_is_one_line_and_the_old_output_stays(tmp_path, fail):
    write_folder(tmp_path / "p", "old")

    def run():
        with replaced(tmp_path / "p", FOLDER, force=True) as draft:
            draft.mkdir()
            fail(draft)

    with pytest.raises(DataError, match=r"^\S*p cannot be written: no space left on device\. What"):
        run()
    assert set(everything(tmp_path).values()) == {"old"}
    assert os.listdir(tmp_path) == ["p"]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_other_failures_pass_through_and_leave_nothing(tmp_path, error):
    def run():
        with replaced(tmp_path / "p", FILE) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(error):
        run()
    assert os.listdir(tmp_path) == []


def test_errors_about_other_files_are_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), replaced(tmp_path / "p", FILE):
        (tmp_path / "input").read_text()


def test_a_draft_that_was_never_written_leaves_the_old_output(tmp_path):
    write_folder(tmp_path / "p", "old")
    with (
        pytest.raises(DataError, match="cannot be written: no such file"),
        replaced(tmp_path / "p", FOLDER, force=True),
    ):
        pass
    assert set(everything(tmp_path).values()) == {"old"}


def test_two_runs_into_one_path_have_one_winner(tmp_path):
    with claim(tmp_path / "p", FOLDER) as first:
        with pytest.raises(DataError, match="is being written by another run of mcdrop"):
            write_folder(tmp_path / "p", "second")
        with first.draft() as draft:
            draft.mkdir()
            (draft / "index.html").write_text("first")
    assert everything(tmp_path) == {"p/index.html": "first"}


def test_many_threads_at_one_path_have_one_winner(tmp_path):
    outcomes, start = [], threading.Barrier(8)

    def run(number):
        start.wait()
        try:
            write_file(tmp_path / "p", f"note {number}")
            outcomes.append("won")
        except DataError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("won") == 1
    assert all("exists" in o or "another run" in o for o in outcomes if o != "won")
    assert os.listdir(tmp_path) == ["p"]


@pytest.mark.parametrize("make", [write_file, write_folder])
def test_links_are_followed_to_what_they_point_to(tmp_path, make):
    (tmp_path / "real").mkdir()
    make(tmp_path / "real" / "p")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "p")
    make(tmp_path / "link", "note 2", force=True)
    assert (tmp_path / "link").is_symlink()
    assert set(everything(tmp_path / "real").values()) == {"note 2"}


def as_itself(source, output):
    return source


def as_link(source, output):
    output.symlink_to(source)
    return output


def as_hard_link(source, output):
    os.link(source, output)
    return output


def by_detour(source, output):
    return source.parent / "." / ".." / source.parent.name / source.name


@pytest.mark.parametrize("alias", [as_itself, as_link, as_hard_link, by_detour])
def test_an_input_is_never_the_output(tmp_path, alias):
    source = tmp_path / "data"
    source.write_text("note")
    path = alias(source, tmp_path / "out")
    with pytest.raises(DataError, match="is the input"):
        write_file(path, force=True, inputs=[source])
    assert source.read_text() == "note"


def test_an_output_neither_holds_an_input_nor_lies_in_one(tmp_path):
    write_folder(tmp_path / "p")
    with pytest.raises(DataError, match="holds the input"):
        write_folder(tmp_path / "p", force=True, inputs=[tmp_path / "p" / "index.html"])
    with pytest.raises(DataError, match="lies in the input"):
        write_folder(tmp_path / "p" / "more", inputs=[tmp_path / "p"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pipe", "neither a file nor a folder"),
        ("dangling", "is a link to nothing"),
        ("circle", "cannot be written|link to nothing"),
        ("file/p", "cannot be written: .*file is no folder"),
        ("file/a/p", "cannot be written: .*file/a does not exist"),
        ("new/p", "cannot be written: .*new does not exist. Make that folder first"),
        ("x" * 300, "cannot be written: file name too long"),
        ("caf\udce9", "bytes in its name that are not UTF-8"),
        ("a\0b", "NUL character"),
        (".", "is the current folder"),
        ("", "is the current folder"),
        ("..", "is the current folder, or one above it"),
    ],
)
@pytest.mark.parametrize("kind", [FILE, FOLDER])
def test_names_that_cannot_be_written_are_told_at_once(tmp_path, monkeypatch, name, words, kind):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    os.mkfifo("pipe")
    os.symlink("nothing", "dangling")
    os.symlink("circle", "circle")
    (tmp_path / "here" / "file").touch()
    before = sorted(os.listdir("."))
    with pytest.raises(DataError, match=words), claim(name, kind, force=True):
        pass
    assert sorted(os.listdir(".")) == before


def test_a_folder_that_refuses_new_files_is_told_at_once(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    # Permissions alone do not tell: root may write where the file system does not let it.
    monkeypatch.setattr(workplaces, "_lock", refuse)
    with pytest.raises(DataError, match=r"cannot be written in .*: permission denied"):
        write_file(tmp_path / "p")
    assert os.listdir(tmp_path) == []


def test_a_mount_point_is_refused(tmp_path, monkeypatch):
    (tmp_path / "p").mkdir()
    monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path.name == "p")
    with pytest.raises(DataError, match="is a mount point"):
        write_folder(tmp_path / "p")


def test_a_long_name_fits(tmp_path):
    write_file(tmp_path / ("x" * 250))
    assert os.listdir(tmp_path) == ["x" * 250]


def test_what_file_browsers_leave_is_nobodys(tmp_path):
    write_folder(tmp_path / "p")
    (tmp_path / "p" / "figures" / ".DS_Store").write_text("x")
    write_folder(tmp_path / "p", "other", force=True)
    assert set(everything(tmp_path).values()) == {"other"}


def test_outputs_have_the_usual_rights(tmp_path):
    mask = os.umask(0o022)
    try:
        write_file(tmp_path / "file")
        write_folder(tmp_path / "folder")
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_a_writer_inside_of_a_draft_names_the_output_of_the_user(tmp_path, monkeypatch):
    lock, places = workplaces._lock, []

    def fill_the_disk(folder, **settings):
        places.append(folder)
        if len(places) > 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))
        return lock(folder, **settings)

    monkeypatch.setattr(workplaces, "_lock", fill_the_disk)
    with (
        pytest.raises(DataError, match=r"^\S*/p cannot be written: no space left on device\. What"),
        replaced(tmp_path / "p", FOLDER) as draft,
    ):
        write_folder(draft)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full_at_the_start_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mcdrop.files.workplaces.os.write", refuse)
    with pytest.raises(DataError, match="no space left on device"):
        write_file(tmp_path / "p")
    assert os.listdir(tmp_path) == []
