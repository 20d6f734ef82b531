"""Arrays in an HDF5 file from a stranger: found without following links, read when they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py

from mcdrop.loading.keras2.record import UntranslatableError


@dataclass(frozen=True, eq=False)
class Stored:
    """An array of the file, read only when its size is known to fit."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    read: Callable[[], Any]


def arrays_of_layer(group: Any) -> Iterator[Stored]:
    """Yields the arrays that a group of Keras 2's own HDF5 format lists, in its order."""
    for name in names(group, "weight"):
        yield _stored(group, name)


def arrays_by_number(group: Any, path: str) -> Iterator[Stored]:
    """Yields the arrays that a group of the zip format numbers, none if it is not there."""
    place = f"{path}/vars".strip("/")
    if place not in group:
        return
    variables = child(group, place)
    for number in range(len(variables)):
        yield _stored(variables, str(number))


def child(group: Any, path: str) -> Any:
    """Returns a member of an HDF5 group; a link that leads elsewhere is not followed."""
    for name in path.split("/"):
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise UntranslatableError(f"the file does not hold {path!r}")
        group = group[name]
    return group


def names(group: Any, kind: str) -> list[str]:
    """Returns the names of the layers or weights of a group, which may fill several attributes."""
    key = f"{kind}_names"
    parts = [key] if key in group.attrs else []
    while f"{key}{len(parts)}" in group.attrs:
        parts.append(f"{key}{len(parts)}")
    found = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]


def _stored(group: Any, name: str) -> Stored:
    dataset = child(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise UntranslatableError(f"the weight {name!r} lies outside of the file")
    return Stored(name, tuple(dataset.shape), dataset.dtype, dataset.__array__)
