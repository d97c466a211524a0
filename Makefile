# Everything runs in .venv, which is made once and again when pyproject.toml or constraints.txt
# change. `make ablation` and `make test` are all that a fresh machine needs.
PYTHON ?= python3
BIN := .venv/bin
# Everything here starts Python many times: without bytecode that is kept, as images of containers
# often set it, each start compiles its imports anew, which takes longer than to run them.
unexport PYTHONDONTWRITEBYTECODE
TORCH := torch==2.13.0
# The page or index to take torch from, if not pip's own: see "Which torch" in docs/quick_start.md.
TORCH_INDEX ?=
JOBS ?= 2
# Sweeps train a job on each physical core that they may use.
SIDE_BY_SIDE = hydra/launcher=joblib hydra.launcher.n_jobs=$$($(BIN)/python -c \
	'from joblib import cpu_count; print(cpu_count(only_physical_cores=True))')

.PHONY: ablation study fast test real check lint types docs format ui benchmark clean help

help:
	@sed -n 's/^## //p' Makefile

## make ablation    environment, then an ablation of fifteen techniques on real data
ablation: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/regexp -m experiment=digits_mlp $(SIDE_BY_SIDE)
	@echo
	@echo "Open the results in the MLflow UI:  make ui"

## make study NAME=wine_mlp    run conf/experiment/wine_mlp.yaml, write experiments/wine_mlp/
study: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/regexp study $(NAME) $(SIDE_BY_SIDE)

# Units, a minute in all. Whole commands, servers, kills and every technique are for `make test`.
FAST := tests/test_architecture.py tests/test_random.py \
	$(addprefix tests/,dataset metrics model optimizer scheduler stack)

## make fast        lint and the quick tests: after each change
fast: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow" $(FAST)

## make test        environment, then the tests
test: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

## make real        the tests on a real Slurm, Ray, PostgreSQL, S3 and MLflow server, which it
##                  installs and starts (as root, on Debian)
real: .venv/.ready
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[slurm,ray,server]' \
		'moto[server]' Flask-WTF
	command -v initdb || ls /usr/lib/postgresql/*/bin/initdb || apt-get install -y postgresql
	tests/real/slurm.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m real --durations=0 --durations-min=1 tests/real

## make check       lint, types, docs, tests
check: lint types docs test

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.ready
	$(BIN)/mypy

## make docs        the pages in docs/_build/html; a warning is an error
docs: .venv/.ready
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

## make format      rewrite the code as lint wants it
format: .venv/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## make ui          the MLflow UI at http://127.0.0.1:5000
ui: .venv/.ready
	$(BIN)/regexp ui

## make benchmark   samples per second against other loops; installs the peers
benchmark: .venv/.ready
	$(BIN)/python -m pip install -c constraints.txt -e '.[benchmark]'
	$(BIN)/python -m benchmarks

## make clean       remove the environment and caches; results stay in mlruns/
clean:
	rm -rf .venv build dist docs/_build docs/figures docs/notebooks docs/techniques .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone, so that the wheel fits the machine and not whatever else asks for it.
# Python compiles what is imported; to compile all of it takes as long as to install it. The pip that
# an older Python brings needs more than twice as long to find versions that go together.
.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "regexp needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile 'pip>=25'
	$(BIN)/python -m pip install --quiet --no-compile $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[parallel,dev]'
	touch $@
