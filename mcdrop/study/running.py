"""Running a study: a grid of networks times seeds, resumed where it was left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mcdrop._checks import as_array, check_count, check_number, check_seed
from mcdrop.errors import DataError
from mcdrop.files import replaced
from mcdrop.files.paths import as_path
from mcdrop.study.grid import Grid, settings_of
from mcdrop.study.paired import summarize
from mcdrop.study.plan import Found, Job, Plan, Row, Tick
from mcdrop.study.runs import KIND, TABLE, RunsFolder, fingerprint, open_folder
from mcdrop.study.training import Build, Examples, Schedule, Sets, Trainer

Progress = Callable[[int, int], None]

_PACKAGES = ("keras", "tensorflow", "numpy")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Attributes:
        name: Name of the study.
        runs: One row a run and step; columns `study`, `setting`, `seed`, the step (`epoch` in most
            studies), then scores.
        references: For each setting the one that it is set beside.
        confidence_level: Level of the intervals.
    """

    name: str
    runs: pd.DataFrame
    references: Mapping[str, str]
    confidence_level: float = 0.95

    def summary(self) -> pd.DataFrame:
        """Returns every score of every setting beside its reference; see `summarize`."""
        return summarize(self.runs, self.references, confidence_level=self.confidence_level)


def run(
    build: Build,
    grid: Grid,
    train: Any,
    test: Any,
    *,
    seeds: int | Sequence[int] = 5,
    epochs: int = 10,
    batch_size: int = 128,
    num_samples: int = 50,
    validation: Any = None,
    reference: str | Mapping[str, str] | None = None,
    confidence_level: float = 0.95,
    output: str | Path | None = None,
    resume: bool = False,
    name: str = "study",
    progress: Progress | None = None,
) -> StudyResult:
    """Trains every setting of a grid with every seed, and scores the networks.

    A seed decides the initial weights and the order of the data, and they are the same
    for every setting, so that differences between settings are paired. Scores of the epochs
    are measured with dropout off on both sets; those of the trained network also with Monte Carlo
    dropout where it has any. Training is plain `fit`.

    Args:
        build: Called with the arguments of a setting; returns a compiled Keras classifier of
            integer labels that ends in a softmax.
        grid: Arguments by setting, or lists of values by argument; see `settings_of`.
        train: Inputs and labels, `(x, y)`.
        test: The same, for the scores; nothing is chosen by them.
        seeds: Number of seeds, from 0 on, or the seeds themselves.
        epochs: Passes over the training data, at least 1.
        batch_size: Examples of a step.
        num_samples: Monte Carlo passes of the scores, at least 2.
        validation: Inputs and labels apart from both. With them the table says at which epoch their
            loss was lowest, and the test scores of that epoch.
        reference: Setting that the others are set beside, or for each setting its own; None takes
            the first.
        confidence_level: Level of the intervals over seeds, within (0, 1).
        output: Folder for `runs.csv`, `runs.parquet` and `study.json`, written after every run;
            None keeps nothing on disk.
        resume: Go on with the study in `output`.
        name: Name of the study, in its tables.
        progress: Called with (epochs done, epochs in all).

    Returns:
        The result. Equal arguments give equal tables on the same machine.

    Raises:
        DataError: The data, the grid or an argument do not fit, or `output` holds another study.
        ModelError: `build` returns no compiled model.

    Example:
        >>> import keras
        >>> def build(rate):
        ...     layers = [keras.layers.Dropout(rate), keras.layers.Dense(2, "softmax")]
        ...     model = keras.Sequential([keras.Input((3,)), *layers])
        ...     model.compile("adam", "sparse_categorical_crossentropy")
        ...     return model
        >>> x = np.eye(3, dtype="float32").repeat(4, axis=0)
        >>> data = x, np.arange(12) % 2
        >>> result = run(build, {"rate": [0.1, 0.5]}, data, data, seeds=2, epochs=1, num_samples=4)
        >>> result.runs[["setting", "seed", "epoch"]].to_numpy().tolist()
        [['rate=0.1', 0, 1], ['rate=0.5', 0, 1], ['rate=0.1', 1, 1], ['rate=0.5', 1, 1]]
    """
    settings = settings_of(grid)
    sets = Sets(
        as_examples("train", train),
        as_examples("test", test),
        None if validation is None else as_examples("validation", validation),
    )
    schedule = Schedule(
        check_count("epochs", epochs, minimum=1),
        check_count("batch_size", batch_size, minimum=1),
        check_count("num_samples", num_samples, minimum=2),
    )
    chosen = _as_seeds(seeds)
    plan = Plan(
        name=name,
        question="",
        settings=settings,
        references=_as_references(reference, list(settings)),
        headline=next(iter(settings)),
        jobs=grid_jobs(build, settings, sets, chosen, schedule),
        record=record_of(sets, chosen, schedule),
        scores={},
        spoken=(),
    )
    return execute(
        plan,
        output=output,
        resume=resume,
        progress=progress,
        confidence_level=confidence_level,
    )


def train_and_score(trainer: Trainer, setting: str, seed: int, tick: Tick) -> Found:
    """Returns one row of scores an epoch, as `Trainer` makes them."""
    rows = trainer(seed, tick)
    return Found([{"setting": setting, "seed": seed, **row} for row in rows])


def grid_jobs(
    build: Build,
    settings: Mapping[str, Mapping[str, Any]],
    sets: Sets,
    seeds: Sequence[int],
    schedule: Schedule,
    *,
    work: Callable[[Trainer, str, int, Tick], Found] = train_and_score,
    compile_once: bool = False,
) -> list[Job]:
    """Returns the work of a grid of networks times seeds, seed by seed.

    Args:
        build: Called with the arguments of a setting.
        settings: Arguments by name of the setting.
        sets: The data.
        seeds: The seeds.
        schedule: How long a network is trained.
        work: Trains and measures the network of a setting and seed; ticks once an epoch.
        compile_once: See `Trainer`.
    """
    trainers = {
        setting: Trainer(build, arguments, sets, schedule, compile_once=compile_once)
        for setting, arguments in settings.items()
    }

    def job(setting: str, seed: int) -> Job:
        def run_one(tick: Tick) -> Found:
            return work(trainers[setting], setting, seed, tick)

        return Job((setting,), (seed,), run_one, schedule.epochs)

    return [job(setting, seed) for seed in seeds for setting in settings]


def record_of(sets: Sets, seeds: Sequence[int], schedule: Schedule) -> dict[str, Any]:
    """Returns for study.json what decides the numbers of a study that trains networks."""
    counts = {"train": sets.train, "validation": sets.validation, "test": sets.test}
    return {
        "seeds": list(seeds),
        **asdict(schedule),
        "examples": {name: len(part) for name, part in counts.items() if part is not None},
        "data": fingerprint(*sets.arrays()),
    }


def execute(
    plan: Plan,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    confidence_level: float = 0.95,
) -> StudyResult:
    """Does the work of a study that is not on disk yet, and returns its table.

    Args:
        plan: The study.
        output: Folder of the study; None keeps nothing on disk.
        resume: Go on with the study in `output`.
        progress: Called with (steps done, steps in all).
        confidence_level: Level of the intervals over seeds, within (0, 1).

    Raises:
        DataError: `output` holds another study, or data or networks do not fit.
    """
    check_number("confidence_level", confidence_level, low=0.0, high=1.0, open_ends=True)
    if output is None:
        rows = _work(plan, None, progress)
    else:
        record = {
            "study": plan.name,
            "settings": {name: _plain(given) for name, given in plan.settings.items()},
            "references": dict(plan.references),
            **plan.record,
            "versions": {package: version(package) for package in _PACKAGES},
        }
        target = as_path("output", output)
        with open_folder(target, record, resume=resume) as folder:
            rows = _work(plan, folder, progress)
            with replaced(target / TABLE, KIND, force=True) as draft:
                in_order(plan, rows).to_parquet(draft, index=False)
    return StudyResult(plan.name, in_order(plan, rows), plan.references, confidence_level)


def _work(plan: Plan, folder: RunsFolder | None, progress: Progress | None) -> list[Row]:
    """Returns the rows of all runs; does those jobs that lack one."""
    finished = set() if folder is None else folder.finished
    waiting = [job for job in plan.jobs if not job.runs <= finished]
    total = sum(job.ticks for job in plan.jobs)
    done = total - sum(job.ticks for job in waiting)
    rows: list[Row] = []

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    for job in waiting:
        found = job.work(tick)
        rows += [{"study": plan.name, **row} for row in found.rows]
        if folder is not None:
            folder.add(plan.name, found)
    return rows if folder is None else folder.rows


def in_order(plan: Plan, rows: Sequence[Row]) -> pd.DataFrame:
    """Returns the rows by seed, setting in the order of the plan, and step."""
    frame = pd.DataFrame(rows)
    place = frame["setting"].map(list(plan.settings).index)
    order = frame.assign(_place=place).sort_values(["seed", "_place", plan.axis], kind="stable")
    keys = ["study", "setting", "seed", plan.axis]
    scores = [name for name in frame.columns if name not in keys]
    return order[keys + scores].reset_index(drop=True)


def as_examples(name: str, value: Any) -> Examples:
    """Returns inputs and labels as one record.

    Raises:
        DataError: It is no pair, the lengths differ, or the labels are no whole numbers from 0.
    """
    if isinstance(value, Examples):
        return value
    if not isinstance(value, Sequence) or len(value) != 2:
        raise DataError(
            f"`{name}` is a {type(value).__name__}, expected inputs and labels, (x, y)."
        )
    x, y = as_array(f"{name}[0]", value[0]), as_array(f"{name}[1]", value[1])
    if y.ndim != 1 or y.dtype.kind not in "iu" or len(x) != len(y) or len(y) < 2:
        raise DataError(
            f"`{name}` holds inputs of shape {x.shape} and labels of shape {y.shape} and type "
            f"{y.dtype}; expected (N, ...) and whole numbers of shape (N,), N at least 2."
        )
    if y.min() < 0:
        raise DataError(f"`{name}` holds the label {int(y.min())}, expected labels from 0.")
    return Examples(x, y.astype(np.int64))


def _as_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(seeds, int):
        chosen = tuple(check_seed("seeds", seed) for seed in seeds)
        if not chosen or len(set(chosen)) != len(chosen):
            raise DataError(f"`seeds` is {list(seeds)}, expected different seeds, at least one.")
        return chosen
    return tuple(range(check_count("seeds", seeds, minimum=1)))


def _as_references(
    reference: str | Mapping[str, str] | None, settings: Sequence[str]
) -> dict[str, str]:
    """Returns the reference of each setting, checked."""
    if isinstance(reference, Mapping):
        references = {setting: reference.get(setting, setting) for setting in settings}
    else:
        references = dict.fromkeys(settings, settings[0] if reference is None else reference)
    unknown = set(references.values()) - set(settings)
    if unknown:
        raise DataError(
            f"`reference` names {sorted(map(str, unknown))}, expected some of "
            f"{', '.join(settings)}."
        )
    return references


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments for study.json; what JSON has no form for as its text."""
    simple = (str, int, float, bool, type(None))
    return {
        name: value if isinstance(value, simple) else repr(value)
        for name, value in arguments.items()
    }
