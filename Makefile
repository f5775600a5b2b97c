# make demo: train a model and use it without torch.   make test: run the checks; make slow: those that take long.
# make browser: what Node and Chromium tests need, which are skipped without it.   make help: all that there is.
# They set themselves up in .venv and need Python 3.11 or newer. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME := $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test slow check docs browser matrix benchmarks community publish format clean help

help:
	@echo "make demo    train vae.digits, check its parity, and sample from it without torch"
	@echo "make test    run the tests, the linter and the type checker"
	@echo "make slow    run the tests that take long"
	@echo "make docs    build the documentation site into build/site; make docs QUICK=1 executes no page"
	@echo "make browser install what the tests in Node and in a browser need"
	@echo "make matrix  test the lowest and the newest versions, and each Python that is here"
	@echo "make benchmarks  measure again what docs/reference/benchmarks.md shows (25 to 55 minutes on 2 quiet cores)"
	@echo "make community  check the reviewed releases of third parties again on the Hub"
	@echo "make publish ORG=NAME  put the released weights on the Hugging Face Hub; says first what it will do, and asks"
	@echo "make format  format the code"
	@echo "make clean   remove .venv and what the demo wrote"

demo: $(VENV)/.demo
	@$(BIN)/zoo demo -o demo --force

test slow: export PYTHONDONTWRITEBYTECODE = # else each of the processes that tests start would compile zoo again
test: $(VENV)/.test check
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow --numprocesses auto --dist worksteal

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

docs: $(VENV)/.test
	$(BIN)/python docs/_site/build.py $(if $(QUICK),--quick)

browser:
	tests/web/setup

matrix:
	tests/matrix

benchmarks: $(VENV)/.test
	$(BIN)/python benchmarks/all.py

community: $(VENV)/.test
	$(BIN)/zoo registry community

publish: $(VENV)/.test
	@test -n "$(ORG)" || { echo "Say where: make publish ORG=NAME, your user or an organisation on the Hub"; exit 1; }
	@$(BIN)/zoo publish --all --distribution genzoo --org $(ORG) --dry-run
	@printf 'Publish this under $(ORG)? All weights are verified again first. [y/N] '; read answer; test "$$answer" = y
	@$(BIN)/zoo publish --all --distribution genzoo --org $(ORG)
	@echo 'Next, to pin these commits: zoo registry build --hub $(ORG)'

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .matrix demo

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"zoo needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}. Try: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing genzoo[$(RUNTIME),train] into $(VENV); torch is large, so this takes minutes the first time …"
	@$(PIP) --editable '.[$(RUNTIME),train]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing genzoo[$(RUNTIME),train,dev,docs] into $(VENV); torch is large, so this takes minutes the first time …"
	@$(PIP) --editable '.[$(RUNTIME),train,dev,docs]'
	@touch $@ $(VENV)/.demo
