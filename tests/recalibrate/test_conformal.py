"""Tests of mcdrop.recalibrate.conformal."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import DataError
from mcdrop.recalibrate import (
    SplitConformalClassifier,
    SplitConformalRegressor,
    conformal_coverage,
)

METHODS = ("threshold", "adaptive", "regularized_adaptive")


def draw_classes(count, generator, num_classes=5):
    """Returns probabilities of a bad model (count, C) and labels that follow another law."""
    p = generator.dirichlet(np.full(num_classes, 0.5), size=count)
    truth = 0.5 * p[:, ::-1] ** 0.3 + p
    cumulative = (truth / truth.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return p, (generator.random((count, 1)) > cumulative[:, :-1]).sum(axis=1)


def mean_coverage_tolerance(size, rank, fresh, repetitions):
    """Returns 4 standard errors of the coverage on `fresh` examples, averaged over repetitions.

    Of one calibration set the coverage is Beta(k, n + 1 - k), and is measured with the binomial
    error of the fresh examples, of which E[p (1 - p)] = k (n + 1 - k) / ((n + 1) (n + 2)).
    """
    mean = rank / (size + 1)
    between = mean * (1 - mean) / (size + 2)
    within = mean * (1 - mean) * (size + 1) / (size + 2) / fresh
    return 4 * np.sqrt((between + within) / repetitions)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "margin"},
        {"level": 1.0},
        {"level": 95},
        {"penalty": -1.0},
        {"free_rank": -1},
        {"class_conditional": "yes"},
        {"thresholds": (0.5,)},
        {"thresholds": (0.5, np.nan)},
    ],
)
def test_bad_settings_of_the_classifier_are_refused(settings):
    with pytest.raises(DataError, match=f"`{next(iter(settings))}`"):
        SplitConformalClassifier(**settings)


@pytest.mark.parametrize("settings", [{"level": 0.0}, {"offset": -1.0}, {"thresholds": (-1.0,)}])
def test_bad_settings_of_the_regressor_are_refused(settings):
    with pytest.raises(DataError, match=f"`{next(iter(settings))}`"):
        SplitConformalRegressor(**settings)


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="`seed`"):
        SplitConformalClassifier(method="adaptive").fit([[0.5, 0.5]], [0], seed=-1)


def test_a_deviation_of_zero_needs_an_offset():
    with pytest.raises(DataError, match="Set `offset`"):
        SplitConformalRegressor().fit([0.0], [0.0], [1.0])
    fitted = SplitConformalRegressor(level=0.5, offset=0.5).fit([0.0], [0.0], [1.0])
    assert fitted.thresholds == (2.0,)


def test_another_number_of_classes_or_outputs_is_refused():
    classifier = SplitConformalClassifier(thresholds=(0.5, 0.5, 0.5))
    with pytest.raises(DataError, match="fitted on 3"):
        classifier.transform([[0.5, 0.5]])
    with pytest.raises(DataError, match="fitted on 2"):
        SplitConformalRegressor(thresholds=(1.0, 1.0)).transform([0.0], [1.0])


@pytest.mark.parametrize("method", METHODS)
def test_sets_are_booleans_of_the_shape_of_the_probabilities(method):
    p, y = draw_classes(50, np.random.default_rng(0))
    sets = SplitConformalClassifier(method=method).fit(p, y).transform(p[:7])
    assert sets.shape == (7, 5)
    assert sets.dtype == bool


def test_intervals_keep_the_shape_of_the_means():
    generator = np.random.default_rng(0)
    mean, y = generator.normal(size=(2, 40, 3))
    fitted = SplitConformalRegressor().fit(mean, np.ones((40, 3)), y)
    low, high = fitted.transform(mean, np.ones((40, 3)))
    assert low.shape == high.shape == (40, 3)
    assert len(fitted.thresholds) == 3


def test_the_threshold_is_the_score_of_rank_n_plus_one_times_the_level():
    # Nine scores 0.1 ... 0.9 at level 0.8: rank ceil(10 * 0.8) = 8, not numpy's quantile.
    p = np.stack([np.arange(9, 0, -1) / 10, np.arange(1, 10) / 10], axis=1)
    fitted = SplitConformalClassifier(level=0.8).fit(p, np.zeros(9, dtype=int))
    assert fitted.thresholds == pytest.approx((0.8, 0.8), rel=1e-14)


@pytest.mark.parametrize("size", [9, 19, 29, 99, 999])
def test_a_whole_rank_is_not_pushed_up_by_rounding(size):
    # (n + 1) * 0.7 may come out as 7.000000000000001.
    expected = conformal_coverage(size, level=0.7).expected
    assert expected == pytest.approx(0.7, rel=1e-12)


def test_too_few_examples_make_sets_of_all_classes_and_endless_intervals():
    classifier = SplitConformalClassifier(level=0.9).fit([[0.9, 0.1]] * 8, [0] * 8)
    assert classifier.transform([[1.0, 0.0]]).all()
    regressor = SplitConformalRegressor(level=0.9).fit([0.0] * 8, [1.0] * 8, [0.0] * 8)
    assert np.isinf(regressor.transform([0.0], [1.0])).all()
    assert conformal_coverage(8, level=0.9).expected == 1.0


def test_a_class_without_examples_is_in_every_set_when_class_conditional():
    p, y = draw_classes(300, np.random.default_rng(1), num_classes=3)
    p, y = p[y < 2], y[y < 2]
    sets = SplitConformalClassifier(class_conditional=True).fit(p, y).transform(p)
    assert sets[:, 2].all()
    assert not sets[:, 0].all()


def test_adaptive_scores_have_their_hand_derived_values():
    # Classes of p = (0.2, 0.5, 0.3) in order 1, 2, 0: the masses above are 0.8, 0, 0.5.
    p = np.array([[0.2, 0.5, 0.3]])
    uniform = np.random.default_rng((7, 1)).random()
    scores = np.array([0.8 + 0.2 * uniform, 0.5 * uniform, 0.5 + 0.3 * uniform])
    penalties = np.array([0.2, 0.0, 0.1])  # 0.1 for each rank beyond the first
    for method, expected in (("adaptive", scores), ("regularized_adaptive", scores + penalties)):
        for shift, held in ((1e-9, True), (-1e-9, False)):
            calibrator = SplitConformalClassifier(
                method=method, thresholds=tuple((expected + shift).tolist())
            )
            assert (calibrator.transform(p, seed=7) == held).all()


def test_without_penalty_the_regularized_sets_are_the_adaptive_ones():
    p, y = draw_classes(200, np.random.default_rng(2))
    plain = SplitConformalClassifier(method="adaptive").fit(p, y)
    regularized = SplitConformalClassifier(method="regularized_adaptive", penalty=0.0).fit(p, y)
    np.testing.assert_array_equal(plain.transform(p), regularized.transform(p))


def test_the_random_part_of_a_row_does_not_depend_on_later_rows():
    p, y = draw_classes(200, np.random.default_rng(3))
    fitted = SplitConformalClassifier(method="adaptive").fit(p, y)
    np.testing.assert_array_equal(fitted.transform(p)[:50], fitted.transform(p[:50]))
    assert (fitted.transform(p, seed=1) != fitted.transform(p, seed=2)).any()


@pytest.mark.parametrize("method", METHODS)
def test_sets_of_a_bad_model_cover_at_the_level_and_vary_as_a_beta_distribution(method):
    generator = np.random.default_rng(4)
    size, fresh, repetitions, level = 49, 300, 250, 0.8
    coverages = []
    for seed in range(repetitions):
        p, y = draw_classes(size + fresh, generator)
        fitted = SplitConformalClassifier(method=method, level=level).fit(
            p[:size], y[:size], seed=seed
        )
        sets = fitted.transform(p[size:], seed=seed)
        coverages.append(sets[np.arange(fresh), y[size:]].mean())
    tolerance = mean_coverage_tolerance(size, 40, fresh, repetitions)
    assert np.mean(coverages) == pytest.approx(0.8, abs=tolerance)
    expected = stats.betabinom(fresh, 40, 10).var() / fresh**2
    # The relative deviation of a sample variance is about sqrt(2 / repetitions).
    assert np.var(coverages, ddof=1) == pytest.approx(expected, rel=4 * np.sqrt(2 / repetitions))


@pytest.mark.parametrize("method", METHODS)
def test_class_conditional_sets_cover_every_class_where_one_threshold_does_not(method):
    generator = np.random.default_rng(5)
    count = 20_000
    y = generator.integers(0, 2, size=count)
    # Class 1 is hard: its probability is uniform, that of class 0 near 1.
    of_label = np.where(y == 0, generator.beta(9, 1, size=count), generator.random(count))
    p = np.where(np.eye(2)[y] == 1, of_label[:, None], 1 - of_label[:, None])
    half = count // 2
    coverage = {}
    for conditional in (True, False):
        calibrator = SplitConformalClassifier(method=method, class_conditional=conditional)
        sets = calibrator.fit(p[:half], y[:half]).transform(p[half:])
        held = sets[np.arange(half), y[half:]]
        coverage[conditional] = [held[y[half:] == label].mean() for label in (0, 1)]
    # About count / 4 examples of each class calibrate and as many measure: two binomial errors.
    tolerance = 4 * np.sqrt(2 * 0.9 * 0.1 / (count / 4))
    assert coverage[True] == pytest.approx([0.9, 0.9], abs=tolerance)
    assert coverage[False][1] < 0.9 - 2 * tolerance


def test_intervals_cover_skewed_noise_whose_scale_the_deviation_follows_only_roughly():
    generator = np.random.default_rng(6)
    size, fresh, repetitions = 49, 300, 250
    std = generator.uniform(0.2, 2, size=(repetitions, size + fresh))
    y = (generator.exponential(size=std.shape) - 1) * std**0.7
    mean = np.zeros_like(std)
    coverages = []
    for row in range(repetitions):
        fitted = SplitConformalRegressor(level=0.8).fit(
            mean[row, :size], std[row, :size], y[row, :size]
        )
        low, high = fitted.transform(mean[row, size:], std[row, size:])
        coverages.append(np.mean((low <= y[row, size:]) & (y[row, size:] <= high)))
    tolerance = mean_coverage_tolerance(size, 40, fresh, repetitions)
    assert np.mean(coverages) == pytest.approx(0.8, abs=tolerance)


def test_intervals_are_wide_where_the_passes_disagree():
    fitted = SplitConformalRegressor(level=0.5).fit([0.0] * 3, [1.0] * 3, [1.0, 2.0, 3.0])
    low, high = fitted.transform([0.0, 1.0], [2.0, 0.5])
    assert (high - low).tolist() == [8.0, 2.0]
    assert ((high + low) / 2).tolist() == [0.0, 1.0]


def test_the_coverage_to_expect_agrees_with_scipy():
    value = conformal_coverage(100, level=0.9, confidence_level=0.8)
    reference = stats.beta(91, 10)
    assert value.expected == pytest.approx(reference.mean(), rel=1e-13)
    assert (value.low, value.high) == pytest.approx(reference.interval(0.8), rel=1e-10)
