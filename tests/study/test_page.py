"""The page and the sentences of a study, made from its numbers."""

import re

import numpy as np
import pandas as pd
import pytest

from mcdrop.study.answers import answer
from mcdrop.study.builtin import STUDIES
from mcdrop.study.page import render
from mcdrop.study.running import StudyResult

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


def sentence(study, **options):
    summary = result_of(study, **options).summary()
    return answer(summary, study.headline, study.references[study.headline])


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_every_setting_builds_and_has_a_reference(name):
    study = STUDIES[name]()
    assert set(study.references) == set(study.settings)
    assert set(study.references.values()) <= set(study.settings)
    assert study.headline in study.settings
    build = study.build((8, 8, 1), 10)
    for arguments in study.grid().values():
        assert build(**arguments).output_shape == (None, 10)


def test_the_network_without_dropout_is_the_same_network():
    study = STUDIES["rate"]()
    build, grid = study.build((8, 8, 1), 10), study.grid()
    shapes = [
        [weight.shape for weight in build(**grid[name]).get_weights()]
        for name in ("mlp, none", "mlp, rate 0.5")
    ]
    assert shapes[0] == shapes[1]


def test_a_clear_difference_is_told_with_its_direction():
    study = STUDIES["rate"]()
    assert "test accuracy rises" in sentence(study, shift=0.2)
    assert "test accuracy falls" in sentence(study, shift=-0.2)


def test_an_unclear_difference_is_called_so():
    text = sentence(STUDIES["rate"](), noise=0.3)
    assert "no clear difference" in text
    assert "rises" not in text
    assert "falls" not in text


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_draw_no_conclusion(seeds):
    text = sentence(STUDIES["rate"](), seeds=seeds, shift=0.5)
    assert "too few to tell" in text
    assert "rises" not in text


def test_the_page_is_whole_escaped_and_asks_for_nothing():
    study = STUDIES["rate"]()
    page = render(study, result_of(study), {"data": "<script>alert(1)</script>"}, "<b>mine</b>")
    assert "<script>" not in page
    assert "&lt;b&gt;mine" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert page.count("<svg") == 14
