"""Studies: paired runs, resumed and reproduced, and what is refused."""

import json

import keras
import numpy as np
import pandas as pd
import pytest

from mcdrop.errors import DataError, ModelError
from mcdrop.study import run, settings_of, summarize
from mcdrop.study.running import as_examples, grid_jobs
from mcdrop.study.training import Schedule, Sets, pair_initial_weights


def build(rate=0.0, units=8):
    drop = [keras.layers.Dropout(rate)] if rate else []
    steps = [keras.layers.Dense(units, activation="relu"), *drop, keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((6,)), *steps])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, 6)).astype("float32")
    return x, x[:, :3].argmax(axis=1)


GRID = {"none": {"rate": 0.0}, "half": {"rate": 0.5}}
OPTIONS = {"epochs": 2, "batch_size": 16, "num_samples": 4}


@pytest.fixture(scope="module")
def result(data):
    return run(build, GRID, data, data, seeds=2, **OPTIONS)


def test_a_row_for_every_run_and_epoch(result):
    keys = result.runs[["setting", "seed", "epoch"]].to_numpy().tolist()
    assert keys == [
        *(["none", 0, 1], ["none", 0, 2], ["half", 0, 1], ["half", 0, 2]),
        *(["none", 1, 1], ["none", 1, 2], ["half", 1, 1], ["half", 1, 2]),
    ]


def test_only_a_network_with_dropout_has_monte_carlo_scores(result):
    last = result.runs[result.runs["epoch"] == 2].set_index(["setting", "seed"])
    scores = last["accuracy_monte_carlo"]
    assert scores["none"].isna().all()
    assert scores["half"].notna().all()
    assert last["accuracy_deterministic"].notna().all()


def test_equal_seeds_give_equal_tables(result, data):
    again = run(build, GRID, data, data, seeds=2, **OPTIONS)
    pd.testing.assert_frame_equal(again.runs, result.runs)


def test_settings_start_from_the_same_weights():
    plain, dropped = build(), build(0.5)
    for model in (plain, dropped):
        pair_initial_weights(model, 3)
    for a, b in zip(plain.get_weights(), dropped.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = build()
    pair_initial_weights(other, 4)
    assert not np.array_equal(other.get_weights()[0], plain.get_weights()[0])


def test_one_compiled_program_for_all_seeds_gives_the_same_table(result, data):
    sets = Sets(as_examples("train", data), as_examples("test", data))
    jobs = grid_jobs(build, GRID, sets, (0, 1), Schedule(2, 16, 4), compile_once=True)
    rows = [row for job in jobs for row in job.work(lambda: None).rows]
    again = pd.DataFrame([{"study": "study", **row} for row in rows])
    pd.testing.assert_frame_equal(again[result.runs.columns], result.runs)


def test_validation_examples_say_when_to_stop(data):
    table = run(build, GRID, data, data, seeds=1, validation=data, **OPTIONS).runs
    for _, rows in table.groupby("setting"):
        best = rows.loc[rows["validation_loss"].idxmin()]
        last = rows.iloc[-1]
        assert last["epochs_to_lowest_validation_loss"] == best["epoch"]
        assert last["test_loss_stopped_early"] == best["test_loss"]


def test_weights_of_every_layer_are_paired():
    def recurrent(rate):
        drop = [keras.layers.Dropout(rate)] if rate else []
        steps = [keras.layers.SeparableConv1D(4, 3), *drop, keras.layers.LSTM(3)]
        return keras.Sequential([keras.Input((8, 2)), *steps])

    plain, dropped = recurrent(0.0), recurrent(0.5)
    for model in (plain, dropped):
        pair_initial_weights(model, 3)
    for a, b in zip(plain.trainable_variables, dropped.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_network_twice_differs_in_nothing(data):
    result = run(build, {"a": {"rate": 0.0}, "b": {"rate": 0.0}}, data, data, seeds=2, **OPTIONS)
    summary = result.summary()
    apart = summary[(summary.setting == "b") & (summary.score == "test_loss")]
    assert apart["difference"].tolist() == [0.0]
    assert np.isnan(apart["difference_low"]).all()


def test_a_study_is_resumed_to_the_same_table(result, data, tmp_path):
    class Stopped(Exception):
        pass

    def stop(done, total):
        if done == 5:
            raise Stopped

    options = {"seeds": 2, "output": tmp_path / "study", **OPTIONS}
    with pytest.raises(Stopped):
        run(build, GRID, data, data, progress=stop, **options)
    kept = pd.read_csv(tmp_path / "study" / "runs.csv")
    assert len(kept) == 4  # two whole runs, and nothing of the one in progress
    ticks = []
    resumed = run(
        build, GRID, data, data, resume=True, progress=lambda *tick: ticks.append(tick), **options
    )
    assert ticks == [(5, 8), (6, 8), (7, 8), (8, 8)]
    pd.testing.assert_frame_equal(resumed.runs, result.runs, check_dtype=False)
    stored = pd.read_parquet(tmp_path / "study" / "runs.parquet")
    pd.testing.assert_frame_equal(stored, resumed.runs, check_dtype=False)


def test_another_study_in_the_folder_is_refused(data, tmp_path):
    folder = tmp_path / "study"
    run(build, {"none": {}}, data, data, seeds=1, output=folder, **OPTIONS)
    before = (folder / "runs.csv").read_bytes()
    with pytest.raises(DataError, match="holds a study"):
        run(build, {"none": {}}, data, data, seeds=1, output=folder, **OPTIONS)
    with pytest.raises(DataError, match="another seeds"):
        run(build, {"none": {}}, data, data, seeds=2, output=folder, resume=True, **OPTIONS)
    assert (folder / "runs.csv").read_bytes() == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no study"):
        run(build, {"none": {}}, data, data, seeds=1, output=other, resume=True, **OPTIONS)
    assert json.loads((folder / "study.json").read_text())["seeds"] == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "seeds"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"epochs": 0}, "epochs"),
        ({"grid": {}}, "grid"),
        ({"grid": {"rate": 0.5}}, "grid"),
        ({"reference": "third"}, "third"),
        ({"train": 3}, "train"),
        ({"train": (np.zeros((4, 6)), np.array([0.5, 1, 2, 0]))}, "labels"),
        ({"train": (np.zeros((4, 6)), np.array([0, 1, -1, 0]))}, "label -1"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(data, changes, message):
    arguments = {"grid": GRID, "train": data, "seeds": 1} | changes
    with pytest.raises(DataError, match=message):
        run(build, arguments.pop("grid"), arguments.pop("train"), data, **arguments)


def test_a_network_that_is_not_compiled_is_refused(data):
    def plain():
        return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])

    with pytest.raises(ModelError, match="compile"):
        run(plain, {"plain": {}}, data, data, seeds=1, **OPTIONS)


def test_lists_of_values_are_combined():
    grid = settings_of({"rate": [0.0, 0.5], "units": [4, 8]})
    assert list(grid) == [f"rate={rate}, units={units}" for rate in (0.0, 0.5) for units in (4, 8)]


def made_up_runs(differences):
    rows = []
    for seed, difference in enumerate(differences):
        for setting, value in (("a", float(seed)), ("b", seed + difference)):
            rows.append(
                {"study": "s", "setting": setting, "seed": seed, "epoch": 1, "test_loss": value}
            )
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed():
    table = summarize(made_up_runs([1.0, 1.1, 0.9]), {"a": "a", "b": "a"})
    row = table[(table.setting == "b") & (table.score == "test_loss")].iloc[0]
    # Student's t with 2 degrees of freedom: 4.302653 * 0.1 / sqrt(3).
    half = 4.302652730 * 0.1 / np.sqrt(3)
    assert row["difference"] == pytest.approx(1.0)
    assert row["difference_low"] == pytest.approx(1.0 - half)
    assert row["difference_high"] == pytest.approx(1.0 + half)


@pytest.mark.parametrize(("differences", "reason"), [([1.0, 2.0], "3 seeds"), ([1.0] * 3, "same")])
def test_seeds_that_carry_no_interval_give_none_with_the_reason(differences, reason):
    table = summarize(made_up_runs(differences), {"a": "a", "b": "a"})
    row = table[(table.setting == "b") & (table.score == "test_loss")].iloc[0]
    assert np.isnan(row["difference_low"])
    assert reason in row["reason"]


def test_a_study_cut_short_is_not_summarized_unpaired():
    runs = made_up_runs([1.0, 2.0, 3.0]).iloc[:-1]
    with pytest.raises(DataError, match="paired by seed"):
        summarize(runs, {"a": "a", "b": "a"})
