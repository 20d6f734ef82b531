"""The study of shifted images: what corruptions do, and what each method is scored by."""

import numpy as np
import pytest

from mcdrop.errors import DataError
from mcdrop.study import shift
from mcdrop.study.corruptions import CORRUPTIONS, SEVERITIES, corrupt, shuffled
from mcdrop.study.plan import Request
from mcdrop.study.running import execute

REQUEST = Request("digits", seeds=1, epochs=2, num_samples=5, train_size=300, test_size=80)


@pytest.fixture(scope="module")
def plan():
    return shift.plan(REQUEST)


@pytest.fixture(scope="module")
def result(plan):
    return execute(plan)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(3, 28, 28, 1)).astype("float32")


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_grow_stay_in_range_and_are_the_same_again(name, images):
    distances = []
    for severity in SEVERITIES:
        changed = corrupt(images, name, severity)
        assert changed.shape == images.shape
        assert changed.dtype == np.float32
        assert changed.min() >= 0.0
        assert changed.max() <= 1.0
        assert (changed == corrupt(images, name, severity)).all()
        distances.append(float(np.abs(changed - images).mean()))
    assert distances[0] == 0.0
    if name == "translated":
        assert (corrupt(images, name, 5)[:, :, 10] == images[:, :, 0]).all()
    else:
        assert distances[5] > distances[1] > 0.0


def test_a_quarter_turn_is_six_steps(images):
    turned = CORRUPTIONS["rotated"](images, 6, np.random.default_rng(0))
    ways = [np.rot90(images, times, axes=(1, 2)) for times in (1, 3)]
    assert min(float(np.abs(turned - way).max()) for way in ways) < 1e-4


def test_shuffled_pixels_keep_the_grey_values(images):
    moved = shuffled(images)
    assert (np.sort(moved.ravel()) == np.sort(images.ravel())).all()
    assert not (moved == images).all()


def test_every_method_is_scored_at_every_degree(result):
    rows = result.runs[result.runs["setting"].str.startswith("rotated")]
    assert len(rows) == len(shift.METHODS) * len(SEVERITIES)
    assert rows[["accuracy", "brier_score", "negative_log_likelihood"]].notna().all(axis=None)
    assert rows["shift_auroc"].isna().sum() == len(shift.METHODS)  # the clean images themselves


def test_the_temperature_changes_no_class_and_the_clean_scores_are_shared(result):
    table = result.runs.set_index(["setting", "severity"])
    for name in CORRUPTIONS:
        plain, scaled = (table.loc[f"{name}, {method}"] for method in shift.METHODS[:2])
        assert (plain["accuracy"] == scaled["accuracy"]).all()
        assert not (plain["brier_score"] == scaled["brier_score"]).all()
        assert plain.loc[0, "brier_score"] == table.loc[("noisy, deterministic", 0), "brier_score"]


def test_means_are_of_the_degrees_above_none(result):
    rows = result.runs[result.runs["setting"] == "noisy, Monte Carlo"].set_index("severity")
    assert rows.loc[5, "mean_brier_score"] == pytest.approx(rows.loc[1:, "brier_score"].mean())
    assert rows.loc[:4, "mean_brier_score"].isna().all()


def test_other_images_are_told_apart_and_have_no_accuracy(plan, result):
    rows = result.runs[result.runs["setting"] == "shuffled pixels, ensemble of 5"]
    assert len(rows) == 1
    assert 0.5 < rows["shift_auroc"].iloc[0] <= 1.0
    assert rows["accuracy"].isna().all()
    sentences = plan.answers(result.runs, result.summary())
    assert not any("nan" in sentence for sentence in sentences)


def test_without_a_best_temperature_there_is_no_number_for_it(plan, monkeypatch):
    def fails(*_):
        raise DataError("no best temperature")

    monkeypatch.setattr(shift.TemperatureScaling, "fit", fails)
    runs = execute(plan).runs
    scaled = runs["setting"].str.endswith("temperature-scaled")
    scores = ["accuracy", "brier_score", "mean_brier_score", "shift_auroc"]
    assert scaled.any()
    assert runs.loc[scaled, scores].isna().all(axis=None)
    assert runs.loc[~scaled & (runs["severity"] == 5), "shift_auroc"].notna().all()
