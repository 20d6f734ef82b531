"""Which examples are shown, and what is said about each."""

import re

import numpy as np
import pytest

from mcdrop.prediction import Prediction
from mcdrop.report import gallery as module
from mcdrop.report.building import build
from mcdrop.report.context import check_images
from mcdrop.report.gallery import gallery, wrong_share

NAMES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def items(classification, images):
    return gallery(classification, NAMES, check_images(images, len(images)))


def of(items, group):
    return [item for item in items if group in item.groups]


def test_the_gallery_is_bounded_and_holds_each_example_once(items):
    assert len(items) <= 200
    assert len({item.index for item in items}) == len(items)


def test_the_most_uncertain_are_those_of_highest_entropy(items, classification):
    expected = np.argsort(-classification.prediction.predictive_entropy)[: module.GROUP_SIZE]
    assert {item.index for item in of(items, "most_uncertain")} == set(expected)


def test_confident_mistakes_are_mistakes(items, classification):
    found = of(items, "confident_mistakes")
    assert found
    assert not any(item.correct for item in found)
    wrong = classification.prediction.predicted_class != classification.y_true
    top = classification.prediction.confidence[wrong].max()
    assert max(item.measures["confidence"] for item in found) == top


def test_flipped_examples_changed_their_class(items, classification):
    found = of(items, "class_flipped")
    assert {item.index for item in found} <= set(classification.flipped.tolist())
    assert all(item.predicted != item.deterministic for item in found)


def test_an_item_shows_the_true_answered_and_deterministic_class(items):
    for item in items:
        shown = {share.name for share in item.classes}
        assert {item.label, item.predicted, item.deterministic} <= shown
        assert [share.name for share in item.classes if share.is_true] == [item.label]


def test_shares_are_the_predictions_own(items, classification):
    item = items[0]
    share = item.classes[0]
    place = NAMES.index(share.name)
    prediction = classification.prediction
    assert share.mean == prediction.mean[item.index, place]
    assert share.std == pytest.approx(prediction.std[item.index, place])
    assert share.votes == prediction.votes[item.index, place]
    assert share.deterministic == prediction.deterministic[item.index, place]


def test_without_images_items_have_no_picture(classification):
    assert all(item.image is None for item in gallery(classification, NAMES, None))


def test_binary_items_hold_both_classes(binary):
    item = gallery(binary, ("no", "yes"), None)[0]
    assert sum(share.mean for share in item.classes) == pytest.approx(1.0)
    assert sum(share.votes for share in item.classes) == pytest.approx(1.0)


def test_multilabel_items_name_all_labels_that_apply(multilabel):
    for item in gallery(multilabel, ("x", "y", "z"), None)[:20]:
        carried = [
            name for name, flag in zip("xyz", multilabel.y_true[item.index], strict=True) if flag
        ]
        assert item.label == (", ".join(carried) or "none")


def test_regression_items_hold_target_and_interval(regression):
    low, high = regression.prediction.interval(0.95)
    for item in gallery(regression, (), None)[:20]:
        assert item.target == regression.y_true[item.index]
        assert (item.interval.low, item.interval.high) == pytest.approx(
            (low[item.index], high[item.index])
        )


def test_a_regression_with_several_outputs_has_no_one_interval(outputs):
    assert all(item.interval is None for item in gallery(outputs, (), None))


def test_segmentation_items_are_rows_of_maps(segmentation):
    item = gallery(segmentation, ("a", "b", "c"), None)[0]
    assert [panel.title for panel in item.maps] == [
        *("Truth", "MC dropout", "Errors", "Predictive entropy, 0 to 1.10 nats"),
        item.maps[-1].title,
    ]
    assert re.fullmatch(r"Mutual information, 0 to 0\.\d\d nats", item.maps[-1].title)
    assert all(panel.image.startswith("data:image/png;base64,") for panel in item.maps)


def test_dense_regression_items_are_rows_of_maps(reconstruction):
    item = gallery(reconstruction, (), None)[0]
    assert [panel.title for panel in item.maps][-1].startswith("Standard deviation, 0 to ")


def test_the_share_of_wrong_pixels_leaves_void_out():
    truth = np.array([[-1, 0, 1, 1], [-1, -1, -1, -1]])
    assert wrong_share(np.array([[1, 0, 0, 1], [0, 0, 0, 0]]), truth) == pytest.approx([1 / 3, 0])


def test_quantities_are_computed_once_not_once_a_picture(classification, monkeypatch):
    calls = []
    original = Prediction.class_probabilities.fget
    monkeypatch.setattr(
        Prediction, "class_probabilities", property(lambda p: calls.append(1) or original(p))
    )
    assert len(gallery(classification, NAMES, None)) > 50
    assert len(calls) < 10


@pytest.mark.parametrize("name", ["multilabel", "segmentation", "regression"])
def test_other_kinds_have_no_votes_and_no_map(request, name):
    found = build(request.getfixturevalue(name))
    assert found.doubt is None
    assert all(item.votes == () for item in found.gallery)
