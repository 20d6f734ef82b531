"""Studies of dropout: grids of networks times seeds, with paired differences."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcdrop.study.grid import settings_of as settings_of
    from mcdrop.study.paired import summarize as summarize
    from mcdrop.study.running import StudyResult as StudyResult
    from mcdrop.study.running import run as run

_HOMES = {
    "StudyResult": "running",
    "run": "running",
    "settings_of": "grid",
    "summarize": "paired",
}

__all__ = ["StudyResult", "run", "settings_of", "summarize"]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: `mcdrop study --help` asks for the questions."""
    if name in _HOMES:
        import_module("mcdrop.engine")  # refuses another backend before Keras is imported
        return getattr(import_module(f"mcdrop.study.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mcdrop.study' has no attribute {name!r}")
