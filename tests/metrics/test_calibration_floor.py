import numpy as np
import pytest
import scipy.stats

from mcdrop.errors import DataError
from mcdrop.metrics import calibration
from mcdrop.weighted import calibration as weighted_calibration


def draw(num_examples):
    return np.random.default_rng(0).dirichlet(np.full(4, 0.6), size=num_examples)


@pytest.mark.parametrize(
    "options",
    [
        {"num_simulations": 0},
        {"seed": -1},
        {"num_bins": 0},
        {"strategy": "width"},
        {"norm": "l3"},
    ],
)
def test_unknown_options_are_refused(options):
    with pytest.raises(DataError):
        calibration.calibration_error_floor(draw(10), **options)


@pytest.mark.parametrize("p", [[0.5, 0.5], [[0.7, 0.7]], [[np.nan, 1.0]], np.empty((0, 3))])
def test_what_is_not_a_table_of_probabilities_is_refused(p):
    with pytest.raises(DataError):
        calibration.calibration_error_floor(p)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_floor_of_one_confidence_is_the_spread_of_a_binomial_share(norm):
    floor = calibration.calibration_error_floor(
        np.tile([0.8, 0.2], (50, 1)), norm=norm, num_simulations=4000
    )
    binomial = scipy.stats.binom(50, 0.8)
    gaps = np.abs(np.arange(51) / 50 - 0.8)
    expected, variance = binomial.expect(lambda k: np.abs(k / 50 - 0.8)), binomial.var() / 50**2
    # The mean of 4,000 gaps of variance below that of the share.
    assert abs(floor.mean - expected) < 4 * np.sqrt(variance / 4000)
    # The exact quantiles of the gap are steps of 1/50; allow one.
    order = np.argsort(gaps)
    levels = binomial.pmf(np.arange(51))[order].cumsum()
    for quantile, level in [(floor.low, 0.025), (floor.high, 0.975)]:
        assert abs(quantile - gaps[order][np.searchsorted(levels, level)]) <= 0.02 + 1e-12


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_floor_is_what_calibrated_labels_score(strategy):
    p = draw(400)
    floor = calibration.calibration_error_floor(p, strategy=strategy)
    generator = np.random.default_rng(1)
    errors = np.empty(400)
    for index in range(400):
        y = np.minimum((generator.random((400, 1)) > p.cumsum(axis=1)).sum(axis=1), 3)
        errors[index] = calibration.expected_calibration_error(p, y, strategy=strategy)
    # Two means, of 400 and 1,000 draws of one distribution.
    standard_error = np.std(errors, ddof=1) * np.sqrt(1 / 400 + 1 / 1000)
    assert abs(np.mean(errors) - floor.mean) < 4 * standard_error
    inside = np.mean((errors >= floor.low) & (errors <= floor.high))
    # The noise of 400 draws and of the two simulated ends, 4 sqrt(0.95 0.05 (1/400 + 1/1000)).
    assert abs(inside - 0.95) < 0.052


def test_floor_is_reproducible_and_falls_with_more_examples():
    p = draw(300)
    floor = calibration.calibration_error_floor(p, num_simulations=100, seed=3)
    assert floor == calibration.calibration_error_floor(p, num_simulations=100, seed=3)
    assert floor != calibration.calibration_error_floor(p, num_simulations=100, seed=4)
    assert 0 <= floor.low <= floor.mean <= floor.high <= 1
    tenfold = calibration.calibration_error_floor(np.tile(p, (10, 1)), num_simulations=100)
    assert tenfold.high < floor.low


def test_floor_does_not_depend_on_how_the_simulations_are_blocked(monkeypatch):
    p = draw(300)
    whole = calibration.calibration_error_floor(p, num_simulations=50)
    monkeypatch.setattr(weighted_calibration, "BLOCK_ELEMENTS", 1000)
    assert calibration.calibration_error_floor(p, num_simulations=50) == whole
