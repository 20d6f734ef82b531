"""The documentation: complete, linked, and every example in it runs."""

import argparse
import ast
import doctest
import inspect
import pydoc
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

import mcdrop
from mcdrop import demo
from mcdrop.cli import main
from mcdrop.cli.parser import build_parser
from mcdrop.evaluation.class_measures import CLASS_MEASURES
from mcdrop.evaluation.regression_measures import REGRESSION_MEASURES
from mcdrop.loading import load_named

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"<!-- needs: (\w+) -->\n\Z")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\]\(([^)\s]+)\)")
EMBEDDING = {"audio", "embed", "iframe", "img", "link", "object", "script", "source", "video"}


def each_page(pages):
    return pytest.mark.parametrize("page", pages, ids=[str(p.relative_to(ROOT)) for p in pages])


def blocks(page, *languages):
    """Returns (number of lines before it, language, code) of the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        needed = NEEDS.search(text[: match.start()])
        if match[1] in languages and (needed is None or find_spec(needed[1])):
            found.append((text[: match.start(2)].count("\n"), match[1], match[2]))
    return found


def run_page(page):
    """Runs the code of a page in one namespace, as a reader would who copies all of it."""
    keras.utils.clear_session()  # layers are numbered from the start, as for a reader
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    names = {"__name__": "__main__"}
    for line, language, code in blocks(page, "python", "pycon"):
        if language == "python":
            exec(compile("\n" * line + code, str(page), "exec"), names)  # noqa: S102
            continue
        session = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line)
        failures = []
        doctest.DocTestRunner(optionflags=flags, verbose=False).run(
            session, out=failures.append, clear_globs=False
        )
        assert not failures, "".join(failures)
        names = session.globs


def headings(page):
    """Returns the anchors of a page's headings, as the site and code hosts both make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder with the files that pages speak of: a report, a model and test data."""
    folder = tmp_path_factory.mktemp("shelf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "NUM_EPOCHS", 4)
        patch.chdir(folder)
        assert main(["demo", "--samples", "8", "--quiet"]) == 0
    shutil.copy(folder / "report" / "digits.keras", folder / "model.keras")
    digits = load_named("digits")
    np.savez(folder / "test.npz", x_test=digits.x, y_test=digits.y)
    return folder


@each_page([page for page in PAGES if blocks(page, "python", "pycon")])
def test_the_examples_of_a_page_run(page, shelf, tmp_path, monkeypatch):
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    # The pages are the same on every machine, those without instructions for bfloat16 too.
    monkeypatch.setattr("mcdrop.engine.processor.has_bfloat16", lambda: True)
    run_page(page)


def test_an_output_that_differs_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```pycon\n>>> x + 1\n3\n```\n")
    with pytest.raises(AssertionError, match=r"line 6, in page\.md"):
        run_page(page)


@each_page([page for page in PAGES if blocks(page, "", "sh")])
def test_the_commands_of_a_page_are_understood(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for _, _, code in blocks(page, "", "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line.split(" > ")[0], comments=True)
            if words[:1] == ["make"]:
                assert set(words[1:]) <= targets
            if words[:1] == ["mcdrop"]:
                build_parser().parse_args(words[1:])


@each_page(PAGES)
def test_the_links_of_a_page_lead_somewhere(page):
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in LINK.findall(text):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        if not re.match(r"[a-z]+:", target):
            assert linked.exists(), f"{target}: there is no such file"
            assert not anchor or anchor in headings(linked), f"{target}: there is no such heading"


def test_every_page_is_in_the_navigation():
    listed = re.findall(r"[\w/-]+\.md", (ROOT / ".mkdocs.yml").read_text())
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def public_names():
    """Returns the full name of every public function and class."""
    found = [f"mcdrop.{name}" for name in mcdrop.__all__]
    for module in (*filter(inspect.ismodule, map(pydoc.locate, found)), mcdrop.loading):
        own = [name for name, value in vars(module).items() if is_defined_in(value, module)]
        found += [f"{module.__name__}.{name}" for name in getattr(module, "__all__", own)]
    return [name for name in found if not inspect.ismodule(pydoc.locate(name))]


def is_defined_in(value, module):
    is_public = (inspect.isfunction(value) or inspect.isclass(value)) and value.__name__[0] != "_"
    return is_public and value.__module__ == module.__name__


def reference():
    """Returns the names of what the reference pages take from the docstrings."""
    pages = sorted((DOCS / "api").glob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", public_names())
def test_a_public_name_is_in_the_reference(name):
    value = pydoc.locate(name)
    home = value.__module__
    places = {name, name.rpartition(".")[0], home, f"{home}.{value.__name__}"} - {"mcdrop"}
    assert places & reference()
    assert inspect.getdoc(value)


def is_there(name):
    """Returns whether a public name is defined; a module that needs an extra is read as text."""
    try:
        return pydoc.locate(name) is not None
    except pydoc.ErrorDuringImport:
        module, _, attribute = name.rpartition(".")
        text = Path(find_spec(module).origin).read_text(encoding="utf-8")
        return attribute in [getattr(node, "name", "") for node in ast.parse(text).body]


def test_the_reference_names_nothing_that_is_gone():
    assert [name for name in reference() if not is_there(name)] == []


def test_every_metric_is_in_the_table():
    table = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert [n for n in mcdrop.metrics.__all__ if not re.search(rf"`{n}\b", table)] == []


def test_every_metric_of_evaluate_is_explained():
    text = (DOCS / "api" / "evaluation.md").read_text(encoding="utf-8")
    measures = (*CLASS_MEASURES, *REGRESSION_MEASURES)
    assert [measure.name for measure in measures if f"`{measure.name}`" not in text] == []
    bold = set(re.findall(r"\*\*`(\w+)`\*\*", text))
    assert bold == {measure.name for measure in measures if measure.is_default}


def commands():
    (choices,) = (
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return choices


@pytest.mark.parametrize("command", sorted(commands()))
def test_a_command_and_its_options_are_documented(command):
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert f"\n## `mcdrop {command}" in text
    flags = [flag for action in commands()[command]._actions for flag in action.option_strings]
    long = [flag for flag in flags if flag.startswith("--") and flag != "--help"]
    assert [flag for flag in long if not re.search(rf"`{flag}\b", text)] == []


class Embedded(HTMLParser):
    """Collects what a page makes a browser load."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attributes):
        if tag in EMBEDDING:
            found = (dict(attributes).get(name) for name in ("src", "href", "data", "poster"))
            self.addresses += filter(None, found)


@pytest.mark.skipif(find_spec("mkdocstrings") is None, reason="`make docs` installs MkDocs")
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    program = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ".mkdocs.yml"]
    build = subprocess.run(
        [*program, "--site-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert build.returncode == 0, build.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        embedded = Embedded()
        text = page.read_text(encoding="utf-8")
        embedded.feed(text)
        assert [address for address in embedded.addresses if "//" in address] == []
        assert not re.search(
            r"arithmatex|\$\$|\\\\(?:frac|sum|log)", page.read_text(encoding="utf-8")
        )
    assert (tmp_path / "search" / "search_index.js").is_file()  # for pages opened from disk
    assert "<math" in (tmp_path / "metrics.html").read_text(encoding="utf-8")
    for sheet in tmp_path.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text())
