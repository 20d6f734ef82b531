"""`mcdrop study`: what dropout does to a model, answered with several seeds."""

from __future__ import annotations

import contextlib
import csv
import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcdrop.cli.terminal import Terminal, import_keras
from mcdrop.errors import DataError

if TYPE_CHECKING:
    from mcdrop.study.training import Examples

PAGE = "index.html"


def run(options: Namespace, terminal: Terminal) -> None:
    """Trains what the study asks for, run by run, and writes its table and its page."""
    import_keras(verbose=terminal.verbose)
    from mcdrop import study
    from mcdrop.study.answers import answer
    from mcdrop.study.builtin import STUDIES
    from mcdrop.study.page import render
    from mcdrop.study.runs import RECORD, replace_text

    chosen = STUDIES[options.name]()
    train, test = (_examples(options.data, split) for split in ("train", "test"))
    if options.train_size is not None:
        train = _first(train, options.train_size)
    num_classes = int(max(train.y.max(), test.y.max())) + 1
    with terminal.progress("Training") as progress, told_what_is_kept(options.output):
        result = study.run(
            chosen.build(train.x.shape[1:], num_classes),
            chosen.grid(),
            train,
            test,
            seeds=options.seeds,
            epochs=options.epochs,
            num_samples=options.samples,
            reference=chosen.references,
            output=options.output,
            resume=options.resume,
            name=chosen.name,
            progress=progress,
        )
    record = json.loads((options.output / RECORD).read_text(encoding="utf-8"))
    replace_text(options.output / PAGE, render(chosen, result, record, options.data))
    summary = result.summary()
    terminal.say(answer(summary, chosen.headline, chosen.references[chosen.headline]))
    terminal.say(f"The study is in {options.output / PAGE}.")
    table = summary.astype(object).where(summary.notna(), None)
    terminal.result({"output": str(options.output), "summary": table.to_dict("records")})


@contextlib.contextmanager
def told_what_is_kept(folder: Path) -> Iterator[None]:
    """Adds to a request to stop how many runs are on disk, and how to go on with them."""
    from mcdrop.study.runs import RUNS

    try:
        yield
    except KeyboardInterrupt as stop:
        if (folder / RUNS).is_file():
            with (folder / RUNS).open(encoding="utf-8", newline="") as file:
                count = len({(row["setting"], row["seed"]) for row in csv.DictReader(file)})
            runs = "1 finished run is" if count == 1 else f"{count} finished runs are"
            stop.add_note(f"{runs} kept in {folder}, go on with --resume")
        raise


def _examples(name: str, split: str) -> Examples:
    """Returns images with a channel axis and values in [0, 1], and their labels."""
    from mcdrop.loading import load_named
    from mcdrop.study.training import Examples

    images = load_named(name, split=split)
    x = images.x[..., np.newaxis] if images.x.ndim == 3 else images.x
    if x.dtype == np.uint8:
        x = (x / 255.0).astype(np.float32)
    return Examples(x, images.y)


def _first(examples: Examples, count: int) -> Examples:
    from mcdrop.study.training import Examples

    if count > len(examples):
        raise DataError(
            f"--train-size is {count}, but there are {len(examples)} training examples."
        )
    return Examples(examples.x[:count], examples.y[:count])
