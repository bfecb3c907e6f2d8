"""`make ablations CORPUS=... [AGENT=...]`: the ablations of Chen et al. 2024 (arXiv 2410.15226,
appendix B.2) redone.

  python tools/benchmarks/ablations.py CORPUS [--agent=...] [flags of score_corpus on who judges]

One table for each of the paper's choices: documents in a draw (K), draws (N), what the criteria are
made from (J x M), parts of the pipeline, and the judge (--judges adds models to --model;
`embedding` and `oracle` may be named too). All else stays as the flags say. The paper's values
stand beside ours for the shape of the curve, not for the level: it does not name its corpus, and
its judge was probably GPT-4. Offline agents do what applies to them; their granularity stands in
for the parts of a pipeline that they lack. Writes OUTPUT.md and OUTPUT.json; answers of an endpoint
are kept in OUTPUT.sqlite, so that rows share them and a repeated command pays for nothing twice.

Example:
  python tools/benchmarks/ablations.py tb.jsonl.gz --agent=openai \\
      --base_url=http://localhost:8000/v1 --model=qwen3-32b \\
      --judges=llama-3.1-70b@http://localhost:8001/v1,embedding --draw_counts=100,1000
"""

import contextlib
import dataclasses
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import published_ablations as published
from absl import flags

from divsyn_jax.base import commandline, files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import split_name
from divsyn_jax.diversity.agents import flags as agent_flags
from divsyn_jax.diversity.agents.kinds import AGENTS

_OUTPUT = flags.DEFINE_string(
    "output", str(ROOT / "tools" / "benchmarks" / "ablations"), "Where to write, without .md."
)
_LABEL_FIELD = flags.DEFINE_string(
    "label_field", None, "Field that holds the labels for the oracle."
)
_SAMPLE_SIZE = flags.DEFINE_integer(
    "sample_size", 10, "Documents in a draw (K) where K is not what varies."
)
_DRAWS = flags.DEFINE_integer("draws", 1000, "Draws (N) where N is not what varies.")
_SAMPLE_SIZES = flags.DEFINE_list("sample_sizes", ["5", "10", "15", "20"], "The K to try.")
_DRAW_COUNTS = flags.DEFINE_list("draw_counts", ["100", "1000", "5000", "10000"], "The N to try.")
_CRITERIA_SIZES = flags.DEFINE_list(
    "criteria_sizes",
    ["5x10", "5x50", "5x100", "5x500", "3x100", "10x100", "15x100"],
    "The J x M to try.",
)
_HANDWRITTEN = flags.DEFINE_string(
    "handwritten",
    str(ROOT / "tools" / "benchmarks" / "handwritten_criteria.json"),
    "Criteria written by hand.",
)
_JUDGES = flags.DEFINE_list(
    "judges", [], "Further judges: MODEL, MODEL@BASE_URL, embedding or oracle."
)
_MAX_DOCUMENTS = flags.DEFINE_integer(
    "max_documents", 5_000, "Documents sampled from the corpus, at most."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of sample, draws and order of documents.")
_EMBEDDING_CACHE = flags.DEFINE_string(
    "embedding_cache", None, "Directory that keeps embeddings [OUTPUT.embeddings]."
)
flags.adopt_module_key_flags(corpus_flags)
flags.adopt_module_key_flags(agent_flags)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table:

    a setting and how to score under it; a row of the paper alone has no settings.
    """

    setting: str
    settings: Any
    published: str = "-"


@dataclasses.dataclass(frozen=True)
class Ablation:
    """One table; without rows, `note` says why there are none."""

    title: str
    rows: tuple[Row, ...] = ()
    note: str = ""


def main(arguments: list[str]) -> None:
    """Score the corpus under every setting and write the tables."""
    if len(arguments) != 1:
        raise UserError("name one corpus, e.g. ablations.py corpus.jsonl.gz --agent=embedding")
    name, spec = split_name(arguments[0])
    from divsyn_jax.diversity import scoring
    from divsyn_jax.diversity.sampling import require_documents
    from divsyn_jax.diversity.settings import ScoreSettings

    output = _OUTPUT.value.removesuffix(".md")
    base = ScoreSettings(
        **agent_flags.agent_settings(_SEED.value),
        sample_size=_SAMPLE_SIZE.value,
        draws=_DRAWS.value,
        retest=0,
        control_variate=False,
        label_field=_LABEL_FIELD.value,
        answers=pathlib.Path(f"{output}.sqlite"),
        seed=_SEED.value,
        baselines=(),
        max_documents=_MAX_DOCUMENTS.value,
        embedding_cache=_EMBEDDING_CACHE.value or f"{output}.embeddings",
        read=corpus_flags.read_options(),
    )
    # Every setting is checked before the first is scored.
    ablations = [part(base) for part in (_sample_sizes, _draws, _criteria, _pipeline, _judges)]
    sample = scoring.sample_corpus(
        spec, dataclasses.replace(base, agent="oracle") if base.label_field else base
    )
    for row in _rows(ablations):
        require_documents(sample, row.settings.sample_size)
    scorer = _Scorer(name, sample)
    with files.kept_directory(pathlib.Path(output).parent):
        tables = [
            {
                "title": part.title,
                "note": part.note,
                "rows": [scorer.score(row) for row in part.rows],
            }
            for part in ablations
        ]
        tables.append(_granularity(scorer, base))
    content = {
        "corpus": {"name": name, "documents": sample.documents, "fingerprint": sample.fingerprint},
        "settings": {
            "sample_size": base.sample_size,
            "draws": base.draws,
            "seed": base.seed,
            "documents": len(sample),
        },
        "ablations": tables,
    }
    files.write_json(f"{output}.json", content)
    files.write_text(f"{output}.md", _markdown(content, f"agent {base.agent}"))
    print(f"wrote {output}.md and {output}.json")


# --------------------------------------------------------------------------------------------------
# the settings to try


def _sample_sizes(base: Any) -> Ablation:
    rows = [
        Row(
            f"K = {size}",
            dataclasses.replace(base, sample_size=size),
            published.SAMPLE_SIZES.get(size, "-"),
        )
        for size in _numbers(_SAMPLE_SIZES)
    ]
    return Ablation("Documents in a draw (K)", tuple(rows))


def _draws(base: Any) -> Ablation:
    rows = [
        Row(
            f"N = {draws:,}",
            dataclasses.replace(base, draws=draws),
            published.DRAWS.get(draws, "-"),
        )
        for draws in _numbers(_DRAW_COUNTS)
    ]
    return Ablation("Draws (N)", tuple(rows))


def _criteria(base: Any) -> Ablation:
    title = "What criteria are made from (J documents x M proposals)"
    if not base.kind.asks_endpoint:
        return Ablation(title, note=f"Does not apply: the agent {base.agent} has no criteria.")
    rows = []
    for size in _CRITERIA_SIZES.value:
        if not re.fullmatch(r"\d+x\d+", size):
            raise UserError(f"--criteria_sizes={size}: give JxM, e.g. 5x100")
        documents, proposals = map(int, size.split("x"))
        made = _judge(
            base, criteria_file=None, criteria_documents=documents, criteria_proposals=proposals
        )
        rows.append(Row(f"{documents} x {proposals}", made, published.CRITERIA.get(size, "-")))
    return Ablation(
        title, tuple(rows), "The paper gives no scores here, only the leading metadata | metrics."
    )


def _pipeline(base: Any) -> Ablation:
    title = "Parts of the pipeline"
    if not base.kind.asks_endpoint:
        return Ablation(
            title,
            note=f"Does not apply: the agent {base.agent} has no criteria and verifies nothing.",
        )
    by_hand = _judge(base, criteria_file=_HANDWRITTEN.value, verification=False)
    return Ablation(
        title,
        (
            Row("clustering only, criteria by hand", by_hand, published.PIPELINE["clustering"]),
            Row(
                "without verification",
                _judge(base, verification=False),
                published.PIPELINE["no verification"],
            ),
            Row("full", _judge(base, verification=True), published.PIPELINE["full"]),
        ),
    )


def _judges(base: Any) -> Ablation:
    rows = [Row(base.endpoint.model if base.endpoint else base.agent, base)]
    for judge in _JUDGES.value:
        if judge in AGENTS and not AGENTS[judge].asks_endpoint:
            rows.append(Row(judge, dataclasses.replace(base, agent=judge)))
            continue
        if base.endpoint is None:
            raise UserError(
                f"--judges={judge}: a model needs --agent=openai, and its --base_url as a first"
                " judge"
            )
        model, _, url = judge.partition("@")
        endpoint = dataclasses.replace(
            base.endpoint, model=model, base_url=url or base.endpoint.base_url
        )
        rows.append(Row(judge, dataclasses.replace(base, agent="openai", endpoint=endpoint)))
    rows += [Row(f"{judge} (paper)", None, value) for judge, value in published.JUDGES.items()]
    note = (
        "Scores of different judges are not on one scale: compare what they say of several corpora,"
        " not these levels."
    )
    return Ablation("Judge", tuple(rows), note)


def _judge(base: Any, **changes: Any) -> Any:
    return dataclasses.replace(base, judge=dataclasses.replace(base.judge, **changes))


def _numbers(flag: flags.FlagHolder) -> list[int]:
    for value in flag.value:
        if not value.strip().isdecimal():
            raise UserError(f"--{flag.name}={value}: give whole numbers, separated by commas")
    return [int(value) for value in flag.value]


def _rows(ablations: Sequence[Ablation]) -> Iterator[Row]:
    return (row for part in ablations for row in part.rows if row.settings is not None)


# --------------------------------------------------------------------------------------------------
# scoring


class _Scorer:
    """Scores one sample under many settings, each distinct one once; --max_calls and --max_cost
    hold for all together.
    """

    def __init__(self, name: str, sample: Any) -> None:
        self._name, self._sample = name, sample
        self._done: list[tuple[Any, dict[str, Any], tuple]] = []
        self._calls, self._cost = 0, 0.0

    def score(self, row: Row) -> dict[str, Any]:
        """The row of JSON for a row of a table."""
        if row.settings is None:
            return {"setting": row.setting, "published": row.published}
        print(row.setting, file=sys.stderr, flush=True)
        content, criteria = self.content(row.settings)
        found = {
            "setting": row.setting,
            "published": row.published,
            "agent": content["agent"],
            "cluster_score": content["cluster_score"],
            "effective_clusters": content["effective_clusters"],
            "failure_rate": content["failure_rate"],
        }
        if criteria:
            names = [
                [entry.name for entry in entries]
                for entries in (criteria[0].metadata, criteria[0].metrics)
            ]
            found["criteria_of_first_set"] = dict(zip(("metadata", "metrics"), names, strict=True))
        return found

    def content(self, settings: Any) -> tuple[dict[str, Any], tuple]:
        """Content of score.json and the criteria sets it was judged by."""
        for done, content, criteria in self._done:
            if done == settings:
                return content, criteria
        from divsyn_jax.diversity import scoring

        samples = {self._name: self._sample}
        with contextlib.closing(
            scoring.make_agent(self._within_budget(settings), samples)
        ) as agent:
            budget = scoring.corpus_shared_text(self._sample, settings)
            content = scoring.score_corpora(samples, agent, budget, settings)[self._name][0]
            criteria = agent.criteria
        self._calls += content["usage"]["calls"]
        self._cost += content["usage"]["cost"] or 0.0
        self._done.append((settings, content, criteria))
        return content, criteria

    def _within_budget(self, settings: Any) -> Any:
        endpoint = settings.endpoint
        if not settings.kind.asks_endpoint:
            return settings
        left = {}
        if endpoint.max_calls is not None:
            left["max_calls"] = max(0, endpoint.max_calls - self._calls)
        if endpoint.max_cost is not None:
            left["max_cost"] = max(0.0, endpoint.max_cost - self._cost)
        return dataclasses.replace(settings, endpoint=dataclasses.replace(endpoint, **left))


def _granularity(scorer: _Scorer, base: Any) -> dict[str, Any]:
    title = "Granularity (the threshold at which dendrograms are cut)"
    if base.agent != "embedding":
        return {
            "title": title,
            "note": f"Does not apply: the agent {base.agent} has one granularity.",
            "rows": [],
        }
    curve = scorer.content(base)[0]["curve"]
    rows = [
        {"setting": f"cosine distance {point['threshold']:g}", "published": "-", **point}
        for point in curve
    ]
    note = (
        "In place of the parts of the pipeline: what an embedding agent's score owes to a free"
        " choice of its own."
    )
    return {"title": title, "note": note, "rows": rows}


# --------------------------------------------------------------------------------------------------
# markdown

HEAD = """# Ablations of the cluster-agent score

Made by `tools/benchmarks/ablations.py`; {agent}, corpus {name} ({documents:,} documents,
{sampled:,} of them sampled), K = {K} and N = {N:,} where these do not vary, seed {seed}; 95%
intervals over draws{sets}. **Published** is Chen et al. 2024 (arXiv 2410.15226, tables 9 and 10):
another corpus, which it does not name, another judge, probably GPT-4; its +/- is the spread of its
rounds. Compare how a column moves, not its level. A score of disjoint clusters lies in [1/K, K];
the published one at K = 5 does not.
"""


def _markdown(content: dict[str, Any], agent: str) -> str:
    settings, corpus = content["settings"], content["corpus"]
    first = next(row for part in content["ablations"] for row in part["rows"] if "agent" in row)[
        "agent"
    ]
    model = f" ({first['model']})" if first["model"] else ""
    head = HEAD.format(
        agent=f"{agent}{model}",
        name=corpus["name"],
        documents=corpus["documents"],
        sampled=settings["documents"],
        K=settings["sample_size"],
        N=settings["draws"],
        seed=settings["seed"],
        sets=" and criteria sets" if AGENTS[first["kind"]].asks_endpoint else "",
    )
    return "\n".join([head, *(_section(part) for part in content["ablations"])])


def _section(part: dict[str, Any]) -> str:
    lines = [f"## {part['title']}", ""]
    if part["note"]:
        lines += [part["note"], ""]
    if part["rows"]:
        named = any("criteria_of_first_set" in row for row in part["rows"]) and part[
            "title"
        ].startswith("What criteria")
        columns: dict[str, Callable[[dict[str, Any]], str]] = {
            "setting": lambda row: row["setting"],
            "cluster score": lambda row: _interval(row.get("cluster_score")),
            "effective clusters": lambda row: _interval(row.get("effective_clusters")),
            **({"metadata, metrics of the first set": _criteria_names} if named else {}),
            "published": lambda row: row["published"],
        }
        lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        lines += [
            f"| {' | '.join(cell(row).replace('|', '/') for cell in columns.values())} |"
            for row in part["rows"]
        ]
        lines.append("")
    return "\n".join(lines)


def _interval(found: dict[str, Any] | None) -> str:
    return (
        "-"
        if found is None
        else f"{found['value']:.4g} [{found['ci_low']:.4g}, {found['ci_high']:.4g}]"
    )


def _criteria_names(row: dict[str, Any]) -> str:
    return " / ".join(", ".join(names) for names in row["criteria_of_first_set"].values())


if __name__ == "__main__":
    commandline.run(main, __doc__)
