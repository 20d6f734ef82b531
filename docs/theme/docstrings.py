"""Griffe extension: the docstrings' "Example:" is the section that Griffe calls "Examples:"."""

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Renames the section, so that its doctest is shown as code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Renames the section in one docstring."""
        if obj.docstring is not None:
            text = obj.docstring.value
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
