import calibration as uncertainty_calibration
import numpy as np
import pytest
import scipy.stats
import sklearn.calibration

from mcdrop.errors import DataError
from mcdrop.metrics import calibration
from mcdrop.weighted.arrays import plain_value
from mcdrop.weighted.calibration import debiased_squared_statistic


def draw(num_examples=1000, num_classes=4, sharpen=1.0, decimals=15, seed=0):
    """Labels drawn from p; the returned probabilities are p, sharpened when above 1."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(num_classes, 0.6), size=num_examples)
    y = (generator.random((num_examples, 1)) > p.cumsum(axis=1)).sum(axis=1)
    y = np.minimum(y, num_classes - 1)
    stated = np.round(p**sharpen / (p**sharpen).sum(axis=1, keepdims=True), decimals)
    stated[:, -1] = np.maximum(1 - stated[:, :-1].sum(axis=1), 0)
    return stated, y


def two_classes(confidence):
    confidence = np.asarray(confidence, dtype=float)
    return np.stack([confidence, 1 - confidence], axis=1)


ERRORS = [
    calibration.reliability_curve,
    calibration.expected_calibration_error,
    calibration.classwise_calibration_error,
    calibration.debiased_calibration_error,
    calibration.calibration_error_sweep,
]


@pytest.mark.parametrize("function", ERRORS)
@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([[0.5, 0.5]], [0, 1], "shape"),
        ([[0.5, 0.5]], [2], "labels from"),
        ([[0.7, 0.7]], [0], "sum to 1"),
        ([[2.0, -1.0]], [0], "softmax"),
        ([[0.5, np.nan]], [0], "NaN"),
        ([0.5, 0.5], [0, 1], "expected"),
    ],
)
def test_predictions_and_labels_that_do_not_fit_are_refused(function, p, y, message):
    with pytest.raises(DataError, match=message):
        function(p, y)


@pytest.mark.parametrize(
    "call",
    [
        lambda p, y: calibration.expected_calibration_error(p, y, num_bins=0),
        lambda p, y: calibration.expected_calibration_error(p, y, strategy="adaptive"),
        lambda p, y: calibration.expected_calibration_error(p, y, norm="L1"),
        lambda p, y: calibration.classwise_calibration_error(p, y, num_bins=2.5),
        lambda p, y: calibration.classwise_calibration_error(p, y, norm="linf"),
        lambda p, y: calibration.debiased_calibration_error(p, y, num_bins=0),
        lambda p, y: calibration.calibration_error_sweep(p, y, norm="l3"),
        lambda p, y: calibration.reliability_curve(p, y, confidence_level=1.0),
        lambda p, y: calibration.reliability_curve(p, y, strategy="width"),
    ],
)
def test_unknown_options_are_refused(call):
    with pytest.raises(DataError):
        call(*draw(10))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_a_curve_has_one_value_a_bin_and_one_edge_more(strategy):
    curve = calibration.reliability_curve(*draw(), num_bins=7, strategy=strategy)
    assert curve.edges.shape == (8,)
    assert curve.edges[[0, -1]].tolist() == [0.0, 1.0]
    assert (np.diff(curve.edges) >= 0).all()
    for values in (curve.confidence, curve.accuracy, curve.count, curve.low, curve.high):
        assert values.shape == (7,)
    assert curve.count.sum() == 1000


def test_calibration_errors_of_four_predictions_by_hand():
    # Bins of [0.5, 0.75) and [0.75, 1]: gaps |0.5 - 0.65| and |0.5 - 0.9|, two examples each.
    p, y = two_classes([0.6, 0.7, 0.85, 0.95]), [0, 1, 0, 1]
    for norm, expected in [("l1", 0.275), ("l2", np.sqrt((0.15**2 + 0.4**2) / 2)), ("max", 0.4)]:
        error = calibration.expected_calibration_error(p, y, num_bins=4, norm=norm)
        assert error == pytest.approx(expected, abs=1e-15)
        assert isinstance(error, float)


def test_bins_are_weighted_by_how_many_examples_they_hold():
    # keras-uncertainty averages the bins as they are, and says 0.325 of 0.0066 on its case.
    p = two_classes(np.r_[np.full(999, 0.999), 0.51])
    y = np.r_[np.zeros(998, int), 1, 1]
    error = calibration.expected_calibration_error(p, y)
    assert error == pytest.approx(999 / 1000 * abs(998 / 999 - 0.999) + 0.51 / 1000)


def test_empty_bins_are_empty_and_not_on_the_diagonal():
    # keras-uncertainty draws them as perfectly calibrated.
    curve = calibration.reliability_curve(two_classes([0.95, 0.97]), [0, 0], num_bins=10)
    assert curve.count.tolist() == [0] * 9 + [2]
    for values in (curve.confidence, curve.accuracy, curve.low, curve.high):
        assert np.isnan(values[:9]).all()
        assert np.isfinite(values[9])


def test_a_confidence_of_exactly_1_is_in_the_last_bin():
    # torchmetrics#3510 puts it in a phantom bin; copies of Hendrycks' code drop the last bin.
    p, y = two_classes([1.0, 1.0, 1.0, 0.95]), [0, 0, 1, 1]
    curve = calibration.reliability_curve(p, y, num_bins=10)
    assert curve.count[-1] == 4
    error = calibration.expected_calibration_error(p, y, num_bins=10)
    assert error == pytest.approx(abs(0.5 - 3.95 / 4))


@pytest.mark.parametrize("num_bins", [1, 2, 3, 10, 15, 100])
def test_no_confidence_on_an_edge_is_lost(num_bins):
    on_edges = two_classes(np.linspace(0.5, 1.0, 51))
    for strategy in ("uniform", "quantile"):
        curve = calibration.reliability_curve(
            on_edges, np.zeros(51), num_bins=num_bins, strategy=strategy
        )
        assert curve.count.sum() == 51


def test_two_classes_are_binned_on_the_same_interval_as_ten():
    # UQ360 bins two classes on [0.5, 1] and others on [0, 1].
    curve = calibration.reliability_curve(two_classes([0.55, 0.95]), [0, 0], num_bins=4)
    np.testing.assert_array_equal(curve.edges, [0.0, 0.25, 0.5, 0.75, 1.0])
    assert curve.count.tolist() == [0, 0, 1, 1]


def test_classes_without_a_label_do_not_change_the_task():
    # netcal takes three classes of which two occur as a binary task and raises.
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    assert calibration.expected_calibration_error(p, [0, 1, 1], num_bins=1) == pytest.approx(
        abs(2 / 3 - 1.9 / 3)
    )
    expected = (abs(1.3 - 1) + abs(1.1 - 2) + 0.6) / 9
    error = calibration.classwise_calibration_error(p, [0, 1, 1], num_bins=1)
    assert error == pytest.approx(expected)


def test_classwise_error_uses_every_example_for_every_class():
    # baal groups by the true class. Taken so, class 0 would state 0.9 and be right always.
    p, y = two_classes([0.9] * 10), np.repeat([0, 1], 5)
    error = calibration.classwise_calibration_error(p, y, num_bins=10)
    assert error == pytest.approx(0.4)


def test_debiasing_takes_the_chance_part_off():
    # torch-uncertainty has a debias argument that its class cannot reach.
    p, y = draw(500)
    plain = calibration.expected_calibration_error(p, y, strategy="quantile", norm="l2")
    debiased = calibration.debiased_calibration_error(p, y)
    assert debiased < 0.7 * plain


def test_equal_confidences_are_one_bin_whatever_their_order():
    confidence = np.repeat([0.6, 0.8], [30, 10])
    y = np.r_[np.zeros(15), np.ones(15), np.zeros(5), np.ones(5)].astype(int)
    shuffled = np.random.default_rng(0).permutation(40)
    for order in (np.arange(40), np.arange(40)[::-1], shuffled):
        for strategy in ("uniform", "quantile"):
            error = calibration.expected_calibration_error(
                two_classes(confidence[order]), y[order], strategy=strategy
            )
            assert error == pytest.approx((30 * 0.1 + 10 * 0.3) / 40)
        assert calibration.calibration_error_sweep(
            two_classes(confidence[order]), y[order]
        ) == pytest.approx((30 * 0.1 + 10 * 0.3) / 40)


def test_equal_mass_bins_hold_equal_numbers():
    curve = calibration.reliability_curve(*draw(1000), num_bins=10, strategy="quantile")
    assert curve.count.tolist() == [100] * 10
    curve = calibration.reliability_curve(*draw(1000), num_bins=7, strategy="quantile")
    assert set(curve.count.tolist()) == {142, 143}


def test_edges_of_equal_mass_bins_part_their_examples():
    p, y = draw(100, decimals=2)
    curve = calibration.reliability_curve(p, y, num_bins=6, strategy="quantile")
    counts, _ = np.histogram(p.max(axis=1), bins=curve.edges)
    np.testing.assert_array_equal(counts, curve.count)


def test_a_single_confidence_leaves_the_other_equal_mass_bins_empty():
    curve = calibration.reliability_curve(
        two_classes([0.7] * 6), [0, 0, 0, 1, 1, 1], num_bins=5, strategy="quantile"
    )
    assert curve.count.tolist() == [0, 0, 6, 0, 0]
    np.testing.assert_array_equal(curve.edges, [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_norms_are_ordered_and_in_range(strategy):
    p, y = draw(sharpen=3.0)
    values = [
        calibration.expected_calibration_error(p, y, strategy=strategy, norm=norm)
        for norm in ("l1", "l2", "max")
    ]
    assert 0 < values[0] <= values[1] <= values[2] <= 1


def test_two_classes_have_one_classwise_error():
    # Confidences off the bin edges: mirrored bins then hold mirrored examples.
    p, y = draw(500, num_classes=2)
    first = calibration.classwise_calibration_error(p, y)
    assert first == pytest.approx(calibration.classwise_calibration_error(p[:, ::-1], 1 - y))


def test_a_constant_prediction_of_the_class_frequencies_is_calibrated():
    y = np.repeat([0, 1, 2], [50, 30, 20])
    p = np.tile([0.5, 0.3, 0.2], (100, 1))
    assert calibration.expected_calibration_error(p, y) == pytest.approx(0, abs=1e-15)
    assert calibration.classwise_calibration_error(p, y) == pytest.approx(0, abs=1e-15)
    assert calibration.debiased_calibration_error(p, y) == 0.0


def test_debiased_squared_error_of_calibrated_predictions_is_0_on_average():
    values, expected = [], []
    for seed in range(200):
        p, y = draw(300, seed=seed)
        correct = (p.argmax(axis=1) == y).astype(float)
        statistic = debiased_squared_statistic(p.max(axis=1), correct, num_bins=15)
        values.append(plain_value(statistic, 300))
        # In a bin of 20 with mean confidence a and variance v, an outcome has variance
        # a (1 - a) - v on average, so that taking a (1 - a) for it leaves -v / 19.
        expected.append(-np.sort(p.max(axis=1)).reshape(15, 20).var(axis=1).mean() / 19)
    standard_error = np.std(values, ddof=1) / np.sqrt(200)
    assert abs(np.mean(values) - np.mean(expected)) < 4 * standard_error
    assert np.min(values) < 0
    assert abs(np.mean(expected)) < standard_error


def test_a_bin_of_one_example_has_no_debiased_error():
    p, y = two_classes([0.6, 0.7, 0.8]), [0, 0, 0]
    assert calibration.debiased_calibration_error(p, y, num_bins=3) == 0.0
    # One bin: (0.3)^2 - 0, as all three are right.
    assert calibration.debiased_calibration_error(p, y, num_bins=1) == pytest.approx(0.3)


def test_sweep_of_a_rising_accuracy_takes_every_example_as_a_bin():
    p = two_classes([0.6, 0.7, 0.8, 0.9])
    assert calibration.calibration_error_sweep(p, [1, 1, 0, 0]) == pytest.approx(
        (0.6 + 0.7 + 0.2 + 0.1) / 4
    )


def test_sweep_of_a_falling_accuracy_keeps_one_bin():
    p = two_classes([0.6, 0.7, 0.8, 0.9])
    assert calibration.calibration_error_sweep(p, [0, 0, 1, 1]) == pytest.approx(0.25)


def sweep_by_definition(confidence, correct, norm):
    """Roelofs et al., with examples placed by middle rank; no ties."""
    order = np.argsort(confidence)
    confidence, correct = confidence[order], correct[order]
    count = confidence.size
    best = None
    for num_bins in range(1, count + 1):
        bins = np.floor((np.arange(count) + 0.5) * num_bins / count).astype(int)
        held = [bins == b for b in range(num_bins)]
        accuracies = [correct[h].mean() for h in held]
        if np.any(np.diff(accuracies) < 0):
            break
        gaps = np.abs([correct[h].mean() - confidence[h].mean() for h in held])
        shares = np.array([h.mean() for h in held])
        best = {
            "l1": (shares * gaps).sum(),
            "l2": np.sqrt((shares * gaps**2).sum()),
            "max": gaps.max(),
        }[norm]
    return best


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("seed", range(8))
def test_sweep_agrees_with_its_definition(norm, seed):
    p, y = draw(150, sharpen=1.5, seed=seed)
    confidence, correct = p.max(axis=1), (p.argmax(axis=1) == y).astype(float)
    assert calibration.calibration_error_sweep(p, y, norm=norm) == pytest.approx(
        sweep_by_definition(confidence, correct, norm), rel=1e-12
    )


def binned_by_definition(confidence, outcome, num_bins, norm):
    gaps, shares = [], []
    for b in range(num_bins):
        held = (confidence >= b / num_bins) & (
            (confidence < (b + 1) / num_bins) | (b == num_bins - 1)
        )
        if held.any():
            gaps.append(abs(confidence[held].mean() - outcome[held].mean()))
            shares.append(held.mean())
    gaps, shares = np.array(gaps), np.array(shares)
    if norm == "max":
        return gaps.max()
    power = {"l1": 1, "l2": 2}[norm]
    return (shares * gaps**power).sum() ** (1 / power)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_equal_width_errors_agree_with_their_definition(norm, num_bins):
    p, y = draw(sharpen=2.0)
    options = {"num_bins": num_bins, "norm": norm}
    top = binned_by_definition(p.max(axis=1), p.argmax(axis=1) == y, num_bins, norm)
    error = calibration.expected_calibration_error(p, y, **options)
    assert error == pytest.approx(top, rel=1e-12)
    classes = [binned_by_definition(p[:, c], y == c, num_bins, norm) for c in range(4)]
    assert calibration.classwise_calibration_error(p, y, **options) == pytest.approx(
        np.mean(classes), rel=1e-12
    )


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_curve_agrees_with_scikit_learn(strategy):
    p, y = draw(1000, sharpen=2.0)
    curve = calibration.reliability_curve(p, y, num_bins=10, strategy=strategy)
    accuracy, confidence = sklearn.calibration.calibration_curve(
        p.argmax(axis=1) == y, p.max(axis=1), n_bins=10, strategy=strategy
    )
    filled = curve.count > 0
    np.testing.assert_allclose(curve.accuracy[filled], accuracy, rtol=1e-12)
    np.testing.assert_allclose(curve.confidence[filled], confidence, rtol=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_of_the_curve_agree_with_scipys_wilson_intervals(level):
    p, y = draw(60)
    curve = calibration.reliability_curve(p, y, num_bins=5, confidence_level=level)
    for b in np.flatnonzero(curve.count):
        successes = round(curve.accuracy[b] * curve.count[b])
        interval = scipy.stats.binomtest(successes, int(curve.count[b])).proportion_ci(
            level, method="wilson"
        )
        np.testing.assert_allclose([curve.low[b], curve.high[b]], interval, atol=1e-12)


@pytest.mark.parametrize("num_examples", [300, 1500])
def test_debiased_error_agrees_with_uncertainty_calibration(num_examples):
    p, y = draw(num_examples, sharpen=2.0)
    expected = uncertainty_calibration.get_calibration_error(
        p, y, p=2, debias=True, mode="top-label"
    )
    assert calibration.debiased_calibration_error(p, y) == pytest.approx(expected, rel=1e-9)


def test_equal_mass_l2_error_agrees_with_uncertainty_calibration():
    p, y = draw(1500, sharpen=2.0)
    expected = uncertainty_calibration.get_calibration_error(
        p, y, p=2, debias=False, mode="top-label"
    )
    error = calibration.expected_calibration_error(p, y, strategy="quantile", norm="l2")
    assert error == pytest.approx(expected, rel=1e-9)
