"""Write a synthetic corpus of a chosen diversity.

  generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/persona
  generate_corpus --config=configs/synthesis.py:topic --config.grammar.topics=8 --config.documents=2000 --output=corpora/narrow
  generate_corpus --config=configs/synthesis.py:topic --kind=instructions --output=corpora/instructions

writes documents.jsonl.zst (one object a line: text and provenance) and manifest.json, without any
language model. A broader corpus contains the topics, styles and personas of a narrower one. The
same settings give the same bytes on every machine, also after an interruption, which the same
command continues. --kind=instructions writes prompts and responses for fine-tuning, --kind=items
multiple-choice questions, both from facts that documents tell but never ask.

With --base_url and --model any OpenAI-compatible endpoint writes instead: --config.endpoint.generations documents for every
cell of topics x styles x persona panels x models, each with passages of rising nuance and a question. What fails a gate
(schema, length, language, refusal, duplicates) is counted and replaced. No answer is paid twice (OUTPUT/cache.sqlite):

  generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/persona --dry_run \\
      --base_url=http://localhost:8000/v1 --model=qwen3-32b,mistral-small --topics_file=topics.jsonl
  generate_corpus --config=configs/synthesis.py --kind=topics --input=wiki.jsonl.gz --output=topics \\
      --base_url=http://localhost:8000/v1 --model=qwen3-32b

The second finds the topics of a corpus; its topics/topics.jsonl.zst is a --topics_file.
"""

import signal
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from divsyn_jax.base import commandline, files
from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.endpoint import flags as endpoint_flags
from divsyn_jax.synthesis.corpus_writer import KINDS, WRITTEN, generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth

_TOPICS = "topics"
_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Settings, configs/synthesis.py:<template or level>; any is overridden by --config.key=value.",
)
_KIND = flags.DEFINE_enum("kind", KINDS[0], [*KINDS, _TOPICS], "What to write.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder to write; an earlier corpus there is replaced."
)
_TOPICS_FILE = flags.DEFINE_string(
    "topics_file",
    None,
    "Topics for an endpoint: text, or JSON lines of topic[, subtopic, keywords] [built-in ones].",
)
_PERSONAS_FILE = flags.DEFINE_string(
    "personas_file",
    None,
    "Personas for an endpoint: text, or JSON lines of persona [built-in ones].",
)
_INPUT = flags.DEFINE_string("input", None, "Corpus whose topics --kind=topics finds.")
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print what an endpoint would be asked and what it costs, and stop."
)
flags.adopt_module_key_flags(endpoint_flags)
flags.adopt_module_key_flags(corpus_flags)
flags.FLAGS.set_default("temperature", 1.0)  # a judge repeats itself, a writer should not


def main(arguments: list[str]) -> None:
    """The command: see the module's documentation."""
    if arguments:
        raise UserError(
            f"unexpected argument {arguments[0]!r}; everything is given by flags (see --help)"
        )
    config = commandline.require(
        _CONFIG.value, "config", "configs/synthesis.py:topic_styles_persona"
    )
    output = commandline.require(_OUTPUT.value, "output", "corpora/persona")
    signal.signal(signal.SIGTERM, _stop)
    try:
        breadth = Breadth(**config.grammar)
    except ValueError as error:
        raise UserError(f"--config.grammar.{error}") from None
    if endpoint_flags.given() or _KIND.value == _TOPICS:
        _by_endpoint(config, breadth, output)
    else:
        _by_grammar(config, breadth, output)


def _by_grammar(config: ConfigDict, breadth: Breadth, output: str) -> None:
    for flag in (_TOPICS_FILE, _PERSONAS_FILE, _INPUT, _DRY_RUN):
        if flag.value:
            raise UserError(f"--{flag.name} is for an endpoint: give --base_url and --model too")
    files.check_replaceable(output, WRITTEN)
    count = config.documents if _KIND.value == "documents" else config.questions
    manifest = generate_corpus(breadth, count, config.seed, output, _KIND.value)
    rejected = manifest["rejects"]["duplicate"]
    print(
        f"{output}: {manifest[_KIND.value]:,} {_KIND.value}, {manifest['words']:,} words,"
        f" {rejected:,} duplicates rejected"
    )


def _by_endpoint(config: ConfigDict, breadth: Breadth, output: str) -> None:
    from divsyn_jax.synthesis.by_endpoint import cost as generation_cost
    from divsyn_jax.synthesis.by_endpoint.gates import Gates
    from divsyn_jax.synthesis.by_endpoint.topic_extraction import extract_topics
    from divsyn_jax.synthesis.by_endpoint.writer import generate_documents

    endpoints = endpoint_flags.several_from_flags(config.seed)
    kind = _KIND.value
    files.check_replaceable(
        output,
        [
            f"{kind}.jsonl.zst",
            f".{kind}.jsonl.zst.partial",
            "cache.sqlite*",
            "manifest.json",
            "score.json",
        ],
    )
    if kind == _TOPICS:
        corpus, options = (
            commandline.require(_INPUT.value, "input", "corpus.jsonl.gz"),
            corpus_flags.read_options(),
        )
        if _TOPICS_FILE.value or _PERSONAS_FILE.value:
            raise UserError("--kind=topics takes --input and no --topics_file or --personas_file")
        if config.documents < 1:
            raise UserError(f"--config.documents={config.documents}: give at least 1")
        if _DRY_RUN.value:
            print(generation_cost.topics_dry_run(corpus, options, config.documents, endpoints))
            return
        manifest = extract_topics(corpus, options, endpoints, config.documents, config.seed, output)
        print(
            f"{output}: {manifest['topics']:,} topics of {manifest['documents']:,}"
            f" documents{_rejected(manifest)}"
        )
        return
    if kind != "documents":
        raise UserError(
            f"--kind={kind}: written by the built-in grammar only; leave --base_url and --model out"
        )
    if _INPUT.value:
        raise UserError("--input is for --kind=topics")
    knobs = dict(config.endpoint)
    grid = _grid(breadth, [endpoint.model for endpoint in endpoints], config.seed, knobs)
    candidates = knobs.pop("candidates")
    if candidates < 1:
        raise UserError(f"--config.endpoint.candidates={candidates} must be at least 1")
    gates = Gates(**knobs)
    if _DRY_RUN.value:
        print(generation_cost.dry_run(grid, endpoints, candidates))
        return
    manifest = generate_documents(grid, endpoints, gates, candidates, output)
    print(
        f"{output}: {manifest['documents']:,} documents, {manifest['words']:,}"
        f" words{_rejected(manifest)}"
    )


def _grid(breadth: Breadth, models: list[str], seed: int, knobs: dict[str, Any]) -> Any:
    """The grid of the knobs, which it takes out of `knobs`."""
    from divsyn_jax.synthesis import seeds
    from divsyn_jax.synthesis.by_endpoint.grid import Grid
    from divsyn_jax.synthesis.grammar.styles import STYLES

    if _PERSONAS_FILE.value and breadth.personas == 1:
        raise UserError(
            f"--personas_file: the template {breadth.template} has no personas; take"
            " topic_styles_persona"
        )
    for knob in ("generations", "personas_shown"):
        if knobs[knob] < 1:
            raise UserError(f"--config.endpoint.{knob}={knobs[knob]} must be at least 1")
    topics = (
        seeds.read_topics(_TOPICS_FILE.value)
        if _TOPICS_FILE.value
        else seeds.built_in_topics(breadth.topics)
    )
    if len(topics) < breadth.topics_per_document:
        raise UserError(
            f"{_TOPICS_FILE.value}: one topic; the template {breadth.template} combines two"
        )
    return Grid(
        topics=topics,
        styles=[style.name for style in STYLES[: breadth.styles]],
        personas=(
            seeds.read_personas(_PERSONAS_FILE.value)
            if _PERSONAS_FILE.value
            else seeds.built_in_personas(breadth.personas)
        ),
        models=models,
        topics_per_document=breadth.topics_per_document,
        personas_shown=knobs.pop("personas_shown"),
        generations=knobs.pop("generations"),
        seed=seed,
    )


def _rejected(manifest: dict[str, Any]) -> str:
    counted = ", ".join(f"{count:,} {reason}" for reason, count in manifest["rejects"].items())
    cost = "" if manifest["cost"] is None else f"; cost {manifest['cost']:.2f}"
    return f"; rejected: {counted or 'none'}{cost}"


def _stop(number: int, frame: Any) -> None:
    raise Unfinished("stopped by SIGTERM; run the same command to continue")


def run() -> None:
    """Entry point of the command `generate_corpus`."""
    commandline.run(main, __doc__)
