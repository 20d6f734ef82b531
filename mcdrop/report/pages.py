"""The report as one self-contained HTML page: templates filled, everything inline."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from mcdrop.report import formatting, thumbnails
from mcdrop.report.content import Content, GalleryItem, Selective
from mcdrop.report.convergence import enough
from mcdrop.report.figures import Figure
from mcdrop.report.gallery import GROUPS
from mcdrop.report.intervals import Interval
from mcdrop.report.tables import (
    Cell,
    difference_rows,
    metric_blocks,
    metric_rows,
    number_cell,
    repaired_rows,
    share_cell,
)

if TYPE_CHECKING:
    from mcdrop.report.comparison import ComparisonContent

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
    return _render(
        "report.html",
        content=content,
        figures=figures,
        evaluation=content.evaluation,
        context=content.context,
        rows=metric_rows(content.evaluation),
        repaired=repaired_rows(content.recalibration.metrics) if content.recalibration else [],
        groups=_group_counts(content.gallery),
        sorts=_sorts(content.gallery),
        labels=sorted({item.label for item in content.gallery if content.kind == "classes"}),
        place=_place_in(content.gallery),
        slider=_slider(content.selective, figures.get("risk_coverage")),
        milestones=_milestones(content.selective),
        colours=_class_colours(content),
        passes_words=enough(content.convergence, content.evaluation.num_samples),
        facts=_facts(content),
        num_choices=_num_choices(content),
        max_entropy=float(np.log(max(_num_choices(content), 1))),
        ramp=thumbnails.ramp_css(),
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
        metrics=metric_blocks(content),
        differences=difference_rows(content),
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
        "number_cell": lambda found: number_cell(found.value, found.low, found.high),
        "significant": formatting.significant,
        "share": lambda found: _both(share_cell(found)),
        "value": lambda found: _both(number_cell(found.value, found.low, found.high)),
        "missing": lambda value: value is None or bool(np.isnan(value)),
    }
    environment.globals["plural"] = formatting.plural
    script = environment.loader.get_source(environment, "report.js")[0]  # type: ignore[union-attr]
    style = environment.loader.get_source(environment, "style.css")[0]  # type: ignore[union-attr]
    return environment.get_template(template).render(
        style=style, script=script, script_hash=_hash(script), **values
    )


def _both(cell: Cell) -> str:
    """Returns a value followed by its interval."""
    return f"{cell.value} {cell.interval}".rstrip()


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


def _slider(found: Selective | None, figure: Figure | None) -> dict[str, Any] | None:
    """Returns the numbers behind the slider, rounded to what the page can show."""
    if found is None or figure is None:
        return None
    plain = np.full(found.coverage.size, np.nan)
    if found.deterministic_value.size:
        plain = np.interp(found.coverage, found.deterministic_coverage, found.deterministic_value)
    columns = {
        "coverage": found.coverage,
        "threshold": found.threshold,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "plain": plain,
    }
    return {
        "share": found.quality == "accuracy",
        "count": found.count,
        "unit": found.unit,
        "area": figure.plot_area,
        "limits": figure.limits,
    } | {name: [_rounded(v) for v in values] for name, values in columns.items()}


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else float(f"{value:.6g}")


def _milestones(found: Selective | None) -> list[dict[str, Any]]:
    """Returns the rows of the printed table: some round coverages."""
    if found is None:
        return []
    rows = []
    for wanted in (1.0, 0.95, 0.9, 0.8, 0.7, 0.5):
        place = int(np.abs(found.coverage - wanted).argmin())
        quality = Interval(*(float(v[place]) for v in (found.value, found.low, found.high)))
        row = {
            "coverage": float(found.coverage[place]),
            "quality": quality,
            "threshold": float(found.threshold[place]),
        }
        if row not in rows:
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
    masks = f"{prediction.masks}{', balanced' if prediction.balanced else ''}"
    facts.append(("Masks", masks))
    facts.append(("Seed of the masks", None if context.seed is None else str(context.seed)))
    facts.append(("Seed of the resamples", str(evaluation.seed)))
    if context.seconds is not None:
        facts.append(("Sampling took", f"{formatting.number(context.seconds, 1)} s"))
    return [(name, text) for name, text in facts if text is not None]
