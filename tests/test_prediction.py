"""The result of sampling: its uncertainties, quantiles, files and tables."""

import errno
import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy import optimize, stats

from mcdrop._mixture import mixture_quantile
from mcdrop.accumulation import from_samples
from mcdrop.errors import DataError
from mcdrop.files import npz
from mcdrop.pass_statistics import bernoulli_entropy, entropy
from mcdrop.prediction import SAVED_PREDICTION, Prediction, concatenate, header_of

TASKS = ["classification", "binary", "multilabel", "regression", "gaussian"]


def draw_prediction(task, num_samples=21, num_examples=5, seed=0):
    generator = np.random.default_rng(seed)
    shapes = {"binary": (), "gaussian": (), "regression": (2,), "multilabel": (3,)}
    if task == "classification":
        samples = generator.dirichlet(np.ones(4), size=(num_samples, num_examples))
    else:
        samples = generator.random((num_samples, num_examples, *shapes[task]))
    if task != "gaussian":
        return from_samples(samples, samples[0], task=task)
    variances = generator.random(samples.shape)
    return from_samples(
        samples, samples[0], task=task, variances=variances, deterministic_variance=variances[0]
    )


def assert_same(found, expected):
    for field in fields(Prediction):
        value, reference = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(reference, np.ndarray):
            np.testing.assert_array_equal(value, reference, err_msg=field.name)
            assert value.dtype == reference.dtype, field.name
        else:
            assert value == reference, field.name


# Uncertainties


@pytest.mark.parametrize("name", ["mutual_information", "variation_ratio", "predictive_entropy"])
@pytest.mark.parametrize("task", ["regression", "gaussian"])
def test_a_regression_has_no_uncertainty_of_classes(task, name):
    with pytest.raises(DataError, match=task):
        getattr(draw_prediction(task), name)


@pytest.mark.parametrize("method", ["quantile", "interval"])
@pytest.mark.parametrize("task", ["classification", "binary", "multilabel"])
def test_classes_have_no_quantiles(task, method):
    with pytest.raises(DataError, match="regression and gaussian"):
        getattr(draw_prediction(task), method)(0.5)


def test_the_uncertainties_of_two_opposite_passes_are_known():
    passes = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    prediction = from_samples(passes, [[0.7, 0.3]], task="classification")
    assert prediction.predictive_entropy == pytest.approx(np.log(2))
    assert prediction.expected_entropy == pytest.approx(0.0, abs=1e-15)
    assert prediction.mutual_information == pytest.approx(np.log(2))
    assert prediction.variation_ratio == pytest.approx(0.5)
    assert prediction.variance == pytest.approx(0.5)
    assert prediction.std == pytest.approx(np.sqrt(0.5))
    assert prediction.monte_carlo_error == pytest.approx(0.5)
    assert prediction.confidence == pytest.approx(0.5)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_yes_no_outcomes_have_two_classes_each(task):
    prediction = draw_prediction(task)
    both = prediction.class_probabilities
    assert both.shape == (*prediction.mean.shape, 2)
    np.testing.assert_array_equal(both[..., 1], prediction.mean)
    np.testing.assert_allclose(both.sum(axis=-1), 1.0)
    np.testing.assert_allclose(prediction.predictive_entropy, bernoulli_entropy(prediction.mean))
    np.testing.assert_array_equal(prediction.predicted_class, prediction.mean > 0.5)
    deterministic = prediction.deterministic_class_probabilities
    np.testing.assert_array_equal(deterministic[..., 1], prediction.deterministic)


@pytest.mark.parametrize("task", ["classification", "binary", "multilabel"])
def test_the_mutual_information_is_total_less_expected_entropy(task):
    prediction = draw_prediction(task)
    difference = prediction.predictive_entropy - prediction.expected_entropy
    np.testing.assert_allclose(prediction.mutual_information, difference)
    assert (prediction.mutual_information > 0).all()
    # The correction of a factor of about 1 - 1/T, which the jackknife estimates with noise.
    ratio = prediction.mutual_information / prediction.mutual_information_corrected
    np.testing.assert_allclose(ratio.mean(), 1 - 1 / 21, atol=0.02)
    assert (prediction.mutual_information_error > 0).all()


def test_the_mutual_information_of_equal_passes_is_not_negative():
    same = np.random.default_rng(0).dirichlet(np.ones(10), size=200)
    prediction = from_samples(np.stack([same] * 7), same, task="classification")
    assert (prediction.mutual_information >= 0).all()
    np.testing.assert_allclose(prediction.mutual_information, 0.0, atol=1e-14)


@pytest.mark.parametrize("task", TASKS)
def test_the_means_without_a_group_are_those_of_the_other_passes(task):
    prediction = draw_prediction(task)
    left = prediction.leave_group_out_means
    for group in range(10):
        others = prediction.samples[np.arange(21) % 10 != group].mean(axis=0)
        np.testing.assert_allclose(left[group], others, rtol=1e-5)


def test_the_monte_carlo_error_is_the_spread_of_means_over_repeated_sampling():
    generator = np.random.default_rng(0)
    means, squares = [], []
    for _ in range(400):
        passes = generator.dirichlet([1.0, 2.0, 3.0], size=(12, 1))
        prediction = from_samples(passes, passes[0], task="classification")
        means.append(prediction.mean[0])
        squares.append(prediction.monte_carlo_error[0] ** 2)
    # The standard deviation of 400 means has a relative error of 3.5%, taken five times.
    found = np.sqrt(np.mean(squares, axis=0))
    np.testing.assert_allclose(found, np.std(means, axis=0), rtol=0.18)


def test_a_gaussian_counts_only_the_passes_in_its_monte_carlo_error():
    prediction = draw_prediction("gaussian")
    expected = np.sqrt(prediction.epistemic_variance / 21)
    np.testing.assert_allclose(prediction.monte_carlo_error, expected)


# Quantiles


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, [0.5, 1.5], [], np.nan])
def test_quantiles_outside_of_zero_and_one_are_refused(q):
    with pytest.raises(DataError, match="`q`"):
        draw_prediction("regression").quantile(q)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, "0.9"])
def test_intervals_of_an_impossible_level_are_refused(level):
    with pytest.raises(DataError, match="level"):
        draw_prediction("regression").interval(level)


def test_quantiles_of_kept_passes_are_those_of_numpy():
    prediction = draw_prediction("regression")
    assert prediction.interval_basis == "samples"
    expected = np.quantile(prediction.samples, [0.1, 0.5], axis=0)
    np.testing.assert_allclose(prediction.quantile([0.1, 0.5]), expected)
    np.testing.assert_allclose(prediction.quantile(0.5), np.median(prediction.samples, axis=0))


@pytest.mark.parametrize("task", ["regression", "gaussian"])
def test_quantiles_without_passes_are_those_of_the_normal_distribution(task):
    prediction = replace(draw_prediction(task), samples=None, sample_variances=None)
    assert prediction.interval_basis == "normal"
    expected = stats.norm.ppf(0.9, prediction.mean, prediction.std)
    np.testing.assert_allclose(prediction.quantile(0.9), expected)
    low, high = prediction.interval(0.8)
    np.testing.assert_allclose(high, expected)
    np.testing.assert_allclose(low, 2 * prediction.mean - expected)


def test_quantiles_have_the_shape_of_levels_before_that_of_outputs():
    for task, shape in (("regression", (5, 2)), ("gaussian", (5,))):
        for prediction in (
            draw_prediction(task),
            replace(draw_prediction(task), samples=None, sample_variances=None),
        ):
            assert prediction.quantile(0.5).shape == shape
            assert prediction.quantile([[0.1, 0.5, 0.9]]).shape == (1, 3, *shape)


def test_quantiles_of_a_mixture_agree_with_a_root_finder():
    prediction = draw_prediction("gaussian")
    assert prediction.interval_basis == "mixture"
    centers, scales = prediction.samples, np.sqrt(prediction.sample_variances)
    for level in (0.025, 0.5, 0.9):
        expected = [
            optimize.brentq(
                lambda x, m=m, s=s, level=level: stats.norm.cdf(x, m, s).mean() - level, -20, 20
            )
            for m, s in zip(centers.T, scales.T, strict=True)
        ]
        np.testing.assert_allclose(prediction.quantile(level), expected, atol=1e-8)


@pytest.mark.parametrize("level", [1e-6, 0.025, 0.3, 0.5, 0.975])
def test_quantiles_of_uneven_mixtures_have_the_probability_asked_for(level):
    generator = np.random.default_rng(0)
    means = 5 * generator.normal(size=(30, 400))
    variances = generator.gamma(0.2, size=means.shape)  # some components are very narrow
    found = mixture_quantile(means, variances, level)

    def below(values):
        return stats.norm.cdf(values, means, np.sqrt(variances)).mean(axis=0)

    # Across a narrow component the distribution function all but jumps.
    assert (below(found - 1e-9) <= level + 1e-9).all()
    assert (below(found + 1e-9) >= level - 1e-9).all()


def test_quantiles_of_components_without_spread_are_those_of_points():
    means = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
    variances = np.zeros((3, 2))
    for level, expected in ((0.2, 0.0), (0.5, 1.0), (0.9, 2.0)):
        found = mixture_quantile(means, variances, level)
        np.testing.assert_allclose(found, [expected, 5.0], atol=1e-9)


def test_mixtures_of_many_outputs_are_inverted_in_blocks(monkeypatch):
    generator = np.random.default_rng(0)
    means, variances = generator.normal(size=(4, 3, 7)), generator.random((4, 3, 7))
    whole = mixture_quantile(means, variances, 0.3)
    monkeypatch.setattr("mcdrop._mixture.BLOCK_ELEMENTS", 20)
    np.testing.assert_allclose(mixture_quantile(means, variances, 0.3), whole, atol=1e-9)
    assert whole.shape == (3, 7)


# Selection


@pytest.mark.parametrize("task", TASKS)
def test_taken_examples_keep_everything_of_theirs(task):
    prediction = draw_prediction(task)
    chosen = prediction.take([3, 1])
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen.mean, prediction.mean[[3, 1]])
    np.testing.assert_array_equal(chosen.samples, prediction.samples[:, [3, 1]])
    np.testing.assert_array_equal(
        chosen.leave_group_out_means, prediction.leave_group_out_means[:, [3, 1]]
    )
    mask = np.array([False, True, False, True, False])
    assert_same(prediction.take(mask), prediction.take([1, 3]))


@pytest.mark.parametrize("task", TASKS)
def test_parts_joined_again_are_the_whole(task):
    prediction = draw_prediction(task)
    parts = [prediction.take([0, 1]), prediction.take([2]), prediction.take([3, 4])]
    assert_same(concatenate(parts), prediction)


def test_the_representation_is_a_summary():
    assert repr(draw_prediction("classification")) == (
        "Prediction(task='classification', examples=5, output shape=(4,), num_samples=21, "
        "samples kept)"
    )


# Files


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kept", [True, False])
def test_a_saved_prediction_is_read_back_bit_for_bit(tmp_path, task, kept):
    prediction = draw_prediction(task)
    if not kept:
        prediction = replace(prediction, samples=None, sample_variances=None, masks="shared")
    path = tmp_path / "prediction.npz"
    prediction.save(path)
    assert_same(Prediction.load(path), prediction)
    assert [file.name for file in path.parent.iterdir()] == ["prediction.npz"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.npz does not exist"):
        Prediction.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(tmp_path, share):
    path = tmp_path / "prediction.npz"
    draw_prediction("classification").save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"is not a file of kind|is damaged"):
        Prediction.load(path)


def test_files_with_overwritten_bytes_are_refused_or_read_unharmed(tmp_path):
    path = tmp_path / "prediction.npz"
    prediction = draw_prediction("classification", num_examples=20)
    prediction.save(path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for start in generator.integers(len(content) - 8, size=300):
        damaged = bytearray(content)
        damaged[start : start + 8] = generator.bytes(8)
        path.write_bytes(damaged)
        try:
            found = Prediction.load(path)
        except DataError:
            refused += 1
        else:  # some bytes of an archive, such as its dates, carry nothing
            assert_same(found, prediction)
    assert refused > 200


@pytest.mark.parametrize("task", TASKS)
def test_a_file_whose_arrays_do_not_belong_together_is_refused(tmp_path, task):
    path = tmp_path / "file.npz"
    prediction = draw_prediction(task)
    arrays = prediction._arrays()
    header = header_of(prediction)
    for name, array in arrays.items():
        for other in (array[:-1], array[np.newaxis], array.astype(str)):
            changed = arrays | {name: other}
            npz.save(path, header, changed, SAVED_PREDICTION, force=True)
            with pytest.raises(DataError, match=r"has shape|has dtype"):
                Prediction.load(path)


@pytest.mark.parametrize(("name", "largest"), [("expected_entropy", np.log(4)), ("votes", 1.0)])
def test_uncertainties_beyond_what_is_possible_are_refused(tmp_path, name, largest):
    path = tmp_path / "file.npz"
    prediction = draw_prediction("classification")
    array = getattr(prediction, name).copy()
    array[2] = largest
    replace(prediction, **{name: array}).save(path)
    Prediction.load(path)
    array[2] = 1.1 * largest
    replace(prediction, **{name: array}).save(path, force=True)
    with pytest.raises(DataError, match=name):
        Prediction.load(path)


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "file.npz"
    path.write_text("just text")
    with pytest.raises(DataError, match="is not a file of kind"):
        Prediction.load(path)
    np.savez(path, mean=np.ones(3))
    with pytest.raises(DataError, match="is not a file of kind"):
        Prediction.load(path)
    np.savez(path, header=np.array('{"format": "something else"}'))
    with pytest.raises(DataError, match="is not a file of kind"):
        Prediction.load(path)
    np.savez(path, header=np.array("[1, 2]"))
    with pytest.raises(DataError, match="is not a file of kind"):
        Prediction.load(path)
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(DataError, match="is not a file of kind"):
        Prediction.load(path)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "file.npz"
    npz.save(path, {"format": "mcdrop.Prediction", "version": 99}, {}, SAVED_PREDICTION)
    with pytest.raises(DataError, match="format version 99"):
        Prediction.load(path)


def test_a_header_or_arrays_of_another_content_are_refused(tmp_path):
    path = tmp_path / "file.npz"
    header = {"format": "mcdrop.Prediction", "version": 1}
    npz.save(path, header, {"surprise": np.ones(2)}, SAVED_PREDICTION)
    with pytest.raises(DataError, match="surprise"):
        Prediction.load(path)
    npz.save(path, header, {"mean": np.ones(2)}, SAVED_PREDICTION, force=True)
    with pytest.raises(DataError, match="lacks"):
        Prediction.load(path)
    header |= {"task": "regression", "num_samples": 3}
    npz.save(path, header, {"mean": np.ones(2)}, SAVED_PREDICTION, force=True)
    with pytest.raises(DataError, match="lacks"):
        Prediction.load(path)


def test_pickled_objects_are_never_read(tmp_path):
    path = tmp_path / "file.npz"
    header = np.array('{"format": "mcdrop.Prediction", "version": 1}')
    np.savez(path, header=header, mean=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="holds Python objects, which are never unpickled"):
        Prediction.load(path)


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "prediction.npz"
    draw_prediction("binary").save(path)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(DataError, match=r"npz cannot be written: no space left on device\."):
        draw_prediction("classification").save(path, force=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Tables and distributions


def test_the_table_of_classes_has_a_row_an_example():
    prediction = draw_prediction("classification")
    frame = prediction.to_frame()
    assert len(frame) == 5
    np.testing.assert_array_equal(frame["predicted_class"], prediction.predicted_class)
    np.testing.assert_array_equal(frame["predictive_entropy"], prediction.predictive_entropy)
    columns = [f"probability_{index}" for index in range(4)]
    np.testing.assert_array_equal(frame[columns], prediction.mean)
    np.testing.assert_array_equal(frame["num_samples"], 21)


@pytest.mark.parametrize("task", ["regression", "gaussian"])
def test_the_table_of_a_regression_has_intervals(task):
    prediction = draw_prediction(task)
    frame = prediction.to_frame()
    low, high = prediction.interval(0.95)
    suffixes = ["_0", "_1"] if task == "regression" else [""]
    for name, values in (("mean", prediction.mean), ("low", low), ("high", high)):
        found = frame[[name + suffix for suffix in suffixes]]
        np.testing.assert_array_equal(found, values.reshape(5, -1))


def test_the_table_of_several_labels_has_their_uncertainties():
    prediction = draw_prediction("multilabel")
    frame = prediction.to_frame()
    entropies = frame[["predictive_entropy_0", "predictive_entropy_1", "predictive_entropy_2"]]
    np.testing.assert_array_equal(entropies, prediction.predictive_entropy)
    np.testing.assert_array_equal(frame["probability_1"], prediction.mean[:, 1])


def test_the_table_of_maps_averages_over_pixels():
    samples = np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 2, 4, 6))
    prediction = from_samples(samples, samples[0], task="classification")
    frame = prediction.to_frame()
    assert len(frame) == 2
    expected = prediction.predictive_entropy.mean(axis=(1, 2))
    np.testing.assert_allclose(frame["predictive_entropy"], expected)
    np.testing.assert_allclose(frame["probability_2"], prediction.mean[..., 2].mean(axis=(1, 2)))


@pytest.mark.parametrize("task", ["regression", "gaussian"])
def test_the_table_of_a_dense_regression_averages_over_pixels(task):
    samples = np.random.default_rng(0).normal(size=(5, 3, 8, 6, 2))
    more = {}
    if task == "gaussian":
        more = {"variances": samples**2, "deterministic_variance": samples[0] ** 2}
    prediction = from_samples(samples, samples[0], task=task, **more)
    frame = prediction.to_frame()
    named = {"mean": prediction.mean, "std": prediction.std, "deterministic": samples[0]}
    if task == "gaussian":
        named["epistemic_std"] = np.sqrt(prediction.epistemic_variance)
    expected = {f"{name}_{index}" for name in named for index in range(2)}
    assert set(frame) == {"example", "num_samples", *expected}
    for name, values in named.items():
        found = frame[[f"{name}_0", f"{name}_1"]]
        np.testing.assert_allclose(found, values.mean(axis=(1, 2)))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_the_table_of_dense_labels_averages_over_pixels(task):
    shape, suffixes = ((8, 6), [""]) if task == "binary" else ((8, 6, 2), ["_0", "_1"])
    samples = np.random.default_rng(0).random((5, 3, *shape))
    prediction = from_samples(samples, samples[0], task=task)
    frame = prediction.to_frame()
    for name, values in {
        "probability": prediction.mean,
        "std": prediction.std,
        "deterministic_probability": prediction.deterministic,
        "mutual_information": prediction.mutual_information,
    }.items():
        found = frame[[name + suffix for suffix in suffixes]]
        np.testing.assert_allclose(found, values.mean(axis=(1, 2)).reshape(3, -1))
    assert "predicted_class" not in " ".join(frame)


@pytest.fixture(scope="module")
def probability():
    """TensorFlow Probability, whose import warns of others' deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow_probability")


def test_distributions_of_classes_are_those_of_the_mean(probability):
    prediction = draw_prediction("classification")
    distribution = prediction.distribution()
    assert isinstance(distribution, probability.distributions.Categorical)
    np.testing.assert_allclose(distribution.probs_parameter(), prediction.mean)
    np.testing.assert_allclose(distribution.entropy(), entropy(prediction.mean))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_distributions_of_yes_no_outcomes_are_those_of_the_mean(probability, task):
    prediction = draw_prediction(task)
    distribution = prediction.distribution()
    assert isinstance(distribution, probability.distributions.Bernoulli)
    np.testing.assert_allclose(distribution.mean(), prediction.mean)


def test_the_distribution_of_a_gaussian_is_the_mixture_of_its_passes(probability):
    prediction = draw_prediction("gaussian")
    distribution = prediction.distribution()
    np.testing.assert_allclose(distribution.mean(), prediction.mean)
    spread = prediction.samples.var(axis=0) + prediction.sample_variances.mean(axis=0)
    np.testing.assert_allclose(distribution.variance(), spread)
    below = distribution.cdf(prediction.quantile(0.9))
    np.testing.assert_allclose(below, 0.9, atol=1e-8)


def test_the_distribution_of_kept_passes_is_their_empirical_one(probability):
    prediction = draw_prediction("regression")
    distribution = prediction.distribution()
    np.testing.assert_allclose(distribution.mean(), prediction.mean)
    np.testing.assert_allclose(distribution.variance(), prediction.samples.var(axis=0))


@pytest.mark.parametrize("task", ["regression", "gaussian"])
def test_the_distribution_without_passes_is_normal(probability, task):
    prediction = replace(draw_prediction(task), samples=None, sample_variances=None)
    distribution = prediction.distribution()
    assert isinstance(distribution, probability.distributions.Normal)
    np.testing.assert_allclose(distribution.quantile(0.9), prediction.quantile(0.9))


def test_a_total_variance_that_is_not_the_sum_of_its_parts_is_refused(tmp_path):
    path = tmp_path / "p.npz"
    prediction = draw_prediction("gaussian")
    replace(prediction, variance=2 * prediction.variance).save(path)
    with pytest.raises(DataError, match=r"variance` is not the sum of .* first at index \(0,\)"):
        Prediction.load(path)
