"""Figures for notebooks: they take predictions and arrays, and draw the numbers they should."""

import inspect
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import mcdrop
from mcdrop import plot
from mcdrop.errors import DataError
from mcdrop.plot.doubt import map_of
from mcdrop.plot.palette import LIGHT


@pytest.fixture
def ax():
    return Figure().subplots()


def line(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def test_every_function_takes_axes_and_returns_them(
    ax, classification, out_of_distribution, regression, images
):
    of_classes = (classification.prediction, classification.y_true)
    of_values = (regression.prediction, regression.y_true)
    assert plot.reliability_diagram(*of_classes, ax=ax) is ax
    assert plot.risk_coverage(*of_classes, ax=ax) is ax
    assert plot.risk_coverage(*of_values, ax=ax) is ax
    assert plot.uncertainty_histogram(*of_classes, measure="mutual_information", ax=ax) is ax
    assert plot.confusion_matrix(*of_classes, ax=ax) is ax
    assert plot.predictive_intervals(*of_values, ax=ax) is ax
    assert plot.quantile_calibration(*of_values, ax=ax) is ax
    assert plot.pit_histogram(*of_values, ax=ax) is ax
    assert plot.error_by_deviation(*of_values, ax=ax) is ax
    assert plot.convergence(*of_classes, ax=ax) is ax
    assert plot.image_grid(images[:5], ax=ax) is ax
    known = classification.prediction
    assert plot.uncertainty_histogram(known, out_of_distribution=out_of_distribution, ax=ax) is ax


def test_without_axes_those_of_pyplot_are_taken(classification):
    from matplotlib import pyplot

    mpl.use("agg")
    figure, wanted = pyplot.subplots()
    assert plot.risk_coverage(classification.prediction, classification.y_true) is wanted
    pyplot.close(figure)


def test_arguments_are_alike():
    for name in plot.__all__:
        parameters = inspect.signature(getattr(plot, name)).parameters
        assert parameters["ax"].default is None
        assert list(parameters)[-1] == "ax"


def test_drawing_leaves_the_users_settings_alone(ax, classification):
    before = dict(mpl.rcParams)
    plot.reliability_diagram(classification.prediction, classification.y_true, ax=ax)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["classification", "binary", "multilabel", "segmentation"])
def test_every_task_of_classes_can_be_drawn(request, ax, name):
    found = request.getfixturevalue(name)
    plot.reliability_diagram(found.prediction, found.y_true, ax=ax)
    assert {"MC dropout", "deterministic"} <= {each.get_label() for each in ax.lines}
    plot.risk_coverage(found.prediction, found.y_true, ax=Figure().subplots())
    plot.uncertainty_histogram(found.prediction, found.y_true, ax=Figure().subplots())
    plot.convergence(found.prediction, found.y_true, ax=Figure().subplots())


def test_the_gaps_weighted_by_their_answers_are_accuracy_minus_confidence(ax, classification):
    prediction, y = classification.prediction, classification.y_true
    plot.reliability_diagram(prediction, y, ax=ax)
    drawn = line(ax, "MC dropout")
    bins = len(drawn.get_xdata())
    assert bins == 300 // 30
    wanted = (prediction.predicted_class == y).mean() - prediction.confidence.mean()
    # All bins hold 30 answers: no two confidences of these are equal.
    assert drawn.get_ydata().mean() == pytest.approx(wanted)


def test_arrays_and_predictions_draw_the_same(ax, segmentation):
    other = Figure().subplots()
    plot.risk_coverage(segmentation.prediction, segmentation.y_true, ax=ax)
    plot.risk_coverage(segmentation.prediction.mean, segmentation.y_true, ax=other)
    assert np.array_equal(line(ax, "MC dropout").get_ydata(), line(other, "forecast").get_ydata())


def test_risk_coverage_ends_at_the_accuracy_of_each(ax, classification):
    prediction, y = classification.prediction, classification.y_true
    plot.risk_coverage(
        {"a": prediction, "b": prediction.deterministic, "c": np.eye(10)[y]}, y, ax=ax
    )
    assert line(ax, "a").get_ydata()[-1] == pytest.approx((prediction.predicted_class == y).mean())
    assert line(ax, "c").get_ydata()[-1] == 1.0
    assert {text.get_text() for text in ax.texts} == {"a", "b", "c"}
    assert ax.texts[-1].get_text() == "c"


def test_labels_of_equal_ends_do_not_overlap(ax, classification):
    prediction, y = classification.prediction, classification.y_true
    plot.risk_coverage(dict.fromkeys("abcdef", prediction), y, ax=ax)
    places = [text.xy[1] for text in ax.texts]
    step = 0.069 * np.ptp(ax.get_ylim())
    assert np.all(np.diff(places) > step)


def test_of_a_few_members_each_is_drawn(ax, classification):
    prediction, y = classification.prediction, classification.y_true
    right = prediction.predicted_class == y
    keep = np.r_[np.flatnonzero(right)[:100], np.flatnonzero(~right)[:7]]
    plot.uncertainty_histogram(prediction.take(keep), y[keep], ax=ax)
    marks = line(ax, "wrong (7)")
    assert len(marks.get_xdata()) == 7
    assert marks.get_color() == LIGHT["wrong"]


def test_the_matrix_counts_true_by_answered(ax):
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    plot.confusion_matrix(p, [0, 1, 1], class_names=["cat", "dog"], ax=ax)
    assert {text.get_position(): text.get_text() for text in ax.texts} == {
        (0, 0): "1",
        (1, 1): "1",
        (0, 1): "1",
    }
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog"]


def test_intervals_of_arrays_are_drawn_as_given(ax):
    y = np.arange(5.0)
    plot.predictive_intervals(y, y + np.array([0, 0, 0, 0, 3.0]), low=y - 1, high=y + 1, ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["target covered (4)", "target missed (1)"]


def test_a_second_output_can_be_chosen(ax, outputs):
    plot.predictive_intervals(outputs.prediction, outputs.y_true, output=1, ax=ax)
    assert np.abs(ax.dataLim.x0) > 5  # the second output spreads by 10, the first by 1
    with pytest.raises(DataError, match=r"`output` is 2, expected one of 0 to 1"):
        plot.predictive_intervals(outputs.prediction, outputs.y_true, output=2, ax=ax)


def test_images_stand_side_by_side_without_overlap(ax):
    plot.image_grid(np.zeros((5, 8, 6, 3)), list("abcde"), num_columns=3, ax=ax)
    boxes = [image.get_extent() for image in ax.images]
    assert len({tuple(box) for box in boxes}) == 5
    for box, other in pairwise(boxes):
        assert other[0] >= box[1] or other[3] >= box[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: plot.reliability_diagram(p, y[:5]), "`y_true` has shape"),
        (lambda p, y: plot.reliability_diagram(p.mean[0], y), "expected class probabilities"),
        (lambda p, y: plot.reliability_diagram(5 * p.mean, y), "has values in"),
        (lambda p, y: plot.quantile_calibration(p, y), "'classification', expected regression"),
        (lambda p, y: plot.uncertainty_histogram(p), "Give either `y_true`"),
        (lambda p, y: plot.uncertainty_histogram(p, y, measure="std"), "`measure` is 'std'"),
        (lambda p, y: plot.uncertainty_histogram(np.eye(10)[y], y), "All answers are right"),
        (
            lambda p, y: plot.uncertainty_histogram(p.mean, y, measure="mutual_information"),
            "not known without passes",
        ),
        (lambda p, y: plot.confusion_matrix(p, y, class_names=["a"]), "`class_names` holds 1"),
        (lambda p, y: plot.convergence(p, y, metric="auroc"), "`metric` is 'auroc'"),
        (lambda p, y: plot.predictive_intervals(p.mean, p.mean), "`low` and `high` are missing"),
        (lambda p, y: plot.image_grid(np.zeros(3)), "expected \\(N, H, W\\)"),
        (lambda p, y: plot.image_grid(np.zeros((2, 4, 4)), ["a"]), "1 texts for 2 images"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(classification, call, message):
    with pytest.raises(DataError, match=message) as found:
        call(classification.prediction, classification.y_true)
    assert "\n" not in str(found.value)


def test_two_passes_are_too_few_to_draw_against_their_number():
    passes = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.7, 0.3], [0.2, 0.8]]])
    prediction = mcdrop.from_samples(passes, passes.mean(axis=0), task="classification")
    with pytest.raises(DataError, match="2 passes, too few"):
        plot.convergence(prediction, [0, 1])


def test_the_map_of_doubt_holds_every_example_once(classification, out_of_distribution):
    prediction, y = classification.prediction, classification.y_true
    ax = Figure().subplots()
    found = map_of(prediction, y, out_of_distribution)
    sizes = {kind: int(counts.sum()) for kind, counts in found.counts.items()}
    wrong = int((prediction.predicted_class != y).sum())
    assert sizes == {"right": 300 - wrong, "wrong": wrong, "out of distribution": 120}
    places = np.repeat(found.cells["wrong"], found.counts["wrong"], axis=0)[:, 0]
    known = np.sort(prediction.predictive_entropy[prediction.predicted_class != y])
    assert places / 255 * found.entropy == pytest.approx(known, abs=found.entropy / 509)
    assert plot.doubt_map(prediction, y, threshold=0.5, ax=ax) is ax
    # One mark a cell: a line of two ends.
    cells = len(found.cells["wrong"])
    alone = map_of(prediction, y, None)
    drawn = [len(patch.get_path().vertices) for patch in ax.patches]
    assert drawn == [2 * len(alone.cells["right"]), 2 * len(alone.cells["wrong"])]
    assert cells <= wrong


def test_a_map_of_doubt_of_one_value_is_drawn():
    p = np.tile([[0.5, 0.5]], (4, 1))
    prediction = mcdrop.from_samples(np.stack([p, p]), p, task="classification")
    ax = plot.doubt_map(prediction, np.zeros(4, int), ax=Figure().subplots())
    assert ax.get_ylim()[1] > 0


def test_every_mark_of_the_map_is_seen():
    p = np.array([[0.9, 0.1], [0.6, 0.4]])
    prediction = mcdrop.from_samples(np.stack([p, p[::-1]]), p, task="classification")
    figure = Figure(figsize=(4, 3), dpi=100)
    ax = plot.doubt_map(prediction, [0, 0], ax=figure.subplots())
    ax.get_legend().remove()
    FigureCanvasAgg(figure).draw()
    shown = np.asarray(figure.canvas.buffer_rgba())
    places = ax.transData.transform(
        np.stack([prediction.predictive_entropy, prediction.mutual_information], axis=1)
    )
    for x, y in places:
        assert shown[round(300 - y), round(x), :3].min() < 230


def test_a_map_needs_one_class_an_example(multilabel, segmentation, regression):
    for found in (multilabel, segmentation, regression):
        with pytest.raises(DataError, match="one class an example"):
            plot.doubt_map(found.prediction, found.y_true, ax=Figure().subplots())


@pytest.mark.parametrize(
    "draw", [plot.reliability_diagram, plot.risk_coverage, plot.uncertainty_histogram]
)
def test_shared_axes_hold_all_that_is_drawn_on_them(classification, draw):
    good, bad = classification.prediction, classification.prediction.mean**0.2
    bad = bad / bad.sum(axis=1, keepdims=True)
    limits = []
    for order in ((good, bad), (bad, good)):
        axes = Figure().subplots(1, 2, sharex=True, sharey=True)
        for ax, forecast in zip(axes, order, strict=True):
            draw(forecast, classification.y_true, ax=ax)
        limits.append((*axes[0].get_xlim(), *axes[0].get_ylim()))
        for line in [line for ax in axes for line in ax.lines if len(line.get_xdata()) > 2]:
            y = np.asarray(line.get_ydata(), float)[-1]
            assert limits[-1][2] <= y <= limits[-1][3]
    assert limits[0] == pytest.approx(limits[1])
