# `make run` draws digits on the RTL; `make test` runs the regression; `make figures` measures docs/area-timing-energy.md anew.
# All set everything up in .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

# A torch that is already installed is used as it is; otherwise the pinned version comes from the package index.
HAVE_TORCH := $(shell $(PYTHON) -c "import torch" >/dev/null 2>&1 && echo yes)
SITE := $(if $(HAVE_TORCH),--system-site-packages)
SETUP_FILES := pyproject.toml setup.py constraints.txt

.PHONY: run test test-slow lint figures clean

run: $(VENV)/run.stamp
	$(BIN)/sqdm sample --out out/sample

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(JOBS)

test-slow: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

figures: $(VENV)/dev.stamp
	$(BIN)/python -m sqdm.synth.document

clean:
	rm -rf $(VENV) out *.egg-info .pytest_cache .ruff_cache

$(VENV)/constraints.txt: constraints.txt
	$(PYTHON) -m venv $(SITE) $(VENV)
	$(if $(HAVE_TORCH),grep -v '^torch==' constraints.txt,cat constraints.txt) > $@

$(VENV)/run.stamp: $(VENV)/constraints.txt $(SETUP_FILES)
	$(BIN)/python -m pip install --disable-pip-version-check -c $< -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/constraints.txt $(SETUP_FILES)
	$(BIN)/python -m pip install --disable-pip-version-check -c $< -e ".[dev]"
	touch $@ $(VENV)/run.stamp
