"""Recalibrating a whole Prediction, so that it can be evaluated and saved like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop.errors import DataError
from mcdrop.prediction import Prediction
from mcdrop.recalibrate._classes import FloatArray
from mcdrop.recalibrate._io import Calibrator

Transform = Callable[[ArrayLike], FloatArray]

RAKED = 1e-6
"""Distance between mean and average of the groups that is left, far below Monte Carlo noise."""

MOST_SWEEPS = 50
"""A handful do for a smooth repair; the steps of isotonic curves take the most."""


@dataclass(frozen=True)
class ClassCalibrator(Calibrator):
    """Base of the calibrators that map class probabilities of shape (N, C)."""

    def transform(self, probabilities: ArrayLike) -> FloatArray:
        """Returns the recalibrated probabilities."""
        raise NotImplementedError

    def apply(
        self, prediction: Prediction, *, deterministic: ClassCalibrator | None = None
    ) -> Prediction:
        """Returns the prediction with its mean recalibrated, ready for `mcdrop.evaluate`.

        The calibrator maps the mean over passes; the passes themselves are not recalibrated.
        So the repaired prediction has a mean, a class, a confidence and a predictive entropy,
        but no expected entropy, mutual information or samples: take these from the prediction
        as it was. `group_means` and `variance` say how far the repaired mean wavers with the
        passes, to first order from the groups of passes: `variance` is T times the squared
        Monte Carlo error, as rough as ten numbers make it. The steps of an isotonic curve are
        not of first order; with them both may be too small.

        The deterministic side has other probabilities than the ones that the calibrator was
        fitted on. It stays as it is, unless a calibrator of its own is given.

        Args:
            prediction: Of task "classification" or "binary", with the number of passes and
                the masks of the fit; dense outputs are mapped pixel by pixel.
            deterministic: A calibrator fitted on `deterministic_class_probabilities` of the
                same held-out examples, for a comparison that is fair to that side.

        Returns:
            A prediction of the same examples.

        Raises:
            DataError: The calibrator is not fitted, the task is another, or the number of
                classes differs from the fit's.

        Example:
            >>> import mcdrop
            >>> passes = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]]])
            >>> prediction = mcdrop.from_samples(passes, passes[0], task="classification")
            >>> calibrator = mcdrop.recalibrate.TemperatureScaling(temperature=2.0)
            >>> repaired = calibrator.apply(prediction)
            >>> repaired.mean.round(3)
            array([[0.667, 0.333],
                   [0.396, 0.604]])
            >>> mcdrop.evaluate(repaired, [0, 1])["accuracy"].monte_carlo.value
            1.0
        """
        check_prediction(prediction, ("classification", "binary"))
        mean = _mapped(prediction, prediction.mean, self.transform)
        groups = [_mapped(prediction, group, self.transform) for group in prediction.group_means]
        shares = prediction.group_counts / prediction.group_counts.sum(axis=0)
        shares = shares.reshape(shares.shape + (1,) * (mean.ndim - 1))
        strays = _raked(np.stack(groups), shares, mean)
        squares = (shares * np.square(strays - mean)).sum(axis=0) / (len(groups) - 1)
        variance, components = _scaled(prediction, _as_output(prediction, squares))
        return replace(
            prediction,
            mean=_as_output(prediction, mean),
            variance=variance,
            variance_components=components,
            group_means=_as_output(prediction, strays).astype(np.float32),
            deterministic=repaired_deterministic(prediction, deterministic),
            expected_entropy=None,
            group_expected_entropy=None,
            votes=None,
            samples=None,
        )


def check_prediction(prediction: Any, tasks: Sequence[str]) -> None:
    """Raises DataError unless it is a prediction of one of the tasks."""
    if not isinstance(prediction, Prediction):
        raise DataError(
            f"`prediction` is a {type(prediction).__name__}, expected a Prediction. Use "
            "`transform` for arrays, and apply one calibrator to each output of a model."
        )
    if prediction.task not in tasks:
        raise DataError(
            f"`prediction` has task {prediction.task!r}, expected {' or '.join(tasks)}. Use a "
            "calibrator made for that task."
        )


def repaired_deterministic(
    prediction: Prediction, calibrator: ClassCalibrator | None
) -> NDArray[Any]:
    """Returns the deterministic probabilities, recalibrated when they have a calibrator."""
    if calibrator is None:
        return prediction.deterministic
    mapped = _mapped(prediction, prediction.deterministic, calibrator.transform)
    return _as_output(prediction, mapped)


def _mapped(prediction: Prediction, values: NDArray[Any], transform: Transform) -> FloatArray:
    """Returns probabilities of the shape of `mean`, transformed, with classes on the last axis."""
    probabilities = replace(prediction, mean=values).class_probabilities
    rows = probabilities.reshape(-1, probabilities.shape[-1])
    return transform(rows).reshape(probabilities.shape)


def _as_output(prediction: Prediction, values: FloatArray) -> FloatArray:
    """Returns values with classes on the last axis as the prediction holds them."""
    return values[..., 1] if prediction.task == "binary" else values


def _scaled(prediction: Prediction, squares: FloatArray) -> tuple[FloatArray, FloatArray | None]:
    """Returns the variance of a pass and its components, for a squared error of the mean.

    The components of passes that share masks keep their proportions: to first order a repair
    stretches what every stage does alike.
    """
    components = prediction.variance_components
    if components is None:
        passes = prediction.num_samples_per_example.reshape((-1,) + (1,) * (squares.ndim - 1))
        return squares * passes, None
    before = np.square(prediction.monte_carlo_error)
    stretch = np.divide(squares, before, out=np.zeros_like(squares), where=before > 0)
    return prediction.variance * stretch, components * stretch


def _raked(groups: FloatArray, shares: FloatArray, mean: FloatArray) -> FloatArray:
    """Returns the groups' probabilities, changed little so that they average to `mean`.

    The repair of an average is not the average of the repairs. Iterative proportional fitting
    makes it so, keeps rows that are distributions, and to first order how the groups stray.

    Args:
        groups: Repaired mean of each group of passes, shape (G, N, ..., C).
        shares: Share of each group among the passes, broadcastable to `groups`.
        mean: Repaired mean of all passes, shape (N, ..., C).

    References:
        Deming and Stephan (1940), doi:10.1214/aoms/1177731829.
    """
    for _ in range(MOST_SWEEPS):
        average = (shares * groups).sum(axis=0)
        if np.abs(average - mean).max() < RAKED:
            break
        known = average > 0
        factor = np.divide(mean, average, out=np.zeros_like(mean), where=known)
        groups = np.where(known, groups * factor, mean)
        total = groups.sum(axis=-1, keepdims=True)
        rows = np.broadcast_to(mean, groups.shape).copy()
        groups = np.divide(groups, total, out=rows, where=total > 0)
    return groups
