"""`mcdrop report --predictions`: the report on predictions that are there, without sampling."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from mcdrop.cli import report, requirements
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import (
    Examples,
    claim_output,
    class_names,
    leave_out_dropped,
    read_labels,
    tell_readings,
    versions,
)
from mcdrop.distributed.stored import StoredPredictions
from mcdrop.errors import DataError
from mcdrop.loading import Data, open_data
from mcdrop.loading.data import rename_classes
from mcdrop.loading.rows import ArrayRows, ChosenRows
from mcdrop.report.context import ReportContext, check_class_names
from mcdrop.report.writing import REPORT

_USED = frozenset(
    {
        *("predictions", "labels", "drop_missing", "limit", "class_names"),
        *("require", "metrics", "output", "force", "json", "quiet", "verbose", "command_line"),
    }
)
"""The options that serve a report without sampling."""

_TYPED = {"model": "MODEL", "data": "DATA", "imports": "--import"}
"""Other options whose name here is not what the user types."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Writes the report; returns 3 when a requirement is not shown to hold."""
    _check_options(options)
    requirements.check_names(options.require)
    with claim_output(options, REPORT) as output:
        stored = StoredPredictions.open(options.predictions)
        data = _open_labels(options, stored)
        prediction = stored.read(data.x()[:, 0])
        requirements.check_names(options.require, prediction.task)
        examples = Examples(data, data)
        labels = read_labels(examples, prediction)
        check_class_names(prediction, labels.class_names)
        examples = examples.named(labels.class_names)
        readings = tell_readings(examples, labels, terminal)
        context = ReportContext(
            model_name=options.predictions.name,
            data_name=options.labels.name,
            command=options.command_line,
            versions=versions(),
            readings=readings,
        )
        prediction, examples, y = leave_out_dropped(prediction, examples, labels.values)
        evaluation = report.score(prediction, y, options).with_warnings(examples.warnings)
        return report.publish(evaluation, examples, context, options, output, terminal)


def _check_options(options: Namespace) -> None:
    """Raises DataError for options without use here, and for those that lack."""
    from mcdrop.cli.parser import build_parser

    given = build_parser().parse_args(["report", "--predictions", ".", "--output", "."])
    for name, value in vars(given).items():
        if name not in _USED and getattr(options, name) != value:
            typed = _TYPED.get(name, f"--{name.replace('_', '-')}")
            raise DataError(
                f"With --predictions nothing is sampled, so {typed} has no use. Leave one of them "
                "out."
            )
    if options.labels is None:
        raise DataError(
            "--predictions needs --labels, an .npy file with one label for each row of the data."
        )


def _open_labels(options: Namespace, stored: StoredPredictions) -> Data:
    """Returns the labels of the examples to score, found by the number of each."""
    path, numbers = Path(options.labels), np.sort(stored.numbers)
    rows = next(iter(open_data(str(path)).inputs.values()))
    count = rows.shape[0]
    if count <= numbers[-1]:
        raise DataError(
            f"{path} has {count} labels, but {options.predictions} predicts example {numbers[-1]}; "
            "expected one label for each row of the whole data, counted from 0."
        )
    data = Data(
        str(path),
        {"x": ArrayRows(numbers[:, np.newaxis])},
        ChosenRows(rows, numbers),
    )
    names = class_names(options.class_names)
    if names is not None:
        data = rename_classes(data, names)
    return (data.drop_missing() if options.drop_missing else data).limit(options.limit)
