"""Which figures a report shows, each a drawing of `mcdrop.plot`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from mcdrop.plot.calibration import (
    draw_pit_histogram,
    draw_quantile_calibration,
    draw_reliability,
)
from mcdrop.plot.doubt import draw_doubt_map
from mcdrop.plot.regression import draw_error_by_deviation, draw_predictive_intervals
from mcdrop.plot.selective import draw_risk_coverage
from mcdrop.plot.uncertainty import ANSWERS, DATA, TITLES, draw_convergence, draw_histogram
from mcdrop.report.content import ComparisonContent, Content, Separation
from mcdrop.report.figures import Figure
from mcdrop.report.figures import draw as draw_figure
from mcdrop.report.findings import deployed
from mcdrop.report.tables import ranked

BEFORE, AFTER = "before", "after recalibration"


def draw(content: Content) -> dict[str, Figure]:
    """Returns the figures of a report by name."""
    drawn = [*_shared(content), *_of_classes(content), *_of_values(content)]
    return {figure.name: figure for figure in drawn}


def _shared(content: Content) -> Iterator[Figure]:
    if content.selective:
        alt = "Quality of the accepted predictions against the share accepted."
        yield _figure("risk_coverage", alt, draw_risk_coverage, content.selective, size="wide")
    for curve in content.convergence:
        alt = f"{curve.title} against the number of passes, with its Monte Carlo error."
        yield _figure(f"convergence_{curve.name}", alt, draw_convergence, curve, size="small")
    if content.out_of_distribution is not None:
        rows = content.out_of_distribution.separations
        yield from _histograms("out_of_distribution", rows, DATA)


def _of_classes(content: Content) -> Iterator[Figure]:
    if content.calibration:
        alt = "Accuracy minus confidence against confidence, with the band of chance."
        yield _figure("reliability", alt, draw_reliability, content.calibration, size="wide")
    yield from _histograms("separation", content.separations, ANSWERS)
    if content.doubt is not None:
        alt = "Every example by its predictive entropy and mutual information."
        curve = content.selective["MC dropout"]
        threshold = float(curve.threshold[deployed(curve)])
        yield _figure("doubt", alt, draw_doubt_map, content.doubt, threshold)
    found = content.recalibration
    if found is not None and found.calibration is not None:
        curves = {BEFORE: content.calibration["MC dropout"], AFTER: found.calibration}
        alt = "Accuracy minus confidence before and after recalibration."
        yield _figure("recalibration", alt, draw_reliability, curves, size="wide")


def _histograms(
    prefix: str, rows: Sequence[Separation], kinds: tuple[str, str]
) -> Iterator[Figure]:
    for row in rows:
        if row.source == "monte_carlo" and row.histogram is not None:
            label = TITLES[row.name]
            alt = f"Distribution of {label.lower()} for {kinds[0]} and {kinds[1]}."
            name = f"{prefix}_{row.name}"
            yield _figure(name, alt, draw_histogram, row.histogram, label, kinds)


def _of_values(content: Content) -> Iterator[Figure]:
    found = content.regression
    if found is None:
        return
    for output in sorted({int(output) for output in found.points.output}):
        points = found.points.of(output)
        missed = int(points.missed.sum())
        alt = f"Prediction against target for {points.true.size} points, {missed} outside."
        name = f"predicted_{output}"
        yield _figure(name, alt, draw_predictive_intervals, points, size="square")
    quantiles = {"MC dropout": found.quantiles}
    alt = "Observed against predicted quantile levels."
    yield _figure("quantile_calibration", alt, draw_quantile_calibration, quantiles, size="square")
    alt = "Histogram of the probability integral transform."
    yield _figure("pit", alt, draw_pit_histogram, found.pit)
    alt = "Root mean squared error against stated deviation."
    yield _figure("error_by_deviation", alt, draw_error_by_deviation, found.spread)
    repaired = content.recalibration
    if repaired is not None and repaired.regression is not None:
        curves = {BEFORE: found.quantiles, AFTER: repaired.regression.quantiles}
        alt = "Observed against predicted quantile levels before and after recalibration."
        yield _figure("recalibration", alt, draw_quantile_calibration, curves, size="square")


def draw_comparison(content: ComparisonContent) -> dict[str, Figure]:
    """Returns the figures of a comparison by name."""
    drawn = []
    if content.selective:
        best = _best(content)
        alt = f"Quality against coverage of {len(content.selective)} forecasts."
        drawing = partial(draw_risk_coverage, best=best)
        drawn.append(_figure("risk_coverage", alt, drawing, content.selective, size="wide"))
    if content.calibration:
        shown = {name: content.calibration[name] for name in _shown(content)}
        alt = "Accuracy minus confidence against confidence, with the bands of chance."
        drawn.append(_figure("reliability", alt, draw_reliability, shown, size="wide"))
    return {figure.name: figure for figure in drawn}


def _best(content: ComparisonContent) -> list[str]:
    """Returns the forecasts by the first metric that has a better side, the best first."""
    for metric in content.metrics:
        if metric.better != "neither":
            names = ranked(metric.estimates, metric.better)
            return [name for name in names if name in content.selective]
    return list(content.selective)


def _shown(content: ComparisonContent) -> list[str]:
    """Returns the forecasts whose calibration is drawn: few enough to tell their marks apart."""
    best = [name for name in _best(content) if name in content.calibration]
    return [name for name in content.calibration if name in best[:3]]


def _figure(name: str, alt: str, drawing: Any, *data: Any, size: str = "panel") -> Figure:
    def on(axes: Axes) -> Axes:
        drawn: Axes = drawing(*data, ax=axes)
        return drawn

    return draw_figure(name, alt, on, size)
