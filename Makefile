# Needs Python 3.11 or newer (with venv) and make; everything else is installed into .venv.
# Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
JOBS ?= 2
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check

# Thousands of small matrices: threads inside a product only wait for each other.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.PHONY: help demo test cover calibrate bench docs pictures lowest clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       the Family Safeguarding trial from schedule to report, in demo/ (ARGS=... is passed on)"
	@echo "make test       lint, types, floors, tests, doctests, examples and notebooks"
	@echo "make cover      the tests with branch coverage"
	@echo "make calibrate  the long simulations: type I error, coverage, uniform p; and their tables in docs/validation*.md"
	@echo "make bench      timings"
	@echo "make docs       the documentation, in docs/_build/html"
	@echo "make pictures   the pictures of the README and the documentation"
	@echo "make lowest     the tests with the oldest versions that pyproject.toml allows"
	@echo "make clean      removes what make made, except demo/"

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)' || { \
		echo "swedge needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Could not make $(VENV): '$(PYTHON)' needs its venv module (on Debian and Ubuntu: the package python3-venv)." >&2; exit 1; }

$(VENV)/.demo: pyproject.toml | $(RUN)
	$(INSTALL) --editable '.[report]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(RUN)
	$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/.demo $@

$(VENV)/.docs: pyproject.toml | $(RUN)
	$(INSTALL) --editable '.[docs]'
	@touch $(VENV)/.demo $@

demo: $(VENV)/.demo
	$(VENV)/bin/swedge demo --out demo $(ARGS)

test: $(VENV)/.dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	$(RUN) -m pytest -n $(JOBS) $(ARGS)

cover: $(VENV)/.dev
	$(RUN) -m pytest -n $(JOBS) --cov --cov-report=term $(ARGS)

calibrate: $(VENV)/.dev
	$(RUN) -m pytest -n $(JOBS) -m calibration $(ARGS)
	$(RUN) docs/make_calibration.py 10000 $(JOBS)

bench: $(VENV)/.dev
	$(RUN) benchmarks/run.py $(ARGS)

docs: $(VENV)/.docs
	$(RUN) -m sphinx -W --keep-going -b html docs docs/_build/html

pictures: $(VENV)/.demo
	$(RUN) docs/make_pictures.py

# The oldest versions of the core and of the report, read from pyproject.toml, under the tests.
LOWEST := build/lowest/bin/python
lowest:
	test -x $(LOWEST) || $(PYTHON) -m venv build/lowest
	$(LOWEST) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	bounds = project["dependencies"] + project["optional-dependencies"]["report"]; \
	print(*(bound.replace(">=", "==") for bound in bounds), sep="\n")' > build/lowest.txt
	$(LOWEST) -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint build/lowest.txt
	$(LOWEST) -m pytest -n $(JOBS) -W default $(ARGS)

clean:
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
