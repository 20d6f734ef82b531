"""Which figures a report shows."""

from __future__ import annotations

from mcdrop.report import figures
from mcdrop.report.content import Content
from mcdrop.report.figures import Figure
from mcdrop.report.recalibration import Recalibrated

UNITS = {
    "predictive_entropy": "Predictive entropy (nats)",
    "mutual_information": "Mutual information (nats)",
    "std": "Standard deviation",
    "epistemic_std": "Epistemic standard deviation",
}


def draw(content: Content) -> dict[str, Figure]:
    """Returns the figures of a report by name."""
    drawn = [*_class_figures(content), *_value_figures(content)]
    if content.selective is not None:
        drawn.append(figures.risk_coverage(content.selective, "risk_coverage"))
    for curve in content.convergence:
        drawn.append(figures.convergence(curve, f"convergence_{curve.name}"))
    if content.recalibration is not None:
        drawn += _recalibration_figures(content, content.recalibration)
    if content.shift is not None:
        kinds = ("evaluated data", "out-of-distribution data")
        for row in content.shift.separations:
            if row.source == "monte_carlo" and row.histogram is not None:
                name, label = f"shift_{row.name}", UNITS[row.name]
                drawn.append(figures.histogram(row.histogram, name, label, kinds, ("mc", "ood")))
    return {figure.name: figure for figure in drawn}


def _class_figures(content: Content) -> list[Figure]:
    drawn = []
    if content.reliability is not None and content.deterministic_reliability is not None:
        drawn = [
            figures.reliability(content.reliability, "reliability_mc", "mc", "MC dropout"),
            figures.reliability(
                content.deterministic_reliability,
                "reliability_deterministic",
                "det",
                "deterministic",
            ),
        ]
    for row in content.separations:
        if row.source == "monte_carlo" and row.histogram is not None:
            name, label = f"separation_{row.name}", UNITS[row.name]
            kinds = ("right answers", "wrong answers")
            drawn.append(figures.histogram(row.histogram, name, label, kinds, ("mc", "wrong")))
    return drawn


def _recalibration_figures(content: Content, found: Recalibrated) -> list[Figure]:
    if found.reliability is not None and content.reliability is not None:
        return [
            figures.reliability(content.reliability, "recalibration_before", "mc", "before"),
            figures.reliability(found.reliability, "recalibration_after", "mc", "after"),
        ]
    if found.regression is not None and content.regression is not None:
        return [
            figures.quantile_calibration(content.regression, "recalibration_before"),
            figures.quantile_calibration(found.regression, "recalibration_after"),
        ]
    return []


def _value_figures(content: Content) -> list[Figure]:
    found = content.regression
    if found is None:
        return []
    outputs = sorted({int(output) for output in found.output})
    return [
        *(figures.predicted_against_true(found, n, f"predicted_{n}") for n in outputs),
        figures.quantile_calibration(found, "quantile_calibration"),
        figures.pit(found, "pit"),
        figures.error_against_spread(found, "error_against_spread"),
    ]
