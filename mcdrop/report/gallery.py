"""Which examples are worth a look, and what the passes say about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.formatting import decimals_for, number, percent, significant
from mcdrop.evaluation.records import Estimate
from mcdrop.evaluation.targets import VOID_LABEL
from mcdrop.prediction import Prediction
from mcdrop.report import thumbnails
from mcdrop.report.content import ClassShare, GalleryItem, MapPanel
from mcdrop.report.context import kind_of
from mcdrop.report.votes import Sampled, hesitation, winners

GROUP_SIZE = 50
"""Examples of each list; four lists make at most 200."""
MAP_GROUP_SIZE = 8
SHOWN_CLASSES = 4
SHOWN_LABELS = 6

GROUPS = {
    "most_uncertain": "Most uncertain",
    "confident_mistakes": "Most confident mistakes",
    "largest_error": "Largest errors",
    "largest_disagreement": "Largest change by MC dropout",
    "class_flipped": "Class flipped",
}
"""Name and title of each list of examples, in the order of the page."""

Array = NDArray[Any]


@dataclass(frozen=True)
class _Subject:
    """What the items are made of, the same for all examples of one report."""

    evaluation: Evaluation
    names: Sequence[str]
    images: Array | None

    @property
    def prediction(self) -> Prediction:
        return self.evaluation.prediction

    @property
    def truth(self) -> Array:
        return self.evaluation.y_true

    @cached_property
    def kind(self) -> str:
        return kind_of(self.prediction)

    @cached_property
    def probabilities(self) -> Array:
        return self.prediction.class_probabilities

    @cached_property
    def plain(self) -> Array:
        return self.prediction.deterministic_class_probabilities

    @cached_property
    def predicted(self) -> Array:
        return self.prediction.predicted_class

    @cached_property
    def std(self) -> Array:
        """Standard deviation over the passes, that of both classes of a binary task."""
        std = self.prediction.std
        return np.stack([std, std], axis=-1) if self.prediction.task == "binary" else std

    @cached_property
    def votes(self) -> Array | None:
        votes = self.prediction.votes
        if votes is None or self.prediction.task != "binary":
            return votes
        return np.stack([1.0 - votes, votes], axis=-1)

    @cached_property
    def entropy(self) -> Array:
        return self.prediction.predictive_entropy

    @cached_property
    def information(self) -> Array | None:
        """Mutual information, None where the passes of a repaired mean are not known."""
        known = self.prediction.expected_entropy is not None
        return self.prediction.mutual_information if known else None

    @cached_property
    def interval(self) -> tuple[Array, Array]:
        return self.prediction.interval(self.evaluation.confidence_level)

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Values of the images that are shown as black and white."""
        return (0.0, 1.0) if self.images is None else thumbnails.value_range(self.images)

    @cached_property
    def ceiling(self) -> float:
        """The value shown brightest in the maps of spread, so that all maps compare."""
        spread = self.information if self.kind == "pixels" else None
        spread = self.prediction.std if spread is None else spread
        return max(float(np.quantile(spread, 0.999)), 1e-6)

    @cached_property
    def is_map(self) -> bool:
        """Whether the outputs are maps: one value or class a pixel."""
        if self.kind == "pixels":
            return True
        mean, images = self.prediction.mean, self.images
        if self.kind == "labels" or mean.ndim < 3:
            return False
        return mean.ndim == 4 or (images is not None and mean.shape[1:3] == images.shape[1:3])

    @cached_property
    def measures(self) -> dict[str, Array]:
        """What the examples are ranked by: one number an example, means over pixels."""
        prediction = self.prediction
        if self.kind == "values":
            change = np.abs(prediction.mean - prediction.deterministic)
            error = np.abs(prediction.mean - self.truth)
            found = {"std": prediction.std, "error": error, "disagreement": change}
        else:
            change = 0.5 * np.abs(self.probabilities - self.plain).sum(axis=-1)
            confidence = self.probabilities.max(axis=-1)
            found = {
                "predictive_entropy": self.entropy,
                "confidence": confidence,
                "disagreement": change,
            }
            if self.information is not None:
                found["mutual_information"] = self.information
            if self.kind == "pixels":
                found["error"] = wrong_share(self.predicted, self.truth)
        return {name: _per_example(values) for name, values in found.items()}


def gallery(
    evaluation: Evaluation,
    names: Sequence[str],
    images: Array | None,
    sampled: Sampled | None = None,
) -> tuple[GalleryItem, ...]:
    """Returns the examples at the top of each list, each once, in the order of the data.

    Args:
        evaluation: The evaluation.
        names: Names of the classes.
        images: The inputs, when they are images.
        sampled: Draws the passes of the examples at some places again, when they were not kept.

    Raises:
        DataError: What was drawn again are not the passes of the evaluation.
    """
    subject = _Subject(evaluation, names, images)
    groups = _choose(subject)
    places = sorted(groups)
    first = None
    if subject.kind == "classes":
        first = winners(evaluation.prediction, np.array(places, dtype=np.intp), sampled)
    make: Callable[[_Subject, int], dict[str, Any]]
    if subject.is_map:
        make = _map_of_values if subject.kind == "values" else _map_of_classes
    else:
        make = {"values": _values, "labels": _labels, "classes": _classes}[subject.kind]
    side = thumbnails.MAX_MAP_SIDE if subject.is_map else thumbnails.MAX_SIDE
    numbers = evaluation.prediction.example_numbers
    return tuple(
        GalleryItem(
            index=int(numbers[index]),
            groups=tuple(groups[index]),
            measures={name: float(values[index]) for name, values in subject.measures.items()},
            image=None
            if images is None
            else thumbnails.image_uri(images[index], subject.limits, side),
            **make(subject, index),
            **({} if first is None else _hesitation(subject, index, first[place])),
        )
        for place, index in enumerate(places)
    )


def wrong_share(predicted: Array, truth: Array) -> Array:
    """Returns the share of wrong pixels of each example; 0 where no pixel has a label."""
    known = (truth != VOID_LABEL).reshape(len(truth), -1)
    wrong = (predicted != truth).reshape(len(truth), -1) & known
    return np.asarray(wrong.sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def _per_example(values: Array) -> Array:
    return np.asarray(values.reshape(values.shape[0], -1).mean(axis=1))


def _choose(subject: _Subject) -> dict[int, list[str]]:
    """Returns the lists that each chosen example is in."""
    measures, kind = subject.measures, subject.kind
    everyone = np.arange(len(subject.prediction))
    size = MAP_GROUP_SIZE if subject.is_map else GROUP_SIZE
    uncertainty = measures["std" if kind == "values" else "predictive_entropy"]
    lists = {"most_uncertain": (everyone, uncertainty)}
    if kind in ("values", "pixels"):
        lists["largest_error"] = (everyone, measures["error"])
    elif kind == "classes":
        wrong = np.flatnonzero(subject.predicted != subject.truth)
        lists["confident_mistakes"] = (wrong, measures["confidence"])
    lists["largest_disagreement"] = (everyone, measures["disagreement"])
    if kind == "classes":
        flipped = np.asarray(subject.evaluation.flipped)
        lists["class_flipped"] = (flipped, measures["disagreement"])
    groups: dict[int, list[str]] = {}
    for name, (candidates, key) in lists.items():
        best = candidates[np.argsort(-key[candidates], kind="stable")[:size]]
        for index in best:
            groups.setdefault(int(index), []).append(name)
    return groups


def _classes(subject: _Subject, index: int) -> dict[str, Any]:
    mean, plain = subject.probabilities[index], subject.plain[index]
    truth, predicted = int(subject.truth[index]), int(subject.predicted[index])
    shown = list(np.argsort(-mean, kind="stable")[:SHOWN_CLASSES])
    for extra in (truth, int(plain.argmax())):
        if extra not in shown:
            shown[-1 if extra == truth else -2] = extra
    votes = None if subject.votes is None else subject.votes[index]
    return {
        "label": subject.names[truth],
        "predicted": subject.names[predicted],
        "deterministic": subject.names[int(plain.argmax())],
        "correct": predicted == truth,
        "classes": tuple(
            ClassShare(
                name=subject.names[c],
                mean=float(mean[c]),
                std=float(subject.std[index][c]),
                votes=None if votes is None else float(votes[c]),
                deterministic=float(plain[c]),
                is_true=int(c) == truth,
            )
            for c in shown
        ),
    }


def _hesitation(subject: _Subject, index: int, first: Array) -> dict[str, Any]:
    total = int(subject.prediction.num_samples_per_example[index])
    truth, votes = int(subject.truth[index]), subject.votes
    return {} if votes is None else hesitation(first, votes[index], total, subject.names, truth)


def _labels(subject: _Subject, index: int) -> dict[str, Any]:
    """Returns what is said of a multilabel example: its least certain labels."""
    prediction = subject.prediction
    mean, plain = prediction.mean[index].reshape(-1), prediction.deterministic[index].reshape(-1)
    truth, std = subject.truth[index].reshape(-1), prediction.std[index].reshape(-1)
    votes = None if subject.votes is None else subject.votes[index].reshape(-1)
    shown = np.argsort(-subject.entropy[index].reshape(-1), kind="stable")[:SHOWN_LABELS]
    names = [subject.names[place % len(subject.names)] for place in range(mean.size)]
    said = subject.predicted[index].reshape(-1)
    known = truth != VOID_LABEL

    def carried(flags: Array) -> str:
        return ", ".join(name for name, flag in zip(names, flags, strict=True) if flag) or "none"

    return {
        "label": carried(truth == 1),
        "predicted": carried(said == 1),
        "deterministic": carried(subject.plain[index].argmax(axis=-1).reshape(-1) == 1),
        "correct": bool((said == truth)[known].all()),
        "classes": tuple(
            ClassShare(
                name=names[c],
                mean=float(mean[c]),
                std=float(std[c]),
                votes=None if votes is None else float(votes[c]),
                deterministic=float(plain[c]),
                is_true=bool(truth[c] == 1),
            )
            for c in shown
        ),
    }


def _values(subject: _Subject, index: int) -> dict[str, Any]:
    prediction = subject.prediction
    mean, plain = prediction.mean[index], prediction.deterministic[index]
    spread = prediction.std[index]
    drawn: dict[str, Any] = {}
    if mean.size == 1:
        low, high = (float(end[index].flat[0]) for end in subject.interval)
        drawn = {
            "interval": Estimate(float(mean.flat[0]), low, high),
            "target": float(np.asarray(subject.truth[index]).flat[0]),
            "plain": float(plain.flat[0]),
        }
    return {
        "label": _values_text(subject.truth[index], spread),
        "predicted": _values_text(mean, spread),
        "deterministic": _values_text(plain, spread),
        "correct": None,
        **drawn,
    }


def _values_text(values: Array, spread: Array) -> str:
    """Returns numbers with the digits that their stated deviations support, of many the first."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    places = [decimals_for(2.0 * float(std)) for std in np.reshape(spread, -1)[:3]]
    text = ", ".join(map(number, flat[:3].tolist(), places))
    return text if flat.size <= 3 else f"{text}, …"


def _map_of_classes(subject: _Subject, index: int) -> dict[str, Any]:
    """Returns a row of maps: truth, answer, errors, entropy and mutual information."""
    truth = _as_map(subject.truth[index])
    predicted, plain = (
        _as_map(values)
        for values in (subject.predicted[index], subject.plain[index].argmax(axis=-1))
    )
    num_classes = subject.probabilities.shape[-1]
    known = truth != VOID_LABEL
    most = float(np.log(num_classes))
    panels = [
        MapPanel("Truth", thumbnails.label_uri(truth, num_classes)),
        MapPanel("MC dropout", thumbnails.label_uri(predicted, num_classes)),
        MapPanel("Errors", thumbnails.map_uri(1.0 * (known & (predicted != truth)), (0.0, 1.0))),
        MapPanel(
            f"Predictive entropy, 0 to {number(most, 2)} nats",
            thumbnails.map_uri(_as_map(subject.entropy[index]), (0.0, most)),
        ),
    ]
    if subject.information is not None:
        doubt = _as_map(subject.information[index])
        title = f"Mutual information, 0 to {number(subject.ceiling, 2)} nats"
        panels.append(MapPanel(title, thumbnails.map_uri(doubt, (0.0, subject.ceiling))))
    wrong, plain_wrong = (
        wrong_share(each[np.newaxis], truth[np.newaxis])[0] for each in (predicted, plain)
    )
    return {
        "label": "",
        "predicted": f"{percent(1.0 - wrong)} of pixels right",
        "deterministic": f"{percent(1.0 - plain_wrong)} of pixels right",
        "correct": None,
        "maps": tuple(panels),
    }


def _map_of_values(subject: _Subject, index: int) -> dict[str, Any]:
    """Returns a row of maps of a dense regression: truth, mean, error and spread."""
    prediction, truth = subject.prediction, subject.truth[index]
    mean, spread = prediction.mean[index], prediction.std[index]
    limits = (float(truth.min()), float(truth.max()))
    reach = (0.0, subject.ceiling)
    scale = f"0 to {significant(subject.ceiling)}"
    panels = (
        MapPanel("Truth", _picture(truth, limits)),
        MapPanel("Predictive mean", _picture(mean, limits)),
        MapPanel(
            f"Absolute error, {scale}", thumbnails.map_uri(_flat(np.abs(mean - truth)), reach)
        ),
        MapPanel(f"Standard deviation, {scale}", thumbnails.map_uri(_flat(spread), reach)),
    )
    error = float(np.sqrt(np.square(mean - truth).mean()))
    plain = float(np.sqrt(np.square(prediction.deterministic[index] - truth).mean()))
    return {
        "label": "",
        "predicted": f"error {significant(error)}",
        "deterministic": f"error {significant(plain)}",
        "correct": None,
        "maps": panels,
    }


def _picture(values: Array, limits: tuple[float, float]) -> str:
    image = values if values.ndim == 3 else values[..., np.newaxis]
    return thumbnails.image_uri(image, limits, thumbnails.MAX_MAP_SIDE)


def _flat(values: Array) -> Array:
    return values if values.ndim == 2 else values.mean(axis=-1)


def _as_map(values: Array) -> Array:
    """Returns a map with two axes; a sequence becomes a strip of 8 rows."""
    if values.ndim == 1:
        return np.tile(values, (8, 1))
    return values.reshape(values.shape[0], -1)
