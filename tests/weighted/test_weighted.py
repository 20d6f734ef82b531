import numpy as np
import pytest

from mcdrop.weighted import arrays, calibration, classwise, kernel_calibration, ranking

NUM_EXAMPLES = 60
DECIMALS = [1, 12]


def make_data(decimals, seed=0):
    """Probabilities, labels, confidence, correctness, uncertainty; few decimals make ties."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(3, 0.7), size=NUM_EXAMPLES)
    p = np.round(p, decimals)
    p[:, 2] = np.maximum(1 - p[:, :2].sum(axis=1), 0)
    y = generator.integers(3, size=NUM_EXAMPLES)
    correct = (p.argmax(axis=1) == y).astype(float)
    return p, y, p.max(axis=1), correct, 1 - p.max(axis=1)


def make_statistics(p, y, confidence, correct, uncertainty):
    error, positive = 1 - correct, correct == 0
    loss = -np.log(np.maximum(p[np.arange(y.size), y], 1e-3))
    binned = calibration.binned_calibration_statistic
    statistics = {
        "mean": arrays.mean_statistic(loss),
        "debiased": calibration.debiased_calibration_statistic(confidence, correct, num_bins=5),
        "sweep": calibration.sweep_calibration_statistic(confidence, correct, norm="l1"),
        "smooth": kernel_calibration.smooth_calibration_statistic(confidence, correct),
        "classwise": classwise.classwise_calibration_statistic(
            p, y, num_bins=5, strategy="quantile", norm="l1"
        ),
        "auroc": ranking.auroc_statistic(uncertainty, positive),
        "average precision": ranking.average_precision_statistic(uncertainty, positive),
        "fpr": ranking.false_positive_rate_statistic(
            uncertainty, positive, true_positive_rate=0.95
        ),
        "coverage": ranking.coverage_at_risk_statistic(uncertainty, error, risk=0.4),
        "risk": ranking.risk_at_coverage_statistic(uncertainty, error, coverage=0.6),
    }
    for strategy in ("uniform", "quantile"):
        for norm in ("l1", "l2", "max"):
            statistics[f"ece {strategy} {norm}"] = binned(
                confidence, correct, num_bins=5, strategy=strategy, norm=norm
            )
    for name, values in (("error", error), ("loss", loss)):
        statistics |= {
            f"aurc {name}": ranking.area_under_risk_coverage_statistic(uncertainty, values),
            f"excess {name}": ranking.excess_area_under_risk_coverage_statistic(
                uncertainty, values
            ),
            f"augrc {name}": ranking.area_under_generalized_risk_coverage_statistic(
                uncertainty, values
            ),
        }
    for part in classwise.BRIER_PARTS:
        one = classwise.brier_parts_statistic(p, y, num_bins=5, parts=(part,))
        statistics[f"brier {part}"] = lambda weights, of_part=one: of_part(weights)[:, 0]
    return statistics


NAMES = list(make_statistics(*make_data(1)))


def resample(rows=6, seed=1):
    generator = np.random.default_rng(seed)
    return generator.multinomial(NUM_EXAMPLES, np.full(NUM_EXAMPLES, 1 / NUM_EXAMPLES), size=rows)


@pytest.mark.parametrize("decimals", DECIMALS)
@pytest.mark.parametrize("name", NAMES)
def test_weights_count_an_example_as_often_as_copies_of_it_would(name, decimals):
    data = make_data(decimals)
    weights = resample()
    values = make_statistics(*data)[name](weights)
    assert values.shape == (6,)
    for row, value in zip(weights, values, strict=True):
        copies = [np.repeat(array, row, axis=0) for array in data]
        copied = arrays.plain_value(make_statistics(*copies)[name], NUM_EXAMPLES)
        assert value == pytest.approx(copied, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_rows_do_not_influence_each_other(name, monkeypatch):
    statistic = make_statistics(*make_data(1))[name]
    weights = resample(rows=7)
    together = statistic(weights)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 2 * NUM_EXAMPLES)
    np.testing.assert_allclose(statistic(weights), together, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(statistic(weights[3:4]), together[3:4], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_a_statistic_is_not_changed_by_using_it(name):
    data = make_data(1)
    copies = [array.copy() for array in data]
    statistic = make_statistics(*data)[name]
    weights = resample()
    first = statistic(weights)
    np.testing.assert_array_equal(statistic(weights), first)
    np.testing.assert_array_equal(weights, resample())
    for array, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_fractional_weights_order_like_whole_ones():
    # Tenths of whole weights: every statistic of shares alone must not notice.
    statistics = make_statistics(*make_data(1))
    weights = resample()
    for name in NAMES:
        if not name.startswith(("debiased", "aurc", "excess")):
            np.testing.assert_allclose(
                statistics[name](weights / 10), statistics[name](weights), atol=1e-9
            )


def test_sweep_ends_where_fractional_weights_never_part_two_groups():
    confidence, outcome = np.array([0.6, 0.7, 0.8, 0.9]), np.array([0.0, 1.0, 0.0, 1.0])
    statistic = calibration.sweep_calibration_statistic(confidence, outcome, norm="l1")
    value = statistic(np.array([[1.3, 1e-6, 1e-6, 0.9]]))
    assert value == pytest.approx((1.3 * 0.6 + 0.9 * 0.1) / 2.2, abs=1e-5)


def test_fractional_weights_have_an_area_close_to_that_of_whole_ones():
    # The Bayesian bootstrap; 4,000 Dirichlet areas against 4,000 multinomial ones.
    *_, correct, uncertainty = make_data(12)
    statistic = ranking.area_under_risk_coverage_statistic(uncertainty, 1 - correct)
    generator = np.random.default_rng(0)
    smooth = statistic(NUM_EXAMPLES * generator.dirichlet(np.ones(NUM_EXAMPLES), size=4000))
    whole = statistic(resample(rows=4000))
    error = np.sqrt((smooth.var() + whole.var()) / 4000)
    # Both have the same mean to first order; 1/n of the value is the size of the second.
    assert abs(smooth.mean() - whole.mean()) < 4 * error + whole.mean() / NUM_EXAMPLES


def test_resamples_without_an_error_have_no_detection():
    uncertainty, positive = np.arange(4.0), np.array([False, False, False, True])
    weights = np.array([[2, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 4]])
    for statistic in (
        ranking.auroc_statistic(uncertainty, positive),
        ranking.average_precision_statistic(uncertainty, positive),
        ranking.false_positive_rate_statistic(uncertainty, positive, true_positive_rate=0.95),
    ):
        np.testing.assert_array_equal(np.isnan(statistic(weights)), [True, False, True])


def test_no_resamples_give_no_values():
    assert arrays.mean_statistic(np.ones(3))(np.ones((0, 3))).shape == (0,)


def test_kernel_error_leaves_pairs_of_copies_out():
    p, y, *_ = make_data(12)
    statistic = kernel_calibration.kernel_squared_statistic(p, y, bandwidth=0.3)
    weights = resample(rows=3)
    residual = np.eye(3)[y] - p
    kernel = np.exp(-np.linalg.norm(p[:, np.newaxis] - p, axis=2) / 0.3) * (residual @ residual.T)
    pairs = weights[:, :, np.newaxis] * weights[:, np.newaxis] * (1 - np.eye(NUM_EXAMPLES))
    expected = (pairs * kernel).sum(axis=(1, 2)) / pairs.sum(axis=(1, 2))
    np.testing.assert_allclose(statistic(weights), expected, rtol=1e-9)


def test_groups_hold_equal_keys_and_sum_them():
    groups = arrays.group_ties(np.array([0.3, 0.1, 0.3, 0.2]))
    np.testing.assert_array_equal(groups.keys, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(groups.sums(np.array([[1.0, 2.0, 4.0, 8.0]])), [[2, 8, 5]])


def test_keys_that_only_rounding_parts_are_tied():
    table = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.3, 0.1, 0.4, 0.2]])
    entropies = np.array([-sum(p * np.log(p) for p in row) for row in table])
    assert np.unique(entropies).size > 1  # the order of the terms moves the last digit
    assert np.unique(arrays.equalled(entropies)).size == 1
    assert arrays.group_ties(np.array([1e-20, 2e-20, 0.0, 1.0])).starts.size == 4
