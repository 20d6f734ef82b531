"""What names hold never steers the terminal, and streams that are closed are no defect."""

import io
import os
import subprocess
import sys

import pytest

from mcdrop.cli import main
from mcdrop.cli.printing import printable, write


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße 漢字 \U0001f600", "Grüße 漢字 \U0001f600"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9b31mb", "a\\x9b31mb"),
        ("\x07\x08\r\x7f", "\\x07\\x08\\r\\x7f"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("caf\udce9", "caf\\udce9"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_what_steers_a_terminal_becomes_an_escape(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_takes_every_text(encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    write(stream, "é漢")
    stream.flush()
    shown = stream.buffer.getvalue().decode(encoding)
    assert shown == {"ascii": "\\xe9\\u6f22", "latin-1": "é\\u6f22", "utf-8": "é漢"}[encoding]


def test_names_in_errors_warnings_and_results_are_shown_harmlessly(run, shelf, tmp_path):
    name = "evil\x1b]0;title\x07.keras"
    assert run("inspect", name)[2].startswith("mcdrop: error: evil\\x1b]0;title\\x07.keras does")
    (tmp_path / name).write_bytes((shelf / "model.keras").read_bytes())
    np_data = (shelf / "data.npz").read_bytes()
    (tmp_path / "\x1b[2J.npz").write_bytes(np_data)
    status, out, err = run("predict", name, "\x1b[2J.npz", "-o", "\x1b[31m.csv", "--samples", 2)
    assert status == 0, err
    assert "\x1b" not in out + err
    assert "\\x1b[31m.csv" in out
    with pytest.raises(SystemExit):
        main(["inspect", "m", "--\x1b[31m"])


@pytest.mark.parametrize("argument", ["caf\udce9.keras", "a\0b"])
@pytest.mark.parametrize("place", ["{} d.npz -o r", "m d -o r --class-names {}", "m {} -o r"])
def test_arguments_that_no_file_could_hold_are_told(run, argument, place):
    status, out, err = run("report", *(place.replace("{}", argument).split(" ")))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert ascii(argument) in err


def shell(command):
    line = command.replace("mcdrop", f"{sys.executable} -m mcdrop")
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "completion bash"])
def test_an_output_that_is_full_is_one_line(arguments):
    done = shell(f"mcdrop {arguments} > /dev/full")
    expected = "mcdrop: error: Standard output cannot be written: no space left on device.\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("mcdrop completion bash >&-", 0),
        ("mcdrop completion bash >&- 2>&- <&-", 0),
        ("mcdrop inspect none.keras 2>&-", 1),
        ("mcdrop --help | head -1; exit ${PIPESTATUS[0]}", 0),
        ("mcdrop inspect none.keras 2> >(true)", 1),
        ("PYTHONIOENCODING=ascii mcdrop inspect é.keras", 1),
        ("LC_ALL=C mcdrop inspect é.keras", 1),
    ],
)
def test_closed_streams_and_other_encodings_are_no_defect(command, status):
    done = shell(command)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
