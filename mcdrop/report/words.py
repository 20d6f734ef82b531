"""Words that several sentences of a report share."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from math import isfinite

from mcdrop.evaluation import Evaluation
from mcdrop.evaluation.formatting import joined, percent
from mcdrop.evaluation.records import ComparedMetric, Estimate, MetricComparison
from mcdrop.report.content import RepairedMetric
from mcdrop.report.tables import cell

WORDS = {"yes": "Yes", "partly": "Partly", "no": "No", "few": "Too few to say"}
"""The word of each tone, where the question calls for no other."""

PROPER_NOUNS = ("Brier",)
_RIGHT_TO_LEFT = ("R", "AL", "AN")


def find(evaluation: Evaluation, name: str) -> MetricComparison | None:
    """Returns the record of a metric, or None when it was not computed."""
    for comparison in evaluation.comparisons:
        if comparison.name == name:
            return comparison
    return None


def isolated(name: str) -> str:
    r"""Returns a name that leaves the order of the sentence around it alone.

    Text that runs from right to left is put between Unicode's isolates; other text is as it was.

    Example:
        >>> isolated("cat"), isolated("\u05d7") == "\u2068\u05d7\u2069"
        ('cat', True)
    """
    if any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in name):
        return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"
    return name


def titles(metrics: Sequence[MetricComparison | RepairedMetric | ComparedMetric]) -> str:
    """Returns the titles of metrics within a sentence, the first two of many."""
    found = [lower(metric.title) for metric in metrics]
    return joined(found if len(found) <= 3 else [*found[:2], f"{len(found) - 2} more"])


def lower(title: str) -> str:
    """Returns a title within a sentence; acronyms and proper nouns stay as they are.

    Example:
        >>> lower("Accuracy"), lower("CRPS"), lower("Brier score")
        ('accuracy', 'CRPS', 'Brier score')
    """
    if title[:2].isupper() or title.startswith(PROPER_NOUNS):
        return title
    return title[:1].lower() + title[1:]


def share_text(estimate: Estimate) -> str:
    """Returns a share in percent, with the decimals that its interval supports.

    None and all of few are chance as likely as not, so these two are told with their interval.
    """
    found = cell(estimate, as_percent=True)
    is_end = estimate.value in (0.0, 1.0) and isfinite(estimate.low)
    return str(found) if is_end else found.value


def brief(value: float) -> str:
    """Returns a number with three significant digits, for a sentence.

    Example:
        >>> brief(29.335), brief(0.012345), brief(-123456.0)
        ('29.3', '0.0123', '−123000')
    """
    text = f"{value:.3g}"
    text = f"{float(text):.0f}" if "e+" in text and abs(value) < 1e7 else text
    return text.replace("-", "−")


def points(share: float) -> str:
    """Returns a share as percentage points.

    Example:
        >>> points(0.034), points(0.12)
        ('3.4 points', '12 points')
    """
    text = percent(share, 0 if share >= 0.0995 else 1).rstrip("%")
    return "1 point" if text == "1.0" else f"{text} points"
