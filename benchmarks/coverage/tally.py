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
DIFFERENCE = "difference of "
"""What the name of a score begins with where the interval is of the difference of two models."""

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
    """Returns tables: scores down, numbers across, of the few or, where those are one, of all.

    A cell is the coverage of the score and, behind a slash, of its difference; of the scores of
    single classes it is that of the class that is covered least.
    """
    mine = [row for row in rows if row[0] == kind]
    if len({row[3] for row in mine}) == 1:
        return _table("examples", _cells((row[1], row[2], row[4]) for row in mine))
    return "\n\n".join(
        f"n = {examples}\n\n"
        + _table("expected", _cells((r[1], r[3], r[4]) for r in mine if r[2] == examples))
        for examples in dict.fromkeys(row[2] for row in mine)
    )


def _table(title, cells):
    numbers = sorted({at for _, at in cells})
    lines = [
        f"| {title} | " + " | ".join(f"{at:g}" for at in numbers) + " |",
        "| --- |" + " ---: |" * len(numbers),
    ]
    for score in dict.fromkeys(name for name, _ in cells):
        shown = [_shown(cells.get((score, at), {})) for at in numbers]
        lines.append(f"| {score} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _cells(rows):
    """Returns by score and number the least coverage of the score and of its difference."""
    cells = defaultdict(dict)
    for score, number, coverage in rows:
        name, is_of_class, _ = score.partition(" of class ")
        part = name.removeprefix(DIFFERENCE)
        cell = cells[f"{part} of a class" if is_of_class else part, number]
        if coverage:
            key = part != name
            cell[key] = min(float(coverage), cell.get(key, 1.0))
    return cells


def _shown(cell):
    values = [f"{cell[key]:.2f}".removeprefix("0") if key in cell else "-" for key in (False, True)]
    return "-" if values == ["-", "-"] else " / ".join(values)
