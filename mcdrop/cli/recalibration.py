"""Fitting a calibrator on held-out data, and what it does to the predictions of the test data."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import Examples, leave_out_dropped, sample
from mcdrop.errors import DataError
from mcdrop.loading.named import is_named
from mcdrop.prediction import Prediction
from mcdrop.recalibrate import calibrations
from mcdrop.report import Recalibration

FILE_NAME = "calibrator.json"


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted calibrator, its name in words, and the data behind it."""

    kind: str
    calibrator: Any
    name: str
    num_examples: int
    data_name: str

    def repair(self, prediction: Prediction) -> Recalibration:
        """Returns what the report shows of it."""
        repaired = self.calibrator.apply(prediction)
        return Recalibration(repaired, self.name, self.num_examples, self.data_name)

    def save(self, folder: Path) -> None:
        """Writes the calibrator into the folder of a report."""
        self.calibrator.save(folder / FILE_NAME)


def check_options(options: Namespace) -> None:
    """Raises DataError when --recalibrate and --calibration-data do not come together."""
    if (options.recalibrate is None) != (options.calibration_data is None):
        raise DataError(
            "--recalibrate needs --calibration-data, and the other way round: labelled data that "
            "served neither training nor the test."
        )
    if options.calibration_labels is not None and options.calibration_data is None:
        raise DataError("--calibration-labels are the labels of --calibration-data; name both.")
    if options.recalibrate and _is_same(options.calibration_data, options.data):
        raise DataError(
            "--calibration-data is the test data itself, which would make the scores after it too "
            "good. Hold other data out."
        )


def _is_same(first: str, second: str) -> bool:
    """Returns whether two sources of data are one, however they are spelled."""
    if first == second or is_named(first) or is_named(second):
        return first == second
    return realpath(first) == realpath(second)


def fit(
    mc: Any, examples: Examples, y: NDArray[Any], options: Namespace, terminal: Terminal
) -> Fitted:
    """Samples the calibration data and fits the calibrator on them and their labels `y`.

    Raises:
        DataError: The labels have no best fit.
    """
    kind = options.recalibrate
    held_out = sample(mc, examples, options, terminal, "Sampling calibration data")
    held_out, _, y = leave_out_dropped(held_out, examples, y)
    data_name = Path(options.calibration_data).name
    try:
        calibrator = calibrations.fit(kind, held_out, y, level=0.9)
    except DataError as error:
        raise DataError(f"--recalibrate {kind} on {data_name}: {error}") from error
    name = calibrations.name_of(kind, calibrator)
    return Fitted(kind, calibrator, name, len(held_out), data_name)


def to_text(found: dict[str, Any]) -> str:
    """Returns the part of report.json about a recalibration as a table."""
    width = max(len(metric["title"]) for metric in found["metrics"])
    lines = [f"After recalibration: {found['name']}, on {found['num_fitted']} other examples"]
    for metric in found["metrics"]:
        before, after = (metric[side]["value"] for side in ("before", "after"))
        change = metric["difference"]
        ends = f"(no interval: {change['reason']})"
        if change["low"] is not None:
            ends = f"[{change['low']:+.4f}, {change['high']:+.4f}]"
        lines.append(
            f"  {metric['title'].ljust(width)}  {before:.4f} -> {after:.4f}  difference "
            f"{change['value']:+.4f} {ends}"
        )
    return "\n".join(lines)
