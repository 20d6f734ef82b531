"""What is measured of hidden layers."""

import numpy as np
import pytest

from mcdrop.study.activations import measures
from mcdrop.study.figures import histograms
from mcdrop.study.pictures import stretched, tiles
from study.reduced import run_reduced


def test_measures_of_a_known_layer():
    plain = np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    found = measures([plain], [2 * plain])
    assert found["sparsity_1"] == pytest.approx(3 / 6)
    assert found["dead_1"] == pytest.approx(1 / 3)
    assert found["variance_1"] == pytest.approx((0 + 1 + 0) / 3)
    assert found["variance_1_with_dropout"] == pytest.approx(4 / 3)


def test_the_study_in_small(tmp_path):
    settings = ["mlp, none", "cnn, rate 0.5"]
    plan, runs, _, pictures = run_reduced(
        "activations", tmp_path, ["mlp, none", "cnn, none", "cnn, rate 0.5"]
    )
    table = runs.set_index("setting")
    plain, dropped = (table.loc[setting] for setting in settings)
    assert plain["sparsity_1"] == plain["sparsity_1_with_dropout"]
    assert dropped["variance_2_with_dropout"] > dropped["variance_2"]
    assert np.isnan(plain["sparsity_3"])
    assert dropped["sparsity_3"] >= 0.0
    assert set(pictures) <= set(plan.pictures)
    assert len(pictures) == 5


def test_a_layer_that_is_all_zero_has_an_empty_histogram():
    assert histograms([np.zeros(5), np.ones(5)]).shape[-1] == 3


def test_tiles_hold_every_image():
    sheet = tiles([np.zeros((2, 3, 3)), np.ones((1, 3, 3))])
    assert sheet.shape == (7, 7)
    assert sheet[:3, :3].max() == 0
    assert sheet[4:, 4:].min() == 255
    np.testing.assert_array_equal(stretched(np.zeros(3)), np.zeros(3))
