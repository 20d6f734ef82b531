"""The page of a study: the answer first, then the figures, the table, and how it was made."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from mcdrop.study import figures
from mcdrop.study.answers import answers
from mcdrop.study.plan import POINTS, Plan, Score, group_of, short_name, signed
from mcdrop.study.running import StudyResult


def render(
    plan: Plan,
    result: StudyResult,
    record: Mapping[str, Any],
    data_name: str,
    pictures: Mapping[str, bytes] | None = None,
) -> str:
    """Returns the page as HTML, everything inline and escaped.

    Args:
        plan: The study.
        result: What it found.
        record: What study.json says.
        data_name: The data as the user named them.
        pictures: The pictures of the study by name, as PNG.
    """
    summary = result.summary()
    shown = [name for name in plan.scores if name in set(summary["score"])]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mcdrop.study"), autoescape=True, trim_blocks=True
    )
    return environment.get_template("study.html").render(
        plan=plan,
        data_name=data_name,
        answers=answers(plan, result.runs, summary),
        groups=[
            _group(plan, result.runs, summary, name, settings, shown)
            for name, settings in groups_of(plan).items()
        ],
        seeds=int(summary["seeds"].max()),
        level=100 * result.confidence_level,
        pictures=[
            {"caption": caption, "png": base64.b64encode(pictures[name]).decode()}
            for name, caption in plan.pictures.items()
            if pictures and name in pictures
        ],
        record=json.dumps(record, indent=2),
    )


def groups_of(plan: Plan) -> dict[str, list[str]]:
    """Returns the settings of each group, in the order of the plan."""
    found: dict[str, list[str]] = {}
    for setting in plan.settings:
        found.setdefault(group_of(setting), []).append(setting)
    return found


def _group(
    plan: Plan,
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    name: str,
    settings: list[str],
    shown: list[str],
) -> dict[str, Any]:
    """Returns figures and table of a group of settings."""
    chosen = summary[summary["setting"].isin(settings)]
    compared = [setting for setting in settings if plan.references[setting] != setting]
    known = set(chosen.dropna(subset=["value"])["score"])
    titles, rows = table_rows(plan, chosen, [score for score in shown if score in known])
    return {
        "name": name,
        "curves": [
            figures.curves(plan, runs, settings, score, legend=place == 0)
            for place, score in enumerate(score for score in plan.drawn if score in known)
        ],
        "differences": [
            figures.differences(plan, summary, compared, score)
            for score in plan.spoken
            if compared and score in known
        ],
        "titles": titles,
        "rows": [{"setting": short_name(each), "cells": cells} for each, cells in rows],
    }


def table_rows(
    plan: Plan, summary: pd.DataFrame, shown: Sequence[str]
) -> tuple[list[str], list[tuple[str, list[dict[str, str]]]]]:
    """Returns titles and, for each setting, its cells: the value, and the difference in brackets.

    Args:
        plan: The study.
        summary: As `summarize` returns it.
        shown: Columns to show.
    """
    cells = {
        (row["setting"], row["score"]): _cell(row, plan.scores[row["score"]])
        for row in summary.to_dict("records")
        if row["score"] in shown
    }
    settings = [setting for setting in plan.settings if (setting, shown[0]) in cells]
    rows = [(setting, [cells[setting, name] for name in shown]) for setting in settings]
    return [_title(plan.scores[name]) for name in shown], rows


def _title(score: Score) -> str:
    unit = "%" if score.scale == POINTS else score.unit
    return f"{score.title}, {unit}" if unit else score.title


def _cell(row: Mapping[Any, Any], score: Score) -> dict[str, str]:
    value, *rest = (
        row[key] * score.scale
        for key in ("value", "difference", "difference_low", "difference_high")
    )
    if not np.isfinite(value):
        return {"value": "–", "difference": ""}
    text = f"{value:.{score.digits}f}"
    if not np.isfinite(rest).all():
        return {"value": text, "difference": ""}
    difference, low, high = (signed(number, score.digits) for number in rest)
    return {"value": text, "difference": f"{difference} [{low}, {high}]"}
