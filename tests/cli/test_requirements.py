"""A requirement holds when the end of an interval shows it, never because of the value alone."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

import mcdrop
from mcdrop.cli.requirements import check_names, judge, metrics_for, requirement
from mcdrop.errors import DataError

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def evaluation():
    generator = np.random.default_rng(0)
    passes = generator.dirichlet([8, 1, 1], size=(10, 200))
    y = np.array([generator.choice(3, p=row) for row in passes.mean(axis=0)])
    prediction = mcdrop.from_samples(passes, passes[0], task="classification")
    return mcdrop.evaluate(prediction, y, num_resamples=200)


@pytest.mark.parametrize("operator", ["<=", ">="])
def test_the_end_of_the_interval_decides(evaluation, operator):
    estimate = evaluation["accuracy"].monte_carlo
    end = estimate.high if operator == "<=" else estimate.low
    worse = -1e-9 if operator == "<=" else 1e-9
    (held,) = judge([requirement(f"accuracy{operator}{end!r}")], evaluation)
    (failed,) = judge([requirement(f"accuracy{operator}{end + worse!r}")], evaluation)
    assert (held.shown, failed.shown) == (True, False)
    assert held.tested == end
    assert "is shown to hold" in str(held)
    assert f"the {'upper' if operator == '<=' else 'lower'} end of the 95% interval" in str(failed)
    (value,) = judge([requirement(f"accuracy{operator}{estimate.value!r}")], evaluation)
    assert not value.shown


def test_what_has_no_interval_or_no_value_is_not_shown(evaluation):
    accuracy = evaluation["accuracy"]
    bare = replace(
        accuracy, monte_carlo=replace(accuracy.monte_carlo, low=np.nan, high=np.nan, reason="few")
    )
    without = replace(evaluation, comparisons=(bare,), omitted={"aurc": "no error"})
    outcomes = judge([requirement("accuracy>=0"), requirement("aurc<=1")], without)
    assert [outcome.shown for outcome in outcomes] == [False, False]
    assert [outcome.reason for outcome in outcomes] == ["few", "no error"]
    assert str(outcomes[0]) == "accuracy>=0 is not shown to hold: few."


@pytest.mark.parametrize(
    "text",
    [
        *("", "accuracy", "accuracy>0.9", "accuracy==1", "accuracy>=", ">=1", "accuracy>=nan"),
        *("accuracy>=inf", "accuracy>=0.9;x", "accuracy>=90%", "a b>=1", "accuracy=>0.9"),
    ],
)
def test_other_forms_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected"):
        requirement(text)


def test_misspelt_metrics_are_answered_with_what_was_meant():
    check_names([requirement("accuracy>=0"), requirement("crps<=1")])
    with pytest.raises(DataError, match=r"'acuracy' is no metric; did you mean accuracy\?"):
        check_names([requirement("acuracy>=0.9")])
    with pytest.raises(DataError, match="'crps' is no metric of the task classification"):
        check_names([requirement("crps<=1")], "classification")
    assert metrics_for([requirement("accuracy>=0")], "classification", "default") == "default"


def test_the_report_is_written_and_the_status_tells(run, shelf, tmp_path):
    arguments = ["report", shelf / "model.keras", shelf / "data.npz", "-o", "out", "--samples", 4]
    wanted = ["--require", "accuracy>=0.01", "--require", "accuracy>=0.999"]
    status, out, err = run(*arguments, *wanted)
    assert status == 3
    assert "Requirement accuracy>=0.01 is shown to hold" in out
    assert err.splitlines()[-1].startswith(
        "mcdrop: error: requirement accuracy>=0.999 is not shown"
    )
    found = json.loads((tmp_path / "out" / "report.json").read_text())["requirements"]
    assert [each["shown"] for each in found] == [True, False]
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count(" is shown to hold: the lower end") == 1
    assert page.count(" is not shown to hold: the lower end") == 1
    status, out, err = run(*arguments, "--force", *wanted[:2], "--json")
    assert status == 0, err
    assert json.loads(out)["requirements"][0]["metric"] == "accuracy"
