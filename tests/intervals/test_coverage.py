"""A small run of the simulation of coverage: benchmarks/coverage has the whole of it."""

from collections import defaultdict

import numpy as np
import pytest

from benchmarks.coverage import runs, tally
from benchmarks.coverage.simulate import KINDS, flattened

WORLDS = ("smooth-over", "twopoint", "heavy", "ties")
LEAST = 0.93
REPLICAS = 12


@pytest.mark.parametrize("expected", [2.0, 10.0])
def test_printed_intervals_hold_what_they_promise_with_few_errors(expected):
    # Intervals of one score in all worlds count together: 48 of them, 4 standard errors.
    kind, hits = KINDS["classes"], defaultdict(list)
    for world in WORLDS:
        truths = flattened(kind.truths(world, 200, expected))
        for replica in range(REPLICAS):
            for score, (low, high) in kind.ask(world, 200, expected, replica).items():
                if not np.isnan(low):
                    hits[score].append(low <= truths[score] <= high)
    assert {"accuracy", "error_detection_auroc", "area_under_risk_coverage"} <= set(hits)
    short = {
        score: np.mean(found)
        for score, found in hits.items()
        if np.mean(found) < LEAST - 4 * np.sqrt(LEAST * (1 - LEAST) / len(found))
    }
    assert not short


def test_a_simulation_goes_on_where_it_was_killed(tmp_path):
    cell = runs.Cell("seeds", 3, 0.0)
    runs.simulate([cell], tmp_path, 3, until=np.inf)
    whole = cell.path(tmp_path).read_text()
    cell.path(tmp_path).write_text(whole[:-20])
    runs.simulate([cell], tmp_path, 3, until=np.inf)
    assert cell.path(tmp_path).read_text() == whole
    assert len(list(runs.intervals(cell, tmp_path))) == 3 * len(KINDS["seeds"].worlds)
    runs.simulate([cell], tmp_path, 9, until=-np.inf)
    assert cell.path(tmp_path).read_text() == whole


def test_a_tally_counts_hits_of_the_intervals_that_are_there():
    counted = tally.Tally()
    for low in (0.0, 0.6, np.nan):
        for _ in range(20):
            counted.add(("kind", "score", 10, 1.0, f"world {low}"), low, 1.0, 0.5)
    (row,) = counted.rows()
    named = dict(zip(tally.COLUMNS, row, strict=True))
    assert named["coverage"] == "0.500"
    assert (named["worst_world"], named["worst_coverage"]) == ("world 0.6", "0.000")
    assert (named["given"], named["replicas"]) == ("0.667", 60)


def test_a_table_shows_a_score_beside_its_difference_and_the_worst_class():
    named = {"accuracy": "0.981", "difference of accuracy": "1.000"}
    named |= {"recall of class 0": "0.990", "recall of class 1": "0.951", "crps": ""}
    rows = [("classes", score, 50, 1.0, found) for score, found in named.items()]
    lines = tally.to_markdown(rows, "classes").splitlines()
    assert lines[-3:] == [
        "| accuracy | .98 / 1.00 |",
        "| recall of a class | .95 / - |",
        "| crps | - |",
    ]
