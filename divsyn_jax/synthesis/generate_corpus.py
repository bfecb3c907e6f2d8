"""Write a synthetic corpus of a chosen diversity.

  generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/persona
  generate_corpus --config=configs/synthesis.py:topic --config.grammar.topics=8 \\
      --config.documents=2000 --output=corpora/narrow
  generate_corpus --config=configs/synthesis.py:topic --kind=instructions \\
      --output=corpora/instructions

writes documents.jsonl.zst (one object a line: text and provenance) and manifest.json, without any
language model. A broader corpus contains the topics, styles and personas of a narrower one. The
same settings give the same bytes on every machine, also after an interruption, which the same
command continues. For factorial designs topics, styles, personas, wordings (the same sentences in
other words) and formats (in another layout) are independent of each other and of length:

  generate_corpus --config=configs/synthesis.py:topic --config.grammar.topics=4 \\
      --config.grammar.wordings=4 --config.grammar.formats=1 --config.documents=400 \\
      --output=corpora/many_wordings

--kind=instructions writes prompts and responses for fine-tuning, --kind=items
multiple-choice questions, both from facts that documents tell but never ask.

With --base_url and --model any OpenAI-compatible endpoint writes instead:
--config.endpoint.generations documents for every cell of topics x styles x persona panels x models,
each with passages of rising nuance and a question. What fails a gate (schema, length, language,
refusal, duplicates) is counted and replaced. No answer is paid twice (OUTPUT/cache.sqlite):

  generate_corpus --config=configs/synthesis.py:topic_styles_persona --output=corpora/persona \\
      --dry_run --base_url=http://localhost:8000/v1 --model=qwen3-32b,mistral-small \\
      --topics_file=topics.jsonl
  generate_corpus --config=configs/synthesis.py:topic --output=corpora/plain \
      --base_url=local --form=plain
  generate_corpus --config=configs/synthesis.py --kind=topics --input=wiki.jsonl.gz \\
      --output=topics --base_url=http://localhost:8000/v1 --model=qwen3-32b

The second is written by a small model on this machine (divsyn serve --help), which cannot write
JSON: --form=plain asks for prose alone. The third finds the topics of a corpus; its
topics/topics.jsonl.zst is a --topics_file.

  generate_corpus --config=configs/synthesis.py --kind=rephrase --input=wiki.jsonl.gz \\
      --formats=faq,table,tutorial --config.documents=1000 --output=corpora/rephrased \\
      --base_url=http://localhost:8000/v1 --model=qwen3-32b

tells each of 1,000 documents again in three formats. A rephrasing whose numbers, names or denials
are not those of its source is rejected, and of a sample (--config.rephrase.entailment) an endpoint
is asked whether the source supports it.

Large corpora are written in parts, by processes that share nothing, and merged into what one
process would have written (launch/parts.py sends them to Slurm); and with files of questions and
answers in place of calls, until the command ends with another exit code than 75:

  generate_corpus ... --output=parts/1 --part=1/2
  generate_corpus ... --output=parts/2 --part=2/2
  generate_corpus ... --output=corpora/persona --merge=parts/1,parts/2
  generate_corpus ... --batch_out=requests.jsonl
  generate_corpus ... --batch_out=requests.jsonl --batch_in=results.jsonl
"""

import dataclasses
from typing import Annotated, Any, Literal

from ml_collections import ConfigDict

from divsyn_jax.base import commandline, files, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.parts import WorkPart
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import ReadOptions, check_apart
from divsyn_jax.endpoint import flags as endpoint_flags
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.synthesis.corpus_writer import WRITTEN, generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.synthesis.rephrasing.rephrasing_settings import DEFAULT_FORMATS

_TOPICS = "topics"
_OF_CORPUS = (_TOPICS, "rephrase")  # kinds that need --input and an endpoint


@dataclasses.dataclass(frozen=True)
class _Writing:
    """What to write, from what.

    Attributes:
      kind: what to write.
      form: how an endpoint is asked for documents: schema (passages and a question, as JSON), plain
        (prose alone), or auto, which takes plain where a first trial shows that a model cannot
        write the schema.
      input: corpus whose topics --kind=topics finds or whose documents --kind=rephrase tells
        again.
      formats: how --kind=rephrase tells each document again, comma-separated: faq, table, tutorial,
        textbook, dialogue, encyclopaedia, summary, notes.
      topics_file: topics for an endpoint: text, or JSON lines of topic[, subtopic, keywords]; by
        default the built-in ones.
      personas_file: personas for an endpoint: text, or JSON lines of persona; by default the
        built-in ones.
      merge: folders of all parts, each written with --part=i/n; makes the corpus that one process
        would have written, asking only for what takes the place of a duplicate from another part.
      dry_run: print what an endpoint would be asked and what it costs, and stop.
      output: folder to write; an earlier corpus there is replaced.
    """

    output: Annotated[str, Flag(example="corpora/persona")]
    kind: Literal["documents", "instructions", "items", "topics", "rephrase"] = "documents"
    form: Literal["auto", "schema", "plain"] = "auto"
    input: str | None = None
    formats: tuple[str, ...] = DEFAULT_FORMATS
    topics_file: str | None = None
    personas_file: str | None = None
    merge: tuple[str, ...] = ()
    dry_run: bool = False


_CONFIG = setting_flags.define_recipe(
    "config",
    "Settings, configs/synthesis.py:<template or level>; --config.KEY=VALUE overrides one.",
)
_WRITING = setting_flags.define(
    _Writing,
    {
        "corpora": [
            *("kind", "form", "topics_file", "personas_file", "input", "formats", "merge"),
        ],
        "output": ["dry_run", "output"],
    },
)
setting_flags.adopt(corpus_flags)
setting_flags.adopt(endpoint_flags)
# A judge repeats itself, a writer should not.
endpoint_flags.ENDPOINT.set_default("temperature", 1.0)


def main(arguments: list[str]) -> None:
    """The command: see the module's documentation."""
    if arguments:
        raise UserError(
            f"unexpected argument {arguments[0]!r}; everything is given by flags (see --help)"
        )
    config = commandline.require(
        _CONFIG.value, "config", "configs/synthesis.py:topic_styles_persona"
    )
    asked = _WRITING.given()
    part = corpus_flags.part_of_work()
    commandline.stop_on_sigterm()
    try:
        breadth = Breadth(**config.grammar)
    except ValueError as error:
        raise UserError(f"--config.grammar.{error}") from None
    if asked.kind in _OF_CORPUS and (part is not None or asked.merge):
        raise UserError(
            f"--part and --merge are for a grid of documents; --kind={asked.kind} has no grid"
        )
    if endpoint_flags.are_given() or asked.kind in _OF_CORPUS:
        endpoints = endpoint_flags.several(config.seed)
        if asked.kind == _TOPICS:
            _topics_by_endpoint(config, asked, endpoints, corpus_flags.read_options())
        elif asked.kind == "rephrase":
            _rephrasings(config, asked, endpoints, corpus_flags.read_options())
        else:
            _by_endpoint(config, breadth, asked, endpoints, part)
    else:
        _by_grammar(config, breadth, asked, part)


def _by_grammar(
    config: ConfigDict, breadth: Breadth, asked: _Writing, part: WorkPart | None
) -> None:
    for flag in ("topics_file", "personas_file", "input", "merge", "dry_run"):
        if getattr(asked, flag):
            raise UserError(f"--{flag} is for an endpoint: give --base_url and --model too")
    if part is not None:
        raise UserError(f"--part={part} is for an endpoint: give --base_url and --model too")
    output, kind = asked.output, asked.kind
    files.check_replaceable(output, WRITTEN)
    count = config.documents if kind == "documents" else config.questions
    manifest = generate_corpus(breadth, count, config.seed, output, kind)
    rejected = manifest["rejects"]["duplicate"]
    print(
        f"{output}: {manifest[kind]:,} {kind}, {manifest['words']:,} words,"
        f" {rejected:,} duplicates rejected"
    )


def _check_replaceable(asked: _Writing, part: WorkPart | None = None) -> None:
    from divsyn_jax.synthesis.by_endpoint import parts

    stem = "documents" if asked.kind == "rephrase" else asked.kind
    written = f"{stem}.jsonl.zst" if part is None else parts.CANDIDATES
    files.check_replaceable(
        asked.output,
        [
            written,
            f".{written}.partial",
            "cache.sqlite*",
            "manifest.json",
            "score.json",
        ],
    )


def _topics_by_endpoint(
    config: ConfigDict, asked: _Writing, endpoints: list[EndpointSettings], options: ReadOptions
) -> None:
    from divsyn_jax.synthesis.by_endpoint import cost as generation_cost
    from divsyn_jax.synthesis.by_endpoint.topic_extraction import extract_topics

    _check_replaceable(asked)
    corpus = commandline.require(asked.input, "input", "corpus.jsonl.gz")
    if asked.topics_file or asked.personas_file:
        raise UserError("--kind=topics takes --input and no --topics_file or --personas_file")
    if config.documents < 1:
        raise UserError(f"--config.documents={config.documents}: give at least 1")
    if asked.dry_run:
        print(generation_cost.topics_dry_run(corpus, options, config.documents, endpoints))
        return
    manifest = extract_topics(
        corpus, options, endpoints, config.documents, config.seed, asked.output
    )
    print(
        f"{asked.output}: {manifest['topics']:,} topics of {manifest['documents']:,}"
        f" documents{_rejected(manifest)}"
    )


def _rephrasings(
    config: ConfigDict, asked: _Writing, endpoints: list[EndpointSettings], options: ReadOptions
) -> None:
    from divsyn_jax.synthesis.rephrasing.forecast import rephrasing_dry_run
    from divsyn_jax.synthesis.rephrasing.rephrasing_settings import (
        RephrasingSettings,
        check_formats,
    )
    from divsyn_jax.synthesis.rephrasing.writer import RephrasingPlan, rephrase_corpus

    _check_replaceable(asked)
    corpus = commandline.require(asked.input, "input", "corpus.jsonl.gz")
    if asked.topics_file or asked.personas_file:
        raise UserError("--kind=rephrase takes --input and no --topics_file or --personas_file")
    for knob, value in (
        ("documents", config.documents),
        ("endpoint.generations", config.endpoint.generations),
        ("endpoint.candidates", config.endpoint.candidates),
    ):
        if value < 1:
            raise UserError(f"--config.{knob}={value}: give at least 1")
    settings = RephrasingSettings(
        **config.rephrase,
        language=config.endpoint.language,
        near_duplicate=config.endpoint.near_duplicate,
    )
    plan = RephrasingPlan(
        corpus=corpus,
        read=options,
        formats=check_formats(asked.formats),
        sources=config.documents,
        generations=config.endpoint.generations,
        candidates=config.endpoint.candidates,
        seed=config.seed,
    )
    if asked.dry_run:
        print(rephrasing_dry_run(plan, endpoints, settings))
        return
    check_apart(corpus, asked.output)
    manifest = rephrase_corpus(plan, endpoints, settings, asked.output)
    for count, what in (
        (manifest["sources_repeated"], "documents have the text of an earlier one: left out"),
        (
            manifest["sources_cut"],
            f"documents are longer than {settings.source_characters:,} characters: what is beyond"
            " was not told again",
        ),
        (manifest["malformed"], "malformed records skipped"),
    ):
        if count:
            print(f"{count:,} {what}")
    print(
        f"{asked.output}: {manifest['documents']:,} rephrasings of {manifest['sources']:,}"
        f" documents, {manifest['words']:,} words; {manifest['judged']:,} judged"
        f"{_rejected(manifest)}"
    )


def _by_endpoint(
    config: ConfigDict,
    breadth: Breadth,
    asked: _Writing,
    endpoints: list[EndpointSettings],
    part: WorkPart | None,
) -> None:
    from divsyn_jax.synthesis.by_endpoint import cost as generation_cost
    from divsyn_jax.synthesis.by_endpoint.choose_form import forms_of
    from divsyn_jax.synthesis.by_endpoint.gates import Gates
    from divsyn_jax.synthesis.by_endpoint.writer import generate_records

    _check_replaceable(asked, part)
    output, kind = asked.output, asked.kind
    if asked.input:
        raise UserError("--input is for --kind=topics and --kind=rephrase")
    for knob in ("wordings", "formats", "from_back"):
        if getattr(breadth, knob):
            raise UserError(
                f"--config.grammar.{knob} is a knob of the built-in grammar; leave it out, or"
                " --base_url and --model"
            )
    if part is not None and asked.merge:
        raise UserError("--part writes a part and --merge makes the corpus of all: give one")
    knobs = dict(config.endpoint)
    grid = _grid(breadth, asked, [endpoint.model for endpoint in endpoints], config.seed, knobs)
    candidates = knobs.pop("candidates")
    if candidates < 1:
        raise UserError(f"--config.endpoint.candidates={candidates} must be at least 1")
    responses = {name: knobs.pop(f"{name}_response_words") for name in ("min", "max")}
    if kind != "documents":
        knobs.update({f"{name}_words": words for name, words in responses.items()})
    gates = Gates(**knobs)
    forms = forms_of(kind, asked.form, grid, gates)
    if asked.dry_run:
        print(generation_cost.generation_dry_run(grid, endpoints, candidates, forms[0]))
        return
    manifest = generate_records(
        grid, endpoints, gates, candidates, output, forms, part, asked.merge or ()
    )
    if part is not None:
        print(
            f"{output}: part {part} of {manifest['grid']['cells']:,} cells; when all are written,"
            " run the same command with --merge=FOLDER,... in place of --part"
        )
        return
    print(f"{output}: {manifest[kind]:,} {kind}, {manifest['words']:,} words{_rejected(manifest)}")


def _grid(
    breadth: Breadth, asked: _Writing, models: list[str], seed: int, knobs: dict[str, Any]
) -> Any:
    """The grid of the knobs, which it takes out of `knobs`."""
    from divsyn_jax.synthesis import seeds
    from divsyn_jax.synthesis.by_endpoint.grid import Grid
    from divsyn_jax.synthesis.grammar.styles import STYLES

    if asked.personas_file and breadth.personas == 1:
        raise UserError(
            f"--personas_file: the template {breadth.template} has no personas; take"
            " topic_styles_persona"
        )
    for knob in ("generations", "personas_shown"):
        if knobs[knob] < 1:
            raise UserError(f"--config.endpoint.{knob}={knobs[knob]} must be at least 1")
    topics = (
        seeds.read_topics(asked.topics_file)
        if asked.topics_file
        else seeds.built_in_topics(breadth.topics)
    )
    if len(topics) < breadth.topics_per_document:
        raise UserError(
            f"{asked.topics_file}: one topic; the template {breadth.template} combines two"
        )
    return Grid(
        topics=topics,
        # Items have no style: one would only ask the same question again.
        styles=[style.name for style in STYLES[: 1 if asked.kind == "items" else breadth.styles]],
        personas=(
            seeds.read_personas(asked.personas_file)
            if asked.personas_file
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


def run() -> None:
    """Entry point of the command `generate_corpus`."""
    commandline.run(main, __doc__)
