"""What the metrics of continuous targets share: shapes, and one value an example."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import VARIANCE_FIX, as_float, as_matched, as_passes, check_positive
from mcdrop.errors import DataError

FloatArray = NDArray[np.float64]


def as_gaussian(
    mean: ArrayLike, variance: ArrayLike, y: ArrayLike, *, allow_zero: bool = False
) -> tuple[FloatArray, ...]:
    """Returns mean, variance and targets of one shape, the variances checked to be positive."""
    arrays = as_matched(mean=mean, variance=variance, y=y)
    check_positive("variance", arrays[1], fix=VARIANCE_FIX, allow_zero=allow_zero)
    return arrays


def as_mixture(
    means: ArrayLike,
    variances: ArrayLike,
    y: ArrayLike,
    *,
    prefix: str = "",
    allow_zero: bool = False,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns means and variances of shape (T, N, ...) and targets of shape (N, ...).

    `prefix` completes the names "means" and "variances" in messages.
    """
    (targets,) = as_matched(y=y)
    centers = as_passes(f"{prefix}means", means, targets.shape)
    spreads = as_passes(f"{prefix}variances", variances, targets.shape)
    if centers.shape != spreads.shape:
        raise DataError(
            f"`{prefix}means` has {centers.shape[0]} passes and `{prefix}variances` "
            f"{spreads.shape[0]}, expected one variance for each mean. Pass both of one sampling."
        )
    check_positive(f"{prefix}variances", spreads, fix=VARIANCE_FIX, allow_zero=allow_zero)
    return centers, spreads, targets


def as_noise(noise_variance: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Returns the noise variance, one number or one for each output, broadcast to `shape`."""
    noise = as_float("noise_variance", noise_variance)
    if noise.ndim > 1 or (noise.ndim == 1 and (len(shape) < 2 or noise.shape != shape[-1:])):
        raise DataError(
            f"`noise_variance` has shape {noise.shape}, expected one number, or one for each "
            f"output of targets of shape {shape}."
        )
    check_positive("noise_variance", noise, fix="Gal's precision tau is 1 / noise_variance.")
    return np.broadcast_to(noise, shape)
