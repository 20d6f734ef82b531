"""The settings of a study: which arguments `build` is called with, under which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from mcdrop.errors import DataError

Grid = Mapping[str, Mapping[str, Any]] | Mapping[str, Sequence[Any]]


def settings_of(grid: Grid) -> dict[str, dict[str, Any]]:
    """Returns the arguments of `build` for every setting, by its name.

    Args:
        grid: Arguments by name of the setting, or lists of values by name of the argument, of which
            every combination is taken.

    Raises:
        DataError: The grid is empty or mixes both forms.

    Example:
        >>> settings_of({"rate": [0.0, 0.5]})
        {'rate=0.0': {'rate': 0.0}, 'rate=0.5': {'rate': 0.5}}
        >>> settings_of({"none": {"rate": 0.0}, "half": {"rate": 0.5}})["half"]
        {'rate': 0.5}
    """
    if not isinstance(grid, Mapping) or not grid:
        raise DataError(
            f"`grid` is {grid!r}, expected arguments by setting, "
            "{'half': {'rate': 0.5}}, or values by argument, {'rate': [0.0, 0.5]}."
        )
    values = list(grid.values())
    if all(isinstance(value, Mapping) for value in values):
        return {str(name): dict(arguments) for name, arguments in grid.items()}
    if not all(
        isinstance(value, Sequence) and not isinstance(value, str) and value for value in values
    ):
        raise DataError(
            "`grid` mixes arguments and values; expected all of its values to be mappings, or all "
            "lists that are not empty."
        )
    names = list(grid)
    return {
        ", ".join(f"{name}={value}" for name, value in zip(names, chosen, strict=True)): dict(
            zip(names, chosen, strict=True)
        )
        for chosen in product(*values)
    }
