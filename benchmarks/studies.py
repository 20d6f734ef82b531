"""Runs studies and writes what docs/studies shows of them: answers, table, figures, numbers.

`python -m benchmarks.studies [NAME ...]` runs those named, or all, as far as they are not run yet
in `build/studies`; `--collect` only collects what lies there.
"""

import argparse
import shlex
import shutil
from pathlib import Path

from mcdrop.cli import main
from mcdrop.cli.parser import build_parser
from mcdrop.cli.study import request_of
from mcdrop.study import figures
from mcdrop.study.answers import answers
from mcdrop.study.catalog import plan_study
from mcdrop.study.page import groups_of, table_rows
from mcdrop.study.paired import summarize
from mcdrop.study.running import in_order
from mcdrop.study.runs import PICTURES, RECORD, RUNS, read_rows

DOCS = Path(__file__).parent.parent / "docs" / "studies"
BUILD = Path("build") / "studies"

MNIST = "--data mnist --seeds 3 --train-size 1000 --test-size 1000"
DIGITS = "--data digits --seeds 3 --epochs 20 --samples 20"
COMMANDS = {
    "rate": f"{MNIST} --epochs 12 --samples 20",
    "placement": DIGITS,
    "kind": DIGITS,
    "averaging": f"{MNIST} --samples 100",
    "activations": f"{MNIST} --epochs 10",
    "vae": "--data mnist --seeds 3 --train-size 2000 --test-size 300 --epochs 15 --samples 20",
    "concrete": "--seeds 3 --epochs 20",
}
"""What is run: minutes on two cores each. The page of `rate` shows an earlier run by hand."""


def command(name: str) -> list[str]:
    return ["study", name, *shlex.split(COMMANDS[name]), "--output", str(BUILD / name)]


def run(name: str) -> None:
    resume = ["--resume"] if (BUILD / name / RECORD).exists() else []
    if main([*command(name), *resume]) != 0:
        raise SystemExit(f"The study {name} failed.")


def collect(name: str) -> None:
    source, target = BUILD / name, DOCS / name
    target.mkdir(parents=True, exist_ok=True)
    plan = plan_study(name, request_of(build_parser().parse_args(command(name))))
    runs = in_order(plan, read_rows(source))
    summary = summarize(runs, plan.references)
    first, *others = answers(plan, runs, summary)
    (target / "answer.txt").write_text(f"{first}\n")
    (target / "others.txt").write_text("".join(f"- {sentence}\n" for sentence in others))
    (target / "table.txt").write_text(markdown(plan, summary))
    summary.round(6).to_csv(target / "summary.csv", index=False)
    shutil.copy(source / RECORD, target / RECORD)
    shown = [name for name in runs.columns[4:] if name in plan.scores]
    runs[[*runs.columns[:4], *shown]].round(6).to_csv(target / RUNS, index=False)
    for group, settings in groups_of(plan).items():
        slug = group.lower().replace(" ", "-")
        compared = [each for each in settings if plan.references[each] != each]
        if compared and not plan.logarithmic:
            text = figures.differences(plan, summary, compared, plan.spoken[0])
            (target / f"{slug}-differences.svg").write_text(text)
        text = figures.curves(plan, runs, settings, plan.drawn[0], legend=True)
        (target / f"{slug}-curves.svg").write_text(text)
    if (source / PICTURES).is_dir():
        shutil.copytree(source / PICTURES, target / PICTURES, dirs_exist_ok=True)


def markdown(plan, summary) -> str:
    """Returns the table of the spoken scores, with their differences."""
    titles, rows = table_rows(plan, summary, list(plan.spoken))
    head = ["Setting", *(part for title in titles for part in (title, "Difference"))]
    lines = [head, ["---"] * len(head)]
    lines += [
        [
            setting.replace(", ", " · "),
            *(part for cell in cells for part in (cell["value"], cell["difference"])),
        ]
        for setting, cells in rows
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(COMMANDS))
    parser.add_argument("--collect", action="store_true")
    options = parser.parse_args()
    for each in options.names:
        if not options.collect:
            run(each)
        collect(each)
