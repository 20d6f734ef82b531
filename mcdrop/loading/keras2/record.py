"""What a translation understood, and the error that says what it did not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field


class UntranslatableError(Exception):
    """Part of a model of Keras 2 has no counterpart in Keras 3; the text says which and why."""


class NotImportedError(UntranslatableError):
    """A custom object of the model was not registered with Keras 3."""


@dataclass
class Record:
    """The remarks of one translation, each counted as often as it was made.

    Attributes:
        version: The version of Keras that wrote the file.
        remarks: What was understood.
        cautions: Where the new model may compute something else than the old one.
    """

    version: str
    remarks: Counter[str] = field(default_factory=Counter)
    cautions: Counter[str] = field(default_factory=Counter)

    def is_older_than(self, major: int, minor: int) -> bool:
        """Whether the file comes from a version below `major`.`minor`."""
        numbers = [int(part) for part in re.findall(r"\d+", self.version)[:2]]
        return numbers < [major, minor]

    def caution(self, text: str) -> None:
        """Notes something that the user of the model has to know."""
        self.cautions[text] += 1

    def remark(self, text: str) -> None:
        """Notes something that the owner of the model may want to know."""
        self.remarks[text] += 1

    def lines(self) -> list[str]:
        """Returns the remarks in the order in which they were first made."""
        return [
            text if count == 1 else f"{text} ({count} times)"
            for text, count in (self.cautions + self.remarks).items()
        ]
