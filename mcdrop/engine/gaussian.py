"""What a Gaussian output puts out beside its mean, by its activation and its name."""

from __future__ import annotations

import re

from mcdrop.engine.heads import Head
from mcdrop.errors import ModelError
from mcdrop.prediction import GAUSSIAN_SCALES

_NAMES_OF_SCALES = re.compile(
    r"var|sigma|std|stdev|scale|deviation|spread|uncertainty|(^|_)sd($|_)"
)
_NAMES_OF_MEANS = re.compile(r"mean|(^|_)mu($|_)|(^|_)loc($|_)|average")
_NAMES_OF_DEVIATIONS = re.compile(r"sigma|std|stdev|scale|deviation|(^|_)sd($|_)")


def which_is_scale(names: list[str], by_key: bool) -> int:
    """Returns which of two outputs is no mean: by their names, then by their order.

    Raises:
        ModelError: The outputs come by key, in alphabetical order, and the keys do not say it.
    """
    scales = [bool(_NAMES_OF_SCALES.search(name.lower())) for name in names]
    means = [bool(_NAMES_OF_MEANS.search(name.lower())) for name in names]
    if sum(scales) == 1:
        return scales.index(True)
    if sum(means) == 1:
        return means.index(False)
    if by_key:
        raise ModelError(
            f"Nothing says which of the outputs {names} is the mean: Keras sorts outputs by their "
            "keys. Name them 'mean' and 'variance', or return a list in that order."
        )
    return 1


def read_scale(head: Head, what: str, names: str) -> str:
    """Returns what a linear output is; any other activation says too little.

    Raises:
        ModelError: The activation is none that only a logarithm needs, or the name speaks of a
            standard deviation.
    """
    deviation = _NAMES_OF_DEVIATIONS.search(names.lower())
    if head.activation == "linear" and deviation is None:
        return "log_variance"
    if head.activation == "linear":
        why = "is linear, as a logarithm is, but its name speaks of a standard deviation"
    else:
        why = f"has activation {head.activation or 'unknown'!r}"
    choices = ", ".join(map(repr, GAUSSIAN_SCALES))
    raise ModelError(
        f"The scale of the Gaussian is ambiguous: {what} {why}. Pass gaussian_scale=, one of "
        f"{choices}; a logarithm of the standard deviation has to be doubled in the model first."
    )
