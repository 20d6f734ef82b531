"""Showing how far the work is: a bar, a function of the user's, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mcdrop.errors import DataError

Report = Callable[[int, int | None], None]
Progress = bool | Report | None
"""True for a bar on a terminal or in a notebook, None or False for none, or a function."""


@contextmanager
def showing(progress: Progress) -> Iterator[Report | None]:
    """Yields the function to call with (examples done, N or None), None for no progress."""
    if progress is not True:
        yield progress or None
        return
    from rich.progress import Progress as Bar

    with Bar(transient=True) as bar:
        task = bar.add_task("Sampling", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def check_progress(progress: object) -> None:
    """Raises DataError unless `progress` is None, a truth value or a function."""
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise DataError(
            f"`progress` is {progress!r}, expected None, True for a bar, or a function of "
            "(examples done, N or None)."
        )
