"""A folder of simulated intervals that grows: one file a cell, a replica appended at a time.

A run that was stopped, or killed in the middle of a line, goes on where it was. True values are
kept beside the cells, since some take seconds. After a change of a world, start a new folder.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.coverage.simulate import KINDS, flattened

END = "\n\n"
"""End of a replica."""


@dataclass(frozen=True)
class Cell:
    """Data sets of one kind and size.

    Attributes:
        kind: One of `KINDS`.
        size: Number of examples; of images; of known examples; of seeds.
        expected: Expected number of the few: errors, or out-of-distribution examples.
    """

    kind: str
    size: int
    expected: float

    def path(self, folder):
        """Returns the file of the cell's intervals."""
        return Path(folder) / f"{self.kind}-{self.size}-{self.expected:g}.csv"

    def read(self, folder):
        """Returns the whole replicas of the file."""
        path = self.path(folder)
        return path.read_text().rpartition(END)[0].split(END) if path.exists() else []

    def simulate(self, replica):
        """Returns one replica: a data set of each world, as lines world,score,low,high."""
        kind = KINDS[self.kind]
        lines = [
            f"{world},{score},{low:.9g},{high:.9g}"
            for world in kind.worlds
            for score, (low, high) in kind.ask(world, self.size, self.expected, replica).items()
        ]
        return "\n".join(lines) + END


def simulate(cells, folder, replicas, until):
    """Simulates the cells, those of the fewest data sets first, until they are done or it is time.

    Args:
        cells: Cells that no other process writes.
        folder: Folder of the files, which exists.
        replicas: Data sets of each world to reach.
        until: Time of `time.monotonic` after which no replica begins.
    """
    done = {}
    for cell in cells:
        whole = [replica for replica in cell.read(folder) if replica]
        done[cell] = len(whole)
        if whole:  # what a killed process wrote of another is cut off
            cell.path(folder).write_text(END.join(whole) + END)

    def data_sets(cell):
        return done[cell] * len(KINDS[cell.kind].worlds)

    while time.monotonic() < until:
        left = [cell for cell in cells if done[cell] < replicas]
        if not left:
            return
        cell = min(left, key=data_sets)
        lines = cell.simulate(done[cell])
        with cell.path(folder).open("a", encoding="utf-8") as file:
            file.write(lines)
        done[cell] += 1


def intervals(cell, folder):
    """Yields (world, score, low, high) of every interval of a cell."""
    for replica in cell.read(folder):
        for world, score, low, high in csv.reader(replica.splitlines()):
            yield world, score, float(low), float(high)


class Truths:
    """True values by cell, world and score, computed once for a folder."""

    def __init__(self, folder):
        self._path = Path(folder) / "truths.csv"
        self._known = {}
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                for *key, first, second in csv.reader(file):
                    self._known[tuple(key)] = float(first), float(second)

    def find(self, cell, world):
        """Returns the true values of a world by the names of what is printed."""
        key = cell.kind, str(cell.size), f"{cell.expected:g}", world
        known = {name: both for (*mine, name), both in self._known.items() if tuple(mine) == key}
        if not known:
            known = KINDS[cell.kind].truths(world, cell.size, cell.expected)
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows((*key, name, *both) for name, both in known.items())
        return flattened(known)
