"""Several models side by side."""

import numpy as np
import pytest

import mcdrop
from mcdrop.errors import DataError
from mcdrop.report import ReportContext, html
from mcdrop.report.comparison import build_comparison, draw_comparison

from .pages import ATTACK, Outline


def worse(evaluation):
    """The same model with its probabilities flattened and some answers shifted."""
    prediction = evaluation.prediction
    samples = 0.5 * prediction.samples + 0.05
    samples[:, ::3] = np.roll(samples[:, ::3], 1, axis=-1)
    changed = mcdrop.from_samples(samples, samples.mean(axis=0), task="classification")
    return mcdrop.evaluate(changed, evaluation.y_true, num_resamples=100)


@pytest.fixture(scope="module")
def content(classification):
    return build_comparison({"good": classification, "bad": worse(classification)})


def test_one_model_is_no_comparison(classification):
    with pytest.raises(DataError, match="holds 1 models, expected 2"):
        build_comparison({"a": classification})


def test_models_of_different_tasks_are_refused(classification, regression):
    with pytest.raises(DataError, match="different tasks"):
        build_comparison({"a": classification, "b": regression})


def test_estimates_are_the_evaluations_own(content, classification):
    metric = next(metric for metric in content.metrics if metric.name == "brier_score")
    assert metric.monte_carlo[0] == classification["brier_score"].monte_carlo
    assert metric.deterministic[0] == classification["brier_score"].deterministic


def test_differences_are_paired_and_to_the_first(content):
    metric = next(metric for metric in content.metrics if metric.name == "accuracy")
    first, second = (evaluation["accuracy"].monte_carlo.value for evaluation in content.evaluations)
    assert metric.difference[0].value == metric.difference[0].low == 0.0
    assert metric.difference[1].value == pytest.approx(second - first)
    assert metric.difference[1].low < metric.difference[1].value < metric.difference[1].high < 0


def test_a_clearly_better_model_is_named(content):
    assert content.answers[0].headline == "good, clear of the others."
    assert content.answers[0].facts[0].label == "good"


def test_equal_models_are_not_told_apart(classification):
    found = build_comparison({"a": classification, "b": classification})
    assert "cannot tell it from b" in found.answers[0].headline


def test_models_of_other_targets_are_not_paired(classification):
    moved = mcdrop.evaluate(
        classification.prediction, np.roll(classification.y_true, 1), num_resamples=100
    )
    found = build_comparison({"a": classification, "b": moved})
    assert not found.paired
    assert all(metric.difference is None for metric in found.metrics)
    assert "evaluated on different targets" in html.render_comparison(found, draw_comparison(found))


@pytest.mark.parametrize(
    "name",
    ["binary", "multilabel", "segmentation", "regression", "outputs", "gaussian", "reconstruction"],
)
def test_every_layout_can_be_compared(request, name):
    evaluation = request.getfixturevalue(name)
    found = build_comparison({"a": evaluation, "b": evaluation})
    outline = Outline(html.render_comparison(found, draw_comparison(found)))
    assert outline.stack == []
    assert len(outline.ids) == len(set(outline.ids))


def test_paired_values_equal_the_evaluations(regression, segmentation):
    for evaluation, name in ((regression, "root_mean_squared_error"), (segmentation, "accuracy")):
        found = build_comparison({"a": evaluation, "b": evaluation})
        metric = next(metric for metric in found.metrics if metric.name == name)
        assert metric.difference[1].value == 0.0


def test_names_of_models_stay_text(classification):
    found = build_comparison({ATTACK: classification, "b": classification}, ReportContext())
    page = html.render_comparison(found, draw_comparison(found))
    assert [tag for tag, _ in Outline(page).tags].count("script") == 1
    assert "alert(1)</script>" not in page


def test_a_comparison_without_title_counts_its_models(content):
    assert content.context.heading == "2 models compared"
