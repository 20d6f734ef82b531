"""`mcdrop predict --engine ray` on a real cluster of two nodes: the files of one process, whatever
happens to workers, nodes, the driver and the disk.
"""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcdrop.cli import main
from mcdrop.distributed import Predictor

ray = pytest.importorskip("ray", reason="needs Ray: make test-cluster")
pytest.importorskip("ray.data", reason="needs Ray Data: make test-cluster")
keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

OPTIONS = ("--samples", "6", "--seed", "3", "--part-size", "7", "--quiet")
NUM_PARTS = 6


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A model, data and the parts that one process makes of them."""
    folder = tmp_path_factory.mktemp("shelf")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    head = [layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")]
    keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), *head]).save(folder / "m.keras")
    np.save(folder / "x.npy", np.random.default_rng(0).random((40, 4, 4, 1), np.float32))
    shutil.copy(Path(__file__).parent / "hook.py", folder)
    assert main([*command(folder, folder / "local"), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    found.add_node(num_cpus=2)
    ray.init(address=found.address, log_to_driver=False)
    yield found
    ray.shutdown()
    found.shutdown()


@pytest.fixture
def out(tmp_path, shelf):
    yield tmp_path / "out"
    for fault in (*shelf.glob("*.had"), *shelf.glob("stall *")):
        fault.unlink(missing_ok=True)


def command(shelf, out, *options):
    data = ("predict", shelf / "m.keras", shelf / "x.npy", "--output", out)
    return [str(part) for part in (*data, *OPTIONS, "--import", shelf / "hook.py", *options)]


def on_ray(shelf, out, *options):
    return main(command(shelf, out, "--engine", "ray", "--workers", "2", *options))


def assert_same(folder, shelf, local="local"):
    parts = sorted(path.name for path in folder.glob("part-*"))
    assert parts == sorted(path.name for path in (shelf / local).glob("part-*"))
    assert len(parts) == NUM_PARTS
    for name in parts:
        found, wanted = (pd.read_parquet(path / name) for path in (folder, shelf / local))
        pd.testing.assert_frame_equal(found, wanted, rtol=0, atol=1e-6)
    assert {path.name for path in folder.iterdir() if path.name[0] == "."} == set()
    assert not folder.with_name(f"{folder.name}.partial").exists()
    lines = [json.loads(line) for line in (folder / "_parts.jsonl").read_text().split("\n") if line]
    assert {line["part"] for line in lines} == set(parts)


def test_two_workers_on_two_nodes_write_what_one_process_writes(cluster, shelf, out):
    assert on_ray(shelf, out) == 0
    assert_same(out, shelf)


def test_a_worker_that_is_killed_changes_nothing(cluster, shelf, out):
    (shelf / "kill worker").touch()
    assert on_ray(shelf, out) == 0
    assert (shelf / "kill worker.had").exists()
    assert_same(out, shelf)


def test_a_node_that_is_lost_changes_nothing(cluster, shelf, out):
    lost = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    fault = shelf / f"stall {lost.node_id}"
    fault.touch()

    def remove():
        while not Path(f"{fault}.had").exists():
            time.sleep(0.2)
        cluster.remove_node(lost, allow_graceful=False)

    remover = threading.Thread(target=remove, daemon=True)
    remover.start()
    assert on_ray(shelf, out, "--workers", "3") == 0
    remover.join(timeout=60)
    assert Path(f"{fault}.had").exists()
    assert_same(out, shelf)


def test_a_driver_that_is_killed_is_resumed_by_any_engine(cluster, shelf, out):
    script = (
        "import os, sys; from pathlib import Path; from mcdrop.cli import main\n"
        f"Path({str(shelf / 'kill driver')!r}).write_text(str(os.getpid()))\n"
        "main(sys.argv[1:])\n"
    )
    options = ("--engine", "ray", "--workers", "1", "--address", cluster.address)
    done = subprocess.run(
        [sys.executable, "-c", script, *command(shelf, out, *options)], capture_output=True
    )
    (shelf / "kill driver").unlink()
    assert done.returncode == -signal.SIGKILL, done.stderr
    partial = out.with_name("out.partial")
    finished = {path.name: path.stat().st_mtime_ns for path in partial.glob("part-*")}
    assert 0 < len(finished) < NUM_PARTS
    shutil.copytree(partial, out.with_name("other.partial"))
    assert main(command(shelf, out, "--resume")) == 0
    assert_same(out, shelf)
    kept = [name for name in finished if (out / name).stat().st_mtime_ns == finished[name]]
    assert kept
    assert on_ray(shelf, out.with_name("other"), "--resume") == 0
    assert_same(out.with_name("other"), shelf)


def test_a_full_disk_is_one_line_and_what_is_finished_stays(cluster, shelf, out, capfd):
    (shelf / "full disk").touch()
    assert on_ray(shelf, out) == 1
    error = capfd.readouterr().err
    assert "cannot be written: no space left on device. Its finished parts are kept" in error
    damaged = next(iter(sorted(out.with_name("out.partial").glob("part-*"))), None)
    if damaged is not None:
        damaged.write_bytes(damaged.read_bytes()[:-9])
    assert on_ray(shelf, out, "--resume") == 0
    assert_same(out, shelf)


def test_changed_data_are_refused_on_resume(cluster, shelf, out, tmp_path, capfd):
    shutil.copytree(shelf / "local", out)
    changed = np.load(shelf / "x.npy")
    changed[30] += 0.5
    np.save(tmp_path / "x.npy", changed)
    arguments = command(shelf, out, "--engine", "ray", "--resume")
    arguments[2] = str(tmp_path / "x.npy")
    assert main(arguments) == 1
    assert "changed since part-00004.parquet was made of it" in capfd.readouterr().err
    assert_same(out, shelf)


def save_words_and_images(folder):
    """A model of two inputs, one of them text, and two outputs; data in a folder of tables."""
    layers = keras.layers
    image, word = keras.Input((4, 4), name="image"), keras.Input((), dtype="string", name="word")
    coded = layers.StringLookup(vocabulary=["ant", "bee"], output_mode="one_hot")(word)
    joined = layers.Concatenate()([layers.Flatten()(image), coded])
    hidden = layers.Dense(8, "relu")(layers.Dropout(0.3)(joined))
    last = layers.Dropout(0.5)(hidden)
    kind = layers.Dense(3, "softmax", name="kind")(last)
    flag = layers.Dense(1, "sigmoid", name="flag")(last)
    keras.Model({"image": image, "word": word}, {"kind": kind, "flag": flag}).save(
        folder / "words.keras"
    )
    x = np.load(folder / "x.npy")[..., 0]
    x[17] = np.where(np.arange(16).reshape(4, 4) % 2, 3e38, -3e38)  # makes NaN inside
    table = pd.DataFrame({"image": x.tolist(), "word": ["ant", "bee", "cow", "ant"] * 10})
    (folder / "tables").mkdir()
    for number, rows in enumerate((slice(0, 23), slice(23, 40))):
        table[rows].to_parquet(folder / "tables" / f"{number}.parquet")


def test_tables_of_text_and_arrays_for_one_of_several_outputs(cluster, shelf, out):
    save_words_and_images(shelf)
    options = ("--model-output", "kind", "--on-nonfinite", "drop", "--scorable")
    words = ["predict", shelf / "words.keras", shelf / "tables", *OPTIONS[2:], "--output"]
    words = [str(word) for word in words]
    sampling = ("--splitting", "3,2", "--abstain-above", "1", *options)
    assert main([*words, str(shelf / "words"), *sampling]) == 0
    assert main([*words, str(out), *sampling, "--engine", "ray", "--workers", "3"]) == 0
    assert_same(out, shelf, "words")
    dropped = pd.read_parquet(out / "part-00002.parquet")["dropped"]
    assert np.flatnonzero(dropped).tolist() == [3]


def test_a_calibration_is_applied_and_its_data_are_told(cluster, shelf, out, capfd):
    np.save(shelf / "y.npy", np.arange(40) % 3)
    model, data = str(shelf / "m.keras"), str(shelf / "x.npy")
    fit = ["calibrate", model, data, "--labels", str(shelf / "y.npy"), *OPTIONS[:4], "--quiet"]
    fitted = str(shelf / "c.json")
    assert main([*fit, "--method", "conformal", "--output", fitted]) == 0
    loud = [word for word in command(shelf, out, "--calibration", fitted) if word != "--quiet"]
    assert main([*loud, "--engine", "ray", "--workers", "2"]) == 0
    assert "holds the data that" in capfd.readouterr().err
    loud[loud.index("--output") + 1] = str(shelf / "fitted")
    assert main(loud) == 0
    assert_same(out, shelf, "fitted")


def test_the_predictor_goes_into_a_pipeline_of_ray_data(cluster, shelf):
    x = np.load(shelf / "x.npy")
    rows = [{"example": number, "image": image} for number, image in enumerate(x)]
    predictor = Predictor((shelf / "m.keras").read_bytes(), num_samples=6, seed=3)
    found = (
        ray.data.from_items(rows, override_num_blocks=5)
        .random_shuffle(seed=0)
        .map_batches(predictor, batch_size=6)
        .to_pandas()
    )
    wanted = pd.concat(map(pd.read_parquet, sorted((shelf / "local").glob("part-*"))))
    found = found.sort_values("example").reset_index(drop=True).astype(wanted.dtypes)
    pd.testing.assert_frame_equal(found, wanted.reset_index(drop=True), rtol=0, atol=1e-6)
