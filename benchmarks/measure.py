"""Timing several ways of the same work in one process, in turn, so that drift hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


def interleaved(
    ways: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    warm: int = 1,
) -> dict[str, float]:
    """Returns the median seconds of each way over `rounds`, after `warm` calls of each."""
    for work in ways.values():
        for _ in range(warm):
            work()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            start = clock()
            work()
            seconds[name].append(clock() - start)
    return {name: median(values) for name, values in seconds.items()}
