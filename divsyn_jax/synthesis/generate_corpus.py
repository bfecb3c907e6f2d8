"""Write a synthetic corpus whose breadth is a knob, without any language model.

  generate_corpus --topics=8 --styles=4 --personas=4 --documents=2000 --seed=0 --output=corpora/narrow

writes documents.jsonl.zst (one object a line: id, text, topic, field, style, persona, seed) and manifest.json. A broader
corpus contains the topics, styles and personas of a narrower one. The same flags give the same texts on every machine.
"""

from absl import flags

from divsyn_jax import commandline, files
from divsyn_jax.commandline import UserError
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar import Breadth

_TOPICS = flags.DEFINE_integer("topics", 8, "Topics to draw on, from the front of the fixed list.")
_STYLES = flags.DEFINE_integer("styles", 4, "Styles to draw on, from the front of the fixed list.")
_PERSONAS = flags.DEFINE_integer("personas", 4, "Personas to draw on, from the front of the fixed list.")
_DOCUMENTS = flags.DEFINE_integer("documents", 2000, "Documents to write.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of every choice.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write; an earlier corpus there is replaced.")


def main(arguments: list[str]) -> None:
    """The command: see the module's documentation."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; everything is given by flags (see --help)")
    output = commandline.require(_OUTPUT.value, "output", "corpora/narrow")
    try:
        breadth = Breadth(_TOPICS.value, _STYLES.value, _PERSONAS.value)
    except ValueError as error:
        raise UserError(f"--{error}") from None
    files.check_replaceable(output, ["documents.jsonl.zst", "manifest.json"])
    manifest = generate_corpus(breadth, _DOCUMENTS.value, _SEED.value, output)
    print(f"{output}: {manifest['documents']:,} documents, {manifest['words']:,} words")


def run() -> None:
    """Entry point of the command `generate_corpus`."""
    commandline.run(main, __doc__)
