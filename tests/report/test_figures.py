"""Figures as SVG: themed, self-contained, and the same every time."""

import re

import matplotlib as mpl
import pytest

from mcdrop.report.building import build
from mcdrop.report.drawing import draw

from .pages import Outline


@pytest.fixture(scope="module")
def drawn(classification, out_of_distribution):
    return draw(build(classification, out_of_distribution=out_of_distribution))


def test_every_layout_can_be_drawn(any_figures):
    assert "risk_coverage" in any_figures
    for name, figure in any_figures.items():
        assert figure.name == name
        assert Outline(figure.svg).stack == []


def test_a_figure_is_the_same_bytes_each_time(classification, out_of_distribution, drawn):
    again = draw(build(classification, out_of_distribution=out_of_distribution))
    assert set(again) == set(drawn)
    for name in again:
        assert again[name].svg == drawn[name].svg


def test_a_users_settings_do_not_change_a_figure(classification, drawn):
    content = build(classification)
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.linewidth": 9}):
        again = draw(content)["risk_coverage"]
    assert again.svg == drawn["risk_coverage"].svg


def test_drawing_leaves_the_users_settings_alone(classification):
    before = dict(mpl.rcParams)
    draw(build(classification))
    assert dict(mpl.rcParams) == before


def test_inline_figures_take_all_colours_from_the_theme(drawn):
    for figure in drawn.values():
        bare = re.sub(r"var\(--[a-z0-9]+, #[0-9a-f]{6}\)", "", figure.inline)
        assert not re.search(r"(fill|stroke): ?#", bare)


def test_inline_ids_are_unique_on_the_page(drawn):
    page = "".join(figure.inline for figure in drawn.values())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    targets = re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', page)
    assert set(targets) <= set(ids)


def test_figures_name_no_date_and_load_nothing(drawn):
    for figure in drawn.values():
        assert "<metadata" not in figure.svg
        assert "<dc:date" not in figure.svg
        assert not re.search(r'(?:href|src)="(?!#)', figure.svg)


def test_text_stays_text(drawn):
    assert ">Predictive entropy (nats)</text>" in drawn["separation_predictive_entropy"].svg


def test_figures_are_described(drawn):
    for figure in drawn.values():
        assert figure.alt
        assert 'role="img" aria-label="' in figure.inline


def test_the_plot_area_maps_data_to_the_drawing(drawn):
    figure = drawn["risk_coverage"]
    left, right, top, bottom = figure.plot_area
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure.svg).groups())
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    assert figure.limits[:2] == (0.0, 1.0)
    # The tick of 100% coverage lies at the right end of the axes.
    tick = re.search(r'id="xtick_6".*?<use[^>]* x="([\d.]+)"', figure.svg, re.DOTALL)
    assert float(tick.group(1)) == pytest.approx(right, abs=0.5)
