"""Batches on several devices, in order; memory that runs out; early stops."""

import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mcdrop import MCDropout, ModelError
from mcdrop.engine.running import map_in_order

TWO_DEVICES = """
import numpy as np, keras, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import mcdrop
from mcdrop import predictor
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(16, "relu"),
    keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")])
x = np.random.default_rng(0).normal(size=(50, 5)).astype("float32")
one = mcdrop.MCDropout(model).predict(x, num_samples=10, batch_size=7)
predictor.devices = lambda: ["CPU:0", "CPU:1"]
mc = mcdrop.MCDropout(model)
assert len(mc._samplers) == 2
two = mc.predict(x, num_samples=10, batch_size=7)
print(np.abs(one.mean - two.mean).max(), one.variance.min())
"""


def build():
    keras.utils.set_random_seed(0)
    head = [layers.Dropout(0.5), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((5,)), layers.Dense(16, "relu"), *head])


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(40, 5)).astype("float32")


def test_results_come_in_order_whatever_function_is_faster():
    slow_may_go = threading.Event()

    def slow(item):
        slow_may_go.wait(timeout=30)
        return item

    def fast(item):
        slow_may_go.set()
        return item

    assert list(map_in_order(range(20), [slow, fast])) == list(range(20))


def test_an_error_of_one_item_reaches_the_caller():
    def fail(item):
        raise ModelError(f"item {item}")

    with pytest.raises(ModelError, match="item 0"):
        list(map_in_order(range(3), [fail, fail]))


def test_two_devices_give_what_one_gives():
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    difference, variance = map(float, done.stdout.split())
    assert difference < 1e-6
    assert variance > 0


def test_a_batch_that_does_not_fit_is_halved_and_nothing_changes(x):
    whole = MCDropout(build()).predict(x, num_samples=6)
    mc = MCDropout(build())
    begin = mc._samplers[0].begin

    def limited(program, inputs):
        if len(inputs[0]) > 9:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return begin(program, inputs)

    mc._samplers[0].begin = limited
    np.testing.assert_allclose(mc.predict(x, num_samples=6).mean, whole.mean, atol=1e-6)


def test_passes_that_do_not_fit_run_in_smaller_slices(x):
    whole = MCDropout(build()).predict(x, num_samples=40)
    mc = MCDropout(build())
    sampler = mc._samplers[0]
    sample, allowed = sampler.sample, 2 * 2**20

    def limited(*args, **kwargs):
        if sampler._slice_bytes > allowed:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return sample(*args, **kwargs)

    sampler.sample = limited
    np.testing.assert_allclose(mc.predict(x, num_samples=40).mean, whole.mean, atol=1e-6)
    assert sampler._slice_bytes == allowed


def test_one_example_that_does_not_fit_is_a_clear_error(x):
    mc = MCDropout(build())

    def never(program, inputs):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    mc._samplers[0].begin = never
    with pytest.raises(ModelError, match="One example alone does not fit into memory"):
        mc.predict(x, num_samples=4)


def test_examples_stop_once_their_error_is_small_enough(x):
    mc = MCDropout(build())
    stopped = mc.predict(x, num_samples=192, tolerance=0.025)
    counts = stopped.num_samples_per_example
    assert set(counts) <= set(range(48, 193, 16))
    assert len(set(counts)) > 1
    for i in (int(counts.argmin()), int(counts.argmax())):
        full = mc.sample(x, num_samples=int(counts[i]))[:, i]
        np.testing.assert_allclose(stopped.mean[i], full.mean(axis=0), atol=1e-6)
    reached = counts < 192
    assert stopped.monte_carlo_error[reached].max() <= 0.025


def test_progress_counts_examples_to_the_end(x):
    seen = []
    MCDropout(build()).predict(
        x, num_samples=4, batch_size=16, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(16, 40), (32, 40), (40, 40)]


def test_batches_of_predictions_join_to_the_whole(x):
    mc = MCDropout(build())
    parts = list(mc.predict_batches(x, num_samples=5, batch_size=16))
    assert [len(part) for part in parts] == [16, 16, 8]
    whole = mc.predict(x, num_samples=5)
    np.testing.assert_allclose(np.concatenate([p.mean for p in parts]), whole.mean, atol=1e-6)


def test_slices_of_one_row_that_do_not_fit_are_a_clear_error(x):
    mc = MCDropout(build())

    def never(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    mc._samplers[0].sample = never
    with pytest.raises(ModelError, match="does not fit into memory"):
        mc.predict(x, num_samples=4)


def test_large_rows_run_one_pass_at_a_time_with_the_same_masks(x, monkeypatch):
    expected = MCDropout(build()).sample(x, num_samples=21)
    monkeypatch.setattr("mcdrop.engine.program._WIDE_ROW_BYTES", 1)
    mc = MCDropout(build())
    np.testing.assert_allclose(mc.sample(x, num_samples=21), expected, atol=1e-6)
    (program,) = mc._samplers[0]._programs.values()
    assert program.one_pass
