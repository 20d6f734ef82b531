"""`mcdrop report`: sample a model on labelled data and write the report."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.cli import requirements
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import (
    Examples,
    check_passes,
    check_source,
    claim_output,
    leave_out_dropped,
    open_examples,
    read_labels,
    sample,
    sample_again,
    tell_readings,
    try_out,
    versions,
    wrap_model,
)
from mcdrop.errors import DataError
from mcdrop.evaluation import Evaluation, evaluate
from mcdrop.files import Output
from mcdrop.loading.saved import read_saved_model
from mcdrop.prediction import Prediction
from mcdrop.recalibrate import calibrations
from mcdrop.report.context import ReportContext, check_class_names
from mcdrop.report.writing import REPORT

if TYPE_CHECKING:
    from mcdrop.cli.recalibration import Fitted
    from mcdrop.report import Recalibration


def run(options: Namespace, terminal: Terminal) -> int:
    """Writes the report on one model; returns 3 when a requirement is not shown to hold."""
    from mcdrop.cli import recalibration, report_stored

    if options.predictions is not None:
        return report_stored.run(options, terminal)
    if options.model is None or options.data is None:
        raise DataError("A report needs MODEL and DATA, or --predictions DIR and --labels FILE.")
    check_passes(options)
    recalibration.check_options(options)
    requirements.check_names(options.require)
    read_saved_model(options.model)
    for source in filter(None, (options.data, options.ood, options.calibration_data)):
        check_source(source)
    with claim_output(options, REPORT) as output:
        return _report(options, output, terminal)


def _report(options: Namespace, output: Output, terminal: Terminal) -> int:
    from mcdrop.cli import recalibration

    mc = wrap_model(options.model, options, terminal)
    examples = open_examples(options.data, mc.model, options, terminal)
    mc, trial = try_out(mc, examples, options, terminal)
    requirements.check_names(options.require, trial.task)
    labels = read_labels(examples, trial)
    check_class_names(trial, labels.class_names)
    examples = examples.named(labels.class_names)
    other_data = _open_more(options.ood, mc, options, terminal, is_labelled=False)
    its_labels = Namespace(**vars(options) | {"labels": options.calibration_labels})
    held_out = _open_more(options.calibration_data, mc, its_labels, terminal, is_labelled=True)
    fitted = None
    if held_out is not None:
        calibrations.check_task("--recalibrate", options.recalibrate, trial)
        held_out_labels = read_labels(held_out, trial, labels.class_names)
        fitted = recalibration.fit(mc, held_out, held_out_labels.values, options, terminal)
    readings = tell_readings(examples, labels, terminal)
    for more in filter(None, (other_data, held_out)):
        readings += tell_readings(more, None, terminal)
    started = time.monotonic()
    prediction = sample(mc, examples, options, terminal, "Sampling")
    seconds = time.monotonic() - started
    prediction, examples, y = leave_out_dropped(prediction, examples, labels.values)
    others = (
        sample(mc, other_data, options, terminal, "Sampling other data") if other_data else None
    )
    evaluation = score(prediction, y, options).with_warnings(examples.warnings)
    context = make_context(mc, options, seconds, readings)
    again = sample_again(mc, examples, options, terminal)
    return publish(
        evaluation,
        examples,
        context,
        options,
        output,
        terminal,
        fitted,
        others=others,
        sampled=again,
    )


def score(prediction: Prediction, targets: NDArray[Any], options: Namespace) -> Evaluation:
    """Returns the evaluation with the metrics that the options ask for."""
    metrics = requirements.metrics_for(options.require, prediction.task, options.metrics)
    return evaluate(prediction, targets, metrics=metrics)


def publish(
    evaluation: Evaluation,
    examples: Examples,
    context: ReportContext,
    options: Namespace,
    output: Output,
    terminal: Terminal,
    fitted: Fitted | None = None,
    **more: Any,
) -> int:
    """Writes the report, and says what it found; returns the exit status.

    Args:
        evaluation: What to report on.
        examples: Its data.
        context: Where the numbers come from.
        options: As the user gave them.
        output: The claimed directory.
        terminal: Where to say what was found.
        fitted: A calibrator to show the effect of.
        **more: What else `write` takes.
    """
    from mcdrop.cli import recalibration

    outcomes = requirements.judge(options.require, evaluation)
    context = replace(context, requirements=outcomes)
    repaired = fitted.repair(evaluation.prediction) if fitted is not None else None
    result: dict[str, Any] = {"output": str(options.output), "evaluation": evaluation.to_dict()}
    with output.draft() as draft:
        write(draft, evaluation, examples, context, repaired=repaired, **more)
        if outcomes:
            result["requirements"] = requirements.as_records(outcomes)
            _add_to_numbers(draft, "requirements", result["requirements"])
        if fitted is not None:
            fitted.save(draft)
            numbers = json.loads((draft / "report.json").read_text(encoding="utf-8"))
            about = {"kind": fitted.kind, "file": recalibration.FILE_NAME}
            result["recalibration"] = about | numbers["recalibration"]
    terminal.say(evaluation.to_text())
    if fitted is not None:
        terminal.say(f"\n{recalibration.to_text(result['recalibration'])}")
    tell(options.output, terminal)
    terminal.result(result)
    return requirements.tell(outcomes, terminal)


def _add_to_numbers(folder: Path, name: str, value: Any) -> None:
    from mcdrop.report import numbers

    path = folder / "report.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(numbers.add_field(text, name, value), encoding="utf-8")


def make_context(
    mc: Any, options: Namespace, seconds: float, readings: Sequence[str] = ()
) -> ReportContext:
    """Returns what a report says about its origin."""
    return ReportContext(
        model_name=Path(options.model).name,
        data_name=Path(options.data).name,
        command=options.command_line,
        seed=options.seed,
        versions=versions(),
        layers=mc.stochastic_layers,
        share_run_once=mc.share_run_once,
        seconds=seconds,
        readings=readings,
    )


def write(
    folder: Path,
    evaluation: Evaluation,
    examples: Examples,
    context: ReportContext,
    *,
    others: Prediction | None = None,
    repaired: Recalibration | None = None,
    sampled: Callable[[NDArray[np.intp]], Prediction] | None = None,
) -> None:
    """Writes the files of a report into a new folder."""
    from mcdrop import report

    report.write(
        evaluation,
        folder,
        x=examples.pictures(),
        class_names=examples.original.class_names,
        out_of_distribution=others,
        recalibration=repaired,
        context=context,
        sampled=sampled,
    )


def tell(folder: Path, terminal: Terminal) -> None:
    """Says where the report is."""
    terminal.say(f"\nThe report is in {folder / 'index.html'}.")


def _open_more(
    source: str | None, mc: Any, options: Namespace, terminal: Terminal, *, is_labelled: bool
) -> Examples | None:
    """Opens further data, when they were given, and tries their first examples."""
    if source is None:
        return None
    examples = open_examples(source, mc.model, options, terminal, is_labelled=is_labelled)
    try_out(mc, examples, options, terminal)
    return examples
