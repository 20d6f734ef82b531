"""The page of a study: the answer first, then the figures, the table, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from mcdrop.study import figures
from mcdrop.study.answers import QUANTITIES, Quantity, answer
from mcdrop.study.builtin import Study
from mcdrop.study.running import StudyResult

_CURVES = {
    "test_loss": "test loss, nats",
    "train_loss": "training loss, dropout off, nats",
    "test_accuracy": "test accuracy",
    "gap": "gap, training less test accuracy",
}


def render(study: Study, result: StudyResult, record: dict[str, Any], data_name: str) -> str:
    """Returns the page as HTML, everything inline and escaped."""
    summary = result.summary()
    networks = _by_network(list(study.settings))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mcdrop.study"), autoescape=True, trim_blocks=True
    )
    return environment.get_template("study.html").render(
        study=study,
        data_name=data_name,
        answers=[
            answer(summary, setting, study.references[setting])
            for setting in _headline_first(study)
        ],
        networks=[
            {
                "name": network,
                "curves": [
                    figures.curves(result.runs, settings, score, title, legend=place == 0)
                    for place, (score, title) in enumerate(_CURVES.items())
                ],
                "differences": [
                    figures.differences(summary, settings, score)
                    for score in ("test_accuracy", "gap", "test_loss")
                ],
                "rows": _rows(summary, settings),
            }
            for network, settings in networks.items()
        ],
        quantities=[
            quantity.title for name, quantity in QUANTITIES.items() if name in set(summary.score)
        ],
        seeds=int(summary["seeds"].max()),
        level=100 * result.confidence_level,
        record=json.dumps(record, indent=2),
    )


def _headline_first(study: Study) -> list[str]:
    """Returns the settings that differ from their reference, the headline's first."""
    others = [name for name, base in study.references.items() if name not in (base, study.headline)]
    return [study.headline, *others]


def _by_network(settings: list[str]) -> dict[str, list[str]]:
    """Returns the settings of each network: what stands before the comma of their names."""
    found: dict[str, list[str]] = {}
    for setting in settings:
        found.setdefault(setting.split(", ")[0], []).append(setting)
    return found


def _rows(summary: pd.DataFrame, settings: list[str]) -> list[dict[str, Any]]:
    """Returns for each setting its cells: the value, and the difference with its interval."""
    shown = [name for name in QUANTITIES if name in set(summary["score"])]
    cells = {
        (row["setting"], row["score"]): _cell(row, QUANTITIES[row["score"]])
        for row in summary.to_dict("records")
        if row["score"] in QUANTITIES
    }
    return [
        {"setting": figures.short(setting), "cells": [cells[setting, name] for name in shown]}
        for setting in settings
    ]


def _cell(row: Mapping[Any, Any], quantity: Quantity) -> dict[str, str]:
    value, *rest = (
        row[key] * quantity.scale
        for key in ("value", "difference", "difference_low", "difference_high")
    )
    if not np.isfinite(value):
        return {"value": "–", "difference": ""}
    text = f"{value:.{quantity.digits}f}"
    if not np.isfinite(rest).all():
        return {"value": text, "difference": ""}
    difference, low, high = (f"{number:+.{quantity.digits}f}" for number in rest)
    return {"value": text, "difference": f"{difference} [{low}, {high}]"}
