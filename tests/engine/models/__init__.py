"""Small models of every kind that the engine must handle, each with data to run it on."""

from . import custom, feedforward, sequences
from .cases import CASES, NUM_EXAMPLES, Case, numbers
from .sequences import TransformerBlock

__all__ = [
    "CASES",
    "NUM_EXAMPLES",
    "Case",
    "TransformerBlock",
    "custom",
    "feedforward",
    "numbers",
    "sequences",
]
