"""Counting how often intervals hold the truth, and the table of it."""

import csv
from collections import defaultdict

import numpy as np

COLUMNS = (
    "kind",
    "score",
    "examples",
    "expected",
    "coverage",
    "worst_world",
    "worst_coverage",
    "given",
    "replicas",
)
FEWEST = 20
"""Intervals of a world that make a coverage of it."""


class Tally:
    """Hits and misses by kind, score, number of examples, expected number of the few, and world."""

    def __init__(self):
        self.held = defaultdict(list)

    def add(self, key, low, high, truth):
        """Counts one interval; `key` is (kind, score, examples, expected, world)."""
        defined = not np.isnan(low)
        slack = 1e-9 * max(1.0, abs(truth))
        self.held[key].append((defined, defined and low - slack <= truth <= high + slack))

    def rows(self):
        """Yields one row of COLUMNS for each cell, over all its worlds."""
        cells = defaultdict(dict)
        for (*cell, world), counted in self.held.items():
            cells[tuple(cell)][world] = np.array(counted)
        for cell, worlds in cells.items():
            counted = np.concatenate(list(worlds.values()))
            given = counted[:, 0].mean()
            held = {
                world: found[found[:, 0], 1].mean()
                for world, found in worlds.items()
                if found[:, 0].sum() >= FEWEST
            }
            worst = min(held, key=held.__getitem__, default="")
            least = f"{held[worst]:.3f}" if held else ""
            defined = counted[counted[:, 0], 1]
            coverage = f"{defined.mean():.3f}" if defined.size >= FEWEST else ""
            yield (*cell, coverage, worst, least, f"{given:.3f}", len(counted))


def write(path, rows):
    """Writes the rows as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def is_short(row, goal=0.93):
    """Returns whether a cell, or its worst world, is below the goal by two standard errors."""
    named = dict(zip(COLUMNS, row, strict=True))
    given = float(named["given"]) * int(named["replicas"])
    error = np.sqrt(goal * (1.0 - goal) / given) if given else np.inf
    return bool(named["coverage"]) and float(named["coverage"]) < goal - 2.0 * error


def to_markdown(rows, kind):
    """Returns a table: scores down, expected numbers across, one for each number of examples."""
    mine = [row for row in rows if row[0] == kind]
    parts = []
    for examples in dict.fromkeys(row[2] for row in mine):
        cells = {(row[1], row[3]): row[4] for row in mine if row[2] == examples}
        expected = sorted({at for _, at in cells})
        lines = [
            f"n = {examples}",
            "",
            "| score | " + " | ".join(f"{at:g}" for at in expected) + " |",
            "| --- |" + " ---: |" * len(expected),
        ]
        for score in dict.fromkeys(name for name, _ in cells):
            shown = [cells.get((score, at), "") for at in expected]
            lines.append(f"| {score} | " + " | ".join(found or "-" for found in shown) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
