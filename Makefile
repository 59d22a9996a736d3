# make demo, make test: each sets itself up in .venv first.
PYTHON ?= python3
BIN := .venv/bin
# One process more than there are cores: many tests wait for others. Tests of one file share what they set up.
TEST_PROCESSES := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PARALLEL := -n $(TEST_PROCESSES) --maxprocesses 4 --dist loadfile --durations=20
READY := .venv/.ready

BOARDS := $(patsubst %/board.toml,%,$(wildcard boards/*/board.toml))

.PHONY: demo test lint benchmark boards docs gate gate-long torture drill

demo: $(READY)
	@echo "environment: ready in .venv"
	@$(BIN)/python run_bench.py

test: $(READY)
	$(BIN)/python -m pytest $(PARALLEL)

gate: $(READY)  # slow: trains on phantoms at full and at low budget, and checks the gap
	$(BIN)/python -m pytest -m slow $(PARALLEL)

gate-long: $(READY)  # an hour or more: what the statistics promise, and that short runs behave
	$(BIN)/python -m pytest -m long

# Kills, damages and misuses a small run, at most 15 minutes; make torture SEED=7 SIZE=0.2
SEED ?= 0
SIZE ?= 1
torture: $(READY)
	$(BIN)/python -m tests.torture --seed $(SEED) --size $(SIZE) --minutes 15

# Kills parts of a Dask cluster at random moments; make drill ROUNDS=3. DRILL gives more words.
ROUNDS ?= 20
drill: $(READY)
	$(BIN)/python -m tests.drill --rounds $(ROUNDS) --seed $(SEED) $(DRILL)

# Draws and verifies all published boards, an index of them in site/, and their answers in README.md
boards: $(READY)
	@for board in $(BOARDS); do \
		$(BIN)/python run_bench.py report $$board --public || exit 2; \
		$(BIN)/python run_bench.py verify $$board || exit 1; \
	done
	@$(if $(BOARDS),$(BIN)/python run_bench.py index $(BOARDS) --to site --readme README.md,echo "no board yet; see docs/submit_a_row.md")

# The documentation as a site in site/docs; a link that leads nowhere is an error
docs: $(READY)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	@$(BIN)/python -m mkdocs build --strict --quiet

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/style.py

benchmark: $(READY)
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,rounds --benchmark-sort=name

$(READY): pyproject.toml constraints.txt
	@echo "environment: installing into .venv, once; it takes some minutes"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $(READY)
