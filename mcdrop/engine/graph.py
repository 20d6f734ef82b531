"""A model as a list of steps, cut where the first chosen stochastic layer makes a difference.

Functional and Sequential models are flattened; nested ones that hold a selected layer are
inlined. Steps that no stochastic step feeds form the prefix, which runs once; the rest is
the suffix, which runs once a pass. The tensors that cross the cut are the frontier. A model
with a `call` of its own is one opaque step, all of it suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from mcdrop.engine.costs import multiplications
from mcdrop.engine.functional import graph_of, is_plain

Layer = Any
Reference = int
Values = dict[Reference, Any]


@dataclass(frozen=True)
class Step:
    """One operation of a flattened model.

    Attributes:
        operation: The Keras operation, or the model whose inputs the step standardizes.
        inputs: References of the tensors it reads.
        outputs: References of the tensors it makes.
        run: Computes the flat outputs from the values of the inputs with an operation, which
            is the step's own or a copy of it that computes in another data type.
        multiplications: Estimated multiply-accumulates for one example.
        rank: Number of axes of the first output, 0 when unknown.
    """

    operation: Any
    inputs: tuple[Reference, ...]
    outputs: tuple[Reference, ...]
    run: Callable[[Values, Any], Any]
    multiplications: float = 0.0
    rank: int = 0


@dataclass(frozen=True)
class Flattened:
    """A model as steps in topological order; references 0 to len(inputs) - 1 are its inputs.

    Attributes:
        steps: The steps.
        num_inputs: Number of flat inputs.
        outputs: References of the flat outputs; empty when the model is opaque, whose one
            step returns them all and whose output structure is known only after tracing.
        pack: Arranges the flat outputs in the model's own output structure.
    """

    steps: tuple[Step, ...]
    num_inputs: int
    outputs: tuple[Reference, ...]
    pack: Callable[[list[Any]], Any] | None


@dataclass(frozen=True)
class Cut:
    """A flattened model, cut into the prefix and the suffix.

    Attributes:
        prefix: Steps that run once.
        suffix: Steps that run once a pass, each with its index in the flattened model.
        frontier: References that the suffix or the outputs need from the prefix.
    """

    prefix: tuple[tuple[int, Step], ...]
    suffix: tuple[tuple[int, Step], ...]
    frontier: tuple[Reference, ...]

    @property
    def share_run_once(self) -> float:
        """Share of the model's estimated multiply-accumulates that runs once, in [0, 1]."""
        once = sum(step.multiplications for _, step in self.prefix)
        total = once + sum(step.multiplications for _, step in self.suffix)
        return once / total if total else 0.0


def flatten(model: Layer, selected: Collection[int], structure: Any) -> Flattened:
    """Returns the steps of a model.

    Args:
        model: A built model.
        selected: `id`s of the layers that sample; nested models that hold one are inlined.
        structure: Inputs as the user nests them, to flatten and pack by.
    """
    builder = _Builder(frozenset(selected))
    inputs = [builder.new_reference() for _ in tree.flatten(structure)]
    if not is_plain(model):
        return Flattened((_opaque_step(model, inputs, structure),), len(inputs), (), None)
    outputs = builder.inline(
        model, inputs, lambda values: tree.pack_sequence_as(structure, [values[i] for i in inputs])
    )
    pattern = graph_of(model)._outputs_struct
    return Flattened(
        tuple(builder.steps),
        len(inputs),
        tuple(outputs),
        lambda flat: tree.pack_sequence_as(pattern, flat),
    )


def cut(flattened: Flattened, stochastic: Collection[int]) -> Cut:
    """Cuts a flattened model behind everything that no stochastic step feeds.

    Args:
        flattened: The model.
        stochastic: Indices of the steps that hold a selected layer or are always random.
    """
    tainted: set[Reference] = set()
    suffix = []
    for index, step in enumerate(flattened.steps):
        if index in stochastic or tainted.intersection(step.inputs):
            suffix.append((index, step))
            tainted.update(step.outputs)
    wanted = {ref for _, step in suffix for ref in step.inputs} | set(flattened.outputs)
    frontier = tuple(sorted(wanted - tainted))
    needed, prefix = set(frontier), []
    in_suffix = {index for index, _ in suffix}
    for index, step in reversed(list(enumerate(flattened.steps))):
        if index not in in_suffix and needed.intersection(step.outputs):
            prefix.append((index, step))
            needed.update(step.inputs)
    return Cut(tuple(reversed(prefix)), tuple(suffix), frontier)


def stochastic_steps(flattened: Flattened, selected: Collection[int]) -> set[int]:
    """Returns the indices of the steps that are, or contain, a selected layer."""
    return {
        index
        for index, step in enumerate(flattened.steps)
        if any(id(layer) in selected for layer in _layers_of(step.operation))
    }


class _Builder:
    """Collects steps while walking the Functional graph and the graphs nested in it."""

    def __init__(self, selected: frozenset[int]) -> None:
        self.steps: list[Step] = []
        self._selected = selected
        self._count = 0

    def new_reference(self) -> Reference:
        self._count += 1
        return self._count - 1

    def inline(
        self, model: Layer, inputs: list[Reference], gather: Callable[[Values], Any]
    ) -> list[Reference]:
        """Adds the steps of a plain model; `gather` nests its inputs as they were passed."""
        graph = graph_of(model)
        entries = [self.new_reference() for _ in graph._inputs]

        def standardize(values: Values, _: Any) -> list[Any]:
            return list(graph._standardize_inputs(gather(values)))

        self.steps.append(Step(None, tuple(inputs), tuple(entries), standardize))
        scope = {id(tensor): ref for tensor, ref in zip(graph._inputs, entries, strict=True)}
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.operation is not None and not node.is_input:
                    self._add_node(node, scope)
        return [scope[id(tensor)] for tensor in graph._outputs]

    def _add_node(self, node: Any, scope: dict[int, Reference]) -> None:
        arguments = {id(tensor): scope[id(tensor)] for tensor in node.arguments.keras_tensors}
        inputs = list(dict.fromkeys(arguments.values()))

        def fill(values: Values) -> tuple[tuple[Any, ...], dict[str, Any]]:
            filled: tuple[tuple[Any, ...], dict[str, Any]] = node.arguments.fill_in(
                {key: values[ref] for key, ref in arguments.items()}
            )
            return filled

        operation = node.operation
        if self._can_inline(node):
            outputs = self.inline(operation, inputs, lambda values: fill(values)[0][0])
        else:
            outputs = [self.new_reference() for _ in node.outputs]
            run = _runner(fill)
            cost = multiplications(node)
            rank = len(node.outputs[0].shape)
            self.steps.append(Step(operation, tuple(inputs), tuple(outputs), run, cost, rank))
        scope.update({id(tensor): ref for tensor, ref in zip(node.outputs, outputs, strict=True)})

    def _can_inline(self, node: Any) -> bool:
        operation = node.operation
        if not is_plain(operation) or len(node.arguments.args) != 1:
            return False
        masks = node.arguments.kwargs.get("mask")
        only_flags = set(node.arguments.kwargs) <= {"mask", "training"}
        holds = any(id(layer) in self._selected for layer in operation._flatten_layers())
        return only_flags and holds and all(mask is None for mask in tree.flatten(masks))


def _opaque_step(model: Layer, inputs: list[Reference], structure: Any) -> Step:
    """Returns the step that calls a whole model; it returns the model's structure, not a list."""

    def run(values: Values, operation: Any) -> Any:
        packed = tree.pack_sequence_as(structure, [values[ref] for ref in inputs])
        return operation(packed, training=False)

    return Step(model, tuple(inputs), (), run, 1.0)


def _runner(
    fill: Callable[[Values], tuple[tuple[Any, ...], dict[str, Any]]],
) -> Callable[[Values, Any], Any]:
    """Returns a function that calls one operation in inference, whatever its node recorded."""

    def run(values: Values, operation: Any) -> list[Any]:
        args, kwargs = fill(values)
        if isinstance(operation, keras.layers.Layer):
            kwargs = {**kwargs, "training": False}
        outputs: list[Any] = tree.flatten(operation(*args, **kwargs))
        return outputs

    return run


def _layers_of(operation: Any) -> list[Layer]:
    return operation._flatten_layers() if isinstance(operation, keras.layers.Layer) else []
