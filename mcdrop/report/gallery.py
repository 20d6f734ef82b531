"""Which examples are worth a look, and what the passes say about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.pass_statistics import says_yes
from mcdrop.prediction import Prediction
from mcdrop.report import thumbnails
from mcdrop.report.answers import VOID_LABEL, kind_of
from mcdrop.report.content import ClassShare, GalleryItem, MapPanel
from mcdrop.report.formatting import number, percent
from mcdrop.report.intervals import Interval

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation

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

    prediction: Prediction
    truth: Array
    names: Sequence[str]
    images: Array | None
    limits: tuple[float, float]
    measures: dict[str, Array]
    groups: dict[int, list[str]]
    level: float
    ceiling: float


def gallery(
    evaluation: Evaluation, names: Sequence[str], images: Array | None
) -> tuple[GalleryItem, ...]:
    """Returns the examples at the top of each list, each once, in the order of the data."""
    prediction = evaluation.prediction
    kind = kind_of(prediction)
    measures = measures_of(evaluation)
    maps = _is_map(prediction, images)
    subject = _Subject(
        prediction=prediction,
        truth=np.asarray(evaluation.y_true),
        names=names,
        images=images,
        limits=thumbnails.value_range(images) if images is not None else (0.0, 1.0),
        measures=measures,
        groups=_choose(evaluation, measures, MAP_GROUP_SIZE if maps else GROUP_SIZE),
        level=evaluation.confidence_level,
        ceiling=_ceiling(prediction) if maps else 0.0,
    )
    if maps:
        make = _map_values_item if kind == "values" else _map_classes_item
    else:
        make = {"values": _values_item, "labels": _labels_item, "classes": _class_item}[kind]
    return tuple(make(subject, index) for index in sorted(subject.groups))


def measures_of(evaluation: Evaluation) -> dict[str, Array]:
    """Returns what the examples are ranked by: one number an example, means over pixels."""
    prediction = evaluation.prediction
    if kind_of(prediction) == "values":
        targets = np.asarray(evaluation.y_true, dtype=np.float64).reshape(prediction.mean.shape)
        change = np.abs(prediction.mean - prediction.deterministic)
        error = np.abs(prediction.mean - targets)
        found = {"std": prediction.std, "error": error, "disagreement": change}
    else:
        change = prediction.class_probabilities - prediction.deterministic_class_probabilities
        found = {
            "predictive_entropy": prediction.predictive_entropy,
            "confidence": prediction.confidence,
            "disagreement": 0.5 * np.abs(change).sum(axis=-1),
        }
        if prediction.expected_entropy is not None:
            found["mutual_information"] = prediction.mutual_information_corrected
        if kind_of(prediction) == "pixels":
            found["error"] = wrong_share(prediction.predicted_class, evaluation.y_true)
    return {name: _per_example(values) for name, values in found.items()}


def wrong_share(predicted: Array, truth: Array) -> Array:
    """Returns the share of wrong pixels of each example; 0 where no pixel has a label."""
    known = (truth != VOID_LABEL).reshape(len(truth), -1)
    wrong = (predicted != truth).reshape(len(truth), -1) & known
    return wrong.sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _per_example(values: Array) -> Array:
    return values.reshape(values.shape[0], -1).mean(axis=1)


def _is_map(prediction: Prediction, images: Array | None) -> bool:
    """Returns whether the outputs are maps: one value or class a pixel."""
    if kind_of(prediction) == "pixels":
        return True
    if kind_of(prediction) == "labels" or prediction.mean.ndim < 3:
        return False
    same_size = images is not None and prediction.mean.shape[1:3] == images.shape[1:3]
    return prediction.mean.ndim == 4 or same_size


def _choose(evaluation: Evaluation, measures: dict[str, Array], size: int) -> dict[int, list[str]]:
    """Returns the lists that each chosen example is in."""
    kind = kind_of(evaluation.prediction)
    everyone = np.arange(len(evaluation.prediction))
    uncertainty = measures["std" if kind == "values" else "predictive_entropy"]
    lists = {"most_uncertain": (everyone, uncertainty)}
    if kind == "values":
        lists["largest_error"] = (everyone, measures["error"])
    elif kind == "classes":
        wrong = np.flatnonzero(evaluation.prediction.predicted_class != evaluation.y_true)
        lists["confident_mistakes"] = (wrong, measures["confidence"])
    elif kind == "pixels":
        lists["largest_error"] = (everyone, measures["error"])
    lists["largest_disagreement"] = (everyone, measures["disagreement"])
    if kind == "classes":
        lists["class_flipped"] = (np.asarray(evaluation.flipped), measures["disagreement"])
    groups: dict[int, list[str]] = {}
    for name, (candidates, key) in lists.items():
        best = candidates[np.argsort(-key[candidates], kind="stable")[:size]]
        for index in best:
            groups.setdefault(int(index), []).append(name)
    return groups


def _common(subject: _Subject, index: int, *, side: int = thumbnails.MAX_SIDE) -> dict[str, Any]:
    """Returns what every item has; `side` bounds the size of its picture."""
    image = None
    if subject.images is not None:
        image = thumbnails.image_uri(subject.images[index], subject.limits, side)
    return {
        "index": index,
        "groups": tuple(subject.groups[index]),
        "measures": {name: float(values[index]) for name, values in subject.measures.items()},
        "image": image,
    }


def _class_item(subject: _Subject, index: int) -> GalleryItem:
    prediction = subject.prediction
    row = prediction.take([index])
    mean, plain = row.class_probabilities[0], row.deterministic_class_probabilities[0]
    truth, predicted = int(subject.truth[index]), int(mean.argmax())
    votes = None if row.votes is None else replace(row, mean=row.votes).class_probabilities[0]
    std = np.repeat(row.std, 2) if prediction.task == "binary" else row.std[0]
    shown = list(np.argsort(-mean, kind="stable")[:SHOWN_CLASSES])
    for extra in (truth, int(plain.argmax())):
        if extra not in shown:
            shown[-1 if extra == truth else -2] = extra
    shares = tuple(
        ClassShare(
            name=subject.names[c],
            mean=float(mean[c]),
            std=float(std[c]),
            votes=None if votes is None else float(votes[c]),
            deterministic=float(plain[c]),
            is_true=int(c) == truth,
        )
        for c in shown
    )
    return GalleryItem(
        label=subject.names[truth],
        predicted=subject.names[predicted],
        deterministic=subject.names[int(plain.argmax())],
        correct=predicted == truth,
        classes=shares,
        **_common(subject, index),
    )


def _labels_item(subject: _Subject, index: int) -> GalleryItem:
    """Returns the item of a multilabel example: its least certain labels."""
    row = subject.prediction.take([index])
    mean, plain = row.mean.reshape(-1), row.deterministic.reshape(-1)
    truth = subject.truth[index].reshape(-1)
    votes = None if row.votes is None else row.votes.reshape(-1)
    std = row.std.reshape(-1)
    shown = np.argsort(-row.predictive_entropy.reshape(-1), kind="stable")[:SHOWN_LABELS]
    names = [subject.names[place % len(subject.names)] for place in range(mean.size)]

    def carried(flags: Array) -> str:
        return ", ".join(name for name, flag in zip(names, flags, strict=True) if flag) or "none"

    return GalleryItem(
        label=carried(truth == 1),
        predicted=carried(says_yes(mean)),
        deterministic=carried(says_yes(plain)),
        correct=bool((says_yes(mean) == (truth == 1)).all()),
        classes=tuple(
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
        **_common(subject, index),
    )


def _values_item(subject: _Subject, index: int) -> GalleryItem:
    row = subject.prediction.take([index])
    drawn: dict[str, Any] = {}
    if row.mean.size == 1:
        low, high = row.interval(subject.level)
        drawn = {
            "interval": Interval(float(row.mean.flat[0]), float(low.flat[0]), float(high.flat[0])),
            "target": float(np.asarray(subject.truth[index]).flat[0]),
            "plain": float(row.deterministic.flat[0]),
        }
    return GalleryItem(
        label=_values_text(subject.truth[index]),
        predicted=_values_text(row.mean),
        deterministic=_values_text(row.deterministic),
        correct=None,
        **drawn,
        **_common(subject, index),
    )


def _values_text(values: Array) -> str:
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    text = ", ".join(number(float(value), 3) for value in flat[:3])
    return text if flat.size <= 3 else f"{text}, …"


def _map_classes_item(subject: _Subject, index: int) -> GalleryItem:
    """Returns a row of maps: input, truth, answer, entropy and mutual information."""
    row = subject.prediction.take([index])
    truth = _as_map(subject.truth[index])
    predicted = _as_map(row.predicted_class[0])
    plain = _as_map(row.deterministic_class_probabilities[0].argmax(axis=-1))
    num_classes = row.class_probabilities.shape[-1]
    known = truth != VOID_LABEL
    most = float(np.log(num_classes))
    panels = [
        MapPanel("Truth", thumbnails.label_uri(truth, num_classes)),
        MapPanel("MC dropout", thumbnails.label_uri(predicted, num_classes)),
        MapPanel("Errors", thumbnails.map_uri(1.0 * (known & (predicted != truth)), (0.0, 1.0))),
        MapPanel(
            "Predictive entropy",
            thumbnails.map_uri(_as_map(row.predictive_entropy[0]), (0.0, most)),
        ),
    ]
    if row.expected_entropy is not None:
        doubt = thumbnails.map_uri(_as_map(row.mutual_information[0]), (0.0, subject.ceiling))
        panels.append(MapPanel("Mutual information", doubt))
    wrong = wrong_share(predicted[np.newaxis], truth[np.newaxis])[0]
    plain_wrong = wrong_share(plain[np.newaxis], truth[np.newaxis])[0]
    return GalleryItem(
        label="",
        predicted=f"{percent(1.0 - wrong)} of pixels right",
        deterministic=f"{percent(1.0 - plain_wrong)} of pixels right",
        correct=None,
        maps=tuple(panels),
        **_common(subject, index, side=thumbnails.MAX_MAP_SIDE),
    )


def _ceiling(prediction: Prediction) -> float:
    """Returns the value shown brightest in the maps of spread, so that all maps compare."""
    passes_known = kind_of(prediction) == "pixels" and prediction.expected_entropy is not None
    spread = prediction.mutual_information if passes_known else prediction.std
    return max(float(np.quantile(spread, 0.999)), 1e-6)


def _map_values_item(subject: _Subject, index: int) -> GalleryItem:
    """Returns a row of maps of a dense regression: truth, mean, error and spread."""
    prediction = subject.prediction
    truth = np.asarray(subject.truth[index], dtype=np.float64).reshape(prediction.mean.shape[1:])
    mean, spread = prediction.mean[index], prediction.std[index]
    limits = (float(truth.min()), float(truth.max()))
    spread_limit = (0.0, subject.ceiling)
    panels = (
        MapPanel("Truth", _picture(truth, limits)),
        MapPanel("Predictive mean", _picture(mean, limits)),
        MapPanel("Absolute error", thumbnails.map_uri(_flat(np.abs(mean - truth)), spread_limit)),
        MapPanel("Standard deviation", thumbnails.map_uri(_flat(spread), spread_limit)),
    )
    error = float(np.sqrt(np.square(mean - truth).mean()))
    plain = float(np.sqrt(np.square(prediction.deterministic[index] - truth).mean()))
    return GalleryItem(
        label="",
        predicted=f"error {number(error)}",
        deterministic=f"error {number(plain)}",
        correct=None,
        maps=panels,
        **_common(subject, index, side=thumbnails.MAX_MAP_SIDE),
    )


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
