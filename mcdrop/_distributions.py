"""A prediction as a TensorFlow Probability distribution; imports it only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mcdrop.prediction import Prediction


def of(prediction: Prediction) -> Any:
    """Returns the predictive distribution; see `Prediction.distribution`."""
    import tensorflow_probability as tfp

    tfd = tfp.distributions
    if prediction.task == "classification":
        return tfd.Categorical(probs=prediction.mean)
    if prediction.task in ("binary", "multilabel"):
        return tfd.Bernoulli(probs=prediction.mean)
    if prediction.samples is None:
        return tfd.Normal(prediction.mean, prediction.std)
    passes_last = np.moveaxis(prediction.samples, 0, -1)
    if prediction.sample_variances is None:
        return tfd.Empirical(passes_last)
    scales = np.sqrt(np.moveaxis(prediction.sample_variances, 0, -1))
    weights = np.full(passes_last.shape, 1.0 / passes_last.shape[-1], scales.dtype)
    return tfd.MixtureSameFamily(
        tfd.Categorical(probs=weights), tfd.Normal(passes_last.astype(scales.dtype), scales)
    )
