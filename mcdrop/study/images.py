"""The image sets of the built-in studies: training, validation and test examples, kept apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcdrop.errors import DataError
from mcdrop.loading import load_named
from mcdrop.study import networks
from mcdrop.study.plan import Found, Request, Tick
from mcdrop.study.running import grid_jobs, record_of, train_and_score
from mcdrop.study.training import Build, Examples, Schedule, Sets, Trainer

BATCH_SIZE = 128
VALIDATION_SHARE = 6
"""One in so many training images is kept for validation: 10,000 of MNIST's 60,000."""

NETWORKS: Mapping[str, Build] = {"mlp": networks.mlp, "cnn": networks.cnn}


def load_images(request: Request) -> Sets:
    """Returns the images of a data set with a channel axis and values in [0, 1].

    Validation images are the last sixth of the training part, whatever the training size, and at
    most as many as there are test images.

    Raises:
        DataError: There is no such data set, or it has fewer examples than are asked for.
    """
    train, test = (_examples(request.data, split) for split in ("train", "test"))
    held_out = len(train) // VALIDATION_SHARE
    rest, validation = _part(train, 0, len(train) - held_out), _part(train, -held_out, None)
    chosen = first(test, request.test_size, "--test-size", "test")
    return Sets(
        first(rest, request.train_size, "--train-size", "training"),
        chosen,
        _part(validation, 0, len(chosen)),
    )


def first(examples: Examples, count: int | None, option: str, kind: str) -> Examples:
    """Returns so many examples, all of them for None.

    Raises:
        DataError: There are fewer.
    """
    if count is not None and count > len(examples):
        raise DataError(f"{option} is {count}, but there are {len(examples)} {kind} examples.")
    return _part(examples, 0, count)


def num_classes(sets: Sets) -> int:
    """Returns C of labels that count from 0."""
    return int(max(part.y.max() for part in (sets.train, sets.test))) + 1


def plan_networks(
    request: Request,
    settings: Mapping[str, tuple[str, Mapping[str, Any]]],
    work: Callable[[Trainer, str, int, Tick], Found] = train_and_score,
    *,
    sets: Sets | None = None,
    builders: Mapping[str, Build] = NETWORKS,
) -> dict[str, Any]:
    """Returns settings, jobs and record of a plan that trains image networks.

    Args:
        request: What was asked.
        settings: For each setting the name of its network, and the arguments of that.
        work: As for `grid_jobs`.
        sets: The images, where they are loaded already.
        builders: Networks by name.
    """
    sets = load_images(request) if sets is None else sets
    shape, classes = sets.train.x.shape[1:], num_classes(sets)

    def build(network: str, **arguments: Any) -> Any:
        return builders[network](shape, classes, **arguments)

    grid = {name: {"network": network, **given} for name, (network, given) in settings.items()}
    schedule = Schedule(request.epochs, BATCH_SIZE, request.num_samples)
    seeds = range(request.seeds)
    jobs = grid_jobs(build, grid, sets, seeds, schedule, work=work, compile_once=True)
    return {"settings": grid, "jobs": jobs, "record": record_of(sets, seeds, schedule)}


def _examples(name: str, split: str) -> Examples:
    images = load_named(name, split=split)
    x = images.x[..., np.newaxis] if images.x.ndim == 3 else images.x
    if x.dtype == np.uint8:
        x = (x / 255.0).astype(np.float32)
    return Examples(x, images.y)


def _part(examples: Examples, start: int, stop: int | None) -> Examples:
    return Examples(examples.x[start:stop], examples.y[start:stop])
