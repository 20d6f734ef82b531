"""`mcdrop predict` into a folder of parts, which can be resumed however it ended."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Any

from mcdrop.cli.predicting import Predicting
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import claim_output, versions
from mcdrop.cli.writers import ParquetWriter
from mcdrop.distributed.dtypes import check_dtype, dtype_here
from mcdrop.distributed.parts import (
    PARTS,
    Part,
    PartsFolder,
    has_parts,
    read_record,
    remove_parts,
    write_part,
)
from mcdrop.errors import DataError
from mcdrop.files.manifest import checksum
from mcdrop.prediction import EXAMPLE
from mcdrop.recalibrate.calibrations import Calibration, Fingerprint

PART_SIZE = 65536

_SETTINGS = (
    *("samples", "splitting", "seed", "layers", "masks", "balanced", "task", "model_output"),
    *("gaussian_scale", "compute_dtype", "tolerance", "on_nonfinite", "limit", "drop_missing"),
    *("abstain_above", "scorable"),
)
"""Options that decide the numbers; what decides the inputs is seen in their checksums."""


def run(options: Namespace, calibration: Calibration | None, terminal: Terminal) -> None:
    """Writes the parts that are missing, and looks at the inputs of those that are there.

    Raises:
        DataError: The model, the data or a setting changed since the parts were made, the folder
            may not be written, or the disk is full.
    """
    record = _record(options)
    with _partial_folder(options, record) as folder:
        with claim_output(options, PARTS) as output:
            if not options.resume and folder.exists():
                _make_room(options, folder)
            parts = PartsFolder(folder, record)
            # What the run that began them settled on holds, whatever this machine would.
            settled = Namespace(**{**vars(options), **parts.settled})
            predicting = Predicting.open(settled, calibration, terminal)
            if parts.settled:
                check_dtype(settled.compute_dtype)
            else:
                dtype = dtype_here(options.compute_dtype)
                parts.settle(splitting=predicting.mc.splitting, compute_dtype=dtype)
            with terminal.progress("Predicting") as progress:
                num_parts = _write(predicting, parts, record["part_size"], progress)
            parts.publish(output)
        predicting.tell(terminal, num_parts=num_parts)


def _record(options: Namespace) -> dict[str, Any]:
    """Returns what decides the numbers."""
    given = options.calibration
    record = {
        "model": checksum(options.model),
        "calibration": None if given is None else checksum(given),
        "imports": [checksum(Path(n)) if n.endswith(".py") else n for n in options.imports],
        "part_size": options.part_size or PART_SIZE,
        **{name: getattr(options, name) for name in _SETTINGS},
        "versions": {name: found for name, found in versions().items() if name != "python"},
    }
    # As it is read again: a list of layers or counts is no tuple there.
    return dict(json.loads(json.dumps(record)))


@contextmanager
def _partial_folder(options: Namespace, record: Mapping[str, Any]) -> Iterator[Path]:
    """Yields the folder in which parts grow: a finished output that is resumed becomes it again."""
    target = Path(realpath(options.output))
    folder = target.with_name(f"{target.name}.partial")
    is_finished = options.resume and target.is_dir() and not folder.exists()
    if not is_finished or Path.cwd().is_relative_to(target):  # what `claim` refuses
        yield folder
        return
    PartsFolder(target, record)
    target.rename(folder)
    try:
        yield folder
    except BaseException:
        if folder.exists() and not target.exists():
            folder.rename(target)
        raise


def _make_room(options: Namespace, folder: Path) -> None:
    """Removes what an earlier run left unfinished: with --force, or where no part was finished."""
    read_record(folder)
    if not options.force and has_parts(folder):
        raise DataError(
            f"{folder} holds the parts of an unfinished run. Go on with --resume, or begin anew "
            "with --force."
        )
    remove_parts(folder)


def _write(
    predicting: Predicting, parts: PartsFolder, size: int, progress: Callable[[int, int], None]
) -> int:
    """Goes through the data part by part; returns the number of parts."""
    options, count = predicting.options, len(predicting)
    starts = range(0, count, size)
    jobs = (
        Job(number, start, min(start + size, count), parts.find(number))
        for number, start in enumerate(starts)
    )
    try:
        if options.engine == "ray":
            from mcdrop.cli import predict_ray

            _collect(predict_ray.run(list(jobs), parts.path, predicting), parts, count, progress)
        else:
            blocks = Blocks(predicting.blocks())
            for job in jobs:
                part = do_job(job, parts.path, predicting, blocks, progress)
                if part is not None:
                    parts.vouch(part)
        if parts.num_finished != len(starts):
            raise DataError(
                f"{options.data} has {count} examples, fewer than the parts in {parts.path}. "
                "Resume with the same data, or name another folder."
            )
    except KeyboardInterrupt as stopped:
        stopped.add_note(
            f"{parts.num_finished} of {len(starts)} parts are finished; go on with --resume"
        )
        raise
    return len(starts)


def _collect(
    done: Iterator[tuple[Job, Part | None]],
    parts: PartsFolder,
    count: int,
    progress: Callable[[int, int], None],
) -> None:
    """Lists the parts that workers finish, in any order."""
    examples = 0
    for job, part in done:
        if part is not None:
            parts.vouch(part)
        examples += job.stop - job.start
        progress(examples, count)


@dataclass(frozen=True)
class Job:
    """A part to make, or to look at.

    Attributes:
        number: Number of the part.
        start: Position of its first example among those predicted.
        stop: Position after its last example.
        known: The part that is there, whose inputs must be the same.
    """

    number: int
    start: int
    stop: int
    known: Part | None


def do_job(
    job: Job,
    folder: Path,
    predicting: Predicting,
    stream: Blocks,
    progress: Callable[[int, int], None],
) -> Part | None:
    """Makes a part and returns it; looks at one that is whole, and its inputs, and returns None.

    Args:
        job: What to do.
        folder: The folder of parts.
        predicting: The model and the data.
        stream: The inputs from the first example of the part on.
        progress: Called with (examples done, all of them).

    Raises:
        DataError: The inputs changed, do not fit, or the folder cannot be written.
    """
    known = job.known if job.known is not None and job.known.is_whole(folder) else None
    inputs = Fingerprint()
    inputs.add({EXAMPLE: predicting.examples.original.numbers[job.start : job.stop]})
    blocks = map(inputs.add, stream.take(job.stop - job.start))
    if known is not None:
        for _ in blocks:
            pass
        if (known.start, known.stop, known.inputs) != (job.start, job.stop, inputs.digest()):
            raise DataError(
                f"{predicting.options.data} changed since {known.part} was made of it (examples "
                f"{known.start} to {known.stop - 1}). Resume with the same data, or name another "
                "folder."
            )
        progress(job.stop, len(predicting))
        return None

    def write(draft: Path) -> dict[str, Any]:
        with ParquetWriter(draft, scorable=predicting.options.scorable) as writer:
            chosen = slice(job.start, job.stop)
            for prediction, columns in predicting.batches(blocks, progress, chosen):
                writer.write(prediction, columns)
        return {"start": job.start, "stop": job.stop, "inputs": inputs.digest()}

    return write_part(folder, job.number, write)


class Blocks:
    """Blocks of inputs that are taken in any numbers of examples."""

    def __init__(self, blocks: Iterator[Any]) -> None:
        self._blocks = blocks
        self._held: Any = None

    def take(self, count: int) -> Iterator[Any]:
        """Yields the next `count` examples."""
        while count:
            block = next(self._blocks) if self._held is None else self._held
            size = _count(block)
            self._held = _cut(block, slice(count, None)) if size > count else None
            yield block if size <= count else _cut(block, slice(count))
            count -= min(size, count)


def _count(block: Any) -> int:
    arrays = list(block.values()) if isinstance(block, Mapping) else block
    return len(arrays[0] if isinstance(arrays, list) else arrays)


def _cut(block: Any, rows: slice) -> Any:
    if isinstance(block, Mapping):
        return {name: array[rows] for name, array in block.items()}
    return [array[rows] for array in block] if isinstance(block, list) else block[rows]
