"""The grammar of the command line: commands, options, help and examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mcdrop
from mcdrop.cli import options as opt
from mcdrop.cli.grammar import Parser
from mcdrop.cli.requirements import requirement
from mcdrop.study.catalog import STUDIES

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")

_DESCRIPTION = """\
Monte Carlo dropout uncertainty for trained Keras models: what the model does not know,
beside its ordinary prediction."""

_EPILOG = """\
examples:
  mcdrop demo
  mcdrop inspect model.keras
  mcdrop report model.keras test.npz --samples 50 --output report

exit status: 0 done, 1 an error told in one line, 2 wrong usage, 3 a requirement is not shown to
hold, 130 interrupted"""


def build_parser() -> Parser:
    """Returns the parser of the whole command line."""
    parser = Parser(
        "mcdrop", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=opt.HelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"mcdrop {mcdrop.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    _add_inspect(commands)
    _add_report(commands)
    _add_predict(commands)
    _add_calibrate(commands)
    _add_compare(commands)
    _add_study(commands)
    _add_export(commands)
    _add_convert(commands)
    _add_demo(commands)
    _add_completion(commands)
    return parser


def _add(commands: Any, name: str, summary: str, example: str) -> Any:
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=opt.HelpFormatter,
    )


def _add_model(parser: Any, **settings: Any) -> None:
    what = "a .keras or whole-model .h5 file"
    opt.add(parser, "model", metavar=opt.MODEL, type=Path, help=what, **settings)
    opt.add_import(parser)


def _add_inspect(commands: Any) -> None:
    parser = _add(
        commands,
        "inspect",
        "list the layers that would sample, and why the others would not",
        "mcdrop inspect model.keras",
    )
    _add_model(parser)
    opt.add_json(parser)
    opt.add_selection(parser)
    opt.add_verbosity(parser)


def _add_report(commands: Any) -> None:
    parser = _add(
        commands,
        "report",
        "sample a model on labelled data and write the uncertainty report",
        "mcdrop report model.keras test.npz --samples 50 --output report",
    )
    _add_model(parser, nargs="?")
    opt.add(
        parser,
        "data",
        metavar=opt.DATA,
        nargs="?",
        help=f"labelled test data: {opt.DATA_HELP}",
    )
    opt.add(
        parser,
        "--predictions",
        metavar=opt.FOLDER,
        type=Path,
        help="in place of MODEL and DATA: a folder of 'mcdrop predict --scorable'; needs --labels",
    )
    opt.add_output(parser, opt.FOLDER, "folder for index.html, report.json, predictions.parquet")
    opt.add(
        parser,
        "--ood",
        metavar=opt.DATA,
        help="data of another kind, to see whether the model notices the difference",
    )
    opt.add(
        parser,
        "--recalibrate",
        choices=opt.CALIBRATORS,
        help="also fit this calibrator on --calibration-data, score the repaired predictions and "
        "save it as calibrator.json",
    )
    opt.add(
        parser,
        "--calibration-data",
        metavar=opt.DATA,
        help="labelled data that served neither training nor DATA; --x-key and --y-key count there "
        "too",
    )
    opt.add(
        parser,
        "--calibration-labels",
        metavar=opt.FILE,
        type=Path,
        help=".npy file with the labels of --calibration-data",
    )
    opt.add(
        parser,
        "--require",
        metavar="METRIC<=NUMBER",
        type=requirement,
        action="append",
        default=[],
        help="exit with status 3 unless the end of the metric's interval keeps this bound (or "
        "METRIC>=NUMBER), as in 'accuracy>=0.9'; may be repeated",
    )
    opt.add_metrics(parser)
    opt.add_class_names(parser)
    opt.add_json(parser)
    opt.add_nonfinite(parser)
    opt.add_sampling(parser)
    opt.add_data(parser)
    opt.add_verbosity(parser)


def _add_predict(commands: Any) -> None:
    parser = _add(
        commands,
        "predict",
        "write predictions with uncertainty, from disk to disk in constant memory",
        "mcdrop predict model.keras images.npy --output predictions.parquet",
    )
    _add_model(parser)
    opt.add(parser, "data", metavar=opt.DATA, help=f"{opt.DATA_HELP}; labels are not needed")
    opt.add_output(
        parser, "PATH", "a .parquet, .csv or .npz file, or a folder of Parquet parts (no suffix)"
    )
    opt.add(parser, "--resume", action="store_true", help="go on with the parts of a folder")
    opt.add(
        parser,
        "--part-size",
        metavar="N",
        type=opt.at_least(1),
        help="examples of a part of a folder (without it: 65536)",
    )
    opt.add(
        parser,
        "--scorable",
        action="store_true",
        help="also write into a folder what 'mcdrop report --predictions' makes scores of",
    )
    opt.add(
        parser,
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where the parts of a folder are made: in this process, or on a Ray cluster",
    )
    opt.add(
        parser,
        "--workers",
        metavar="K",
        type=opt.at_least(1),
        help="workers of --engine ray (without it: one a GPU, or one a machine without GPUs)",
    )
    opt.add(
        parser,
        "--address",
        help="address of the Ray cluster (without it: that of RAY_ADDRESS, or this machine)",
    )
    opt.add(
        parser,
        "--calibration",
        metavar=opt.FILE,
        type=Path,
        help="repair the predictions, or add conformal sets or intervals, by this file of "
        "'mcdrop calibrate'",
    )
    opt.add(
        parser,
        "--abstain-above",
        metavar="THRESHOLD",
        type=opt.not_negative,
        help="add a column 'abstain': whether the predictive entropy of the example (its standard "
        "deviation in a regression) is above this threshold of a report",
    )
    opt.add_json(parser)
    opt.add_nonfinite(parser)
    opt.add_sampling(parser)
    opt.add_data(parser)
    opt.add_verbosity(parser)


def _add_calibrate(commands: Any) -> None:
    parser = _add(
        commands,
        "calibrate",
        "fit on held-out data what repairs or bounds later predictions",
        "mcdrop calibrate model.keras held-out.npz --method temperature --output temperature.json",
    )
    _add_model(parser)
    held_out = "labelled data that served neither training nor any test"
    opt.add(parser, "data", metavar=opt.DATA, help=f"{held_out}: {opt.DATA_HELP}")
    opt.add(
        parser,
        "--method",
        choices=opt.METHODS,
        required=True,
        help="repair of probabilities (temperature, vector, beta, isotonic) or of variances "
        "(variance), or conformal sets of classes or intervals",
    )
    opt.add(
        parser,
        "--level",
        metavar="P",
        type=opt.share,
        default=0.9,
        help="probability with which conformal sets and intervals hold the truth",
    )
    opt.add_output(parser, opt.FILE, "a .json file for mcdrop predict --calibration")
    opt.add_class_names(parser)
    opt.add_json(parser)
    opt.add_sampling(parser)
    opt.add_data(parser)
    opt.add_verbosity(parser)


def _add_compare(commands: Any) -> None:
    parser = _add(
        commands,
        "compare",
        "compare several models on the same labelled data in one report",
        "mcdrop compare a.keras b.keras test.npz --output comparison",
    )
    opt.add(
        parser,
        "models",
        metavar=opt.MODEL,
        type=Path,
        nargs="+",
        help="two or more model files; of one without dropout the ordinary prediction is compared",
    )
    opt.add(parser, "data", metavar=opt.DATA, help=f"labelled data, named last: {opt.DATA_HELP}")
    opt.add_import(parser)
    opt.add_output(parser, opt.FOLDER, "folder for index.html and report.json")
    opt.add_metrics(parser)
    opt.add_class_names(parser)
    opt.add_json(parser)
    opt.add_nonfinite(parser)
    opt.add_sampling(parser)
    opt.add_data(parser)
    opt.add_verbosity(parser)


def _add_study(commands: Any) -> None:
    parser = _add(
        commands,
        "study",
        "train small networks with and without dropout over several seeds, and answer a question",
        "mcdrop study rate --data digits --seeds 5 --output study",
    )
    width = max(map(len, STUDIES)) + 2
    questions = "\n".join(f"  {name:<{width}}{question}" for name, question in STUDIES.items())
    parser.epilog = f"studies, each with what it asks:\n{questions}\n\n{parser.epilog}"
    parser.add_argument("name", metavar="NAME", choices=tuple(STUDIES), help="one of those below")
    opt.add(
        parser,
        "--output",
        "-o",
        metavar=opt.FOLDER,
        type=Path,
        required=True,
        help=("folder for index.html, runs.csv, runs.parquet and study.json"),
    )
    opt.add(
        parser,
        "--data",
        metavar="NAME",
        default="digits",
        help=("images by name: digits, mnist, fashion_mnist, cifar10"),
    )
    opt.add(parser, "--seeds", type=opt.at_least(1), default=5, help="runs of each setting")
    opt.add(parser, "--epochs", type=opt.at_least(1), default=20, help="passes over the data")
    opt.add(parser, "--train-size", type=opt.at_least(2), help="train on so many examples only")
    opt.add(parser, "--test-size", type=opt.at_least(2), help="test on so many examples only")
    opt.add(parser, "--samples", type=opt.at_least(2), default=50, help="Monte Carlo passes")
    opt.add(parser, "--resume", action="store_true", help="go on with the study in the folder")
    opt.add_json(parser)
    opt.add_verbosity(parser)


def _add_export(commands: Any) -> None:
    parser = _add(
        commands,
        "export",
        "write a SavedModel for TF Serving that returns mean, variance and uncertainty",
        "mcdrop export model.keras --output serving",
    )
    _add_model(parser)
    opt.add_output(parser, opt.FOLDER, "folder for the SavedModel")
    opt.add_json(parser)
    opt.add_passes(opt.add_selection(parser))
    opt.add_verbosity(parser)


def _add_convert(commands: Any) -> None:
    parser = _add(
        commands,
        "convert",
        "write a model file of Keras 2 as one of Keras 3, and say what was understood",
        "mcdrop convert old.h5 new.keras",
    )
    opt.add(parser, "model", metavar="OLD", type=Path, help="an .h5 or .keras file of Keras 2")
    opt.add(parser, "output", metavar="NEW", type=Path, help="the .keras file to write")
    opt.add(parser, "--force", action="store_true", help="replace an output that exists")
    opt.add_import(parser)
    opt.add_json(parser)
    opt.add_verbosity(parser)


def _add_demo(commands: Any) -> None:
    parser = _add(
        commands,
        "demo",
        "train a small CNN on real digit images and write its uncertainty report",
        "mcdrop demo --output report",
    )
    opt.add_output(parser, opt.FOLDER, "folder for the report and the model", Path("report"))
    opt.add_passes(parser, "training and masks")
    opt.add_json(parser)
    opt.add_verbosity(parser)


def _add_completion(commands: Any) -> None:
    parser = _add(
        commands,
        "completion",
        "print the script that completes mcdrop commands in a shell",
        "mcdrop completion bash > ~/.local/share/bash-completion/completions/mcdrop",
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")
