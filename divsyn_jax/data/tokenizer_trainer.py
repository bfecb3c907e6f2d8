"""Training of the SentencePiece tokenizer."""

import io
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from divsyn_jax.data.tokenizer import MODEL_FILE

# SentencePiece drops longer sentences without a word, and its training time grows with their
# length.
_MAX_SENTENCE_CHARACTERS = 1000


def train_tokenizer(
    inputs: Annotated[Sequence[str], Flag("input", example="corpus.jsonl.gz")],
    output: Annotated[str, Flag(example="tokenizer")],
    vocab_size: Annotated[int, Flag(at_least=300)] = 32000,
    options: ReadOptions = ReadOptions(),
    max_bytes: Annotated[int, Flag(at_least=1)] = 50_000_000,
    seed: Annotated[int, Flag(at_least=0)] = 0,
) -> None:
    """Train a BPE model on an equal number of bytes of each corpus.

    Args:
      inputs: corpora to train on, comma-separated.
      output: folder to write tokenizer.model to.
      vocab_size: number of token ids, the 256 byte tokens included.
      options: how to read the corpora.
      max_bytes: bytes of text read from each corpus, at most.
      seed: seed of the choice of documents.

    Raises:
      UserError: a corpus cannot be read or is too small for the vocabulary.
    """
    import sentencepiece

    files.check_replaceable(output, [MODEL_FILE])
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
            f"{','.join(inputs)}: cannot train {vocab_size} ids ({str(error).splitlines()[-1]});"
            " give more text or a smaller --vocab_size"
        ) from None
    with files.new_directory(output, [MODEL_FILE]) as folder:
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
