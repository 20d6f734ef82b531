"""A small run of the simulation of coverage: benchmarks/coverage has the whole of it."""

from collections import defaultdict

import numpy as np
import pytest

from benchmarks.coverage import simulate, tally

WORLDS = ("smooth-over", "twopoint", "heavy", "ties")
LEAST = 0.93
REPLICAS = 12


@pytest.mark.parametrize("expected", [2.0, 10.0])
def test_printed_intervals_hold_what_they_promise_with_few_errors(expected):
    # Intervals of one score in all worlds count together: 48 of them, 4 standard errors.
    counted = tally.Tally()
    for replica in range(REPLICAS):
        simulate.of_classes(counted, replica, 200, expected, 100, worlds=WORLDS)
    hits = defaultdict(list)
    for (_, score, *_), found in counted.held.items():
        hits[score] += [held for defined, held in found if defined]
    assert {"accuracy", "error_detection_auroc", "area_under_risk_coverage"} <= set(hits)
    short = {
        score: np.mean(found)
        for score, found in hits.items()
        if found and np.mean(found) < LEAST - 4 * np.sqrt(LEAST * (1 - LEAST) / len(found))
    }
    assert not short


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
