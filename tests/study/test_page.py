"""The page and the sentences of a study, made from its numbers."""

import importlib
import re

import numpy as np
import pandas as pd
import pytest

from mcdrop.study import networks
from mcdrop.study.answers import answer
from mcdrop.study.catalog import STUDIES, plan_study
from mcdrop.study.page import render
from mcdrop.study.plan import Request
from mcdrop.study.running import StudyResult

TRAINED = ("rate", "placement", "kind")
SCORES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "gap")


def result_of(study, *, seeds=4, shift=0.0, noise=0.01):
    """Runs as if `headline` changed every score by `shift`."""
    generator = np.random.default_rng(0)
    rows = []
    for setting in study.settings:
        for seed in range(seeds):
            for epoch in (1, 2):
                moved = shift * (setting == study.headline)
                row = {name: 0.5 + moved + noise * generator.normal() for name in SCORES}
                rows.append(
                    {"study": study.name, "setting": setting, "seed": seed, "epoch": epoch, **row}
                )
    return StudyResult(study.name, pd.DataFrame(rows), study.references)


def planned(name):
    return plan_study(name, Request("digits", seeds=4, epochs=2, num_samples=4))


@pytest.fixture(scope="module")
def rate():
    return planned("rate")


def sentence(study, **options):
    return answer(study, result_of(study, **options).summary(), study.headline)


def test_what_rounding_leaves_has_no_sign_and_no_direction(rate):
    said = sentence(rate, shift=-1e-9, noise=0.0)  # shift of a few last bits
    runs = result_of(rate, shift=-1e-9, noise=1e-12)
    page = render(rate, runs, {}, "digits")
    for text in (said, sentence(rate, shift=-1e-9, noise=1e-12), page):
        assert not re.search(r"[-+]0\.0+\b(?!\.)", text)
    assert "falls" not in sentence(rate, shift=-1e-9, noise=1e-12)
    assert "falls" in sentence(rate, shift=-1e-2, noise=1e-12)


def test_every_study_has_its_module_and_asks_its_question():
    assert set(TRAINED) <= set(STUDIES)
    for name, question in STUDIES.items():
        assert question.endswith("?")
        assert importlib.import_module(f"mcdrop.study.{name.replace('-', '_')}").plan


@pytest.mark.parametrize("name", TRAINED)
def test_every_setting_builds_and_has_a_reference(name):
    study = planned(name)
    assert study.question == STUDIES[study.name]
    assert set(study.references) == set(study.settings)
    assert set(study.references.values()) <= set(study.settings)
    assert study.headline in study.settings
    assert {job.settings[0] for job in study.jobs} == set(study.settings)
    assert {seed for job in study.jobs for seed in job.seeds} == set(range(4))


def test_the_network_without_dropout_is_the_same_network():
    shapes = [
        [weight.shape for weight in networks.mlp((8, 8, 1), 10, rates=rates).get_weights()]
        for rates in ((0.0, 0.0), (0.5, 0.5))
    ]
    assert shapes[0] == shapes[1]


def test_a_clear_difference_is_told_with_its_direction(rate):
    assert "test accuracy rises" in sentence(rate, shift=0.2)
    assert "test accuracy falls" in sentence(rate, shift=-0.2)


def test_an_unclear_difference_is_called_so(rate):
    text = sentence(rate, noise=0.3)
    assert "no clear difference" in text
    assert "rises" not in text
    assert "falls" not in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_draw_no_conclusion(seeds, rate):
    text = sentence(rate, seeds=seeds, shift=0.5)
    assert "too few to tell" in text
    assert "rises" not in text


def test_the_page_is_whole_escaped_and_asks_for_nothing(rate):
    page = render(rate, result_of(rate), {"data": "<script>alert(1)</script>"}, "<b>mine</b>")
    assert "<script>" not in page
    assert "&lt;b&gt;mine" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert page.count("<svg") == 21
