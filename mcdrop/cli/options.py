"""Options shared by commands, with their help; nothing here imports a heavy package."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

TASKS = ("classification", "binary", "multilabel", "regression", "gaussian")
GAUSSIAN_SCALES = ("log_variance", "variance", "standard_deviation")
SCALES = ("none", "unit", "symmetric")
CALIBRATORS = ("temperature", "vector", "beta", "isotonic", "variance")
METHODS = (*CALIBRATORS, "conformal", "conformal-by-class")

DEFAULT_SAMPLES = 50
"""Passes where no number is given, as in `MCDropout.predict`."""

MODEL = "MODEL"
DATA = "DATA"
FILE = "FILE"
FOLDER = "DIR"
"""Placeholders in the help, from which shell completion knows what to offer."""

DATA_HELP = (
    "an .npz, .npy, .parquet, .csv or .tsv file, a folder of images with one subfolder a class, or "
    "the name of a data set: digits, mnist, fashion_mnist, cifar10"
)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the example at the end of the help as it was typed."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def add(parser: Any, *flags: str, help: str, **settings: Any) -> None:
    """Adds an option whose help ends with its default, unless that is "none given"."""
    default = settings.get("default")
    shown = "" if default is None or "action" in settings else f" (default: {default})"
    parser.add_argument(*flags, help=f"{help}{shown}", **settings)


def names(text: str) -> tuple[str, ...]:
    """Returns the parts of a comma-separated list."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no comma-separated list of names")
    return parts


def splitting(text: str) -> tuple[int, ...] | str:
    """Returns counts of draws such as 7,16, or "auto"."""
    if text.strip() == "auto":
        return "auto"
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no splitting, expected 7,16 or auto")
    return tuple(int(part) for part in parts)


def image_size(text: str) -> tuple[int, int]:
    """Returns (height, width) of a text such as 224x224."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or "0" in match.groups():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size, expected HEIGHTxWIDTH as in 224x224"
        )
    return int(match[1]), int(match[2])


def separator(text: str) -> str:
    """Returns a single character, the tab by its name."""
    character = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(character) != 1 or character in '\r\n"':
        raise argparse.ArgumentTypeError(f"{text!r} is no separator, expected one character")
    return character


def at_least(minimum: int) -> Callable[[str], int]:
    """Returns a converter to whole numbers of at least `minimum`."""

    def whole_number(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f"{value} is too small, expected at least {minimum}")
        return value

    whole_number.__name__ = "whole number"
    return whole_number


def share(text: str) -> float:
    """Returns a number between 0 and 1, both excluded."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is out of range, expected between 0 and 1")
    return value


def positive(text: str) -> float:
    """Returns a number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is too small, expected a number above 0")
    return value


def not_negative(text: str) -> float:
    """Returns a finite number of at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is out of range, expected a number from 0 on")
    return value


def add_verbosity(parser: Any) -> None:
    """Adds --quiet and --verbose."""
    group = parser.add_argument_group("messages")
    either = group.add_mutually_exclusive_group()
    add(either, "-q", "--quiet", action="store_true", help="print nothing but errors and --json")
    add(
        either,
        "-v",
        "--verbose",
        action="store_true",
        help="show TensorFlow's messages, and the traceback of an error",
    )


def add_json(parser: Any) -> None:
    """Adds --json."""
    add(parser, "--json", action="store_true", help="print the result as JSON on standard output")


def add_import(parser: Any) -> None:
    """Adds --import."""
    add(
        parser,
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="module or .py file to run first, such as one that registers custom layers; may be "
        "repeated",
    )


def add_output(parser: Any, metavar: str, what: str, default: Path | None = None) -> None:
    """Adds --output and --force."""
    add(
        parser,
        "-o",
        "--output",
        metavar=metavar,
        type=Path,
        default=default,
        required=default is None,
        help=what,
    )
    add(parser, "--force", action="store_true", help="replace an output that exists")


def add_data(parser: Any) -> None:
    """Adds the options that say how to read the data."""
    group = parser.add_argument_group("data")
    add(
        group,
        "--x-key",
        metavar="NAME",
        help="array or column with the inputs; several, separated by commas, for several columns "
        "or a model with several inputs (without it: x_test, x or images)",
    )
    add(
        group,
        "--y-key",
        metavar="NAME",
        help="array or column with the labels; several columns, separated by commas, for several "
        "targets (without it: y_test, y, labels, ...)",
    )
    add(group, "--labels", metavar=FILE, type=Path, help=".npy file with the labels")
    add(
        group,
        "--drop-missing",
        action="store_true",
        help="leave out the examples whose label is missing, which otherwise is an error",
    )
    add(
        group,
        "--scale",
        choices=SCALES,
        default="none",
        help="pixels as they are, divided by 255, or mapped to [-1, 1]",
    )
    add(
        group,
        "--image-size",
        metavar="HxW",
        type=image_size,
        help="resize images as keras.utils.image_dataset_from_directory does (without it: to the "
        "size that the model takes)",
    )
    add(
        group,
        "--separator",
        metavar="CHAR",
        type=separator,
        help="character between the fields of a text table, or 'tab' (without it: the only one "
        "of comma, semicolon, tab and | that fits)",
    )
    add(
        group,
        "--decimal",
        metavar="CHAR",
        choices=(".", ","),
        default=".",
        help="character before the fraction of a number in a text table, . or ,",
    )
    add(
        group,
        "--encoding",
        metavar="NAME",
        help="encoding of a text table, such as cp1252 (without it: UTF-8)",
    )
    add(
        group,
        "--limit",
        metavar="N",
        type=at_least(1),
        help="use only N of the examples, drawn at random but always the same",
    )


def add_metrics(parser: Any) -> None:
    """Adds --metrics."""
    add(
        parser,
        "--metrics",
        choices=("default", "all"),
        default="default",
        help="the scores to compute: the main ones, or every one there is, which takes longer",
    )


def add_class_names(parser: Any) -> None:
    """Adds --class-names."""
    add(
        parser,
        "--class-names",
        metavar="A,B,...",
        type=names,
        help="names of the classes in the order of the model's outputs, or the name of a text file "
        "with one on each line; labels that are names are matched with them",
    )


def add_selection(parser: Any) -> Any:
    """Adds the options that say what samples."""
    group = parser.add_argument_group("sampling")
    add(
        group,
        "--layers",
        metavar="A,B,...",
        type=names,
        help="kinds, names or paths of the layers that sample (without it: every kind of dropout; "
        "'mcdrop inspect' lists them)",
    )
    add(
        group,
        "--masks",
        choices=("independent", "shared"),
        default="independent",
        help="own masks for each example, or one mask a pass for all of them",
    )
    add(
        group,
        "--balanced",
        action="store_true",
        help="balance the masks over the passes: the Monte Carlo error of the mean is smaller, "
        "typically 0.5 to 0.8 of what it is without",
    )
    add(
        group,
        "--task",
        choices=TASKS,
        help="what the outputs mean (without it: read from the model's own configuration)",
    )
    add(
        group,
        "--gaussian-scale",
        choices=GAUSSIAN_SCALES,
        help="what a model of task 'gaussian' puts out beside its mean (without it: a linear "
        "output is a log-variance, any other is asked about)",
    )
    add(
        group,
        "--model-output",
        metavar="NAME",
        help="the output to use of a model that has several",
    )
    add(
        group,
        "--compute-dtype",
        choices=("bfloat16",),
        help="compute the passes in half precision, the statistics in float32: faster on CPUs "
        "with AMX",
    )
    return group


def add_passes(parser: Any, seed_of: str = "the masks") -> None:
    """Adds --samples and --seed."""
    without = f"without it {DEFAULT_SAMPLES}"  # no default: --splitting sets it too
    add(parser, "--samples", metavar="T", type=int, help=f"stochastic passes, from 2 up; {without}")
    add(parser, "--seed", metavar="N", type=int, default=0, help=f"seed of {seed_of}")


def add_sampling(parser: Any) -> None:
    """Adds the options that say what samples and how often."""
    group = add_selection(parser)
    add_passes(group)
    add(
        group,
        "--splitting",
        metavar="A,B",
        type=splitting,
        help="passes that share their early masks: each of A draws of all masks but the last "
        "layer's is followed by B of the last layer's; one number for each layer, or auto, which "
        "reaches the error of --samples ordinary passes in less time",
    )
    add(
        group,
        "--batch-size",
        metavar="N",
        type=at_least(1),
        help="examples computed at once (without it: sized by memory)",
    )
    add(
        group,
        "--tolerance",
        metavar="E",
        type=positive,
        help="stop sampling an example once the standard error of its mean is below E",
    )


def add_nonfinite(parser: Any) -> None:
    """Adds --on-nonfinite."""
    add(
        parser,
        "--on-nonfinite",
        choices=("raise", "drop"),
        default="raise",
        help="what becomes of an example for which the model puts out NaN or infinity: an error, "
        "or an example of which nothing is said: its row is marked, scores are those of the others",
    )
