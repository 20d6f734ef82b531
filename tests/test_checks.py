"""Arrays that say nothing about what is missing in them are not taken for complete."""

import numpy as np
import pytest

from mcdrop import DataError, from_samples, metrics
from mcdrop._checks import as_float, as_labels, check_count, check_seed

HIDDEN = np.ma.array([1.0, 2.0, 3.0, 4.0], mask=[False, True, False, True])


@pytest.mark.parametrize(
    ("values", "masked"),
    [(HIDDEN, "2 of 4"), ([HIDDEN, np.ones(4)], "2 of 8"), ([1.0, np.ma.masked], "1 of 2")],
)
def test_masked_values_are_refused_with_their_number(values, masked):
    with pytest.raises(DataError, match=f"`x` is a masked array with {masked} value"):
        as_float("x", values)


def test_masked_labels_and_samples_are_refused():
    labels = np.ma.array([0, 1], mask=[False, True])
    with pytest.raises(DataError, match="1 of 2 value"):
        as_labels("y", labels, (2,), 2)
    with pytest.raises(DataError, match="1 of 2 value"):
        metrics.accuracy([[0.1, 0.9], [0.2, 0.8]], labels)
    samples = np.ma.masked_greater(np.full((2, 3), 0.5), 0.4)
    with pytest.raises(DataError, match="6 of 6 value"):
        from_samples(samples, np.full(3, 0.5), task="binary")


def test_a_masked_array_without_masked_values_is_an_array():
    whole = np.ma.array([1.0, 2.0], mask=False)
    np.testing.assert_array_equal(as_float("x", whole), [1.0, 2.0])


def test_a_count_fits_32_bits_and_a_seed_64():
    assert check_count("num_bins", 2**31 - 1, minimum=1) == 2**31 - 1
    assert check_seed("seed", 2**64 - 1) == 2**64 - 1
    with pytest.raises(DataError, match=r"`num_bins` is 2147483648, .* below 2\*\*31"):
        metrics.expected_calibration_error([[0.5, 0.5]], [0], num_bins=2**31)
    for seed in (2**64, -1, 1.5, True):
        with pytest.raises(DataError, match="`seed`"):
            check_seed("seed", seed)
