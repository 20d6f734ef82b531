"""The hidden folder beside an output in which it is made, and the moves that put it in place.

A workplace is locked by the run that uses it. The system lets go of the lock when the process
ends, however it ends, so a workplace without a lock is what a killed run left: the next run
beside it puts back what was on its way and removes the rest.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

PREFIX, SUFFIX = ".", ".mcdrop"
_LOCK, _NEW, _OLD = "lock", "new", "old"
_LONGEST_NAME = 200
"""Bytes of an output's name that fit into the name of its workplace, which may have 255."""

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer."""


class Busy(Exception):
    """Another run that is alive uses the workplace."""


class Workplace:
    """The locked workplace of one output.

    Attributes:
        new: Where the output is made; its name ends as the output's does.
        old: Where an output that is replaced waits until the new one is in place.
    """

    def __init__(self, target: Path) -> None:
        """Makes and locks the workplace of an output, and cleans up after runs that were killed.

        Raises:
            Busy: A run that is alive uses it.
            OSError: The folder of the output cannot be written.
        """
        self.folder = target.parent / _name(target)
        _clean(target.parent, skip=self.folder.name)
        try:
            self._lock = _lock(self.folder, create=True)
        except Busy:
            raise
        except BaseException:
            with suppress(OSError):  # it was not made, or another run is in it
                self.folder.rmdir()
            raise
        try:
            _empty(self.folder)
            os.truncate(self._lock, 0)
            note = {"output": target.name, "process": os.getpid()}
            os.write(self._lock, json.dumps(note).encode())
        except BaseException:  # the disk may be full already
            _discard(self.folder, self._lock)
            raise
        # Some writers choose the format by the suffix.
        self.new = self.folder / (_NEW + target.suffix)
        self.old = self.folder / _OLD

    def close(self) -> None:
        """Removes the workplace."""
        _discard(self.folder, self._lock)


def _name(target: Path) -> str:
    name = os.fsencode(target.name)
    label = target.name if len(name) <= _LONGEST_NAME else hashlib.blake2b(name).hexdigest()[:32]
    return PREFIX + label + SUFFIX


def _lock(folder: Path, *, create: bool) -> int:
    """Returns the open lock of a workplace, held."""
    path = folder / _LOCK
    while True:
        if create:
            folder.mkdir(mode=0o700, exist_ok=True)
        existed = path.exists()
        try:
            lock = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        except FileNotFoundError:
            if create:  # its last user removed the folder just now
                continue
            raise
        try:
            _hold(lock, existed)
            if _is_at(lock, path):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)  # its last user removed the file after it was opened here


def _hold(lock: int, existed: bool) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: a file that exists is taken for held
        if existed:
            raise Busy from None
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        if existed:
            raise Busy from None


def _is_at(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _clean(parent: Path, *, skip: str) -> None:
    """Removes the workplaces that killed runs left in a folder."""
    for folder in parent.glob(f"{PREFIX}*{SUFFIX}"):
        if folder.name == skip or not (folder / _LOCK).is_file():
            continue
        with suppress(Busy, OSError):
            lock = _lock(folder, create=False)
            _empty(folder)
            _discard(folder, lock)


def _empty(folder: Path) -> None:
    """Puts an output back that was on its way when its run was killed, and removes drafts."""
    old = folder / _OLD
    if os.path.lexists(old):
        with suppress(OSError, ValueError, KeyError, TypeError):
            target = folder.parent / Path(json.loads((folder / _LOCK).read_text())["output"]).name
            move(old, target)
    for path in folder.iterdir():
        if path.name != _LOCK:
            remove(path)


def _discard(folder: Path, lock: int) -> None:
    """Removes a workplace whose lock is held, the lock last."""
    try:
        for path in folder.iterdir():
            if path.name != _LOCK:
                remove(path)
        (folder / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):  # another run made its lock in it just now
            folder.rmdir()
    finally:
        os.close(lock)


def remove(path: Path) -> None:
    """Removes a file or a folder as far as the system lets it; follows no link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Moves a file or folder to a place that must be free, or an empty folder for a folder.

    Raises:
        FileExistsError: Something is there; it stays as it is.
    """
    if source.is_dir():
        try:
            os.rename(source, target)  # replaces nothing but an empty folder
        except OSError as error:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "it exists", str(target)) from error
            raise
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if _rename(source, target, _NO_REPLACE):
            return
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        os.replace(source, target)
        return
    source.unlink()


def exchange(source: Path, target: Path) -> bool:
    """Lets two paths change places in one step; returns whether the system can do that."""
    return _rename(source, target, _EXCHANGE)


_NO_REPLACE, _EXCHANGE = 1, 2
_AT_CWD = -100


def _rename(source: Path, target: Path, flag: int) -> bool:
    """Calls Linux's renameat2, which Python does not offer; False where it cannot be called."""
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_CWD, os.fsencode(source), _AT_CWD, os.fsencode(target), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):  # an old kernel, or a file system that cannot
        return False
    raise OSError(number, os.strerror(number), str(target))


def _renameat2() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        path = ctypes.c_char_p
        call.argtypes = (ctypes.c_int, path, ctypes.c_int, path, ctypes.c_uint)
    return call
