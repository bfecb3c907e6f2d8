"""Writes tools/benchmarks/human_agreement.md: how well metrics of diversity agree with people.

  python tools/benchmarks/human_agreement.py [human_sets.jsonl.gz, ../shared/data/... unless given]

872 sets of five or ten answers that people scored (arXiv 2004.02990); Spearman's correlation by
group of tasks and its mean over groups. Says so and ends where the data are absent. Some minutes on
one core, nearly all for the embeddings (--vectors=FILE keeps them in a .npy file).

Shapes: K documents of a set, E embedding dimensions.
"""

import argparse
import collections
import gzip
import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
from scipy import stats

from divsyn_jax.base import files
from divsyn_jax.diversity.baselines.embedding import dcscore, remote_clique
from divsyn_jax.diversity.baselines.novelsum import novelsum
from divsyn_jax.diversity.baselines.vendi import vendi_score
from divsyn_jax.diversity.estimation.all_pairs import (
    CURVE,
    GRANULARITIES,
    MIDDLES_B,
    effective_clusters_at,
    join_at,
    pair_distances,
    profile_mean,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUT = pathlib.Path(__file__).with_suffix(".md")
DATA = ROOT.parent / "shared" / "data" / "human_sets_dev.jsonl.gz"
HEAD = """# Agreement with people

Spearman's correlation of each metric with people's mean score of a set's diversity, by group of
tasks, and the mean over groups; {sets:,} sets; made by `tools/benchmarks/human_agreement.py` with
{model}. The standard error of one correlation over 200 sets is about 0.05, that of a difference of
two metrics on the same sets less.

"""

Metric = Callable[[Sequence[str], np.ndarray], float]


def distinct(texts: Sequence[str], order: int) -> float:
    """Distinct n-grams over n-grams of all texts of a set (Li et al. 2016, arXiv 1510.03055)."""
    grams = [
        tuple(words[start : start + order])
        for words in (text.lower().split() for text in texts)
        for start in range(len(words) - order + 1)
    ]
    return len(set(grams)) / max(1, len(grams))


def metrics() -> Mapping[str, Metric]:
    """Every metric by name, as functions of a set's texts and vectors."""

    def at(middle: float) -> Metric:
        join_B = join_at(middle).at(MIDDLES_B)
        return lambda texts, vectors: effective_clusters_at(pair_distances(vectors), join_B).value

    names = {join.middle: f", {name}" for name, join in GRANULARITIES.items()}
    return {
        "effective kinds, all granularities": lambda texts, vectors: (
            profile_mean(pair_distances(vectors)).value
        ),
        **{f"effective kinds at {middle:g}{names.get(middle, '')}": at(middle) for middle in CURVE},
        "Vendi score": lambda texts, vectors: vendi_score(vectors),
        "Vendi score, order 2": lambda texts, vectors: vendi_score(vectors, 2.0),
        "DCScore, temperature 0.1": lambda texts, vectors: dcscore(vectors),
        "NovelSum": lambda texts, vectors: novelsum(vectors),
        "remote clique": lambda texts, vectors: remote_clique(vectors).value,
        "distinct-1": lambda texts, vectors: distinct(texts, 1),
        "distinct-2": lambda texts, vectors: distinct(texts, 2),
        "distinct-3": lambda texts, vectors: distinct(texts, 3),
    }


def agreement(
    records: Sequence[Mapping], vectors: Sequence[np.ndarray]
) -> tuple[list[str], dict[str, list[float]]]:
    """Names of the groups, and each metric's Spearman correlation in each of them.

    Args:
      records: sets with `texts`, `human`, `test` and `task`.
      vectors: [K, E] of each set.
    """
    members = collections.defaultdict(list)
    for index, record in enumerate(records):
        members[f"{record['test']} {record['task']}"].append(index)
    human = np.array([record["human"] for record in records])
    found = {}
    for name, metric in metrics().items():
        values = np.array(
            [metric(record["texts"], part) for record, part in zip(records, vectors, strict=True)]
        )
        found[name] = [
            float(stats.spearmanr(values[indices], human[indices]).statistic)
            for indices in members.values()
        ]
    return list(members), found


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default=str(DATA))
    parser.add_argument("--vectors", help="a .npy file that keeps the vectors of all texts")
    arguments = parser.parse_args()
    if not pathlib.Path(arguments.data).is_file():
        print(f"{arguments.data}: not here; nothing measured")
        return
    with gzip.open(arguments.data, "rt", encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    texts = [text for record in records for text in record["texts"]]
    from divsyn_jax.embedding import embeddings, models

    model = models.load(None)

    kept = arguments.vectors and pathlib.Path(arguments.vectors)
    if kept and kept.is_file():
        vectors_NE = np.load(kept)
        if len(vectors_NE) != len(texts):
            sys.exit(f"{kept}: {len(vectors_NE)} vectors for {len(texts)} texts; remove it")
    else:
        vectors_NE = embeddings.embed(model.read(texts), model)
        if kept:
            np.save(kept, vectors_NE)
    ends = np.cumsum([len(record["texts"]) for record in records])
    groups, found = agreement(records, np.split(vectors_NE, ends[:-1]))
    lines = [
        HEAD.format(sets=len(records), model=model.name),
        f"| metric | {' | '.join(groups)} | mean |\n",
        f"| --- |{' --- |' * (len(groups) + 1)}\n",
    ]
    for name, values in found.items():
        cells = [f"{value:.3f}" for value in [*values, float(np.mean(values))]]
        lines.append(f"| {name} | {' | '.join(cells)} |\n")
    files.write_text(OUTPUT, "".join(lines))
    print("".join(lines))


if __name__ == "__main__":
    main()
