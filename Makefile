# Everything happens in .venv. `make test PYTHON=python3.13` picks another Python; 3.11 or newer will do.
PYTHON ?= python3

.PHONY: toy test lint mutants clean

# Fit a function of one variable, and draw the data, the fit and the loss curves into toy.png.
toy: .venv/installed
	.venv/bin/python scripts/train_toy.py --plot toy.png

test: .venv/installed
	.venv/bin/python -m pytest -n auto

lint: .venv/linters
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

# Break layers and optimizers in 320 random places and count what the tests notice: see docs/mutation.md.
mutants: .venv/mutation
	.venv/bin/python tools/mutate.py

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --editable '.[plot,test]'
	touch $@

.venv/linters: .venv/installed
	.venv/bin/python -m pip install --quiet --editable '.[lint]'
	touch $@

.venv/mutation: .venv/installed
	.venv/bin/python -m pip install --quiet --editable '.[mutation]'
	touch $@

clean:
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist handgrad.egg-info toy.png
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
