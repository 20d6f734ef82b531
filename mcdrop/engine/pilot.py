"""`splitting="auto"`: a pilot run on the first examples chooses how often each stage is drawn.

The first examples are ranked by the variance over a few passes. For the most uncertain of them,
whose error matters and whose early masks count for more, each place at which the passes can be
cut is tried: some draws of all that comes before it, each followed by several of what comes
behind. That gives the share of the early masks in the variance there, and `allocate` does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcdrop.engine.inputs import Inputs
from mcdrop.engine.program import Program
from mcdrop.engine.running import Options, Run
from mcdrop.engine.sampling import Sampler
from mcdrop.engine.tasks import Asked
from mcdrop.prediction import Prediction, concatenate
from mcdrop.splitting import Splitting, allocate

Array = NDArray[np.float64]

SEED = 0x70696C6F74
"""Seed of the pilot, so that a choice depends on the model and the examples alone."""

_UNCERTAIN = 0.1
_FEWEST = 16
"""Share of the first examples that the choice is made for, and at least how many."""

_RANKING = (2, 4)
_OUTER_DRAWS = 48
_SHARED_OUTER_DRAWS = 192
"""Draws of what comes before a cut. Of shared masks all examples have the same few."""

_BALANCED_DRAWS = 7
_BALANCED_RUNS, _SHARED_BALANCED_RUNS = 8, 32
"""Draws of each stage in runs with balanced masks, and runs. Seven balances no usual rate to the
unit, as the counts that are chosen hardly ever do."""

_INNER_DRAWS = (2, 16)
_MOST_CUTS = 4

_LEAST_SAVING = 0.1
"""Work that splitting has to save: below, ordinary passes are simpler."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        splitting: Draws of each stage, (T,) for ordinary passes.
        reason: Why, in a sentence.
    """

    splitting: Splitting
    reason: str


def choose(
    model: Any, samplers: Sequence[Sampler], head: Inputs, asked: Asked, num_samples: int
) -> Choice:
    """Returns the draws of each stage that reach the error of T ordinary passes at least cost.

    Args:
        model: The model.
        samplers: Samplers whose programs have stages.
        head: The first examples.
        asked: What the user said of the outputs.
        num_samples: T.

    Raises:
        DataError: As for `predict`.
        ModelError: As for `predict`.
    """
    pilot = _Pilot(model, samplers, asked)
    program = pilot.program(head)
    if program.one_pass or len(program.stages) < 2:
        return _ordinary(num_samples, "the model has no early masks that can be shared")
    deviations = pilot.deviations(head, len(program.stages))
    if np.isnan(deviations).all():
        return _ordinary(num_samples, "all of the first examples hold NaN, or become it")
    if not np.nanmax(deviations, initial=0.0) > 0.0:
        return _ordinary(num_samples, "no pass of the first examples differs from another")
    count = max(_FEWEST, int(np.ceil(_UNCERTAIN * len(deviations))))
    uncertain = np.argsort(np.nan_to_num(-deviations), kind="stable")[:count]
    chosen = head.take(np.sort(uncertain))
    cuts = _cuts(program)
    if samplers[0].settings.balanced:
        early, total = pilot.balanced_shares(cuts, chosen, program)
    else:
        early = np.stack([pilot.share_before(cut, chosen, program) for cut in cuts], axis=1)
        total = np.ones(len(early))
    return _allocated(program, cuts, early, total, num_samples)


def _ordinary(num_samples: int, reason: str) -> Choice:
    return Choice((num_samples,), f"Ordinary passes in place of splitting: {reason}.")


def _allocated(
    program: Program, cuts: Sequence[int], early: Array, total: Array, num_samples: int
) -> Choice:
    """Returns the draws for the variance before each cut and in all, one row an output.

    Both are parts of the variance of an ordinary pass.
    """
    costs = np.array(program.costs((0, *(program.stages[cut] for cut in cuts))))
    shares = np.diff(early, axis=1, prepend=0.0, append=total[:, None])
    gains = 1.0 / np.maximum(total, np.finfo(np.float64).tiny)
    counts = allocate(shares, [float(cost) for cost in costs], num_samples, gains)
    work = float(costs @ np.cumprod(counts) / (num_samples * costs.sum()))
    before = ", ".join(f"{100 * share:.0f}%" for share in (early * gains[:, None]).max(axis=0))
    layers = program.layers_of(program.stages)
    found = (
        f"{before} of the variance of uncertain examples comes from the masks before "
        f"{', '.join(layers[cut] for cut in cuts)}"
    )
    if work > 1.0 - _LEAST_SAVING:
        return _ordinary(num_samples, f"{found}, so shared masks would save less than a tenth")
    splitting = [1] * len(program.stages)
    for place, draws in zip((0, *cuts), counts, strict=True):
        splitting[place] = draws
    return Choice(
        tuple(splitting),
        f"splitting={tuple(splitting)}: {found}; the error of the mean of {num_samples} ordinary "
        f"passes for about {100 * work:.0f}% of their work.",
    )


@dataclass(frozen=True)
class _Pilot:
    """Runs passes of the first examples."""

    model: Any
    samplers: Sequence[Sampler]
    asked: Asked

    def program(self, head: Inputs) -> Program:
        """Returns the program of these examples."""
        return Run(self.model, self.samplers, head, (2,), SEED, None).program

    def deviations(self, head: Inputs, num_stages: int) -> Array:
        """Returns how far the passes of each example spread, shape (N,), NaN where they fail.

        Outputs count alike, whatever their unit.
        """
        first, last = _RANKING
        found = self._predict(head, (first, *(1,) * (num_stages - 2), last))
        total = np.zeros(len(found[0]))
        for prediction in found:
            spread = _components(prediction).sum(axis=0).reshape(len(total), -1).sum(axis=1)
            total += spread / np.nanmax(spread, initial=np.finfo(np.float64).tiny)
        return total

    def share_before(self, cut: int, chosen: Inputs, program: Program) -> Array:
        """Returns the share of the masks before a stage in the variance, one for each output."""
        before, after = program.costs((0, program.stages[cut]))
        inner = int(np.clip(before / max(after, 1.0), *_INNER_DRAWS))
        is_shared = self.samplers[0].settings.shared
        counts = [1] * len(program.stages)
        counts[0], counts[cut] = _SHARED_OUTER_DRAWS if is_shared else _OUTER_DRAWS, inner
        shares = []
        for prediction in self._predict(chosen, tuple(counts)):
            early, late = (np.nansum(component) for component in _components(prediction))
            shares.append(np.clip(early / (early + late), 0.0, 1.0) if early + late > 0 else 0.0)
        return np.array(shares)

    def balanced_shares(
        self, cuts: Sequence[int], chosen: Inputs, program: Program
    ) -> tuple[Array, Array]:
        """Returns what balanced draws leave of the variance, as parts of that of ordinary passes.

        Balanced draws depend on each other, so what they leave shows in the means of whole runs
        alone. With n draws of all stages the squared error is G / n, with n of each part G_c / n +
        (G - G_c) / n², where G_c comes from the masks before the cut.

        Returns:
            G_c of each output and cut, shape (R, cuts), increasing, and G, shape (R,).
        """
        n = _BALANCED_DRAWS
        everything, spread = self._error_of_runs((n, *(1,) * (len(program.stages) - 1)), chosen)
        # As each pass is an ordinary one, whatever they have to do with each other.
        variance = np.maximum(spread * (n - 1) / n + everything, np.finfo(np.float64).tiny)
        total = np.clip(n * everything / variance, 0.0, 1.0)
        early = np.zeros((len(total), len(cuts)))
        for column, cut in enumerate(cuts):
            counts = [1] * len(program.stages)
            counts[0] = counts[cut] = n
            error, _ = self._error_of_runs(tuple(counts), chosen)
            early[:, column] = (n * n * error / variance - total) / (n - 1)
        return np.maximum.accumulate(np.clip(early, 0.0, total[:, None]), axis=1), total

    def _error_of_runs(self, splitting: Splitting, chosen: Inputs) -> tuple[Array, Array]:
        """Returns for each output the variance of the means of runs, and that within the runs."""
        copies, seeds = 1, range(_SHARED_BALANCED_RUNS)
        if not self.samplers[0].settings.shared:
            # Masks of their own make of each copy of the examples a run.
            copies, seeds = _BALANCED_RUNS, range(1)
        count = chosen.num_examples or 0
        many = chosen.take(np.tile(np.arange(count), copies))
        parts = [self._predict(many, splitting, SEED + seed) for seed in seeds]
        error, spread = [], []
        for found in zip(*parts, strict=True):
            means = np.stack([one.mean for one in found])
            means = means.reshape(len(found) * copies, count, *means.shape[2:])
            error.append(np.nansum(means.var(axis=0, ddof=1)))
            spread.append(np.nansum([_components(one) for one in found]) / len(means))
        return np.array(error), np.array(spread)

    def _predict(self, inputs: Inputs, splitting: Splitting, seed: int = SEED) -> list[Prediction]:
        run = Run(self.model, self.samplers, inputs, splitting, seed, None)
        options = Options(keep_samples=False, tolerance=None, drop=True)
        parts = list(run.predictions(self.asked, options, None))
        return [concatenate([part[name] for part in parts]) for name in parts[0]]


def _cuts(program: Program) -> tuple[int, ...]:
    """Returns the stages at which the passes may be cut: all, or those that halve the work best."""
    stages = range(1, len(program.stages))
    if len(stages) <= _MOST_CUTS:
        return tuple(stages)
    after = {cut: _share_after(program, cut) for cut in stages}
    wanted = 2.0 ** -np.arange(1, _MOST_CUTS + 1)
    best = {min(stages, key=lambda cut: abs(np.log(after[cut] / share))) for share in wanted}
    return tuple(sorted(best | {stages[-1]}))


def _share_after(program: Program, cut: int) -> float:
    before, after = program.costs((0, program.stages[cut]))
    return after / (before + after)


def _components(prediction: Prediction) -> Array:
    components = prediction.variance_components
    assert components is not None  # noqa: S101  # the passes of a pilot share masks
    return components
