"""The report as JSON; docs/report-json.md describes every field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

import numpy as np

from mcdrop import __version__
from mcdrop.report.content import ComparisonContent, Content

FORMAT = "mcdrop.report"
COMPARISON_FORMAT = "mcdrop.comparison"
FORMAT_VERSION = 2
"""Raised when a field changes its meaning or goes away; new fields do not raise it.

2: intervals that hold with few data, absent ones with a reason; curves by forecast; tones.
1: the first.
"""


_END = "\n}\n"


def dump(content: Content) -> str:
    """Returns the JSON text of a report on one model."""
    return _text({"format": FORMAT, "version": FORMAT_VERSION, "mcdrop": __version__}, content)


def dump_comparison(content: ComparisonContent) -> str:
    """Returns the JSON text of a comparison of several models."""
    head = {"format": COMPARISON_FORMAT, "version": FORMAT_VERSION, "mcdrop": __version__}
    return _text(head, content)


def _text(head: dict[str, Any], content: Any) -> str:
    """Returns one line a top-level field: readable, comparable and a third of the indented size."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for name, value in (head | plain(content)).items()
    ]
    return "{\n" + ",\n".join(lines) + _END


def add_field(text: str, name: str, value: Any) -> str:
    """Returns the JSON text of a report with one more field at its end."""
    line = f"{json.dumps(name)}: {json.dumps(plain(value), ensure_ascii=False, allow_nan=False)}"
    return f"{text.removesuffix(_END)},\n{line}{_END}"


def plain(value: Any) -> Any:
    """Returns `value` as JSON-safe values: records as objects, what is not finite as null."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value):
        # Pictures belong to the page; here they would be most of the file.
        names = [field.name for field in fields(value) if field.name not in ("image", "maps")]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
