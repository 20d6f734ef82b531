"""Every model is cut where random numbers reach it, and into stages behind that."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import mcdrop
from mcdrop.engine import sampling
from mcdrop.engine.masks import Bernoulli, Rows, keep_mask
from mcdrop.engine.program import ELEMENT, RANDOM_NUMBER, STATISTICS

from .harness import without_xla
from .models import CASES, numbers

LAYERS = (
    lambda: layers.Conv2D(4, 3, activation="relu"),
    lambda: layers.Dropout(0.25),
    lambda: layers.Flatten(),
    lambda: layers.Dense(6, activation="relu"),
    lambda: layers.Dropout(0.5),
    lambda: layers.Dense(3),
)


class Net(keras.Model):
    """The layers of a Sequential model, called one by one."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def call(self, inputs):
        for layer in self.body:
            inputs = layer(inputs)
        return inputs


def only_program(mc):
    (program,) = mc._samplers[0]._programs.values()
    return program


def test_a_subclassed_model_is_cut_like_its_layers_in_a_sequential_one():
    keras.utils.set_random_seed(0)
    x = numbers(6, 6, 2)()
    sequential = keras.Sequential([keras.Input((6, 6, 2)), *[make() for make in LAYERS]])
    subclassed = Net(sequential.layers)
    subclassed(x)
    wraps = [without_xla(mcdrop.MCDropout(model)) for model in (sequential, subclassed)]
    passes = [mc.sample(x, num_samples=20) for mc in wraps]
    np.testing.assert_allclose(passes[1], passes[0], rtol=1e-6, atol=1e-7)
    work = 16 * 9 * 2 * 4, 64 * 6 + 6 * 3
    for mc in wraps:
        assert mc.share_run_once == pytest.approx(work[0] / sum(work))
        assert [crossing.kind for crossing in only_program(mc)._frontier] == ["source"]


def test_what_cannot_be_handed_over_runs_in_every_pass_and_the_summary_says_so():
    """The product over time in front has no axis of examples in front that could be repeated."""
    inputs = keras.Input((4, 3))
    steps_first = ops.transpose(inputs, (1, 0, 2))
    product = ops.matmul(steps_first, ops.ones((3, 2)))
    outputs = layers.Dropout(0.5)(product)
    model = keras.Model(inputs, ops.transpose(outputs, (1, 0, 2)))
    mc = without_xla(mcdrop.MCDropout(model))
    x = numbers(4, 3)()
    passes = mc.sample(x, num_samples=400)
    np.testing.assert_allclose(
        passes.mean(axis=0), x @ np.ones((3, 2)), atol=5 * np.abs(x).sum() / np.sqrt(400)
    )
    alone = mc.sample(x, num_samples=5, batch_size=1)
    np.testing.assert_allclose(alone, passes[:5], rtol=1e-6)


def test_no_made_up_input_is_fed_to_a_model_with_a_closed_vocabulary():
    inputs = keras.Input((1,), dtype="int64")
    lookup = layers.IntegerLookup(vocabulary=[1, 2, 3], num_oov_indices=0)
    hidden = layers.Flatten()(layers.Embedding(8, 4)(lookup(inputs)))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.3)(hidden)))
    mc = without_xla(mcdrop.MCDropout(model))
    assert mc.predict(np.array([[1], [2], [3]]), num_samples=4).mean.shape == (3,)


@pytest.mark.parametrize("name", ["convolutional", "lstm", "multi_head_attention"])
@pytest.mark.parametrize("options", [{}, {"masks": "shared"}, {"balanced": True}], ids=str)
def test_masks_of_graph_mode_are_those_of_xla_to_the_bit(name, options, monkeypatch):
    case = CASES[name]
    mc = mcdrop.MCDropout(case.build(), **options)
    graph = mc.sample(case.draw(), num_samples=18)
    assert not only_program(mc).compiled_shapes
    monkeypatch.setattr(sampling, "_WORTH_COMPILING", 0)
    compiled = mc.sample(case.draw(), num_samples=18)
    assert only_program(mc).compiled_shapes
    np.testing.assert_allclose(compiled, graph, rtol=1e-6, atol=1e-7)


def test_a_process_that_sees_many_sizes_compiles_few(monkeypatch):
    monkeypatch.setattr(sampling, "_WORTH_COMPILING", 0)
    monkeypatch.setattr(sampling, "_MOST_COMPILED", 2)
    monkeypatch.setattr(sampling, "_MOST_COUNTED", 5)
    mc = mcdrop.MCDropout(keras.Sequential([keras.Input((3,)), layers.Dropout(0.5)]))
    x = np.ones((12, 3), np.float32)
    for count in range(1, 12):
        mc.sample(x[:count], num_samples=count)
    assert len(only_program(mc).compiled_shapes) == 2
    assert len(only_program(mc).masks_drawn) <= 5


def nested_program(model, x):
    """Returns a program whose passes may share masks, and what it starts from."""
    mc = without_xla(mcdrop.MCDropout(model))
    sampler = mc._samplers[0]
    sampler.settings = replace(sampler.settings, nested=True)
    program = sampler.program([x], 0)
    return program, program.begin(tf.constant(x))[0]


def draw(program, frontier, count, *, first, counts, starts):
    examples = tf.range(count)
    outputs = program.nested(
        tf.constant([3, 0], tf.uint32),
        tf.cast(examples, tf.uint32),
        examples,
        tf.constant(first, tf.uint32),
        tf.constant(counts),
        tf.constant(2),
        *frontier,
        starts=starts,
    )
    return outputs[0].numpy()[:, :count]


def by_hand(model, x, draws):
    """Returns a pass whose stochastic layers have masks of these numbers."""
    hidden, numbers_left, ordinal = x, list(draws), 0
    for layer in model.layers:
        if not isinstance(layer, layers.Dropout):
            hidden = np.asarray(layer(hidden))
            continue
        rows = Rows(
            tf.constant([3, 0], tf.uint32),
            tf.range(len(x), dtype=tf.int64) + tf.zeros([], tf.int64),
            tf.constant([numbers_left.pop(0)], tf.uint32),
            one_pass=True,
            compiled=False,
        )
        rows = replace(rows, examples=tf.cast(rows.examples, tf.uint32))
        keep = keep_mask(layer.rate, int(np.prod(hidden.shape[1:])), ordinal << 20, rows).numpy()
        scale = 1.0 / (1.0 - Bernoulli.of_rate(layer.rate).rate)
        hidden = (hidden * keep.reshape(hidden.shape) * scale).astype(np.float32)
        ordinal += 1
    return hidden


def test_stages_draw_their_masks_once_for_all_that_follows():
    keras.utils.set_random_seed(0)
    x = numbers(6, 6, 2)()
    model = keras.Sequential([keras.Input((6, 6, 2)), *[make() for make in LAYERS]])
    program, frontier = nested_program(model, x)
    assert len(program.places) == 2
    assert program.can_start(1)
    made = ELEMENT * (64 + 64 + 6), ELEMENT * (6 + 3)  # dropout, flatten, dense; dropout, dense
    early = 64 * 6 + made[0] + 64 * RANDOM_NUMBER
    late = 6 * 3 + made[1] + 6 * RANDOM_NUMBER + 3 * STATISTICS
    assert program.costs((0, 1)) == (early, late)
    passes = draw(program, frontier, len(x), first=0, counts=[3, 5], starts=(0, 1))
    assert passes.shape == (15, 3, 3)
    for number in (0, 7, 14):
        expected = by_hand(model, x, (number // 5, number))
        np.testing.assert_allclose(passes[number], expected, rtol=1e-5, atol=1e-6)
    later = draw(program, frontier, len(x), first=1, counts=[2, 5], starts=(0, 1))
    np.testing.assert_allclose(later, passes[5:], rtol=1e-6, atol=1e-7)


def test_one_stage_draws_ordinary_passes_from_any_number_on():
    keras.utils.set_random_seed(0)
    x = numbers(6, 6, 2)()
    model = keras.Sequential([keras.Input((6, 6, 2)), *[make() for make in LAYERS]])
    ordinary = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=40, seed=3)
    program, frontier = nested_program(model, x)
    passes = draw(program, frontier, len(x), first=13, counts=[20], starts=(0,))
    np.testing.assert_allclose(passes, ordinary[13:33], rtol=1e-6, atol=1e-7)
