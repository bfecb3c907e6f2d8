"""Train a lossless SentencePiece tokenizer on equal bytes of every corpus.

  train_tokenizer --input=a.jsonl.gz,b.jsonl.gz --vocab_size=2048 --output=tokenizer

writes tokenizer/tokenizer.model. Text is not normalised and unknown characters fall back to bytes,
so decoding gives back what was encoded. (One character cannot: U+2581, SentencePiece's own mark for
a space, comes back as a space.)"""

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.tokenizer import MODEL_FILE
from divsyn_jax.data.tokenizer_trainer import train_tokenizer

setting_flags.adopt(corpus_flags)
_TRAINING = setting_flags.define(
    train_tokenizer,
    {"corpora": ["inputs", "max_bytes", "seed"], "tokenizer": ["vocab_size"], "output": ["output"]},
    without=["options"],
)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --input=A,B")
    training = _TRAINING.values()
    train_tokenizer(**training, options=corpus_flags.read_options())
    print(f"{training['output']}/{MODEL_FILE}: {training['vocab_size']} ids")


def run() -> None:
    """Console-script entry."""
    commandline.run(main, __doc__)
