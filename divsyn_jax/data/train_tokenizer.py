"""Train a lossless SentencePiece tokenizer on equal bytes of every corpus.

  train_tokenizer --input=a.jsonl.gz,b.jsonl.gz --vocab_size=2048 --output=tokenizer

writes tokenizer/tokenizer.model. Text is not normalised and unknown characters fall back to bytes, so decoding gives back
what was encoded. (One character cannot: U+2581, SentencePiece's own mark for a space, comes back as a space.)
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from divsyn_jax import commandline, files
from divsyn_jax.commandline import UserError
from divsyn_jax.data import corpus_flags
from divsyn_jax.data.corpus import CorpusReader, ReadOptions
from divsyn_jax.data.tokenizer import MODEL_FILE

flags.adopt_module_key_flags(corpus_flags)
_INPUT = flags.DEFINE_list("input", None, "Corpora to train on (comma-separated).")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write tokenizer.model to.")
_VOCAB_SIZE = flags.DEFINE_integer(
    "vocab_size", 32000, "Number of token ids, the 256 byte tokens included.", lower_bound=300
)
_MAX_BYTES = flags.DEFINE_integer(
    "max_bytes", 50_000_000, "Bytes of text read from each corpus at most.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the choice of documents.")

# SentencePiece drops longer sentences without a word, and its training time grows with their length.
_MAX_SENTENCE_CHARACTERS = 1000


def train_tokenizer(
    inputs: Sequence[str],
    output: str,
    vocab_size: int,
    options: ReadOptions = ReadOptions(),
    max_bytes: int = 50_000_000,
    seed: int = 0,
) -> None:
    """Train a BPE model of `vocab_size` ids on an equal number of bytes of each corpus and write it to `output`.

    Raises `UserError` when a corpus cannot be read or is too small for the vocabulary.
    """
    import sentencepiece

    sizes = []
    for spec in inputs:
        sizes.append(sum(len(document.text.encode()) for document in CorpusReader(spec, options)))
    budget = min(*sizes, max_bytes) if len(sizes) > 1 else min(sizes[0], max_bytes)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(inputs, sizes, budget, options, seed),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            byte_fallback=True,
            split_digits=True,
            character_coverage=0.9995,
            unk_id=0,
            bos_id=1,
            eos_id=2,
            pad_id=-1,
            max_sentence_length=8 * _MAX_SENTENCE_CHARACTERS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(
            f"{','.join(inputs)}: cannot train {vocab_size} ids ({str(error).splitlines()[-1]}); give more text or a smaller --vocab_size"
        ) from None
    with files.new_directory(output) as folder:
        (folder / MODEL_FILE).write_bytes(model.getvalue())


def _sentences(
    inputs: Sequence[str], sizes: Sequence[int], budget: int, options: ReadOptions, seed: int
) -> Iterator[str]:
    for index, (spec, size) in enumerate(zip(inputs, sizes, strict=True)):
        # Thinning at an even rate spreads the budget over the whole corpus in one streaming pass.
        generator = np.random.default_rng([seed, index])
        for document in CorpusReader(spec, options):
            if generator.random() < budget / size:
                text = document.text
                for start in range(0, len(text), _MAX_SENTENCE_CHARACTERS):
                    yield text[start : start + _MAX_SENTENCE_CHARACTERS]


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --input=A,B")
    inputs = commandline.require(_INPUT.value, "input", "corpus.jsonl.gz")
    output = commandline.require(_OUTPUT.value, "output", "tokenizer")
    train_tokenizer(inputs, output, _VOCAB_SIZE.value, corpus_flags.read_options(), _MAX_BYTES.value, _SEED.value)
    print(f"{output}/{MODEL_FILE}: {_VOCAB_SIZE.value} ids")


def run() -> None:
    """Console-script entry."""
    commandline.run(main, __doc__)
