"""Measure the diversity of one or more corpora.

  score_corpus textbooks=tb.jsonl.gz wiki.jsonl.gz --output=scores
  score_corpus tb.jsonl.gz wiki.jsonl.gz --output=scores --agent=openai \\
      --base_url=http://localhost:8000/v1 --model=qwen3-32b --draws=1000 --dry_run

A corpus is a .jsonl[.gz|.zst], Parquet or text file, a directory or glob of those,
tfds:name/config:split or hf:name[:config]:split; write NAME=CORPUS to name it. Every corpus is read
once; draws of --sample_size documents are clustered by the agent. OUTPUT/<name>/score.json holds
the score with its interval, what it rests on, and the baselines; draws.jsonl lies beside it. The
comparison of the corpora, in the order given, is OUTPUT/comparison.json and OUTPUT/report.html.
Repeating the command reuses what is finished: a corpus scored with the same content and settings is
not scored again, and an answer of an endpoint is never paid twice (OUTPUT/cache.sqlite).

Agents: embedding (default, offline), oracle (known labels), openai (any OpenAI-compatible endpoint
by --base_url: OpenAI, Azure, vLLM, Ollama, llama.cpp; the key comes from the environment variable
that --api_key_env names). --dry_run prints calls, tokens and cost before anything is asked.

Draws can be asked in parts, by processes that share nothing, and by files of questions and answers
in place of calls, until the command ends with another exit code than 75:

  score_corpus ... --agent=openai --criteria=criteria.json --output=parts/1 --part=1/2
  score_corpus ... --agent=openai --criteria=criteria.json --output=parts/2 --part=2/2
  score_corpus ... --agent=openai --criteria=criteria.json --output=scores --merge=parts/1,parts/2
  score_corpus ... --agent=openai --output=scores --batch_out=requests.jsonl
  score_corpus ... --agent=openai --output=scores --batch_out=requests.jsonl \
      --batch_in=results.jsonl
"""

import contextlib
import dataclasses
import os
import pathlib
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from divsyn_jax.base import commandline, files, setting_flags, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import number
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import named_corpora
from divsyn_jax.diversity.agents import flags as agent_flags
from divsyn_jax.diversity.agents.kinds import agents_with
from divsyn_jax.diversity.pairs.pair_settings import PairSettings
from divsyn_jax.diversity.settings import ScoreSettings

if TYPE_CHECKING:
    from divsyn_jax.diversity.agents.base import Agent
    from divsyn_jax.diversity.baselines import SharedText
    from divsyn_jax.diversity.comparison import Measurement
    from divsyn_jax.diversity.sampling import Sample
    from divsyn_jax.diversity.score_records import Score


@dataclasses.dataclass(frozen=True)
class _Output:
    """What becomes of the scores.

    Attributes:
      output: directory to write to.
      merge: outputs of all parts, each asked with --part=i/n, whose answers the score is made of;
        only what they lack is asked.
      dry_run: print what would be asked and what it costs, and stop.
    """

    output: Annotated[pathlib.Path, Flag(example="scores")]
    merge: tuple[str, ...] = ()
    dry_run: bool = False


_OUTPUT = setting_flags.define(_Output, "output")
_SCORE = setting_flags.define(
    ScoreSettings,
    {
        "corpora": ["label_field", "max_documents", "match_lengths", "rounds"],
        "draws": [
            *("sample_size", "draws", "target_half_width", "retest", "control_variate", "seed"),
        ],
        "baselines": [
            *("facets", "baselines", "baseline_tokens", "perplexity_models", "proxy", "parity"),
        ],
        "output": ["embedding_cache"],
    },
    without=[*agent_flags.AGENT_SETTINGS, "endpoint", "judge", "answers", "read", "pairs"],
)
_PAIRS = setting_flags.define(PairSettings, "agent")
setting_flags.adopt(corpus_flags)
setting_flags.adopt(agent_flags)

_EMBEDDINGS, _ANSWERS = (
    "embeddings",
    "cache.sqlite",
)  # in OUTPUT: the default cache of vectors, and that of answers
_WRITTEN = ("criteria.json", "comparison.json", "report.html", "part.json")
_RESERVED = (".", "..", _EMBEDDINGS, _ANSWERS, *_WRITTEN)
_LONGEST_NAME = 200  # bytes; file systems allow 255, and temporary names add to it
_TITLES = ("effective clusters", "C/S")


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Score the corpora named by the positional arguments."""
    if not arguments:
        raise UserError(
            f"name at least one corpus, e.g. {commandline.program()} corpus.jsonl.gz"
            " --output=scores"
        )
    asked = _OUTPUT.given()
    output = asked.output
    if agent_flags.asked().reads_labels != bool(_SCORE.value("label_field")):
        raise UserError(
            f"--label_field and {agents_with('reads_labels')} go together: give both, e.g."
            " --label_field=topic, or neither"
        )
    corpora = _named(arguments, output)
    for name in _WRITTEN:
        files.check_no_folder(output / name)
    commandline.stop_on_sigterm()
    pairs = _PAIRS.given()
    # Only now the imports that cost time: --help and usage errors answer at once.
    from divsyn_jax.diversity import baselines, cost, rounds, scoring
    from divsyn_jax.diversity.agents import criteria, parts
    from divsyn_jax.diversity.pairs import of_corpus

    settings = _SCORE.given(
        **agent_flags.agent_settings(_SCORE.value("seed"), bool(pairs.pair_judge)),
        pairs=pairs,
        answers=output / _ANSWERS,
        embedding_cache=_SCORE.value("embedding_cache") or output / _EMBEDDINGS,
        read=corpus_flags.read_options(is_split=True),
    )
    of_corpus.check_corpora(list(corpora), pairs)
    part = corpus_flags.part_of_work()
    merge = asked.merge or ()
    if part is not None or merge:
        parts.check_splits(settings)
        if part is not None and merge:
            raise UserError("--part asks for a part and --merge scores all: give one")
    # Every corpus is read before anything is written: a bad one leaves nothing behind, and all
    # share one budget of text.
    samples = {name: scoring.sample_corpus(spec, settings) for name, spec in corpora.items()}
    for name, sample in samples.items():
        for problem in sample.problems:
            print(f"{name}: skipped {problem}")
        if sample.empty:
            print(f"{name}: {sample.empty:,} empty documents were left out")
    shared = baselines.common_shared_text(
        [scoring.corpus_shared_text(sample, settings) for sample in samples.values()],
        settings.match_lengths,
    )
    for note in shared.notes():
        print(terminal_text.for_terminal(note))
    if asked.dry_run:
        print(cost.scoring_dry_run(samples, shared, settings))
        return
    if part is not None:
        settings = parts.settings_of_part(settings, part)
        if not settings.judge.criteria_file:
            print(
                "every part finds criteria of its own, which must come out alike: give all parts"
                " the same --criteria=FILE",
                file=sys.stderr,
            )
    with contextlib.ExitStack() as stack:
        stack.enter_context(files.kept_directory(output))
        merged = parts.merge_parts(merge, settings, output / _ANSWERS) if merge else []
        read = [scoring.corpus_record(name, sample) for name, sample in samples.items()]
        parts.check_judged(merged, read, merge)
        agent = stack.enter_context(contextlib.closing(scoring.make_agent(settings, samples)))
        if part is not None or merged:
            same = {
                name: scoring.identity(name, sample, agent, shared, settings)
                for name, sample in samples.items()
            }
            parts.check_identities(merged, same, merge)
        if part is not None:
            asked_draws, failed = rounds.ask_part_of_rounds(
                corpora, samples, agent, shared, settings, part
            )
            criteria.save_criteria(output / "criteria.json", agent.criteria, {})
            parts.save_part(output, part, same, settings)
            print(
                f"{output}: part {part}, {asked_draws:,} draws asked, {failed:,} without a usable"
                " answer; when all parts are there, run the same command with"
                " --merge=OUTPUT,... in place of --part"
            )
            return
        if pairs.pairs_out is not None:
            print(of_corpus.write_pairs(samples, agent, shared, settings))
            return
        _score(output, corpora, samples, agent, shared, settings)


def _score(
    output: pathlib.Path,
    corpora: Mapping[str, str],
    samples: Mapping[str, "Sample"],
    agent: "Agent",
    shared: "SharedText",
    settings: "ScoreSettings",
) -> None:
    from divsyn_jax.diversity import rounds, score_file, scoring
    from divsyn_jax.diversity.agents import criteria
    from divsyn_jax.diversity.pairs import of_corpus
    from divsyn_jax.diversity.redundancy import clusters_file

    inputs = of_corpus.read_inputs(samples, agent, shared, settings)
    if agent.criteria:
        criteria.save_criteria(
            output / "criteria.json", agent.criteria, {"agent": agent.settings()}
        )
    scores: dict[str, Score] = {}
    for name, sample in samples.items():
        identity = scoring.identity(name, sample, agent, shared, settings)
        finished = score_file.finished_score(output / name, identity)
        if finished is not None:
            print(
                f"{name}: scored before with the same content and settings; reused"
                f" {output / name / 'score.json'}"
            )
            scores[name] = finished
    missing = {name: sample for name, sample in samples.items() if name not in scores}
    if missing:
        _say_first(missing, agent, shared, settings)
        made = scoring.score_corpora(missing, agent, shared, settings)
        if settings.rounds > 1:
            rounds.add_rounds(
                {name: score for name, (score, _) in made.items()}, corpora, agent, shared, settings
            )
        fresh = {name: score for name, (score, _) in made.items()}
        groups = of_corpus.add_pairs(fresh, samples, inputs, agent, shared, settings)
        for name, (score, draws) in made.items():
            score_file.write_score(output / name, score, draws, groups.get(name))
            scores[name] = score
    for name, sample in samples.items():
        if not clusters_file.holds_redundancy(output / name):
            found = scoring.redundancy(name, sample, agent, shared, settings)
            if found is not None:
                clusters_file.write_redundancy(output / name, found)
    # The page shows the documents as they were judged.
    judged = [scoring.as_read(sample, shared) for sample in samples.values()]
    _write_comparison(output, [scores[name] for name in samples], judged)


def _say_first(
    samples: Mapping[str, "Sample"],
    agent: "Agent",
    shared: "SharedText",
    settings: "ScoreSettings",
) -> None:
    """A first estimate of what is scored next, on standard error beside the progress."""
    from divsyn_jax.diversity import scoring
    from divsyn_jax.diversity.agents.base import Embedder
    from divsyn_jax.diversity.reporting.first_estimate import first_estimate

    if isinstance(agent, Embedder):
        read = {name: scoring.as_read(sample, shared) for name, sample in samples.items()}
        said = first_estimate(read, agent, settings.seed)
        if said is not None:
            print(_wrapped(said.text()), file=sys.stderr, flush=True)


def _named(arguments: Sequence[str], output: pathlib.Path) -> dict[str, str]:
    from divsyn_jax.diversity import score_file

    corpora = named_corpora(arguments)
    for argument, (name, spec) in zip(arguments, corpora.items(), strict=True):
        folder = output / name
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise UserError(
                f"{name[:40]}...: too long to name a folder; name the corpus otherwise, as"
                f" NAME={spec}"
            )
        ours = not os.path.lexists(folder) or (folder / "score.json").exists()
        if name in _RESERVED or not ours:
            # A finished score is replaced whole; never replace a folder that is something else.
            raise UserError(
                f"{argument}: {folder} is not a score's folder; name the corpus otherwise, as"
                f" NAME={spec}"
            )
        files.check_replaceable(folder, score_file.SCORE_FILES)
    return corpora


def _write_comparison(
    output: pathlib.Path, scores: Sequence["Score"], samples: Sequence["Sample"]
) -> None:
    from divsyn_jax.diversity import comparison, legibility, score_file
    from divsyn_jax.diversity.pairs import in_words
    from divsyn_jax.diversity.redundancy import clusters_file
    from divsyn_jax.diversity.reporting import (
        answer,
        enough,
        facet_profile,
        redundancy_part,
        score_page,
    )

    compared = comparison.comparison_of(scores)
    draws = [score_file.read_draws(output / score["corpus"]["name"]) for score in scores]
    comparison.write_comparison(output / "comparison.json", compared)
    found = [clusters_file.read_redundancy(output / score["corpus"]["name"]) for score in scores]
    page = score_page.render_scores(scores, compared, samples, draws, found)
    files.write_text(output / "report.html", page)
    print(f"\n{_table(scores)}\n")
    for line in [line for score in scores for line in in_words.lines(score)]:
        print(terminal_text.for_terminal(line))
    for note in [legibility.warning(score) for score in scores]:
        if note:
            print(terminal_text.for_terminal(f"WARNING: {note}."))
    failed = sum(len(score["failures"]) for score in scores)
    if failed:
        print(f"{failed} draws failed and are left out.")
    for note in legibility.cuts(scores):
        print(terminal_text.for_terminal(f"{note}."))
    for sentence in [
        *answer.saturation(scores),
        *answer.copies(scores, compared),
        *facet_profile.facets_in_words(scores),
        *answer.kinds(scores),
        *answer.band(compared),
        *enough.enough(scores),
        *[
            sentence
            for score, each in zip(scores, found, strict=True)
            if each is not None
            for sentence in redundancy_part.sentences(score["corpus"]["name"], each)
        ],
    ]:
        print(_wrapped(sentence.text()))
    print(f"Report: {output / 'report.html'}")
    print(_wrapped(" ".join(sentence.text() for sentence in answer.answer(scores, compared))))


def _table(scores: Sequence["Score"]) -> str:
    """Corpora with both numbers and their intervals over documents, at most 80 columns wide."""
    from divsyn_jax.diversity import comparison
    from divsyn_jax.diversity.reporting import answer

    shown = answer.comparable_intervals(scores)
    cells = [
        [
            _cell(shown[score["corpus"]["name"]]),
            _cell(comparison.measurement(score, "cluster_score")),
        ]
        for score in scores
    ]
    widths = [
        max(len(title), *(len(row[place]) for row in cells)) for place, title in enumerate(_TITLES)
    ]
    room = terminal_text.TERMINAL_COLUMNS - sum(widths) - 2 * len(widths)
    names = [terminal_text.one_line(score["corpus"]["name"]) for score in scores]
    short = [name if len(name) <= room else f"{name[: room - 3]}..." for name in names]
    width = max(map(len, [*short, "corpus"]))
    rows = zip(["corpus", *short], [list(_TITLES), *cells], strict=True)
    lines = ["  ".join([name.ljust(width), *map(str.rjust, row, widths)]) for name, row in rows]
    over = "documents and draws"
    if comparison.profiles_of(scores) is not None:
        over = "documents, of C/S over documents and draws"
    of_each = answer.comparable(scores)[1]
    note = f"Effective clusters are{of_each}. " * bool(of_each)
    return "\n".join([*lines, _wrapped(f"{note}95% intervals over {over}.")])


def _cell(measured: "Measurement") -> str:
    ends = [measured.get("ci_low"), measured.get("ci_high")]
    bounds = [number(end) for end in ends if end is not None]
    return number(measured["value"]) + (f" [{', '.join(bounds)}]" if bounds else "")


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text, terminal_text.TERMINAL_COLUMNS, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    run()
