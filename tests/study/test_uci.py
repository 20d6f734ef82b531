"""The study of regression tables: folders read and refused, the recipe, and published scores."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mcdrop import metrics
from mcdrop.errors import DataError
from mcdrop.study import regression_data, uci
from mcdrop.study.plan import Request
from mcdrop.study.running import execute

NUM_ROWS, NUM_SPLITS = 60, 3


def write(path, values):
    np.savetxt(path, np.atleast_1d(values), fmt="%.6g")


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return execute(uci.plan(request(make_folder(tmp_path_factory.mktemp("uci")))))


def make_folder(tmp_path):
    data, results = tmp_path / "made-up" / "data", tmp_path / "made-up" / "results"
    data.mkdir(parents=True)
    results.mkdir()
    generator = np.random.default_rng(0)
    x = generator.normal(size=(NUM_ROWS, 2))
    y = 10.0 + 3.0 * x[:, 0] + generator.normal(scale=0.5, size=NUM_ROWS)
    write(data / "data.txt", np.column_stack([x, y]))
    write(data / "index_features.txt", [0, 1])
    write(data / "index_target.txt", [2])
    write(data / "dropout_rates.txt", [0.01, 0.1])
    write(data / "tau_values.txt", [1.0, 4.0])
    write(data / "n_hidden.txt", [6])
    write(data / "n_epochs.txt", [40])
    for split in range(NUM_SPLITS):
        order = generator.permutation(NUM_ROWS)
        cut = NUM_ROWS - (6 if split < 2 else 5)  # sizes differ by one, as those of folds do
        write(data / f"index_train_{split}.txt", order[:cut])
        write(data / f"index_test_{split}.txt", order[cut:])
    write(results / "test_MC_rmse_10_xepochs_1_hidden_layers.txt", [9.0, 9.0, 9.0])
    write(results / "test_MC_rmse_100_xepochs_1_hidden_layers.txt", [1.0, 2.0, 3.0])
    write(results / "test_ll_100_xepochs_1_hidden_layers.txt", [-1.0, -2.0, -3.0])
    return tmp_path / "made-up"


def request(folder, **changes):
    return Request(**{"data": str(folder), "seeds": 3, "epochs": 20, "num_samples": 50} | changes)


def test_every_split_is_tested_beside_what_was_published(result):
    table = result.runs.set_index(["setting", "seed"])
    assert len(table) == 4 * NUM_SPLITS
    assert table.loc["made-up, published", "rmse"].tolist() == [1.0, 2.0, 3.0]
    own = table.drop(index="made-up, published", level=0)
    assert own["dropout_rate"].isin([0.01, 0.1]).all()
    assert own.loc[["made-up, Monte Carlo"], "precision"].isin([1.0, 4.0]).all()
    assert set(result.references.values()) == {"made-up, published"}


def test_equal_seeds_give_equal_tables_whatever_is_run_beside(folder, result):
    again = execute(uci.plan(request(folder, seeds=2))).runs
    same = result.runs[result.runs["seed"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, same)


def test_a_trained_network_is_near_the_noise(folder):
    table = replace(regression_data.load(str(folder))[0], rates=(0.01,), precisions=(4.0,))
    found = uci.run_splits(table, (0,), request(folder, epochs=600), lambda: None)
    by_setting = {row["setting"]: row["rmse"] for row in found.rows}
    assert by_setting["made-up, Monte Carlo"] < 1.5  # the noise has 0.5, the targets 3


def test_the_likelihood_cannot_pass_the_cap_of_its_precision(result):
    runs = result.runs.dropna(subset=["precision"])
    cap = 0.5 * np.log(runs["precision"] / (2 * np.pi))
    assert (runs["log_likelihood"] <= cap).all()


def test_the_fitted_precision_is_the_best_on_the_validation_rows(folder, monkeypatch):
    table = regression_data.load(str(folder))[0]
    split = uci._Split(table, 0, 0.2)
    passes = np.repeat(split.y["validation"][None], 30, axis=0)
    passes = passes + np.random.default_rng(0).normal(scale=0.3, size=(30, 1))
    monkeypatch.setattr(uci, "_trained", lambda *arguments: None)
    monkeypatch.setattr(uci, "_passes", lambda *arguments: np.stack([passes] * 2, axis=-1))
    for _, choice in uci._choices(table, [split], 0.1, request(folder), lambda: None):
        best = metrics.mixture_log_likelihood(
            passes, split.y["validation"], noise_variance=1.0 / choice.fitted_precision
        )
        assert best > choice.log_likelihood
        for other in uci.WIDE_PRECISIONS / split.spread**2:
            assert best >= metrics.mixture_log_likelihood(
                passes, split.y["validation"], noise_variance=1.0 / other
            )


def test_what_is_tested_was_trained_on_all_training_rows(folder, monkeypatch):
    trained = []
    train = uci.stacked.train

    def spy(stack, x, y, **options):
        trained.append(x.shape[:2])
        return train(stack, x, y, **options)

    monkeypatch.setattr(uci.stacked, "train", spy)
    ticks = []
    table = regression_data.load(str(folder))[0]
    job = uci.plan(request(folder, seeds=2, epochs=2)).jobs[0]
    job.work(lambda: ticks.append(1))
    of_choice, of_test = (NUM_ROWS - 6) * 4 // 5, NUM_ROWS - 6
    assert trained[: len(table.rates)] == [(of_choice, 2 * 2)] * 2
    assert {rows for rows, _ in trained[2:]} == {of_test}
    assert sum(networks for _, networks in trained[2:]) == 2
    assert len(ticks) == job.ticks


def test_nothing_of_test_or_validation_rows_is_in_the_scale(folder):
    table = regression_data.load(str(folder))[0]
    split = uci._Split(table, 0, 0.2)
    assert split.x["train"].mean(axis=0) == pytest.approx([0.0, 0.0], abs=1e-12)
    train, test = table.splits[0]
    assert len(split.y["train"]) == int(0.8 * len(train))
    assert len(split.y["train"]) + len(split.y["validation"]) == len(train)
    assert split.y["test"].tolist() == table.y[test].tolist()


def test_a_folder_of_folders_and_the_embedded_table(folder):
    assert [table.name for table in regression_data.load(str(folder.parent))] == ["made-up"]
    (embedded,) = regression_data.load("diabetes")
    assert embedded.x.shape == (442, 10)
    assert all(
        np.intersect1d(train, test).size == 0 and len(train) + len(test) == 442
        for train, test in embedded.splits
    )


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("data.txt", [[1.0, np.nan, 2.0]] * NUM_ROWS, "finite"),
        ("index_target.txt", [1], "not among the features"),
        ("index_target.txt", [7], "0 to 2"),
        ("index_features.txt", [0, 0.5], "whole numbers"),
        ("index_features.txt", [0, 0], "twice"),
        ("index_test_0.txt", list(range(NUM_ROWS)), "both for training and for testing"),
        ("dropout_rates.txt", [0.0, 0.5], r"in \(0, 1.0\)"),
        ("tau_values.txt", [-1.0], "in"),
        ("../results/test_ll_100_xepochs_1_hidden_layers.txt", [1.0], "1 numbers for 3 splits"),
    ],
)
def test_files_that_do_not_fit_are_refused(folder, file, values, message):
    write(folder / "data" / file, values)
    with pytest.raises(DataError, match=message):
        regression_data.load(str(folder))


@pytest.mark.parametrize(
    "file",
    [
        "index_train_1.txt",
        "index_train_2.txt",
        "index_test_2.txt",
        "tau_values.txt",
        "index_target.txt",
    ],
)
def test_missing_files_are_named(folder, file):
    (folder / "data" / file).unlink()
    with pytest.raises(DataError, match=file):
        regression_data.load(str(folder))


def test_text_in_a_table_is_refused(folder):
    (folder / "data" / "data.txt").write_text("a b c\n")
    with pytest.raises(DataError, match="cannot be read as numbers"):
        regression_data.load(str(folder))


def test_images_are_refused_with_the_way_out():
    with pytest.raises(DataError, match="diabetes"):
        regression_data.load("digits")


def test_equal_targets_are_nothing_to_learn(folder):
    table = np.loadtxt(folder / "data" / "data.txt")
    table[:, 2] = 1.0
    write(folder / "data" / "data.txt", table)
    with pytest.raises(DataError, match="nothing to learn"):
        execute(uci.plan(request(folder)))


def test_sizes_are_those_of_the_splits(folder):
    with pytest.raises(DataError, match="--train-size"):
        uci.plan(request(folder, train_size=10))


@pytest.mark.parametrize(("epochs", "told"), [(20, True), (4000, False)])
def test_another_length_of_training_is_told(folder, result, epochs, told):
    plan = uci.plan(request(folder, epochs=epochs))
    sentences = plan.answers(result.runs, result.summary())
    ending = f"trained for {epochs} epochs, the published ones for 4000."
    assert [sentence.endswith(ending) for sentence in sentences] == [told] * 3
