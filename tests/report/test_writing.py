"""The directory of a report: whole or not at all, and never over anything else."""

import json

import numpy as np
import pandas as pd
import pytest

from mcdrop.errors import DataError
from mcdrop.report import compare, drawing, write, writing
from mcdrop.report.writing import prediction_frame

FILES = ["_mcdrop-files.json", "figures", "index.html", "predictions.parquet", "report.json"]


@pytest.fixture
def undrawn(monkeypatch):
    """Leaves the figures out, which take most of the time and change no file name here."""
    monkeypatch.setattr(drawing, "draw", lambda content: {})


def names(folder):
    return sorted(item.name for item in folder.iterdir())


def test_a_report_is_a_page_its_numbers_its_table_and_its_figures(classification, images, tmp_path):
    page = write(classification, tmp_path / "report", x=images)
    assert page == tmp_path / "report" / "index.html"
    assert names(page.parent) == FILES
    assert names(tmp_path) == ["report"]
    assert "reliability.svg" in names(page.parent / "figures")
    json.loads((page.parent / "report.json").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("undrawn")
def test_an_existing_report_needs_force(classification, tmp_path):
    write(classification, tmp_path / "report")
    with pytest.raises(DataError, match=r"exists.*--force"):
        write(classification, tmp_path / "report")
    write(classification, tmp_path / "report", force=True)
    (tmp_path / "report" / "figures" / "mine.svg").write_text("mine")
    with pytest.raises(DataError, match=r"did not write \(figures/mine\.svg\)"):
        write(classification, tmp_path / "report", force=True)
    assert names(tmp_path / "report" / "figures") == ["mine.svg"]
    assert names(tmp_path) == ["report"]


@pytest.mark.usefixtures("undrawn")
def test_a_directory_of_something_else_is_never_replaced(classification, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for force, words in ((False, "exists"), (True, "files that mcdrop did not write")):
        with pytest.raises(DataError, match=words):
            write(classification, tmp_path, force=force)
    assert names(tmp_path) == ["thesis.tex"]


def test_a_file_in_the_way_is_an_error(classification, tmp_path):
    (tmp_path / "report").write_text("a file")
    with pytest.raises(DataError, match="is a file"):
        write(classification, tmp_path / "report", force=True)


@pytest.mark.usefixtures("undrawn")
def test_an_empty_directory_may_be_filled(classification, tmp_path):
    (tmp_path / "report").mkdir()
    write(classification, tmp_path / "report")
    assert names(tmp_path / "report") == FILES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": np.zeros((300, 64))}, r"`x` has shape \(300, 64\)"),
        ({"x": np.zeros((7, 8, 8))}, "7 images for 300 predictions"),
        ({"x": np.full((300, 8, 8), np.nan)}, "NaN or infinite"),
        ({"x": np.array([["a"]], dtype=object)}, "dtype object"),
        ({"class_names": ["one", "two"]}, "2 names, expected a sequence of 10"),
        ({"class_names": "abcdefghij"}, "the text 'abcdefghij'"),
    ],
)
def test_bad_arguments_leave_nothing_behind(classification, tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        write(classification, tmp_path / "report", **options)
    assert names(tmp_path) == []


def test_class_names_of_a_regression_are_refused(regression, tmp_path):
    with pytest.raises(DataError, match="has no classes"):
        write(regression, tmp_path / "report", class_names=["a"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_the_old_report(
    classification, tmp_path, monkeypatch, error, undrawn
):
    write(classification, tmp_path / "report")
    before = (tmp_path / "report" / "index.html").read_bytes()

    def fail(evaluation):
        raise error

    monkeypatch.setattr(writing, "prediction_frame", fail)
    with pytest.raises(error):
        write(classification, tmp_path / "report", force=True)
    assert names(tmp_path) == ["report"]
    assert (tmp_path / "report" / "index.html").read_bytes() == before


@pytest.mark.usefixtures("undrawn")
def test_a_link_to_a_report_is_followed(classification, tmp_path):
    write(classification, tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert write(classification, tmp_path / "link", force=True) == tmp_path / "real" / "index.html"


def test_the_table_holds_the_truth_and_one_row_an_example(any_evaluation):
    frame = prediction_frame(any_evaluation)
    assert len(frame) == len(any_evaluation.prediction)
    truth = any_evaluation.y_true
    if "label" in frame:
        np.testing.assert_array_equal(frame["label"], truth)
    elif "label_0" in frame:
        np.testing.assert_array_equal(frame["label_0"], truth[:, 0])
    else:
        assert frame["error"].between(0, 1).all()


@pytest.mark.usefixtures("undrawn")
def test_the_written_table_is_the_frame(classification, tmp_path):
    page = write(classification, tmp_path / "report")
    found = pd.read_parquet(page.parent / "predictions.parquet")
    pd.testing.assert_frame_equal(found, prediction_frame(classification))


def test_a_comparison_has_no_table(classification, tmp_path):
    page = compare({"a": classification, "b": classification}, tmp_path / "report")
    assert names(page.parent) == ["_mcdrop-files.json", "figures", "index.html", "report.json"]
    compare({"a": classification, "b": classification}, tmp_path / "report", force=True)
