"""Targets of data that hold them beside the inputs, read in the one pass that reads the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from keras import tree
from numpy.typing import NDArray

from mcdrop.engine.inputs import is_stream, read_batches
from mcdrop.errors import DataError

Array = NDArray[Any]


class TargetReader:
    """Reads batches of (inputs, targets) or (inputs, targets, weights) once.

    Another one consumes the inputs; targets and weights are kept in the same order, so that
    they belong to each other also when the data are shuffled at each reading.

    Args:
        x: A dataset or generator of such batches.

    Raises:
        DataError: `x` is no such data, or known to have no end.
    """

    def __init__(self, x: Any) -> None:
        if not is_stream(x):
            raise DataError(
                f"`x` is a {type(x).__name__}, which holds no targets; expected a tf.data.Dataset, "
                "a PyDataset or a generator of (inputs, targets). Evaluate arrays with "
                "mcdrop.evaluate(mc.predict(x), y)."
            )
        self._batches = read_batches(x)
        self._read: list[tuple[Any, Any]] = []

    def inputs(self) -> Iterator[tuple[Any]]:
        """Yields the inputs of each batch, as a tuple of them alone."""
        for batch in self._batches:
            if not isinstance(batch, tuple) or len(batch) not in (2, 3):
                raise DataError(
                    "`x` yields inputs without targets, expected tuples (inputs, targets) or "
                    "(inputs, targets, weights)."
                )
            inputs, targets, *weights = batch
            counts = {len(np.asarray(leaf)) for leaf in tree.flatten((inputs, targets))}
            if len(counts) > 1:
                raise DataError(f"A batch of `x` has {sorted(counts)} inputs and targets.")
            self._read.append((targets, weights[0] if weights else None))
            yield (inputs,)

    def targets(self, names: Sequence[str]) -> dict[str, Array]:
        """Returns the targets of each output, after all inputs were read."""
        return self._by_output([targets for targets, _ in self._read], names, "targets")

    def weights(self, names: Sequence[str]) -> dict[str, Array | None]:
        """Returns the weights of each output's examples, None where the data have none."""
        weights = [weights for _, weights in self._read]
        if weights[0] is None:
            return dict.fromkeys(names)
        if not tree.is_nested(weights[0]):
            weights = [dict.fromkeys(names, batch) for batch in weights]
        return {**self._by_output(weights, names, "weights")}

    def _by_output(self, batches: Sequence[Any], names: Sequence[str], what: str) -> dict[str, Any]:
        """Joins the batches of each output: by name, or in the order of the outputs."""
        first = batches[0]
        if isinstance(first, Mapping) and set(names) <= set(first):
            chosen = {name: [batch[name] for batch in batches] for name in names}
        elif len(tree.flatten(first)) == len(names):
            flat = [tree.flatten(batch) for batch in batches]
            chosen = {name: [leaves[place] for leaves in flat] for place, name in enumerate(names)}
        else:
            raise DataError(
                f"The {what} of `x` are {len(tree.flatten(first))} array(s), expected one for each "
                f"output: {', '.join(names) or 'one'}."
            )
        return {name: np.concatenate([*map(np.asarray, parts)]) for name, parts in chosen.items()}
