"""Writes tools/benchmarks/judged_pairs.md: effective clusters from pairs judged by known labels.

  python tools/benchmarks/judged_pairs.py CORPUS.jsonl.gz:label_field ... [--repetitions=300]
      [--pairs=400] [--documents=2000] [--embedding_cache=DIR]

Every repetition chooses and answers its pairs anew on the same documents; the truth is that of the
documents' labels. About a second a repetition at 2,000 documents. The table is written after every
corpus; rows of other corpora that were made with the same settings stay in it.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
from tqdm import tqdm

from divsyn_jax.base import files
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity.estimation.all_pairs import pair_distances
from divsyn_jax.diversity.estimation.exact import true_effective_clusters
from divsyn_jax.diversity.pairs.estimate import judge_in_two_phases
from divsyn_jax.diversity.sampling import read_sample
from divsyn_jax.embedding import embeddings, models

OUTPUT = pathlib.Path(__file__).with_suffix(".md")
HEAD = """# Pairs judged by the known labels

{pairs} pairs a repetition, {repetitions} repetitions, {documents:,} documents at most; made by
`tools/benchmarks/judged_pairs.py`.

| corpus | documents | truth | median estimate | sd of log estimate | median error | interval \
holds truth |
| --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+", help="file:field that holds the label")
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--embedding_cache", help="folder that keeps vectors between runs")
    asked = parser.parse_args()
    model = models.load(None)
    head = HEAD.format(**vars(asked))
    before = OUTPUT.read_text(encoding="utf-8") if OUTPUT.exists() else ""
    kept = before.removeprefix(head).splitlines() if before.startswith(head) else []
    rows = {line.split("|")[1].strip(): line for line in kept if line}
    for corpus in asked.corpora:
        spec, _, field = corpus.rpartition(":")
        sample = read_sample(
            spec, ReadOptions(), documents=asked.documents, label_field=field, seed=0
        )
        vectors_NE = embeddings.embed(model.read(sample.texts), model, asked.embedding_cache)
        distances = pair_distances(vectors_NE)
        label_N = np.unique(sample.labels, return_inverse=True)[1]
        truth = true_effective_clusters(np.bincount(label_N))

        def judge(pairs: list[tuple[int, int]], label_N: np.ndarray = label_N) -> list[bool]:
            return [bool(label_N[one] == label_N[two]) for one, two in pairs]

        found = [
            judge_in_two_phases(vectors_NE, judge, asked.pairs, seed, distances)[0]
            for seed in tqdm(range(asked.repetitions), desc=pathlib.Path(spec).name)
        ]
        values = np.array([estimate.value for estimate in found])
        holds = [estimate.ci_low <= truth <= estimate.ci_high for estimate in found]
        cells = (
            pathlib.Path(spec).name.split(".")[0],
            f"{len(sample):,}",
            f"{truth:.1f}",
            f"{np.median(values):.1f}",
            f"{np.log(values).std():.3f}",
            f"{np.median(np.abs(values / truth - 1)):.1%}",
            f"{np.mean(holds):.3f}",
        )
        rows[cells[0]] = f"| {' | '.join(cells)} |"
        files.write_text(OUTPUT, head + "".join(f"{row}\n" for row in rows.values()))
    print(OUTPUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
