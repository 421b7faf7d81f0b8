# make setup | demo | test | chaos: each works on a fresh machine with Python 3.11 or later and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# Every job of the workflow gets its own threads; libraries must not take all cores in each of them.
export OMP_NUM_THREADS := 1
# Some machines have it set; each of many processes would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test chaos lint format

setup: $(READY)

# All modules are compiled at the end, on all cores; pip does it in one process.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nml needs Python 3.11 or later; set PYTHON=")'
	@echo "Installing into .venv (about 6 GB, some minutes) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-compile --requirement requirements.lock
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true # some files of packages are of other versions of Python
	@touch $@

demo: $(READY)
	$(BIN)/snakemake
	@cat results/tables/main.txt
	@echo "Tables: results/tables   Figures: results/figures   Report: results/report/index.html"

test: $(READY) lint
	# By files, in the order that tests/conftest.py gives them.
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

# The smoke preset while its processes are killed and its disk is full, again and again; `CHAOS="--seed 7"` repeats one.
chaos: $(READY)
	$(BIN)/python -m tests.workflow.chaos $(CHAOS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules
