"""`mcdrop predict` into a folder of parts, which can be resumed however it ended."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from os.path import realpath
from pathlib import Path
from typing import Any

from mcdrop.cli.predicting import Predicting
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import claim_output
from mcdrop.cli.writers import ParquetWriter
from mcdrop.distributed.parts import PARTS, PartsFolder, read_record, remove_parts
from mcdrop.errors import DataError
from mcdrop.files.manifest import checksum
from mcdrop.recalibrate.calibrations import Calibration, Fingerprint

PART_SIZE = 65536

_SETTINGS = (
    *("samples", "splitting", "seed", "layers", "masks", "balanced", "task", "model_output"),
    *("gaussian_scale", "compute_dtype", "tolerance", "on_nonfinite", "limit", "drop_missing"),
    "abstain_above",
)
"""Options that decide the numbers; what decides the inputs is seen in their checksums."""

_PACKAGES = ("mcdrop", "keras", "tensorflow", "numpy")


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
            predicting = Predicting.open(options, calibration, terminal)
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
        "versions": {package: version(package) for package in _PACKAGES},
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
    """Removes what an earlier run left unfinished, with --force."""
    read_record(folder)
    if not options.force:
        raise DataError(
            f"{folder} holds the parts of an unfinished run. Go on with --resume, or begin anew "
            "with --force."
        )
    remove_parts(folder)


def _write(
    predicting: Predicting, parts: PartsFolder, size: int, progress: Callable[[int, int], None]
) -> int:
    """Goes through the data part by part; returns the number of parts."""
    stream = _Stream(predicting.blocks())
    count = len(predicting)
    starts = range(0, count, size)
    try:
        for number, start in enumerate(starts):
            stop = min(start + size, count)
            inputs = Fingerprint()
            blocks = map(inputs.add, stream.take(stop - start))
            known = parts.find(number)
            if known is not None:
                for _ in blocks:
                    pass
                if (known.start, known.stop, known.inputs) != (start, stop, inputs.digest()):
                    raise DataError(
                        f"{predicting.options.data} changed since {known.part} was made of it "
                        f"(examples {known.start} to {known.stop - 1}). Resume with the same data, "
                        "or name another folder."
                    )
                progress(stop, count)
                continue
            with parts.add(number) as (draft, rows):
                with ParquetWriter(draft) as writer:
                    chosen = slice(start, stop)
                    for prediction, columns in predicting.batches(blocks, progress, chosen):
                        writer.write(prediction, columns)
                rows |= {"start": start, "stop": stop, "inputs": inputs.digest()}
        if parts.num_finished != len(starts):
            raise DataError(
                f"{predicting.options.data} has {count} examples, fewer than the parts in "
                f"{parts.path}. Resume with the same data, or name another folder."
            )
    except KeyboardInterrupt as stopped:
        stopped.add_note(
            f"{parts.num_finished} of {len(starts)} parts are finished; go on with --resume"
        )
        raise
    return len(starts)


class _Stream:
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
