"""What may be overwritten, and when: one rule for every command and every writer in Python.

An output is replaced only with force, only when it is a file of the kind to be written or a
folder every file of which mcdrop wrote, and never when it is one of the inputs. This is decided
before any work is done, and again at the moment of replacing. The old output stays whole until
the new one is complete.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mcdrop.errors import DataError
from mcdrop.files import manifest, workplaces
from mcdrop.files.paths import as_path
from mcdrop.files.signals import stopping_waits
from mcdrop.files.workplaces import Busy, Workplace

AnyPath = str | os.PathLike[str]

_MOST_NAMES = 3


@dataclass(frozen=True)
class Kind:
    """A kind of output.

    Attributes:
        name: In messages, with its article, as in "a saved prediction".
        recognise: Tells whether a file that exists is of this kind. None for folders, which are
            known by the list of files that mcdrop leaves in them.
    """

    name: str
    recognise: Callable[[Path], bool] | None = None

    @property
    def is_folder(self) -> bool:
        """Whether outputs of this kind are folders."""
        return self.recognise is None


class Output:
    """An output claimed by `claim`: no other run of mcdrop writes it until the claim ends."""

    def __init__(
        self, path: AnyPath, target: Path, kind: Kind, force: bool, workplace: Workplace
    ) -> None:
        self._path = path
        self._target = target
        self._kind = kind
        self._force = force
        self._workplace = workplace

    @contextmanager
    def draft(self, known: manifest.Checksums | None = None) -> Iterator[Path]:
        """Yields the path to write to; what is there when the block ends well becomes the output.

        Args:
            known: Checksums of files of a folder that need not be read for them.

        Raises:
            DataError: The output cannot be written, as when the disk is full, or something that
                must not be replaced has taken its place in the meantime.
        """
        draft = self._workplace.new
        try:
            yield draft
            if self._kind.is_folder:
                manifest.write(draft, known or {})
            _reach_the_disk(draft)
            with stopping_waits():
                self._publish(draft)
        except (OSError, DataError) as error:
            # A writer that claims a place inside of the draft has worded the error already.
            cause = error if isinstance(error, OSError) else error.__cause__
            if not (isinstance(cause, OSError) and self._concerns(cause)):
                raise
            raise DataError(
                f"{self._path} cannot be written: {reason(cause)}. What was there before is as it "
                "was."
            ) from cause

    def _publish(self, draft: Path) -> None:
        """Puts the draft in place of what is there, decided anew."""
        if not os.path.lexists(self._target):
            try:
                workplaces.move(draft, self._target)
                return
            except FileExistsError:
                pass  # it appeared just now, and is looked at like any other
        check_replaceable(self._path, self._target, self._kind, force=self._force)
        if not workplaces.exchange(draft, self._target):
            self._publish_in_two_moves(draft)
            return
        try:
            # What came out may be another thing than what was looked at before.
            check_replaceable(self._path, draft, self._kind, force=self._force)
        except BaseException:
            workplaces.exchange(draft, self._target)
            raise
        workplaces.remove(draft)

    def _publish_in_two_moves(self, draft: Path) -> None:
        old = self._workplace.old
        workplaces.move(self._target, old)
        try:
            check_replaceable(self._path, old, self._kind, force=self._force)
            workplaces.move(draft, self._target)
        except BaseException:
            workplaces.move(old, self._target)
            raise
        workplaces.remove(old)

    def _concerns(self, error: OSError) -> bool:
        """Returns whether an error of the system is about this output, not about other files."""
        if isinstance(error, BrokenPipeError):
            return False
        if error.filename is None:
            return True
        name = os.fsdecode(error.filename) if not isinstance(error.filename, int) else ""
        return name.startswith((str(self._workplace.folder), str(self._target)))


@contextmanager
def claim(
    path: AnyPath, kind: Kind, *, force: bool = False, inputs: Sequence[AnyPath] = ()
) -> Iterator[Output]:
    """Claims a path for an output, after every check that can be made before the work.

    Args:
        path: File or folder to write.
        kind: What it will be.
        force: Whether an output of this kind that exists is replaced.
        inputs: Files and folders that are read for it, which it must not touch.

    Raises:
        DataError: The path cannot be written or may not be replaced, or another run is at it.
    """
    target = _resolve(path)
    _check_inputs(path, target, inputs)
    if not target.parent.is_dir():
        there = "is no folder" if target.parent.exists() else "does not exist"
        raise DataError(
            f"{path} cannot be written: {target.parent} {there}. Make that folder first, or choose "
            "another path."
        )
    if os.path.lexists(target):
        check_replaceable(path, target, kind, force=force)
    try:
        workplace = Workplace(target)
    except Busy:
        raise DataError(
            f"{path} is being written by another run of mcdrop. Wait for its end, or choose "
            "another path."
        ) from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be written in {target.parent}: {reason(error)}. Choose another path."
        ) from error
    try:
        yield Output(path, target, kind, force, workplace)
    finally:
        with stopping_waits():
            workplace.close()


@contextmanager
def replaced(
    path: AnyPath, kind: Kind, *, force: bool = False, inputs: Sequence[AnyPath] = ()
) -> Iterator[Path]:
    """Yields the path to write an output to; see `claim` and `Output.draft`."""
    with claim(path, kind, force=force, inputs=inputs) as output, output.draft() as draft:
        yield draft


def check_replaceable(path: AnyPath, found: Path, kind: Kind, *, force: bool) -> None:
    """Raises DataError unless what lies at `found` may give way to an output named `path`."""
    mode = found.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"{path} is neither a file nor a folder but a device, a pipe or a link. Choose another "
            "path."
        )
    if stat.S_ISDIR(mode) != kind.is_folder:
        there = "a folder" if stat.S_ISDIR(mode) else "a file"
        raise DataError(
            f"{path} is {there}, which is never replaced by {kind.name}. Choose another path."
        )
    if kind.is_folder and not any(found.iterdir()):
        return
    if not force:
        raise DataError(
            f"{path} exists. Choose another path, or replace it with --force (in Python "
            "force=True)."
        )
    if kind.recognise is None:
        _check_own(path, found)
    elif found.stat().st_size and not kind.recognise(found):
        raise DataError(
            f"{path} exists and is not {kind.name} that mcdrop wrote, so it is not replaced. "
            "Choose another path, or remove it first."
        )


def _check_own(path: AnyPath, folder: Path) -> None:
    foreign = manifest.find_foreign(folder)
    if foreign:
        names = ", ".join(foreign[:_MOST_NAMES]) + (", ..." if foreign[_MOST_NAMES:] else "")
        raise DataError(
            f"{path} holds files that mcdrop did not write ({names}), so it is not replaced. "
            "Choose another path, or move them away."
        )


def _resolve(path: AnyPath) -> Path:
    """Returns where an output will lie, with links followed.

    Raises:
        DataError: No output can have this name.
    """
    given = as_path("path", path)
    text = os.fspath(given)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"The output {text!a} has bytes in its name that are not UTF-8. Choose another path."
        ) from None
    if "\0" in text:
        raise DataError(f"The output {text!a} has a NUL character in its name.")
    try:
        target = Path(os.path.realpath(given))  # resolve() refuses circles of links before 3.13
        if given.is_symlink() and not target.exists():
            raise DataError(f"{path} is a link to nothing. Remove it, or choose another path.")
        here = Path.cwd()
        is_mount = target.is_mount()
    except OSError as error:
        raise DataError(f"{path} cannot be written: {reason(error)}.") from None
    if target == here or target in here.parents:
        raise DataError(
            f"{text!r} is the current folder, or one above it. Name a new folder or file to write."
        )
    if is_mount:
        raise DataError(f"{path} is a mount point, which cannot be replaced. Name a folder in it.")
    return target


def _check_inputs(path: AnyPath, target: Path, inputs: Sequence[AnyPath]) -> None:
    """Raises DataError when an output would touch an input, by whatever name."""
    for given in inputs:
        try:
            source = Path(os.path.realpath(given))
            if not source.exists():
                continue
            same = source == target or (target.exists() and target.samefile(source))
        except (OSError, ValueError):  # the reader of the input words it better
            continue
        if same:
            raise DataError(f"{path} is the input {given} itself. Choose another path.")
        if target in source.parents:
            raise DataError(f"{path} holds the input {given}. Choose another path.")
        if source in target.parents:
            raise DataError(
                f"{path} lies in the input {given}, which would grow by it. Choose another path."
            )


def reason(error: Exception) -> str:
    """Returns in a few words why the system refused something."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    # HDF5 and others put the system's words into a longer text.
    inner = re.search(r"error message = '([^']+)'", str(error))
    return inner[1].lower() if inner else str(error).split("\n")[0].rstrip(".")


def _reach_the_disk(path: Path) -> None:
    """Waits until what was written is on the disk, which may be full or over a quota only now."""
    if path.is_dir():
        for child in path.iterdir():
            _reach_the_disk(child)
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):  # a file system that keeps nothing back
            raise
    finally:
        os.close(descriptor)
