"""Studies of dropout: grids of networks times seeds, with paired differences."""

from mcdrop.study.grid import settings_of as settings_of
from mcdrop.study.paired import summarize as summarize
from mcdrop.study.running import StudyResult as StudyResult
from mcdrop.study.running import run as run

__all__ = ["StudyResult", "run", "settings_of", "summarize"]
