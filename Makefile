# Every target sets up .venv by itself; all it needs is Python 3.11 or newer with venv and pip.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/demo
JOBS ?= 2
PROCESSES ?= 2
MINUTES ?= 62
TABLES ?= a b c d e
COCO ?=
VARIANTS ?= bare position taught taught-existence

.PHONY: help demo test slow lint docs bench ablation gpu results soak compat licences clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --editable '.[dev]'
	touch $@

.venv/demo: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --editable '.[demo]'
	touch $@

demo: .venv/demo  ## train on procedural scenes, evaluate, write $(OUT)/report.html
	$(BIN)/unipan demo --processes $(PROCESSES) --out $(OUT)

test: .venv/ready  ## the whole suite but for what is marked slow, in $(JOBS) processes
	$(BIN)/python -m pytest -m 'not slow' -n $(JOBS) --dist loadfile

slow: .venv/ready  ## what needs minutes
	$(BIN)/python -m pytest -m slow

lint: .venv/ready  ## style, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv/ready  ## the pages as a site, in site/
	$(BIN)/zensical build --strict

bench: .venv/ready  ## time against the obvious alternatives; writes benchmarks/results/ and docs/performance.md
	status=0; for file in benchmarks/bench_*.py; do $(BIN)/python $$file || { echo "$$file failed"; status=1; }; done; exit $$status

ablation: .venv/ready  ## variants of the unified head on scenes, two seeds, judged on other scenes than the results
	$(BIN)/python benchmarks/ablation.py scenes --variants $(VARIANTS) --out runs/ablation

gpu: .venv/ready  ## what only a GPU can confirm: equality with the CPU, speed, trainings (COCO=FOLDER for coco_small's); writes docs/gpu.md
	$(BIN)/python benchmarks/gpu.py --out runs/gpu $(if $(COCO),--coco $(COCO))

results: .venv/ready  ## the tables of docs/results.md anew (hours), and where the page differs
	$(BIN)/python benchmarks/results.py --letters $(TABLES) --out runs/tables

soak: .venv/ready  ## an hour of training, killing, resuming, evaluating in one process: does anything leak?
	mkdir -p runs && $(BIN)/python benchmarks/soak.py --minutes $(MINUTES) --json runs/soak.json

compat: .venv/ready  ## the wheel, in empty environments: oldest and newest dependencies, every Python that is here
	$(BIN)/python tests/compat.py

licences: .venv/ready  ## of what is needed, and of what the extras add; docs/licences.md has them in words
	$(BIN)/python -c "from packaging.requirements import Requirement as R; import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
	print(*sorted({R(r).name for rs in (p['dependencies'], *p['optional-dependencies'].values()) for r in rs} - {'unipan'}))" \
	| xargs $(BIN)/pip-licenses --from=mixed --packages

clean:  ## remove what make and the tools have put here
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis site dist
