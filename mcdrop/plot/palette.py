"""The colours of figures and pages: one meaning for each, told apart by colour-blind readers.

A test simulates the three kinds of colour blindness and asks for a distance of 15 (CIE 1976)
between any two colours that a figure may hold together. Words and shapes stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterable

LIGHT = {
    "mc": "#0b5fc1",
    "det": "#868b93",
    "wrong": "#b33507",
    "ood": "#86407f",
    "repaired": "#0a9660",
    "right": "#23282f",
    "m0": "#0b5fc2",
    "m1": "#e0761a",
    "m2": "#175a3d",
    "m3": "#8c2a7c",
    "m4": "#8a6d1f",
    "m5": "#1f95c7",
    "yes": "#0b6353",
    "partly": "#b98a08",
    "no": "#b33508",
    "few": "#868b94",
    "ink": "#1b1f24",
    "soft": "#59616b",
    "line": "#d3d7dc",
    "paper": "#fefefe",
}
"""What each colour means: MC dropout, the deterministic prediction, wrong answers, data out of
distribution, a repaired prediction, right answers and other ordinary data; models m0 to m5 of a
comparison; the tones of an answer; ink and paper. No two values are equal, so that each can be
replaced by the name in a page that is dark."""

DARK = {
    "mc": "#6cabf5",
    "det": "#a3a9b2",
    "wrong": "#ea8440",
    "ood": "#b25fae",
    "repaired": "#3be3a0",
    "right": "#f1f3f5",
    "m0": "#6cabf6",
    "m1": "#e0692a",
    "m2": "#259a6c",
    "m3": "#a569a5",
    "m4": "#f3e06a",
    "m5": "#c9e9f9",
    "yes": "#6fe0a4",
    "partly": "#f0d340",
    "no": "#ea8441",
    "few": "#a3a9b3",
    "ink": "#e8eaed",
    "soft": "#a2aab4",
    "line": "#3d444d",
    "paper": "#14171b",
}

DATA = ("mc", "det", "wrong", "ood", "repaired", "right")
TONES = ("yes", "partly", "no", "few")
MODELS = ("m0", "m1", "m2", "m3", "m4", "m5")

SERIES = {
    "MC dropout": "mc",
    "deterministic": "det",
    "before": "mc",
    "after recalibration": "repaired",
}
"""Colours of forecasts that are known by name; others take those of models, in their order."""

MARKERS = ("o", "s", "^", "D", "v", "P")


OFF = ", off"
"""End of the name of a model's forecast without dropout: it has the model's colour, dashed."""


def series_colours(names: Iterable[str]) -> dict[str, str]:
    """Returns a colour for each forecast; those of models beyond the six are grey."""
    others = iter(MODELS)
    models: dict[str, str] = {}
    for name in names:
        model = name.removesuffix(OFF)
        if model not in models:
            models[model] = LIGHT[SERIES.get(model) or next(others, "det")]
    return {name: models[name.removesuffix(OFF)] for name in names}
