"""`mcdrop predict`: from disk to disk, in memory that does not grow with the data."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from mcdrop.cli import predict_parts
from mcdrop.cli.predicting import Predicting
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import check_passes, check_source, claim_output
from mcdrop.cli.writers import kind_of_file, open_writer
from mcdrop.distributed.columns import ABSTAIN
from mcdrop.errors import DataError
from mcdrop.loading.saved import read_saved_model
from mcdrop.recalibrate import calibrations


def run(options: Namespace, terminal: Terminal) -> None:
    """Samples the data block by block and writes each batch of predictions at once."""
    check_passes(options)
    in_parts = not options.output.suffix
    if not in_parts and (options.resume or options.scorable or options.part_size is not None):
        raise DataError(
            f"{options.output} is a file; --resume, --part-size and --scorable need a "
            "folder of parts, an output without a suffix."
        )
    if options.engine != "ray" and (options.workers is not None or options.address is not None):
        raise DataError("--workers and --address are for --engine ray; add it, or leave them out.")
    if options.engine == "ray" and not in_parts:
        raise DataError(
            f"{options.output} is a file; --engine ray writes a folder of parts, an output without "
            "a suffix."
        )
    kind = None if in_parts else kind_of_file(options.output)
    calibration = None
    if options.calibration is not None:
        calibration = calibrations.load(options.calibration)
        if calibration.adds_columns and options.output.suffix == ".npz":
            raise DataError(
                f"{options.output} cannot hold conformal sets or intervals; write them to a "
                ".parquet or .csv file."
            )
    if options.abstain_above is not None and options.output.suffix == ".npz":
        raise DataError(
            f"{options.output} cannot hold the column of --abstain-above; write it to a "
            ".parquet or .csv file."
        )
    read_saved_model(options.model)
    check_source(options.data)
    if kind is None:
        predict_parts.run(options, calibration, terminal)
        return
    with claim_output(options, kind) as output:
        predicting = Predicting.open(options, calibration, terminal)
        abstained = 0
        with (
            terminal.progress("Predicting") as progress,
            output.draft() as draft,
            open_writer(draft, len(predicting)) as writer,
        ):
            for prediction, columns in predicting.batches(predicting.blocks(), progress):
                writer.write(prediction, columns)
                abstained += int(np.sum(columns.get(ABSTAIN, ())))
        predicting.tell(terminal)
        if options.abstain_above is not None:
            terminal.say(f"{abstained} of {len(predicting)} are for a person: column {ABSTAIN!r}.")
