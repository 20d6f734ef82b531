"""A traced model as compiled functions: a prefix that runs once, and stages that run many times.

    begin:  inputs                          -> frontier, deterministic outputs
    run:    seed, examples, passes, frontier -> passes, all noise drawn anew in each
    nested: the same with K stages          -> n_1 n_2 ... n_K passes

`Program.places` lists where noise enters, in order of execution: the calls of the stochastic
layers. `nested` cuts the passes at the places whose numbers are in `starts` (the first is 0) into
stages: each draw of stage 1 is followed by n_2 draws of stage 2, each of those by n_3 of stage 3,
and so on. Draw j of stage k belongs to draw j // n_k of stage k - 1, and its masks are a function
of (seed, layer, call; example, j, unit) alone. `can_start` says at which places a stage may begin,
`costs` what one draw of each stage costs. Passes are in the order of the draws of the last stage.
Only a program that was traced with `Settings.nested` has stages: its masks are the same, and may
begin at any number. Draws of stage 1 may be computed in any number of calls of `nested`.

A stage computes several passes of several examples, folded into axis 0. A compiled loop walks over
the examples of a chunk in slices that stay in the processor's cache; there is no Python between
passes.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tensorflow as tf
from keras import tree

from mcdrop.engine import inspection
from mcdrop.engine.audit import Leaf
from mcdrop.engine.cutting import SIZES, SOURCE, Crossing, Cutter, Levels, Part
from mcdrop.engine.extraction import Extractor
from mcdrop.engine.randomness import draws_in_python
from mcdrop.engine.redirect import Place
from mcdrop.engine.tracing import Settings, Trace, trace
from mcdrop.errors import ModelError, ModelWarning

Tensor = Any

ELEMENT, RANDOM_NUMBER, STATISTICS = 30.0, 60.0, 1500.0
"""Multiply-accumulates that take as long as one output of a layer, one random number, and what is
made of one output of the model."""

_WIDE_ROW_BYTES = 16 * 2**20
"""Above this size of a tensor for one row, 16 passes at once would fill memory for no gain."""

_GATED = (
    "If a layer, or the model itself, calls its dropout only `if training`, mcdrop.register "
    "its class."
)
_UNREACHED = "selected, but the model never reached it"
_SILENT = "selected, but no noise of it reaches the outputs"


@dataclass(frozen=True)
class Stages:
    """The noise of a model, cut into stages.

    Attributes:
        parts: What each stage computes.
        frontier: What the stages read of the prefix.
    """

    parts: tuple[Part, ...]
    frontier: tuple[Crossing, ...]


class Program:
    """A traced and cut model.

    Attributes:
        begin: Inputs to (frontier, deterministic outputs).
        one_pass: A step holds one pass only, because noise was drawn for no example, or because
            one row is large.
        folded: Shared masks are applied to weights, so a step wants many examples.
        row_bytes: Largest tensor of the passes for one row.
        example_bytes: Largest tensor of the prefix, and all of the frontier, for one example.
        output_bytes: Outputs of one pass of one example.
        masks_drawn: How many masks were drawn, by (examples, passes, ...) of a slice.
        compiled_shapes: Those of them that XLA has compiled for.
        places: Ordinal of the layer of each place where noise enters, -1 where it is none that
            was selected.
        share_run_once: Share of the estimated multiply-accumulates that runs once, in [0, 1].
        idle: Why selected layers do not sample after all, by ordinal.
        warnings: What the user should know about the graph.
        notes: The same, and what runs in every pass though it is the same.
    """

    def __init__(
        self,
        traced: Trace,
        leaves: tuple[Leaf, ...],
        settings: Settings,
        *,
        one_pass: bool,
        barred: frozenset[str],
    ) -> None:
        self._trace = traced
        self._settings = settings
        self._barred = barred
        self._extractor = Extractor(traced.graph, traced.first)
        self._runs: dict[Any, Any] = {}
        self._foreign = frozenset(filter(inspection.draws_itself, traced.graph.get_operations()))
        self._places = traced.draws.places
        self.one_pass = one_pass
        self.folded = traced.folded
        self.masks_drawn: Counter[tuple[int, ...]] = Counter()
        self.compiled_shapes: set[tuple[int, ...]] = set()
        self._paths = {leaf.ordinal: leaf.info.path for leaf in leaves}
        stages = self._stages((0,))
        read = {id(tensor) for op in stages.parts[0].operations for tensor in op.inputs}
        # What no output reads, the factors of an augmentation that is off say, is no noise.
        self._places = [place for place in traced.draws.places if id(place.passes) in read]
        self.places = tuple(place.ordinal for place in self._places)
        self._frontier = stages.frontier
        prefix = self._cutter((0,)).prefix([*self._fetched(), *traced.deterministic])
        self.begin = self._compile_begin(prefix)
        self.row_bytes = inspection.largest_row(stages.parts[0].tensors())
        self.example_bytes = inspection.largest_row(prefix.tensors()) + sum(
            inspection.row_bytes(crossing.tensor) for crossing in self._frontier
        )
        self.output_bytes = sum(inspection.row_bytes(tensor) for tensor in traced.outputs)
        self.share_run_once = self._share_run_once(stages.parts[0])
        computed = [*prefix.operations, *stages.parts[0].operations]
        own = [op for op in computed if op in self._foreign]
        _check_refused(traced, computed)
        self.idle = _idle(traced, leaves, self._places, own)
        self.warnings = _warnings(leaves, self.idle, self._places, own)
        self.notes = (*self.warnings, *self._repeated_work(stages.parts[0]))

    @property
    def draws_itself(self) -> bool:
        """Whether operations that mcdrop does not control are random."""
        return bool(self._foreign)

    @property
    def compute_dtype(self) -> str | None:
        """Data type of the passes; None for that of the model."""
        return self._settings.compute_dtype

    @property
    def output_specs(self) -> list[tf.TensorSpec]:
        """Shapes and types of the flat outputs of one pass, (N, ...)."""
        return [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._trace.outputs]

    def pack(self, flat: list[Any]) -> Any:
        """Arranges flat outputs in the model's own structure."""
        return tree.pack_sequence_as(self._trace.structure, flat)

    def run(
        self,
        seed: Tensor,
        examples: Tensor,
        positions: Tensor,
        passes: Tensor,
        width: Tensor,
        *frontier: Tensor,
        compiled: bool = True,
    ) -> list[Tensor]:
        """Computes some passes of some examples of a chunk.

        Args:
            seed: The user's seed as two words, shape (2,), uint32.
            examples: Numbers of the examples, shape (n,), uint32.
            positions: Their positions in the frontier, shape (n,), int32.
            passes: Numbers of the passes, shape (F,), uint32.
            width: Number of examples in a slice.
            frontier: What `begin` returned.
            compiled: Draw masks by XLA, which compiles for every width and F; the numbers are the
                same without.

        Returns:
            Flat outputs of shape (F, m, ...), m >= n: the last slice is filled up with copies of
            the last example.
        """
        key = "run", compiled and self._settings.compiled_masks
        if key not in self._runs:
            self._runs[key] = self._compile_run(compiled=key[1])
        outputs: list[Tensor] = self._runs[key](seed, examples, positions, passes, width, *frontier)
        return outputs

    def can_start(self, place: int) -> bool:
        """Whether a stage may begin at a place: what comes before it can be handed over.

        Not inside of a loop over time, say, which draws at several places.
        """
        if place == 0:
            return True
        starts = (0, place)
        level, last = self._cutter(starts).level, self._stages(starts).parts[-1]
        entries = {id(entry.passes) for entry in self._places[:place]}
        again = (op for op in last.operations if op.outputs and level(op.outputs[0]) == 1)
        return not any(id(tensor) in entries for op in again for tensor in op.inputs)

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the places at which a stage may begin, the first 0."""
        return tuple(filter(self.can_start, range(len(self.places) or 1)))

    def layers_of(self, starts: Sequence[int]) -> list[str]:
        """Returns the paths of the layers of each stage, in words."""
        ends = [*starts[1:], len(self.places)]
        named = [
            dict.fromkeys(self._paths.get(ordinal, "others") for ordinal in self.places[start:end])
            for start, end in zip(starts, ends, strict=True)
        ]
        return [", ".join(names) for names in named]

    def stage_bytes(self, starts: Sequence[int]) -> list[int]:
        """Returns the largest tensor of each stage for one row."""
        return [inspection.largest_row(part.tensors()) for part in self._stages(starts).parts]

    def costs(self, starts: Sequence[int]) -> tuple[float, ...]:
        """Estimates the work of one draw of each stage, for one example.

        Its unit is a multiply-accumulate: a random number, an output of a layer and the
        statistics of an output of the model count as so many of them.
        """
        level = self._cutter(starts).level
        work = [0.0] * (len(starts) + 1)
        made: dict[int, Tensor] = {}
        for call in self._trace.calls:
            found = [self._trace.first(tensor) for tensor in call.outputs]
            work[max(map(level, found))] += call.multiplications
            made |= {id(tensor): tensor for tensor in found}
        for tensor in made.values():
            work[level(tensor)] += ELEMENT * _elements(tensor)
        for number, place in enumerate(self._places):
            stage = sum(start <= number for start in starts)
            work[stage] += RANDOM_NUMBER * self._trace.draws.units[id(place.passes)]
        work[-1] += STATISTICS * sum(map(_elements, self._trace.outputs))
        return tuple(work[1:])

    def nested(
        self,
        seed: Tensor,
        examples: Tensor,
        positions: Tensor,
        first: Tensor,
        counts: Tensor,
        width: Tensor,
        *frontier: Tensor,
        starts: tuple[int, ...],
        compiled: bool = True,
    ) -> list[Tensor]:
        """Computes some draws of stage 1 of some examples, and all that follow from them.

        Args:
            seed: The user's seed as two words, shape (2,), uint32.
            examples: Numbers of the examples, shape (n,), uint32.
            positions: Their positions in the frontier, shape (n,), int32.
            first: Number of the first draw of stage 1, uint32.
            counts: Draws of stage 1 in this call, and of each later stage for each draw of the
                one before, shape (K,), int32.
            width: Number of examples in a slice.
            frontier: What `begin` returned.
            starts: Numbers of the K places at which a stage begins, the first 0.
            compiled: Draw masks by XLA.

        Returns:
            Flat outputs of shape (counts[0] * ... * counts[K - 1], m, ...), m >= n.
        """
        key = starts, compiled and self._settings.compiled_masks
        if key not in self._runs:
            self._runs[key] = self._compile_nested(starts, compiled=key[1])
        outputs: list[Tensor] = self._runs[key](
            seed, examples, positions, first, counts, width, *frontier
        )
        return outputs

    def strangers(self, frontier: Sequence[Tensor], num_examples: int) -> frozenset[str]:
        """Returns the names of the tensors that hold other rows than one an example."""
        found = set()
        for crossing, value in zip(self._frontier, frontier, strict=True):
            sizes = crossing.kind == SIZES
            tensor = crossing.tensor.op.inputs[0] if sizes else crossing.tensor
            if (value.numpy()[0] if sizes else value.shape[0]) != num_examples:
                found.add(str(tensor.name))
        return frozenset(found)

    def _cutter(self, starts: Sequence[int]) -> Cutter:
        traced = self._trace
        entries = [place.passes for place in self._places]
        known = set(map(id, entries))
        sources = {
            key: entry for key, (_, entry) in traced.draws.sources.items() if id(entry) in known
        }
        levels = Levels(traced.graph, self._foreign, entries, starts, traced.inputs, sources)
        arguments = [*traced.graph.inputs, *entries]
        return Cutter(levels, arguments, sources, self._barred, traced.first)

    def _stages(self, starts: Sequence[int]) -> Stages:
        """Cuts the noise into stages, last one first: what each reads, those before must make."""
        cutter = self._cutter(starts)
        wanted: dict[int, list[Tensor]] = {level: [] for level in range(len(starts))}
        parts: list[Part] = []
        outputs: Sequence[Tensor] = self._trace.outputs
        for level in range(len(starts), 0, -1):
            part = cutter.stage(outputs if level == len(starts) else wanted[level], level)
            parts.insert(0, part)
            for crossing in part.inputs:
                found = wanted[cutter.level(crossing.tensor)]
                if all(crossing.tensor is not tensor for tensor in found):
                    found.append(crossing.tensor)
        crossings = {id(c.tensor): c for part in parts for c in part.inputs}
        return Stages(tuple(parts), tuple(crossings[id(tensor)] for tensor in wanted[0]))

    def _fetched(self) -> list[Tensor]:
        return [crossing.tensor for crossing in self._frontier]

    def _compile_begin(self, prefix: Part) -> Any:
        traced, count = self._trace, len(self._frontier)

        def begin(*inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
            given = {id(key): value for key, value in zip(traced.inputs, inputs, strict=True)}
            outputs = self._extractor.compute(prefix, given)
            return outputs[:count], outputs[count:]

        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in traced.inputs]
        return tf.function(begin, autograph=False).get_concrete_function(*specs)

    def _compile_run(self, *, compiled: bool) -> Any:
        """Compiles `run`."""
        (part,) = self._stages((0,)).parts
        step = self._step(part, compiled=compiled)

        def passes_of(
            seed: Tensor, examples: Tensor, held: dict[int, Tensor], passes: Tensor
        ) -> list[Tensor]:
            outputs = step(seed, examples, passes, *[held[id(c.tensor)] for c in part.inputs])
            return [_by_pass(output, passes, examples) for output in outputs]

        return self._compile_loop(passes_of, [tf.TensorSpec([None], tf.uint32)])

    def _compile_nested(self, starts: tuple[int, ...], *, compiled: bool) -> Any:
        """Compiles `nested`: a loop over the draws of each stage but the last inside of another."""
        parts = self._stages(starts).parts
        steps = [self._step(part, compiled=compiled) for part in parts]

        def passes_of(
            seed: Tensor, examples: Tensor, held: dict[int, Tensor], first: Tensor, counts: Tensor
        ) -> list[Tensor]:
            def descend(stage: int, start: Tensor, held: dict[int, Tensor]) -> list[Tensor]:
                part, step = parts[stage], steps[stage]
                draws = start + tf.cast(tf.range(counts[stage]), tf.uint32)
                inputs = [held[id(crossing.tensor)] for crossing in part.inputs]
                outputs = [
                    _by_pass(output, draws, examples) if output.shape.rank > 1 else output
                    for output in step(seed, examples, draws, *inputs)
                ]
                if stage + 1 == len(parts):
                    return outputs
                made = dict(zip(map(id, part.outputs), outputs, strict=True))
                size = tf.cast(counts[stage + 1], tf.uint32)

                def follow(index: Tensor) -> list[Tensor]:
                    own = {
                        key: _sizes_of_rows(value, tf.shape(examples)[0])
                        if self._is_sizes(key, parts)
                        else value[index]
                        for key, value in made.items()
                    }
                    return descend(stage + 1, draws[index] * size, held | own)

                kinds = [(spec.dtype, spec.shape[1:]) for spec in self.output_specs]
                stacked = _for_each(follow, counts[stage], kinds)
                return [_flatten_draws(value) for value in stacked]

            return descend(0, first, held)

        scalars = [tf.TensorSpec([], tf.uint32), tf.TensorSpec([len(starts)], tf.int32)]
        return self._compile_loop(passes_of, scalars)

    def _is_sizes(self, key: int, parts: Sequence[Part]) -> bool:
        return any(c.kind == SIZES and id(c.tensor) == key for part in parts for c in part.inputs)

    def _compile_loop(self, passes_of: Callable[..., list[Tensor]], numbers: list[Any]) -> Any:
        """Compiles a loop over slices of a chunk's examples.

        Args:
            passes_of: Returns the passes of one slice of seed, examples, what it holds of the
                frontier, and the numbers of the draws; shape (F, E, ...).
            numbers: Specs of those numbers.
        """
        size = len(numbers)

        def run(seed: Tensor, examples: Tensor, positions: Tensor, *rest: Tensor) -> list[Tensor]:
            own, width, frontier = rest[:size], rest[size], rest[size + 1 :]
            count = tf.shape(examples)[0]

            def one_slice(index: Tensor) -> list[Tensor]:
                slots = tf.minimum(index * width + tf.range(width), count - 1)
                at = tf.gather(positions, slots)
                held = {
                    id(crossing.tensor): _sizes_of_rows(value, width)
                    if crossing.kind == SIZES
                    else tf.gather(value, at)
                    for crossing, value in zip(self._frontier, frontier, strict=True)
                }
                return passes_of(seed, tf.gather(examples, slots), held, *own)

            kinds = [(spec.dtype, spec.shape[1:]) for spec in self.output_specs]
            slices = _for_each(one_slice, (count + width - 1) // width, kinds)
            return [_join_slices(stacked) for stacked in slices]

        specs = [
            tf.TensorSpec([2], tf.uint32),
            tf.TensorSpec([None], tf.uint32),
            tf.TensorSpec([None], tf.int32),
            *numbers,
            tf.TensorSpec([], tf.int32),
            *[tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._fetched()],
        ]
        return tf.function(run, autograph=False).get_concrete_function(*specs)

    def _step(self, part: Part, *, compiled: bool) -> Callable[..., list[Tensor]]:
        """Returns a function of seed, examples, passes and what enters a part, not yet repeated."""
        traced = self._trace

        def step(seed: Tensor, examples: Tensor, passes: Tensor, *held: Tensor) -> list[Tensor]:
            count = tf.shape(passes)[0]
            given = {
                id(traced.seed): seed,
                id(traced.examples): examples,
                id(traced.passes): passes,
            }
            given |= {id(place.passes): passes for place in self._places}
            given |= {
                id(crossing.tensor): _repeated(crossing, value, count)
                for crossing, value in zip(part.inputs, held, strict=True)
            }
            return self._extractor.compute(part, given, compiled=compiled)

        if not self._settings.jit_compile:
            return step
        return tf.function(step, autograph=False, jit_compile=True)

    def _repeated_work(self, part: Part) -> list[str]:
        """Says what could run once, were it of a form that can be handed over."""
        level = self._cutter((0,)).level
        kinds = sorted({op.type for op in part.repeated(level)})
        if self._barred or kinds:
            return [
                "Some of it runs in every pass though no dropout comes before it, because its "
                "results cannot be handed over one row an example"
                + (f" ({', '.join(kinds)})." if kinds else ".")
            ]
        return []

    def _share_run_once(self, part: Part) -> float:
        inside = set(part.operations)
        once = total = 0.0
        for call in self._trace.calls:
            total += call.multiplications
            if not any(self._trace.first(tensor).op in inside for tensor in call.outputs):
                once += call.multiplications
        return once / total if total else 0.0


def compile_program(
    model: Any,
    leaves: tuple[Leaf, ...],
    settings: Settings,
    specs: Sequence[tf.TensorSpec],
    structure: Any,
    probe: Sequence[Any] | None = None,
    *,
    traced: Program | None = None,
    quiet: bool = False,
) -> Program:
    """Traces a program, again where the first trace shows that it must be another one.

    Args:
        model: The model.
        leaves: Its stochastic layers.
        settings: How passes are drawn.
        specs: Shapes and types of the flat inputs, their batch axes open.
        structure: How the inputs are nested.
        probe: Some of the user's examples, on which it is seen whether the tensors of the
            frontier hold one row an example; None believes it.
        traced: What the same arguments gave without a probe, in place of a first trace.
        quiet: Do not warn of what was found.

    Raises:
        ModelError: No selected layer was reached, the model changes variables, its code computes
            something else each time, or balanced masks are asked for where a step holds one pass.
    """
    program, barred = traced, frozenset[str]()
    while True:
        program = program or _trace_program(model, leaves, settings, specs, structure, barred)
        wrong = program.strangers(program.begin(*probe)[0], len(probe[0])) if probe else set()
        if not wrong:
            for note in () if quiet else program.warnings:
                warnings.warn(note, ModelWarning, stacklevel=2)
            return program
        program, barred = None, barred | wrong


def _trace_program(
    model: Any,
    leaves: tuple[Leaf, ...],
    settings: Settings,
    specs: Sequence[tf.TensorSpec],
    structure: Any,
    barred: frozenset[str],
) -> Program:
    """Traces a program; again, with one pass a step, where that turns out to be needed."""
    for one_pass in (False, True):
        traced = trace(model, leaves, settings, specs, structure, one_pass=one_pass, barred=barred)
        inspection.check_no_assignment(traced.graph)
        if traced.draws.single_pass and settings.balanced:
            raise ModelError(
                "A layer draws noise for no particular example, on weights say, which takes one "
                "pass at a time; balanced masks need all passes at once. Leave `balanced` out."
            )
        program = Program(traced, leaves, settings, one_pass=one_pass, barred=barred)
        # Draws of a stage may be computed in any number, but those of a later one together.
        free = settings.balanced or settings.nested
        wide = program.row_bytes > _WIDE_ROW_BYTES and not free
        if not (traced.draws.single_pass or wide):
            break
    return program


def _check_refused(traced: Trace, computed: Sequence[Any]) -> None:
    """Raises ModelError when noise that cannot be made reproducible reaches the outputs."""
    made = set(computed)
    for stand_in, name in traced.draws.refused:
        # What a loop does with it is not seen.
        if stand_in.op in made or stand_in.graph is not traced.graph:
            raise ModelError(
                f"The model draws from keras.random.{name}, which mcdrop cannot make reproducible. "
                "Leave the layer out of `layers`, or draw from uniform or normal in it."
            )


def _idle(
    traced: Trace, leaves: tuple[Leaf, ...], places: Sequence[Place], own: Sequence[Any]
) -> dict[int, str]:
    """Returns why selected layers do not sample, by ordinal.

    Args:
        traced: The trace.
        leaves: The stochastic layers.
        places: Where noise enters that reaches the outputs.
        own: Operations that are random by themselves, and reach them.
    """
    draws = traced.draws
    sampling = {ordinal for place in places for ordinal in place.owners}
    if own:
        positions = {op: n for n, op in enumerate(traced.graph.get_operations())}
        at = [positions[op] for op in own]
        sampling |= {
            ordinal
            for ordinal, spans in draws.spans.items()
            for span in spans
            for n in at
            if n in span
        }
    idle = [leaf for leaf in leaves if leaf.info.selected and leaf.ordinal not in sampling]
    return {leaf.ordinal: _SILENT if draws.calls[leaf.ordinal] else _UNREACHED for leaf in idle}


def _warnings(
    leaves: tuple[Leaf, ...], idle: dict[int, str], places: Sequence[Place], own: Sequence[Any]
) -> tuple[str, ...]:
    """Words what the trace found, and refuses a model in which nothing selected samples."""
    by_reason = {
        reason: ", ".join(leaf.info.path for leaf in leaves if idle.get(leaf.ordinal) == reason)
        for reason in (_UNREACHED, _SILENT)
    }
    if all(leaf.ordinal in idle for leaf in leaves if leaf.info.selected):
        if not by_reason[_SILENT]:
            raise ModelError(
                "None of the selected layers was reached when the model ran: "
                f"{by_reason[_UNREACHED]}. {_GATED}"
            )
        raise ModelError(
            "The selected layers drew no noise that reaches the outputs, so every pass would be "
            f"the same: {by_reason[_SILENT]}. Draw from keras.random in them."
        )
    notes = []
    if by_reason[_UNREACHED]:
        notes.append(
            f"Selected but never reached, so not sampled: {by_reason[_UNREACHED]}. {_GATED}"
        )
    if by_reason[_SILENT]:
        notes.append(
            f"Selected, but no noise of theirs reaches the outputs: {by_reason[_SILENT]}. Their "
            "rate may be 1, their result unused, or they draw from elsewhere than keras.random."
        )
    fixed = [
        leaf.info.path
        for leaf in leaves
        if leaf.info.selected and leaf.ordinal not in idle and draws_in_python(leaf.layer)
    ]
    if fixed:
        notes.append(
            f"The code of {', '.join(fixed)} may draw random numbers of NumPy's or Python's, which "
            "are the same in all passes. Draw from keras.random there."
        )
    always = sorted({place.path for place in places if not place.owners})
    if always:
        notes.append(f"Random in every pass, whatever `layers` says: {', '.join(always)}.")
    kinds = sorted({kind for op in own for kind in inspection.random_types(op)})
    if kinds:
        notes.append(
            f"The model draws random numbers with TensorFlow operations ({', '.join(kinds)}) that "
            "mcdrop does not control: results may not be reproducible. Use keras.random there."
        )
    return tuple(notes)


def _elements(tensor: Tensor) -> float:
    return inspection.row_bytes(tensor) / max(tensor.dtype.size, 1)


def _repeated(crossing: Crossing, value: Tensor, count: Tensor) -> Tensor:
    """Returns what crosses into a stage, once for each of its passes, passes outermost."""
    if crossing.kind == SOURCE:
        return value
    if crossing.kind == SIZES:
        return tf.concat([value[:1] * tf.cast(count, value.dtype), value[1:]], axis=0)
    ones = [1] * (value.shape.rank - 1)
    return tf.ensure_shape(tf.tile(value, [count, *ones]), [None, *value.shape[1:]])


def _sizes_of_rows(sizes: Tensor, count: Tensor) -> Tensor:
    """Returns the shape that a tensor of rows has for `count` examples."""
    return tf.concat([tf.cast(count, sizes.dtype)[None], sizes[1:]], axis=0)


def _by_pass(rows: Tensor, passes: Tensor, examples: Tensor) -> Tensor:
    """Turns (F * E, ...) into (F, E, ...)."""
    sizes = tf.stack([tf.shape(passes)[0], tf.shape(examples)[0]])
    return tf.reshape(rows, tf.concat([sizes, tf.shape(rows)[1:]], axis=0))


def _flatten_draws(stacked: Tensor) -> Tensor:
    """Turns (n, F, E, ...) into (n * F, E, ...)."""
    sizes = tf.shape(stacked)
    return tf.reshape(stacked, tf.concat([[sizes[0] * sizes[1]], sizes[2:]], axis=0))


def _for_each(
    compute: Callable[[Tensor], list[Tensor]], count: Tensor, kinds: Sequence[tuple[Any, Any]]
) -> list[Tensor]:
    """Returns the outputs of a function of 0, ..., count - 1, each stacked on a new axis 0."""
    arrays = [
        tf.TensorArray(dtype, size=count, element_shape=[None, None, *shape])
        for dtype, shape in kinds
    ]

    def body(index: Tensor, arrays: list[Any]) -> tuple[Tensor, list[Any]]:
        outputs = compute(index)
        return index + 1, [a.write(index, o) for a, o in zip(arrays, outputs, strict=True)]

    _, arrays = tf.while_loop(
        lambda index, *_: index < count,
        body,
        (tf.constant(0), arrays),
        parallel_iterations=_parallel_slices(),
    )
    return [array.stack() for array in arrays]


def _join_slices(stacked: Tensor) -> Tensor:
    """Turns (slices, F, E, ...) into (F, slices * E, ...)."""
    sizes = tf.shape(stacked)
    shape = tf.concat([sizes[1:2], sizes[:1] * sizes[2:3], sizes[3:]], axis=0)
    return tf.reshape(tf.transpose(stacked, [1, 0, *range(2, stacked.shape.rank)]), shape)


def _parallel_slices() -> int:
    """Two slices at a time let one core draw masks while another multiplies."""
    return min(4, os.cpu_count() or 1)
