"""Sampling: programs for inputs of every shape, and how many rows they run at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree
from numpy.typing import NDArray

from mcdrop.engine import describe, mixing
from mcdrop.engine.audit import Leaf
from mcdrop.engine.intercept import LOCK
from mcdrop.engine.masks import BLOCK, split_seed
from mcdrop.engine.program import Program, compile_program
from mcdrop.engine.stages import Plan
from mcdrop.engine.tracing import Settings
from mcdrop.errors import ModelError

Tensor = Any
Array = NDArray[Any]

# The largest tensor of a slice: large products run at full speed, and still mostly in the cache.
_CPU_SLICE_BYTES = 32 * 2**20
# Passes of one call: more would save nothing and hold more outputs.
_MOST_PASSES = 4 * BLOCK
_GPU_SLICE_BYTES = 512 * 2**20
_FOLDED_WIDTH = 1024
# Masks of one shape after which XLA, quicker by some 7 ns a mask, has earned the 0.2 s that it
# takes to compile for that shape; before, and beyond so many shapes, graph mode draws them.
_WORTH_COMPILING = 2**25
_MOST_COMPILED = 8
_MOST_COUNTED = 1000
_CHUNK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Chunk:
    """What the prefix computed for some examples.

    Attributes:
        frontier: Tensors that the suffix starts from, each with the examples on axis 0.
        deterministic: The model's flat outputs with dropout off.
    """

    frontier: list[Tensor]
    deterministic: list[Array]


class Sampler:
    """Runs the passes of one model; programs are traced when inputs of a new shape appear."""

    def __init__(
        self, model: Any, leaves: tuple[Leaf, ...], settings: Settings, device: str | None = None
    ) -> None:
        self.settings = settings
        self._model = model
        self._leaves = leaves
        self._device = device
        self._programs: dict[Any, Program] = {}
        self._seen_apart: set[Program] = set()
        self._audited: dict[Any, Program] = {}
        self._folded_width = _FOLDED_WIDTH
        self._slice_bytes = (
            _GPU_SLICE_BYTES if tf.config.list_physical_devices("GPU") else _CPU_SLICE_BYTES
        )

    def program(self, inputs: Sequence[Array], structure: Any) -> Program:
        """Returns the program for flat inputs like these, nested like `structure`."""
        specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in inputs]
        key = _key(specs, structure)
        with LOCK:
            if key not in self._programs:
                with tf.device(self._device):
                    self._programs[key] = compile_program(
                        self._model,
                        self._leaves,
                        self.settings,
                        specs,
                        structure,
                        inputs,
                        traced=self._audited.get(key),
                    )
            return self._programs[key]

    def audited_program(self, model: Any) -> Program | None:
        """Returns a program for the audit: of data seen, or of the inputs that a model declares.

        None when neither is there, or the model cannot be traced without data.
        """
        with LOCK:
            if self._programs:
                return next(iter(self._programs.values()))
            declared = describe.declared_inputs(model)
            if declared is None:
                return None
            key = _key(*declared)
            if key not in self._audited:
                with (
                    suppress(ModelError),  # said when there is data
                    tf.device(self._device),
                    describe.model_errors("The model fails"),
                ):
                    self._audited[key] = compile_program(
                        self._model, self._leaves, self.settings, *declared, quiet=True
                    )
            return self._audited.get(key)

    def chunk_size(self, plan: Plan) -> int:
        """Returns how many examples to hold at once, by what they occupy."""
        program, num_samples = plan.program, plan.levels[0]
        together = self.passes_at_once(program, num_samples)
        width = self._width(program, num_samples)
        if self.settings.nested:
            width, together = 1, 2 * self.draws_at_once(plan) * plan.inner
        held = program.example_bytes + together * program.output_bytes
        fitting = max(1, min(1024, _CHUNK_BYTES // max(held, 1)))
        return max(width, fitting // width * width)

    def passes_at_once(self, program: Program, num_samples: int) -> int:
        """Returns how many passes one call of `sample` computes."""
        rows = self._rows(program)
        if program.one_pass:
            return 1
        if program.folded and not self.settings.balanced:
            return min(num_samples, BLOCK)
        if self.settings.balanced:
            return num_samples
        most = min(max(rows, BLOCK), _MOST_PASSES)
        return num_samples if num_samples <= most else most // BLOCK * BLOCK

    def check_apart(self, program: Program, inputs: Sequence[Array]) -> None:
        """Raises ModelError when examples of these inputs come out otherwise in other batches.

        It is looked at once, and once more after a batch of one example, which has no others.
        """
        if program in self._seen_apart:
            return
        if mixing.may_mix(self._model):
            with tf.device(self._device):
                mixing.check_apart(self._model, program, inputs, balanced=self.settings.balanced)
        if len(inputs[0]) > 1:
            self._seen_apart.add(program)

    def begin(self, program: Program, inputs: Sequence[Array]) -> Chunk:
        """Runs the prefix and the deterministic suffix on some examples."""
        with tf.device(self._device):
            frontier, outputs = program.begin(*[tf.convert_to_tensor(value) for value in inputs])
        return Chunk(list(frontier), [output.numpy() for output in outputs])

    def sample(
        self,
        program: Program,
        chunk: Chunk,
        *,
        seed: int,
        examples: NDArray[np.int64],
        positions: NDArray[np.int64],
        passes: range,
    ) -> list[Array]:
        """Runs some passes of some examples of a chunk.

        Args:
            program: The program that made the chunk.
            chunk: The chunk.
            seed: The user's seed.
            examples: Number of each example in the whole data, shape (n,).
            positions: Position of each example in the chunk, shape (n,).
            passes: Consecutive passes, from a multiple of `BLOCK` unless it is one pass.

        Returns:
            The flat outputs, each of shape (passes, n, ...).
        """
        width = min(self._width(program, len(passes)), len(examples))
        with tf.device(self._device):
            outputs = program.run(
                *_numbers(seed, examples, positions),
                tf.constant(np.asarray(passes, np.uint32)),
                tf.constant(width, tf.int32),
                *chunk.frontier,
                compiled=self._pays(program, (width, len(passes)), len(examples) * len(passes)),
            )
        return [output.numpy()[:, : len(examples)] for output in outputs]

    def sample_nested(
        self,
        plan: Plan,
        chunk: Chunk,
        *,
        seed: int,
        examples: NDArray[np.int64],
        positions: NDArray[np.int64],
        draws: range,
    ) -> list[Array]:
        """Runs some draws of stage 1, and all that follow from them; see `sample`.

        Returns:
            The flat outputs, each of shape (len(draws) * passes of a draw, n, ...).
        """
        counts = len(draws), *plan.levels[1:]
        width = min(max(1, self._rows_at_once(plan) // len(draws)), len(examples))
        with tf.device(self._device):
            outputs = plan.program.nested(
                *_numbers(seed, examples, positions),
                tf.constant(draws.start, tf.uint32),
                tf.constant(counts, tf.int32),
                tf.constant(width, tf.int32),
                *chunk.frontier,
                starts=plan.starts,
                compiled=self._pays(plan.program, (width, *counts), len(examples) * len(draws)),
            )
        return [output.numpy()[:, : len(examples)] for output in outputs]

    def draws_at_once(self, plan: Plan) -> int:
        """Returns how many draws of stage 1 one call of `sample_nested` computes."""
        if self.settings.balanced:
            return plan.levels[0]
        return int(np.clip(self._rows_at_once(plan), 1, min(plan.levels[0], _MOST_PASSES)))

    def _rows_at_once(self, plan: Plan) -> int:
        """Returns how many draws of stage 1, of one example each, fit into a slice."""
        return self._slice_bytes // max(plan.row_bytes, 1)

    def portable_program(self, specs: Sequence[tf.TensorSpec], structure: Any) -> Program:
        """Returns a program of plain TensorFlow operations for inputs of these specs."""
        settings = replace(self.settings, compiled_masks=False, jit_compile=False)
        with LOCK:
            return compile_program(self._model, self._leaves, settings, specs, structure)

    def shrink(self, program: Program) -> None:
        """Halves the size of slices, after running out of memory.

        Raises:
            ModelError: A slice is one row already.
        """
        if self._slice_bytes < program.row_bytes:
            raise ModelError("A single pass of one example does not fit into memory.")
        self._slice_bytes //= 2
        self._folded_width = max(1, self._folded_width // 2)

    def _pays(self, program: Program, shape: tuple[int, ...], num_rows: int) -> bool:
        """Whether masks of this shape are drawn by XLA, which compiles for each shape.

        A server that is asked for many sizes would else wait for the compiler again and again,
        and keep all that it made.
        """
        masks = num_rows * max(program.row_bytes // 4, 1)
        program.masks_drawn[shape] += masks
        worth = program.masks_drawn[shape] >= _WORTH_COMPILING
        if worth and len(program.compiled_shapes) < _MOST_COMPILED:
            program.compiled_shapes.add(shape)
        if len(program.masks_drawn) > _MOST_COUNTED:
            program.masks_drawn.clear()
        return shape in program.compiled_shapes

    def _rows(self, program: Program) -> int:
        return int(np.clip(self._slice_bytes // max(program.row_bytes, 1), 1, 8192))

    def _width(self, program: Program, num_passes: int) -> int:
        """Returns how many examples share a slice with `num_passes` passes each."""
        if program.folded:
            return self._folded_width
        together = self.passes_at_once(program, num_passes)
        return max(1, self._rows(program) // together)


def _key(specs: Sequence[tf.TensorSpec], structure: Any) -> Any:
    """Returns what tells inputs apart that need programs of their own."""
    names = [path for path, _ in tree.flatten_with_path(structure)]
    shapes = [(tuple(spec.shape[1:]), spec.dtype) for spec in specs]
    return tuple(zip(names, shapes, strict=True))


def devices() -> list[str | None]:
    """Returns the GPUs to spread batches over; [None], TensorFlow's own choice, below two."""
    names = [device.name for device in tf.config.list_logical_devices("GPU")]
    return list(names) if len(names) > 1 else [None]


def _numbers(seed: int, examples: NDArray[np.int64], positions: NDArray[np.int64]) -> list[Any]:
    """Returns the seed, the numbers of examples and their positions as programs take them."""
    return [
        tf.constant(split_seed(seed), tf.uint32),
        tf.constant(examples.astype(np.uint32)),
        tf.constant(positions.astype(np.int32)),
    ]
