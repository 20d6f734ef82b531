"""What a report says, as plain numbers: built once, written as HTML, JSON and figures.

Arrays here are short (curves, bins, tables); the long ones stay in the Prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from mcdrop.diagnostics.calibration import CalibrationCurve
from mcdrop.diagnostics.confusion import Confusion
from mcdrop.diagnostics.convergence import Convergence
from mcdrop.diagnostics.doubt import DoubtMap
from mcdrop.diagnostics.regression import Regression
from mcdrop.diagnostics.selective import SelectiveCurve
from mcdrop.diagnostics.separation import Histogram
from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.records import ComparedMetric, Estimate
from mcdrop.report.context import ReportContext

Array = NDArray[Any]


@dataclass(frozen=True)
class Fact:
    """One number that an answer rests on.

    Attributes:
        label: What it is.
        value: The number as text.
        detail: Its interval, or why there is none, and what to hold it against.
    """

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """One of the questions of the first screen, answered.

    Attributes:
        question: The question.
        tone: "yes", "partly", "no", or "few": too few data to say.
        word: The tone in a word or two.
        headline: The answer in one sentence.
        facts: The numbers that it rests on.
    """

    question: str
    tone: str
    word: str
    headline: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Separation:
    """How far one measure of uncertainty sets two kinds of examples apart.

    Attributes:
        name: The measure, as `predictive_entropy`.
        title: The same in words.
        source: "monte_carlo" or "deterministic".
        histogram: Both distributions; None when one kind is empty.
        auroc: Chance that one of the second kind scores above one of the first.
        difference: The same less that of the deterministic prediction; None for that itself,
            and where it states no uncertainty.
        aupr: Average precision of finding the second kind; data out of distribution only.
        fpr95: Share of the first kind flagged when 95% of the second are found, likewise.
    """

    name: str
    title: str
    source: str
    histogram: Histogram | None
    auroc: Estimate
    difference: Estimate | None = None
    aupr: Estimate | None = None
    fpr95: Estimate | None = None


@dataclass(frozen=True)
class ClassRow:
    """How one class fares.

    Attributes:
        name: Name of the class, or of the label of a multilabel prediction.
        count: Examples (pixels) whose true class it is.
        recall: Share of those that Monte Carlo dropout got right.
        deterministic_recall: The same for the deterministic prediction.
        precision: Share right among those answered with this class.
        f1: Harmonic mean of recall and precision.
        entropy: Mean predictive entropy of the true class's examples in nats.
        confused_with: The class most often answered instead, if any.
        confused_count: How often.
        intersection_over_union: Segmentation only.
        deterministic_intersection_over_union: Segmentation only.
    """

    name: str
    count: int
    recall: Estimate
    deterministic_recall: Estimate
    precision: Estimate
    f1: Estimate
    entropy: Estimate
    confused_with: str | None
    confused_count: int
    intersection_over_union: Estimate | None = None
    deterministic_intersection_over_union: Estimate | None = None


@dataclass(frozen=True)
class ClassShare:
    """What the passes say about one class of one example.

    Attributes:
        name: Name of the class.
        mean: Mean probability over the passes.
        std: Standard deviation over the passes.
        votes: Share of passes that put the class first (multilabel: that said yes); None for a
            recalibrated mean.
        deterministic: The deterministic probability.
        is_true: Whether it is the true class.
    """

    name: str
    mean: float
    std: float
    votes: float | None
    deterministic: float
    is_true: bool


@dataclass(frozen=True)
class VoteCount:
    """How many passes put a class first; the last of many classes stand for all others.

    Attributes:
        name: Name of the class.
        passes: Number of passes.
        is_true: Whether it is the true class.
    """

    name: str
    passes: int
    is_true: bool


@dataclass(frozen=True)
class MapPanel:
    """One picture of a row of maps: its title and a PNG data URI."""

    title: str
    image: str


@dataclass(frozen=True)
class GalleryItem:
    """One example of the gallery.

    Attributes:
        index: Number of the example in the data.
        groups: The lists that it was chosen for.
        label: True class or value, as text.
        predicted: Answer of Monte Carlo dropout.
        deterministic: Answer of the deterministic prediction.
        correct: Whether the answer is right; None for regression.
        measures: Numbers to sort by, as `predictive_entropy`.
        classes: The classes that matter for this example; empty for regression.
        votes: The classes that passes put first, the most frequent first; where each example is
            of one class and its passes are known.
        passes: Place in `votes` of the class that each pass puts first, in the order of the
            passes; of many passes the first.
        interval: Mean and predictive interval, regression with one output only.
        target: Its target, likewise.
        plain: Its deterministic prediction, likewise.
        image: PNG data URI of the input; None when the inputs are no images.
        maps: Pictures of dense outputs.
    """

    index: int
    groups: tuple[str, ...]
    label: str
    predicted: str
    deterministic: str
    correct: bool | None
    measures: dict[str, float]
    classes: tuple[ClassShare, ...] = ()
    votes: tuple[VoteCount, ...] = ()
    passes: tuple[int, ...] = ()
    interval: Estimate | None = None
    target: float | None = None
    plain: float | None = None
    image: str | None = None
    maps: tuple[MapPanel, ...] = ()


@dataclass(frozen=True)
class OutOfDistribution:
    """Other data beside the evaluated data.

    Attributes:
        count: Number of out-of-distribution examples.
        separations: One a measure of uncertainty.
        confidences: Mean confidence of "MC dropout" and "deterministic", each a pair: on the
            evaluated and on the other data; empty for a regression.
    """

    count: int
    separations: tuple[Separation, ...]
    confidences: Mapping[str, tuple[Estimate, Estimate]]


@dataclass(frozen=True)
class RepairedMetric:
    """One metric before and after recalibration.

    Attributes:
        name: Name of the metric.
        title: The same in words.
        unit: Its unit; "share" is shown in percent.
        better: "higher", "lower" or "neither".
        before: Estimate of the prediction as it was.
        after: Estimate of the repaired prediction.
        difference: After minus before, on the same examples.
        floor: Calibration errors only: what chance gives a calibrated model, after.
    """

    name: str
    title: str
    unit: str
    better: str
    before: Estimate
    after: Estimate
    difference: Estimate
    floor: Any = None


@dataclass(frozen=True)
class Recalibrated:
    """What recalibration on other data does to the evaluated predictions.

    Attributes:
        name: The calibrator in words.
        num_fitted: Number of examples that it was fitted on.
        fitted_on: Name of their data, if told.
        metrics: One a metric that both have.
        calibration: Curve after the repair; None for a regression.
        regression: Diagnostics after the repair; None for class tasks.
    """

    name: str
    num_fitted: int
    fitted_on: str | None
    metrics: tuple[RepairedMetric, ...]
    calibration: CalibrationCurve | None = None
    regression: Regression | None = None


@dataclass(frozen=True)
class Content:
    """Everything a report says about one model.

    Attributes:
        kind: "classes", "labels" (multilabel), "pixels" (segmentation) or "values" (regression).
        evaluation: The metrics.
        context: Where the numbers come from.
        class_names: Names of the classes; empty for a regression.
        answers: The questions of the first screen.
        findings: What each section found, a sentence by the section's id.
        scored: Number of predictions that are scored: answers, labels, pixels or targets.
        calibration: Calibration curves by forecast; empty for a regression.
        separations: Right against wrong answers, one a measure.
        selective: Quality against coverage, by forecast.
        classes: One row a class.
        confusion: True against answered class; None for labels and regressions.
        regression: Diagnostics of a regression.
        convergence: Metrics against the number of passes.
        gallery: Examples worth a look.
        doubt: Every example by its doubt; None where it is not of one class an example.
        out_of_distribution: Other data, when there are any.
        recalibration: Before and after recalibration, when there was one.
    """

    kind: str
    evaluation: Evaluation
    context: ReportContext
    class_names: tuple[str, ...]
    answers: tuple[Answer, ...]
    findings: Mapping[str, str]
    scored: int
    calibration: Mapping[str, CalibrationCurve] = field(default_factory=dict)
    separations: tuple[Separation, ...] = ()
    selective: Mapping[str, SelectiveCurve] = field(default_factory=dict)
    classes: tuple[ClassRow, ...] = ()
    confusion: Confusion | None = None
    regression: Regression | None = None
    convergence: tuple[Convergence, ...] = ()
    gallery: tuple[GalleryItem, ...] = ()
    doubt: DoubtMap | None = None
    out_of_distribution: OutOfDistribution | None = None
    recalibration: Recalibrated | None = None


@dataclass(frozen=True)
class ComparisonContent:
    """Everything that a comparison of models says.

    Attributes:
        letters: Letter of each model, by its name, the reference first.
        context: Where the numbers come from.
        kind: As of a report.
        num_examples: N.
        num_samples: Passes of each model, by its name.
        confidence_level: Level of the intervals.
        paired: Whether all models were evaluated on the same targets.
        answers: Which model to choose.
        forecasts: Names of what is compared: "A" is model A with Monte Carlo dropout, "A, off"
            the same without.
        metrics: Every metric of every forecast, with differences to the reference.
        selective: Quality against coverage, by forecast.
        calibration: By forecast; empty for a regression.
        warnings: What matters for trust in the numbers, a sentence each, by a short key.
        findings: What each section found, a sentence by the section's id.
    """

    letters: Mapping[str, str]
    context: ReportContext
    kind: str
    num_examples: int
    num_samples: Mapping[str, int]
    confidence_level: float
    paired: bool
    answers: tuple[Answer, ...]
    forecasts: tuple[str, ...]
    metrics: tuple[ComparedMetric, ...]
    selective: Mapping[str, SelectiveCurve]
    calibration: Mapping[str, CalibrationCurve]
    warnings: Mapping[str, str] = field(default_factory=dict)
    findings: Mapping[str, str] = field(default_factory=dict)
