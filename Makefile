# Shortcuts; the README's commands do the same.
.PHONY: repro test lint seeds

repro:
	dvc repro

test:
	pytest

lint:
	ruff check . && ruff format --check . && mypy

# The main job with three seeds: tables then show mean ± sd.
seeds:
	dvc exp run -S repeats=3 -n seeds
