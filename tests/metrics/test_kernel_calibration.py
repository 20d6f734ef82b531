import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from mcdrop.errors import DataError
from mcdrop.metrics import calibration, kernel_calibration
from mcdrop.weighted.arrays import plain_value
from mcdrop.weighted.kernel_calibration import kernel_squared_statistic


def draw(num_examples=500, num_classes=3, sharpen=1.0, seed=0):
    """Labels drawn from p; the returned probabilities are p, sharpened when above 1."""
    generator = np.random.default_rng(seed)
    p = generator.dirichlet(np.full(num_classes, 0.8), size=num_examples)
    y = (generator.random((num_examples, 1)) > p.cumsum(axis=1)).sum(axis=1)
    return p**sharpen / (p**sharpen).sum(axis=1, keepdims=True), np.minimum(y, num_classes - 1)


def two_classes(confidence):
    confidence = np.asarray(confidence, dtype=float)
    return np.stack([confidence, 1 - confidence], axis=1)


FUNCTIONS = [
    kernel_calibration.smooth_calibration_error,
    kernel_calibration.full_calibration_error,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("p", "y"),
    [
        ([[0.5, 0.5]], [0, 1]),
        ([[0.5, 0.5]], [2]),
        ([[0.7, 0.7]], [0]),
        ([[np.nan, 0.5]], [0]),
        ([0.5, 0.5], [0, 1]),
    ],
)
def test_predictions_and_labels_that_do_not_fit_are_refused(function, p, y):
    with pytest.raises(DataError):
        function(p, y)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, np.nan, "median"])
def test_full_calibration_needs_a_positive_bandwidth(bandwidth):
    with pytest.raises(DataError, match="bandwidth"):
        kernel_calibration.full_calibration_error(*draw(10), bandwidth=bandwidth)


def test_full_calibration_needs_a_pair():
    with pytest.raises(DataError, match="pairs"):
        kernel_calibration.full_calibration_error([[0.5, 0.5]], [0])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_error_is_one_number(function):
    assert isinstance(function(*draw()), float)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 1.0])
def test_smooth_error_of_one_confidence_is_its_gap(confidence):
    # All residuals sit at one point, and smoothing keeps their sum of 0.4 - confidence.
    p, y = two_classes([confidence] * 10), np.repeat([0, 1], [4, 6])
    if confidence == 0.5:
        y = 1 - y  # class 0, the first of the tied, is then right in 6 of 10
    expected = abs(confidence - (0.6 if confidence == 0.5 else 0.4))
    error = kernel_calibration.smooth_calibration_error(p, y)
    assert error == pytest.approx(expected, abs=1e-8)


def test_smooth_error_is_0_when_all_is_certain_and_right_and_1_when_wrong():
    p = two_classes([1.0, 1.0, 1.0])
    assert kernel_calibration.smooth_calibration_error(p, [0, 0, 0]) == 0.0
    assert kernel_calibration.smooth_calibration_error(p, [1, 1, 1]) == pytest.approx(1.0)


def test_smooth_error_moves_little_when_a_confidence_crosses_a_bin_edge():
    # ECE jumps: its bins at 0.8 part the two groups or join them.
    below, above = (
        (two_classes(np.repeat([0.8 + shift, 0.85], 50)), np.repeat([0, 1], [20, 80]))
        for shift in (-1e-9, 1e-9)
    )
    smooth = [kernel_calibration.smooth_calibration_error(*data) for data in (below, above)]
    assert abs(smooth[0] - smooth[1]) < 1e-6
    p = [two_classes(np.repeat([0.8 + shift, 0.85], [50, 50])) for shift in (-1e-9, 1e-9)]
    y = np.r_[np.repeat([0, 1], [50, 0]), np.repeat([0, 1], [20, 30])]
    errors = [calibration.expected_calibration_error(q, y, num_bins=5) for q in p]
    assert abs(errors[0] - errors[1]) > 0.1
    smooth = [kernel_calibration.smooth_calibration_error(q, y) for q in p]
    assert abs(smooth[0] - smooth[1]) < 1e-6


def reflected_kernel(points, centers, width):
    """Gaussian on [0, 1] with images at 2k + c and 2k - c: the reflection at both ends."""
    images = np.arange(-6, 7)[:, np.newaxis, np.newaxis] * 2
    direct = scipy.stats.norm.pdf(points[:, np.newaxis], images + centers, width)
    mirrored = scipy.stats.norm.pdf(points[:, np.newaxis], images - centers, width)
    return (direct + mirrored).sum(axis=0)


def smooth_error_by_definition(confidence, correct):
    """Blasiok & Nakkiran: the width s at which the integral of |E r K_s(t, c)| dt equals s."""
    points = (np.arange(3000) + 0.5) / 3000
    residual = (correct - confidence) / confidence.size

    def excess(width):
        smoothed = reflected_kernel(points, confidence, width) @ residual
        return np.abs(smoothed).mean() - width

    return scipy.optimize.brentq(excess, 1e-3, 1.0, xtol=1e-10)


@pytest.mark.parametrize("num_examples", [5, 40])
@pytest.mark.parametrize("sharpen", [1.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_smooth_error_agrees_with_its_definition(num_examples, sharpen, seed):
    p, y = draw(num_examples, sharpen=sharpen, seed=seed)
    confidence, correct = p.max(axis=1), (p.argmax(axis=1) == y).astype(float)
    expected = smooth_error_by_definition(confidence, correct)
    error = kernel_calibration.smooth_calibration_error(p, y)
    # The midpoint rule errs where the absolute value has a kink, by up to cell^2 / 8 times the
    # change of slope, which is below value / width^2 = 20: 3e-7 on 3,000 points, a few kinks.
    assert error == pytest.approx(expected, abs=1e-6)


def full_squared_by_definition(p, y, bandwidth):
    total, count = 0.0, len(p)
    for i in range(count):
        for j in range(count):
            if i != j:
                kernel = np.exp(-np.linalg.norm(p[i] - p[j]) / bandwidth)
                total += kernel * (
                    (np.eye(p.shape[1])[y[i]] - p[i]) @ (np.eye(p.shape[1])[y[j]] - p[j])
                )
    return total / (count * (count - 1))


@pytest.mark.parametrize("bandwidth", [0.1, 0.5])
def test_full_error_agrees_with_a_loop_over_pairs(bandwidth):
    p, y = draw(60, sharpen=3.0)
    expected = np.sqrt(full_squared_by_definition(p, y, bandwidth))
    error = kernel_calibration.full_calibration_error(p, y, bandwidth=bandwidth)
    assert error == pytest.approx(expected, rel=1e-9)


def test_full_error_of_more_than_a_block_is_the_mean_over_interleaved_blocks():
    p, y = draw(2400, sharpen=3.0)
    blocks = [
        kernel_calibration.full_calibration_error(p[start::3], y[start::3]) for start in range(3)
    ]
    error = kernel_calibration.full_calibration_error(p, y)
    assert error**2 == pytest.approx(np.mean(np.square(blocks)), rel=1e-12)


def test_full_error_does_not_mistake_data_sorted_by_label_for_bad_calibration():
    p, y = draw(3000)
    order = np.argsort(y, kind="stable")
    assert kernel_calibration.full_calibration_error(p[order], y[order]) < 0.03


def test_full_squared_error_of_calibrated_predictions_is_0_on_average():
    values = []
    for seed in range(200):
        p, y = draw(100, seed=seed)
        values.append(plain_value(kernel_squared_statistic(p, y, bandwidth=0.5), 100))
    standard_error = np.std(values, ddof=1) / np.sqrt(200)
    assert abs(np.mean(values)) < 4 * standard_error
    assert np.min(values) < 0


def test_full_error_sees_what_the_top_label_hides():
    # The top label is right as often as stated, the other two classes are swapped.
    generator = np.random.default_rng(0)
    p = np.tile([0.6, 0.3, 0.1], (3000, 1))
    y = generator.choice(3, p=[0.6, 0.1, 0.3], size=3000)
    assert calibration.expected_calibration_error(p, y) < 0.03
    # One probability vector: the error is |(0, -0.2, 0.2)|, up to the noise of a share,
    # sqrt(0.6 * 0.4 / 3000) = 0.009 a class.
    assert kernel_calibration.full_calibration_error(p, y) == pytest.approx(
        0.2 * np.sqrt(2), abs=0.04
    )


def test_full_error_is_a_lower_bound_of_the_true_distance():
    generator = np.random.default_rng(0)
    truth = generator.dirichlet([0.8] * 3, size=3000)
    y = np.minimum((generator.random((3000, 1)) > truth.cumsum(axis=1)).sum(axis=1), 2)
    stated = truth**3 / (truth**3).sum(axis=1, keepdims=True)
    distance = np.sqrt(((truth - stated) ** 2).sum(axis=1).mean())
    error = kernel_calibration.full_calibration_error(stated, y)
    assert 0.3 * distance < error < distance
