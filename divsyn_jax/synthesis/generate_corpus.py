"""Write a synthetic corpus of a chosen diversity.

  generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/persona
  generate_corpus --config=configs/synthesis.py:topic --config.grammar.topics=8 --config.documents=2000 --output=corpora/narrow
  generate_corpus --config=configs/synthesis.py:topic --kind=instructions --output=corpora/instructions

writes documents.jsonl.zst (one object a line: text and provenance) and manifest.json, without any language model. A broader
corpus contains the topics, styles and personas of a narrower one. The same settings give the same bytes on every machine,
also after an interruption, which the same command continues. --kind=instructions writes prompts and responses for
fine-tuning, --kind=items multiple-choice questions, both from facts that documents tell but never ask.
"""

import signal
from typing import Any

from absl import flags
from ml_collections import config_flags

from divsyn_jax import commandline, files
from divsyn_jax.commandline import Unfinished, UserError
from divsyn_jax.synthesis.corpus_writer import KINDS, generate_corpus
from divsyn_jax.synthesis.grammar import Breadth

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Settings, configs/synthesis.py:<template or level>; any is overridden by --config.key=value."
)
_KIND = flags.DEFINE_enum("kind", KINDS[0], KINDS, "What to write.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; an earlier corpus there is replaced.")


def main(arguments: list[str]) -> None:
    """The command: see the module's documentation."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; everything is given by flags (see --help)")
    config = commandline.require(_CONFIG.value, "config", "configs/synthesis.py:topic_styles_persona")
    output = commandline.require(_OUTPUT.value, "output", "corpora/persona")
    signal.signal(signal.SIGTERM, _stop)
    try:
        breadth = Breadth(**config.grammar)
    except ValueError as error:
        raise UserError(f"--config.grammar.{error}") from None
    files.check_replaceable(output, [*(f"{kind}.jsonl.zst" for kind in KINDS), "manifest.json", "score.json"])
    count = config.documents if _KIND.value == "documents" else config.questions
    manifest = generate_corpus(breadth, count, config.seed, output, _KIND.value)
    rejected = manifest["rejects"]["duplicate"]
    print(
        f"{output}: {manifest[_KIND.value]:,} {_KIND.value}, {manifest['words']:,} words, {rejected:,} duplicates rejected"
    )


def _stop(number: int, frame: Any) -> None:
    raise Unfinished("stopped by SIGTERM; run the same command to continue")


def run() -> None:
    """Entry point of the command `generate_corpus`."""
    commandline.run(main, __doc__)
