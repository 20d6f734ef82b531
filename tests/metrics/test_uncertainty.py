import numpy as np
import pytest
import scipy.stats

from mcdrop.errors import DataError
from mcdrop.metrics import uncertainty

FUNCTIONS = [
    uncertainty.predictive_entropy,
    uncertainty.expected_entropy,
    uncertainty.mutual_information,
    uncertainty.variation_ratio,
    uncertainty.mean_standard_deviation,
]


def softmax(logits):
    exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def random_samples(shape=(7, 20, 4), scale=2.0, seed=0):
    return softmax(np.random.default_rng(seed).normal(scale=scale, size=shape))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.full((4, 3), 1 / 3), "expected"),
        (np.full((4, 2, 3), 2.0), "softmax"),
        (np.full((4, 2, 3), 0.5), "sum to 1"),
        (np.full((4, 2, 2), np.nan), "NaN"),
        (np.ones((4, 2, 1)), "1 class"),
        (np.empty((4, 0, 3)), "empty"),
    ],
)
def test_samples_that_are_not_probabilities_are_refused(function, samples, message):
    with pytest.raises(DataError, match=message):
        function(samples)


@pytest.mark.parametrize("probabilities", [0.5, np.empty((0, 3)), [0.5, 0.6], [np.inf, 0.0]])
def test_entropy_refuses_what_is_not_a_distribution(probabilities):
    with pytest.raises(DataError):
        uncertainty.entropy(probabilities)


def test_one_pass_has_no_jackknife_and_no_standard_deviation():
    samples = random_samples((1, 3, 4))
    with pytest.raises(DataError, match="one pass"):
        uncertainty.mutual_information(samples, correction="jackknife")
    with pytest.raises(DataError, match="one pass"):
        uncertainty.mean_standard_deviation(samples)


def test_an_unknown_correction_is_refused():
    with pytest.raises(DataError, match="correction"):
        uncertainty.mutual_information(random_samples(), correction="bootstrap")


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", [(5, 6, 3), (5, 2, 4, 3, 6), (2, 1, 2)])
def test_the_pass_and_the_class_axis_are_reduced_and_no_other(function, shape):
    assert function(random_samples(shape)).shape == shape[1:-1]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pixels_of_a_dense_output_are_scored_as_examples(function):
    samples = random_samples((5, 2, 3, 4, 6))
    flat = function(samples.reshape(5, 24, 6))
    np.testing.assert_array_equal(function(samples), flat.reshape(2, 3, 4))


def test_two_opposite_passes_have_one_bit_of_disagreement_in_nats():
    samples = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert uncertainty.predictive_entropy(samples)[0] == pytest.approx(np.log(2), abs=1e-15)
    assert uncertainty.expected_entropy(samples)[0] == 0.0
    assert uncertainty.mutual_information(samples)[0] == pytest.approx(np.log(2), abs=1e-15)
    assert uncertainty.variation_ratio(samples)[0] == 0.5
    assert uncertainty.mean_standard_deviation(samples)[0] == pytest.approx(np.sqrt(0.5))


def test_entropy_of_a_certain_prediction_is_zero_and_not_nan():
    # astroNN takes the log of 0 here.
    np.testing.assert_array_equal(uncertainty.entropy([[1.0, 0.0], [0.0, 1.0]]), [0.0, 0.0])


def test_entropy_runs_over_classes_and_not_over_passes():
    # modAL sums over the passes: equal certain passes must have no entropy at all.
    samples = np.tile([[[0.0, 1.0, 0.0]]], (9, 2, 1))
    np.testing.assert_array_equal(uncertainty.predictive_entropy(samples), [0.0, 0.0])
    np.testing.assert_array_equal(uncertainty.expected_entropy(samples), [0.0, 0.0])


def test_entropy_of_the_mean_is_not_reported_as_the_disagreement():
    # astroNN sells the total as model uncertainty: passes that agree to doubt do not disagree.
    samples = np.full((8, 1, 2), 0.5)
    assert uncertainty.predictive_entropy(samples)[0] == pytest.approx(np.log(2))
    assert uncertainty.mutual_information(samples)[0] == 0.0


@pytest.mark.parametrize("correction", ["none", "jackknife"])
def test_mutual_information_is_clamped_one_example_at_a_time(correction):
    # torch-uncertainty clamps the sum, so that rounding below 0 in one example eats another.
    agreeing = np.tile(random_samples((1, 500, 10), seed=3), (3, 1, 1))
    assert (uncertainty.mutual_information(agreeing, correction=correction) >= 0).all()


def test_variation_ratio_counts_the_passes_of_axis_0():
    # The example of torch-uncertainty's documentation, laid out there as (N, T, C).
    by_example = np.array(
        [[[0.7, 0.3], [0.6, 0.4], [0.8, 0.2]], [[0.4, 0.6], [0.2, 0.8], [0.7, 0.3]]]
    )
    ratio = uncertainty.variation_ratio(by_example.transpose(1, 0, 2))
    np.testing.assert_allclose(ratio, [0.0, 1 / 3], atol=1e-15)


def test_variation_ratio_of_tied_classes_votes_for_the_first():
    samples = np.array([[[0.5, 0.5]], [[0.9, 0.1]], [[0.1, 0.9]]])
    assert uncertainty.variation_ratio(samples)[0] == pytest.approx(1 / 3)


def test_parts_of_the_entropy_add_up_and_stay_in_range():
    samples = random_samples((7, 200, 4))
    total = uncertainty.predictive_entropy(samples)
    information = uncertainty.mutual_information(samples)
    np.testing.assert_allclose(uncertainty.expected_entropy(samples) + information, total)
    assert (total <= np.log(4) + 1e-12).all()
    assert ((information >= 0) & (information <= np.log(4))).all()
    assert (uncertainty.variation_ratio(samples) <= 1 - 1 / 4).all()


def test_order_of_the_passes_does_not_matter():
    samples = random_samples()
    for function in FUNCTIONS:
        np.testing.assert_allclose(function(samples[::-1]), function(samples), atol=1e-12)


def test_jackknife_is_never_below_the_plain_estimate():
    samples = random_samples((3, 500, 5), seed=1)
    plain = uncertainty.mutual_information(samples)
    corrected = uncertainty.mutual_information(samples, correction="jackknife")
    assert (corrected >= plain - 1e-12).all()


def test_jackknife_removes_the_bias_of_few_passes():
    # 10 classes, logits m_i + 1.5 z; the reference takes 2,000 passes of each of 200 examples.
    generator = np.random.default_rng(0)
    centers = generator.normal(scale=2.0, size=(200, 10))
    draws = softmax(centers + 1.5 * generator.normal(size=(2000, 200, 10)))
    truth = uncertainty.mutual_information(draws)
    passes = draws.reshape(200, 10, 200, 10)
    errors = {
        correction: np.array(
            [
                uncertainty.mutual_information(ten, correction=correction).mean() - truth.mean()
                for ten in passes
            ]
        )
        for correction in ("none", "jackknife")
    }
    # The mean of 200 replicates of 10 passes. The reference is made of the same passes, which
    # only lowers the noise of the difference; its own bias is 1/2,000 of it.
    standard_error = errors["jackknife"].std(ddof=1) / np.sqrt(200)
    allowed = 0.02 * truth.mean() + 4 * standard_error
    assert abs(errors["jackknife"].mean()) < allowed
    # First order theory: the plain estimate is low by about 1/T, that is 10%.
    assert errors["none"].mean() < -0.07 * truth.mean()


def test_jackknife_equals_leaving_each_pass_out_by_hand():
    samples = random_samples((6, 10, 3))
    left_out = [
        scipy.stats.entropy(np.delete(samples, t, axis=0).mean(axis=0), axis=-1) for t in range(6)
    ]
    total = 6 * scipy.stats.entropy(samples.mean(axis=0), axis=-1) - 5 * np.mean(left_out, axis=0)
    expected = total - scipy.stats.entropy(samples, axis=-1).mean(axis=0)
    result = uncertainty.mutual_information(samples, correction="jackknife")
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_entropies_agree_with_scipy():
    samples = random_samples()
    np.testing.assert_allclose(
        uncertainty.entropy(samples), scipy.stats.entropy(samples, axis=-1), rtol=1e-12
    )
    np.testing.assert_allclose(
        uncertainty.predictive_entropy(samples),
        scipy.stats.entropy(samples.mean(axis=0), axis=-1),
        rtol=1e-12,
    )


def test_mutual_information_agrees_with_the_mean_divergence_from_the_mean():
    # MI = E KL(p_t || mean p), an identity that shares no code with the difference of entropies.
    samples = random_samples()
    divergence = scipy.stats.entropy(samples, samples.mean(axis=0), axis=-1).mean(axis=0)
    np.testing.assert_allclose(uncertainty.mutual_information(samples), divergence, atol=1e-12)


def test_variation_ratio_agrees_with_the_statistical_mode():
    samples = random_samples((11, 50, 6))
    votes = scipy.stats.mode(samples.argmax(axis=-1), axis=0).count
    np.testing.assert_allclose(uncertainty.variation_ratio(samples), 1 - votes / 11)


def test_mean_standard_deviation_agrees_with_scipy():
    samples = random_samples()
    expected = np.sqrt(scipy.stats.moment(samples, order=2, axis=0) * 7 / 6).mean(axis=-1)
    np.testing.assert_allclose(uncertainty.mean_standard_deviation(samples), expected, rtol=1e-12)
