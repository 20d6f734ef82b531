import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mcdrop import intervals
from mcdrop.intervals.ranking import placements


def drawn(num_positives, num_negatives, shift, seed=0, *, decimals=None):
    generator = np.random.default_rng(seed)
    positive = np.arange(num_positives + num_negatives) < num_positives
    score = generator.standard_normal(positive.size) + shift * positive
    return (score if decimals is None else score.round(decimals)), positive


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_placements_average_to_the_area(decimals):
    score, positive = drawn(8, 30, 1.0, decimals=decimals)
    area = roc_auc_score(positive, score)
    above, below = placements(score, positive)
    assert above.mean() == pytest.approx(area)
    assert below.mean() == pytest.approx(area)
    assert intervals.as_positive(score, positive)[positive].mean() == pytest.approx(area)


@pytest.mark.parametrize("counts", [(0, 9), (1, 9), (9, 1), (9, 0)])
def test_an_area_needs_two_of_each_kind(counts):
    found = intervals.auroc(np.arange(float(sum(counts))), np.arange(sum(counts)) < counts[0])
    assert np.isnan(found.low)
    assert found.reason == f"fewer than 2 positives and negatives ({counts[0]}, {counts[1]})"


def test_a_perfect_and_a_constant_score_keep_a_width():
    positive = np.arange(50) < 3
    perfect = intervals.auroc(positive.astype(float), positive)
    assert perfect.high == 1.0
    assert perfect.low < 0.75
    constant = intervals.auroc(np.zeros(50), positive)
    assert constant.low < 0.3
    assert constant.high > 0.7


def test_an_area_turns_with_its_score():
    score, positive = drawn(5, 40, 0.7)
    found, turned = intervals.auroc(score, positive), intervals.auroc(-score, positive)
    assert found.low == pytest.approx(1 - turned.high, abs=1e-6)


@pytest.mark.parametrize("num_positives", [2, 5, 20])
def test_tied_scores_are_covered(num_positives):
    # Four values; the true area counts ties half.
    chances = np.array([0.6, 0.2, 0.15, 0.05]), np.array([0.2, 0.2, 0.3, 0.3])
    below = np.cumsum(chances[0]) - chances[0] / 2
    truth = float(chances[1] @ below)
    generator, held, rounds = np.random.default_rng(5), 0, 300
    for _ in range(rounds):
        few = generator.choice(4, p=chances[1], size=num_positives)
        many = generator.choice(4, p=chances[0], size=100)
        score = np.concatenate([few, many]).astype(float)
        found = intervals.auroc(score, np.arange(score.size) < num_positives)
        held += found.low <= truth <= found.high
    assert held / rounds > 0.95 - 4 * np.sqrt(0.95 * 0.05 / rounds)


def test_the_difference_of_one_score_with_itself_is_0_and_needs_7():
    score, positive = drawn(7, 60, 1.0)
    side = intervals.Detection(
        np.full(50, 0.8), np.full(50, 7.0), intervals.as_positive(score, positive), 7
    )
    found = intervals.auroc_difference(side, side, np.full(50, 0.5))
    assert found == intervals.Interval(0.0, 0.0)
    few = intervals.Detection(side.replicates, side.positive_weight, side.as_positive, 6)
    assert intervals.auroc_difference(side, few, np.full(50, 0.5)).reason == (
        "fewer than 7 positives (7, 6)"
    )


def test_average_precision_holds_its_value_and_needs_3():
    replicates = np.random.default_rng(6).beta(5, 5, 400)
    found = intervals.average_precision(0.5, 4, replicates, replicates)
    assert 0.0 <= found.low < 0.5 < found.high <= 1.0
    missing = np.full(9, np.nan)
    assert intervals.average_precision(0.5, 2, missing, missing).reason
    assert intervals.average_precision_difference(0.1, replicates, 6).reason


@pytest.mark.parametrize("positives", [3, 10, 50])
def test_a_lower_average_precision_never_has_a_tighter_bound(positives):
    # Limits on the logit scale reach to 0 just where every positive comes first.
    values = np.linspace(1.0, 0.3, 15)
    found = [
        intervals.average_precision(v, positives, np.full(9, v), np.full(9, v)) for v in values
    ]
    assert (np.diff([each.low for each in found]) < 0).all()
    assert (np.diff([each.high for each in found]) <= 0).all()
    assert found[0].low == pytest.approx(0.025 ** (1 / positives))
