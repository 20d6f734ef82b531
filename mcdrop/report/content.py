"""What a report says, as plain numbers: built once, written as HTML, JSON and figures.

Arrays here are short (curves, bins, tables); the long ones stay in the Prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mcdrop.report.context import ReportContext
from mcdrop.report.intervals import Interval

if TYPE_CHECKING:
    from mcdrop.evaluation import Evaluation
    from mcdrop.metrics.calibration import ReliabilityCurve
    from mcdrop.report.recalibration import Recalibrated

Array = NDArray[Any]


@dataclass(frozen=True)
class Fact:
    """One number that an answer rests on.

    Attributes:
        label: What it is.
        value: The number as text.
        detail: Its interval, and what to hold it against.
    """

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """One of the questions of the first screen, answered.

    Attributes:
        question: The question.
        headline: The answer in one sentence.
        facts: The numbers that it rests on.
        tone: "good", "caution" or "bad".
    """

    question: str
    headline: str
    facts: tuple[Fact, ...]
    tone: str


@dataclass(frozen=True)
class Histogram:
    """Shares of two kinds of examples in common bins; each kind's shares sum to 1.

    Attributes:
        edges: Bin edges, shape (B + 1,).
        first: Shares of the kind that should be certain (right answers, known data).
        second: Shares of the kind that should be uncertain (wrong answers, foreign data).
        first_count: Number of the first kind.
        second_count: Number of the second kind.
    """

    edges: Array
    first: Array
    second: Array
    first_count: int
    second_count: int


@dataclass(frozen=True)
class Separation:
    """How far one measure of uncertainty sets two kinds of examples apart.

    Attributes:
        name: The measure, as `predictive_entropy`.
        title: The same in words.
        source: "monte_carlo" or "deterministic".
        histogram: Both distributions; None when one kind is empty.
        auroc: Chance that one of the second kind scores above one of the first.
        aupr: Average precision of finding the second kind.
        fpr95: Share of the first kind flagged when 95% of the second are found.
    """

    name: str
    title: str
    source: str
    histogram: Histogram | None
    auroc: Interval
    aupr: Interval | None = None
    fpr95: Interval | None = None


@dataclass(frozen=True)
class Selective:
    """What is gained by accepting only the most certain predictions.

    Attributes:
        quality: "accuracy", or "root_mean_squared_error".
        measure: The uncertainty that orders the examples, as `predictive_entropy`.
        unit: Unit of the threshold.
        count: Number of scored predictions.
        coverage: Share accepted at each of up to 201 operating points, shape (K,).
        threshold: Largest uncertainty accepted there, shape (K,).
        value: Quality of what is accepted, shape (K,).
        low: Lower ends of its interval.
        high: Upper ends of its interval.
        deterministic_coverage: The operating points of the deterministic prediction.
        deterministic_value: Its quality there; both empty when it states no uncertainty.
    """

    quality: str
    measure: str
    unit: str
    count: int
    coverage: Array
    threshold: Array
    value: Array
    low: Array
    high: Array
    deterministic_coverage: Array
    deterministic_value: Array


@dataclass(frozen=True)
class ClassRow:
    """How one class fares.

    Attributes:
        name: Name of the class, or of the label of a multilabel prediction.
        count: Examples (pixels) whose true class it is.
        accuracy: Share of those that Monte Carlo dropout got right (recall).
        deterministic_accuracy: The same for the deterministic prediction.
        precision: Share right among those answered with this class.
        entropy: Mean predictive entropy of the true class's examples in nats.
        confused_with: The class most often answered instead, if any.
        confused_count: How often.
        intersection_over_union: Segmentation only.
        deterministic_intersection_over_union: Segmentation only.
    """

    name: str
    count: int
    accuracy: Interval
    deterministic_accuracy: Interval
    precision: Interval
    entropy: Interval
    confused_with: str | None
    confused_count: int
    intersection_over_union: Interval | None = None
    deterministic_intersection_over_union: Interval | None = None


@dataclass(frozen=True)
class Confusion:
    """True against answered class among the most uncertain predictions.

    Attributes:
        share: Share of predictions taken for uncertain.
        threshold: Their smallest predictive entropy in nats.
        count: How many they are.
        errors_inside: Wrong answers among them.
        errors: Wrong answers among all.
        classes: Names of the classes on the axes.
        matrix: Counts, true class by answered class; None when there are too many classes.
        pairs: (true, answered, count) of the most frequent confusions.
    """

    share: float
    threshold: float
    count: int
    errors_inside: int
    errors: int
    classes: tuple[str, ...]
    matrix: Array | None
    pairs: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Convergence:
    """A metric against the number of passes, from the means of the groups of passes.

    Attributes:
        name: The metric.
        title: The same in words.
        passes: Number of passes, shape (K,).
        value: Mean of the metric over choices of so many passes, shape (K,).
        error: Monte Carlo standard error of the metric at so many passes, shape (K,).
        deterministic: The deterministic prediction's value; None when it has none.
        sampling_error: Half the width of the metric's interval over examples, for comparison.
        num_examples: Examples that the curve rests on; of very many, some evenly spaced ones.
    """

    name: str
    title: str
    passes: Array
    value: Array
    error: Array
    deterministic: float | None
    sampling_error: float | None
    num_examples: int


@dataclass(frozen=True)
class OutputRow:
    """How one output of a regression fares: its error and its interval's coverage."""

    name: str
    root_mean_squared_error: Interval
    deterministic_root_mean_squared_error: Interval
    coverage: Interval
    width: float


@dataclass(frozen=True)
class Regression:
    """Diagnostics of a regression.

    Attributes:
        level: Nominal level of the intervals.
        basis: What the intervals rest on: "samples", "mixture" or "normal".
        states_noise: Whether the model predicts the noise of the targets ("gaussian").
        output: Output that each point drawn belongs to, shape (P,), at most 4 of them.
        true: Their targets, shape (P,); likewise `mean`, `low`, `high`.
        mean: Predictive means.
        low: Lower ends of the intervals.
        high: Upper ends.
        count: Number of targets.
        nominal: Nominal quantile levels, shape (L,).
        observed: Share of targets at or below the quantile, shape (L,).
        observed_low: Lower ends of the interval of `observed`.
        observed_high: Upper ends.
        pit_edges: Edges of the histogram of the probability integral transform.
        pit_share: Share of targets in each bin.
        pit_band: Band that holds a calibrated histogram's bars at the confidence level.
        bin_std: Root mean predictive variance in bins of equal count, shape (B,).
        bin_error: Root mean squared error in these bins.
        bin_low: Lower ends of its interval.
        bin_high: Upper ends.
        rank_correlation: Spearman correlation of |error| and standard deviation.
        outputs: One row an output.
    """

    level: float
    basis: str
    states_noise: bool
    output: Array
    true: Array
    mean: Array
    low: Array
    high: Array
    count: int
    nominal: Array
    observed: Array
    observed_low: Array
    observed_high: Array
    pit_edges: Array
    pit_share: Array
    pit_band: tuple[float, float]
    bin_std: Array
    bin_error: Array
    bin_low: Array
    bin_high: Array
    rank_correlation: Interval
    outputs: tuple[OutputRow, ...]


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
class MapPanel:
    """One picture of a row of maps: its title and a PNG data URI."""

    title: str
    image: str


@dataclass(frozen=True)
class GalleryItem:
    """One example of the gallery.

    Attributes:
        index: Position of the example in the data.
        groups: The lists that it was chosen for.
        label: True class or value, as text.
        predicted: Answer of Monte Carlo dropout.
        deterministic: Answer of the deterministic prediction.
        correct: Whether the answer is right; None for regression.
        measures: Numbers to sort by, as `predictive_entropy`.
        classes: The classes that matter for this example; empty for regression.
        interval: Mean and interval, regression with one output only.
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
    interval: Interval | None = None
    target: float | None = None
    plain: float | None = None
    image: str | None = None
    maps: tuple[MapPanel, ...] = ()


@dataclass(frozen=True)
class Shift:
    """Out-of-distribution data beside the evaluated data.

    Attributes:
        count: Number of out-of-distribution examples.
        separations: One a measure of uncertainty.
        confidence: Mean confidence on the evaluated data; NaN for regression.
        confidence_out: Mean confidence on the foreign data.
        deterministic_confidence: Mean deterministic confidence on the evaluated data.
        deterministic_confidence_out: Mean deterministic confidence on the foreign data.
    """

    count: int
    separations: tuple[Separation, ...]
    confidence: Interval
    confidence_out: Interval
    deterministic_confidence: Interval
    deterministic_confidence_out: Interval


@dataclass(frozen=True)
class Content:
    """Everything a report says about one model.

    Attributes:
        kind: "classes", "labels" (multilabel), "pixels" (segmentation) or "values" (regression).
        evaluation: The metrics.
        context: Where the numbers come from.
        class_names: Names of the classes; empty for a regression.
        answers: The three questions of the first screen.
        scored: Number of predictions that figures and tables rest on (pixels may be sampled).
        available: Number of predictions that there are.
        reliability: Curve of Monte Carlo dropout; None for a regression.
        deterministic_reliability: Curve of the deterministic prediction.
        separations: Right against wrong answers, one a measure.
        selective: Risk against coverage.
        classes: One row a class.
        confusion: Confusions of the uncertain; None when nothing is confused with another.
        regression: Diagnostics of a regression.
        convergence: Metrics against the number of passes.
        gallery: Examples worth a look.
        shift: Out-of-distribution data, when there are any.
        recalibration: Before and after recalibration, when there was one.
    """

    kind: str
    evaluation: Evaluation
    context: ReportContext
    class_names: tuple[str, ...]
    answers: tuple[Answer, ...]
    scored: int
    available: int
    reliability: ReliabilityCurve | None = None
    deterministic_reliability: ReliabilityCurve | None = None
    separations: tuple[Separation, ...] = ()
    selective: Selective | None = None
    classes: tuple[ClassRow, ...] = ()
    confusion: Confusion | None = None
    regression: Regression | None = None
    convergence: tuple[Convergence, ...] = ()
    gallery: tuple[GalleryItem, ...] = ()
    shift: Shift | None = None
    recalibration: Recalibrated | None = None
