"""`mcdrop demo`: the whole way on real images, with nothing to prepare."""

from __future__ import annotations

import time
from argparse import Namespace

from mcdrop.cli import report
from mcdrop.cli.terminal import Terminal, import_keras
from mcdrop.cli.work import (
    check_passes,
    claim_output,
    open_examples,
    read_labels,
    sample,
    sample_again,
    wrap,
)
from mcdrop.errors import DataError
from mcdrop.files import Output
from mcdrop.report.writing import REPORT

MODEL_NAME = "digits.keras"


def run(options: Namespace, terminal: Terminal) -> None:
    """Trains the model, samples it on held-out digits, and writes model and report."""
    check_passes(options)
    if options.seed >= 2**32:
        raise DataError(
            f"`--seed` is {options.seed}, expected a whole number below 2**32 where a model is "
            "trained."
        )
    with claim_output(options, REPORT) as output:
        _train_and_report(options, output, terminal)


def _train_and_report(options: Namespace, output: Output, terminal: Terminal) -> None:
    import_keras(verbose=terminal.verbose)
    from mcdrop.demo import train_digits_model
    from mcdrop.evaluation import evaluate

    with terminal.progress("Training") as progress:
        model = train_digits_model(seed=options.seed, progress=progress)
    settings = _as_report(options)
    mc = wrap(model, settings)
    examples = open_examples("digits", model, settings, terminal)
    started = time.monotonic()
    prediction = sample(mc, examples, settings, terminal, "Sampling")
    seconds = time.monotonic() - started
    evaluation = evaluate(prediction, read_labels(examples, prediction).values)
    evaluation = evaluation.with_warnings(examples.warnings)
    context = report.make_context(mc, settings, seconds)
    again = sample_again(mc, examples, settings, terminal)
    with output.draft() as draft:
        report.write(draft, evaluation, examples, context, sampled=again)
        model.save(draft / MODEL_NAME)
    terminal.say(evaluation.to_text())
    report.tell(options.output, terminal)
    terminal.say(
        f"The model is in {options.output / MODEL_NAME}; to try your own:\n"
        "  mcdrop report model.keras test.npz --samples 50 --output my-report"
    )
    terminal.result({"output": str(options.output), "evaluation": evaluation.to_dict()})


def _as_report(options: Namespace) -> Namespace:
    """Returns the options with which `mcdrop report` would do the same."""
    from mcdrop.cli.parser import build_parser

    model, passes, seed = options.output / MODEL_NAME, options.samples, options.seed
    words = f"report MODEL digits --output report --samples {passes} --seed {seed}".split()
    settings = build_parser().parse_args(words, Namespace(command_line=options.command_line))
    settings.model = model
    return settings
