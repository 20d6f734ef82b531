"""What becomes of a prediction before it is written: calibration, and who should look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from mcdrop.errors import DataError
from mcdrop.prediction import CLASS_TASKS, Prediction
from mcdrop.recalibrate.calibrations import Calibration

ABSTAIN = "abstain"
"""Column of the examples that a person should look at."""

Columns = Mapping[str, NDArray[Any]]


def finish(
    prediction: Prediction, calibration: Calibration | None, abstain_above: float | None
) -> tuple[Prediction, Columns]:
    """Returns a prediction as it is written, and the columns that come beside those of its table.

    Args:
        prediction: As it was sampled.
        calibration: What it goes through, or None.
        abstain_above: Uncertainty above which an example is for a person, or None.

    Raises:
        DataError: There is more than one answer an example, so that none can be abstained from.
    """
    columns: dict[str, NDArray[Any]] = {}
    if calibration is not None:
        prediction, columns = calibration.apply(prediction)
    if abstain_above is not None:
        # Written so that an uncertainty that is missing abstains.
        accepted = uncertainty(prediction) <= abstain_above
        columns = {**columns, ABSTAIN: ~accepted}
    return prediction, columns


def uncertainty(prediction: Prediction) -> NDArray[Any]:
    """Returns what a threshold is held against, shape (N,), as in the report.

    Raises:
        DataError: The prediction has more than one answer an example.
    """
    values = prediction.predictive_entropy if prediction.task in CLASS_TASKS else prediction.std
    values = values.reshape(len(values), -1)
    if prediction.task == "multilabel" or values.shape[1] != 1:
        raise DataError(
            "--abstain-above (in Python `abstain_above`) needs one answer an example, but the "
            "model gives several labels, values or pixels; leave the option out and choose from "
            "the columns."
        )
    return values[:, 0]
