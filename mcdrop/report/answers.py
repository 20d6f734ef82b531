"""Class predictions as one flat list of scored answers, whatever the shape of the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.pass_statistics import entropy
from mcdrop.prediction import Prediction

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation

VOID_LABEL = -1
"""Label of pixels, or of labels of an example, whose truth is unknown; they count nowhere."""

MAX_ANSWERS = 400_000
"""Answers that figures rest on; of more (pixels), this many are drawn at random."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Answers:
    """M answers: one an example, a label of an example, or a pixel.

    Attributes:
        probabilities: Monte Carlo class probabilities, shape (M, C).
        deterministic: Deterministic class probabilities, shape (M, C).
        labels: True classes, shape (M,).
        predictive_entropy: Shape (M,), nats.
        mutual_information: Bias-corrected, shape (M,), nats; None for a recalibrated mean.
        position: Place of each answer in the flattened labels, shape (M,).
        example: Example that each answer belongs to, shape (M,).
        available: Number of answers before any were drawn.
    """

    probabilities: Array
    deterministic: Array
    labels: Array
    predictive_entropy: Array
    mutual_information: Array | None
    position: Array
    example: Array
    available: int

    def __len__(self) -> int:
        """Returns M."""
        return int(self.labels.shape[0])

    @property
    def predicted(self) -> Array:
        """Answered class, shape (M,)."""
        return self.probabilities.argmax(axis=-1)

    @property
    def deterministic_predicted(self) -> Array:
        """Class answered by the deterministic prediction, shape (M,)."""
        return self.deterministic.argmax(axis=-1)

    @property
    def deterministic_entropy(self) -> Array:
        """Entropy of the deterministic prediction, shape (M,), nats."""
        return entropy(self.deterministic)

    @property
    def correct(self) -> Array:
        """Whether each answer is right, shape (M,)."""
        return self.predicted == self.labels

    @property
    def deterministic_correct(self) -> Array:
        """Whether each deterministic answer is right, shape (M,)."""
        return self.deterministic_predicted == self.labels

    @property
    def design_effect(self) -> float:
        """How much less than independent answers these tell, at least 1.

        The variance of the accuracy with the answers of an example taken together (pixels
        of an image err together), over the variance of as many independent answers.

        References:
            Kish (1965), Survey Sampling, section 8.2.
        """
        correct = self.correct
        share = float(correct.mean())
        examples = int(np.unique(self.example).size)
        if examples == len(self) or examples < 2 or share in (0.0, 1.0):
            return 1.0
        deviations = np.bincount(self.example, correct - share)
        clustered = float(np.square(deviations).sum()) * examples / (examples - 1)
        return max(1.0, clustered / (len(self) * share * (1.0 - share)))


def kind_of(prediction: Prediction) -> str:
    """Returns "classes", "labels", "pixels" or "values", the layout of a report."""
    if prediction.task in ("regression", "gaussian"):
        return "values"
    if prediction.task == "multilabel":
        return "labels"
    return "pixels" if prediction.predicted_class.ndim > 1 else "classes"


def answers_of(evaluation: Evaluation) -> Answers:
    """Returns the answers of an evaluation of a class task, at most `MAX_ANSWERS`."""
    prediction = evaluation.prediction
    probabilities = prediction.class_probabilities
    num_classes = probabilities.shape[-1]
    labels = np.asarray(evaluation.y_true).reshape(-1).astype(np.int64)
    keep = _kept(labels, evaluation.seed)

    def flat(values: Array) -> Array:
        return values.reshape(-1)[keep]

    return Answers(
        probabilities=probabilities.reshape(-1, num_classes)[keep],
        deterministic=prediction.deterministic_class_probabilities.reshape(-1, num_classes)[keep],
        labels=labels[keep],
        predictive_entropy=flat(prediction.predictive_entropy),
        mutual_information=None
        if prediction.expected_entropy is None
        else flat(prediction.mutual_information_corrected),
        position=keep,
        example=keep // max(1, labels.size // len(prediction)),
        available=labels.size,
    )


def _kept(labels: Array, seed: int) -> Array:
    """Returns which answers to score, in their order."""
    known = np.flatnonzero(labels != VOID_LABEL)
    if known.size <= MAX_ANSWERS:
        return known
    drawn = np.random.default_rng(seed).choice(known.size, MAX_ANSWERS, replace=False)
    return known[np.sort(drawn)]
