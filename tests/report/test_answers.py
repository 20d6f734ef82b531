"""Every answer of the first screen, from data of each kind: its shape, its word, its sentence."""

import re
from functools import cache

import numpy as np
import pytest

import mcdrop
from mcdrop import recalibrate
from mcdrop.report import Recalibration, pages, verdict
from mcdrop.report.building import build
from mcdrop.report.comparison import build_comparison
from mcdrop.report.drawing import draw

OPTIONS = {"num_resamples": 100}


def spread(p, deviation=0.0, num_samples=4, seed=0):
    """Passes around probabilities, which differ by so much."""
    noise = np.random.default_rng(seed).normal(0, deviation, (num_samples, *p.shape))
    passes = np.clip(p + noise, 1e-6, 1.0)
    return passes / passes.sum(axis=-1, keepdims=True)


def told(answered, confidence, num_classes):
    """Probabilities of answers that are given with a confidence."""
    confidence = np.broadcast_to(confidence, answered.shape)
    p = np.repeat((1 - confidence)[..., np.newaxis] / (num_classes - 1), num_classes, axis=-1)
    np.put_along_axis(p, answered[..., np.newaxis], confidence[..., np.newaxis], axis=-1)
    return p


def answers_of(labels, right, num_classes, seed=0):
    """Answers of which a share is right, and the first of them first."""
    generator = np.random.default_rng(seed)
    other = (labels + generator.integers(1, num_classes, labels.shape)) % num_classes
    return np.where(generator.random(labels.shape) < right, labels, other)


def classes(
    size=600, right=0.9, confidence=0.9, of_wrong=None, plain=None, num_classes=3, labels=None
):
    """A classifier that is right with a probability, and says how sure it is."""
    labels = np.arange(size) % num_classes if labels is None else labels
    answered = answers_of(labels, right, num_classes)
    if of_wrong is not None:
        confidence = np.where(answered == labels, confidence, of_wrong)
    p = told(answered, confidence, num_classes)
    plain = p if plain is None else plain(labels, answered)
    prediction = mcdrop.from_samples(spread(p), plain, task="classification")
    return mcdrop.evaluate(prediction, labels, **OPTIONS)


def between(low, high, size=600, seed=1):
    return np.random.default_rng(seed).uniform(low, high, size)


@cache
def overlapping():
    """Mistakes that are somewhat less sure than right answers."""
    return classes(right=0.75, confidence=between(0.5, 0.95), of_wrong=between(0.4, 0.88, seed=2))


@cache
def sharp():
    """Too sure of answers that are right four times of five."""
    return classes(size=900, right=0.8, confidence=0.99)


def pixels(num_images=60, right=0.9, confidence=0.9, side=6, labels=None):
    if labels is None:
        labels = np.random.default_rng(3).integers(0, 3, (num_images, side, side))
    p = told(answers_of(labels, right, 3), confidence, 3)
    prediction = mcdrop.from_samples(spread(p), p, task="classification")
    return mcdrop.evaluate(prediction, labels, **OPTIONS)


def labelled(size=400, right=0.9, confidence=0.9, often=0.5):
    labels = (np.random.default_rng(4).random((size, 3)) < often).astype(int)
    said = answers_of(labels, right, 2)
    p = np.where(said == 1, confidence, 1 - confidence)
    prediction = mcdrop.from_samples(np.stack([p] * 4), p, task="multilabel")
    return mcdrop.evaluate(prediction, labels, **OPTIONS)


def one_of_two(size=400, right=0.9, confidence=0.9):
    labels = np.arange(size) % 2
    p = np.where(answers_of(labels, right, 2) == 1, confidence, 1 - confidence)
    prediction = mcdrop.from_samples(np.stack([p] * 4), p, task="binary")
    return mcdrop.evaluate(prediction, labels, **OPTIONS)


def values(size=600, signal=3.0, stated=1.0, noise=1.0, plain=0.0, target_offset=0.0):
    """Numbers with a Gaussian head; noise and stated deviation may differ from row to row."""
    generator = np.random.default_rng(5)
    truth = signal * generator.normal(size=size)
    y = truth + np.broadcast_to(noise, (size,)) * generator.normal(size=size) + target_offset
    passes = truth + 0.01 * generator.normal(size=(4, size))
    variances = np.broadcast_to(np.square(stated), passes.shape)
    prediction = mcdrop.from_samples(
        passes,
        truth + plain,
        task="gaussian",
        variances=variances,
        deterministic_variance=variances[0],
    )
    return mcdrop.evaluate(prediction, y, **OPTIONS)


def unlike(size=600):
    """A stated deviation that grows from row to row."""
    return np.linspace(0.3, 3.0, size)


def mixed(labels, answered):
    """Oftener right than `answered`, and sure of its mistakes."""
    better = np.where(np.arange(labels.size) % 4 == 0, labels, answered)
    return told(better, 1 - 1e-12, 3)


def foreign(low, high, size=400):
    """Other data, on which a model of three classes is so sure."""
    p = told(np.arange(size) % 3, between(low, high, size, seed=6), 3)
    return {"out_of_distribution": mcdrop.from_samples(spread(p), p, task="classification")}


def tempered(evaluation, temperature):
    found = recalibrate.TemperatureScaling(temperature=temperature).apply(evaluation.prediction)
    return {"recalibration": Recalibration(found, "temperature scaling", 300)}


def half_repaired():
    """A repair of confidences that costs right answers."""
    evaluation = sharp()
    answered = evaluation.prediction.predicted_class
    answered = np.where(np.arange(answered.size) % 10 == 0, (answered + 1) % 3, answered)
    p = told(answered, 0.75, 3)
    found = mcdrop.from_samples(spread(p), p, task="classification")
    return evaluation, {"recalibration": Recalibration(found, "another model", 300)}


def skewed(size):
    return (np.arange(size) % 5 == 0).astype(int)


SURE, TRUST, CHANGE, FAILURE = (
    {"confidence": 0.95, "of_wrong": 0.5},
    *(getattr(verdict, name) for name in ("TRUST", "CHANGE", "FAILURE")),
)
FEW = "Too few to say"
CASES = {
    "trusted": (lambda: classes(4000), TRUST, "yes", "Yes", "confidence is right to within"),
    "too sure": (sharp, TRUST, "partly", "Partly", "but overconfident by 1. points"),
    "not sure enough": (
        lambda: classes(confidence=0.6), TRUST, "partly", "Partly", "but underconfident by"),
    "off in both directions": (
        lambda: classes(2000, 0.8, np.tile([0.6, 1 - 1e-9], 1000)),
        TRUST, "partly", "Partly", "off by .* points, in both directions"),
    "worse than one class": (
        lambda: classes(2000, 0.5, 0.6, labels=skewed(2000), num_classes=2),
        TRUST, "no", "No", "no better than always naming the most frequent class"),
    "too few to beat one class": (
        lambda: classes(20, 0.8, 0.8, labels=skewed(20), num_classes=2),
        TRUST, "few", FEW, "20 examples are too few to tell it from always naming"),
    "too few to judge confidence": (
        lambda: classes(30, 1.0, 0.9), TRUST, "few", FEW, "up to .* points, 30 examples cannot"),
    "trusted labels": (lambda: labelled(2000), TRUST, "yes", "Yes", "confidence is right"),
    "labels too sure": (
        lambda: labelled(right=0.8, confidence=0.99), TRUST, "partly", "Partly", "overconfident"),
    "labels no better": (
        lambda: labelled(right=0.6, confidence=0.6, often=0.05),
        TRUST, "no", "No", "no better than always giving each label its more frequent value"),
    "few labels": (lambda: labelled(8), TRUST, "few", FEW, "8 examples"),
    "trusted pixels": (
        lambda: pixels(200, side=8), TRUST, "yes", "Yes", "^Its classes overlap the truth by"),
    "pixels too sure": (
        lambda: pixels(right=0.8, confidence=0.99), TRUST, "partly", "Partly", "overconfident"),
    "pixels no better": (
        lambda: pixels(right=0.2, confidence=between(0.4, 0.6, (60, 6, 6))),
        TRUST, "no", "No", "no better than always"),
    "few images": (lambda: pixels(3), TRUST, "few", FEW, "3 examples|too few"),
    "trusted of two": (lambda: one_of_two(4000), TRUST, "yes", "Yes", "right to within"),
    "two too sure": (
        lambda: one_of_two(right=0.8, confidence=0.99), TRUST, "partly", "Partly", "overconf"),
    "two no better": (lambda: one_of_two(2000, 0.45), TRUST, "no", "No", "no better than always"),
    "few of two": (lambda: one_of_two(6), TRUST, "few", FEW, "6 examples are too few"),
    "trusted values": (values, TRUST, "yes", "Yes", "explains 9.% .*95% intervals hold 9.% of the"),
    "intervals too narrow": (lambda: values(stated=0.4), TRUST, "partly", "Partly", "too narrow"),
    "intervals too wide": (
        lambda: values(stated=4.0), TRUST, "partly", "Partly", "wider than needed: they hold 100%"),
    "values no better": (
        lambda: values(signal=0.3, target_offset=4.0),
        TRUST, "no", "No", "no better than the mean of the targets"),
    "few values": (lambda: values(6, signal=0.1), TRUST, "few", FEW, "6 examples are too few"),
    "few intervals": (
        lambda: values(60, stated=0.85),
        TRUST, "few", FEW, "60 examples cannot say whether its 95% intervals"),
    "better": (
        lambda: classes(right=0.8, confidence=0.8, plain=lambda y, a: told(a, 1 - 1e-6, 3)),
        CHANGE, "yes", "Better", "^It improves negative log-likelihood, .*"),
    "worse": (
        lambda: classes(confidence=0.5, plain=lambda y, a: told(a, 0.9, 3)),
        CHANGE, "no", "Worse", "^It worsens negative log-likelihood"),
    "better and worse": (
        lambda: classes(right=0.7, confidence=0.7, plain=mixed),
        CHANGE, "partly", "Mixed", "^It improves .* and worsens accuracy"),
    "unchanged": (classes, CHANGE, "few", "No clear change", "^No score changes by more than"),
    "too few to judge a change": (
        lambda: classes(4, 1.0, 0.8, plain=lambda y, a: told(a, 0.9, 3)),
        CHANGE, "few", "Too few to say|No clear change", "4 examples"),
    "values better": (lambda: values(plain=1.0), CHANGE, "yes", "Better", "root mean squared|CRPS"),
    "values worse": (
        lambda: values(plain=1.0, target_offset=1.0), CHANGE, "no", "Worse", "^It worsens"),
    "values unchanged": (values, CHANGE, "few", "No clear change", "No score changes"),
    "mistakes seen": (
        lambda: classes(**SURE), FAILURE, "yes", "Mistakes are seen",
        "a mistake is more uncertain than a right answer 100%"),
    "mistakes partly seen": (
        overlapping, FAILURE, "partly", "Partly seen", "more uncertain than a right answer 6|7"),
    "mistakes not seen": (
        lambda: classes(right=0.7), FAILURE, "no", "Mistakes are not seen",
        "uncertainty hardly tells mistakes from right answers"),
    "mistakes surer than the rest": (
        lambda: classes(right=0.7, confidence=between(0.5, 0.7), of_wrong=0.8), FAILURE, "no",
        "Mistakes are not seen", "a mistake is less uncertain than a right answer 100%"),
    "few mistakes": (
        lambda: classes(100, 0.97, between(0.5, 1, 100)), FAILURE, "few", FEW,
        "mistakes? cannot say whether"),
    "no mistake": (
        lambda: classes(60, 1.0), FAILURE, "few", "No mistake seen",
        "^Nowhere in these data; up to .*% mistakes are still possible"),
    "a class fails": (
        lambda: classes(right=np.tile([0.98, 0.2, 0.98], 200), **SURE), FAILURE, "partly",
        "Partly seen", "^Least often right on 1 "),
    "images fail": (
        lambda: pixels(confidence=between(0.8, 0.99, (60, 6, 6))),
        FAILURE, "no", "Mistakes are not", "hardly"),
    "labels fail": (
        lambda: labelled(confidence=between(0.8, 0.99, (400, 3))),
        FAILURE, "no", "Mistakes are not", "^No label is shown"),
    "large errors seen": (
        lambda: values(noise=unlike(), stated=unlike()), FAILURE, "yes",
        "Large errors are seen", "errors tend to be larger where it states more deviation"),
    "large errors weakly seen": (
        lambda: values(2000, noise=np.linspace(0.8, 1.6, 2000), stated=np.linspace(0.8, 1.6, 2000)),
        FAILURE, "partly", "Partly seen", "but only weakly"),
    "large errors not seen": (
        lambda: values(stated=between(0.5, 1.5)), FAILURE, "no", "Not seen", "hardly tells large"),
    "few errors": (
        lambda: values(20, stated=between(0.5, 1.5, 20)), FAILURE, "few", FEW, "20 targets cannot"),
    "other data noticed": (
        lambda: (classes(), foreign(0.34, 0.6)),
        verdict.NOTICE, "yes", "Yes", "higher on the other data 100%"),
    "other data partly noticed": (
        lambda: (overlapping(), foreign(0.4, 0.85)), verdict.NOTICE, "partly", "Partly", "higher"),
    "other data not noticed": (
        lambda: (overlapping(), foreign(0.5, 0.95)), verdict.NOTICE, "no", "No", "^Hardly: "),
    "few other data": (
        lambda: (overlapping(), foreign(0.4, 0.9, 4)), verdict.NOTICE, "few", FEW,
        "^4 other examples cannot tell"),
    "repaired": (
        lambda: (sharp(), tempered(sharp(), 3.0)), verdict.REPAIR, "yes", "Better",
        r"^It takes the expected calibration error from 1.*% to .*%\.$"),
    "made worse": (
        lambda: (sharp(), tempered(sharp(), 0.3)), verdict.REPAIR, "no", "Worse", "^It worsens"),
    "half repaired": (
        half_repaired, verdict.REPAIR, "partly", "Mixed", "^It takes .* and worsens accuracy"),
    "not repaired": (
        lambda: (sharp(), tempered(sharp(), 1.0)), verdict.REPAIR, "few", "No clear change",
        "^No score changes by more than chance in 900 examples"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_answer_says_what_the_data_allow(case):
    make, question, tone, word, sentence = CASES[case]
    made = make()
    evaluation, options = made if isinstance(made, tuple) else (made, {})
    found = next(each for each in build(evaluation, **options).answers if each.question == question)
    assert (found.tone, bool(re.match(word, found.word))) == (tone, True), found
    assert re.search(sentence, found.headline), found.headline
    assert found.headline.endswith(".")
    assert "nan" not in found.headline + "".join(fact.value + fact.detail for fact in found.facts)


def test_each_question_has_an_answer_of_each_tone():
    questions = (TRUST, CHANGE, FAILURE, verdict.NOTICE, verdict.REPAIR)
    tested = {(question, tone) for _, question, tone, *_ in CASES.values()}
    assert tested == {(q, t) for q in questions for t in ("yes", "partly", "no", "few")}


@cache
def rated(right, confidence, size=600, seed=0):
    labels = np.arange(size) % 3
    p = told(answers_of(labels, right, 3, seed), confidence, 3)
    prediction = mcdrop.from_samples(spread(p, 0.02, seed=seed), p, task="classification")
    return mcdrop.evaluate(prediction, labels, **OPTIONS)


@pytest.mark.parametrize(
    ("models", "tone", "word", "sentence"),
    [
        (
            lambda: {"good": rated(0.95, 0.95), "plain": told(np.zeros(600, int), 0.9, 3)},
            *("partly", "Not alone", r"cannot tell it from A \(good\)"),
        ),
        (
            lambda: {"same": rated(0.9, 0.9), "again": rated(0.9, 0.9)},
            *("few", FEW, "these data cannot tell the 4 forecasts apart"),
        ),
        (
            lambda: {"one": rated(0.9, 0.9), "other": rated(0.9, 0.9, 300)},
            *("few", "Not comparable", "scored on different targets, so they are not ranked"),
        ),
        (
            lambda: {
                "none": rated(0.5, 0.5),
                "best": told(np.arange(600) % 3, 0.95, 3),
            },
            *("yes", "Clear", r"^B \(best\) without MC dropout has the highest accuracy, clear of"),
        ),
    ],
)
def test_a_model_is_called_best_when_the_data_show_it(models, tone, word, sentence):
    found = next(
        each for each in build_comparison(models()).answers if each.question.startswith("Which is")
    )
    assert (found.tone, found.word) == (tone, word), found
    assert re.search(sentence, found.headline), found.headline


def test_the_page_shows_word_and_shape_of_each_answer():
    """Colour is not the only sign: each tone has a shape of its own."""
    shapes = {}
    for case in ("trusted", "mistakes not seen", "mistakes partly seen", "no mistake"):
        content = build(CASES[case][0]())
        page = pages.render(content, draw(content))
        row = r'<div class="answer (\w+)">.*?<svg class="shape"[^>]*>(.*?)</svg>\s*([^<]+)'
        rows = re.findall(row, page, re.DOTALL)
        assert [(tone, word) for tone, _, word in rows] == [
            (each.tone, each.word) for each in content.answers
        ]
        for tone, drawing, _ in rows:
            assert shapes.setdefault(tone, drawing) == drawing
    assert set(shapes) == {"yes", "partly", "no", "few"}
    assert len(set(shapes.values())) == 4


def test_a_gap_that_no_bin_shows_is_told_in_the_section_too():
    """Pixels of one image err together, so each bin's band of chance is wide."""
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 3, (40, 8, 8))
    right = np.clip(generator.normal(0.85, 0.1, (40, 1, 1)), 0, 1)
    evaluation = pixels(right=right, confidence=between(0.7, 0.8, labels.shape), labels=labels)
    content = build(evaluation)
    fault = re.search("underconfident by [0-9.]+ points", content.answers[0].headline)
    assert fault is not None
    said = content.findings["calibration"]
    assert fault[0] in said or said.startswith("Where it says")
    assert "agree" not in said


def test_sections_of_a_comparison_rank_only_what_was_compared():
    apart = build_comparison({"one": rated(0.9, 0.9), "other": rated(0.9, 0.9, 300)}).findings
    assert apart["metrics"] == "Scored on different targets, so the models are not ranked"
    assert not re.search("highest|smallest|first", " ".join(apart.values()))
    alike = build_comparison({"same": rated(0.9, 0.9), "again": rated(0.9, 0.9)}).findings
    assert alike["metrics"].endswith("clear of all others in none")
