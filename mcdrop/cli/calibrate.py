"""`mcdrop calibrate`: fit on held-out data what repairs or bounds later predictions."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import (
    check_passes,
    check_source,
    claim_output,
    open_examples,
    read_labels,
    sample,
    tell_readings,
    try_out,
    wrap_model,
)
from mcdrop.errors import DataError
from mcdrop.files import Kind, Output
from mcdrop.loading.saved import read_saved_model
from mcdrop.recalibrate import SAVED_CALIBRATOR, calibrations
from mcdrop.recalibrate.calibrations import Calibration, Fingerprint, MadeFor


def run(options: Namespace, terminal: Terminal) -> None:
    """Samples the data, fits the calibration and writes it."""
    check_passes(options)
    if options.tolerance is not None:
        raise DataError("calibrate needs the same passes for all; leave --tolerance out.")
    read_saved_model(options.model)
    check_source(options.data)
    kind = Kind("a calibration", SAVED_CALIBRATOR.recognise)
    with claim_output(options, kind) as output:
        _calibrate(options, output, terminal)


def _calibrate(options: Namespace, output: Output, terminal: Terminal) -> None:
    mc = wrap_model(options.model, options, terminal)
    examples = open_examples(options.data, mc.model, options, terminal)
    mc, trial = try_out(mc, examples, options, terminal)
    calibrations.check_task("--method", options.method, trial)
    labels = read_labels(examples, trial)
    tell_readings(examples, labels, terminal)
    y = labels.values
    prediction = sample(mc, examples, options, terminal, "Sampling")
    data_name = Path(options.data).name
    try:
        calibrator = calibrations.fit(options.method, prediction, y, options.level)
    except DataError as error:
        raise DataError(f"--method {options.method} on {data_name}: {error}") from error
    made_for = MadeFor.of(
        options.method,
        prediction,
        y,
        data_name=data_name,
        fingerprint=Fingerprint.of(examples.blocks()),
        model=calibrations.fingerprint_of_model(mc.model),
    )
    calibration = Calibration(calibrator, made_for)
    with output.draft() as draft:
        calibration.save(draft)
    terminal.say(f"The calibration is in {options.output}: {calibration.guarantee()}.")
    terminal.result({"output": str(options.output)} | json.loads(json.dumps(calibration.to_dict())))
