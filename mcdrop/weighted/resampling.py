"""Weights of the Bayesian bootstrap, with one pseudo-example in every resample.

Each example weighs Exp(1), so that no example is ever left out, and one pseudo-example drawn
at random from a few weighs as much again. With it an interval keeps a width where all
examples agree: for a share, a pseudo-example of either outcome gives just the limits of
Clopper and Pearson.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcdrop._checks import check_count, check_seed

Array = NDArray[np.float64]

NUM_PSEUDO = 64
"""Pseudo-examples among which each resample draws one; as many stand for the model's odds."""

BLOCK_ELEMENTS = 2**21
"""Weights drawn at once: 16 MiB of float64, whatever the number of resamples."""


@dataclass(frozen=True, eq=False)
class WeightBlock:
    """Some rows of the weights, as they are drawn: not scaled.

    Attributes:
        examples: Exp(1) weights of the examples, shape (rows, n).
        pseudo: Exp(1) weight of the pseudo-example of each row, shape (rows,).
        column: Which pseudo-example a row draws, shape (rows,), within [0, num_pseudo).
        half: Gamma(1/2) weight of an atom of half an example, shape (rows,).
        num_pseudo: Number of pseudo-examples to draw from.
    """

    examples: Array
    pseudo: Array
    column: NDArray[np.intp]
    half: Array
    num_pseudo: int

    def extended(self) -> Array:
        """Returns weights of examples and pseudo-examples, shape (rows, n + num_pseudo).

        Of the last `num_pseudo` columns one is above 0 in each row; rows sum to n, so that
        statistics that count examples see as many as there are.
        """
        rows, count = self.examples.shape
        weights = np.zeros((rows, count + self.num_pseudo))
        scale = count / (self.examples.sum(axis=1) + self.pseudo)
        np.multiply(self.examples, scale[:, np.newaxis], out=weights[:, :count])
        weights[np.arange(rows), count + self.column] = self.pseudo * scale
        return weights


def draw_weights(
    num_examples: int, num_resamples: int, *, seed: int, num_pseudo: int = NUM_PSEUDO
) -> Iterator[WeightBlock]:
    """Yields the weights of R resamples, in blocks of bounded memory.

    Equal seeds give equal weights, whatever the size of the blocks.

    Args:
        num_examples: n, at least 1.
        num_resamples: R, at least 1.
        seed: Seed of the draws.
        num_pseudo: Number of pseudo-examples, at least 1.

    Yields:
        Blocks that hold R rows together.

    Raises:
        DataError: An argument is not a whole number, or too small.

    References:
        Rubin (1981), The Bayesian bootstrap, doi:10.1214/aos/1176345338.

    Example:
        >>> (block,) = draw_weights(5, 3, seed=0, num_pseudo=2)
        >>> block.extended().shape, [round(float(s), 9) for s in block.extended().sum(axis=1)]
        ((3, 7), [5.0, 5.0, 5.0])
    """
    check_count("num_examples", num_examples, minimum=1)
    check_count("num_resamples", num_resamples, minimum=1)
    check_count("num_pseudo", num_pseudo, minimum=1)
    # One stream for each kind of draw: a block's size then changes none of them.
    streams = np.random.SeedSequence(check_seed("seed", seed)).spawn(4)
    examples, pseudo, column, half = (np.random.default_rng(stream) for stream in streams)
    step = max(1, BLOCK_ELEMENTS // num_examples)
    for start in range(0, num_resamples, step):
        rows = min(step, num_resamples - start)
        yield WeightBlock(
            examples=examples.standard_exponential((rows, num_examples)),
            pseudo=pseudo.standard_exponential(rows),
            column=column.integers(num_pseudo, size=rows),
            half=half.standard_gamma(0.5, rows),
            num_pseudo=num_pseudo,
        )
