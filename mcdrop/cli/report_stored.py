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
    read_labels,
    tell_readings,
    versions,
)
from mcdrop.distributed.stored import read_predictions
from mcdrop.errors import DataError
from mcdrop.loading import Data, open_data
from mcdrop.loading.data import rename_classes
from mcdrop.loading.rows import ArrayRows, ChosenRows
from mcdrop.prediction import Prediction
from mcdrop.report.context import ReportContext, check_class_names
from mcdrop.report.writing import REPORT

_SAMPLED = {
    "model": "MODEL",
    "data": "DATA",
    "ood": "--ood",
    "recalibrate": "--recalibrate",
    "calibration_data": "--calibration-data",
    "calibration_labels": "--calibration-labels",
}
"""What needs a model, as the user types it."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Writes the report; returns 3 when a requirement is not shown to hold."""
    given = [name for name in _SAMPLED if getattr(options, name) is not None]
    if given:
        raise DataError(
            f"With --predictions nothing is sampled, so {_SAMPLED[given[0]]} has no use. Leave one "
            "of them out."
        )
    if options.labels is None:
        raise DataError(
            "--predictions needs --labels, an .npy file with one label for each row of the data."
        )
    requirements.check_names(options.require)
    with claim_output(options, REPORT) as output:
        prediction = read_predictions(options.predictions)
        requirements.check_names(options.require, prediction.task)
        data = _open_labels(options, prediction)
        if options.drop_missing:
            data = data.drop_missing()
            if data.indices is not None:
                prediction = prediction.take(data.indices)
        examples = Examples(data, data)
        labels = read_labels(examples, prediction)
        check_class_names(prediction, labels.class_names)
        readings = tell_readings(examples, labels, terminal)
        context = ReportContext(
            model_name=options.predictions.name,
            data_name=options.labels.name,
            command=options.command_line,
            versions=versions(),
            readings=readings,
        )
        evaluation = report.score(prediction, labels.values, options)
        examples = examples.named(labels.class_names)
        return report.publish(evaluation, examples, context, options, output, terminal)


def _open_labels(options: Namespace, prediction: Prediction) -> Data:
    """Returns the labels of the predicted examples, found by the number of each."""
    path, numbers = Path(options.labels), prediction.example_numbers
    rows = next(iter(open_data(str(path)).inputs.values()))
    count = rows.shape[0]
    if count <= numbers[-1]:
        raise DataError(
            f"{path} has {count} labels, but {options.predictions} predicts example {numbers[-1]}; "
            "expected one label for each row of the whole data, counted from 0."
        )
    if len(np.unique(numbers)) != len(numbers):
        raise DataError(f"{options.predictions} predicts an example more than once.")
    data = Data(
        str(path),
        {"x": ArrayRows(numbers[:, np.newaxis])},
        ChosenRows(rows, numbers),
    )
    names = class_names(options.class_names)
    return data if names is None else rename_classes(data, names)
