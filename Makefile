PYTHON = python3
# The task to train and how many copies of it: make run ENV=IsaacFrankaCube-v0 NUM_ENVS=2048
ENV = IsaacCartpole-v0
NUM_ENVS =
# Passed on to isaac-gymnasium train (make run) or to pytest (make test).
ARGS =

VENV := .venv
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test converters notebooks docs check clean system-libraries

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Create .venv and install the package with its development tools (PYTHON=python3.12 chooses the interpreter).

run: setup ## Train a task; ENV=, NUM_ENVS= and ARGS= choose which and how.
	$(VENV)/bin/isaac-gymnasium train $(ENV) $(if $(NUM_ENVS),--num-envs $(NUM_ENVS)) $(ARGS)

# One thread for each worker's torch: with more, the workers fight over the cores.
test: setup ## Run the tests; ARGS= goes to pytest.
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

# Their build of USD must not share an environment with usd-core. Python 3.13 has none yet.
converters: ## Create .venv-converters, with which the tests of robot files run in full.
	$(PYTHON) -m venv --clear $(VENV)-converters
	$(VENV)-converters/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints-dev.txt mujoco-usd-converter urdf-usd-converter

notebooks: setup ## Execute the notebooks and keep their outputs; ARGS="01 06" chooses, ARGS=--check writes nothing.
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints-dev.txt --editable '.[notebooks]'
	$(VENV)/bin/python notebooks/run.py $(ARGS)

# Sphinx takes what is installed; the build itself needs no network.
docs: setup ## Build the documentation into docs/_build/html, warnings as errors.
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints-dev.txt --editable '.[docs]'
	$(VENV)/bin/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html

check: setup ## Check style, formatting, types and dependencies, and that the package builds and imports.
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/python scripts/audit_dependencies.py
	scripts/check_package.sh $(VENV)/bin/python

clean: ## Remove .venv, builds and caches; runs/ stays.
	rm -rf $(VENV) $(VENV)-converters build dist docs/_build docs/environments .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints-dev.txt $(VENV)/bin/python
	@echo "Installing the package and its tools into $(VENV); the first time this takes minutes"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints-dev.txt --editable '.[physx,newton,skrl,sb3,rsl-rl,rl-games,torchrl,viewer,video,dev]'
	@touch $@

# The second way serves Debian's Python without the package python3-venv: it has pip but no ensurepip.
$(VENV)/bin/python: | system-libraries
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not installed): Python 3.11, 3.12 or 3.13 is needed; name one, as in make setup PYTHON=python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(VENV)/bin/python install --quiet --disable-pip-version-check pip; }

system-libraries:
	@scripts/check_system_libraries.sh
