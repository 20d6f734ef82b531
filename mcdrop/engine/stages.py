"""Which layers form the stages of passes that share their early masks, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from mcdrop.engine.program import Program
from mcdrop.errors import ModelError
from mcdrop.splitting import Splitting, levels_of


@dataclass(frozen=True)
class Plan:
    """How the stages of one program are drawn.

    Attributes:
        program: The program.
        splitting: Draws of each of its stages, (n_1, ..., n_K).
    """

    program: Program
    splitting: Splitting

    @property
    def levels(self) -> Splitting:
        """Draws of the stages that are drawn for themselves."""
        return levels_of(self.splitting)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Places at which they begin: a stage drawn once is a part of the one before."""
        pairs = zip(self.program.stages, self.splitting, strict=True)
        return tuple(place for stage, (place, n) in enumerate(pairs) if stage == 0 or n > 1)

    @property
    def inner(self) -> int:
        """Passes of each draw of stage 1."""
        return prod(self.splitting[1:])

    @cached_property
    def row_bytes(self) -> int:
        """Largest tensor of the passes for one example and one draw of stage 1."""
        sizes = self.program.stage_bytes(self.starts)
        return max(size * n for size, n in zip(sizes, (1, *self.levels[1:]), strict=True))


def plan(program: Program, splitting: Splitting) -> Plan:
    """Returns how a program is drawn for counts that a user gave.

    Fewer counts than stages: the first is for all stages but the last ones, which have one each.

    Raises:
        ModelError: There are more counts than stages, or the model draws noise for no example.
    """
    if len(splitting) == 1:
        return Plan(program, splitting)
    stages = program.stages
    if len(splitting) > len(stages):
        named = program.layers_of(stages)
        raise ModelError(
            f"`splitting` {splitting} has {len(splitting)} counts, but the model has "
            f"{len(stages)} stage{'s' * (len(stages) > 1)} that can be drawn one after the other: "
            f"{'; '.join(named)}. Give at most one count for each."
        )
    if program.one_pass and levels_of(splitting) != splitting[:1]:
        raise ModelError(
            "A layer draws noise for no particular example, on weights say, which takes one pass "
            "at a time; passes cannot share masks then. Leave `splitting` out."
        )
    missing = (1,) * (len(stages) - len(splitting))
    return Plan(program, (*splitting[:1], *missing, *splitting[1:]))
