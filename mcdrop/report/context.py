"""What a report says about its origin, and the checks of what its caller hands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcdrop._checks import as_array, check_finite
from mcdrop.errors import DataError
from mcdrop.prediction import CLASS_TASKS, Prediction

MAX_CHANNELS = 16
"""A last axis longer than this is taken for a width, so (N, 28, 28) batches stay images."""


@dataclass(frozen=True)
class ReportContext:
    """Where the numbers of a report come from; every field may be left out.

    Attributes:
        title: Heading of the page; None composes one of model and data.
        model_name: Name of the model, as its file name.
        data_name: Name of the data.
        command: The command that reproduces the report.
        seed: Seed of the masks.
        versions: Version of each package that took part.
        layers: The stochastic layers: objects with `path`, `kind`, `rate`, `selected` and
            `reason`, as `MCDropout.stochastic_layers` holds them.
        share_run_once: Share of the model's work that runs once, not once a pass, in [0, 1].
        seconds: Wall-clock seconds that sampling took.
        requirements: What was required: objects whose text is the outcome, and whose `shown` says
            whether it was shown to hold.
        readings: How the data were read where they might be read otherwise, one sentence each.
    """

    title: str | None = None
    model_name: str | None = None
    data_name: str | None = None
    command: str | None = None
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[Any] = ()
    share_run_once: float | None = None
    seconds: float | None = None
    readings: Sequence[str] = ()
    requirements: Sequence[Any] = ()

    @property
    def heading(self) -> str:
        """The title, or the model's name, or a plain description."""
        return self.title or self.model_name or "Uncertainty report"

    def to_dict(self) -> dict[str, Any]:
        """Returns the context as JSON-safe values."""
        names = ("path", "kind", "rate", "selected", "reason")
        return {
            "title": self.title,
            "model_name": self.model_name,
            "data_name": self.data_name,
            "command": self.command,
            "seed": self.seed,
            "versions": dict(self.versions),
            "layers": [{name: getattr(layer, name) for name in names} for layer in self.layers],
            "share_run_once": self.share_run_once,
            "seconds": self.seconds,
            "readings": list(self.readings),
        }


def kind_of(prediction: Prediction) -> str:
    """Returns "classes", "labels", "pixels" or "values", the layout of a report."""
    if prediction.task not in CLASS_TASKS:
        return "values"
    if prediction.task == "multilabel":
        return "labels"
    return (
        "pixels" if prediction.mean.ndim > (1 if prediction.task == "binary" else 2) else "classes"
    )


def num_classes(prediction: Prediction) -> int:
    """Returns how many class names the prediction needs: classes, or labels of a multilabel."""
    if prediction.task == "binary":
        return 2
    return int(prediction.mean.shape[-1])


def check_class_names(prediction: Prediction, names: Sequence[Any] | None) -> tuple[str, ...]:
    """Returns one name a class; numbers when none were given, nothing for a regression.

    Raises:
        DataError: There are names for a regression, or not one a class.
    """
    if prediction.task not in CLASS_TASKS:
        if names is not None:
            raise DataError(
                f"`class_names` were given for a prediction of task {prediction.task!r}, which "
                "has no classes. Leave them out."
            )
        return ()
    expected = num_classes(prediction)
    if names is None:
        return tuple(str(index) for index in range(expected))
    if isinstance(names, str) or len(names) != expected:
        given = f"the text {names!r}" if isinstance(names, str) else f"{len(names)} names"
        raise DataError(f"`class_names` holds {given}, expected a sequence of {expected} names.")
    return tuple(str(name) for name in names)


def check_images(x: ArrayLike | None, num_examples: int) -> NDArray[Any] | None:
    """Returns images of shape (N, H, W, channels), or None when none were given.

    Raises:
        DataError: The array holds no images, or not one an example.
    """
    if x is None:
        return None
    images = as_array("x", x)
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.size == 0 or images.shape[-1] > MAX_CHANNELS:
        raise DataError(
            f"`x` has shape {np.shape(x)}, expected images (N, H, W) or (N, H, W, channels). "
            "Leave it out when the inputs are no images."
        )
    if images.shape[0] != num_examples:
        raise DataError(
            f"`x` holds {images.shape[0]} images for {num_examples} predictions; expected one each."
        )
    check_finite("x", images)
    return images
