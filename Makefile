# make demo   everything set up, started, and the quickstart run to its table
# make test   lint, types, import contracts and tests; SLOW=1 adds the proofs that take minutes
# make lint   the checks without the tests
# make clean  removes .venv and caches; results in .pairlab stay

VENV ?= .venv
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
endif
BIN := $(VENV)/bin
SLOW ?=

.PHONY: demo test lint clean install-demo install-dev
.DEFAULT_GOAL := demo

demo: install-demo
	@$(BIN)/pairlab demo

test: lint
	@if [ -n "$(SLOW)" ]; then \
		echo "== tests, the slow proofs included"; \
		$(BIN)/python -m pytest; \
	else \
		echo "== tests; the slow proofs are left out: make test SLOW=1 runs them"; \
		$(BIN)/python -m pytest -m "not slow"; \
	fi

lint: install-dev
	@echo "== style" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== types" && $(BIN)/mypy
	@echo "== import contracts" && $(BIN)/lint-imports

install-demo: EXTRAS := backend,worker,frontend
install-demo: STAMPS := installed-demo installed-dev
install-dev: EXTRAS := dev
install-dev: STAMPS := installed-dev

# A stamp is a copy of the pyproject.toml that was installed: equal means there is nothing to do.
install-demo install-dev:
	@for stamp in $(STAMPS); do \
		if cmp -s pyproject.toml $(VENV)/$$stamp && $(BIN)/python -c "" 2>/dev/null; then exit 0; fi; \
	done; \
	set -e; \
	if [ -z "$(PYTHON)" ]; then \
		echo "PairLab needs Python 3.11 or newer; python3 is $$(python3 --version 2>&1). Name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "PairLab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
		exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		echo "== making $(VENV) with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv --clear $(VENV) || { \
			echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi; \
	echo "== installing PairLab with its libraries (once; PyTorch alone is several GB, this takes minutes)"; \
	$(BIN)/python -m pip install --disable-pip-version-check -e ".[$(EXTRAS)]"; \
	cp pyproject.toml $(VENV)/$(firstword $(STAMPS))

clean:
	@echo "== removing $(VENV) and caches; results in .pairlab stay"
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
