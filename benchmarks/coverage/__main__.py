"""Simulates the real coverage of what mcdrop prints: `make coverage`."""

import argparse
import sys
import time

from benchmarks.coverage import simulate, tally

EXPECTED = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
SIZES = (50, 200, 2000)
LARGE = 1000
"""Examples from which a data set is drawn for every fourth replica only, as it takes long."""
KINDS = ("classes", "class-wise", "dense", "regression", "detection")


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--expected", nargs="+", type=float, default=list(EXPECTED))
    parser.add_argument("--replicas", type=int, default=100, help="data sets of each world")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--output", default="coverage.csv")
    options = parser.parse_args()
    counted, began = tally.Tally(), time.monotonic()
    cells = [(kind, arguments) for kind in options.kinds for arguments in _cells(kind, options)]
    for replica in range(options.replicas):
        for kind, arguments in cells:
            if arguments[0] >= LARGE and replica % 4:
                continue
            _FUNCTIONS[kind](counted, replica, *arguments)
        passed = time.monotonic() - began
        print(f"{replica + 1} replicas in {passed:.0f} s", file=sys.stderr, flush=True)
        tally.write(options.output, counted.rows())
    rows = list(counted.rows())
    for kind in options.kinds:
        print(f"\n## {kind}\n\n{tally.to_markdown(rows, kind)}")
    return 0


_FUNCTIONS = {
    "classes": simulate.of_classes,
    "class-wise": simulate.of_class_shares,
    "dense": simulate.of_dense,
    "regression": simulate.of_regression,
    "detection": simulate.of_detection,
}


def _cells(kind, options):
    """Returns the arguments of each cell of a kind."""
    resamples = options.resamples
    if kind == "dense":
        return [(size, resamples) for size in (5, 10, 30, 100)]
    if kind == "regression":
        return [(size, resamples) for size in (20, 50, 200)]
    if kind == "detection":
        return [(foreign,) for foreign in (2, 3, 5, 10, 20, 100)]
    cells = [(size, at) for size in options.sizes for at in options.expected if at <= 0.25 * size]
    more = () if kind == "class-wise" else (resamples,)
    return [(*cell, *more) for cell in cells]


if __name__ == "__main__":
    sys.exit(main())
