#!/usr/bin/env sh
# Two runs of configs/tiny.py on real_wiki, a short and a long one, compared on BLiMP. See blimp_signal.md beside this file.
set -eu
data=$1 scratch=$2 short=$3 long=$4
python=${PYTHON:-.venv/bin/python}
mkdir -p "$scratch/items"
cp "$data/bench_blimp_dev.jsonl.gz" "$scratch/items/blimp.jsonl.gz"
PYTHONPATH=. "$python" tools/train_tokenizer.py --input="$data/real_wiki.jsonl.gz" --vocab_size=2048 --output="$scratch/tokenizer"
PYTHONPATH=. "$python" tools/build_shards.py --input="$data/real_wiki.jsonl.gz" --tokenizer="$scratch/tokenizer" --seq_len=128 \
  --output="$scratch/shards/wiki"
for steps in "$short" "$long"; do
  "$python" -m divsyn_jax.train --config=configs/tiny.py --workdir="$scratch/runs/$steps" --config.steps="$steps" --config.accumulation_steps=4 \
    --config.data.root="$scratch/shards" --config.data.train=wiki
done
"$python" -m divsyn_jax.evaluate --workdir="$scratch/runs/$short,$scratch/runs/$long" --tasks=blimp --task_data="$scratch/items"
