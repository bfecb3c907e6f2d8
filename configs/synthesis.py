"""What generate_corpus writes, by diversity level: one of the four prompt templates, or any level
of configs/diversity.py.

  generate_corpus --config=configs/synthesis.py:topic_styles_persona \\
      --output=corpora/topic_styles_persona

Templates, from the plainest to the most diverse: topic, topic_styles, topic_styles_persona,
multi_topic_styles_persona."""

from ml_collections import ConfigDict

from configs import diversity
from divsyn_jax.base.commandline import UserError


def get_config(argument: str | None = None) -> ConfigDict:
    """The settings of a level:

    how many records, the seed, what the built-in grammar draws on, what an endpoint is asked.
    """
    name = argument or "topic_styles_persona"
    level = diversity.level_of(f"level={name}")
    if not level.template:
        raise UserError(f"{name}: has no synthetic corpus")
    return ConfigDict(
        {
            "level": name,
            "seed": 0,
            # Of the built-in grammar; of --kind=topics, how many documents of --input are read at
            # most.
            "documents": level.grammar_documents(),
            # Of --kind=instructions and --kind=items; 0: all there are.
            "questions": 0,
            # Each a number from the front of its list; see divsyn_jax/synthesis/grammar/grammar.py.
            # wordings, formats: 0 is as the grammar writes of itself; from 1 on lengths are dealt.
            # from_back: axes taken from the back of their list, for held-out text new on them.
            "grammar": {**level.grammar(), "wordings": 0, "formats": 0, "from_back": ()},
            # With --base_url and --model: the grid takes topics (or all of --topics_file), styles,
            # personas (or all of --personas_file) and topics_per_document from above, and models
            # from --model; its size decides how many documents there are.
            "endpoint": {
                "generations": 1,  # accepted documents of a cell
                "candidates": 4,  # documents that may be asked for one accepted
                "personas_shown": (
                    5
                ),  # of which the model chooses one; 1: every persona has cells of its own
                "min_words": 150,
                "max_words": 1500,
                # Of an instruction's response, in the place of the two above.
                "min_response_words": 10,
                "max_response_words": 250,
                "language": "en",  # ISO 639-1; '': any
                "near_duplicate": 0.75,  # Jaccard similarity of word 5-grams; above 1: none is near
                # Share of a document's word 5-grams that it said before, above which it is a loop.
                "most_repeated": 0.3,
            },
            # Of --kind=rephrase; see divsyn_jax/synthesis/rephrasing/rephrasing_settings.py. From
            # above it takes documents (of --input, at most), endpoint.generations (of a document,
            # format and model), endpoint.candidates, .language and .near_duplicate.
            "rephrase": {
                "shortest": 0.2,  # words, as a share of the source's
                "longest": 3.0,
                "source_characters": 8000,
                "copied": 0.6,  # Jaccard similarity of word 5-grams with the source
                "entailment": 0.1,  # share that an endpoint judges
            },
        }
    )
