"""`mcdrop compare`: several models on the same labelled data."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcdrop.cli.report import tell
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
    versions,
    wrap_model,
)
from mcdrop.errors import DataError, McdropError
from mcdrop.evaluation import Evaluation, compare, evaluate
from mcdrop.loading.saved import read_saved_model
from mcdrop.report.writing import REPORT


def run(options: Namespace, terminal: Terminal) -> None:
    """Samples one model after the other and writes the comparison."""
    check_passes(options)
    names = name_models(options.models)
    for path in options.models:
        read_saved_model(path)
    check_source(options.data)
    with claim_output(options, REPORT) as output:
        evaluations = {
            name: _evaluate(name, path, options, terminal)
            for name, path in zip(names, options.models, strict=True)
        }
        with output.draft() as draft:
            _write(draft, evaluations, options)
    for name, evaluation in evaluations.items():
        terminal.say(f"{name}\n{evaluation.to_text()}\n")
    predictions = {name: evaluation.prediction for name, evaluation in evaluations.items()}
    comparison = compare(predictions, next(iter(evaluations.values())).y_true)
    terminal.say(comparison.to_text())
    tell(options.output, terminal)
    found = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    result = {"evaluations": found, "comparison": comparison.to_dict()}
    terminal.result({"output": str(options.output)} | result)


def name_models(paths: Sequence[Path]) -> list[str]:
    """Returns a short name for each model file: its own name, or the path where names repeat.

    Raises:
        DataError: There are fewer than two files, or one is given twice.
    """
    if len(paths) < 2:
        raise DataError(
            "compare needs at least 2 models, and the data last, as in mcdrop compare a.keras "
            "b.keras test.npz."
        )
    if len({path.resolve() for path in paths}) < len(paths):
        raise DataError("The same model is given twice; compare different ones.")
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _evaluate(name: str, path: Path, options: Namespace, terminal: Terminal) -> Evaluation:
    try:
        mc = wrap_model(path, options, terminal)
        examples = open_examples(options.data, mc.model, options, terminal)
        labels = read_labels(examples, try_out(mc, examples, options))
    except McdropError as error:
        raise DataError(f"{name}: {error}") from error
    tell_readings(examples, labels, terminal)
    return evaluate(sample(mc, examples, options, terminal, f"Sampling {name}"), labels.values)


def _write(folder: Path, evaluations: dict[str, Any], options: Namespace) -> None:
    from mcdrop import report

    context = report.ReportContext(
        data_name=Path(options.data).name,
        command=options.command_line,
        seed=options.seed,
        versions=versions(),
    )
    report.compare(evaluations, folder, context=context)
