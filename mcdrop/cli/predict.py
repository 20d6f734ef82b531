"""`mcdrop predict`: from disk to disk, in memory that does not grow with the data."""

from __future__ import annotations

from argparse import Namespace

from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import (
    check_passes,
    check_source,
    claim_output,
    only_output,
    open_examples,
    tell_readings,
    try_out,
    wrap_model,
)
from mcdrop.cli.writers import kind_of_file, open_writer
from mcdrop.files import Output
from mcdrop.loading.rows import rows_at_once
from mcdrop.loading.saved import read_saved_model
from mcdrop.prediction import Prediction


def run(options: Namespace, terminal: Terminal) -> None:
    """Samples the data block by block and writes each batch of predictions at once."""
    check_passes(options)
    kind = kind_of_file(options.output)
    read_saved_model(options.model)
    check_source(options.data)
    with claim_output(options, kind) as output:
        _predict(options, output, terminal)


def _predict(options: Namespace, output: Output, terminal: Terminal) -> None:
    mc = wrap_model(options.model, options, terminal)
    examples = open_examples(options.data, mc.model, options, terminal)
    trial = try_out(mc, examples, options)
    count = len(examples.fitted)
    tell_readings(examples, None, terminal)
    with (
        terminal.progress("Predicting") as progress,
        output.draft() as draft,
        open_writer(draft, examples.original.numbers) as writer,
    ):
        for predictions in mc.predict_batches(
            examples.fitted.blocks(rows_at_once(examples.original.inputs.values())),
            num_samples=options.samples,
            seed=options.seed,
            batch_size=options.batch_size,
            tolerance=options.tolerance,
            on_nonfinite=options.on_nonfinite,
            progress=lambda done, total: progress(done, count),
        ):
            writer.write(only_output(predictions))
    _tell(options, trial, count, terminal)


def _tell(options: Namespace, trial: Prediction, count: int, terminal: Terminal) -> None:
    terminal.say(f"Predictions of {count} examples are in {options.output}.")
    terminal.result(
        {
            "output": str(options.output),
            "task": trial.task,
            "num_examples": count,
            "num_samples": options.samples,
            "seed": options.seed,
        }
    )
