# The two commands of this project: `make study` and `make test`. Both set everything up themselves, once.
#
#   make study                                            the default study on this machine's CPU
#   make study CORPORA='a.jsonl.gz b.jsonl.gz' EVAL='news=heldout.jsonl'    the same study on your own corpora
#   make test                                             the tests that take minutes
#   make test-slow, make test-ladders                     the longer ones
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

.PHONY: env env-tpu study test test-slow test-ladders bench-cpu lint format clean
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

lint: env
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: env
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
