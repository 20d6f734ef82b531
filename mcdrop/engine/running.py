"""One call of `sample` or `predict`: data in, passes through the model, statistics out."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mcdrop.accumulation import PassAccumulator
from mcdrop.engine import describe
from mcdrop.engine.inputs import Batch, Inputs
from mcdrop.engine.masks import BLOCK
from mcdrop.engine.nonfinite import Watch
from mcdrop.engine.program import Program
from mcdrop.engine.progress import Progress, showing
from mcdrop.engine.sampling import Chunk, Sampler
from mcdrop.engine.stages import Plan, plan
from mcdrop.engine.tasks import Asked, OutputTask, resolve
from mcdrop.errors import ModelError
from mcdrop.prediction import Prediction, mark_dropped
from mcdrop.splitting import Splitting
from mcdrop.stopping import TwoLooks

Array = NDArray[Any]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """What `predict` was asked for beyond the passes themselves.

    Attributes:
        keep_samples: Whether to keep the passes.
        tolerance: The largest standard error of the mean, None to run all passes.
        drop: Whether rows with NaN or infinity are marked in place of raising an error.
    """

    keep_samples: bool
    tolerance: float | None
    drop: bool = False


class Run:
    """Runs the passes of some inputs on every device there is.

    Args:
        model: The wrapped model.
        samplers: One sampler for each device.
        inputs: The data.
        splitting: Draws of each stage; (T,) for ordinary passes.
        seed: The user's seed.
        batch_size: Examples held at once; None chooses by memory.
    """

    def __init__(
        self,
        model: Any,
        samplers: Sequence[Sampler],
        inputs: Inputs,
        splitting: Splitting,
        seed: int,
        batch_size: int | None,
    ) -> None:
        self._model = model
        self._inputs = inputs
        with describe.model_errors("The model fails on this data"):
            programs = [sampler.program(inputs.first, inputs.structure) for sampler in samplers]
        self._workers = [
            _Worker(sampler, inputs.structure, splitting, seed) for sampler in samplers
        ]
        self._program = programs[0]
        plan(programs[0], splitting)  # refuses counts that do not fit before anything runs
        self._batch_size = batch_size

    @property
    def program(self) -> Program:
        """The program of the first examples."""
        return self._program

    def pack(self, flat: list[Any]) -> Any:
        """Returns flat outputs in the model's own structure."""
        return self._program.pack(flat)

    def outputs(self, *, drop: bool) -> Iterator[list[Array]]:
        """Yields all passes of one batch after the other, flat outputs of shape (T, n, ...)."""

        def bound(worker: _Worker) -> Callable[[Batch], list[list[Array]]]:
            return lambda batch: worker.all_passes(batch, drop=drop)

        work = [bound(worker) for worker in self._workers]
        for parts in map_in_order(self._inputs.batches(self._size_of, finite=not drop), work):
            yield from parts

    def predictions(
        self, asked: Asked, options: Options, progress: Progress
    ) -> Iterator[dict[str, Prediction]]:
        """Yields the predictions of one batch after the other, by output name."""
        structure = self.pack([0] * len(self._program.output_specs))
        tasks = resolve(self._model, asked, structure)

        def bound(worker: _Worker) -> Callable[[Batch], list[dict[str, Prediction]]]:
            return lambda batch: worker.predict(batch, tasks, options)

        done = 0
        work = [bound(worker) for worker in self._workers]
        batches = self._inputs.batches(self._size_of, finite=not options.drop)
        with showing(progress) as report:
            for parts in map_in_order(batches, work):
                for predictions in parts:
                    yield predictions
                    done += len(next(iter(predictions.values())))
                    if report is not None:
                        report(done, self._inputs.num_examples)

    def _size_of(self, examples: list[Array]) -> int:
        """Returns how many examples of this shape to hold at once."""
        return self._batch_size or self._workers[0].chunk_size(examples)


class _Worker:
    """Runs batches on one device, each by the program for inputs of its shape."""

    def __init__(self, sampler: Sampler, structure: Any, splitting: Splitting, seed: int) -> None:
        self._sampler = sampler
        self._structure = structure
        self._splitting = splitting
        self._plans: dict[Program, Plan] = {}
        self._seed = seed

    def chunk_size(self, examples: list[Array]) -> int:
        """Returns how many examples of this shape fit into memory."""
        return self._sampler.chunk_size(self._plan(examples))

    def all_passes(self, batch: Batch, *, drop: bool) -> list[list[Array]]:
        """Returns the passes of a batch, for each of its parts that fit into memory."""
        return [self._stack_passes(part, chunk, drop) for part, chunk in self._chunks(batch)]

    def predict(
        self, batch: Batch, tasks: tuple[OutputTask, ...], options: Options
    ) -> list[dict[str, Prediction]]:
        """Returns the predictions of a batch, for each of its parts that fit into memory."""
        return [
            self._predict_chunk(part, chunk, tasks, options) for part, chunk in self._chunks(batch)
        ]

    def _program(self, examples: list[Array]) -> Program:
        with describe.model_errors("The model fails on this data"):
            return self._sampler.program([array[:1] for array in examples], self._structure)

    def _plan(self, examples: list[Array]) -> Plan:
        program = self._program(examples)
        if program not in self._plans:
            self._plans[program] = plan(program, self._splitting)
        return self._plans[program]

    def _chunks(self, batch: Batch) -> Iterator[tuple[Batch, Chunk]]:
        """Yields a batch with what the prefix made of it, in halves if memory runs out."""
        program = self._program(batch.arrays)
        try:
            with describe.model_errors("The model fails on this data"):
                self._sampler.check_apart(program, batch.arrays)
                chunk = self._sampler.begin(program, batch.arrays)
        except tf.errors.ResourceExhaustedError:
            if len(batch) == 1:
                raise ModelError("One example alone does not fit into memory.") from None
            for half in batch.split():
                yield from self._chunks(half)
            return
        yield batch, chunk

    def _passes(
        self, batch: Batch, chunk: Chunk, positions: NDArray[np.intp], draws: range, drawn: Plan
    ) -> Iterator[tuple[range, list[Array]]]:
        """Yields (passes, flat outputs) until all of `draws` are done, in blocks by memory.

        Draws are those of stage 1, of which each makes several passes where they share masks.
        """
        sampler, first = self._sampler, draws.start
        nested = len(drawn.levels) > 1
        common: dict[str, Any] = {
            "seed": self._seed,
            "examples": batch.numbers[positions],
            "positions": positions,
        }
        while first < draws.stop:
            if nested:
                count = sampler.draws_at_once(drawn)
            else:
                count = sampler.passes_at_once(drawn.program, len(draws))
            block = range(first, min(first + count, draws.stop))
            try:
                with describe.model_errors("The model fails on this data"):
                    if nested:
                        outputs = sampler.sample_nested(drawn, chunk, draws=block, **common)
                    else:
                        outputs = sampler.sample(drawn.program, chunk, passes=block, **common)
            except tf.errors.ResourceExhaustedError:
                sampler.shrink(drawn.program)
                continue
            yield range(block.start * drawn.inner, block.stop * drawn.inner), outputs
            first = block.stop

    def _stack_passes(self, batch: Batch, chunk: Chunk, drop: bool) -> list[Array]:
        positions = np.arange(len(batch))
        watch = Watch(batch, drop=drop)
        blocks, drawn = [], self._plan(batch.arrays)
        for output in chunk.deterministic:
            watch.outputs(output, positions)
        draws = range(drawn.splitting[0])
        for passes, outputs in self._passes(batch, chunk, positions, draws, drawn):
            blocks.append([watch.passes(output, positions, passes) for output in outputs])
        stacked = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        for output in stacked if watch.dropped.any() else ():
            if output.dtype.kind == "f":
                output[:, watch.dropped] = np.nan
        return stacked

    def _predict_chunk(
        self, batch: Batch, chunk: Chunk, tasks: tuple[OutputTask, ...], options: Options
    ) -> dict[str, Prediction]:
        """Samples a chunk until T passes are done, or each example's error is small enough."""
        drawn = self._plan(batch.arrays)
        num_draws = drawn.splitting[0]
        accumulators = [
            PassAccumulator(
                task.task,
                drawn.splitting,
                keep_samples=options.keep_samples,
                tolerance=options.tolerance,
            )
            for task in tasks
        ]
        watch = Watch(batch, drop=options.drop)
        off = [self._read_off(task, chunk, watch) for task in tasks]
        looks = TwoLooks(len(batch), options.tolerance or 0.0)
        active = np.arange(len(batch))
        stride = num_draws if options.tolerance is None else BLOCK
        for first in range(0, num_draws, stride):
            wanted = range(first, min(first + stride, num_draws))
            for passes, outputs in self._passes(batch, chunk, active, wanted, drawn):
                _accumulate(tasks, accumulators, outputs, passes, active, watch)
            if options.tolerance is not None:
                pairs = zip(accumulators, off, strict=True)
                errors = np.max([a.stopping_error(active, parts[0]) for a, parts in pairs], axis=0)
                more = looks.go_on(active, errors, wanted.stop) & ~watch.dropped[active]
                active = active[more]
            if not active.size:
                break
        return {
            task.name: self._finish(
                task, accumulator, *parts, batch.numbers, watch.dropped if options.drop else None
            )
            for task, accumulator, parts in zip(tasks, accumulators, off, strict=True)
        }

    def _read_off(self, task: OutputTask, chunk: Chunk, watch: Watch) -> tuple[Array, Array | None]:
        """Returns what a task reads of the outputs with dropout off."""
        rows = np.arange(len(watch.dropped))
        with np.errstate(invalid="ignore", over="ignore"):
            values, variances = task.read(chunk.deterministic, batch_axes=1)
        values = watch.outputs(values, rows)
        variances = None if variances is None else watch.outputs(variances, rows)
        task.check(values[~watch.dropped])
        return values, variances

    def _finish(
        self,
        task: OutputTask,
        accumulator: PassAccumulator,
        deterministic: Array,
        variance: Array | None,
        examples: NDArray[np.int64],
        dropped: Array | None,
    ) -> Prediction:
        prediction = accumulator.finish(
            deterministic,
            deterministic_variance=variance,
            masks="shared" if self._sampler.settings.shared else "independent",
            balanced=self._sampler.settings.balanced,
            gaussian_scale=task.gaussian_scale,
            examples=examples,
        )
        return prediction if dropped is None else mark_dropped(prediction, dropped)


def map_in_order(
    items: Iterable[Item], functions: Sequence[Callable[[Item], Result]]
) -> Iterator[Result]:
    """Applies equivalent functions, one a device, to items, and yields results in order.

    With one function everything stays on the calling thread. With more, each runs on a thread
    of its own, and at most two items a function wait.
    """
    if len(functions) == 1:
        yield from map(functions[0], items)
        return
    idle: queue.Queue[Callable[[Item], Result]] = queue.Queue()
    for function in functions:
        idle.put(function)

    def call(item: Item) -> Result:
        function = idle.get()
        try:
            return function(item)
        finally:
            idle.put(function)

    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(functions)) as pool:
        for item in items:
            pending.append(pool.submit(call, item))
            if len(pending) >= 2 * len(functions):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _accumulate(
    tasks: tuple[OutputTask, ...],
    accumulators: Sequence[PassAccumulator],
    outputs: list[Array],
    passes: range,
    rows: NDArray[np.intp],
    watch: Watch,
) -> None:
    for task, accumulator in zip(tasks, accumulators, strict=True):
        with np.errstate(invalid="ignore", over="ignore"):
            values, variances = task.read(outputs, batch_axes=2)
        values = watch.passes(values, rows, passes)
        variances = None if variances is None else watch.passes(variances, rows, passes)
        task.check(values[:, ~watch.dropped[rows]])
        accumulator.update(
            values,
            first_pass=passes.start,
            rows=rows,
            num_examples=len(watch.dropped),
            variances=variances,
        )
