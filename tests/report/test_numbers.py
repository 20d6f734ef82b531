"""report.json: strict JSON, and every field in its documentation."""

import json
from pathlib import Path

import numpy as np
import pytest

from mcdrop.report import ReportContext
from mcdrop.report import numbers as report_numbers
from mcdrop.report.building import build
from mcdrop.report.comparison import build_comparison

DOCUMENT = Path(__file__).parents[2] / "docs" / "report-json.md"


def refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def strict(text):
    return json.loads(text, parse_constant=refuse)


SKIPPED = ("versions", "omitted", "measures", "findings", "warnings", "letters", "num_samples")
KEYED = ("calibration", "selective", "confidences", "estimates", "differences", "floors")
"""Fields that hold mappings whose keys are data: of plain values, and of records."""


def field_names(value):
    """Yields the name of every field, but for those of mappings whose keys are data."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            if (
                name in KEYED
                and isinstance(item, dict)
                and all(isinstance(each, dict | list) for each in item.values())
            ):
                for each in item.values():
                    yield from field_names(each) if isinstance(each, dict) else ()
            elif name not in SKIPPED:
                yield from field_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from field_names(item)


def test_every_layout_gives_strict_json(any_content):
    found = strict(report_numbers.dump(any_content))
    assert (found["format"], found["version"]) == ("mcdrop.report", 2)
    assert found["evaluation"]["num_examples"] == len(any_content.evaluation.prediction)


def undocumented(text):
    document = DOCUMENT.read_text(encoding="utf-8")
    return sorted(name for name in set(field_names(strict(text))) if f"`{name}`" not in document)


def test_every_field_of_a_report_is_documented(any_content):
    assert undocumented(report_numbers.dump(any_content)) == []


def test_every_further_field_is_documented(classification, out_of_distribution):
    texts = [
        report_numbers.dump(build(classification, out_of_distribution=out_of_distribution)),
        report_numbers.dump_comparison(
            build_comparison({"a": classification, "b": classification}, ReportContext())
        ),
    ]
    assert [undocumented(text) for text in texts] == [[], []]


def test_the_document_names_the_version(classification):
    assert f"version {report_numbers.FORMAT_VERSION}" in DOCUMENT.read_text(encoding="utf-8")


def test_pictures_stay_out(classification, images):
    text = report_numbers.dump(build(classification, x=images))
    assert "base64" not in text


def test_what_is_not_finite_is_null():
    values = {"a": np.array([1.0, np.nan]), "b": np.float64(np.inf), "c": np.int64(3), 4: (True,)}
    assert report_numbers.plain(values) == {"a": [1.0, None], "b": None, "c": 3, "4": [True]}


def test_numbers_agree_with_the_evaluation(classification):
    found = strict(report_numbers.dump(build(classification)))
    metrics = {metric["name"]: metric for metric in found["evaluation"]["metrics"]}
    expected = classification["accuracy"].monte_carlo.value
    assert metrics["accuracy"]["monte_carlo"]["value"] == expected
    curve = found["selective"]["MC dropout"]
    assert curve["value"][-1] == pytest.approx(expected)
    accuracy = metrics["accuracy"]["monte_carlo"]
    assert (curve["low"][-1], curve["high"][-1]) == (accuracy["low"], accuracy["high"])
    assert sum(found["calibration"]["MC dropout"]["count"]) == 300
