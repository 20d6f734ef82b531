"""The page: self-contained, escaped, small, and complete."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

import mcdrop
from mcdrop.report import ReportContext, pages
from mcdrop.report.building import build
from mcdrop.report.drawing import draw

from .pages import ATTACK, Outline


def page_of(evaluation, **options):
    content = build(evaluation, **options)
    return pages.render(content, draw(content))


@pytest.fixture(scope="module")
def page(classification, images, out_of_distribution):
    layers = [
        SimpleNamespace(path="drop", kind="dropout", rate=0.3, selected=True, reason="default"),
        SimpleNamespace(path="noise", kind="noise", rate=None, selected=False, reason="opt-in"),
    ]
    context = ReportContext(
        model_name="model.keras",
        data_name="digits",
        command="mcdrop report model.keras digits",
        seed=7,
        versions={"numpy": "2.0"},
        layers=layers,
        share_run_once=0.25,
        seconds=3.0,
    )
    return page_of(
        classification, x=images, out_of_distribution=out_of_distribution, context=context
    )


def test_every_layout_renders_to_well_formed_html(any_page):
    outline = Outline(any_page)
    assert outline.stack == []
    assert len(outline.ids) == len(set(outline.ids))


def test_every_section_in_the_list_is_on_the_page(any_page):
    outline = Outline(any_page)
    targets = {link[1:] for link in outline.links if link.startswith("#")}
    assert targets <= set(outline.ids)


def test_nothing_undefined_reaches_the_page(any_page):
    text = re.sub(r"<(style|script).*?</\1>", "", any_page, flags=re.DOTALL)
    words = re.sub(r"<[^>]+>", " ", text)
    assert not re.search(r"\b(nan|None|inf|Undefined)\b", words)


def test_the_page_loads_nothing(page):
    for link in Outline(page).links:
        assert link.startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#|&#34;data:)", page)


def test_the_policy_admits_the_pages_own_script_only(page):
    policy = next(
        found["content"]
        for tag, found in Outline(page).tags
        if found.get("http-equiv") == "Content-Security-Policy"
    )
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL).group(1)
    assert "default-src 'none'" in policy
    assert f"script-src '{pages._hash(script)}'" in policy


def test_names_from_strangers_stay_text(classification, images):
    layer = SimpleNamespace(path=ATTACK, kind=ATTACK, rate=0.1, selected=True, reason=ATTACK)
    context = ReportContext(
        title=ATTACK,
        model_name=ATTACK,
        data_name=ATTACK,
        command=ATTACK,
        versions={ATTACK: ATTACK},
        layers=[layer],
    )
    names = [f"{ATTACK}{number}" for number in range(10)]
    found = page_of(classification, x=images, class_names=names, context=context)
    outline = Outline(found)
    assert outline.stack == []
    assert [tag for tag, _ in outline.tags].count("script") == 3
    assert not any("onerror" in attributes for _, attributes in outline.tags)
    assert "alert(1)</script>" not in found
    assert "{{7*7}}" in found  # shown as it is, not evaluated
    assert ">49<" not in found


def test_every_image_has_a_text(page):
    images = [found for tag, found in Outline(page).tags if tag == "img"]
    assert images
    assert all(found["alt"] for found in images)


def test_every_table_heading_names_its_direction(page):
    heads = [found for tag, found in Outline(page).tags if tag == "th"]
    assert heads
    assert all("scope" in found for found in heads)


@pytest.mark.parametrize(
    "text",
    [
        "mcdrop report model.keras digits",
        "Seed of the masks",
        "25% of the model's work",
        "How to read.",
        "Does it notice other data?",
        "What is taken for what",
        "Most confident mistakes",
        "20 passes: ",
    ],
)
def test_the_page_says(page, text):
    assert text in page


def test_intervals_stand_beside_every_metric(page, classification):
    table = re.search(r'<table class="metrics">.*?</table>', page, re.DOTALL).group()
    assert table.count("<tr>") == len(classification.comparisons) + 1
    for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)[1:]:
        assert re.search(r"<small>\[[^\]]+\]</small>", row)


def test_a_report_on_ten_thousand_colour_images_stays_below_two_megabytes():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(10, 0.3), (4, 10_000))
    prediction = mcdrop.from_samples(
        probabilities, probabilities.mean(axis=0), task="classification"
    )
    labels = generator.integers(0, 10, 10_000)
    evaluation = mcdrop.evaluate(prediction, labels, metrics=["accuracy"], num_resamples=100)
    # Noise is the worst case for PNG; large images are reduced to thumbnails.
    images = np.broadcast_to(
        generator.integers(0, 256, (1, 96, 96, 3), dtype=np.uint8), (10_000, 96, 96, 3)
    )
    assert len(page_of(evaluation, x=images).encode()) < 2_000_000


def test_pages_are_the_same_bytes_each_time(classification, images):
    assert page_of(classification, x=images) == page_of(classification, x=images)


def test_a_report_without_context_has_a_heading(classification):
    assert "<h1><bdi>Uncertainty report</bdi></h1>" in page_of(classification)
