"""What is computed at once changes no result: batches, slices, memory, threads, processes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mcdrop
from mcdrop import predictor
from mcdrop.engine import program as programs
from mcdrop.engine.running import map_in_order
from mcdrop.engine.sampling import Sampler
from mcdrop.engine.stages import plan
from mcdrop.engine.tracing import trace
from mcdrop.errors import ModelError

from .harness import Snapshot, without_xla
from .models import numbers

MASKS = [{}, {"masks": "shared"}]


def build():
    """Returns a model whose output shows the masks: its kernels are of exact powers of two.

    Every sum of kept values is exact in float32, so outputs are equal to the bit whenever
    masks are, in whatever order a processor adds.
    """
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3, 8))
    hidden = layers.SpatialDropout1D(0.5)(inputs)
    hidden = layers.Dropout(0.75)(layers.Flatten()(hidden))
    outputs = layers.Dense(4, use_bias=False)(hidden)
    model = keras.Model(inputs, outputs)
    kernel = 2.0 ** np.random.default_rng(0).integers(0, 8, size=(24, 4))
    model.layers[-1].set_weights([kernel])
    return model


def data(count):
    """Returns examples of small whole numbers."""
    drawn = np.random.default_rng(1).integers(1, 8, size=(count, 3, 8))
    return drawn.astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.mark.parametrize("options", [*MASKS, {"balanced": True}])
def test_passes_are_the_same_to_the_bit_for_every_batch_size(model, options):
    x = data(11)
    expected = mcdrop.MCDropout(model, **options).sample(x, num_samples=20, seed=5)
    assert len(np.unique(expected[:, 0], axis=0)) > 10
    again = without_xla(mcdrop.MCDropout(model, **options))
    for batch_size in (1, 2, 4, 100):
        passes = again.sample(x, num_samples=20, seed=5, batch_size=batch_size)
        np.testing.assert_array_equal(passes, expected)


@pytest.mark.parametrize("options", [*MASKS, {"balanced": True}])
def test_passes_are_the_same_to_the_bit_for_every_slice(model, options):
    x = data(7)
    mc = without_xla(mcdrop.MCDropout(model, **options))
    expected = mc.sample(x, num_samples=50)
    for slice_bytes in (1, 100, 2000, 5000, 10**9):
        mc._samplers[0]._slice_bytes = slice_bytes
        np.testing.assert_array_equal(mc.sample(x, num_samples=50), expected)


@pytest.mark.parametrize("options", MASKS, ids=["independent", "shared"])
def test_fewer_passes_are_the_first_of_more(model, options):
    mc = without_xla(mcdrop.MCDropout(model, **options))
    x = data(3)
    many = mc.sample(x, num_samples=48, seed=2)
    for count in (1, 4, 16, 17, 40):
        np.testing.assert_array_equal(mc.sample(x, num_samples=count, seed=2), many[:count])


def test_an_example_has_the_same_passes_whatever_comes_after_it(model):
    mc = without_xla(mcdrop.MCDropout(model))
    x = data(9)
    whole = mc.sample(x, num_samples=6)
    np.testing.assert_array_equal(mc.sample(x[:4], num_samples=6), whole[:, :4])
    assert not np.array_equal(mc.sample(x[4:], num_samples=6), whole[:, 4:])


def test_equal_examples_have_masks_of_their_own_unless_these_are_shared(model):
    x = np.repeat(data(1), 6, axis=0)
    own = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=30)
    shared = without_xla(mcdrop.MCDropout(model, masks="shared")).sample(x, num_samples=30)
    np.testing.assert_array_equal(shared, np.broadcast_to(shared[:, :1], shared.shape))
    assert len(np.unique(shared[:, 0], axis=0)) > 20
    assert (own[:, 1:] != own[:, :1]).any(axis=(0, 2)).all()
    # Masks of example 0 are those of everyone when shared.
    np.testing.assert_array_equal(shared[:, 0], own[:, 0])


@pytest.mark.parametrize("seed", [1, 2**31, 2**32, 2**64 - 1])
def test_every_seed_has_passes_of_its_own(model, seed):
    mc = without_xla(mcdrop.MCDropout(model))
    x = data(4)
    drawn = mc.sample(x, num_samples=8, seed=seed)
    np.testing.assert_array_equal(drawn, mc.sample(x, num_samples=8, seed=seed))
    assert not np.array_equal(drawn, mc.sample(x, num_samples=8, seed=0))


def test_masks_of_a_layer_do_not_depend_on_which_others_are_selected(model):
    """Dropping nothing in a layer leaves the masks of the next one as they were."""
    x = data(4)
    names = [info.path for info in mcdrop.MCDropout(model).stochastic_layers]
    alone = without_xla(mcdrop.MCDropout(model, layers=[names[1]])).sample(x, num_samples=8)
    both = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=8)
    # Where the first layer kept a channel it doubled it, so both masks can be read off the
    # exact sums: every kept term of `both` is twice a term of `alone`.
    assert ((both <= 2 * alone) & (both >= 0)).all()
    assert (both < 2 * alone).any()


def test_outputs_of_whole_compilation_agree_to_rounding(model):
    x = data(5)
    expected = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=6)
    compiled = mcdrop.MCDropout(model, jit_compile=True).sample(x, num_samples=6)
    np.testing.assert_allclose(compiled, expected, rtol=1e-6)


_CHILD = """
import json, sys
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
sys.path.insert(0, sys.argv[1])
from engine import test_sampling
print(json.dumps(test_sampling.passes_of_every_kind()))
"""


def passes_of_every_kind():
    """Returns passes with independent, shared and balanced masks, as lists."""
    model = build()
    return [
        mcdrop.MCDropout(model, **options).sample(data(5), num_samples=18, seed=3).tolist()
        for options in ({}, {"masks": "shared"}, {"balanced": True})
    ]


def test_another_process_with_one_thread_has_the_same_passes():
    tests = os.path.dirname(os.path.dirname(__file__))
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, tests],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    assert json.loads(child.stdout.splitlines()[-1]) == passes_of_every_kind()


def test_seeds_of_the_model_are_neither_used_nor_advanced(model):
    """Reseeding Keras and drawing from it changes no pass; sampling changes no draw."""
    x = data(3)
    expected = without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=4)
    keras.utils.set_random_seed(99)
    first = np.asarray(model(x, training=True))
    snapshot = Snapshot(model)
    np.testing.assert_array_equal(
        without_xla(mcdrop.MCDropout(model)).sample(x, num_samples=4), expected
    )
    snapshot.check()
    second = np.asarray(model(x, training=True))
    for layer in model.layers:
        if hasattr(layer, "seed_generator"):
            state = layer.seed_generator.state
            state.assign(state.numpy() - [0, 2])
    np.testing.assert_array_equal(first, np.asarray(model(x, training=True)))
    np.testing.assert_array_equal(second, np.asarray(model(x, training=True)))


@pytest.mark.parametrize("options", [*MASKS, {"balanced": True}])
def test_passes_that_do_not_fit_into_memory_are_drawn_in_smaller_slices(
    model, options, monkeypatch
):
    x = data(6)
    expected = without_xla(mcdrop.MCDropout(model, **options)).sample(x, num_samples=40)
    original, widths = Sampler.sample, []

    def sample(self, program, chunk, **arguments):
        widths.append(self._width(program, len(arguments["passes"])))
        if widths[-1] > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return original(self, program, chunk, **arguments)

    monkeypatch.setattr(Sampler, "sample", sample)
    again = without_xla(mcdrop.MCDropout(model, **options))
    np.testing.assert_array_equal(again.sample(x, num_samples=40), expected)
    assert widths[0] > 2
    assert widths[-1] <= 2


def test_masks_folded_into_a_kernel_are_drawn_for_fewer_examples_when_memory_runs_out(monkeypatch):
    folded = keras.Sequential([keras.Input((8,)), layers.Dropout(0.5), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    mc = without_xla(mcdrop.MCDropout(folded, masks="shared"))
    expected = mc.sample(x, num_samples=6)
    original, sizes = Sampler.sample, []

    def sample(self, program, chunk, **arguments):
        assert program.folded
        sizes.append(min(self._width(program, len(arguments["passes"])), 9))
        if sizes[-1] > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return original(self, program, chunk, **arguments)

    monkeypatch.setattr(Sampler, "sample", sample)
    np.testing.assert_allclose(mc.sample(x, num_samples=6), expected, rtol=1e-5)
    assert sizes[0] == 9
    assert sizes[-1] <= 4


def test_a_batch_that_does_not_fit_into_memory_is_halved(model, monkeypatch):
    x = data(7)
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    expected = mc.predict(x, num_samples=5, keep_samples=True)
    original, sizes = Sampler.begin, []

    def begin(self, program, inputs):
        sizes.append(len(inputs[0]))
        if sizes[-1] > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return original(self, program, inputs)

    monkeypatch.setattr(Sampler, "begin", begin)
    again = mc.predict(x, num_samples=5, keep_samples=True)
    np.testing.assert_array_equal(again.samples, expected.samples)
    np.testing.assert_array_equal(again.deterministic, expected.deterministic)
    assert max(sizes) == 7
    assert sum(size for size in sizes if size <= 2) == 7


@pytest.mark.parametrize("stage", ["begin", "sample"])
@pytest.mark.parametrize("options", [*MASKS, {"balanced": True}])
def test_what_does_not_fit_into_memory_at_all_is_one_clear_error(
    model, stage, options, monkeypatch
):
    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(Sampler, stage, fail)
    with pytest.raises(ModelError, match="does not fit into memory"):
        without_xla(mcdrop.MCDropout(model, **options)).sample(data(5), num_samples=40)


def test_an_activation_larger_than_a_slice_is_still_sampled(model):
    """Rows that no slice holds once made the number of passes at once zero."""
    mc = without_xla(mcdrop.MCDropout(model))
    sampler = mc._samplers[0]
    program = copy.copy(sampler.program([data(1)], 0))
    program.row_bytes = 2**40
    assert sampler.passes_at_once(program, 50) == 16
    assert sampler.chunk_size(plan(program, (50,))) >= 1


@pytest.mark.parametrize("options", MASKS)
def test_rows_so_wide_that_passes_run_one_by_one_have_the_same_masks(model, options, monkeypatch):
    x = data(4)
    expected = without_xla(mcdrop.MCDropout(model, **options)).sample(x, num_samples=20)
    monkeypatch.setattr(programs, "_WIDE_ROW_BYTES", 1)
    again = without_xla(mcdrop.MCDropout(model, **options))
    np.testing.assert_array_equal(again.sample(x, num_samples=20), expected)
    assert again._samplers[0].program([x], 0).one_pass


def test_several_devices_share_the_batches_and_give_the_same_passes(model, monkeypatch):
    x = data(11)
    alone = without_xla(mcdrop.MCDropout(model, task="regression"))
    monkeypatch.setattr(predictor, "devices", lambda: ["/CPU:0", "/CPU:0", "/CPU:0"])
    spread = without_xla(mcdrop.MCDropout(model, task="regression"))
    assert len(spread._samplers) == 3
    expected = alone.predict(x, num_samples=6, keep_samples=True)
    prediction = spread.predict(x, num_samples=6, keep_samples=True, batch_size=2)
    np.testing.assert_array_equal(prediction.samples, expected.samples)
    np.testing.assert_array_equal(prediction.deterministic, expected.deterministic)
    np.testing.assert_array_equal(spread.sample(x, num_samples=6), expected.samples)


def test_weights_that_change_after_wrapping_change_the_passes():
    model, x = build(), data(3)
    mc = without_xla(mcdrop.MCDropout(model))
    before = mc.sample(x, num_samples=4)
    model.layers[-1].set_weights([2 * weight for weight in model.layers[-1].get_weights()])
    np.testing.assert_array_equal(mc.sample(x, num_samples=4), 2 * before)


def test_work_is_spread_over_devices_in_order_and_its_errors_come_back():
    barrier = threading.Barrier(2, timeout=30)

    def slow(item):
        barrier.wait()
        return item, threading.get_ident()

    results = list(map_in_order(range(8), [slow, slow]))
    assert [item for item, _ in results] == list(range(8))
    assert len({thread for _, thread in results}) == 2

    def fails(item):
        raise ModelError(f"no {item}")

    with pytest.raises(ModelError, match="no 0"):
        list(map_in_order(range(3), [fails, fails]))


def test_noise_that_no_example_owns_is_drawn_once_a_pass():
    """A mask of one row for the whole batch: each pass another, the same for all examples."""
    inputs = keras.Input((4, 3))
    dropped = layers.Dropout(0.5, noise_shape=(1, 4, 3))(inputs)
    mc = without_xla(mcdrop.MCDropout(keras.Model(inputs, dropped)))
    passes = mc.sample(np.ones((5, 4, 3), np.float32), num_samples=20)
    np.testing.assert_array_equal(passes, np.broadcast_to(passes[:, :1], passes.shape))
    assert len(np.unique(passes[:, 0].reshape(20, -1), axis=0)) > 15


@pytest.mark.parametrize("options", [*MASKS, {"balanced": True}])
def test_bfloat16_has_the_same_masks_and_outputs_near_float32(options, monkeypatch):
    monkeypatch.setattr("mcdrop.engine.processor.has_bfloat16", lambda: True)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12,))
    hidden = layers.Dense(16, activation="relu")(inputs)
    hidden = layers.Dense(16, activation="relu")(layers.Dropout(0.5)(hidden))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(hidden)))
    snapshot = Snapshot(model)
    x = numbers(12)()
    full = without_xla(mcdrop.MCDropout(model, **options)).predict(
        x, num_samples=20, keep_samples=True
    )
    half = without_xla(mcdrop.MCDropout(model, compute_dtype="bfloat16", **options)).predict(
        x, num_samples=20, keep_samples=True
    )
    # bfloat16 rounds to 2^-9 of each value; three layers of sums stay within ten times that.
    np.testing.assert_allclose(half.samples, full.samples, atol=0.02)
    assert np.abs(half.samples - full.samples).max() > 1e-6
    np.testing.assert_array_equal(half.deterministic, full.deterministic)
    assert half.samples.dtype == np.float32
    snapshot.check()


def test_names_that_tensorflow_refuses_as_scopes_do_not_matter():
    steps = [keras.layers.Dense(4, name="a <b>"), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((3,)), *steps], name="my model")
    passes = mcdrop.MCDropout(model, task="regression").sample(np.ones((2, 3), "float32"))
    assert np.ptp(passes, axis=0).max() > 0
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    plain.compile("adam", "mean_squared_error")
    plain.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0)  # no scope was left open


def test_what_the_audit_traced_is_not_traced_again_for_data(monkeypatch):
    traced = []

    def counted(*arguments, **settings):
        traced.append(arguments)
        return trace(*arguments, **settings)

    monkeypatch.setattr(programs, "trace", counted)
    model = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), layers.Dense(3)])
    mc = without_xla(mcdrop.MCDropout(model, task="regression"))
    expected = without_xla(mcdrop.MCDropout(model, task="regression"))
    mc.summary()
    assert mc.share_run_once == 0.0
    x = np.ones((2, 4), np.float32)
    found = mc.predict(x, num_samples=4).mean
    assert len(traced) == 1
    np.testing.assert_array_equal(found, expected.predict(x, num_samples=4).mean)
