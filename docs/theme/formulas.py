"""MkDocs hook: formulas between dollar signs become MathML, drawn by the browser itself."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(span|div) class="arithmatex">(?:\\\(|\\\[)(.*?)(?:\\\)|\\\])</\1>', re.DOTALL
)


def on_page_content(content: str, **_: Any) -> str:
    """Returns the HTML of a page, its formulas drawn."""
    return FORMULA.sub(drawn, content)


def drawn(formula: re.Match[str]) -> str:
    """Returns one formula as MathML."""
    display = "inline" if formula[1] == "span" else "block"
    return convert(html.unescape(formula[2]).strip(), display=display)
