"""Several models side by side, each with dropout and without."""

import numpy as np
import pytest

import mcdrop
from mcdrop.errors import DataError
from mcdrop.report import ReportContext, pages
from mcdrop.report.comparison import build_comparison, shortened
from mcdrop.report.drawing import draw_comparison

from .pages import ATTACK, Outline


def worse(evaluation):
    """The same model with its probabilities flattened and some answers shifted."""
    prediction = evaluation.prediction
    samples = 0.5 * prediction.samples + 0.05
    samples[:, ::3] = np.roll(samples[:, ::3], 1, axis=-1)
    changed = mcdrop.from_samples(samples, samples.mean(axis=0), task="classification")
    return mcdrop.evaluate(changed, evaluation.y_true, num_resamples=100)


def other_passes(evaluation, seed=9):
    """The same model, its mean unchanged but for another draw of the same spread."""
    prediction = evaluation.prediction
    order = np.random.default_rng(seed).integers(0, len(prediction.samples), (20,))
    samples = prediction.samples[order]
    again = mcdrop.from_samples(samples, prediction.deterministic, task="classification")
    return mcdrop.evaluate(again, evaluation.y_true, num_resamples=100)


@pytest.fixture(scope="module")
def content(classification):
    return build_comparison({"good": classification, "bad": worse(classification)})


def metric(content, name):
    return next(metric for metric in content.metrics if metric.name == name)


def test_one_model_is_no_comparison(classification):
    with pytest.raises(DataError, match="holds 1 models, expected 2"):
        build_comparison({"a": classification})


def test_models_of_different_tasks_are_refused(classification, regression):
    with pytest.raises(DataError, match="different tasks"):
        build_comparison({"a": classification, "b": regression})


def test_every_model_takes_part_with_dropout_and_without(content):
    assert content.letters == {"good": "A", "bad": "B"}
    assert content.forecasts == ("A", "A, off", "B", "B, off")
    assert set(metric(content, "accuracy").estimates) == set(content.forecasts)
    assert set(metric(content, "mutual_information").estimates) == {"A", "B"}


def test_values_are_the_evaluations_own(content, classification):
    for name in ("brier_score", "accuracy", "negative_log_likelihood"):
        found = metric(content, name).estimates
        assert found["A"].value == classification[name].monte_carlo.value
        assert found["A, off"].value == classification[name].deterministic.value


def test_differences_are_to_the_first(content):
    found = metric(content, "accuracy")
    change = found.differences["B"]
    assert change.value == pytest.approx(found.estimates["B"].value - found.estimates["A"].value)
    assert change.low < change.value < change.high < 0


def test_a_model_without_dropout_may_win(content):
    # The linear model of the digits is calibrated better with its dropout off.
    likelihood = content.answers[0]
    assert likelihood.headline.startswith("A (good) without MC dropout has the lowest")
    assert "negative log-likelihood" in likelihood.headline
    assert likelihood.facts[0].label == "A (good) without MC dropout: negative log-likelihood"
    assert likelihood.tone == "yes"


def test_the_same_model_twice_is_not_told_apart(classification):
    found = build_comparison({"a": classification, "b": other_passes(classification)})
    for answer in found.answers:
        assert "B (b) has the" not in answer.headline or "cannot tell" in answer.headline
        assert "A (a) has the" not in answer.headline or "cannot tell" in answer.headline


def test_models_of_other_targets_are_not_ranked(classification):
    moved = mcdrop.evaluate(
        classification.prediction, np.roll(classification.y_true, 1), num_resamples=100
    )
    found = build_comparison({"a": classification, "b": moved})
    assert not found.paired
    assert all(not metric.differences for metric in found.metrics)
    assert {answer.tone for answer in found.answers} == {"few"}
    page = pages.render_comparison(found, draw_comparison(found))
    assert "evaluated on different targets" in page


@pytest.mark.parametrize(
    "name",
    ["binary", "multilabel", "segmentation", "regression", "outputs", "gaussian", "reconstruction"],
)
def test_every_layout_can_be_compared(request, name):
    evaluation = request.getfixturevalue(name)
    found = build_comparison({"a": evaluation, "b": evaluation})
    outline = Outline(pages.render_comparison(found, draw_comparison(found)))
    assert outline.stack == []
    assert len(outline.ids) == len(set(outline.ids))


def test_a_spread_is_not_ranked_above_a_point_forecast(regression):
    found = build_comparison({"a": regression, "b": regression})
    crps = next(answer for answer in found.answers if "distributions" in answer.question)
    assert all("without" not in fact.label for fact in crps.facts)


def test_names_of_models_stay_text(classification):
    found = build_comparison({ATTACK: classification, "b": classification}, ReportContext())
    page = pages.render_comparison(found, draw_comparison(found))
    assert [tag for tag, _ in Outline(page).tags].count("script") == 1
    assert "alert(1)</script>" not in page


def test_a_comparison_without_title_counts_its_models(content):
    assert content.context.heading == "2 models compared"


def test_what_all_names_share_is_left_out():
    assert shortened(["a/cnn_small_v1.keras", "a/cnn_large_v1.keras"]) == ["small", "large"]
    assert shortened(["same", "same_too"]) == ["same", "same_too"]
    assert shortened(["x", "y" * 40]) == ["x", "y" * 23 + "…"]
