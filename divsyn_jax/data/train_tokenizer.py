"""Train a lossless SentencePiece tokenizer on equal bytes of every corpus.

  train_tokenizer --input=a.jsonl.gz,b.jsonl.gz --vocab_size=2048 --output=tokenizer

writes tokenizer/tokenizer.model. Text is not normalised and unknown characters fall back to bytes,
so decoding gives back
what was encoded. (One character cannot: U+2581, SentencePiece's own mark for a space, comes back as
a space.)"""

from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.tokenizer import MODEL_FILE
from divsyn_jax.data.tokenizer_trainer import train_tokenizer

flags.adopt_module_key_flags(corpus_flags)
_INPUT = flags.DEFINE_list("input", None, "Corpora to train on (comma-separated).")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write tokenizer.model to.")
_VOCAB_SIZE = flags.DEFINE_integer(
    "vocab_size", 32000, "Number of token ids, the 256 byte tokens included.", lower_bound=300
)
_MAX_BYTES = flags.DEFINE_integer(
    "max_bytes", 50_000_000, "Bytes of text read from each corpus at most.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the choice of documents.", lower_bound=0)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --input=A,B")
    inputs = commandline.require(_INPUT.value, "input", "corpus.jsonl.gz")
    output = commandline.require(_OUTPUT.value, "output", "tokenizer")
    train_tokenizer(
        inputs,
        output,
        _VOCAB_SIZE.value,
        corpus_flags.read_options(),
        _MAX_BYTES.value,
        _SEED.value,
    )
    print(f"{output}/{MODEL_FILE}: {_VOCAB_SIZE.value} ids")


def run() -> None:
    """Console-script entry."""
    commandline.run(main, __doc__)
