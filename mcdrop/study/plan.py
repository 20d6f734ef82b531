"""What a study is: settings, the work that fills its table, and how the table is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Tick = Callable[[], None]

POINTS = 100.0


@dataclass(frozen=True)
class Request:
    """What was asked of a built-in study.

    Attributes:
        data: Name of the data set, or a folder for the study that reads one.
        seeds: Number of seeds.
        epochs: Passes over the training data.
        num_samples: Monte Carlo passes.
        train_size: Training examples; None takes all.
        test_size: Test examples; None takes all.
    """

    data: str
    seeds: int
    epochs: int
    num_samples: int
    train_size: int | None = None
    test_size: int | None = None


@dataclass(frozen=True)
class Score:
    """A column of the table as tables and sentences speak of it.

    Attributes:
        title: Name for a reader.
        unit: Unit behind a number.
        scale: Factor from the column to that unit.
        digits: Decimals.
    """

    title: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 4

    @property
    def name(self) -> str:
        """The title within a sentence: as it is where it begins with an abbreviation.

        Example:
            >>> Score("Test loss").name, Score("AUROC for errors").name
            ('test loss', 'AUROC for errors')
        """
        abbreviated = self.title[1:2].isupper()
        return self.title if abbreviated else self.title[0].lower() + self.title[1:]


@dataclass(frozen=True, eq=False)
class Found:
    """What a job found.

    Attributes:
        rows: Rows of the table, each with `setting`, `seed`, the study's axis, and scores.
        pictures: Images to keep by name, uint8 of shape (height, width) or (height, width, 3).
    """

    rows: Sequence[Row]
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Job:
    """The smallest piece of work that is kept on disk: all runs that are made at once.

    Attributes:
        settings: Names of the settings it serves.
        seeds: Seeds it serves, each with every setting.
        work: Does it; calls its argument `ticks` times, for the progress.
        ticks: Steps of progress.
    """

    settings: tuple[str, ...]
    seeds: tuple[int, ...]
    work: Callable[[Tick], Found]
    ticks: int = 1

    @property
    def runs(self) -> set[tuple[str, int]]:
        """Setting and seed of every run that it makes."""
        return {(setting, seed) for setting in self.settings for seed in self.seeds}


@dataclass(frozen=True, eq=False)
class Plan:
    """A study before it is run.

    A setting is named "group, name"; page and figures have a section for each group.

    Attributes:
        name: Name of the study.
        question: What it asks.
        settings: For each setting what sets it apart, for the record.
        references: For each setting the one that it is set beside.
        headline: The setting that the first sentence of the answer is about.
        jobs: The work, in order; seed by seed where that is possible, so that a study cut short
            is still paired.
        record: What else decides the numbers: data, sizes, seeds, epochs.
        axis: Column that numbers the rows of a run: epochs, passes, severities.
        scores: The columns that the page shows, in order; differences are those of the last
            row of a run.
        spoken: Those of the sentences and of the figures of differences.
        drawn: Those drawn against the axis.
        logarithmic: Whether the axis is drawn in powers of ten.
        answers: Makes the sentences of the page, the answer first; None takes one a setting.
        pictures: Captions of the pictures by name.
    """

    name: str
    question: str
    settings: Mapping[str, Mapping[str, Any]]
    references: Mapping[str, str]
    headline: str
    jobs: Sequence[Job]
    record: Mapping[str, Any]
    scores: Mapping[str, Score]
    spoken: tuple[str, ...]
    drawn: tuple[str, ...] = ()
    axis: str = "epoch"
    logarithmic: bool = False
    answers: Callable[[pd.DataFrame, pd.DataFrame], Sequence[str]] | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)


def signed(number: float, digits: int) -> str:
    """Returns a difference with its sign, without one where nothing but zeros is left.

    Example:
        >>> signed(0.26, 1), signed(-0.00001, 4), signed(float("nan"), 1)
        ('+0.3', '0.0000', '+nan')
    """
    text = f"{number:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def beside(settings: Iterable[str], name: str) -> dict[str, str]:
    """Returns for each setting "group, ..." the one of the same group called `name`.

    Example:
        >>> beside(["mlp, none", "mlp, rate 0.5"], "none")
        {'mlp, none': 'mlp, none', 'mlp, rate 0.5': 'mlp, none'}
    """
    return {setting: f"{group_of(setting)}, {name}" for setting in settings}


def group_of(setting: str) -> str:
    """Returns the group of a setting: what stands before the comma of its name."""
    return setting.split(", ", 1)[0]


def short_name(setting: str) -> str:
    """Returns the name of a setting without that of its group, which the heading gives."""
    return setting.split(", ", 1)[-1]
