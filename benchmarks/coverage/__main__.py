"""Simulates the real coverage of what mcdrop prints, and goes on where it was: `make coverage`."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.coverage import runs, tally
from benchmarks.coverage.simulate import KINDS

EXPECTED = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
SIZES = (50, 200, 2000)
OF_KIND = {
    "dense": [(size, 0.0) for size in (5, 10, 30, 100)],
    "regression": [(size, 0.0) for size in (20, 50, 200)],
    "detection": [
        (300, float(out_of_distribution)) for out_of_distribution in (2, 3, 5, 10, 20, 100)
    ],
    "seeds": [(size, 0.0) for size in (3, 5, 10)],
}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--expected", nargs="+", type=float, default=list(EXPECTED))
    parser.add_argument("--replicas", type=int, default=100, help="data sets of each world")
    parser.add_argument("--minutes", type=float, default=600.0, help="time after which to stop")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", default="benchmarks/results/coverage", help="what grows")
    parser.add_argument("--output", default="benchmarks/results/coverage.csv")
    options = parser.parse_args()
    Path(options.folder).mkdir(parents=True, exist_ok=True)
    cells = [runs.Cell(kind, *cell) for kind in options.kinds for cell in _cells(kind, options)]
    until = time.monotonic() + 60.0 * options.minutes
    with ProcessPoolExecutor(options.processes) as pool:
        tasks = [
            pool.submit(_simulate, cells[first :: options.processes], options, until)
            for first in range(options.processes)
        ]
        for task in tasks:
            task.result()
    rows = list(_tallied(cells, options.folder).rows())
    tally.write(options.output, rows)
    for kind in options.kinds:
        print(f"\n## {kind}\n\n{tally.to_markdown(rows, kind)}")
    for row in filter(tally.is_short, rows):
        print("short:", *row)
    return 0


def _cells(kind, options):
    """Returns the number of examples and the expected number of the few of each cell."""
    if kind in OF_KIND:
        return OF_KIND[kind]
    return [(size, at) for size in options.sizes for at in options.expected if at <= 0.25 * size]


def _simulate(cells, options, until):
    with threadpool_limits(1):  # the other processes are the parallel part
        runs.simulate(cells, options.folder, options.replicas, until)


def _tallied(cells, folder):
    counted, truths = tally.Tally(), runs.Truths(folder)
    for cell in cells:
        known = {}
        for world, score, low, high in runs.intervals(cell, folder):
            if world not in known:
                known[world] = truths.find(cell, world)
            key = (cell.kind, score, cell.size, cell.expected, world)
            counted.add(key, low, high, known[world][score])
    return counted


if __name__ == "__main__":
    sys.exit(main())
