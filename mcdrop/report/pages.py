"""The report as one self-contained HTML page: templates filled, everything inline."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, Context
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from mcdrop.diagnostics.confusion import confused_pairs
from mcdrop.diagnostics.selective import SelectiveCurve
from mcdrop.evaluation import formatting
from mcdrop.evaluation.records import Estimate
from mcdrop.plot.palette import DARK, LIGHT
from mcdrop.report import thumbnails
from mcdrop.report.comparison import shortened
from mcdrop.report.content import ClassRow, ComparisonContent, Content, GalleryItem
from mcdrop.report.figures import Figure
from mcdrop.report.findings import deployed
from mcdrop.report.gallery import GROUPS
from mcdrop.report.passes import enough
from mcdrop.report.tables import (
    cell,
    column_decimals,
    metric_blocks,
    metric_rows,
    repaired_rows,
    share_cell,
)
from mcdrop.report.words import isolated

MAX_MATRIX = 25
"""Classes above which the matrix of confusions is left to its largest pairs."""

MAX_PAIRS = 10
FIRST_ROWS = 20
"""Rows of a table that are shown until all are asked for."""

SORTS = {
    "predictive_entropy": "Predictive entropy",
    "mutual_information": "Mutual information",
    "std": "Standard deviation",
    "error": "Error",
    "confidence": "Confidence",
    "disagreement": "Change by MC dropout",
}


def render(content: Content, figures: Mapping[str, Figure]) -> str:
    """Returns the page of a report on one model."""
    curve = content.selective.get("MC dropout")
    return _render(
        "report.html",
        content=content,
        figures=figures,
        evaluation=content.evaluation,
        context=content.context,
        rows=metric_rows(content.evaluation),
        repaired=repaired_rows(content.recalibration.metrics) if content.recalibration else [],
        class_rows=worst_first(content.classes),
        pairs=_pairs(content),
        groups=_group_counts(content.gallery),
        sorts=_sorts(content.gallery),
        labels=sorted({item.label for item in content.gallery if content.kind == "classes"}),
        place=_place_in(content.gallery),
        slider=_slider(content, figures.get("risk_coverage")),
        watched=_watched(content.gallery),
        doubt=_doubt(content, figures.get("doubt")),
        milestones=_milestones(curve),
        colours=_class_colours(content),
        passes_words=enough(content.convergence, content.evaluation)[1],
        facts=_facts(content),
        num_choices=_num_choices(content),
        max_entropy=float(np.log(max(_num_choices(content), 1))),
        ramp=thumbnails.ramp_css(),
        max_matrix=MAX_MATRIX,
    )


def render_comparison(content: ComparisonContent, figures: Mapping[str, Figure]) -> str:
    """Returns the page that sets several models side by side."""
    context = content.context
    facts = [("Data", context.data_name), ("Seed of the masks", context.seed)]
    return _render(
        "compare.html",
        content=content,
        figures=figures,
        context=context,
        short=dict(zip(content.letters.values(), shortened(list(content.letters)), strict=True)),
        metrics=metric_blocks(content),
        facts=[(name, str(value)) for name, value in facts if value is not None],
    )


def _render(template: str, **values: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mcdrop.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": formatting.count,
        "number": formatting.number,
        "percent": formatting.percent,
        "whole_percent": formatting.whole_percent,
        "share_cell": share_cell,
        "number_cell": cell,
        "of_shares": lambda column: column_decimals(column, as_percent=True),
        "of_numbers": lambda column: column_decimals(column, as_percent=False),
        "significant": formatting.significant,
        "share": lambda found: str(share_cell(found)),
        "value": lambda found: str(cell(found)),
        "missing": lambda value: value is None or bool(np.isnan(value)),
        "name": _name,
        "votes": lambda rows: [[v.name, v.passes, v.is_true] for v in rows],
        "bytes": lambda numbers: base64.b64encode(bytes(numbers)).decode("ascii"),
        "isolated": isolated,
    }
    environment.globals |= {"plural": formatting.plural, "first_rows": FIRST_ROWS}
    script = environment.loader.get_source(environment, "report.js")[0]  # type: ignore[union-attr]
    style = environment.loader.get_source(environment, "style.css")[0]  # type: ignore[union-attr]
    return environment.get_template(template).render(
        style=_themes() + style, script=script, script_hash=_hash(script), **values
    )


def _name(text: str) -> Markup:
    """Returns a name from outside as an element of its own, whichever way it is written."""
    return Markup("<bdi>{}</bdi>").format(escape(text))


def _themes() -> str:
    """Returns the palette as CSS variables: light, and dark where the reader prefers it."""
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in palette.items())
        for palette in (LIGHT | {"paper": "#ffffff"}, DARK)
    )
    dark += "--wash:#1c2025;--hair:#292f36;color-scheme:dark;"
    return (
        f":root{{{light}--wash:#f5f6f8;--hair:#e7eaed;color-scheme:light;}}\n"
        "@media screen and (prefers-color-scheme:dark)"
        f'{{:root:not([data-theme="light"]){{{dark}}}}}\n'
        f'@media screen{{:root[data-theme="dark"]{{{dark}}}}}\n'
    )


def worst_first(rows: Sequence[ClassRow]) -> list[ClassRow]:
    """Returns the classes by their recall, the lowest first, those without examples last."""
    return sorted(rows, key=lambda row: (row.count == 0, row.recall.value if row.count else 0.0))


def _pairs(content: Content) -> dict[str, list[tuple[str, str, int]]]:
    """Returns the most frequent confusions of all answers, and of the uncertain ones."""
    if content.confusion is None:
        return {}
    names = content.class_names
    matrices = {"all": content.confusion.matrix, "uncertain": content.confusion.uncertain}
    return {
        key: [(names[t], names[p], times) for t, p, times in confused_pairs(matrix, MAX_PAIRS)]
        for key, matrix in matrices.items()
    }


def _hash(script: str) -> str:
    """Returns the hash by which the page's policy admits this script and no other."""
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _group_counts(items: Sequence[GalleryItem]) -> list[tuple[str, str, int]]:
    """Returns name, title and size of each list that has examples."""
    sizes = {name: sum(name in item.groups for item in items) for name in GROUPS}
    return [(name, title, sizes[name]) for name, title in GROUPS.items() if sizes[name]]


def _sorts(items: Sequence[GalleryItem]) -> list[tuple[str, str]]:
    present = items[0].measures if items else {}
    return [(name, title) for name, title in SORTS.items() if name in present]


def _place_in(items: Sequence[GalleryItem]) -> Callable[[float], float] | None:
    """Returns the function from a value to its place on the axis common to all intervals."""
    ends = [
        end
        for item in items
        if item.interval is not None
        for end in (item.interval.low, item.interval.high, item.target, item.plain)
        if end is not None
    ]
    if not ends:
        return None
    low, span = min(ends), (max(ends) - min(ends)) or 1.0
    return lambda value: round((value - low) / span, 4)


def _slider(content: Content, figure: Figure | None) -> dict[str, Any] | None:
    """Returns the numbers behind the slider, rounded to what the page can show."""
    found = content.selective.get("MC dropout")
    if found is None or figure is None:
        return None
    plain = np.full(found.coverage.size, np.nan)
    beside = content.selective.get("deterministic")
    if beside is not None:
        plain = np.interp(found.coverage, beside.coverage, beside.value)
    columns = {
        "coverage": found.coverage,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "plain": plain,
    }
    return {
        "share": found.quality == "accuracy",
        "start": deployed(found),
        "options": _options(content),
        "count": found.count,
        "area": figure.plot_area,
        "limits": figure.limits,
        "threshold": [_rounded_up(v) for v in found.threshold],
    } | {name: [_rounded(v) for v in values] for name, values in columns.items()}


def _watched(items: Sequence[GalleryItem]) -> GalleryItem | None:
    """Returns the most uncertain example whose passes can be seen to fall."""
    seen = [item for item in items if item.votes]
    return max(seen, key=lambda item: item.measures["predictive_entropy"], default=None)


def _doubt(content: Content, figure: Figure | None) -> dict[str, Any] | None:
    """Returns what the map of doubt needs to count the examples within a range."""
    found = content.doubt
    if found is None or figure is None:
        return None
    return {
        "area": figure.plot_area,
        "limits": figure.limits,
        "entropy": found.entropy,
        "information": found.information,
        "kinds": [
            {
                "name": kind,
                # Column and row, a byte each.
                "cells": base64.b64encode(cells.tobytes()).decode("ascii"),
                "counts": found.counts[kind].tolist(),
            }
            for kind, cells in found.cells.items()
        ],
    }


def _options(content: Content) -> str | None:
    """Returns the options of `mcdrop predict` that thresholds hold for, None without one answer."""
    prediction = content.evaluation.prediction
    one_value = content.kind == "values" and prediction.std.size == len(prediction)
    if content.kind != "classes" and not one_value:
        return None
    words = [f"--samples {prediction.num_samples}"]
    if prediction.splitting is not None:
        words = [f"--splitting {','.join(map(str, prediction.splitting))}"]
    if prediction.masks != "independent":
        words.append(f"--masks {prediction.masks}")
    if prediction.balanced:
        words.append("--balanced")
    return " ".join(words)


def _rounded_up(value: float) -> float:
    """Returns a threshold in seven digits that accepts the example it was taken from."""
    return float(Context(prec=7, rounding=ROUND_CEILING).create_decimal(float(value)))


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")


def _milestones(found: SelectiveCurve | None) -> list[dict[str, Any]]:
    """Returns the rows of the printed table: some round coverages."""
    if found is None:
        return []
    rows: list[dict[str, Any]] = []
    for wanted in (1.0, 0.95, 0.9, 0.8, 0.7, 0.5):
        place = int(np.abs(found.coverage - wanted).argmin())
        value, low, high = (float(v[place]) for v in (found.value, found.low, found.high))
        quality = Estimate(value, low, high)
        row = {
            "coverage": float(found.coverage[place]),
            "quality": quality,
            "threshold": float(found.threshold[place]),
        }
        if row["coverage"] not in [each["coverage"] for each in rows]:
            rows.append(row)
    return rows


def _class_colours(content: Content) -> list[tuple[str, str]]:
    """Returns name and colour of each class of the label maps."""
    if content.kind != "pixels":
        return []
    colours = thumbnails.class_colours(len(content.class_names))
    return [
        (name, "#{:02x}{:02x}{:02x}".format(*colour))
        for name, colour in zip(content.class_names, colours, strict=True)
    ]


def _num_choices(content: Content) -> int:
    """Returns among how many classes each answer chooses."""
    return 2 if content.kind == "labels" else len(content.class_names)


def _facts(content: Content) -> list[tuple[str, str]]:
    """Returns the settings behind the numbers, in words."""
    evaluation, context = content.evaluation, content.context
    prediction = evaluation.prediction
    facts = [("Model", context.model_name), ("Data", context.data_name)]
    facts.append(("Passes", formatting.count(evaluation.num_samples)))
    if prediction.splitting is not None:
        facts.append(("Draws of each stage", " x ".join(map(str, prediction.splitting))))
    masks = f"{prediction.masks}{', balanced' if prediction.balanced else ''}"
    facts.append(("Masks", masks))
    facts.append(("Seed of the masks", None if context.seed is None else str(context.seed)))
    facts.append(("Seed of the resamples", str(evaluation.seed)))
    if context.seconds is not None:
        facts.append(("Sampling took", f"{formatting.number(context.seconds, 1)} s"))
    facts += [("Data read as", reading) for reading in context.readings]
    return [(name, text) for name, text in facts if text is not None]
