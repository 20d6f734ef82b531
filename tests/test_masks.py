"""Tests of mcdrop.engine.masks: its noise as a random number generator, and what is made of it.

Every statistical test draws with fixed seeds, so that it passes or fails for good. Its bound
is a p-value of 1e-5 (4.4 standard errors): the file makes about 600 such comparisons, so a
sound generator passes them all with probability 0.99.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mcdrop.engine import masks
from mcdrop.engine.masks import BLOCK, RATE_TOLERANCE, Bernoulli, Rows

SMALLEST_P = 1e-5
RATES = (0.001, 0.025, 0.1, 0.2, 0.25, 0.3, 0.5, 0.75, 0.9)
WORD = 2**32


def rows(seed=0, examples=1, passes=BLOCK, first_pass=0, first_example=0, **options):
    """Returns rows of consecutive examples and passes."""
    options = {"compiled": False} | options
    return Rows(
        tf.constant(masks.split_seed(seed), tf.uint32),
        tf.constant(np.arange(first_example, first_example + examples), tf.uint32),
        tf.constant(np.arange(first_pass, first_pass + passes), tf.uint32),
        **options,
    )


def keep(rate, units, stream=0, **options):
    """Returns masks of shape (passes, examples, units)."""
    return masks.keep_mask(rate, units, stream, rows(**options)).numpy()


def words(units, stream=0, seed=0, examples=1, blocks=1):
    """Returns the generator's own words, shape (blocks, examples, units)."""
    counted = (tf.constant(np.arange(count), tf.uint32) for count in (examples, blocks))
    key = tf.constant(masks.split_seed(seed), tf.uint32)
    return masks._words(key, *counted, units, stream).numpy()


def check_frequencies(observed, expected):
    """Fails when counts differ from what is expected, by the chi-square test, either way."""
    low = stats.chisquare(observed, expected).pvalue
    assert SMALLEST_P < low < 1 - SMALLEST_P, low


def check_uncorrelated(first, second):
    """Fails when two equally long samples are correlated: r sqrt(n) is standard normal."""
    first, second = first.ravel().astype(float), second.ravel().astype(float)
    correlation = np.corrcoef(first, second)[0, 1]
    assert 2 * stats.norm.sf(abs(correlation) * np.sqrt(first.size)) > SMALLEST_P, correlation


def reference_word(seed, stream, example, block, unit):
    """Returns one word by the definition in mcdrop.engine.masks, in Python's own integers."""

    def mix(word):
        for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
            word = (word ^ word >> shift) * factor % WORD
        return word ^ word >> 15

    def row(low, high, step):
        key = mix((low + (stream + 1) * step) % WORD)
        key = mix(((key ^ high) + stream) % WORD)
        return mix((mix((example + key) % WORD) + block * step) % WORD)

    low, high = seed % WORD, seed // WORD
    inner = mix(unit * 0x9E3779B9 % WORD ^ row(low, high, 0x85EBCA6B))
    return mix((inner + row(high, low, 0xC2B2AE35)) % WORD)


def test_a_rate_is_rounded_to_few_bits_within_the_documented_error():
    generator = np.random.default_rng(0)
    spread = np.concatenate([generator.uniform(size=300), 10 ** generator.uniform(-9, 0, 300)])
    for rate in [*spread, *(1 - spread)]:
        law = Bernoulli.of_rate(rate)
        assert abs(law.rate - rate) <= RATE_TOLERANCE
        assert 0 < law.rate < 1
        assert abs(law.rate - rate) <= 1e-3 * min(rate, 1 - rate) or law.bits == 32
        assert law.passes_per_word * law.bits <= 32
        assert BLOCK % law.passes_per_word == 0


@pytest.mark.parametrize(
    ("rate", "bits", "threshold"),
    [(0.5, 1, 1), (0.75, 2, 3), (0.0625, 4, 1), (3 / 256, 8, 3), (0.2, 16, 13107), (1e-7, 32, 429)],
)
def test_a_rate_takes_the_fewest_bits_that_hold_it(rate, bits, threshold):
    assert Bernoulli.of_rate(rate) == Bernoulli(bits, threshold)


def test_bits_are_the_same_as_in_every_earlier_version():
    """Results are reproducible only while these numbers stay: a change needs a new version."""
    assert words(3, stream=1, seed=2, examples=2).tolist() == [
        [[2942578831, 994685233, 1647090081], [2098677768, 1051489709, 372964921]]
    ]
    mask = keep(0.3, 24, seed=7, stream=5 << 20, passes=1).astype(int).ravel()
    assert "".join(map(str, mask)) == "111111011111011011110111"


def test_words_are_those_of_the_definition():
    seed, stream = 2**40 + 12345, 3 << 20 | 2 << 8 | 1
    drawn = words(5, stream=stream, seed=seed, examples=4, blocks=3)
    for block, example, unit in np.ndindex(3, 4, 5):
        expected = reference_word(seed, stream, example, block, unit)
        assert drawn[block, example, unit] == expected


@pytest.mark.parametrize("rate", [0.5, 0.25, 0.0625, 0.1, 1e-7])
def test_a_mask_is_the_field_of_its_pass_in_the_word_of_its_block(rate):
    law = Bernoulli.of_rate(rate)
    drawn = keep(rate, 6, stream=9, seed=3, examples=2, passes=2 * BLOCK)
    for number in range(2 * BLOCK):
        block, field = divmod(number, law.passes_per_word)
        for example, unit in np.ndindex(2, 6):
            word = reference_word(3, 9, example, block, unit)
            bits = word >> law.bits * field & 2**law.bits - 1
            assert drawn[number, example, unit] == (bits >= law.threshold)


@pytest.mark.parametrize("rate", RATES)
def test_a_mask_is_the_same_however_it_is_asked_for(rate):
    whole = keep(rate, 7, examples=5, passes=3 * BLOCK)
    np.testing.assert_array_equal(
        whole[BLOCK : BLOCK + 5, 2:4],
        keep(rate, 7, first_example=2, examples=2, first_pass=BLOCK, passes=5),
    )
    for number in (0, 17, 40):
        alone = keep(rate, 7, examples=5, first_pass=number, passes=1, one_pass=True)
        np.testing.assert_array_equal(whole[number : number + 1], alone)
    compiled = keep(rate, 7, examples=5, passes=3 * BLOCK, compiled=True)
    np.testing.assert_array_equal(whole, compiled)
    # A layer with more units starts with the same ones: no mask depends on a padded size.
    np.testing.assert_array_equal(whole, keep(rate, 9, examples=5, passes=3 * BLOCK)[..., :7])


def test_shared_masks_are_those_of_one_counter_for_all_examples():
    shared = keep(0.4, 30, examples=6, first_example=3, shared=True)
    np.testing.assert_array_equal(shared, keep(0.4, 30, examples=1, first_example=0))


@pytest.mark.parametrize("rate", RATES)
def test_units_are_dropped_at_their_rate_under_every_seed(rate):
    """Drops of 50 seeds are binomial: the squared standard deviates sum to chi-square(50)."""
    units, passes = 2000, 32
    law = Bernoulli.of_rate(rate)
    dropped = [(~keep(rate, units, seed=seed, passes=passes)).sum() for seed in range(50)]
    count = units * passes
    deviates = (np.array(dropped) - count * law.rate) / np.sqrt(count * law.rate * (1 - law.rate))
    assert SMALLEST_P < stats.chi2.sf((deviates**2).sum(), 50) < 1 - SMALLEST_P
    assert 2 * stats.norm.sf(abs(deviates.sum()) / np.sqrt(50)) > SMALLEST_P


@pytest.mark.parametrize("axis", ["pass", "example", "unit"])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_each_pass_example_and_unit_has_the_rate(rate, axis):
    dropped = ~keep(rate, 64, examples=64, passes=64)
    others = tuple(
        number for number, name in enumerate(["pass", "example", "unit"]) if name != axis
    )
    law, count = Bernoulli.of_rate(rate), 64 * 64
    drops = dropped.sum(axis=others)
    statistic = ((drops - count * law.rate) ** 2 / (count * law.rate * (1 - law.rate))).sum()
    assert SMALLEST_P < stats.chi2.sf(statistic, 64) < 1 - SMALLEST_P


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.25, 0.5])
def test_neighbouring_units_passes_and_examples_are_uncorrelated(rate):
    drawn = keep(rate, 256, examples=40, passes=48)
    for lag in (1, 2, 3, 4, 8, 16, 32):
        check_uncorrelated(drawn[lag:], drawn[:-lag])
        check_uncorrelated(drawn[:, lag:], drawn[:, :-lag])
        check_uncorrelated(drawn[:, :, lag:], drawn[:, :, :-lag])
    # Diagonals, where counters that are added up would repeat themselves.
    check_uncorrelated(drawn[1:, 1:], drawn[:-1, :-1])
    check_uncorrelated(drawn[1:, :-1], drawn[:-1, 1:])
    check_uncorrelated(drawn[:, 1:, 1:], drawn[:, :-1, :-1])
    check_uncorrelated(drawn[:, :-1, 1:], drawn[:, 1:, :-1])


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_layers_calls_draws_and_seeds_are_uncorrelated(rate):
    owners = [owner << 20 for owner in range(5)]
    calls = [call << 8 for call in range(1, 5)]
    streams = [*owners, *calls, 1, 2, 0xFFF << 20]
    drawn = [keep(rate, 500, stream=stream, examples=8, passes=16) for stream in streams]
    seeds = [1, 2, 3, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    drawn += [keep(rate, 500, seed=seed, examples=8, passes=16) for seed in seeds]
    for number, first in enumerate(drawn):
        for second in drawn[:number]:
            check_uncorrelated(first, second)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_runs_are_as_frequent_as_in_coin_tosses(axis):
    """In n fair tosses neighbours differ (n - 1) / 2 times, with variance (n - 1) / 4."""
    tosses = np.moveaxis(keep(0.5, 96, examples=64, passes=96), axis, 0)
    changes = (tosses[1:] != tosses[:-1]).sum()
    trials = tosses[1:].size
    deviate = (changes - trials / 2) / np.sqrt(trials / 4)
    assert 2 * stats.norm.sf(abs(deviate)) > SMALLEST_P
    # The lengths of runs are geometric: P(length = k) = 2^-k.
    flat = np.moveaxis(tosses, 0, -1).reshape(-1)
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(edges)
    counts = np.append(np.bincount(lengths, minlength=12)[1:12], (lengths >= 12).sum())
    shares = np.append(0.5 ** np.arange(1, 12), 0.5**11)
    check_frequencies(counts, shares * lengths.size)


def test_every_bit_of_a_word_is_fair_and_independent_of_the_others():
    drawn = words(400, examples=50, blocks=10).ravel()
    bits = (drawn[:, None] >> np.arange(32, dtype=np.uint32) & 1).astype(float)
    deviates = (bits.sum(axis=0) - drawn.size / 2) / np.sqrt(drawn.size / 4)
    assert SMALLEST_P < stats.chi2.sf((deviates**2).sum(), 32) < 1 - SMALLEST_P
    correlations = np.corrcoef(bits.T)[np.triu_indices(32, 1)] * np.sqrt(drawn.size)
    pairs = correlations.size
    assert SMALLEST_P < stats.chi2.sf((correlations**2).sum(), pairs) < 1 - SMALLEST_P
    assert 2 * pairs * stats.norm.sf(np.abs(correlations).max()) > SMALLEST_P


@pytest.mark.parametrize("layout", ["units", "examples", "blocks", "streams", "seeds"])
def test_bytes_are_equally_frequent_along_every_counter(layout):
    count = 2**14
    drawn = {
        "units": lambda: words(count),
        "examples": lambda: words(1, examples=count),
        "blocks": lambda: words(1, blocks=count),
        "streams": lambda: np.stack([words(64, stream=s << 20) for s in range(count // 64)]),
        "seeds": lambda: np.stack([words(64, seed=s) for s in range(count // 64)]),
    }[layout]()
    for shift in (0, 8, 16, 24):
        counts = np.bincount((drawn.ravel() >> np.uint32(shift) & 255), minlength=256)
        check_frequencies(counts, np.full(256, count / 256))


def test_pairs_of_successive_words_fill_the_square_evenly():
    for drawn in (words(2**16).ravel(), words(1, examples=2**16).ravel()):
        high = drawn >> np.uint32(28)
        for lag in (1, 2, 7):
            pairs = high[lag:].astype(int) * 16 + high[:-lag]
            check_frequencies(np.bincount(pairs, minlength=256), np.full(256, pairs.size / 256))


def test_one_step_of_any_counter_changes_half_of_all_bits():
    """Strict avalanche: each of 32 bits flips with probability 1/2, over 4096 words."""
    units = 4096
    base = words(units)
    steps = {
        "seed": words(units, seed=1),
        "high word of the seed": words(units, seed=WORD),
        "layer": words(units, stream=1 << 20),
        "call": words(units, stream=1 << 8),
        "draw": words(units, stream=1),
        "example": words(units, examples=2)[:, 1:],
        "block": words(units, blocks=2)[1:],
        "unit": words(units + 1)[:, :, 1:],
    }
    for name, moved in steps.items():
        flipped = ((base ^ moved).ravel()[:, None] >> np.arange(32, dtype=np.uint32) & 1).sum(
            axis=0
        )
        deviates = (flipped - units / 2) / np.sqrt(units / 4)
        assert stats.chi2.sf((deviates**2).sum(), 32) > SMALLEST_P, name


def test_no_two_passes_or_examples_of_a_layer_share_their_masks():
    drawn = keep(0.5, 96, examples=300, passes=64).reshape(-1, 96)
    assert len(np.unique(drawn, axis=0)) == len(drawn)


def test_examples_that_share_half_of_the_key_have_their_own_masks():
    # Among 2**18 pairs of example and block, about eight times two agree in any 32-bit word.
    drawn = words(2, stream=1, examples=2**16, blocks=4).reshape(-1, 2).astype(np.uint64)
    assert len(np.unique(drawn[:, 0])) < len(drawn)
    assert len(np.unique(drawn[:, 0] << np.uint64(32) | drawn[:, 1])) == len(drawn)


def test_rare_drops_fall_independently():
    """At rate 0.001 the drops of a row are binomial, and neighbours coincide p^2 of the time."""
    rate, units = 0.001, 4000
    dropped = ~keep(rate, units, examples=50, passes=64)
    law = Bernoulli.of_rate(rate)
    counts = np.bincount(dropped.sum(axis=-1).ravel(), minlength=12)
    expected = stats.binom(units, law.rate).pmf(np.arange(12)) * 50 * 64
    pooled = slice(0, 10)
    check_frequencies(
        [*counts[pooled], counts[10:].sum()],
        [*expected[pooled], 50 * 64 - expected[pooled].sum()],
    )
    neighbours = [
        (dropped[1:] & dropped[:-1]).sum(),
        (dropped[:, 1:] & dropped[:, :-1]).sum(),
        (dropped[:, :, 1:] & dropped[:, :, :-1]).sum(),
    ]
    for coincidences in neighbours:
        mean = law.rate**2 * dropped.size
        assert stats.poisson(mean).cdf(coincidences) > SMALLEST_P
        assert stats.poisson(mean).sf(coincidences - 1) > SMALLEST_P
    gaps = np.diff(np.flatnonzero(dropped))
    assert stats.kstest(gaps - 0.5, stats.expon(scale=1 / law.rate).cdf).pvalue > SMALLEST_P


def test_uniforms_are_uniform_and_strictly_inside():
    drawn = masks.uniform(tf.constant(16 * 50), [500], 3, rows(examples=50)).numpy()
    assert drawn.shape == (800, 500)
    assert drawn.min() > 0
    assert drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > SMALLEST_P
    check_uncorrelated(drawn[:, 1:], drawn[:, :-1])
    check_uncorrelated(drawn[50:], drawn[:-50])
    check_uncorrelated(drawn[1:], drawn[:-1])


def test_normals_are_normal():
    drawn = masks.normal(tf.constant(16 * 50), [500], 3, rows(examples=50)).numpy()
    assert stats.kstest(drawn.ravel(), "norm").pvalue > SMALLEST_P
    check_uncorrelated(drawn[:, 1:] ** 2, drawn[:, :-1] ** 2)


def test_uniforms_of_one_example_do_not_depend_on_the_others():
    whole = masks.uniform(tf.constant(4 * 6), [2, 3], 3, rows(examples=6, passes=4)).numpy()
    some = rows(examples=2, first_example=3, passes=2)
    part = masks.uniform(tf.constant(2 * 2), [2, 3], 3, some).numpy()
    np.testing.assert_array_equal(whole.reshape(4, 6, 2, 3)[:2, 3:5].reshape(4, 2, 3), part)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("parts", [1, 3])
def test_dropping_keeps_units_scaled_and_repeats_inputs_for_every_pass(shared, parts):
    values = np.random.default_rng(0).normal(size=(2 * parts, 5)).astype(np.float32)
    some = rows(examples=2, passes=4, shared=shared)
    repeated = masks.drop(tf.constant(values), 0.3, [5], 1, some, repeat=True).numpy()
    folded = masks.drop(tf.constant(np.tile(values, (4, 1))), 0.3, [5], 1, some).numpy()
    np.testing.assert_array_equal(repeated, folded)
    kept = masks.keep_mask(0.3, 5 * parts, 1, some).numpy()
    kept = np.broadcast_to(kept, (4, 2, 5 * parts)).reshape(4 * 2 * parts, 5)
    scale = 1 / (1 - Bernoulli.of_rate(0.3).rate)
    np.testing.assert_allclose(repeated, np.tile(values, (4, 1)) * kept * scale, rtol=1e-6)


def test_dropping_leaves_the_mean_as_it_was():
    """The mean over T passes of m / (1 - p) has variance p / ((1 - p) T)."""
    ones = tf.ones((40, 50))
    passes = 16 * 20
    mean = masks.drop(ones, 0.3, [50], 1, rows(examples=40, passes=passes), repeat=True)
    mean = mean.numpy().mean()
    error = np.sqrt(0.3 / 0.7 / (passes * 2000))
    assert abs(mean - 1) < 4.4 * error


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("passes", [2, 7, 16, 50])
def test_balanced_masks_keep_every_unit_nearly_equally_often(rate, passes):
    drawn = keep(rate, 300, examples=20, passes=passes, balanced=True)
    kept = drawn.sum(axis=0)
    exact = (1 - Bernoulli.of_rate(rate).rate) * passes
    assert set(np.unique(kept)) <= {np.floor(exact), np.ceil(exact)}
    # Rounded at random: floor(c + U) has mean c and variance f (1 - f), f the fraction of c.
    fraction = exact % 1
    error = np.sqrt(fraction * (1 - fraction) / kept.size)
    assert abs(kept.mean() - exact) <= 4.4 * error + 1e-9


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_each_pass_of_balanced_masks_is_an_ordinary_draw(rate):
    passes = 10
    drawn = keep(rate, 200, examples=40, passes=passes, balanced=True)
    for kept in drawn:
        deviate = (kept.sum() - 8000 * (1 - rate)) / np.sqrt(8000 * rate * (1 - rate))
        assert 2 * stats.norm.sf(abs(deviate)) > SMALLEST_P
        check_uncorrelated(kept[:, 1:], kept[:, :-1])
        check_uncorrelated(kept[1:], kept[:-1])
    # The order is uniform: any two passes are equally (negatively) correlated.
    centred = drawn.reshape(passes, -1) - drawn.mean()
    products = [(centred[i] * centred[j]).mean() for i, j in np.ndindex(passes, passes) if i < j]
    expected = np.mean(products)
    assert expected < 0
    spread = np.std(centred[0] * centred[1]) / np.sqrt(8000)
    assert np.abs(np.array(products) - expected).max() < 4.4 * spread


def test_balanced_masks_of_two_units_are_ordered_independently():
    drawn = keep(0.5, 400, examples=30, passes=6, balanced=True).astype(float)
    for first, second in pairwise(range(0, 6)):
        check_uncorrelated(drawn[first, :, 1:], drawn[second, :, :-1])
        check_uncorrelated(drawn[first, 1:], drawn[second, :-1])
