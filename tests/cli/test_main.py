"""The frame around the commands: usage, help, start-up, failures, interruption."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import mcdrop
from mcdrop.cli import main
from mcdrop.cli.parser import build_parser

COMMANDS = (
    *("inspect", "report", "predict", "calibrate", "compare"),
    *("convert", "study", "export", "demo", "completion"),
)


@pytest.fixture
def failing(monkeypatch):
    """Makes `mcdrop inspect m` raise an error."""

    def fail_with(error):
        def run(options, terminal):
            raise error

        monkeypatch.setattr("mcdrop.cli.inspect.run", run)

    return fail_with


def command_parsers():
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    return commands.choices


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["inspect"],
        ["report", "m", "d"],
        ["report", "m", "d", "-o", "x", "--samples", "many"],
        ["report", "m", "d", "-o", "x", "--masks", "own"],
        ["report", "m", "d", "-o", "x", "--layers", "a,,b"],
        ["predict", "m", "d", "-o", "x", "--image-size", "12"],
        ["predict", "m", "d", "-o", "x", "--image-size", "0x9"],
        ["predict", "m", "d", "-o", "x", "--limit", "0"],
        ["predict", "m", "d", "-o", "x", "--tolerance", "0"],
        ["inspect", "m", "--quiet", "--verbose"],
    ],
)
def test_wrong_usage_exits_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: mcdrop")


def test_the_commands_are_those_of_the_contract():
    assert set(command_parsers()) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example_that_parses(command):
    parser = command_parsers()[command]
    example = parser.epilog.split("mcdrop ", 1)[1].split(" > ")[0]
    assert build_parser().parse_args(example.split()).command == command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help_that_shows_its_default(command):
    for action in command_parsers()[command]._actions:
        assert action.help
        shown = re.search(r"\(default: (.*)\)", action.help)
        if shown:
            assert shown[1] == str(action.default)
        else:
            assert action.default in (None, False, [], "==SUPPRESS==")


def test_every_option_is_in_the_documentation(request):
    page = (request.config.rootpath / "docs" / "command-line.md").read_text(encoding="utf-8")
    for command, parser in command_parsers().items():
        assert f"## `mcdrop {command}" in page
        for action in parser._actions:
            for flag in action.option_strings:
                assert f"`{flag}" in page or flag in ("-h", "--help")


def test_the_choices_are_those_of_the_library():
    from mcdrop.cli import options
    from mcdrop.loading import matching
    from mcdrop.prediction import TASKS
    from mcdrop.recalibrate import calibrations

    assert options.TASKS == TASKS
    assert tuple(matching.SCALES) == options.SCALES
    assert set(options.CALIBRATORS) == {*calibrations.CLASS_CALIBRATORS, "variance"}
    assert set(options.METHODS) == {*options.CALIBRATORS, *calibrations.CONFORMAL}


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"mcdrop {mcdrop.__version__}\n"


def test_errors_of_the_system_are_one_line(failing, run):
    failing(PermissionError(13, "Permission denied", "secret.npz"))
    assert run("inspect", "m") == (1, "", "mcdrop: error: secret.npz: permission denied.\n")


def test_lack_of_memory_says_what_to_lower(failing, run):
    failing(MemoryError())
    status, _, err = run("inspect", "m")
    assert status == 1
    assert "lower --batch-size" in err


def test_several_lines_of_an_error_become_one(failing, run):
    failing(mcdrop.DataError("one\n  two."))
    assert run("inspect", "m")[2] == "mcdrop: error: one two.\n"


@pytest.mark.parametrize("error", [KeyError("x"), OSError("raised by a package")])
def test_defects_keep_their_traceback(failing, error):
    failing(error)
    with pytest.raises(type(error)):
        main(["inspect", "m"])


def test_verbose_adds_the_traceback_to_an_error(failing, run):
    failing(mcdrop.DataError("wrong."))
    status, _, err = run("inspect", "m", "--verbose")
    assert status == 1
    assert "Traceback" in err
    assert err.endswith("mcdrop: error: wrong.\n")


def test_an_interruption_has_a_status_of_its_own(failing, run):
    failing(KeyboardInterrupt())
    assert run("inspect", "m") == (130, "", "mcdrop: error: interrupted; nothing was written.\n")


def test_an_interruption_tells_what_is_kept(failing, run):
    stop = KeyboardInterrupt()
    stop.add_note("2 finished runs are kept in s, go on with --resume")
    failing(stop)
    assert "interrupted; 2 finished runs are kept in s" in run("inspect", "m")[2]


def test_warnings_of_mcdrop_are_lines_and_those_of_others_are_silent(monkeypatch, run):
    import warnings

    def warn(options, terminal):
        warnings.warn("half\nknown", mcdrop.errors.ModelWarning, stacklevel=1)
        warnings.warn("noise", UserWarning, stacklevel=1)

    monkeypatch.setattr("mcdrop.cli.inspect.run", warn)
    assert run("inspect", "m") == (0, "", "mcdrop: warning: half known\n")
    assert run("inspect", "m", "--quiet") == (0, "", "")
    assert "noise" in run("inspect", "m", "--verbose")[2]


def start(*arguments, **settings):
    command = [sys.executable, "-m", "mcdrop", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings
    )


def test_a_closed_pipe_is_no_error(tmp_path):
    command = f"{sys.executable} -m mcdrop completion bash | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)  # noqa: S602
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_messages_of_tensorflow_stay_away_and_results_stay_clean(shelf):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")}
    process = start("inspect", shelf / "model.keras", "--json", env=environment)
    out, err = process.communicate()
    assert err == ""
    assert out.startswith("{")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "kill", "closed terminal"],
)
def test_a_signal_while_predicting_leaves_nothing_half_written(shelf, tmp_path, number, status):
    np.save(tmp_path / "large.npy", np.zeros((500_000, 4, 4), np.float32))
    process = start(
        *("predict", shelf / "model.keras", "large.npy", "--output", "p.npz"),
        *("--samples", 50, "--batch-size", 100),
        cwd=tmp_path,
        # A test run in the background ignores these, and hands that on.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".p.npz.mcdrop/*.npy")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == status
    assert re.fullmatch(r"mcdrop: error: (interrupted|terminated); nothing was written\.\n", err)
    assert [path.name for path in tmp_path.iterdir()] == ["large.npy"]
