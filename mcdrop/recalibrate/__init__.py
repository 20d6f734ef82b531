"""Repair of calibration after training, and conformal prediction, on held-out data.

Every calibrator is frozen: `fit(...)` returns a fitted copy, `transform(...)` applies it,
`save(path)` writes JSON, and `load(path)` reads any of them. Fit on data that served neither
training nor the final scores, with the number of passes and masks of later use. Recalibration
does not survive a shift of the data.

Example:
    >>> from mcdrop import recalibrate
    >>> fitted = recalibrate.TemperatureScaling().fit([[0.9, 0.1]] * 4, [0, 0, 0, 1])
    >>> fitted.transform([[0.9, 0.1]]).round(3)
    array([[0.75, 0.25]])
"""

from __future__ import annotations

import os

from mcdrop.errors import DataError
from mcdrop.recalibrate._io import SAVED_CALIBRATOR as SAVED_CALIBRATOR
from mcdrop.recalibrate._io import Calibrator as Calibrator
from mcdrop.recalibrate._io import read
from mcdrop.recalibrate.beta import BetaCalibration as BetaCalibration
from mcdrop.recalibrate.conformal import ConformalCoverage as ConformalCoverage
from mcdrop.recalibrate.conformal import SplitConformalClassifier as SplitConformalClassifier
from mcdrop.recalibrate.conformal import SplitConformalRegressor as SplitConformalRegressor
from mcdrop.recalibrate.conformal import conformal_coverage as conformal_coverage
from mcdrop.recalibrate.isotonic import IsotonicCalibration as IsotonicCalibration
from mcdrop.recalibrate.regression import (
    IsotonicQuantileCalibration as IsotonicQuantileCalibration,
)
from mcdrop.recalibrate.regression import VarianceScaling as VarianceScaling
from mcdrop.recalibrate.temperature import TemperatureScaling as TemperatureScaling
from mcdrop.recalibrate.vector import VectorScaling as VectorScaling

__all__ = [
    "BetaCalibration",
    "Calibrator",
    "ConformalCoverage",
    "IsotonicCalibration",
    "IsotonicQuantileCalibration",
    "SplitConformalClassifier",
    "SplitConformalRegressor",
    "TemperatureScaling",
    "VarianceScaling",
    "VectorScaling",
    "conformal_coverage",
    "load",
]

KINDS: dict[str, type[Calibrator]] = {
    kind.__name__: kind
    for kind in (
        BetaCalibration,
        IsotonicCalibration,
        IsotonicQuantileCalibration,
        SplitConformalClassifier,
        SplitConformalRegressor,
        TemperatureScaling,
        VarianceScaling,
        VectorScaling,
    )
}
"""The calibrators that `load` knows, by the name that their files carry."""


def load(path: str | os.PathLike[str]) -> Calibrator:
    """Reads a calibrator of any kind from a file that its `save` wrote.

    Args:
        path: File to read.

    Returns:
        A calibrator equal to the saved one, of the same class.

    Raises:
        DataError: The file is missing, damaged, of an unknown kind or of another version.
    """
    kind, content = read(path)
    if kind not in KINDS:
        raise DataError(
            f"{path} holds a {kind}, expected one of {', '.join(sorted(KINDS))}. Was it "
            "written by a newer mcdrop?"
        )
    return KINDS[kind].from_fields(path, content)
