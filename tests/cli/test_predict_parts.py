import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mcdrop.cli import predict_parts
from mcdrop.distributed.parts import LINES, RECORD

pytest.importorskip("keras")


@pytest.fixture
def arguments(shelf):
    return (
        *("predict", shelf / "model.keras", shelf / "data.npz", "--samples", 6, "--seed", 3),
        *("--part-size", 7, "--output", "out"),
    )


@pytest.fixture
def predict(run, arguments):
    def run_predict(*options):
        status, out, err = run(*arguments, *options)
        assert status == 0, err
        return out

    return run_predict


def read(folder="out"):
    return pd.read_parquet(folder)  # as its readers do, in spite of the files beside the parts


def stop_before_part(monkeypatch, number, error):
    """Lets a run end before a part."""
    find = predict_parts.PartsFolder.find

    def find_or_stop(self, wanted):
        if wanted == number:
            raise error
        return find(self, wanted)

    monkeypatch.setattr(predict_parts.PartsFolder, "find", find_or_stop)


def checksums(folder="out"):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("part-*"))}


def test_parts_hold_what_one_file_holds(predict, run, arguments):
    found = json.loads(predict("--json"))
    assert (found["num_parts"], found["num_examples"]) == (6, 40)
    status, _, err = run(*arguments[:7], "--output", "whole.parquet")
    assert status == 0, err
    parts, whole = read(), pd.read_parquet("whole.parquet")
    assert parts["example"].tolist() == list(range(40))
    pd.testing.assert_frame_equal(parts, whole, atol=1e-6)
    assert not Path("out.partial").exists()
    lines = [json.loads(line) for line in Path("out", LINES).read_text().split("\n") if line]
    assert [(line["start"], line["stop"]) for line in lines][-1] == (35, 40)
    assert [pq.read_metadata(Path("out", line["part"])).num_rows for line in lines][-1] == 5


def test_the_size_of_parts_and_batches_changes_no_mask(predict, shelf, run):
    predict()
    other = ("predict", shelf / "model.keras", shelf / "data.npz", "--samples", 6, "--seed", 3)
    status, _, err = run(*other, "--part-size", 16, "--batch-size", 3, "--output", "other")
    assert status == 0, err
    pd.testing.assert_frame_equal(read(), read("other"), atol=1e-6)
    assert read()["std_0"].min() > 1e-3  # so that masks that differ would be seen


def test_several_inputs_are_cut_together(run, shelf):
    common = (
        *("predict", shelf / "heads.keras", shelf / "pair.npz", "--x-key", "image,meta"),
        *("--model-output", "flag", "--samples", 4),
    )
    for options in (("--output", "out", "--part-size", 9), ("--output", "whole.parquet")):
        status, _, err = run(*common, *options)
        assert status == 0, err
    pd.testing.assert_frame_equal(read(), pd.read_parquet("whole.parquet"), atol=1e-6)


def test_a_run_that_was_stopped_goes_on(predict, run, arguments, monkeypatch):
    predict()
    wanted = checksums()
    Path("out").rename("first")
    with monkeypatch.context() as patch:
        stop_before_part(patch, 3, KeyboardInterrupt())
        status, _, err = run(*arguments)
    assert status == 130
    assert err.endswith("interrupted; 3 of 6 parts are finished; go on with --resume.\n")
    assert not Path("out").exists()
    times = {path.name: path.stat().st_mtime_ns for path in Path("out.partial").glob("part-*")}
    status, _, err = run(*arguments)
    assert status == 1
    assert "holds the parts of an unfinished run" in err
    predict("--resume")
    assert checksums() == wanted
    assert len(times) == 3
    assert {name: Path("out", name).stat().st_mtime_ns for name in times} == times


def test_a_run_that_finished_no_part_is_not_in_the_way(predict, run, arguments, monkeypatch):
    with monkeypatch.context() as patch:
        stop_before_part(patch, 0, KeyboardInterrupt())
        assert run(*arguments)[0] == 130
    assert Path("out.partial").is_dir()
    predict("--seed", 4)


def test_a_killed_process_goes_on(run, arguments, predict, shelf):
    """The process is killed in the middle of a part, with no chance to clean up."""
    predict()
    wanted = checksums()
    Path("out").rename("first")
    script = (
        "import sys\n"
        "from mcdrop.cli import main, writers\n"
        "import os, signal\n"
        "write = writers.ParquetWriter.write\n"
        "def kill(self, *parts):\n"
        "    write(self, *parts)\n"
        "    if self._path.name.startswith('.part-00002'):\n"
        "        self._flush()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "writers.ParquetWriter.write = kill\n"
        "main(sys.argv[1:])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not Path("out").exists()
    assert list(Path("out.partial").glob(".part-00002*"))
    with Path("out.partial", LINES).open("a") as file:
        file.write('{"part": "part-00002.par')  # a line that was cut off
    predict("--resume")
    assert checksums() == wanted
    assert sorted(path.name for path in Path().iterdir()) == ["first", "out"]


def test_damaged_and_missing_parts_are_made_again(predict):
    predict()
    wanted = checksums()
    damaged = Path("out", "part-00001.parquet")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    Path("out", "part-00004.parquet").unlink()
    predict("--resume")
    assert checksums() == wanted
    predict("--force")  # the list of files vouches for them again
    assert checksums() == wanted


OTHER_SETTINGS = {
    "samples": ("--samples", 7),
    "splitting": ("--splitting", "3,2"),
    "seed": ("--seed", 4),
    "layers": ("--layers", "dropout"),
    "masks": ("--masks", "shared"),
    "balanced": ("--balanced",),
    "task": ("--task", "classification"),
    "model_output": ("--model-output", "kind"),
    "gaussian_scale": ("--gaussian-scale", "variance"),
    "compute_dtype": ("--compute-dtype", "bfloat16"),
    "tolerance": ("--tolerance", 0.1),
    "on_nonfinite": ("--on-nonfinite", "drop"),
    "limit": ("--limit", 39),
    "drop_missing": ("--drop-missing",),
    "abstain_above": ("--abstain-above", 1),
    "scorable": ("--scorable",),
    "part_size": ("--part-size", 8),
    "imports": ("--import", "json"),
}


def test_another_setting_is_refused(predict, run, arguments):
    assert set(predict_parts._SETTINGS) < set(OTHER_SETTINGS)
    predict()
    before = checksums()
    for named, options in OTHER_SETTINGS.items():
        given = arguments
        if named == "splitting":  # it says itself how many passes there are
            given = [*arguments[:3], *arguments[5:]]
        status, _, err = run(*given, *options, "--resume")
        assert status == 1
        assert f"were made with another {named}. Resume them with the same" in err
        assert checksums() == before


def test_what_splitting_auto_chose_holds_for_all_parts(run, arguments, shelf, monkeypatch):
    from mcdrop.predictor import MCDropout

    keras = pytest.importorskip("keras")
    layers = keras.layers
    early = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dropout(0.2), layers.Dense(8)]
    keras.Sequential([*early, layers.Dropout(0.5), layers.Dense(3, "softmax")]).save("two.keras")
    command = ("predict", "two.keras", *arguments[2:])
    monkeypatch.setattr(
        MCDropout, "choose_splitting", lambda mc, x, **_: MCDropout(mc.model, splitting=(4, 3))
    )
    assert run(*command, "--splitting", "auto")[0] == 0
    wanted = checksums()
    Path("out").rename("first")
    with monkeypatch.context() as patch:
        stop_before_part(patch, 3, KeyboardInterrupt())
        assert run(*command, "--splitting", "auto")[0] == 130
    monkeypatch.setattr(  # as a machine that rounds otherwise might
        MCDropout, "choose_splitting", lambda mc, x, **_: MCDropout(mc.model, splitting=(2, 2))
    )
    assert run(*command, "--splitting", "auto", "--resume")[0] == 0
    assert checksums() == wanted


@pytest.mark.filterwarnings("ignore:This processor has no instructions")
def test_parts_are_computed_in_one_data_type_on_all_machines(run, arguments, predict, monkeypatch):
    """Only some machines compute in bfloat16; the others compute in float32, with a warning."""
    native = "mcdrop.engine.processor.has_bfloat16"
    predict()
    wanted = checksums()
    Path("out").rename("first")
    half = (*arguments, "--compute-dtype", "bfloat16")
    for begins, status, message in ((False, 0, ""), (True, 1, "no instructions for bfloat16")):
        monkeypatch.setattr(native, lambda begins=begins: begins)
        with monkeypatch.context() as patch:
            stop_before_part(patch, 3, KeyboardInterrupt())
            assert run(*half)[0] == 130
        monkeypatch.setattr(native, lambda begins=begins: not begins)
        found, _, err = run(*half, "--resume")
        assert found == status, err
        assert message in err
        if status == 0:
            assert checksums() == wanted
            Path("out").rename("second")


def test_other_labels_that_leave_other_examples_are_refused(run, arguments):
    """The inputs are alike, but the masks follow the numbers of the examples."""
    x = np.ones((40, 4, 4, 1), np.float32)
    for missing, status in ((3, 0), (4, 1)):
        y = np.zeros(40)
        y[missing] = np.nan
        np.savez("gaps.npz", x=x, y=y)
        command = (*arguments[:2], "gaps.npz", *arguments[3:], "--drop-missing")
        found, _, err = run(*command, *(["--resume"] * status))
        assert found == status, err
    assert "changed since part-00000.parquet was made of it" in err


def test_another_model_and_other_data_are_refused(predict, run, arguments, shelf):
    predict()
    before = checksums()
    with np.load(shelf / "data.npz") as data:
        x = data["x_test"]
    changed = x.copy()
    changed[30] += 0.5
    for values, message in (
        (changed, "changed since part-00004.parquet was made of it (examples 28 to 34)"),
        (x[:20], "changed since part-00002.parquet was made of it (examples 14 to 20)"),
        (x[:14], "has 14 examples, fewer than the parts"),
        (np.concatenate([x, x]), "changed since part-00005.parquet"),
    ):
        np.save("x.npy", values)
        status, _, err = run(arguments[0], arguments[1], "x.npy", *arguments[3:], "--resume")
        assert status == 1
        assert message in err
        assert checksums() == before
        assert not Path("out.partial").exists()
    status, _, err = run(arguments[0], shelf / "other.keras", *arguments[2:], "--resume")
    assert status == 1
    assert "were made with another model" in err


def test_a_full_disk_keeps_what_is_finished(predict, run, arguments):
    import resource

    predict()
    wanted = checksums()
    size = max(map(len, wanted.values()))
    Path("out").rename("first")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, limits[1]))
    try:
        status, _, err = run(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1
    assert "cannot be written: file too large. Its" in err
    assert not list(Path("out.partial").glob(".*"))
    predict("--resume")
    assert checksums() == wanted


def test_foreign_files_are_kept(predict, run, arguments):
    predict()
    Path("out", "mine.txt").write_text("mine")
    for option in ("--force", "--resume"):
        status, _, err = run(*arguments, option)
        assert status == 1
        assert "mine.txt" in err
        assert Path("out", "mine.txt").read_text() == "mine"
    Path("out").rename("out.partial")
    status, _, err = run(*arguments, "--force")
    assert status == 1
    assert Path("out.partial", "mine.txt").read_text() == "mine"


def test_what_is_no_folder_of_predictions_is_not_resumed(fails, arguments):
    Path("out").mkdir()
    assert f"its {RECORD} is missing or damaged" in fails(*arguments, "--resume")


def test_a_file_is_not_resumed(fails, arguments):
    message = fails(*arguments[:7], "--output", "p.parquet", "--resume")
    assert "need a folder of parts" in message


@pytest.mark.parametrize("method", ["temperature", "conformal"])
def test_calibrated_columns_are_in_the_parts(predict, run, arguments, shelf, method):
    fit = ("calibrate", shelf / "model.keras", shelf / "more.npz", "--method", method)
    status, _, err = run(*fit, "--samples", 6, "--output", "c.json")
    assert status == 0, err
    predict("--calibration", "c.json")
    whole = (*arguments[:7], "--calibration", "c.json", "--output", "whole.parquet")
    status, _, err = run(*whole)
    assert status == 0, err
    pd.testing.assert_frame_equal(read(), pd.read_parquet("whole.parquet"), atol=1e-6)
    assert ("set_size" in read()) == (method == "conformal")
    status, _, err = run(*arguments, "--resume")
    assert "another calibration" in err
