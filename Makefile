# Shortcuts; the README's commands do the same.
.PHONY: repro quick clips test lint

# JOBS=2 computes the cells of the grid side by side, each in a `dvc repro` of its own.
JOBS ?= 1
CELLS = dvc stage list --name-only | sed -n 's/^$(1)@//p' | xargs -P $(JOBS) -I {}

repro:
ifneq ($(JOBS),1)
	dvc repro features
	$(call CELLS,train) dvc repro --single-item train@{} evaluate@{}
	$(call CELLS,ablate) dvc repro --single-item ablate@{}
endif
	dvc repro

# Three eighths of the demo, CHAIN alone, one seed and no ablations: a first look in minutes.
quick:
	dvc exp run -n quick -S repeats=1 -S 'grid.methods=[chain]' -S 'ablations.tables=[]' \
	  -S pretrain.steps=30 -S params/demo.yaml:source.clips_per_category=18 \
	  -S 'params/demo.yaml:bank.spatial=[consistent]' -S params/demo.yaml:bank.views=2 \
	  -S params/demo.yaml:methods.all.training.batch=48 \
	  -S params/demo.yaml:methods.all.training.epochs=10

# Three methods on the clips in data/clips, from one seed and without ablations.
clips:
	dvc exp run -S 'datasets=[clips]' -S 'grid.methods=[pca_itq_halves,chain,chain_plus]' \
	  -S 'ablations.tables=[]' -S repeats=1

test:
	pytest -n 2

lint:
	ruff check . && ruff format --check . && mypy
