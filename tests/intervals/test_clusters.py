import numpy as np
import pytest

from mcdrop import intervals


def test_clusters_of_one_unit_are_examples():
    hits = np.r_[np.ones(95), np.zeros(5)]
    found, exact = intervals.cluster_share(hits, np.ones(100)), intervals.share(95, 100)
    np.testing.assert_allclose([found.low, found.high], [exact.low, exact.high], rtol=0.002)


def test_many_units_of_few_clusters_do_not_make_it_certain():
    # 20 images of 10,000 pixels, all right: the next image may be all wrong.
    found = intervals.cluster_share(np.full(20, 1e4), np.full(20, 1e4))
    assert found.low == pytest.approx(intervals.share(20, 20).low, rel=0.01)
    assert found.high == 1.0


def test_clusters_without_units_do_not_count():
    parts, sizes = np.array([5.0, 0.0, 8.0]), np.array([10.0, 0.0, 10.0])
    assert intervals.cluster_share(parts, sizes) == intervals.cluster_share(
        parts[[0, 2]], sizes[[0, 2]]
    )
    assert intervals.cluster_share(parts[:2], sizes[:2]).reason == "fewer than 2 clusters (1)"


def test_the_same_units_twice_still_have_a_width():
    hits, sizes = np.arange(30.0), np.full(30, 40.0)
    found = intervals.cluster_share_difference(hits, hits, sizes)
    assert -0.05 < found.low < 0 < found.high < 0.05


def test_differences_that_all_go_one_way_may_go_the_other_in_the_next_image():
    gaps = np.zeros(30)
    gaps[:2] = -20.0
    found = intervals.cluster_share_difference(gaps, np.zeros(30), np.full(30, 144.0))
    # One image in ten differs, by 20 of 144 pixels either way: a small gain must be within.
    assert found.low < -0.02
    assert found.high > 0.005


def test_accuracy_differences_of_few_images_cover_what_they_promise():
    hits, replicas = 0, 120
    generator = np.random.default_rng(3)
    for _ in range(replicas):
        # A tenth of the images differ, from -15 to 25 of 144 pixels: 5 / 144 / 10 on average.
        bad = generator.random(30) < 0.1
        gaps = np.where(bad, generator.integers(-15, 26, 30), 0).astype(float)
        found = intervals.cluster_share_difference(gaps, np.zeros(30), np.full(30, 144.0))
        hits += found.low <= 5 / 144 / 10 <= found.high
    assert hits / replicas > 0.93 - 3 * np.sqrt(0.93 * 0.07 / replicas)
