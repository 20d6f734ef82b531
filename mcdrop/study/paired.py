"""What a study found: means over seeds, and differences between settings paired by seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcdrop.errors import DataError
from mcdrop.intervals import Interval, absent, student

MINIMUM_SEEDS = 3
"""Below this Student's interval is so wide, and rests so much on normality, that none is given."""


def over_seeds(values: pd.Series, confidence_level: float) -> tuple[float, Interval]:
    """Returns the mean over seeds with Student's interval.

    Example:
        >>> mean, interval = over_seeds(pd.Series([1.0, 2.0, 3.0]), 0.95)
        >>> mean, round(interval.low, 3), round(interval.high, 3)
        (2.0, -0.484, 4.484)
    """
    numbers = values.to_numpy(dtype=np.float64)
    if np.isnan(numbers).any():
        return float("nan"), absent("not measured for this setting")
    mean = float(numbers.mean())
    if numbers.size < MINIMUM_SEEDS:
        return mean, absent(f"it takes at least {MINIMUM_SEEDS} seeds")
    if np.ptp(numbers) == 0.0:
        return mean, absent("every seed gave the same value")
    return mean, student(numbers, confidence_level, minimum=MINIMUM_SEEDS)


def summarize(
    runs: pd.DataFrame, references: Mapping[str, str], *, confidence_level: float = 0.95
) -> pd.DataFrame:
    """Returns every score of every setting and its difference to its reference setting.

    Args:
        runs: One row a run and step, as `mcdrop.study.run` makes them; the last row of a run
            is what it came to.
        references: For each setting the one that it is set beside, as the networks of a study
            that trains several are set beside the one without dropout of their own kind.
        confidence_level: Level of the intervals, within (0, 1).

    Returns:
        One row a setting and score with the columns `setting`, `score`, `seeds`, `value`,
        `low`, `high`, `difference`, `difference_low`, `difference_high`, `reason`. Differences are
        taken seed by seed, so that initial weights and order of the data cancel. An interval
        that the seeds cannot carry is NaN, and `reason` says why.

    Raises:
        DataError: There is no such setting, or its seeds are others than those of a setting.
    """
    table = runs.groupby(["setting", "seed"], sort=False).tail(1)
    by_setting = {
        str(name): part.set_index("seed") for name, part in table.groupby("setting", sort=False)
    }
    scores = list(table.columns[4:])  # behind study, setting, seed and the step
    rows = []
    for name, part in by_setting.items():
        if references.get(name) not in by_setting:
            raise DataError(
                f"The reference of setting {name!r} is {references.get(name)!r}, expected one of "
                f"{', '.join(by_setting)}."
            )
        base = by_setting[references[name]]
        if set(part.index) != set(base.index):
            raise DataError(
                f"The setting {name!r} has the seeds {sorted(part.index)}, the reference "
                f"{sorted(base.index)}: differences are paired by seed. Resume the study first."
            )
        rows += [_row(name, score, part[score], base[score], confidence_level) for score in scores]
    return pd.DataFrame(rows)


def _row(
    setting: str, score: str, values: pd.Series, base: pd.Series, level: float
) -> dict[str, object]:
    value, interval = over_seeds(values, level)
    difference, apart = over_seeds(values - base, level)
    return {
        "setting": setting,
        "score": score,
        "seeds": len(values),
        "value": value,
        "low": interval.low,
        "high": interval.high,
        "difference": difference,
        "difference_low": apart.low,
        "difference_high": apart.high,
        "reason": apart.reason or interval.reason,
    }
