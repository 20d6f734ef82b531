"""The first screen in words follows from the intervals, and says no more than they do."""

from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop import recalibrate
from mcdrop.evaluation import Estimate
from mcdrop.plot.inputs import class_forecasts
from mcdrop.report import Recalibration, verdict
from mcdrop.report.building import build
from mcdrop.report.classes import class_rows
from mcdrop.report.comparison import build_comparison
from mcdrop.report.tables import metric_rows, repaired_rows
from mcdrop.report.verdict_classes import BASELINES, failure
from mcdrop.report.words import isolated

TONES = ("yes", "partly", "no", "few")


def with_comparison(evaluation, name, **changes):
    """The evaluation with some fields of one comparison replaced."""
    return replace(
        evaluation,
        comparisons=tuple(
            replace(comparison, **changes) if comparison.name == name else comparison
            for comparison in evaluation.comparisons
        ),
    )


def with_differences(evaluation, **ends):
    """The evaluation with the intervals of all differences around 0, but for those given."""
    for comparison in evaluation.comparisons:
        if comparison.difference is not None:
            low, high = ends.get(comparison.name, (-1.0, 1.0))
            changed = Estimate((low + high) / 2, low, high)
            evaluation = with_comparison(evaluation, comparison.name, difference=changed)
    return evaluation


def answer(evaluation, question, **options):
    return next(a for a in build(evaluation, **options).answers if a.question == question)


def classifier(labels, *, right, confidence, num_classes=2, seed=0, metrics="default"):
    """An evaluation of answers that are right as told and say what they are told to say."""
    generator = np.random.default_rng(seed)
    labels = np.asarray(labels)
    wrong = (labels + generator.integers(1, num_classes, labels.size)) % num_classes
    answered = np.where(generator.random(labels.size) < right, labels, wrong)
    rest = (1 - np.asarray(confidence)) / (num_classes - 1)
    p = np.broadcast_to(rest, labels.size)[:, np.newaxis] * np.ones(num_classes)
    p[np.arange(labels.size), answered] = confidence
    prediction = mcdrop.from_samples(np.stack([p] * 4), p, task="classification")
    return mcdrop.evaluate(prediction, labels, metrics=metrics, num_resamples=100)


def test_every_report_answers_the_three_questions(any_content):
    questions = [answer.question for answer in any_content.answers]
    assert questions == [verdict.TRUST, verdict.CHANGE, verdict.FAILURE]
    for found in any_content.answers:
        assert found.headline.endswith(".")
        assert found.tone in TONES
        assert found.word
        assert "nan" not in found.headline
        assert "nan" not in "".join(fact.value + fact.detail for fact in found.facts)


def test_what_else_was_asked_is_answered_on_the_first_screen(classification, out_of_distribution):
    found = build(classification, out_of_distribution=out_of_distribution)
    assert [a.question for a in found.answers] == [
        *(verdict.TRUST, verdict.CHANGE, verdict.NOTICE, verdict.FAILURE)
    ]


def test_a_calibrated_model_is_trusted_with_the_bound_that_is_shown():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 4000)
    found = answer(classifier(labels, right=0.9, confidence=0.9), verdict.TRUST)
    assert found.tone == "yes"
    assert "its confidence is right to within" in found.headline


def test_few_answers_prove_no_calibration():
    labels = np.arange(12) % 2
    found = answer(classifier(labels, right=1.0, confidence=0.95), verdict.TRUST)
    assert found.tone == "few"
    assert found.word == "Too few to say"
    assert "12 examples cannot say" in found.headline


@pytest.mark.parametrize(("confidence", "word"), [(0.99, "overconfident"), (0.6, "underconfident")])
def test_the_direction_of_miscalibration_is_named(confidence, word):
    found = answer(classifier(np.arange(1000) % 2, right=0.8, confidence=confidence), verdict.TRUST)
    assert found.tone == "partly"
    assert f"but {word} by" in found.headline


@pytest.mark.parametrize(("size", "tone"), [(20, "few"), (2000, "no")])
def test_a_model_no_better_than_one_class_is_not_trusted(size, tone):
    labels = (np.arange(size) % 5 == 0).astype(int)
    right = 0.8 if size == 20 else 0.5
    found = answer(classifier(labels, right=right, confidence=0.8), verdict.TRUST)
    assert found.tone == tone
    assert BASELINES["classes"] in found.headline


def test_each_task_has_its_own_baseline(multilabel, segmentation):
    assert BASELINES["labels"] in answer(multilabel, verdict.TRUST).facts[0].detail
    found = answer(segmentation, verdict.TRUST)
    assert found.facts[0].label == "Mean IoU"
    assert "mean IoU" in found.headline


def test_the_baseline_of_labels_is_the_more_frequent_value_of_each(multilabel):
    often = multilabel.y_true.mean(axis=0)
    wanted = np.maximum(often, 1 - often).mean()
    said = answer(multilabel, verdict.TRUST).facts[0].detail.split("; ")[1].split("%")[0]
    assert float(said) == pytest.approx(100 * wanted, abs=0.6)


def test_the_headline_shows_the_accuracy_of_the_table(classification):
    found = build(classification).answers[0]
    accuracy = classification["accuracy"].monte_carlo
    assert found.facts[0].label == "Accuracy"
    assert found.facts[0].value in found.headline
    assert float(found.facts[0].value.rstrip("%")) == pytest.approx(100 * accuracy.value, abs=0.06)


def test_a_clear_gain_is_called_one(classification):
    found = verdict.change(with_differences(classification, negative_log_likelihood=(-0.2, -0.1)))
    assert (found.headline, found.tone) == ("It improves negative log-likelihood.", "yes")


def test_a_clear_loss_is_called_one(classification):
    found = verdict.change(with_differences(classification, brier_score=(0.1, 0.2)))
    assert (found.headline, found.tone) == ("It worsens Brier score.", "no")


def test_gain_and_loss_are_both_named(classification):
    found = verdict.change(
        with_differences(classification, accuracy=(0.01, 0.02), brier_score=(0.1, 0.2))
    )
    assert found.headline == "It improves accuracy and worsens Brier score."
    assert found.tone == "partly"


def test_what_chance_explains_is_no_change(classification):
    found = verdict.change(with_differences(classification))
    assert found.tone == "few"
    assert found.headline.startswith("No score changes by more than chance")


def test_a_difference_without_an_interval_is_not_called_no_change(classification):
    unknown = Estimate(-0.1, np.nan, np.nan, reason="fewer than 3 errors (1)")
    none = classification
    for each in classification.comparisons:
        if each.difference is not None:
            none = with_comparison(none, each.name, difference=unknown)
    found = build(none)
    change = found.answers[1]
    assert (change.tone, change.word) == ("few", "Too few to say")
    assert "too few to judge a change (fewer than 3 errors (1))" in change.headline
    assert "none can be judged" in found.findings["metrics"]
    words = {row.words for row in metric_rows(none) if row.reading}
    assert words == {"cannot be judged"}
    some = with_comparison(with_differences(classification), "brier_score", difference=unknown)
    found = build(some)
    assert "too few to judge Brier score" in found.answers[1].headline
    assert "1 not to be judged" in found.findings["metrics"]


def test_a_recalibration_that_cannot_change_a_score_says_nothing_of_it(gaussian):
    found = build(
        gaussian,
        recalibration=Recalibration(
            recalibrate.VarianceScaling(factors=np.array(1.0)).apply(gaussian.prediction), "none", 9
        ),
    )
    answered = next(a for a in found.answers if a.question == verdict.REPAIR)
    assert "Root mean squared error" not in [fact.label for fact in answered.facts]
    rows = {row.title: row.words for row in repaired_rows(found.recalibration.metrics)}
    assert rows["Root mean squared error"] == "the same"


def test_warnings_deny_no_answer():
    p = np.tile([[0.9, 0.1]], (400, 1))
    p[:8] = [[0.55, 0.45]]
    labels = np.r_[np.ones(8, int), np.zeros(392, int)]
    prediction = mcdrop.from_samples(np.stack([p] * 12), p, task="classification")
    evaluation = mcdrop.evaluate(prediction, labels, num_resamples=100)
    assert "rests on these" in evaluation.warnings["few_errors"]
    found = answer(evaluation, verdict.FAILURE)
    assert found.tone in ("yes", "partly")
    assert "a mistake is more uncertain" in found.headline


def test_none_and_all_are_told_with_their_interval():
    p = np.tile([[0.9, 0.1]], (300, 1))
    p[:2] = [[0.6, 0.4]]
    prediction = mcdrop.from_samples(np.stack([p] * 12), p, task="classification")
    labels = np.zeros(300, int)
    labels[:2] = 1
    found = build(mcdrop.evaluate(prediction, labels, num_resamples=100))
    # 0 mistakes of 298: the exact 95% interval ends at 1 - 0.025^(1/298) = 1.23%.
    assert "leaves 0% [0, 1.23] mistakes" in found.findings["threshold"]
    perfect = build(mcdrop.evaluate(prediction, np.zeros(300, int), num_resamples=100))
    assert perfect.answers[0].headline.startswith("Right 100% [98.")


def test_overconfidence_on_the_whole_is_told_where_its_places_are_not():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 300)
    found = answer(classifier(labels, right=0.75, confidence=0.83), verdict.TRUST)
    assert "overconfident by" in found.headline


def test_models_of_different_targets_are_not_comparable(classification):
    other = mcdrop.evaluate(
        classification.prediction.take(np.arange(200)),
        classification.y_true[:200],
        num_resamples=100,
    )
    found = build_comparison({"a": classification, "b": other})
    assert {each.word for each in found.answers} == {"Not comparable"}


def test_a_spread_against_a_point_forecast_is_no_headline(regression, gaussian):
    clear = {"crps": (-0.5, -0.4), "log_likelihood": (0.4, 0.5)}
    assert verdict.change(with_differences(regression, **clear)).tone == "few"
    assert verdict.change(with_differences(gaussian, **clear)).tone == "yes"


def test_flips_are_counted_with_their_outcome(classification):
    fact = verdict.change(classification).facts[-1]
    prediction, truth = classification.prediction, classification.y_true
    flipped = classification.flipped
    right = int((prediction.predicted_class[flipped] == truth[flipped]).sum())
    assert fact.value == f"{len(flipped)} of 300"
    assert f"{right} become right" in fact.detail


def test_a_perfect_model_is_told_what_is_still_possible():
    found = classifier(np.arange(30) % 3, right=1.0, confidence=0.9, num_classes=3)
    answered = answer(found, verdict.FAILURE)
    assert answered.tone == "few"
    # With no error of 30 the exact 95% interval of the error rate ends at 1 - 0.025^(1/30).
    assert "up to 11.6% mistakes" in answered.headline
    assert build(found).separations[0].histogram is None


def test_a_class_that_fails_is_named_with_where_it_goes():
    labels = np.repeat([0, 1, 2], 200)
    p = np.eye(3)[labels] * 0.7 + 0.1
    p[labels == 1] = [0.1, 0.3, 0.6]
    p[400:402] = [0.6, 0.1, 0.3]
    prediction = mcdrop.from_samples(np.stack([p] * 4), p, task="classification")
    evaluation = mcdrop.evaluate(prediction, labels, num_resamples=100)
    found = answer(evaluation, verdict.FAILURE, class_names=["cat", "dog", "cow"])
    assert found.headline.startswith(
        "Least often right on dog (0% [0, 1.83]), often taken for cow;"
    )
    assert found.facts[0].label == "Right on dog"
    # However well its mistakes are seen, a class that is never right is no good news.
    assert found.tone != "yes"


def test_classes_that_chance_explains_are_not_ranked():
    found = classifier(np.arange(60) % 3, right=0.8, confidence=0.8, num_classes=3)
    answered = answer(found, verdict.FAILURE)
    assert answered.headline.startswith("No class is shown to be worse than the others")
    assert not any(fact.label.startswith("Right on") for fact in answered.facts)


def test_the_worst_of_many_equal_classes_is_chance():
    ranked = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, 100, 3000)
        found = classifier(
            labels, right=0.7, confidence=0.7, num_classes=100, seed=seed, metrics=["accuracy"]
        )
        forecast = class_forecasts(found.prediction, found.y_true)["MC dropout"]
        rows = class_rows(found, [str(place) for place in range(100)])
        ranked += "Least often right" in failure(found, forecast, rows, None).headline
    # At most 5% of such reports name a class; four or more of 20 would happen in 1.6% of runs.
    assert ranked < 4


def test_mistakes_among_the_uncertain_stand_beside_chance_and_the_most_possible(classification):
    fact = next(f for f in answer(classification, verdict.FAILURE).facts if "Mistakes" in f.label)
    wrong = int((classification.prediction.predicted_class != classification.y_true).sum())
    assert f"of {wrong} mistakes; at most {100 * 30 / wrong:.1f}%, 10.0% by chance" in fact.detail


def test_shares_of_pixels_have_intervals_over_images(correlated):
    """Images of nine pixels that are all right or all wrong, and equally sure."""
    wrong = correlated.prediction.predicted_class != correlated.y_true
    assert not any("Mistakes" in f.label for f in answer(correlated, verdict.FAILURE).facts)
    sure = np.random.default_rng(0).uniform(0.6, 0.95, (200, 1, 1))
    said = np.where(wrong, 1 - correlated.y_true, correlated.y_true)
    p = np.where(np.arange(2) == said[..., np.newaxis], sure, 1 - sure)
    prediction = mcdrop.from_samples(np.stack([p] * 2), p, task="classification")
    evaluation = mcdrop.evaluate(prediction, correlated.y_true, num_resamples=100)
    found = answer(evaluation, verdict.FAILURE)
    fact = next(f for f in found.facts if "Mistakes" in f.label)
    low, high = (float(end) for end in fact.detail.split("]")[0].lstrip("[").split(", "))
    # Of about 60 images with mistakes: at least 2 * 1.96 * sqrt(.1 * .9 / 60) = 15 points wide,
    # where the 540 pixels taken as independent would give 5.
    assert high - low > 10


@pytest.mark.parametrize(
    ("low", "high", "tone"),
    [
        (0.85, 0.95, "yes"),
        (0.6, 0.9, "partly"),
        (0.4, 0.6, "no"),
        (0.3, 0.75, "few"),
        (0.3, 0.95, "few"),
    ],
)
def test_the_tone_of_error_detection_is_what_its_interval_allows(classification, low, high, tone):
    area = Estimate((low + high) / 2, low, high)
    changed = with_comparison(classification, "error_detection_auroc", monte_carlo=area)
    assert answer(changed, verdict.FAILURE).tone == tone


def test_an_area_without_an_interval_is_no_verdict(classification):
    area = Estimate(0.98, np.nan, np.nan, reason="fewer than 2 positives (1)")
    changed = with_comparison(classification, "error_detection_auroc", monte_carlo=area)
    found = answer(changed, verdict.FAILURE)
    assert found.tone == "few"
    assert any("no interval: fewer than 2 positives (1)" in fact.detail for fact in found.facts)


def test_an_evaluation_of_few_metrics_still_has_answers(classification, regression):
    for evaluation, names in ((classification, ["top_k_accuracy"]), (regression, ["sharpness"])):
        few = mcdrop.evaluate(
            evaluation.prediction, evaluation.y_true, metrics=names, num_resamples=100
        )
        assert len(build(few).answers) == 3


def test_a_regression_worse_than_the_mean_is_not_trusted(regression):
    shifted = regression.y_true * 0.01 + 5.0
    evaluation = mcdrop.evaluate(regression.prediction, shifted, num_resamples=100)
    assert build(evaluation).answers[0].tone == "no"


def test_a_regression_of_few_targets_is_not_judged(regression):
    few = mcdrop.evaluate(
        regression.prediction.take(np.arange(12)), regression.y_true[:12], num_resamples=100
    )
    assert {found.tone for found in build(few).answers} == {"few"}


@pytest.mark.parametrize(
    ("low", "high", "tone", "words"),
    [
        (0.93, 0.97, "yes", "intervals hold 95%"),
        (0.7, 0.99, "few", "cannot say whether"),
        (0.5, 0.7, "partly", "too narrow"),
        (0.97, 0.99, "partly", "wider than needed"),
    ],
)
def test_intervals_are_trusted_as_far_as_their_coverage_is_known(
    regression, low, high, tone, words
):
    changed = with_comparison(
        regression, "interval_coverage", monte_carlo=Estimate((low + high) / 2, low, high)
    )
    found = build(changed).answers[0]
    assert found.tone == tone
    assert words in found.headline


def test_a_regression_says_where_its_largest_errors_are():
    generator = np.random.default_rng(0)
    y = generator.uniform(0, 50, 1000)
    noise = np.where(y > 40, 6.0, 1.0)
    mean = y + generator.normal(0, 1, 1000) * noise
    samples = mean + generator.normal(0, 1, (20, 1000)) * noise
    prediction = mcdrop.from_samples(samples, mean, task="regression")
    evaluation = mcdrop.evaluate(prediction, y, num_resamples=100)
    found = answer(evaluation, verdict.FAILURE)
    assert found.headline.startswith("Largest errors on targets from 4")
    assert found.tone == "yes"
    flat = mcdrop.from_samples(
        y + generator.normal(0, 1, (20, 1000)), y + generator.normal(0, 1, 1000), task="regression"
    )
    even = mcdrop.evaluate(flat, y, num_resamples=100)
    assert "No range of targets is shown" in answer(even, verdict.FAILURE).headline


def test_a_name_from_right_to_left_is_isolated():
    assert isolated("حصان") == "\u2068حصان\u2069"
    assert isolated("马") == "马"
