"""`mcdrop study`: what dropout does to a model, answered with several seeds."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from mcdrop.cli.terminal import Terminal, import_keras
from mcdrop.study.plan import Request

PAGE = "index.html"


def run(options: Namespace, terminal: Terminal) -> None:
    """Does the work of the study, run by run, and writes its table and its page."""
    import_keras(verbose=terminal.verbose)
    from mcdrop.study.answers import answers
    from mcdrop.study.catalog import plan_study
    from mcdrop.study.page import render
    from mcdrop.study.running import execute
    from mcdrop.study.runs import read_pictures, read_record, write

    plan = plan_study(options.name, request_of(options))
    with terminal.progress("Training") as progress, told_what_is_kept(options.output):
        result = execute(plan, output=options.output, resume=options.resume, progress=progress)
    pictures = read_pictures(options.output)
    page = render(plan, result, read_record(options.output), options.data, pictures)
    write(options.output / PAGE, page.encode())
    summary = result.summary()
    terminal.say(answers(plan, result.runs, summary)[0])
    terminal.say(f"The study is in {options.output / PAGE}.")
    table = summary.astype(object).where(summary.notna(), None)
    terminal.result({"output": str(options.output), "summary": table.to_dict("records")})


def request_of(options: Namespace) -> Request:
    """Returns what the options ask of a study."""
    return Request(
        data=options.data,
        seeds=options.seeds,
        epochs=options.epochs,
        num_samples=options.samples,
        train_size=options.train_size,
        test_size=options.test_size,
    )


@contextlib.contextmanager
def told_what_is_kept(folder: Path) -> Iterator[None]:
    """Adds to a request to stop how many runs are on disk, and how to go on with them."""
    from mcdrop.study.runs import RUNS, read_rows

    try:
        yield
    except KeyboardInterrupt as stop:
        if (folder / RUNS).is_file():
            count = len({(row["setting"], row["seed"]) for row in read_rows(folder)})
            runs = "1 finished run is" if count == 1 else f"{count} finished runs are"
            stop.add_note(f"{runs} kept in {folder}, go on with --resume")
        raise
