"""`mcdrop predict`: from disk to disk, in memory that does not grow with the data."""

from __future__ import annotations

from argparse import Namespace

from mcdrop.cli import calibrations
from mcdrop.cli.calibrations import Calibration, Fingerprint
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
from mcdrop.errors import DataError
from mcdrop.files import Output
from mcdrop.loading.rows import rows_at_once
from mcdrop.loading.saved import read_saved_model
from mcdrop.prediction import Prediction


def run(options: Namespace, terminal: Terminal) -> None:
    """Samples the data block by block and writes each batch of predictions at once."""
    check_passes(options)
    kind = kind_of_file(options.output)
    calibration = None
    if options.calibration is not None:
        calibration = calibrations.load(options.calibration)
        if calibration.adds_columns and options.output.suffix == ".npz":
            raise DataError(
                f"{options.output} cannot hold conformal sets or intervals; write them to a "
                ".parquet or .csv file."
            )
    read_saved_model(options.model)
    check_source(options.data)
    with claim_output(options, kind) as output:
        _predict(options, calibration, output, terminal)


def _predict(
    options: Namespace, calibration: Calibration | None, output: Output, terminal: Terminal
) -> None:
    mc = wrap_model(options.model, options, terminal)
    examples = open_examples(options.data, mc.model, options, terminal)
    trial = try_out(mc, examples, options)
    if calibration is not None:
        model = calibrations.fingerprint_of_model(mc.model)
        calibration.made_for.check(options.calibration, trial, model)
        _tell_differences(calibration, options, terminal)
    count = len(examples.fitted)
    tell_readings(examples, None, terminal)
    fingerprint = Fingerprint()
    blocks = examples.fitted.blocks(rows_at_once(examples.original.inputs.values()))
    with (
        terminal.progress("Predicting") as progress,
        output.draft() as draft,
        open_writer(draft, examples.original.numbers) as writer,
    ):
        for predictions in mc.predict_batches(
            map(fingerprint.add, blocks),
            num_samples=options.samples,
            seed=options.seed,
            batch_size=options.batch_size,
            tolerance=options.tolerance,
            on_nonfinite=options.on_nonfinite,
            progress=lambda done, total: progress(done, count),
        ):
            prediction = only_output(predictions)
            if calibration is None:
                writer.write(prediction, {})
            else:
                writer.write(*calibration.apply(prediction))
    if calibration is not None and fingerprint.digest() == calibration.made_for.fingerprint:
        terminal.warn(
            f"{options.data} holds the data that {options.calibration} was fitted on, so nothing "
            "that it promises holds for these predictions."
        )
    _tell(options, calibration, trial, count, terminal)


def _tell_differences(calibration: Calibration, options: Namespace, terminal: Terminal) -> None:
    found = calibration.made_for.differences(options.samples, options.masks, options.balanced)
    if options.tolerance is not None:
        found = "the same passes for all examples, not as many as --tolerance asks for"
    if found:
        terminal.warn(
            f"{options.calibration} was fitted on predictions with {found}; it may not hold for "
            "these."
        )


def _tell(
    options: Namespace,
    calibration: Calibration | None,
    trial: Prediction,
    count: int,
    terminal: Terminal,
) -> None:
    terminal.say(f"Predictions of {count} examples are in {options.output}.")
    if calibration is not None:
        terminal.say(f"Calibration {options.calibration}: {calibration.guarantee()}.")
    terminal.result(
        {
            "output": str(options.output),
            "task": trial.task,
            "num_examples": count,
            "num_samples": options.samples,
            "seed": options.seed,
        }
        | ({} if calibration is None else {"calibration": calibration.to_dict()})
    )
