# The two commands of this project: `make study` and `make test`. Both set everything up themselves, once.
#
#   make study                                            the default study on this machine's CPU
#   make study CORPORA='a.jsonl.gz b.jsonl.gz' EVAL='news=heldout.jsonl'    the same study on your own corpora
#   make test                                             the tests that take minutes
#   make test-slow, make test-ladders                     the longer ones
#   make bench-score                                      word and embedding baselines beside PyPI diversity 0.3.1
#   make lint
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= study,dev
# pip may know a folder or page with a CPU build of torch; uv does not read pip's settings.
FIND_LINKS := $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
STUDY ?= $(if $(CORPORA),corpora,tiny)
WORKDIR ?=
PYTEST_ARGS ?=

.PHONY: env env-tpu env-diversity bench-score study test test-slow test-ladders bench-cpu lint format clean
.DELETE_ON_ERROR:

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if ! $(BIN)/python -c 'import sys, platform; sys.exit(platform.system() == "Linux" and not "$(FIND_LINKS)")'; then \
	  echo "note: no CPU build of torch is announced to pip (PIP_FIND_LINKS); the default one brings several GB of CUDA libraries"; fi
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null; then \
	  UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(FIND_LINKS),--find-links "$(FIND_LINKS)") -c constraints.txt -e '.[$(EXTRAS)]'; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'; fi
	@touch $@

# An environment of its own: libtpu is 1 GB, and JAX looks for a TPU wherever it is installed.
env-tpu:
	@$(MAKE) --no-print-directory env VENV=.venv-tpu EXTRAS=train,tpu,dev

# An environment of its own: diversity 0.3.1 holds transformers and sentence-transformers back.
env-diversity:
	@$(MAKE) --no-print-directory env VENV=.venv-diversity EXTRAS=score,peer

study: env
	@$(BIN)/python -m divsyn_jax.study --config=configs/studies/$(STUDY).py $(if $(WORKDIR),--workdir='$(WORKDIR)') \
	  $(if $(CORPORA),--corpora='$(CORPORA)') $(if $(EVAL),--eval='$(EVAL)') $(STUDY_ARGS)

test: env
	@$(BIN)/python -m pytest -m 'not slow and not ladders' -n 2 --dist loadfile $(PYTEST_ARGS)

test-slow: env
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-ladders: env
	@$(BIN)/python -m pytest -m ladders $(PYTEST_ARGS)

# Ratios against transformers + torch on this machine's CPU.
bench-cpu: env
	@$(BIN)/python tools/benchmarks/bench_cpu.py

# Speed and equality of values beside PyPI diversity, in one process. BENCH_ARGS='--corpus=...' for another corpus.
bench-score: env-diversity
	@.venv-diversity/bin/python tools/benchmarks/bench_score.py $(BENCH_ARGS)

lint: env
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: env
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
