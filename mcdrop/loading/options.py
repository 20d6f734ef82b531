"""How data are read: what a user may say, with what is assumed where nothing is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ImageOptions:
    """How images are decoded.

    Attributes:
        channels: 1, 3 or 4.
        size: Height and width to which every image is brought; None keeps the size that all
            of them share.
    """

    channels: int = 3
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class TextOptions:
    """How a text table is written.

    Attributes:
        separator: Character between fields; None takes the only one of comma, semicolon, tab
            and vertical bar that fits.
        decimal: Character before the fraction of a number, "." or ",".
        encoding: Name of the encoding; None is UTF-8, or UTF-16 with a byte order mark.
    """

    separator: str | None = None
    decimal: str = "."
    encoding: str | None = None


@dataclass(frozen=True)
class DataOptions:
    """How to read a data source.

    Attributes:
        x_key: Name of the input array or column; several, separated by commas, for tables
            and for models with several inputs.
        y_key: Name of the label array or column; several columns for several targets.
        labels: An `.npy` file with the labels, for sources without them.
        is_labelled: Whether labels are needed; where not, the keys count in a source that has
            what they name.
        class_names: Names of the classes, in the order of the model's outputs.
        images: How image files are decoded; None as the model takes them, in their own size
            and colours when no model is known.
        text: How text tables are written.
    """

    x_key: str | None = None
    y_key: str | None = None
    labels: Path | None = None
    is_labelled: bool = True
    class_names: tuple[str, ...] | None = None
    images: ImageOptions | None = None
    text: TextOptions = field(default_factory=TextOptions)

    def x_names(self, known: Sequence[str]) -> tuple[str, ...]:
        """Returns the names in `x_key`, of the arrays or columns that a source has."""
        return self._names(self.x_key, known)

    def y_names(self, known: Sequence[str]) -> tuple[str, ...]:
        """Returns the names in `y_key`, of the arrays or columns that a source has."""
        return self._names(self.y_key, known)

    def _names(self, key: str | None, known: Sequence[str]) -> tuple[str, ...]:
        names = split_key(key, known)
        return names if self.is_labelled or set(names) <= set(known) else ()


def split_key(key: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Returns the names in a key: the key itself when it is one of the known, else its parts.

    Example:
        >>> split_key("a,b", ["a", "b"]), split_key("a,b", ["a,b"]), split_key(None, [])
        (('a', 'b'), ('a,b',), ())
    """
    if key is None:
        return ()
    if key in known:
        return (key,)
    return tuple(part if part in known else part.strip() for part in key.split(","))
