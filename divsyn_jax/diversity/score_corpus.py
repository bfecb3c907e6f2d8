"""Measure the diversity of one or more corpora.

score_corpus CORPUS... --output=DIR

A CORPUS is a .jsonl[.gz|.zst], Parquet or text file, a directory or glob of those,
tfds:name/config:split or hf:name[:config]:split; write name=CORPUS to name it. Every corpus is read
once; draws of --sample_size documents are clustered by the agent; the score with its interval, what
it rests on and the baselines go to DIR/<name>/score.json and draws.jsonl, the comparison of corpora
(in the order given) to DIR/comparison.json and DIR/report.html.
Repeating the command reuses what is finished: a corpus scored with the same content and settings is
not scored again, and an answer of an endpoint is never paid twice (DIR/cache.sqlite).

Agents: embedding (default, offline), oracle (known labels), openai (any OpenAI-compatible endpoint
by --base_url: OpenAI, Azure, vLLM, Ollama, llama.cpp; the key comes from the environment variable
that --api_key_env names). --dry_run prints calls, tokens and cost before anything is asked.

Example:
  score_corpus textbooks=tb.jsonl.gz wiki.jsonl.gz --output=/tmp/scores
  score_corpus tb.jsonl.gz wiki.jsonl.gz --output=/tmp/scores --agent=openai --base_url=http://localhost:8000/v1 \\
      --model=qwen3-32b --draws=1000 --dry_run
"""

import contextlib
import json
import os
import pathlib
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from divsyn_jax.base import commandline, files, terminal_text
from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import split_name
from divsyn_jax.diversity.agents import flags as agent_flags

_OUTPUT = flags.DEFINE_string("output", None, "Directory to write to.")
_LABEL_FIELD = flags.DEFINE_string(
    "label_field", None, "Field that holds the labels for --agent=oracle."
)
_SAMPLE_SIZE = flags.DEFINE_integer("sample_size", 10, "Documents in a draw (K).")
_DRAWS = flags.DEFINE_integer(
    "draws", None, "Draws from each corpus [20,000 offline, 1,000 with --agent=openai]."
)
_TARGET = flags.DEFINE_float(
    "target_half_width",
    None,
    "Stop drawing when the score's 95% interval is this narrow; --draws is the most.",
)
_RETEST = flags.DEFINE_integer(
    "retest", 50, "Draws that --agent=openai is asked again, for its repeatability."
)
_CONTROL_VARIATE = flags.DEFINE_bool(
    "control_variate",
    True,
    "Adjust the scores of --agent=openai by the embedding agent's on the same draws.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of sample, draws and order of documents.")
_BASELINES = flags.DEFINE_string(
    "baselines", "all", "all, none, or some of those that the report lists, by name."
)
_PARITY = flags.DEFINE_enum(
    "parity",
    None,
    ["diversity-0.3"],
    "Give the baselines of that package, with its defects and rounding.",
)
_PERPLEXITY_MODELS = flags.DEFINE_list(
    "perplexity_models",
    [],
    "One or two causal models for perplexity and its gap: Hugging Face directories or names.",
)
_BASELINE_TOKENS = flags.DEFINE_integer(
    "baseline_tokens",
    2_000_000,
    "Words that baselines read from each corpus, at most; the same number from each.",
)
_MATCH_LENGTHS = flags.DEFINE_bool(
    "match_lengths", True, "Compare corpora whose documents differ in length at one length."
)
_MAX_DOCUMENTS = flags.DEFINE_integer(
    "max_documents",
    5_000,
    "Documents sampled uniformly from each corpus for draws and baselines, at most.",
)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 1, "Samples of each corpus to score, for the spread between them."
)
_EMBEDDING_CACHE = flags.DEFINE_string(
    "embedding_cache", None, "Directory that keeps embeddings [OUTPUT/embeddings]."
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Print what would be asked and what it costs, and stop."
)
flags.adopt_module_key_flags(corpus_flags)
flags.adopt_module_key_flags(agent_flags)

_EMBEDDINGS, _ANSWERS = (
    "embeddings",
    "cache.sqlite",
)  # in OUTPUT: the default cache of vectors, and that of answers
_WRITTEN = ("criteria.json", "comparison.json", "report.html")
# What the folder of one corpus consists of.
_SCORE_FILES = ("score.json", "draws.jsonl", "groups.jsonl")
_RESERVED = (".", "..", _EMBEDDINGS, _ANSWERS, *_WRITTEN)
_LONGEST_NAME = 200  # bytes; file systems allow 255, and temporary names add to it
_TABLE = (
    "effective_clusters",
    "cluster_score",
    "near_duplicate_clusters",
    "duplicates.exact",
    "baselines.compression_ratio",
)


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Score the corpora named by the positional arguments."""
    if not arguments:
        raise UserError(
            "name at least one corpus, e.g. score_corpus corpus.jsonl.gz --output=scores"
        )
    output = pathlib.Path(commandline.require(_OUTPUT.value, "output", "scores"))
    if (agent_flags.asked() == "oracle") != bool(_LABEL_FIELD.value):
        raise UserError(
            "--label_field and --agent=oracle go together: give both, e.g. --label_field=topic, or"
            " neither"
        )
    corpora = _named(arguments, output)
    for name in _WRITTEN:
        files.check_no_folder(output / name)
    signal.signal(signal.SIGTERM, _stop)
    # Only now the imports that cost time: --help and usage errors answer at once.
    from divsyn_jax.diversity import baselines, cost, scoring

    settings = scoring.ScoreSettings(
        **agent_flags.agent_settings(_SEED.value),
        label_field=_LABEL_FIELD.value,
        sample_size=_SAMPLE_SIZE.value,
        draws=_DRAWS.value,
        target_half_width=_TARGET.value,
        retest=_RETEST.value,
        control_variate=_CONTROL_VARIATE.value,
        answers=output / _ANSWERS,
        seed=_SEED.value,
        baselines=_baseline_names(baselines.OFFERED),
        baseline_tokens=_BASELINE_TOKENS.value,
        match_lengths=_MATCH_LENGTHS.value,
        parity=_PARITY.value,
        perplexity_models=tuple(_PERPLEXITY_MODELS.value),
        max_documents=_MAX_DOCUMENTS.value,
        rounds=_ROUNDS.value,
        embedding_cache=_EMBEDDING_CACHE.value or output / _EMBEDDINGS,
        read=corpus_flags.read_options(),
    )
    # Every corpus is read before anything is written: a bad one leaves nothing behind, and all
    # share one word budget.
    samples = {name: scoring.sample_corpus(spec, settings) for name, spec in corpora.items()}
    for name, sample in samples.items():
        for problem in sample.problems:
            print(f"{name}: skipped {problem}")
    budget = baselines.common_budget(
        [scoring.corpus_budget(sample, settings) for sample in samples.values()],
        settings.match_lengths,
    )
    if _DRY_RUN.value:
        print(cost.dry_run(samples, budget, settings))
        return
    with (
        files.kept_directory(output),
        contextlib.closing(scoring.make_agent(settings, samples)) as agent,
    ):
        _score(output, corpora, samples, agent, budget, settings)


def _score(
    output: pathlib.Path,
    corpora: Mapping[str, str],
    samples: Mapping[str, Any],
    agent: Any,
    budget: Any,
    settings: Any,
) -> None:
    from divsyn_jax.diversity import rounds, scoring
    from divsyn_jax.diversity.agents import criteria

    if agent.kind == "openai":
        criteria.save(output / "criteria.json", agent.criteria, {"agent": agent.settings()})
    scores: dict[str, dict[str, Any]] = {}
    for name, sample in samples.items():
        finished = _finished(output / name, scoring.identity(name, sample, agent, budget, settings))
        if finished is not None:
            print(
                f"{name}: scored before with the same content and settings; reused"
                f" {output / name / 'score.json'}"
            )
            scores[name] = finished
    missing = {name: sample for name, sample in samples.items() if name not in scores}
    if missing:
        made = scoring.score_corpora(missing, agent, budget, settings)
        if settings.rounds > 1:
            rounds.add_rounds(
                {name: score for name, (score, _) in made.items()}, corpora, agent, budget, settings
            )
        for name, (score, draws) in made.items():
            with files.new_directory(output / name, _SCORE_FILES) as folder:
                files.write_text(
                    folder / "draws.jsonl", "".join(json.dumps(draw) + "\n" for draw in draws)
                )
                files.write_json(folder / "score.json", score)
            scores[name] = score
    _write_comparison(output, [scores[name] for name in samples], list(samples.values()))


def _named(arguments: Sequence[str], output: pathlib.Path) -> dict[str, str]:
    corpora: dict[str, str] = {}
    for argument in arguments:
        name, spec = split_name(argument)
        if name in corpora:
            raise UserError(
                f"{argument}: a second corpus named {name!r}; give each its own name, as"
                f" NAME={spec}"
            )
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
        files.check_replaceable(folder, _SCORE_FILES)
        corpora[name] = spec
    return corpora


def _baseline_names(offered: Sequence[str]) -> tuple[str, ...]:
    if _BASELINES.value in ("all", "none"):
        return tuple(offered) if _BASELINES.value == "all" else ()
    return tuple(dict.fromkeys(name.strip() for name in _BASELINES.value.split(",")))


def _finished(folder: pathlib.Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """The score in `folder` when it was made from the same content with the same settings."""
    if not (folder / "score.json").exists():
        return None
    score = files.read_json(folder / "score.json")
    if not isinstance(score, dict) or any(
        score.get(key) != identity[key] for key in identity if key != "corpus"
    ):
        return None
    same = ("fingerprint", "label_fingerprint")
    if any(score["corpus"][key] != identity["corpus"][key] for key in same):
        return None
    return score


def _write_comparison(
    output: pathlib.Path, scores: Sequence[dict[str, Any]], samples: Sequence[Any]
) -> None:
    from divsyn_jax.diversity import comparison, report

    compared = comparison.compare(scores)
    draws = [files.read_jsonl(output / score["corpus"]["name"] / "draws.jsonl") for score in scores]
    files.write_json(output / "comparison.json", compared)
    files.write_text(output / "report.html", report.render(scores, compared, samples, draws))
    names = compared["corpora"]
    shown = {name: terminal_text.one_line(name) for name in names}
    width = max(map(len, [*shown.values(), "corpus"]))
    columns = {metric: max(len(metric), 27) for metric in _TABLE}
    print(
        f"\n{'corpus':<{width}} "
        f" {'  '.join(f'{metric:>{size}}' for metric, size in columns.items())}"
    )
    for name in names:
        cells = []
        for metric, size in columns.items():
            values = compared["metrics"][metric][name]
            bounds = [report.number(values[end]) for end in ("ci_low", "ci_high") if end in values]
            cell = report.number(values["value"]) + (f" [{', '.join(bounds)}]" if bounds else "")
            cells.append(f"{cell:>{size}}")
        print(f"{shown[name]:<{width}}  {'  '.join(cells)}")
    agent = compared["agent"]
    failed = sum(len(score["failures"]) for score in scores)
    print(
        f"\nAgent {agent['kind']} {agent['settings']}; 95% intervals over"
        f" draws{f'; {failed} draws failed' * (failed > 0)}."
    )
    print(f"Report: {output / 'report.html'}")


def _stop(signum: int, frame: Any) -> None:
    raise Unfinished(
        f"stopped by signal {signum} in process {os.getpid()}; run the same command to continue"
    )


if __name__ == "__main__":
    run()
