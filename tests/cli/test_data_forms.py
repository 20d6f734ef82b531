"""Data as people have them, from the command line: a right report, or one clear line."""

import io
import itertools
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

keras = pytest.importorskip("keras")
layers = keras.layers
PASSES = ("--samples", 4)
NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)

    def save(name, inputs, hidden, **head):
        outputs = layers.Dense(**head)(layers.Dropout(0.4)(hidden))
        model = keras.Model(inputs, outputs)
        if "activation" not in head:
            model.compile("adam", "mse")
        model.save(folder / f"{name}.keras")

    features = keras.Input((4,), name="features")
    hidden = layers.Dense(8, activation="relu")(features)
    save("classes", features, hidden, units=3, activation="softmax")
    save("binary", features, hidden, units=1, activation="sigmoid")
    save("regression", features, hidden, units=1)
    save("targets", features, hidden, units=2)
    texts = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    texts.adapt(["good film", "bad film", "so so"])
    words = keras.Input((1,), dtype="string", name="text")
    embedded = layers.GlobalAveragePooling1D()(layers.Embedding(20, 4)(texts(words)))
    save("text", words, embedded, units=2, activation="softmax")
    image = keras.Input((6, 5, 1), name="image")
    save("image", image, layers.Flatten()(image), units=3, activation="softmax")
    age, city = keras.Input((1,), name="age"), keras.Input((1,), name="city", dtype="string")
    known = layers.StringLookup(vocabulary=["here", "there"], output_mode="one_hot")(city)
    save("mixed", [age, city], layers.Concatenate()([age, known]), units=2, activation="softmax")
    return folder


@pytest.fixture(scope="module")
def table():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(30, 4)), columns=list("abcd"))
    return frame.assign(label=generator.integers(0, 3, 30))


@pytest.fixture
def report(run, models, monkeypatch):
    """Samples and scores as `mcdrop report` does, without drawing; returns scores and notes."""
    monkeypatch.setattr("mcdrop.cli.report.write", lambda folder, *_, **__: folder.mkdir())

    numbers = itertools.count()

    def run_report(model, data, *options):
        path, output = models / f"{model}.keras", f"out{next(numbers)}"
        status, out, err = run("report", path, data, "-o", output, "--json", *PASSES, *options)
        assert status == 0, err
        notes = [line[14:] for line in err.splitlines() if line.startswith("mcdrop: note: ")]
        return json.loads(out)["evaluation"], notes

    return run_report


@pytest.fixture
def refused(fails, models):
    def run_report(model, data, *options):
        return fails("report", models / f"{model}.keras", data, "-o", "out", *PASSES, *options)

    return run_report


def accuracy(evaluation):
    (found,) = [m for m in evaluation["metrics"] if m["name"] == "accuracy"]
    return found["deterministic"]["value"]


def expected_accuracy(models, table, labels):
    model = keras.models.load_model(models / "classes.keras")
    return float(np.mean(np.argmax(model(table[list("abcd")].to_numpy()), axis=1) == labels))


LABELS = {
    "numbers": (lambda y: y, ()),
    "floats": (lambda y: y.astype(float), ()),
    "nullable": (lambda y: y.astype("Int64"), ()),
    "names": (lambda y: y.map(dict(enumerate(NAMES))), ()),
    "categories": (lambda y: y.map(dict(enumerate(NAMES))).astype("category"), ()),
    "names in another order": (
        lambda y: y.map({0: "z", 1: "m", 2: "a"}),
        ("--class-names", "z,m,a"),
    ),
    "numbers from 1 that have names": (lambda y: y + 1, ("--class-names", "1,2,3")),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_of_every_form_give_the_same_scores(report, models, table, tmp_path, form):
    convert, options = LABELS[form]
    changed = table.assign(label=convert(table.label)).sample(frac=1, random_state=0)
    name = "t.csv" if form in ("names", "numbers from 1 that have names") else "t.parquet"
    getattr(changed, {"t.csv": "to_csv", "t.parquet": "to_parquet"}[name])(tmp_path / name)
    evaluation, notes = report("classes", name, *options)
    assert accuracy(evaluation) == pytest.approx(expected_accuracy(models, table, table.label))
    assert any("index of a pandas table" in note for note in notes)
    assert any("names" in note for note in notes) == ("name" in form or "categories" in form)


def test_the_report_says_how_the_data_were_read(run, models, table, tmp_path):
    table.assign(label=table.label.map(dict(enumerate(NAMES)))).to_csv(tmp_path / "t.csv")
    status, _, err = run("report", models / "classes.keras", "t.csv", "-o", "out", *PASSES)
    assert status == 0, err
    notes = [line[14:] for line in err.splitlines() if line.startswith("mcdrop: note: ")]
    numbers = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert numbers["context"]["readings"] == notes
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "0 ant, 1 bee, 2 cat" in page
    assert "the index of a pandas table" in page


def test_missing_labels_are_told_or_left_out(report, refused, run, models, table, tmp_path):
    missing = [3, 8, 20]
    changed = table.assign(label=table.label.astype(object).where(~table.index.isin(missing), ""))
    changed.to_csv(tmp_path / "t.csv", index=False)
    line = refused("classes", "t.csv")
    assert "t.csv lacks 3 of its 30 labels, in examples 3, 8, 20 (counted from 0)" in line
    evaluation, notes = report("classes", "t.csv", "--drop-missing")
    assert evaluation["num_examples"] == 27
    assert notes == ["3 of 30 examples of t.csv are left out: no label."]
    kept = table.drop(index=missing)
    assert accuracy(evaluation) == pytest.approx(expected_accuracy(models, kept, kept.label))
    model = models / "classes.keras"
    assert run("predict", model, "t.csv", "-o", "p.csv", "--drop-missing", *PASSES)[0] == 0
    assert pd.read_csv(tmp_path / "p.csv").example.tolist() == kept.index.tolist()


def test_some_of_the_examples_keep_their_numbers(run, models, table, tmp_path):
    table.to_csv(tmp_path / "t.csv", index=False)
    for name in ("p.csv", "p.parquet"):
        status, _, err = run(
            "predict", models / "classes.keras", "t.csv", "-o", name, "--limit", 5, *PASSES
        )
        assert status == 0, err
    numbers = pd.read_csv(tmp_path / "p.csv")
    assert numbers.example.tolist() == pd.read_parquet(tmp_path / "p.parquet").example.tolist()
    assert numbers.example.tolist() != list(range(5))
    model = keras.models.load_model(models / "classes.keras")
    chosen = np.asarray(model(table.loc[numbers.example, list("abcd")].to_numpy()))
    assert numbers.deterministic_class.tolist() == chosen.argmax(axis=1).tolist()


def test_a_model_of_text_reads_a_table(report, tmp_path):
    texts = ["good film", "bad, bad film", "NA", "so\nso"] * 3
    frame = pd.DataFrame({"text": texts, "label": ["pos", "neg", "neg", "pos"] * 3})
    frame.to_csv(tmp_path / "t.csv")
    evaluation, notes = report("text", "t.csv")
    assert evaluation["num_examples"] == 12
    assert "0 neg, 1 pos" in notes[-1]
    frame.to_parquet(tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", x=np.array(texts), y=frame.label.to_numpy(str))
    for name in ("t.parquet", "t.npz"):
        again, _ = report("text", name)
        assert again["metrics"] == evaluation["metrics"]


def test_columns_go_to_the_inputs_of_their_names(report, tmp_path):
    frame = pd.DataFrame({"city": ["here", "there"] * 8, "age": range(16), "y": [0, 1] * 8})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert report("mixed", "t.csv")[0]["num_examples"] == 16


def test_several_targets_are_named_by_columns(report, tmp_path, table):
    changed = table.drop(columns="label").assign(t1=table.a, t2=-table.a)
    changed.to_csv(tmp_path / "t.csv", index=False)
    evaluation, _ = report("targets", "t.csv", "--y-key", "t1,t2")
    assert evaluation["task"] == "regression"


def test_pixels_in_columns_are_images(report, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 30))
    frame = pd.DataFrame(pixels, columns=[f"pixel{number}" for number in range(30)])
    frame.insert(0, "label", [0, 1, 2] * 4)
    frame.to_csv(tmp_path / "train.csv", index=False)
    evaluation, notes = report("image", "train.csv", "--scale", "unit")
    assert "read as images of 6x5, row by row" in notes[0]
    np.savez(tmp_path / "t.npz", x=pixels.reshape(-1, 6, 5).astype(np.uint8), y=frame.label)
    again, _ = report("image", "t.npz", "--scale", "unit")
    assert again["metrics"] == evaluation["metrics"]


@pytest.mark.parametrize("source", ["folder", "parquet"])
def test_mixed_images_take_the_shape_of_the_model(report, tmp_path, source):
    rows = []
    for number in range(9):
        size = (5, 6) if source == "parquet" else (5 + number % 2, 6)
        image = Image.new("RGB" if number % 2 else "L", size, 20 * number)
        path = tmp_path / "pets" / NAMES[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": number % 3})
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "pets" / "ant" / "._0.png").write_bytes(b"\0\1")
    data = "pets" if source == "folder" else "t.parquet"
    evaluation, notes = report("image", data, "--scale", "unit")
    assert evaluation["num_examples"] == 9
    if source == "folder":
        assert "4 of 9 images are resized to 6x5 (from 6x6)" in notes[0]
        assert "0 ant, 1 bee, 2 cat" in notes[-1]


def test_a_folder_with_another_number_of_classes_is_told(refused, tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("L", (5, 6)).save(tmp_path / "pictures" / name / "a.png")
    line = refused("image", "pictures", "--scale", "unit")
    assert "they have 2 classes (ant, bee), the model has 3" in line


def test_calibration_data_are_numbered_as_the_test_data(run, models, table, tmp_path):
    words = table.label.map({0: "z", 1: "m", 2: "a"})
    table.assign(label=words).to_csv(tmp_path / "t.csv", index=False)
    table.assign(label=words).sample(frac=1, random_state=1).to_csv(tmp_path / "h.csv", index=False)
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "n.csv", index=False)
    temperatures = []
    for data, options in (("h.csv", ("--class-names", "z,m,a")), ("n.csv", ())):
        test = "t.csv" if data == "h.csv" else "plain.csv"
        table.to_csv(tmp_path / "plain.csv", index=False)
        status, _, err = run(
            *("report", models / "classes.keras", test, "-o", f"out-{data}", *PASSES, *options),
            *("--recalibrate", "temperature", "--calibration-data", data),
        )
        assert status == 0, err
        saved = json.loads((tmp_path / f"out-{data}" / "calibrator.json").read_text())
        temperatures.append(saved)
    assert temperatures[0] == temperatures[1]


def test_keys_count_for_calibration_data_and_where_they_apply_for_other_data(
    run, models, table, tmp_path
):
    renamed = table.rename(columns={"label": "species"})
    renamed.to_csv(tmp_path / "t.csv", index=False)
    renamed[::-1].to_parquet(tmp_path / "h.parquet", index=False)
    columns = table[list("abcd")]
    columns.to_csv(tmp_path / "o.csv", index=False)
    np.save(tmp_path / "h.npy", columns.to_numpy(np.float32)[::-1])
    np.save(tmp_path / "labels.npy", table.label.to_numpy()[::-1])
    temperatures = []
    for number, held_out in enumerate(
        (["h.parquet"], ["h.npy", "--calibration-labels", "labels.npy"])
    ):
        status, _, err = run(
            *("report", models / "classes.keras", "t.csv", "-o", f"out{number}", *PASSES),
            *("--y-key", "species", "--recalibrate", "temperature", "--ood", "o.csv"),
            *("--calibration-data", *held_out),
        )
        assert status == 0, err
        saved = json.loads((tmp_path / f"out{number}" / "calibrator.json").read_text())
        temperatures.append(saved)
    assert temperatures[0] == temperatures[1]


def test_labels_named_in_other_data_are_left_out_and_may_be_missing(run, models, table, tmp_path):
    renamed = table.rename(columns={"label": "species"})
    renamed.to_csv(tmp_path / "t.csv", index=False)
    renamed.assign(species=np.nan).to_csv(tmp_path / "o.csv", index=False)
    status, _, err = run(
        *("report", models / "classes.keras", "t.csv", "-o", "out", *PASSES, "--drop-missing"),
        *("--y-key", "species", "--ood", "o.csv"),
    )
    assert status == 0, err


def test_a_feature_called_like_a_label_is_no_label(refused, table, tmp_path):
    table.rename(columns={"d": "class"}).to_csv(tmp_path / "t.csv", index=False)
    line = refused("classes", "t.csv", "--x-key", "a,b,c,class", "--y-key", "class")
    assert "'class' is named by --x-key and by --y-key" in line
    del table["label"]
    table.rename(columns={"d": "class"}).to_csv(tmp_path / "t.csv", index=False)
    assert "t.csv has no labels" in refused("classes", "t.csv", "--x-key", "a,b,c,class")


@pytest.mark.parametrize(
    ("model", "content", "options", "words"),
    [
        ("classes", "a,b,c,d,species\n1,2,3,4,x\n", (), "column 'species' of t.csv holds text"),
        ("classes", "a,b,c,d,e\n1,2,3,4,5\n", (), "has 5 columns (a, b, c, d, e), but the model"),
        ("classes", "a,b,c,d,y\n1,2,3,4,u\n1,2,3,4,v\n", (), "are 2 names (u, v), but the model"),
        ("classes", "a,b,c,d,y\n1,2,3,4,1\n1,2,3,4,3\n", (), "labels from 1 to 3"),
        ("classes", "a,b,c,d,y\n1,2,3,4,0.5\n1,2,3,4,1\n", (), "holds fractions"),
        ("classes", "a,b,c,d\n1,2,3,4\n", (), "t.csv has no labels. Name them with --y-key"),
        ("classes", "a,b,c,d,y\n1,2,,4,0\n1,2,3,4,1\n", (), "NaN or infinite values, the first in"),
        (
            "regression",
            "a,b,c,d,y\n1,2,3,4,low\n1,2,3,4,5\n",
            (),
            "1 of 2 are text, the first",
        ),
        ("regression", "a,b,c,d,y\n1,2,3,4,5\n1,2,3,4, \n", (), "t.csv lacks 1 of its 2 labels"),
        ("regression", 'a;b;c;d;y\n1;2;3;4;"5,5"\n', (), "--decimal ','"),
        ("text", "text,label\nu,0\n,1\n", (), "missing texts, the first in example 1"),
        ("text", "id,text,label\n1,u,0\n", (), "takes one text, but t.csv has 2 input columns"),
        ("image", "p0,p1,y\n1,2,0\n", (), "2 columns|has shape (1, 2), but the model takes"),
        ("classes", "a,b,c,d,y\n1,2,3,4,0\n", ("--y-key", "z"), "no column 'z'; its columns are a"),
        ("classes", "a;b\n1;2\n", ("--separator", ","), "column 'a;b' of t.csv holds text"),
        ("binary", "a,b,c,d,y\n1,2,3,4,yes\n1,2,3,4,yes\n", (), "are 1 names (yes), but the model"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_told(refused, tmp_path, model, content, options, words):
    (tmp_path / "t.csv").write_text(content)
    line = refused(model, "t.csv", *options)
    assert any(word in line for word in words.split("|"))


@pytest.mark.parametrize("separator", ["ab", "\n"])
def test_a_separator_is_one_character(run, models, separator):
    with pytest.raises(SystemExit) as caught:
        run("report", models / "classes.keras", "t.csv", "-o", "o", "--separator", separator)
    assert caught.value.code == 2
