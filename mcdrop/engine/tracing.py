"""Tracing a model into a program: a prefix that runs once and a suffix that runs once a pass.

A program is traced with an open batch axis. Its suffix folds several passes of several
examples into that axis; a compiled loop walks over the examples of a chunk in slices that
stay in the processor's cache.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from keras.src.backend import get_keras_mask, set_keras_mask

from mcdrop.engine import inspection
from mcdrop.engine.audit import Leaf
from mcdrop.engine.folding import find_folds, run_fold
from mcdrop.engine.graph import Flattened, Step, cut, flatten, stochastic_steps
from mcdrop.engine.intercept import stochastic_scope
from mcdrop.engine.masks import Rows
from mcdrop.engine.redirect import Draws
from mcdrop.engine.shadow import in_data_type
from mcdrop.errors import ModelError, ModelWarning

Tensor = Any

_WIDE_ROW_BYTES = 16 * 2**20
"""Above this size of a tensor for one row, 16 passes at once would fill memory for no gain."""

_GATED = (
    "If a layer, or the model itself, calls its dropout only `if training`, mcdrop.register "
    "its class."
)


@dataclass(frozen=True)
class Settings:
    """How passes are drawn; see `MCDropout`."""

    shared: bool = False
    balanced: bool = False
    compute_dtype: str | None = None
    jit_compile: bool = False
    compiled_masks: bool = True


@dataclass(frozen=True)
class Program:
    """A traced model.

    Attributes:
        begin: Inputs to frontier and deterministic outputs.
        run: Frontier to passes; see `_compile_loop`.
        pack: Arranges flat outputs in the model's own structure.
        one_pass: A step holds one pass only, because noise was drawn for no example, or because
            one row is large.
        folded: Shared masks are applied to weights, so a step wants many examples.
        row_bytes: Largest tensor of the suffix for one row.
        example_bytes: Largest tensor of the prefix, and all of the frontier, for one example.
        output_bytes: Outputs of one pass of one example.
        unreached: Selected layers that the suffix never ran.
        notes: What the user should know about the graph.
    """

    begin: Any
    run: Any
    pack: Any
    one_pass: bool
    folded: bool
    row_bytes: int
    example_bytes: int
    output_bytes: int
    unreached: tuple[Leaf, ...]
    notes: tuple[str, ...]


def compile_program(
    model: Any,
    leaves: tuple[Leaf, ...],
    settings: Settings,
    specs: Sequence[tf.TensorSpec],
    structure: Any,
) -> Program:
    """Traces a program, again with an earlier cut when the prefix is random or mixes examples.

    Args:
        model: The model.
        leaves: Its stochastic layers.
        settings: How passes are drawn.
        specs: Shapes and types of the flat inputs, their batch axes open.
        structure: How the inputs are nested.

    Raises:
        ModelError: No selected layer was reached, the model changes variables, or balanced
            masks are asked for where a step holds one pass.
    """
    selected = {id(leaf.layer) for leaf in leaves if leaf.info.selected}
    flattened = flatten(model, selected, structure)
    stochastic = stochastic_steps(flattened, selected)
    while True:
        tracer = _Tracer(model, leaves, settings, flattened, stochastic)
        begin = tracer.trace_begin(specs)
        inspection.check_no_assignment(begin.graph)
        misplaced = (tracer.random_steps | tracer.regrouping_steps(begin, specs)) - stochastic
        if not misplaced:
            break
        stochastic |= misplaced
    step = tracer.trace_step(begin, one_pass=False)
    if tracer.draws.single_pass and settings.balanced:
        raise ModelError(
            "A layer draws noise for no particular example, on weights say, which takes one pass "
            "at a time; balanced masks need all passes at once. Leave `balanced` out."
        )
    wide = inspection.largest_row(step.graph) > _WIDE_ROW_BYTES and not settings.balanced
    one_pass = tracer.draws.single_pass or wide
    if one_pass:
        step = tracer.trace_step(begin, one_pass=True)
    return _finish(tracer, begin, step, one_pass=one_pass)


class _Tracer:
    """Traces the two halves of a cut model and keeps what the traces found out."""

    def __init__(
        self,
        model: Any,
        leaves: tuple[Leaf, ...],
        settings: Settings,
        flattened: Flattened,
        stochastic: set[int],
    ) -> None:
        self.model = model
        self.leaves = leaves
        self.settings = settings
        self.flattened = flattened
        self.cut = cut(flattened, stochastic)
        self.folds = (
            find_folds(flattened, self.cut, leaves, static=settings.jit_compile)
            if settings.shared
            else {}
        )
        self.draws = Draws(None)
        self.random_steps: set[int] = set()
        self.structure: Any = None
        self._masked: list[int] = []

    def trace_begin(self, specs: Sequence[tf.TensorSpec]) -> Any:
        """Traces inputs -> (frontier with its masks, deterministic outputs)."""

        def begin(*inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
            draws = Draws(None)
            values: dict[int, Any] = dict(enumerate(inputs))
            with stochastic_scope(self.model, self.leaves, draws):
                marks = self._run(self.cut.prefix, values, draws)
                frontier = [values[ref] for ref in self.cut.frontier]
                found = [get_keras_mask(value) for value in frontier]
                self._masked = [i for i, mask in enumerate(found) if mask is not None]
                marks += self._run(self.cut.suffix, values, draws)
                outputs = self._collect(values)
            graph = tf.compat.v1.get_default_graph()
            seen = {step for step in draws.foreign if step is not None}
            self.random_steps = seen | inspection.random_steps(graph, marks)
            return [*frontier, *(found[i] for i in self._masked)], outputs

        return tf.function(begin, autograph=False).get_concrete_function(*specs)

    def regrouping_steps(self, begin: Any, specs: Sequence[tf.TensorSpec]) -> set[int]:
        """Returns the steps of the prefix that hand over tensors without one row an example.

        Found by running it on one example of zeros; a fixed axis 0 is no batch either.
        """
        one = [tf.zeros([1, *(size or 1 for size in spec.shape[1:])], spec.dtype) for spec in specs]
        pairs = zip(begin(*one)[0], begin.structured_outputs[0], strict=True)
        rowwise = [value.shape[:1] == [1] and kind.shape[0] is None for value, kind in pairs]
        wrong = {ref for ref, fine in zip(self.cut.frontier, rowwise, strict=False) if not fine}
        return {index for index, step in self.cut.prefix if wrong.intersection(step.outputs)}

    def trace_step(self, begin: Any, *, one_pass: bool) -> Any:
        """Traces (seed, examples, passes, *frontier) -> outputs of shape (F * E, ...)."""

        def step(seed: Tensor, examples: Tensor, passes: Tensor, *frontier: Tensor) -> list[Tensor]:
            rows = Rows(
                seed,
                examples,
                passes,
                shared=self.settings.shared,
                balanced=self.settings.balanced,
                one_pass=one_pass,
                compiled=self.settings.compiled_masks,
            )
            self.draws = Draws(rows)
            held = _Frontier(self.cut.frontier, frontier, self._masked, tf.shape(passes)[0])
            with stochastic_scope(self.model, self.leaves, self.draws):
                values = held.values
                self._run_suffix(values, held, rows)
                for ref in set(self.flattened.outputs) & set(self.cut.frontier):
                    values[ref] = held.repeated(ref)
                return self._collect(values)

        vector = tf.TensorSpec([None], tf.uint32)
        specs = [tf.TensorSpec([2], tf.uint32), vector, vector]
        specs += [tf.TensorSpec(t.shape, t.dtype) for t in begin.structured_outputs[0]]
        compiled = tf.function(step, autograph=False, jit_compile=self.settings.jit_compile or None)
        return compiled.get_concrete_function(*specs)

    def _run(
        self, steps: tuple[tuple[int, Step], ...], values: dict[int, Any], draws: Draws
    ) -> list[tuple[int, int]]:
        """Runs steps, and returns how many operations the graph had after each."""
        graph = tf.compat.v1.get_default_graph()
        marks = []
        for index, step in steps:
            draws.step = index
            self._store(values, step, step.run(values, step.operation))
            marks.append((index, len(graph.get_operations())))
        draws.step = None
        return marks

    def _run_suffix(self, values: dict[int, Any], held: _Frontier, rows: Rows) -> None:
        """Runs the suffix for several passes of what is held of the frontier."""
        skipped = {index for fold in self.folds.values() for index in fold.skipped}
        for index, step in self.cut.suffix:
            self.draws.step = index
            operation = in_data_type(step.operation, self._step_type(step))
            if index in self.folds:
                fold = self.folds[index]
                inputs = held.single(fold.source)
                values[fold.target] = run_fold(fold, operation, inputs, self.draws, rows)
            elif index not in skipped:
                view = held.view(step, self.draws, self._repeats(step))
                self._store(values, step, step.run(view, operation))
        self.draws.step = None

    def _store(self, values: dict[int, Any], step: Step, outputs: Any) -> None:
        """Keeps what a step returned: the model's own structure from an opaque model."""
        if self.flattened.pack is not None:
            values.update(zip(step.outputs, outputs, strict=True))
            return
        self.structure = tree.map_structure(lambda _: 0, outputs)
        values.update({-1 - i: value for i, value in enumerate(tree.flatten(outputs))})

    def _step_type(self, step: Step) -> str | None:
        """Returns the type a step computes in: outputs of the model stay as they are."""
        is_output = set(step.outputs) & set(self.flattened.outputs)
        return None if is_output else self.settings.compute_dtype

    def _repeats(self, step: Step) -> bool:
        """Whether a step is a dropout that can give every pass its own mask of one input."""
        return any(
            leaf.layer is step.operation and leaf.info.selected and leaf.info.rate < 1.0
            for leaf in self.leaves
        ) and inspection.is_keras_dropout(step.operation)

    def _collect(self, values: dict[int, Any]) -> list[Tensor]:
        """Returns the flat outputs, half precision widened."""
        references = self.flattened.outputs
        if self.flattened.pack is None:
            references = tuple(sorted((ref for ref in values if ref < 0), reverse=True))
        return [_widen(values[ref]) for ref in references]


class _Frontier:
    """The frontier inside the suffix: repeated for every pass only where a step needs it so."""

    def __init__(
        self,
        references: tuple[int, ...],
        tensors: Sequence[Tensor],
        masked: list[int],
        num_passes: Tensor,
    ) -> None:
        self.values: dict[int, Any] = {}
        self._single = dict(zip(references, tensors[: len(references)], strict=True))
        self._masks = {
            references[i]: mask for i, mask in zip(masked, tensors[len(references) :], strict=True)
        }
        self._num_passes = num_passes
        self._repeated: dict[int, Tensor] = {}

    def single(self, reference: int) -> Tensor:
        """Returns a frontier tensor as it is, shape (E, ...)."""
        return self._single[reference]

    def view(self, step: Step, draws: Draws, repeats: bool) -> dict[int, Any]:
        """Returns the values of a step's inputs."""
        crossing = [ref for ref in step.inputs if ref in self._single]
        if repeats and len(crossing) == 1 and crossing[0] not in self._masks:
            draws.repeat = True
            return {crossing[0]: self._single[crossing[0]]}
        return self.values | {ref: self.repeated(ref) for ref in crossing}

    def repeated(self, reference: int) -> Tensor:
        """Returns a frontier tensor once for every pass, passes outermost."""
        if reference not in self._repeated:
            tensor = self._tile(self._single[reference])
            if reference in self._masks:
                set_keras_mask(tensor, self._tile(self._masks[reference]))
            self._repeated[reference] = tensor
        return self._repeated[reference]

    def _tile(self, tensor: Tensor) -> Tensor:
        ones = [1] * (tensor.shape.rank - 1)
        tiled = tf.tile(tensor, [self._num_passes, *ones])
        return tf.ensure_shape(tiled, [None, *tensor.shape[1:]])


def _finish(tracer: _Tracer, begin: Any, step: Any, *, one_pass: bool) -> Program:
    """Checks what was traced, and puts the loop around it."""
    inspection.check_no_assignment(step.graph)
    unreached = tuple(
        leaf
        for leaf in tracer.leaves
        if leaf.info.selected and not tracer.draws.calls[leaf.ordinal]
    )
    notes = _notes(tracer, unreached, step)
    frontier, outputs = begin.structured_outputs
    pack = tracer.flattened.pack
    if pack is None:
        structure = tracer.structure
        pack = lambda flat: tree.pack_sequence_as(structure, flat)  # noqa: E731
    return Program(
        begin=begin,
        run=_compile_loop(step),
        pack=pack,
        one_pass=one_pass,
        folded=bool(tracer.folds),
        row_bytes=inspection.largest_row(step.graph),
        example_bytes=inspection.largest_row(begin.graph)
        + sum(inspection.row_bytes(tensor) for tensor in frontier),
        output_bytes=sum(inspection.row_bytes(tensor) for tensor in outputs),
        unreached=unreached,
        notes=notes,
    )


def _notes(tracer: _Tracer, unreached: tuple[Leaf, ...], step: Any) -> tuple[str, ...]:
    """Words what the trace found, warns of it, and refuses a model in which nothing samples."""
    selected = [leaf for leaf in tracer.leaves if leaf.info.selected]
    names = ", ".join(leaf.info.path for leaf in unreached)
    if len(unreached) == len(selected):
        raise ModelError(
            f"None of the selected layers was reached when the model ran: {names}. {_GATED}"
        )
    notes = []
    if unreached:
        notes.append(f"Selected but never reached, so not sampled: {names}. {_GATED}")
    if tracer.draws.foreign:
        steps = [tracer.flattened.steps[i] for i in tracer.draws.foreign if i is not None]
        always = ", ".join(sorted({step.operation.name for step in steps}))
        notes.append(f"Random in every pass, whatever `layers` says: {always}.")
    kinds = inspection.uncontrolled_random_operations(step.graph)
    if not kinds and not tracer.draws.drew:
        names = ", ".join(leaf.info.path for leaf in selected)
        raise ModelError(
            f"The selected layers drew no noise, so every pass would be the same: {names}. Draw "
            "from keras.random in them."
        )
    if kinds:
        notes.append(
            f"The model draws random numbers with TensorFlow operations ({', '.join(kinds)}) that "
            "mcdrop does not control: results may not be reproducible. Use keras.random there."
        )
    for note in notes:
        warnings.warn(note, ModelWarning, stacklevel=2)
    return tuple(notes)


def _compile_loop(step: Any) -> Any:
    """Compiles the loop over slices of a chunk's examples.

    The function takes seed (2,), examples (n,), their positions (n,) in the frontier, passes
    (F,), the number of examples in a slice, and the frontier. It returns outputs of shape
    (F, m, ...), m >= n: the last slice is filled up with copies of the last example.
    """
    kinds = [(tensor.dtype, tensor.shape[1:]) for tensor in step.structured_outputs]

    def run(
        seed: Tensor,
        examples: Tensor,
        positions: Tensor,
        passes: Tensor,
        width: Tensor,
        *frontier: Tensor,
    ) -> list[Tensor]:
        count = tf.shape(examples)[0]
        num_slices = (count + width - 1) // width
        num_passes = tf.shape(passes)[0]
        arrays = [
            tf.TensorArray(dtype, size=num_slices, element_shape=[None, None, *shape])
            for dtype, shape in kinds
        ]

        def body(index: Tensor, arrays: list[Any]) -> tuple[Tensor, list[Any]]:
            slots = tf.minimum(index * width + tf.range(width), count - 1)
            at = tf.gather(positions, slots)
            outputs = step(
                seed, tf.gather(examples, slots), passes, *[tf.gather(t, at) for t in frontier]
            )
            folded = [
                tf.reshape(o, tf.concat([[num_passes, width], tf.shape(o)[1:]], axis=0))
                for o in outputs
            ]
            return index + 1, [a.write(index, f) for a, f in zip(arrays, folded, strict=True)]

        _, arrays = tf.while_loop(
            lambda index, *_: index < num_slices,
            body,
            (tf.constant(0), arrays),
            parallel_iterations=_parallel_slices(),
        )
        return [_join_slices(array.stack(), num_passes) for array in arrays]

    vector = tf.TensorSpec([None], tf.uint32)
    specs = [
        tf.TensorSpec([2], tf.uint32),
        vector,
        tf.TensorSpec([None], tf.int32),
        vector,
        tf.TensorSpec([], tf.int32),
        *[tf.TensorSpec(t.shape, t.dtype) for t in step.inputs[3 : 3 + _num_frontier(step)]],
    ]
    return tf.function(run, autograph=False).get_concrete_function(*specs)


def _num_frontier(step: Any) -> int:
    """Returns how many tensors a traced step takes behind seed, examples and passes."""
    return len(step.structured_input_signature[0]) - 3


def _join_slices(stacked: Tensor, num_passes: Tensor) -> Tensor:
    """Turns (slices, F, E, ...) into (F, slices * E, ...)."""
    order = [1, 0, *range(2, stacked.shape.rank)]
    shape = tf.concat([[num_passes, -1], tf.shape(stacked)[3:]], axis=0)
    return tf.reshape(tf.transpose(stacked, order), shape)


def _parallel_slices() -> int:
    """Two slices at a time let one core draw masks while another multiplies."""
    return min(4, os.cpu_count() or 1)


def _widen(tensor: Tensor) -> Tensor:
    """Returns half precision outputs as float32, in which statistics are made."""
    if not tf.is_tensor(tensor):
        raise ModelError(
            f"The model returns a {type(tensor).__name__} among its outputs, expected tensors only."
        )
    narrow = keras.backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return tf.cast(tensor, tf.float32) if narrow else tensor
