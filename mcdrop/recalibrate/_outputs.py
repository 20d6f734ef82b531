"""What the calibrators of regression share: one fitted number for each output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcdrop.errors import DataError

FloatArray = NDArray[np.float64]


def by_output(values: FloatArray) -> FloatArray:
    """Returns the values with the outputs on the last of two axes, shape (M, D)."""
    return values.reshape(-1, 1 if values.ndim == 1 else values.shape[-1])


def check_outputs(name: str, values: FloatArray, num_outputs: int) -> None:
    """Raises DataError unless the values have the number of outputs that the fit had."""
    outputs = by_output(values).shape[1]
    if outputs != num_outputs:
        raise DataError(
            f"`{name}` has {outputs} output(s), shape {values.shape}; the calibrator was fitted on "
            f"{num_outputs}. Fit it on outputs of the same model."
        )
