"""Tokenise corpora once into shards of fixed token windows.

  build_shards --input=corpus.jsonl.gz --tokenizer=tokenizer --seq_len=2048 --output=shards/corpus --workers=8

writes ArrayRecord shards and manifest.json. The output is the same bytes whatever the number of workers: shard boundaries
follow the order of the input. `--packing=document` makes shards for evaluation (see divsyn_jax/data/shards.py).
"""

from absl import flags

from divsyn_jax import commandline
from divsyn_jax.commandline import UserError
from divsyn_jax.data import corpus_flags
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import PACKINGS

flags.adopt_module_key_flags(corpus_flags)
_INPUT = flags.DEFINE_list("input", None, "Corpora (comma-separated).")
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Folder of train_tokenizer, or hf:DIR.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.")
_SEQ_LEN = flags.DEFINE_integer(
    "seq_len", 2048, "Inputs a window feeds to the model; windows hold one token more.", lower_bound=2
)
_PACKING = flags.DEFINE_enum("packing", "concat", PACKINGS, "concat for training, document for evaluation.")
_SHARD_BYTES = flags.DEFINE_integer("shard_bytes", 16 << 20, "Bytes of text in one shard, about.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes that tokenise.", lower_bound=1)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --input=A,B")
    inputs = commandline.require(_INPUT.value, "input", "corpus.jsonl.gz")
    tokenizer = commandline.require(_TOKENIZER.value, "tokenizer", "tokenizer")
    output = commandline.require(_OUTPUT.value, "output", "shards/corpus")
    manifest = build_shards(
        inputs,
        tokenizer,
        output,
        _SEQ_LEN.value,
        _PACKING.value,
        corpus_flags.read_options(),
        _SHARD_BYTES.value,
        _WORKERS.value,
    )
    skipped = sum(source["malformed"] for source in manifest["sources"])
    for source in manifest["sources"]:
        for problem in source["problems"]:
            print(f"skipped {problem}")
    print(
        f"{output}: {manifest['documents']:,} documents, {manifest['tokens']:,} tokens, {manifest['windows']:,} windows of "
        f"{manifest['seq_len']}+1 in {len(manifest['shards'])} shards ({skipped:,} malformed records skipped)"
    )


def run() -> None:
    """Console-script entry."""
    commandline.run(main, __doc__)
