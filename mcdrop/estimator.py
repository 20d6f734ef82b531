"""Sampled models as scikit-learn estimators, for the tools that take those.

The model is trained already: `fit` trains nothing and cloning returns the same object, so
that cross-validation tools and conformal libraries use the model as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from mcdrop.errors import DataError
from mcdrop.prediction import Prediction
from mcdrop.predictor import MCDropout

Array = NDArray[Any]


class _Sampled(BaseEstimator):
    """What both estimators share: a trained model, how many passes, and the seed."""

    is_fitted = True
    """What MAPIE looks for in a trained estimator."""

    def __init__(self, mc: MCDropout, *, num_samples: int | None = None, seed: int = 0) -> None:
        if not isinstance(mc, MCDropout):
            raise DataError(
                f"`mc` is a {type(mc).__name__}, expected a wrapped model: "
                f"{type(self).__name__}(mcdrop.MCDropout(model))."
            )
        self.mc = mc
        self.num_samples = num_samples
        self.seed = seed

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Self:
        return self

    def _sample(self, X: Any, tasks: Sequence[str]) -> Prediction:
        prediction = self.mc.predict(X, num_samples=self.num_samples, seed=self.seed)
        if not isinstance(prediction, Prediction) or prediction.task not in tasks:
            task = getattr(prediction, "task", "several outputs")
            raise DataError(
                f"{type(self).__name__} takes a model of task {' or '.join(tasks)}; this one has "
                f"{task}."
            )
        return prediction


class MCDropoutClassifier(ClassifierMixin, _Sampled):
    """A sampled softmax or sigmoid model with `predict`, `predict_proba` and `score`.

    Args:
        mc: The wrapped model, of task "classification" or "binary".
        classes: Names or numbers of the classes in the order of the outputs; None takes
            0, 1, ..., C - 1.
        num_samples: T >= 2 passes; None takes those of `MCDropout.predict`.
        seed: Whole number from 0 below 2**64.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
        >>> classifier = MCDropoutClassifier(MCDropout(model), num_samples=8)
        >>> classifier.predict_proba(np.ones((2, 4))).shape
        (2, 3)
    """

    def __init__(
        self,
        mc: MCDropout,
        *,
        classes: Sequence[Any] | None = None,
        num_samples: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(mc, num_samples=num_samples, seed=seed)
        self.classes = classes

    @property
    def classes_(self) -> Array:
        """The classes in the order of `predict_proba`'s columns, shape (C,)."""
        if self.classes is not None:
            return np.asarray(self.classes)
        width = int(self.mc.model.output_shape[-1])
        return np.arange(max(width, 2))

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Checks that the labels are among the classes and trains nothing.

        Raises:
            DataError: A label is not among the classes.
        """
        unknown = sorted(set(np.unique(np.asarray(y)).tolist()) - set(self.classes_.tolist()))
        if unknown:
            raise DataError(f"`y` holds {unknown}, the classes are {self.classes_.tolist()}.")
        return self

    def predict_proba(self, X: Any) -> Array:
        """Returns the predictive mean, shape (N, C); each row sums to 1."""
        probabilities = self._sample(X, ("classification", "binary")).class_probabilities
        return np.asarray(probabilities / probabilities.sum(axis=-1, keepdims=True))

    def predict(self, X: Any) -> Array:
        """Returns the class of the largest predictive probability, shape (N,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=-1)])


class MCDropoutRegressor(RegressorMixin, _Sampled):
    """A sampled regression model with `predict`, `predict_std` and `score`.

    Args:
        mc: The wrapped model, of task "regression" or "gaussian".
        num_samples: T >= 2 passes; None takes those of `MCDropout.predict`.
        seed: Whole number from 0 below 2**64.
    """

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Trains nothing."""
        return self

    def predict(self, X: Any) -> Array:
        """Returns the predictive mean, shape (N,) for one target and (N, D) for more."""
        return _flat(self._sample(X, ("regression", "gaussian")).mean)

    def predict_std(self, X: Any) -> Array:
        """Returns the predictive standard deviation in the shape of `predict`."""
        return _flat(self._sample(X, ("regression", "gaussian")).std)


def _flat(values: Array) -> Array:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
