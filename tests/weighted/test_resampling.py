import numpy as np
import pytest
from scipy import special

from mcdrop import DataError
from mcdrop.weighted import resampling
from mcdrop.weighted.resampling import draw_weights


def whole(blocks, name):
    return np.concatenate([getattr(block, name) for block in blocks])


@pytest.mark.parametrize("name", ["examples", "pseudo", "column", "half"])
def test_weights_do_not_depend_on_the_size_of_the_blocks(name, monkeypatch):
    once = list(draw_weights(7, 25, seed=3))
    monkeypatch.setattr(resampling, "BLOCK_ELEMENTS", 30)
    blocks = list(draw_weights(7, 25, seed=3))
    assert len(blocks) == 7
    np.testing.assert_array_equal(whole(blocks, name), whole(once, name))
    others = whole(list(draw_weights(7, 25, seed=4)), name)
    assert not np.array_equal(whole(once, name), others)


def test_each_row_holds_one_pseudo_example_and_sums_to_n():
    (block,) = draw_weights(40, 300, seed=0, num_pseudo=5)
    weights = block.extended()
    assert weights.shape == (300, 45)
    np.testing.assert_allclose(weights.sum(axis=1), 40.0)
    assert ((weights[:, 40:] > 0).sum(axis=1) == 1).all()
    assert (weights[:, :40] > 0).all()
    assert set(weights[:, 40:].argmax(axis=1)) == set(range(5))


def test_a_share_with_a_pseudo_example_has_the_limits_of_clopper_and_pearson():
    (block,) = draw_weights(50, 20_000, seed=1)
    weights = block.extended()
    error = np.r_[np.ones(2), np.zeros(48), np.ones(64)]
    high = np.quantile(weights @ error / 50, 0.975)
    exact = special.betaincinv(3, 48, 0.975)
    chance = special.betainc(3, 48, high)
    assert chance == pytest.approx(0.975, abs=5 * np.sqrt(0.975 * 0.025 / 20_000))
    assert high == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize(
    "arguments", [(0, 5, 0, 1), (5, 0, 0, 1), (5, 5, -1, 1), (5, 5, 0, 0), (5.0, 5, 0, 1)]
)
def test_what_is_no_count_is_refused(arguments):
    examples, resamples, seed, pseudo = arguments
    with pytest.raises(DataError, match="whole number"):
        list(draw_weights(examples, resamples, seed=seed, num_pseudo=pseudo))
