"""Writes tools/benchmarks/facet_response.md: what each facet sees, whether its intervals hold, and
whether the style facet parts sources of real text.

  python tools/benchmarks/facet_response.py [--seeds=5] [--documents=400] [--replications=300]
      [--cache=DIR] [--data=../shared/data] [--known_topics_seeds=0]

Corpora of the built-in grammar whose five knobs vary independently: a half fraction of 2^5 of
resolution V, sixteen corpora, main effects clear of each other and of interactions of two. Nearly
all of the time goes to the embeddings (6,400 documents a seed), which --cache keeps.
--known_topics_seeds adds a matrix of so many seeds, of corpora of 400 documents, for which the true
topics stand in for embeddings: that of all facets but topic.

Shapes: N documents, C corpora, A axes, E embedding dimensions.
"""

import argparse
import gzip
import itertools
import json
import math
import pathlib
import sys
from collections.abc import Iterator, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np
from scipy import special

from divsyn_jax.base import files
from divsyn_jax.base.words import count_words, first_words
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.facets.measured import (
    FacetPairs,
    estimate_of_choices,
    measure_facets,
)
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.facets.records import FacetRecord
from divsyn_jax.diversity.facets.style import registers
from divsyn_jax.diversity.facets.text_parts import text_parts
from divsyn_jax.embedding import embeddings, models
from divsyn_jax.synthesis.grammar.grammar import Breadth, generate_passages

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUT = pathlib.Path(__file__).with_suffix(".md")
DATA = ROOT.parent / "shared" / "data"
AXES = ("topics", "styles", "personas", "wordings", "formats")
LOW = dict(zip(AXES, (4, 1, 1, 1, 1), strict=True))
HIGH = dict(zip(AXES, (32, 8, 16, 6, 8), strict=True))
OWN = {"topic": "topics", "style": "styles", "structure": "formats", "wording": "wordings"}
SAMPLE = 200  # documents of a replication
KNOWN = 400  # documents of a corpus whose topics are taken as known
SOURCES = ("real_wiki", "real_c4_ref", "real_books", "syn_textbooks_mistral", "syn_chatdoctor_5k")
OF_SOURCE, SOURCE_WORDS = 60, 120
STRATUM = 0.05  # of cosine distance: pairs within one are at equal topic

Vectors = np.ndarray


def design() -> np.ndarray:
    """[C, A] -1 or 1: the half fraction whose last axis is the product of the others."""
    half = np.array(list(itertools.product((-1, 1), repeat=len(AXES) - 1)))
    return np.column_stack([half, half.prod(axis=1)])


def corpora(seed: int, documents: int) -> Iterator[tuple[list[str], list[str]]]:
    """The texts and topics of the sixteen corpora, each from a seed of its own."""
    for number, row in enumerate(design()):
        breadth = Breadth(
            **{axis: (HIGH if at > 0 else LOW)[axis] for axis, at in zip(AXES, row, strict=True)}
        )
        passages = generate_passages(breadth, 1000 * seed + number)
        taken = list(itertools.islice(passages, documents))
        yield [each["text"] for each in taken], [each["topic"] for each in taken]


def of_known_topics(topics: Sequence[str]) -> Vectors:
    """Unit vectors as of a perfect embedding: one direction a topic."""
    names = sorted(set(topics))
    return np.eye(len(names), dtype=np.float32)[[names.index(topic) for topic in topics]]


def shares(values_SC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([A + 1] share of the variance of the logarithm between the corpora of a seed that each main
    effect carries, and the rest; [A] the effect, half the difference of high and low)."""
    logs_SC = np.log(values_SC)
    logs_SC = logs_SC - logs_SC.mean(axis=1, keepdims=True)
    effects_SA = logs_SC @ design() / len(design())
    explained_A = len(design()) * (effects_SA**2).sum(axis=0)
    share_A = explained_A / (logs_SC**2).sum()
    return np.append(share_A, 1 - share_A.sum()), effects_SA.mean(axis=0)


def measured(texts: Sequence[str], vectors_NE: Vectors) -> dict[str, FacetRecord]:
    """All facets of a corpus."""
    return measure_facets(FACET_NAMES, texts, vectors_NE)


def value_of(record: FacetRecord) -> float:
    """The value of a facet that has one."""
    assert record["value"] is not None, record
    return record["value"]


def response_lines(found: Sequence[Sequence[dict[str, FacetRecord]]]) -> list[str]:
    """The response matrix as a table."""
    lines = [
        f"| facet | {' | '.join(AXES)} | rest | its own, lowest of a seed | narrowest to widest |",
        "|" + " --- |" * (len(AXES) + 4),
    ]
    for facet in FACET_NAMES:
        values_SC = np.array([[value_of(each[facet]) for each in seed] for seed in found])
        share, effect = shares(values_SC)
        own = AXES.index(OWN[facet])
        lowest = min(shares(values_SC[[row]])[0][own] for row in range(len(values_SC)))
        cells = [
            f"{'**' if axis == own else ''}{100 * share[axis]:.1f}%"
            f"{'**' if axis == own else ''} ({effect[axis]:+.2f})"
            for axis in range(len(AXES))
        ]
        lines.append(
            f"| {facet} | {' | '.join(cells)} | {100 * share[-1]:.1f}% | {100 * lowest:.1f}% |"
            f" {values_SC.min():.2f} to {values_SC.max():.2f} |"
        )
    return lines


def coverage_lines(texts: Sequence[str], vectors_NE: Vectors, replications: int) -> list[str]:
    """How often the intervals of samples hold the value of the pool that they were drawn from."""
    pairs = FacetPairs(texts, vectors_NE)
    everything = slice(0, len(texts))
    rng = np.random.default_rng(0)
    samples = [rng.choice(len(texts), SAMPLE, replace=False) for _ in range(replications)]
    lines = ["| facet | the pool's, for a sample | coverage | half width |", "|" + " --- |" * 4]
    for name in FACET_NAMES:
        if name == "wording":
            parts = [part.astype(np.float64) for part in pairs.choices(everything)]
        else:
            alike_NN = pairs.similarity(name, everything).astype(np.float64)
            parts = [alike_NN, np.ones_like(alike_NN)]
        for part in parts:
            np.fill_diagonal(part, 0)
        true = hill(parts[0].sum() / parts[1].sum(), SAMPLE)
        held, widths = 0, []
        for chosen in samples:
            # Of ones, the sums are N - 1 for every document: the estimate is that of means.
            found = estimate_of_choices(
                *(part[np.ix_(chosen, chosen)].sum(axis=1) for part in parts)
            )
            assert found is not None
            held += found.ci_low <= true <= found.ci_high
            widths.append(math.log(found.ci_high / found.ci_low) / 2)
        lines.append(
            f"| {name} | {true:.2f} | {held / replications:.1%} |"
            f" {math.expm1(np.mean(widths)):.1%} |"
        )
    return lines


def real_texts(folder: pathlib.Path) -> tuple[list[str], np.ndarray]:
    """Documents of several sources, cut to one length, and the number of each one's source."""
    texts: list[str] = []
    sources: list[int] = []
    for number, source in enumerate(SOURCES):
        taken = 0
        with gzip.open(folder / f"{source}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                text = json.loads(line)["text"]
                if count_words(text) >= SOURCE_WORDS:
                    texts.append(first_words(text, SOURCE_WORDS))
                    sources.append(number)
                    taken += 1
                if taken == OF_SOURCE:
                    break
    return texts, np.array(sources)


def parted(texts: Sequence[str], sources_N: np.ndarray, vectors_NE: Vectors) -> tuple[float, float]:
    """(AUC, its standard error over documents): the chance that of two pairs of documents at equal
    topic, one of one source and one of two, that of one source is the more alike in style."""
    register = registers([text_parts(text).running for text in texts])
    alike_NN = register.same_style(slice(0, len(texts)))
    stratum_NN = ((1 - vectors_NE @ vectors_NE.T) / STRATUM).astype(int)
    same_NN = sources_N[:, None] == sources_N
    won, compared = np.zeros(len(texts)), np.zeros(len(texts))
    for row in range(len(texts)):
        others = np.arange(len(texts)) != row
        for level in np.unique(stratum_NN[row]):
            within = others & (stratum_NN[row] == level)
            one, two = alike_NN[row][within & same_NN[row]], alike_NN[row][within & ~same_NN[row]]
            if len(one) and len(two):
                above = (one[:, None] > two).sum() + 0.5 * (one[:, None] == two).sum()
                won[row] += above
                compared[row] += len(one) * len(two)
    auc = won.sum() / compared.sum()
    terms = (won - auc * compared) / compared.mean()
    return float(auc), float(2 * terms.std(ddof=1) / math.sqrt(len(texts)))


def main() -> None:
    """Compute and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--documents", type=int, default=400)
    asked.add_argument("--replications", type=int, default=300)
    asked.add_argument("--cache", default=None)
    asked.add_argument("--data", type=pathlib.Path, default=DATA)
    asked.add_argument("--known_topics_seeds", type=int, default=0)
    given = asked.parse_args()
    model = models.load()

    def embed(texts: Sequence[str]) -> Vectors:
        return embeddings.embed(model.read(texts), model, given.cache)

    found, pool, pool_vectors = [], [], []
    for seed in range(given.seeds):
        of_seed = []
        for texts, _ in corpora(seed, given.documents):
            vectors_NE = embed(texts)
            of_seed.append(measured(texts, vectors_NE))
            if seed == 0:
                pool += texts
                pool_vectors.append(vectors_NE)
        found.append(of_seed)
        print(f"seed {seed}", *response_lines(found), sep="\n", flush=True)
    lines = [
        *HEAD.format(
            documents=given.documents, seeds=_counted(given.seeds), model=model.name
        ).splitlines(),
        *response_lines(found),
        "",
        *_known_topics_lines(given.known_topics_seeds),
        "## Intervals",
        "",
        f"{given.replications:,} samples of {SAMPLE} documents from the {len(pool):,} of the first"
        " seed's sixteen corpora together. Nominal 95%; drawn without replacement, samples vary a"
        " little less than the process, so that a faultless interval holds"
        f" {_faultless(len(pool)):.1%} of the time (one standard error:"
        f" {math.sqrt(0.95 * 0.05 / given.replications):.1%}).",
        "",
        *coverage_lines(pool, np.concatenate(pool_vectors), given.replications),
        "",
        "## Real text",
        "",
    ]
    if given.data.exists():
        texts, sources_N = real_texts(given.data)
        auc, error = parted(texts, sources_N, embed(texts))
        lines.append(
            f"{len(texts)} documents of {len(SOURCES)} sources ({', '.join(SOURCES)}), each cut to"
            f" {SOURCE_WORDS} words. Of two pairs of documents at equal topic (cosine distance"
            f" within {STRATUM:g}), one of one source and one of two sources, the style facet calls"
            f" the former the more alike with probability {auc:.3f} (standard error {error:.3f}"
            " over documents; chance 0.5)."
        )
    else:
        lines.append(f"Not measured: {given.data} is not here.")
    files.write_text(OUTPUT, "\n".join(lines) + "\n")


def _faultless(pool: int) -> float:
    """The coverage of an exact normal 95% interval for samples from a finite pool."""
    return float(special.erf(1.959964 / math.sqrt(2 * (1 - SAMPLE / pool))))


def _counted(seeds: int) -> str:
    return f"{seeds} seed{'s' if seeds > 1 else ''}"


def _known_topics_lines(seeds: int) -> list[str]:
    if not seeds:
        return []
    found = [
        [measured(texts, of_known_topics(topics)) for texts, topics in corpora(seed, KNOWN)]
        for seed in range(seeds)
    ]
    lines = [line for line in response_lines(found) if not line.startswith("| topic |")]
    return [
        f"The same for corpora of {KNOWN} documents and {_counted(seeds)}, with the true topics in"
        " place of embeddings, which only wording reads besides topic:",
        "",
        *lines,
        "",
    ]


HEAD = """# What each facet sees

Made by `tools/benchmarks/facet_response.py` with {model}: sixteen corpora of the built-in grammar
of {documents} documents each, {seeds}, whose knobs (topics 4 or 32, styles 1 or 8, personas 1
or 16, wordings 1 or 6, formats 1 or 8) vary independently. A cell is the share of the variance
of the logarithm of the effective number between the corpora of a seed that the knob's main effect
carries and, in brackets, half the effect. `rest`: interactions and sampling. No facet has
personas of its own: none should see them.

"""

if __name__ == "__main__":
    main()
