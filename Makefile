# Every target sets itself up: it makes the environment .venv when that is missing or out of date.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo pages test test-first test-second test-oldest test-cluster fuzz lint types docs browser notebooks check-notebooks bench bench-splitting soak coverage studies self-comparison clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.installed ## train a small CNN on real digits and write report/index.html
	$(BIN)/mcdrop demo --output report --force

pages: .venv/.installed ## write every kind of report page into pages/, to look at
	$(BIN)/python -m benchmarks.pages pages

# Two processes of about the same length, for two cores; what is named nowhere runs in the second.
FIRST := tests/engine tests/loading tests/study tests/layers tests/fuzz tests/distributed

test: .venv/.installed ## run the tests and the examples in the docstrings
	$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-first test-second

test-first: .venv/.installed
	$(BIN)/python -m pytest --doctest-modules mcdrop $(FIRST)

test-second: .venv/.installed
	$(BIN)/python -m pytest tests $(FIRST:%=--ignore=%)

fuzz: .venv/.installed ## damage files of every format some thousand times, and read them
	MCDROP_FUZZ=600 $(BIN)/python -m pytest -q tests/fuzz

OLDEST := tests/engine/test_known_answers.py tests/files tests/loading/test_models.py \
	tests/loading/test_saved.py tests/loading/test_weighing.py tests/loading/test_delimited.py \
	tests/loading/test_labels.py tests/recalibrate tests/report/test_figures.py tests/test_prediction.py

test-oldest: .venv-oldest/.installed ## run a part of the tests with the oldest versions allowed
	.venv-oldest/bin/python -m pytest $(OLDEST)

test-cluster: .venv-cluster/.installed ## run the tests on a Ray cluster and on Spark (Java 17 or later)
	.venv-cluster/bin/python -m pytest tests/distributed

lint: .venv/.installed ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed ## check the types
	$(BIN)/mypy

docs: .venv/.installed-docs ## build the documentation into site/
	$(BIN)/mkdocs build --strict --config-file .mkdocs.yml
	$(BIN)/mcdrop demo --output site/example --force --quiet

browser: .venv/.installed ## open every kind of report page in a browser, and look for faults (minutes)
	$(BIN)/python -m pytest -m browser tests/report

notebooks: .venv/.installed-notebooks ## run the notebooks in examples/ from top to bottom
	$(BIN)/python examples/run.py

check-notebooks: .venv/.installed-notebooks ## run them on small data, and leave them as they are
	$(BIN)/python -m pytest -m notebooks tests/examples

bench: .venv/.installed ## run the benchmarks
	$(BIN)/python -m benchmarks

bench-splitting: .venv/.installed ## measure passes that share masks (MCDROP_DATA; docs/how-to/choose-passes.md)
	$(BIN)/python -m benchmarks.splitting build/splitting

soak: .venv/.installed ## call a process 500 times with random sizes, and print its memory (minutes)
	$(BIN)/python -m benchmarks.soak

coverage: .venv/.installed ## simulate the real coverage of the intervals (hours; docs/intervals.md)
	$(BIN)/python -m benchmarks.coverage

studies: .venv/.installed ## run the studies that docs/studies shows, on MCDROP_DATA (hours)
	$(BIN)/python -m benchmarks.studies

self-comparison: .venv/.installed ## count how often a model is called better than itself (docs/intervals.md)
	$(BIN)/python -m benchmarks.self_comparison

clean: ## remove everything that was built, except .venv
	rm -rf report pages site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find mcdrop tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

.venv/.installed: pyproject.toml constraints.txt
	@echo "Setting up .venv; the first time this takes a few minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e '.[test]'
	@touch $@

.venv-oldest/.installed: pyproject.toml constraints-oldest.txt
	@echo "Setting up .venv-oldest; the first time this takes a few minutes."
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints-oldest.txt -e . pytest pytest-timeout hypothesis
	@touch $@

.venv-cluster/.installed: pyproject.toml constraints.txt
	@echo "Setting up .venv-cluster; the first time this takes a few minutes."
	test -x .venv-cluster/bin/python || $(PYTHON) -m venv .venv-cluster
	.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[ray,serve,spark]' pytest pytest-timeout hypothesis
	@touch $@

.venv/.installed-%: .venv/.installed
	$(INSTALL) -e '.[$*]'
	@touch $@
