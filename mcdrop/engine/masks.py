"""Counter-based noise: every mask is a function of (seed, layer, call; example, pass, unit).

A draw is keyed by the user's seed and by a stream, the constant that names one random
call of one layer. For each example and each block of consecutive passes the key is mixed
into two 32-bit words; those and the number of the unit are mixed into one more word,
whose bits serve the passes of the block one after the other. All of it is integer
arithmetic modulo 2**32, so masks are equal on every machine, in graph mode and under
XLA, whatever the batch size. XLA fuses generator, threshold and masking into one loop.

The mixer is the xor-shift-multiply finalizer of C. Wellons and TheIronBorn with the
constants of the "lowbias32" search; tests/test_masks.py tests it as a generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

BLOCK = 16
"""Passes that share one random word at most; several passes in one step start at a multiple."""

RATE_TOLERANCE = 1e-5
"""Largest error of a dropout rate from rounding it to a few bits; the scale is rounded alike."""

_RELATIVE_RATE_TOLERANCE = 1e-3
_GOLDEN = 0x9E3779B9
_WORD = 2**32

Tensor = Any
Shape = list[Any]
"""Sizes of a tensor: ints where they are known while tracing, scalar tensors elsewhere."""


@dataclass(frozen=True)
class Bernoulli:
    """A dropout rate as a threshold on a few random bits.

    Attributes:
        bits: Random bits spent per mask element: 1, 2, 4, 8, 16 or 32.
        threshold: An element is dropped when its bits, as a number, are below this.
    """

    bits: int
    threshold: int

    @property
    def rate(self) -> float:
        """The rate that is drawn, within `RATE_TOLERANCE` of the one asked for."""
        return self.threshold / 2**self.bits

    @property
    def passes_per_word(self) -> int:
        """How many passes one 32-bit word serves."""
        return min(BLOCK, 32 // self.bits)

    @classmethod
    def of_rate(cls, rate: float) -> Bernoulli:
        """Returns the fewest bits that hold the rate closely enough.

        Args:
            rate: Probability of dropping a unit, strictly within (0, 1).

        Example:
            >>> Bernoulli.of_rate(0.25), Bernoulli.of_rate(0.5).bits
            (Bernoulli(bits=2, threshold=1), 1)
        """
        allowed = min(RATE_TOLERANCE, _RELATIVE_RATE_TOLERANCE * min(rate, 1.0 - rate))
        for bits in (1, 2, 4, 8, 16):
            threshold = round(rate * 2**bits)
            if abs(threshold / 2**bits - rate) <= allowed:
                return cls(bits, threshold)
        return cls(32, min(max(round(rate * _WORD), 1), _WORD - 1))


@dataclass(frozen=True)
class Rows:
    """The passes and examples that a traced step computes, folded into its batch axis.

    Row f * E + e is pass `passes[f]` of example `examples[e]`.

    Attributes:
        seed: The user's seed as two words, shape (2,), uint32.
        examples: Numbers of the examples, shape (E,), uint32.
        passes: Numbers of consecutive passes, shape (F,), uint32.
        shared: One mask a pass for all examples.
        balanced: Masks are balanced over the passes; the step holds all T of them.
        one_pass: The step holds a single pass, of any number.
        aligned: The first of several passes has a multiple of `BLOCK` as its number.
        compiled: Whether the generator is compiled by XLA; the bits are the same without.
    """

    seed: Tensor
    examples: Tensor
    passes: Tensor
    shared: bool = False
    balanced: bool = False
    one_pass: bool = False
    aligned: bool = True
    compiled: bool = True

    @property
    def counters(self) -> Tensor:
        """The example counters: one constant for all when masks are shared."""
        return tf.zeros((1,), tf.uint32) if self.shared else self.examples


def split_seed(seed: int) -> tuple[int, int]:
    """Returns a seed below 2**64 as its low and high 32-bit words."""
    return seed % _WORD, seed // _WORD


def drop(
    inputs: Tensor, rate: float, unit_shape: Shape, stream: int, rows: Rows, *, repeat: bool = False
) -> Tensor:
    """Inverted dropout: keeps each unit with probability 1 - rate and divides it by that.

    Args:
        inputs: Shape (F * E * k, ...), where a row holds the k parts of one (pass, example),
            k = 1 but in models that fold another axis into the batch.
        rate: Probability of dropping a unit, strictly within (0, 1).
        unit_shape: Sizes of the mask behind the batch axis; 1 where it is shared.
        stream: Constant that names the draw.
        rows: The passes and examples of the batch.
        repeat: The inputs have shape (E * k, ...) and are the same for every pass.

    Returns:
        Tensor of shape (F * E * k, ...).
    """
    law = Bernoulli.of_rate(rate)
    draw = _generator(rows)

    def body(values: Tensor, seed: Tensor, counters: Tensor, passes: Tensor) -> Tensor:
        leading, rest = tf.shape(values)[0], tf.shape(values)[1:]
        folds = 1 if repeat else tf.shape(passes)[0]
        num_examples = tf.shape(rows.examples)[0]
        parts = leading // (folds * num_examples)
        keep = draw(law, seed, counters, passes, parts * _size(unit_shape), stream)
        mask_shape = [tf.shape(passes)[0], tf.shape(counters)[0], parts, *unit_shape]
        folded = tf.reshape(values, tf.concat([[folds, num_examples, parts], rest], axis=0))
        scale = tf.cast(1.0 / (1.0 - law.rate), values.dtype)
        kept = tf.where(tf.reshape(keep, mask_shape), folded * scale, tf.zeros((), values.dtype))
        return tf.reshape(kept, tf.concat([[-1], rest], axis=0))

    return _run(body, rows, inputs)


def keep_mask(rate: float, units: int, stream: int, rows: Rows) -> Tensor:
    """Returns which units a draw keeps, boolean, shape (F, E or 1, units)."""
    law = Bernoulli.of_rate(rate)

    draw = _generator(rows)

    # TensorFlow names a placeholder after each argument, and warns of "_".
    def body(unused: Tensor, seed: Tensor, counters: Tensor, passes: Tensor) -> Tensor:
        return draw(law, seed, counters, passes, units, stream)

    return _run(body, rows, tf.zeros(()))


def uniform(leading: Tensor, unit_shape: Shape, stream: int, rows: Rows) -> Tensor:
    """Returns float32 uniforms strictly within (0, 1), shape (leading, *unit_shape).

    `leading` is F * E * k, as for `drop`.
    """

    def body(size: Tensor, seed: Tensor, counters: Tensor, passes: Tensor) -> Tensor:
        num_passes, num_examples = tf.shape(passes)[0], tf.shape(rows.examples)[0]
        parts = size // (num_passes * num_examples)
        words = _words(seed, counters, passes, parts * _size(unit_shape), stream)
        drawn = tf.reshape(_to_unit(words), [num_passes, tf.shape(counters)[0], parts, *unit_shape])
        spread = tf.broadcast_to(drawn, [num_passes, num_examples, parts, *unit_shape])
        return tf.reshape(spread, [size, *unit_shape])

    return _run(body, rows, leading)


def normal(leading: Tensor, unit_shape: Shape, stream: int, rows: Rows) -> Tensor:
    """Returns float32 standard normals by inversion, shape (leading, *unit_shape)."""
    return tf.math.ndtri(uniform(leading, unit_shape, stream, rows))


def _run(body: Callable[..., Tensor], rows: Rows, values: Tensor) -> Tensor:
    """Runs a generator, as one compiled kernel when the rows ask for it."""
    kernel = tf.function(body, jit_compile=True, autograph=False) if rows.compiled else body
    return kernel(values, rows.seed, rows.counters, rows.passes)


def _generator(rows: Rows) -> Callable[..., Tensor]:
    """Returns the function that draws the masks of these rows."""
    if rows.balanced:
        return _balanced_keep
    if rows.one_pass:
        return _keep_one_pass
    return _keep if rows.aligned else _keep_from_anywhere


def _keep_one_pass(
    law: Bernoulli, seed: Tensor, counters: Tensor, passes: Tensor, units: Any, stream: int
) -> Tensor:
    """Returns the masks that `_keep` draws, for a single pass of any number."""
    per_word = _u32(law.passes_per_word)
    words = _words(seed, counters, passes // per_word, units, stream)
    field = tf.bitwise.right_shift(words, passes[0] % per_word * _u32(law.bits))
    if law.bits < 32:
        field = tf.bitwise.bitwise_and(field, _u32(2**law.bits - 1))
    return field >= _u32(law.threshold)


def _keep(
    law: Bernoulli, seed: Tensor, counters: Tensor, passes: Tensor, units: Any, stream: int
) -> Tensor:
    """Returns independent Bernoulli masks, shape (F, E, units)."""
    per_word = law.passes_per_word
    num_passes = tf.shape(passes)[0]
    num_blocks = (num_passes + per_word - 1) // per_word
    blocks = passes[0] // _u32(per_word) + tf.cast(tf.range(num_blocks), tf.uint32)
    words = _words(seed, counters, blocks, units, stream)
    if law.bits == 32:
        return words >= _u32(law.threshold)
    shifts = tf.constant([law.bits * index for index in range(per_word)], tf.uint32)
    field = tf.bitwise.right_shift(words[:, None], shifts[None, :, None, None])
    field = tf.bitwise.bitwise_and(field, _u32(2**law.bits - 1))
    shape = [num_blocks * per_word, tf.shape(counters)[0], units]
    return tf.reshape(field, shape)[:num_passes] >= _u32(law.threshold)


def _keep_from_anywhere(
    law: Bernoulli, seed: Tensor, counters: Tensor, passes: Tensor, units: Any, stream: int
) -> Tensor:
    """Returns the masks that `_keep` draws, for consecutive passes from any number on.

    It draws from the multiple of `BLOCK` before the first pass on, and one block more than needed
    at most: XLA must know the number of passes without their numbers.
    """
    num_passes = tf.shape(passes)[0]
    offset = passes[0] % _u32(law.passes_per_word)
    drawn = num_passes + law.passes_per_word - 1
    numbers = passes[0] - offset + tf.cast(tf.range(drawn), tf.uint32)
    kept = _keep(law, seed, counters, numbers, units, stream)
    start = tf.stack([tf.cast(offset, tf.int32), 0, 0])
    size = tf.stack([num_passes, tf.shape(kept)[1], tf.shape(kept)[2]])
    return tf.slice(kept, start, size)


def _balanced_keep(
    law: Bernoulli, seed: Tensor, counters: Tensor, passes: Tensor, units: Any, stream: int
) -> Tensor:
    """Returns masks that keep every unit floor or ceil of (1 - rate) T times over T passes.

    The number of keeps is (1 - rate) T, rounded up or down at random so that its mean is
    exact; which passes they fall on is a uniform draw without replacement, made one pass at a
    time: keep with probability (keeps left) / (passes left). Knuth, TAOCP 2, 3.4.2, S.
    """
    num_passes = tf.shape(passes)[0]
    total = tf.cast(num_passes, tf.float32)
    # Draws of another stage's draw are others, and so is the chance by which they are rounded.
    key = tf.cast(tf.fill([1], _WORD - 1), tf.uint32) - passes[:1]
    start = _to_unit(_words(seed, counters, key, units, stream)[0])
    keeps = tf.floor((1.0 - law.rate) * total + start)
    masks = tf.TensorArray(tf.bool, size=num_passes, element_shape=keeps.shape)

    def step(index: Tensor, left: Tensor, masks: Any) -> tuple[Tensor, Tensor, Any]:
        words = _words(seed, counters, passes[index][None], units, stream)[0]
        keep = _to_unit(words) * (total - tf.cast(index, tf.float32)) < left
        return index + 1, left - tf.cast(keep, tf.float32), masks.write(index, keep)

    _, _, masks = tf.while_loop(
        lambda index, *_: index < num_passes, step, (tf.constant(0), keeps, masks)
    )
    return masks.stack()


def _words(seed: Tensor, counters: Tensor, blocks: Tensor, units: Any, stream: int) -> Tensor:
    """Returns one random word for each block of passes, example and unit: (B, E, units)."""
    low, high = seed[0], seed[1]
    first = _row(low, high, counters, blocks, stream, 0x85EBCA6B)
    second = _row(high, low, counters, blocks, stream, 0xC2B2AE35)
    unit = tf.cast(tf.range(units), tf.uint32) * _u32(_GOLDEN)
    inner = _mix(tf.bitwise.bitwise_xor(unit[None, None, :], first[:, :, None]))
    return _mix(inner + second[:, :, None])


def _row(
    low: Tensor, high: Tensor, counters: Tensor, blocks: Tensor, stream: int, step: int
) -> Tensor:
    """Returns one of the two words that key the units of a block and an example: (B, E).

    Each is a chain of its own from the seed on, so that only a chance of 2**-64 gives two
    (layer, example, block) the same units; a single word would, at 1e5 of them.
    """
    key = _mix(low + _u32((stream + 1) * step % _WORD))
    key = _mix(tf.bitwise.bitwise_xor(key, high) + _u32(stream))
    return _mix(_mix(counters + key)[None, :] + blocks[:, None] * _u32(step))


def _mix(word: Tensor) -> Tensor:
    """Scrambles 32-bit words one to one."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        word = tf.bitwise.bitwise_xor(word, tf.bitwise.right_shift(word, _u32(shift)))
        word = word * _u32(factor)
    return tf.bitwise.bitwise_xor(word, tf.bitwise.right_shift(word, _u32(15)))


def _to_unit(words: Tensor) -> Tensor:
    """Returns words as float32 numbers strictly within (0, 1)."""
    return (tf.cast(tf.bitwise.right_shift(words, _u32(9)), tf.float32) + 0.5) * 2.0**-23


def _size(unit_shape: Shape) -> Any:
    """Returns the number of units, an int when every size is known."""
    size: Any = 1
    for dim in unit_shape:
        size = size * dim
    return size


def _u32(value: int) -> Tensor:
    return tf.constant(value, tf.uint32)
