"""Isotonic calibration: a rising step function for each class, against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from mcdrop._checks import as_float
from mcdrop.errors import DataError
from mcdrop.recalibrate._classes import (
    FloatArray,
    as_known_classes,
    as_labelled,
    as_row,
    mapped_classes,
    normalize_classes,
)
from mcdrop.recalibrate._io import require_fit
from mcdrop.recalibrate._predictions import ClassCalibrator

Curve = tuple[tuple[float, ...], tuple[float, ...]]


@final
@dataclass(frozen=True)
class IsotonicCalibration(ClassCalibrator):
    """Maps the probability of each class by an isotonic regression, then renormalises.

    Applied to the Monte Carlo mean; the fit is scikit-learn's. With two classes one curve, that
    of class 1, serves both. A row whose classes are all mapped to 0 becomes uniform. Needs about
    1,000 examples; with fewer it overfits. It can map a probability to exactly 0 or 1, after
    which one surprise makes the negative log-likelihood very large: judge it by the Brier score.

    Attributes:
        curves: For each class (for class 1 alone of two) the thresholds and the values at them;
            between thresholds the curve is linear. None before the fit.

    References:
        Zadrozny and Elkan (2002), doi:10.1145/775047.775151.

    Example:
        >>> p = [[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 4
        >>> fitted = IsotonicCalibration().fit(p, [0, 0, 0, 1, 0, 1, 1, 1])
        >>> fitted.transform([[0.9, 0.1], [0.2, 0.8]])
        array([[0.75, 0.25],
               [0.25, 0.75]])
    """

    curves: tuple[Curve, ...] | None = None

    def __post_init__(self) -> None:
        if self.curves is None:
            return
        curves = self.curves if isinstance(self.curves, Sequence) and self.curves else ((),)
        for curve in curves:
            pair = curve if isinstance(curve, Sequence) and len(curve) == 2 else ((), ())
            knots, heights = as_float("thresholds", pair[0]), as_float("values", pair[1])
            fits = knots.ndim == 1 and knots.shape == heights.shape and knots.size > 0
            if not (fits and (np.diff(knots) > 0).all() and (np.diff(heights) >= 0).all()):
                raise DataError(
                    "`curves` holds a curve that does not rise, expected thresholds and values in "
                    "upward order, as many of one as of the other. Let `fit` make them."
                )

    def fit(self, probabilities: ArrayLike, y: ArrayLike) -> IsotonicCalibration:
        """Returns a copy with the curves of least squared error.

        Args:
            probabilities: Mean probabilities of held-out examples, shape (N, C).
            y: Their integer labels, shape (N,).

        Returns:
            A fitted calibrator.

        Raises:
            DataError: Shapes do not fit, a row is no distribution, a label is no class, or a
                class has no example.
        """
        from sklearn.isotonic import IsotonicRegression

        array, labels = as_labelled(probabilities, y, all_classes=True)
        curves = []
        for label in mapped_classes(array.shape[1]):
            regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            regression.fit(array[:, label], (labels == label).astype(np.float64))
            curves.append((as_row(regression.X_thresholds_), as_row(regression.y_thresholds_)))
        return replace(self, curves=tuple(curves))

    def transform(self, probabilities: ArrayLike) -> FloatArray:
        """Returns the recalibrated probabilities.

        Args:
            probabilities: Mean probabilities, shape (N, C).

        Returns:
            Probabilities, shape (N, C).

        Raises:
            DataError: The calibrator is not fitted, a row is no distribution, or the number of
                classes differs from the fit's.
        """
        curves = require_fit(self.curves, self)
        num_classes = max(2, len(curves))
        array = as_known_classes(probabilities, num_classes)
        labels = mapped_classes(num_classes)
        mapped = [
            np.interp(array[:, label], *curve) for label, curve in zip(labels, curves, strict=True)
        ]
        return normalize_classes(np.stack(mapped, axis=1))
