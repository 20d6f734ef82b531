"""Runs studies and writes what docs/studies shows of them: answers, table, figures, numbers.

`python -m benchmarks.studies [NAME ...]` runs those named, or all, as far as they are not run yet
in `build/studies`; `--collect` only collects what lies there. Figures are those that the page asks
for. MNIST and the UCI tables are read from the folder that MCDROP_DATA names.
"""

import argparse
import os
import re
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

UCI = "--epochs 4000 --samples 10000 --data $MCDROP_DATA/uci"
COMMANDS = {
    "rate": "--data mnist --seeds 3 --train-size 1000 --epochs 20 --samples 10",
    "placement": "--data digits --seeds 3 --epochs 20 --samples 20",
    "kind": "--data digits --seeds 3 --epochs 20 --samples 20",
    "averaging": "--data mnist --seeds 3 --train-size 1000 --test-size 1000 --samples 100",
    "activations": "--data mnist --seeds 3 --train-size 1000 --test-size 1000 --epochs 10",
    "vae": "--data mnist --seeds 3 --train-size 1000 --test-size 100 --epochs 8 --samples 20",
    "concrete": "--seeds 3 --epochs 20",
    "uci/yacht": f"{UCI}/yacht --seeds 10",
    "uci/boston": f"{UCI}/bostonHousing --seeds 5",
    "shift": "--data mnist --seeds 5 --train-size 2000 --test-size 500 --epochs 10 --samples 20",
    "active-learning": "--data digits --seeds 3 --test-size 300 --epochs 2 --samples 10",
    "advice": "--data mnist --seeds 3 --train-size 1000 --test-size 500 --epochs 15 --samples 20",
}
"""What is run: a study, or one of its data sets, "study/name". Most take minutes on two cores."""


def command(name: str) -> list[str]:
    arguments = shlex.split(os.path.expandvars(COMMANDS[name]))
    return ["study", study_of(name), *arguments, "--output", str(BUILD / name)]


def study_of(name: str) -> str:
    return name.split("/")[0]


def run(name: str) -> None:
    resume = ["--resume"] if (BUILD / name / RECORD).exists() else []
    if main([*command(name), *resume]) != 0:
        raise SystemExit(f"The study {name} failed.")


def collect(name: str) -> None:
    source, target = BUILD / name, DOCS / name
    target.mkdir(parents=True, exist_ok=True)
    plan = plan_study(study_of(name), request_of(build_parser().parse_args(command(name))))
    runs = in_order(plan, read_rows(source))
    summary = summarize(runs, plan.references)
    first, *others = answers(plan, runs, summary)
    (target / "answer.txt").write_text(f"{first}\n")
    (target / "others.txt").write_text("".join(f"- {sentence}\n" for sentence in others))
    (target / "table.txt").write_text(markdown(plan, summary))
    told = summary[summary["score"].isin(list(plan.scores))]
    told.to_csv(target / "summary.csv", index=False, float_format="%.6g")
    shutil.copy(source / RECORD, target / RECORD)
    shown = [name for name in runs.columns[4:] if name in plan.scores]
    kept = runs[[*runs.columns[:4], *shown]]
    kept.to_csv(target / RUNS, index=False, float_format="%.6g")
    for slug, settings in groups_of(plan).items():
        draw(plan, runs, summary, target, slug.lower().replace(" ", "-"), settings)
    for picture in linked(name, "png"):
        (target / PICTURES).mkdir(exist_ok=True)
        shutil.copy(source / picture, target / picture)


def draw(plan, runs, summary, target, slug, settings) -> None:
    """Writes the figures of a group of settings that the page of the study shows."""
    compared = [each for each in settings if plan.references[each] != each]
    for figure in linked(str(target.relative_to(DOCS)), "svg"):
        for score in plan.scores:
            if figure == f"{slug}-{score}-differences.svg":
                text = figures.differences(plan, summary, compared, score)
            elif figure == f"{slug}-{score}.svg":
                text = figures.curves(plan, runs, settings, score, legend=True)
            else:
                continue
            (target / figure).write_text(text)


def linked(name: str, kind: str) -> list[str]:
    """Returns what the page of a study shows of a run's files of a kind."""
    page = DOCS / f"{study_of(name)}.md"
    text = page.read_text() if page.exists() else ""
    return re.findall(rf"\]\({re.escape(name)}/([^)]+\.{kind})\)", text)


def markdown(plan, summary) -> str:
    """Returns the table of the spoken scores, with their differences, of the settings with any."""
    titles, rows = table_rows(plan, summary, list(plan.spoken))
    head = ["Setting", *(part for title in titles for part in (title, "Difference"))]
    lines = [head, ["---"] * len(head)]
    lines += [
        [
            setting.replace(", ", " · "),
            *(part for cell in cells for part in (cell["value"], cell["difference"])),
        ]
        for setting, cells in rows
        if any(cell["value"] != "–" for cell in cells)
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
