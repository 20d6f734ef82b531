"""Requests to stop, held back while a finished output takes its place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals by which a user or a system asks a process to stop; Windows has no SIGHUP."""


class Stopped(KeyboardInterrupt):
    """A request to stop, raised where the program was; `number` is the signal's.

    A KeyboardInterrupt, because that is what cleans up everywhere and is swallowed nowhere.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stopping_raises() -> Iterator[None]:
    """Turns the first request to stop into `Stopped`; later ones wait for the cleaning up.

    A signal that the process was started to ignore, as `nohup` does, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for other in handled:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    handled = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    with _handlers(handled, stop):
        yield


@contextmanager
def stopping_waits() -> Iterator[None]:
    """Holds requests to stop back until the block ends, so that it is done wholly."""
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    handled = [number for number in STOPPING if callable(signal.getsignal(number))]
    try:
        with _handlers(handled, note):
            yield
    finally:
        for number in waiting[:1]:
            signal.raise_signal(number)


@contextmanager
def _handlers(numbers: list[int], handler: Any) -> Iterator[None]:
    """Sets a handler for a while; does nothing outside the main thread, where none can be set."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
