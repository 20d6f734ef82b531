"""Small HTML for notebooks: inline styles only, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_CELL = "padding:.2em .8em .2em 0;text-align:left;border-bottom:1px solid #8884;font-weight:inherit"


def table(caption: str, lines: Sequence[Sequence[str]], remarks: Sequence[str] = ()) -> str:
    """Returns a table, its first line the heading, with a caption above and remarks below.

    Example:
        >>> print(table("a < b", [("name",), ("x",)]).count("&lt;"))
        1
    """
    head, *body = lines
    rows = [_row("th", head), *(_row("td", line) for line in body)]
    below = "".join(f'<p style="margin:.3em 0">{escape(remark)}</p>' for remark in remarks)
    return (
        '<div style="font-size:.9em;overflow-x:auto">'
        f'<table style="border-collapse:collapse"><caption style="text-align:left">'
        f"{escape(caption)}</caption>{''.join(rows)}</table>{below}</div>"
    )


def _row(kind: str, cells: Sequence[str]) -> str:
    filled = [f'<{kind} style="{_CELL}">{escape(cell)}</{kind}>' for cell in cells]
    return f"<tr>{''.join(filled)}</tr>"
