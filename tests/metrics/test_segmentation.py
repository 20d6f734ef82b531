"""Tests of mcdrop.metrics.segmentation."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mcdrop.errors import DataError
from mcdrop.metrics import segmentation
from mcdrop.metrics.calibration import expected_calibration_error


@pytest.fixture
def case():
    """Probabilities (3, 6, 5, 4) and labels (3, 6, 5) of which about a tenth are void (255)."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=(3, 6, 5))
    y = generator.integers(0, 4, size=(3, 6, 5))
    y[generator.random(y.shape) < 0.1] = 255
    return probabilities, y


def test_pixels_of_another_shape_than_the_labels_are_refused(case):
    probabilities, y = case
    with pytest.raises(DataError, match=r"`y` has shape \(3, 6, 4\), expected \(3, 6, 5\)"):
        segmentation.flatten_pixels(probabilities, y[:, :, :4])


def test_a_void_label_that_is_not_declared_is_refused(case):
    with pytest.raises(DataError, match="labels from 0 to 255"):
        segmentation.flatten_pixels(*case)


@pytest.mark.parametrize("void_label", [True, 1.0, "void"])
def test_a_void_label_is_a_whole_number(case, void_label):
    with pytest.raises(DataError, match="`void_label`"):
        segmentation.flatten_pixels(*case, void_label=void_label)


def test_labels_that_are_all_void_are_refused(case):
    with pytest.raises(DataError, match="nothing but the void label 7"):
        segmentation.flatten_pixels(case[0], np.full((3, 6, 5), 7), void_label=7)


@pytest.mark.parametrize("probabilities", [np.full(3, 0.5), np.full((2, 4, 3), 0.5)])
def test_bad_probabilities_are_refused(probabilities):
    with pytest.raises(DataError, match="`probabilities`"):
        segmentation.flatten_pixels(probabilities, np.zeros(probabilities.shape[:-1], dtype=int))


def test_class_probabilities_instead_of_predicted_classes_are_refused(case):
    probabilities, y = case
    with pytest.raises(DataError, match="argmax"):
        segmentation.intersection_over_union(probabilities, y, num_classes=4, void_label=255)


def test_labels_of_whole_images_are_no_maps():
    with pytest.raises(DataError, match="one map an example"):
        segmentation.intersection_over_union([0, 1], [0, 1], num_classes=2)


def test_a_map_without_pixels_is_refused():
    with pytest.raises(DataError, match="one map an example"):
        segmentation.reduce_map([1.0, 2.0])


@pytest.mark.parametrize("valid", [[[1, 0]], [True, False]])
def test_valid_pixels_are_a_boolean_map(valid):
    with pytest.raises(DataError, match="`valid`"):
        segmentation.reduce_map([[1.0, 2.0]], valid=valid)


def test_an_example_without_a_valid_pixel_is_refused():
    with pytest.raises(DataError, match="no pixel for example 1"):
        segmentation.reduce_map([[1.0], [2.0]], valid=[[True], [False]])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2)])
def test_patches_larger_than_the_map_are_refused(shape):
    with pytest.raises(DataError, match="Choose smaller patches"):
        segmentation.patch_means(np.zeros(shape), patch_size=3)


def test_shapes(case):
    probabilities, y = case
    rows, labels = segmentation.flatten_pixels(probabilities, y, void_label=255)
    assert rows.shape == (np.sum(y != 255), 4)
    assert labels.shape == (np.sum(y != 255),)
    predicted = probabilities.argmax(axis=-1)
    ratios = segmentation.intersection_over_union(predicted, y, num_classes=4, void_label=255)
    assert ratios.shape == (4,)
    assert segmentation.reduce_map(y).shape == (3,)
    by_class = segmentation.reduce_map_by_class(probabilities.max(-1), predicted, num_classes=4)
    assert by_class.shape == (3, 4)
    assert segmentation.patch_means(y, patch_size=2).shape == (3, 3, 2)


def test_pixels_keep_their_own_label(case):
    probabilities, y = case
    rows, labels = segmentation.flatten_pixels(probabilities, y, void_label=255)
    expected = [
        (tuple(probabilities[index]), y[index]) for index in np.ndindex(y.shape) if y[index] != 255
    ]
    assert [(tuple(row), label) for row, label in zip(rows, labels, strict=True)] == expected


def test_what_is_predicted_at_void_pixels_does_not_count(case):
    probabilities, y = case
    changed = probabilities.copy()
    changed[y == 255] = [1.0, 0.0, 0.0, 0.0]
    for left, right in zip(
        segmentation.flatten_pixels(probabilities, y, void_label=255),
        segmentation.flatten_pixels(changed, y, void_label=255),
        strict=True,
    ):
        np.testing.assert_array_equal(left, right)
    before, after = (
        segmentation.intersection_over_union(p.argmax(-1), y, num_classes=4, void_label=255)
        for p in (probabilities, changed)
    )
    np.testing.assert_array_equal(before, after)


def test_calibration_over_pixels_does_not_see_the_void(case):
    probabilities, y = case
    pixels = segmentation.flatten_pixels(probabilities, y, void_label=255)
    valid = y != 255
    expected = expected_calibration_error(probabilities[valid], y[valid])
    assert expected_calibration_error(*pixels) == expected
    filled = np.where(valid, y, 0)
    assert (
        expected_calibration_error(*segmentation.flatten_pixels(probabilities, filled)) != expected
    )


def test_absent_classes_are_not_a_number_and_leave_the_mean():
    ratios = segmentation.intersection_over_union([[0, 1, 1]], [[0, 0, 1]], num_classes=3)
    np.testing.assert_array_equal(ratios, [0.5, 0.5, np.nan])
    value = segmentation.mean_intersection_over_union([[0, 1, 1]], [[0, 0, 1]], num_classes=3)
    assert value == 0.5


def test_a_void_class_takes_no_part_though_it_is_predicted():
    # Class 2 is void. The pixel of class 0 that is called 2 stays a miss of class 0.
    ratios = segmentation.intersection_over_union(
        [[0, 2, 1, 1]], [[0, 0, 1, 2]], num_classes=3, void_label=2
    )
    np.testing.assert_array_equal(ratios, [0.5, 1.0, np.nan])


def test_counts_by_example_add_up_to_the_whole(case):
    probabilities, y = case
    predicted = probabilities.argmax(axis=-1)
    options = {"num_classes": 4, "void_label": 255}
    hits, union = segmentation.intersection_and_union_per_example(predicted, y, **options)
    assert hits.shape == union.shape == (3, 4)
    np.testing.assert_array_equal(
        hits.sum(axis=0) / union.sum(axis=0),
        segmentation.intersection_over_union(predicted, y, **options),
    )
    for n in range(3):
        alone = segmentation.intersection_over_union(predicted[n : n + 1], y[n : n + 1], **options)
        np.testing.assert_array_equal(hits[n] / union[n], alone)


@pytest.mark.parametrize(("how", "expected"), [("mean", 2.5), ("max", 4.0), ("quantile", 3.7)])
def test_reductions_of_the_valid_pixels_have_their_known_values(how, expected):
    uncertainty = np.array([[[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]]])
    value = segmentation.reduce_map(uncertainty, how=how, quantile=0.9, valid=uncertainty < 9)
    assert value == pytest.approx([expected], rel=1e-14)


def test_the_uncertainty_of_a_class_is_the_mean_over_its_predicted_pixels(case):
    probabilities, _ = case
    predicted, uncertainty = probabilities.argmax(axis=-1), 1 - probabilities.max(axis=-1)
    predicted[1][predicted[1] == 2] = 0
    means = segmentation.reduce_map_by_class(uncertainty, predicted, num_classes=4)
    for n, c in np.ndindex(means.shape):
        pixels = uncertainty[n][predicted[n] == c]
        if (n, c) == (1, 2):
            assert np.isnan(means[n, c])
        else:
            assert means[n, c] == pytest.approx(pixels.mean(), rel=1e-13)


def test_patch_means_agree_with_a_loop_and_leave_out_the_rest():
    values = np.random.default_rng(1).normal(size=(2, 7, 5))
    means = segmentation.patch_means(values, patch_size=2)
    for n, i, j in np.ndindex(means.shape):
        patch = values[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        assert means[n, i, j] == pytest.approx(patch.mean(), rel=1e-13, abs=1e-15)


def test_intersection_over_union_agrees_with_scikit_learn(case):
    probabilities, y = case
    predicted = probabilities.argmax(axis=-1)
    valid = y != 255
    expected = sklearn_metrics.jaccard_score(y[valid], predicted[valid], average=None)
    ratios = segmentation.intersection_over_union(predicted, y, num_classes=4, void_label=255)
    np.testing.assert_allclose(ratios, expected, rtol=1e-14)
    mean = segmentation.mean_intersection_over_union(predicted, y, num_classes=4, void_label=255)
    assert mean == pytest.approx(expected.mean(), rel=1e-14)
