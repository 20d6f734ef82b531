"""Fitting a calibrator on held-out data, and what it does to the predictions of the test data."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mcdrop import recalibrate
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import Examples, sample
from mcdrop.errors import DataError
from mcdrop.loading.named import is_named
from mcdrop.prediction import Prediction
from mcdrop.report import Recalibration

FILE_NAME = "calibrator.json"

_CLASS_CALIBRATORS: dict[str, tuple[type[Any], str]] = {
    "temperature": (recalibrate.TemperatureScaling, "temperature scaling"),
    "vector": (recalibrate.VectorScaling, "vector scaling"),
    "beta": (recalibrate.BetaCalibration, "beta calibration"),
    "isotonic": (recalibrate.IsotonicCalibration, "isotonic calibration"),
}
_CLASS_TASKS = ("classification", "binary")
_VARIANCE_TASKS = ("regression", "gaussian")


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
    if options.recalibrate and _is_same(options.calibration_data, options.data):
        raise DataError(
            "--calibration-data is the test data itself, which would make the scores after it too "
            "good. Hold other data out."
        )


def _is_same(first: str, second: str) -> bool:
    """Returns whether two sources of data are one, however they are spelled."""
    if first == second or is_named(first) or is_named(second):
        return first == second
    return Path(first).resolve() == Path(second).resolve()


def check_task(kind: str, prediction: Prediction) -> None:
    """Raises DataError when a calibrator does not apply to a prediction."""
    tasks = _CLASS_TASKS if kind in _CLASS_CALIBRATORS else _VARIANCE_TASKS
    if prediction.task not in tasks or prediction.mean.ndim > 2:
        raise DataError(
            f"--recalibrate {kind} is for {' and '.join(tasks)} with one output vector an example; "
            f"this model's task is {prediction.task}, its output shape {prediction.mean.shape[1:]}."
        )


def fit(
    mc: Any, examples: Examples, y: NDArray[Any], options: Namespace, terminal: Terminal
) -> Fitted:
    """Samples the calibration data and fits the calibrator on them and their labels `y`.

    Raises:
        DataError: The labels have no best fit.
    """
    kind = options.recalibrate
    held_out = sample(mc, examples, options, terminal, "Sampling calibration data")
    data_name = Path(options.calibration_data).name
    try:
        if kind in _CLASS_CALIBRATORS:
            make, name = _CLASS_CALIBRATORS[kind]
            calibrator = make().fit(held_out.class_probabilities, y.reshape(-1))
        else:
            name, y = "variance scaling", y.reshape(held_out.mean.shape)
            calibrator = recalibrate.VarianceScaling().fit(held_out.mean, held_out.variance, y)
    except DataError as error:
        raise DataError(f"--recalibrate {kind} on {data_name}: {error}") from error
    if kind == "temperature":
        name += f" with a temperature of {calibrator.temperature:.3g}"
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
