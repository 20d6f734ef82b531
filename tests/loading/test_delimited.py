"""Text tables as people write them: each is read as pandas reads it, or asked about."""

import gzip

import numpy as np
import pandas as pd
import pytest

from mcdrop.errors import DataError
from mcdrop.loading import DataOptions, TextOptions, delimited, open_data


@pytest.fixture
def saved(tmp_path):
    """Writes a text table and returns its path."""

    def save(content, name="t.csv", encoding="utf-8"):
        data = content if isinstance(content, bytes) else content.encode(encoding)
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    return save


TABLES = {
    "plain": "a,b,y\n1,2.5,0\n3,4,1\n",
    "windows line ends": "a,b,y\r\n1,2.5,0\r\n3,4,1\r\n",
    "no line end at the end": "a,b,y\n1,2.5,0\n3,4,1",
    "empty lines": "a,b,y\n1,2.5,0\n\n3,4,1\n\n",
    "quoted": '"a","b","y"\n"1","2.5","0"\n"3","4","1"\n',
    "spaces": "a,b,y\n 1, 2.5 ,0\n3,4,1\n",
    "exponents": "a,b,y\n1,25e-1,0\n3,+4,1\n",
    "separated by semicolons": "a;b;y\n1;2.5;0\n3;4;1\n",
    "separated by tabs": "a\tb\ty\n1\t2.5\t0\n3\t4\t1\n",
    "separated by bars": "a|b|y\n1|2.5|0\n3|4|1\n",
    "empty lines above": "\n\n\na,b,y\n1,2.5,0\n3,4,1\n",
    "a separator at each end": "a,b,y,,\n1,2.5,0,,\n3,4,1,,\n",
    "index": ",a,b,y\n0,1,2.5,0\n1,3,4,1\n",
    "index saved twice": "Unnamed: 0.1,Unnamed: 0,a,b,y\n7,0,1,2.5,0\n8,1,3,4,1\n",
    "index of two levels": ",,a,b,y\n0,u,1,2.5,0\n0,v,3,4,1\n",
    "separated by semicolons, with commas in a header": '"a, m";b;y\n1;2.5;0\n3;4;1\n',
}


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "t.csv"), ("utf-8-sig", "t.CSV"), ("utf-16", "t.txt"), ("utf-8", "t.tsv.gz")],
)
def test_every_form_of_one_table_is_the_same_data(saved, form, encoding, name):
    content = TABLES[form].encode(encoding)
    data = open_data(saved(gzip.compress(content) if name.endswith("gz") else content, name))
    np.testing.assert_array_equal(data.x(), [[1, 2.5], [3, 4]])
    np.testing.assert_array_equal(data.y(), [0, 1])
    told = " ".join(data.readings)
    assert ("separated by" in told) == form.startswith("separated by")
    assert ("index of a pandas table" in told) == form.startswith("index")
    assert ("Unnamed: 3, Unnamed: 4" in told) == form.startswith("a separator")


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("index", [True, False])
def test_what_pandas_wrote_is_what_pandas_reads(tmp_path, decimal, index):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(50, 3)), columns=["a", "b", "c"])
    frame["y"] = generator.integers(0, 9, 50)
    path = tmp_path / "t.csv"
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled.to_csv(path, sep=";", decimal=decimal, index=index)
    text = TextOptions(decimal=decimal)
    data = open_data(str(path), DataOptions(text=text))
    read = pd.read_csv(path, sep=";", decimal=decimal, index_col=0 if index else None)
    # Older versions of pandas round the last digit otherwise.
    np.testing.assert_allclose(data.x(), read[["a", "b", "c"]].to_numpy(), rtol=1e-13)
    np.testing.assert_array_equal(data.y(), read["y"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["0"] * 300 + ["1.5"], [0.0] * 300 + [1.5]),
        (["1", "", "3"], [1.0, np.nan, 3.0]),
        (["1", "NA", "3"], [1.0, np.nan, 3.0]),
        (["True", "false", "TRUE"], [True, False, True]),
        (["true", "", "false"], [1.0, np.nan, 0.0]),
        (["9007199254740993"], [9007199254740993]),
    ],
)
def test_the_type_of_a_column_is_that_of_all_of_it(saved, column, expected, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 64)
    content = "\n".join(["b,a", *(f"0,{value}" for value in column)])
    rows = open_data(saved(content), DataOptions(x_key="a")).inputs["x"]
    blocks = list(rows.blocks(2))
    assert {block.dtype for block in blocks} == {rows.dtype}
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    assert rows.dtype == np.array(expected).dtype


def test_quoted_text_keeps_its_commas_lines_and_quotes(saved):
    texts = ["good, really", "two\nlines", 'she said "no"', "NA", "007", "é"]
    frame = pd.DataFrame({"text": texts, "label": range(6)})
    data = open_data(saved(frame.to_csv(index=False)), DataOptions(x_key="text"))
    assert data.x().tolist() == [*texts[:3], None, *texts[4:]]  # as pandas reads NA
    np.testing.assert_array_equal(data.y(), range(6))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "is empty"),
        ("a,b\n", {}, "is empty"),
        ("a,b\n1,2\n1,2,3\n", {}, "Expected 2 columns, got 3"),
        ("a,b,a\n1,2,3\n", {}, r"2 columns named 'a'; its columns are a, b, a"),
        ("5.1,3.5,0\n4.9,3.0,0\n", {}, r"lack the names of its columns: .*5\.1, 3\.5, 0"),
        ("5.1,3.5,cat\n4.9,3.0,dog\n", {}, r"lack the names of its columns: .*5\.1, 3\.5, cat"),
        ("a,b;c\n1,2;3\n", {}, r"separated by commas or semicolons.*--separator ','"),
        (
            "größe,y\n1,0\n".encode("latin-1"),
            {},
            r"^\S+ is not written in UTF-8.*0xf6.*--encoding cp1252",
        ),
        ("a,y\n1,0\n", {"encoding": "klingon"}, "'klingon', which is no encoding of text"),
        *(
            ("a,y\n1,0\n", {"encoding": name}, f"'{name}', which is no encoding of text")
            for name in ("hex", "rot13", "base64", "zip")
        ),
        ("a,y\n1,0\n", {"encoding": "utf-16"}, r"not written in utf-16 .*another encoding"),
        ("ä,y\n1,0\n", {"encoding": "ascii"}, r"not written in ascii .*another encoding"),
        ("a;b\n1,5;2\n2,5;3\n", {}, r"column 'a' .* holds text \('1,5'\).*--decimal ','"),
        ('a,b\n"1,234",2\n', {}, r"holds text \('1,234'\).*without it"),
        ("a;b\n1.234,5;2\n", {"decimal": ","}, r"holds text \('1\.234,5'\)"),
        ("a,b\n1,2\n3,oops\n", {}, r"column 'b' .* holds text \('oops'\)"),
        ("a,b\n0x1F,2\n", {}, r"holds text \('0x1F'\)"),
        ("a,b\n2020-01-01,2\n", {}, r"holds text \('2020-01-01'\)"),
        (b"\x1f\x8b\x00\x00", {}, "cannot be read as a table of text|not written in UTF-8"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_asked_about(saved, content, options, message):
    with pytest.raises(DataError, match=message) as caught:
        open_data(saved(content), DataOptions(text=TextOptions(**options))).x()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("a,b;c\n1,2;3\n", {"separator": ","}),
        ("größe,b\n1,2\n".encode("latin-1"), {"encoding": "latin-1"}),
        ("a;b\n1,5;2\n", {"decimal": ","}),
    ],
)
def test_an_answer_is_taken(saved, content, options):
    names = {"x_key": "a"} if options == {"separator": ","} else {}
    data = open_data(saved(content), DataOptions(**names, text=TextOptions(**options)))
    assert len(data.x()) == 1


def test_a_line_of_rising_numbers_is_taken_for_names_and_told(saved):
    assert "was read as the names" in open_data(saved("400.5,401\n1,2\n")).readings[0]
    assert open_data(saved("0,1,2\n1,2,3\n")).readings == ()  # the names that pandas gives


def test_a_word_is_missing_unless_a_class_is_called_so(saved):
    path = saved("a,y\n1,None\n2,some\n")
    with pytest.raises(DataError, match="lacks 1 of its 2 labels, in example 0"):
        open_data(path).y()
    named = open_data(path, DataOptions(class_names=("None", "some")))
    assert named.y().tolist() == ["None", "some"]


def test_memory_does_not_grow_with_the_table(saved, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 1000)
    data = open_data(saved("a,b\n" + "1,2\n" * 5000))
    blocks = list(data.blocks(100))
    assert max(map(len, blocks)) <= 100
    assert sum(map(len, blocks)) == 5000
