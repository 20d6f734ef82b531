"""Half precision only where it is fast."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mcdrop
from mcdrop.engine import processor
from mcdrop.errors import ModelWarning

X86 = "flags\t\t: fpu sse2 avx512f {}\n"


@pytest.mark.parametrize(
    ("text", "native"),
    [
        (X86.format(""), False),
        (X86.format("avx512_bf16"), True),
        (X86.format("amx_tile amx_bf16"), True),
        ("Features\t: fp asimd bf16\n", True),
        ("Features\t: fp asimd sha2\n", False),
        ("model name\t: bf16x", False),
    ],
)
def test_flags_of_the_processor_are_read(tmp_path, monkeypatch, text, native):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    assert processor.has_bfloat16(tmp_path / "cpuinfo") is native


def test_a_gpu_computes_in_bfloat16_and_a_machine_that_does_not_tell_may_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["gpu"])
    assert processor.has_bfloat16(tmp_path / "none")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    assert not processor.has_bfloat16(tmp_path / "none")


def test_elsewhere_the_passes_are_those_of_float32_with_one_warning(monkeypatch):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    steps = [keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), *steps])
    with pytest.warns(ModelWarning, match="no instructions for bfloat16") as told:
        half = mcdrop.MCDropout(model, compute_dtype="bfloat16")
    assert len(told) == 1
    x = np.ones((2, 4), np.float32)
    expected = mcdrop.MCDropout(model).sample(x, num_samples=4)
    np.testing.assert_array_equal(half.sample(x, num_samples=4), expected)
    assert "no instructions for bfloat16" in half.summary()


def test_the_summary_says_in_what_the_passes_are_computed(monkeypatch):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: True)
    steps = [keras.layers.Dropout(0.5), keras.layers.Dense(8), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((4,)), *steps])
    told = "The passes are computed in bfloat16"
    assert told in mcdrop.MCDropout(model, compute_dtype="bfloat16").summary()
    assert told not in mcdrop.MCDropout(model).summary()
