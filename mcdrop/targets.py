"""Predictions together with the targets that came with their inputs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError, DataWarning
from mcdrop.prediction import Prediction


@dataclass(frozen=True, eq=False, repr=False)
class PredictionWithTargets:
    """A prediction, and the targets of the same examples in the same order.

    `mcdrop.evaluate` takes it in place of a prediction and targets.

    Attributes:
        prediction: The prediction of N examples.
        targets: Their targets as the data held them, shape (N, ...).
        sample_weights: Their weights, shape (N, ...), or None. No score uses them.
    """

    prediction: Prediction
    targets: NDArray[Any]
    sample_weights: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Checks that there is one target an example."""
        if len(self.targets) != len(self.prediction):
            raise DataError(
                f"There are {len(self.targets)} targets for {len(self.prediction)} predictions; "
                "expected one an example."
            )

    def __len__(self) -> int:
        """Returns N, the number of examples."""
        return len(self.prediction)

    def __repr__(self) -> str:
        """Returns a summary, not the arrays."""
        weighted = "" if self.sample_weights is None else ", weighted"
        return f"PredictionWithTargets({self.prediction!r}, {self.targets.shape}{weighted})"


def split_targets(
    prediction: Prediction | PredictionWithTargets, y_true: Any
) -> tuple[Prediction, Any]:
    """Returns a prediction and its targets, whether these are given apart or together with it.

    A `DataWarning` is issued when weights that differ come with them.

    Raises:
        DataError: Targets are given twice, or not at all.
    """
    if not isinstance(prediction, PredictionWithTargets):
        if y_true is None:
            raise DataError(
                "`y_true` is missing. Pass the targets, or what `predict_with_targets` returns of "
                "data that hold them."
            )
        return prediction, y_true
    if y_true is not None:
        raise DataError("`prediction` holds its targets already; leave `y_true` out.")
    weights = prediction.sample_weights
    if weights is not None and np.unique(weights).size > 1:
        warnings.warn(
            "The data hold sample weights, which no score uses: every example counts alike.",
            DataWarning,
            stacklevel=3,
        )
    return prediction.prediction, prediction.targets
