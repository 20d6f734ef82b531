"""`mcdrop compare`: several models on the same labelled data."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from os.path import realpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from mcdrop.errors import DataError, McdropError, NoDropoutError
from mcdrop.evaluation import Evaluation, evaluate
from mcdrop.evaluation.models import Plain, compare_models
from mcdrop.loading import load_model
from mcdrop.loading.saved import read_saved_model
from mcdrop.prediction import Prediction, mark_dropped
from mcdrop.report.writing import REPORT


def run(options: Namespace, terminal: Terminal) -> None:
    """Samples one model after the other and writes the comparison."""
    check_passes(options)
    names = name_models(options.models)
    for path in options.models:
        read_saved_model(path)
    check_source(options.data)
    with claim_output(options, REPORT) as output:
        models = _score(dict(zip(names, options.models, strict=True)), options, terminal)
        with output.draft() as draft:
            _write(draft, models, options)
    comparison = compare_models(models)
    evaluations = {n: each for n, each in models.items() if isinstance(each, Evaluation)}
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
    if len({realpath(path) for path in paths}) < len(paths):
        raise DataError("The same model is given twice; compare different ones.")
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _score(
    paths: Mapping[str, Path], options: Namespace, terminal: Terminal
) -> dict[str, Evaluation | Plain]:
    """Returns the evaluation of each model by name, and what those without dropout predict."""
    sampled, without = {}, {}
    for name, path in paths.items():
        try:
            sampled[name] = _sample(name, path, options, terminal)
        except NoDropoutError as error:
            without[name] = path
            reason = str(error)
    if not sampled:
        raise DataError(f"None of the models has dropout to compare. {reason}")
    masks = [each.dropped for each, *_ in sampled.values() if each.dropped is not None]
    dropped = np.any(masks, axis=0) if masks else None
    found: dict[str, Evaluation | Plain] = {}
    evaluations = []
    for name, (prediction, y, warnings) in sampled.items():
        # All are scored on the examples that none of them dropped.
        marked = prediction if dropped is None else mark_dropped(prediction, dropped)
        evaluation = evaluate(marked, y, metrics=options.metrics)
        found[name] = evaluation.with_warnings(warnings)
        evaluations.append(evaluation)
    for name, path in without.items():
        terminal.note(f"{name} has no dropout; its ordinary prediction is compared.")
        found[name] = _plain(name, path, evaluations[0], dropped, options, terminal)
    return {name: found[name] for name in paths}


def _sample(
    name: str, path: Path, options: Namespace, terminal: Terminal
) -> tuple[Prediction, NDArray[Any], Mapping[str, str]]:
    """Returns what a model predicts, the labels, and what makes its numbers doubtful."""
    try:
        mc = wrap_model(path, options, terminal)
        examples = open_examples(options.data, mc.model, options, terminal)
        mc, trial = try_out(mc, examples, options, terminal)
        labels = read_labels(examples, trial)
    except NoDropoutError:
        raise
    except McdropError as error:
        raise DataError(f"{name}: {error}") from error
    tell_readings(examples, labels, terminal)
    prediction = sample(mc, examples, options, terminal, f"Sampling {name}")
    return prediction, labels.values, examples.warnings


def _plain(
    name: str,
    path: Path,
    beside: Evaluation,
    dropped: NDArray[np.bool_] | None,
    options: Namespace,
    terminal: Terminal,
) -> Plain:
    """Returns what a model without dropout predicts for the examples that no other dropped."""
    from mcdrop.engine.plain import predict_plain
    from mcdrop.engine.tasks import Asked

    asked = Asked(options.task, options.gaussian_scale, options.model_output)
    try:
        model = load_model(path)
        examples = open_examples(options.data, model, options, terminal)
        fitted = examples.fitted
        if dropped is not None:
            fitted = fitted.choose(np.flatnonzero(~dropped))
        task, values, variance = predict_plain(model, fitted.x(), asked)
    except McdropError as error:
        raise DataError(f"{name}: {error}") from error
    expected = beside.prediction.deterministic.shape
    if task != beside.task or values.shape != expected:
        raise DataError(
            f"{name} is of task {task} with output shape {values.shape[1:]}, the models with "
            f"dropout of {beside.task} with {expected[1:]}; compare models of one task and the "
            "same outputs."
        )
    return values if variance is None else (values, variance)


def _write(folder: Path, models: Mapping[str, Evaluation | Plain], options: Namespace) -> None:
    from mcdrop import report

    context = report.ReportContext(
        data_name=Path(options.data).name,
        command=options.command_line,
        seed=options.seed,
        versions=versions(),
    )
    report.compare(models, folder, context=context)
