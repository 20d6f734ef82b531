"""Fitting a calibrator on held-out data, and what it does to the scores of the test data."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop import metrics, recalibrate
from mcdrop.cli.terminal import Terminal
from mcdrop.cli.work import open_examples, read_labels, sample
from mcdrop.errors import DataError
from mcdrop.evaluation import Evaluation
from mcdrop.prediction import Prediction

FILE_NAME = "calibrator.json"

_CLASS_CALIBRATORS: dict[str, type[Any]] = {
    "temperature": recalibrate.TemperatureScaling,
    "vector": recalibrate.VectorScaling,
    "beta": recalibrate.BetaCalibration,
    "isotonic": recalibrate.IsotonicCalibration,
}
_CLASS_SCORES = ("negative_log_likelihood", "brier_score", "expected_calibration_error")
_CLASS_TASKS = ("classification", "binary")
_VARIANCE_TASKS = ("regression", "gaussian")

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Recalibration:
    """A fitted calibrator, and each score of the test data before and after it."""

    kind: str
    calibrator: Any
    scores: dict[str, tuple[float, float]]

    def save(self, folder: Path) -> None:
        """Writes the calibrator into the folder of a report."""
        self.calibrator.save(folder / FILE_NAME)

    def to_text(self) -> str:
        """Returns the scores as a table."""
        width = max(map(len, self.scores))
        lines = [f"Recalibrated ({self.kind}), fitted on the calibration data:"]
        for name, (before, after) in self.scores.items():
            lines.append(f"  {name.ljust(width)}  {before:.4f} -> {after:.4f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        scores = {
            name: {"before": before, "after": after}
            for name, (before, after) in self.scores.items()
        }
        return {"kind": self.kind, "file": FILE_NAME, "scores": scores}


def check_options(options: Namespace) -> None:
    """Raises DataError when --recalibrate and --calibration-data do not come together."""
    if (options.recalibrate is None) != (options.calibration_data is None):
        raise DataError(
            "--recalibrate needs --calibration-data, and the other way round: labelled data that "
            "served neither training nor the test."
        )
    if options.recalibrate and options.calibration_data == options.data:
        raise DataError(
            "--calibration-data is the test data itself, which would make the scores after it too "
            "good. Hold other data out."
        )


def check_task(kind: str, prediction: Prediction) -> None:
    """Raises DataError when a calibrator does not apply to a prediction."""
    tasks = _CLASS_TASKS if kind in _CLASS_CALIBRATORS else _VARIANCE_TASKS
    if prediction.task not in tasks or prediction.mean.ndim > 2:
        raise DataError(
            f"--recalibrate {kind} is for {' and '.join(tasks)} with one output vector an example; "
            f"this model's task is {prediction.task}, its output shape {prediction.mean.shape[1:]}."
        )


def fit(mc: Any, evaluation: Evaluation, options: Namespace, terminal: Terminal) -> Recalibration:
    """Samples the calibration data, fits the calibrator and scores the test data with it."""
    examples = open_examples(options.calibration_data, mc.model, options, terminal, keys=False)
    held_out = sample(mc, examples, options, terminal, "Sampling calibration data")
    y = read_labels(examples, held_out)
    kind = options.recalibrate
    if kind in _CLASS_CALIBRATORS:
        calibrator = _CLASS_CALIBRATORS[kind]().fit(held_out.class_probabilities, y.reshape(-1))
        return Recalibration(kind, calibrator, _class_scores(calibrator, evaluation))
    y = y.reshape(held_out.mean.shape)
    calibrator = recalibrate.VarianceScaling().fit(held_out.mean, held_out.variance, y)
    return Recalibration(kind, calibrator, _variance_scores(calibrator, evaluation))


def _class_scores(calibrator: Any, evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    before = evaluation.prediction.class_probabilities
    after = calibrator.transform(before)
    y = evaluation.y_true
    scores = {name: getattr(metrics, name) for name in _CLASS_SCORES}
    return {name: (float(f(before, y)), float(f(after, y))) for name, f in scores.items()}


def _variance_scores(calibrator: Any, evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    prediction = evaluation.prediction
    after = calibrator.transform(prediction.variance)
    y = np.asarray(evaluation.y_true).reshape(prediction.mean.shape)
    score = metrics.gaussian_log_likelihood
    both = (score(prediction.mean, variance, y) for variance in (prediction.variance, after))
    before_value, after_value = map(float, both)
    return {"gaussian_log_likelihood": (before_value, after_value)}
