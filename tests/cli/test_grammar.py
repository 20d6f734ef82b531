"""Options that people guess are answered with those that were meant, in two lines."""

import pytest

from mcdrop.cli.grammar import _GUESSES
from mcdrop.cli.parser import build_parser

REPORT = "usage: mcdrop report MODEL DATA --output DIR [options]\nmcdrop report: error: "


@pytest.fixture
def usage(capsys):
    """Parses a command line that is wrong; returns what is told."""

    def parse(line):
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args(line.split())
        assert stop.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 2
        return err

    return parse


@pytest.mark.parametrize(
    ("guess", "meant"),
    [
        ("--num-samples 50", "--samples"),
        ("--num_samples 50", "--samples"),
        ("--n-samples=50", "--samples"),
        ("--passes 50", "--samples"),
        ("-T 50", "--samples"),
        ("--T 50", "--samples"),
        ("--sample 50", "--samples"),
        ("--batchsize 8", "--batch-size"),
        ("--batch_size 8", "--batch-size"),
        ("--out r", "--output"),
        ("--outdir r", "--output"),
        ("--overwrite", "--force"),
        ("--random-state 1", "--seed"),
        ("--targets y", "--y-key"),
        ("--classnames a,b", "--class-names"),
        ("--imagesize 8x8", "--image-size"),
        ("--sclae unit", "--scale"),
        ("--calibration_data d", "--calibration-data"),
    ],
)
@pytest.mark.parametrize("place", ["report m d {}", "report m d -o r {}", "report {} m d -o r"])
def test_a_guess_is_answered_with_the_option_that_was_meant(usage, guess, meant, place):
    name = guess.split("=")[0].split()[0]
    expected = f"{REPORT}unknown option {name}; did you mean {meant}?\n"
    assert usage(place.format(guess)) == expected


@pytest.mark.parametrize("name", ["model", "data"])
def test_arguments_that_have_a_place_are_told(usage, name):
    assert f"unknown option --{name}; {name.upper()} is given without one: mcdrop report" in usage(
        f"report --{name} x y -o r"
    )


def test_an_option_that_is_like_none_is_told_where_the_list_is(usage):
    assert usage("report m d --zzz") == f"{REPORT}unknown option --zzz; mcdrop report --help " + (
        "lists all options.\n"
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "the following arguments are required: command"),
        ("reprot m d", "'reprot' is unknown; did you mean 'report'?"),
        ("inspect m --masks shard", "'shard' is unknown; did you mean 'shared'?"),
        ("inspect m --task x", "'x' is unknown. Choose from classification"),
        ("report m d extra -o r", "unexpected argument: extra"),
        ("--fast report", "mcdrop: error: unknown option --fast"),
        ("report m d -o r --model x", "MODEL is given without one"),
        ("predict m -o r", "the following arguments are required: DATA"),
        ("report m d -o", "argument -o/--output: expected one argument"),
    ],
)
def test_other_wrong_usage_is_two_lines_too(usage, line, words):
    assert words in usage(line)


def test_joined_short_options_and_negative_numbers_are_no_unknown_options():
    options = build_parser().parse_args(["predict", "m", "d", "-qop.csv", "--seed", "-1"])
    assert (options.quiet, str(options.output), options.seed) == (True, "p.csv", -1)


def test_every_guess_is_for_an_option_that_exists_and_is_none_itself():
    commands = build_parser()._subparsers._group_actions[0].choices.values()
    known = {option for command in commands for option in command._option_string_actions}
    assert set(_GUESSES) <= known
    assert not {f"--{guess}" for words in _GUESSES.values() for guess in words.split()} & known
