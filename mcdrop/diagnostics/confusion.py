"""Which class is taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation.results import small_counts

UNCERTAIN_SHARE = 0.1
"""The share of answers with the highest predictive entropy that are called uncertain."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Confusion:
    """True against answered class.

    Attributes:
        matrix: Counts of all answers, true class by answered class, shape (C, C).
        uncertain: Counts of the most uncertain answers alone, shape (C, C).
        share: Share of answers taken for uncertain.
        threshold: Their smallest predictive entropy in nats.
    """

    matrix: Array
    uncertain: Array
    share: float
    threshold: float

    @property
    def errors(self) -> int:
        """Wrong answers."""
        return _wrong(self.matrix)

    @property
    def errors_inside(self) -> int:
        """Wrong answers among the uncertain."""
        return _wrong(self.uncertain)

    @property
    def count(self) -> int:
        """Number of uncertain answers."""
        return int(self.uncertain.sum())

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, the matrices of at most 100 classes only: they grow as C²."""
        return {
            "share": self.share,
            "threshold": self.threshold,
            "count": self.count,
            "errors": self.errors,
            "errors_inside": self.errors_inside,
            "matrix": small_counts(self.matrix),
            "uncertain": small_counts(self.uncertain),
        }


def confusion(
    labels: Array, predicted: Array, predictive_entropy: Array, num_classes: int
) -> Confusion:
    """Returns the confusions of all answers, and of the most uncertain tenth of them.

    Answers as uncertain as the last of the tenth are among them.
    """
    size = max(1, round(UNCERTAIN_SHARE * labels.size))
    least = np.partition(predictive_entropy, -size)[-size]
    is_uncertain = predictive_entropy >= least
    return Confusion(
        matrix=confusion_counts(labels, predicted, num_classes),
        uncertain=confusion_counts(labels[is_uncertain], predicted[is_uncertain], num_classes),
        share=float(is_uncertain.mean()),
        threshold=float(least),
    )


def confusion_counts(labels: Array, predicted: Array, num_classes: int) -> Array:
    """Returns the confusion matrix, true class by answered class, shape (C, C)."""
    flat = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def confused_pairs(matrix: Array, most: int) -> list[tuple[int, int, int]]:
    """Returns (true, answered, count) of the most frequent confusions, the largest first."""
    wrong = matrix - np.diag(np.diag(matrix))
    ranked = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(matrix)) for place in ranked]
    return [(t, p, int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


def _wrong(matrix: Array) -> int:
    return int(matrix.sum() - np.trace(matrix))
