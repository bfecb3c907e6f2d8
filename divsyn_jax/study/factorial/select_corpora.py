"""Select the corpora of a factorial study from its pools.

  python -m divsyn_jax.study.factorial.select_corpora STUDY

STUDY is the folder of a study whose recipe has `selection`; the study runs this by itself. Writes
its corpora, its held-out text and corpora/selected/design.json: the facets reached, their
correlations over the corpora, and the balance of sources and lengths.

Shapes: M documents to choose among, C corpora, D documents of each, F facets.
"""

import dataclasses
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base import commandline, files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.words import count_words
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from divsyn_jax.diversity.facets.measured import FACETS, LEAST_CLOSED, FacetPairs
from divsyn_jax.diversity.facets.pair_sums import FacetSums
from divsyn_jax.embedding import embeddings, models
from divsyn_jax.embedding.reading import summarise_reading
from divsyn_jax.study import texts
from divsyn_jax.study.factorial import exchange, pools
from divsyn_jax.study.factorial.cells import design_of

# Documents set aside for held-out text, for every one that a domain takes: the domain that is
# unlike the pools in a facet takes the most unlike of so many.
_SET_ASIDE = 4


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A document that may be chosen."""

    text: str
    source: str
    words: int


@dataclasses.dataclass(frozen=True)
class Dealt:
    """Candidates, sorted into strata of one source and similar length each, and set aside or not.

    Attributes:
      documents: M of them.
      strata_M: the number of each one's stratum.
      aside_M: whether it is set aside for held-out text.
    """

    documents: list[Candidate]
    strata_M: np.ndarray
    aside_M: np.ndarray

    @property
    def strata(self) -> int:
        """How many there are."""
        return int(self.strata_M.max()) + 1


def read_pools(recipe: Mapping[str, Any]) -> dict[str, list[Candidate]]:
    """The distinct documents of the pools whose length fits, by source, in an order that does not
    depend on theirs.

    Raises `UserError` for a document without the field of its source."""
    settings = pools.selection_settings(recipe)
    field, options = settings["source_field"], ReadOptions(text_field=recipe["text_field"])
    found: dict[bytes, Candidate] = {}
    for pool in recipe["pools"]:
        for document in CorpusReader(pool["path"], options):
            source = document.fields.get(field) if field else pool["name"]
            if source is None:
                raise UserError(
                    f"{document.where}: no field {field!r}, which config.selection.source_field"
                    " names"
                )
            words = count_words(document.text)
            if settings["min_words"] <= words <= settings["max_words"]:
                key = texts.text_key(document.text)
                found.setdefault(key, Candidate(document.text, str(source), words))
    by_source: dict[str, list[Candidate]] = {}
    for _, candidate in sorted(found.items(), key=lambda item: item[0]):
        by_source.setdefault(candidate.source, []).append(candidate)
    return dict(sorted(by_source.items()))


def stratify(
    by_source: Mapping[str, Sequence[Candidate]],
    settings: Mapping[str, Any],
    corpora: int,
    documents: int,
    heldout: int,
) -> Dealt:
    """Choose the candidates of every source at random, sort them into bins of length, and set some
    of each bin aside.

    Args:
      by_source: documents of the pools.
      settings: of the selection.
      corpora: how many are to be selected.
      documents: of each corpus.
      heldout: documents of a held-out domain; 0 sets none aside.

    Raises `UserError` where that cannot be dealt out equally, or there is too little text."""
    bins = settings["length_bins"]
    cells = len(by_source) * bins
    if not by_source:
        raise UserError(
            f"the pools hold no document of {settings['min_words']} to"
            f" {settings['max_words']} words; change config.selection"
        )
    if documents % cells:
        raise UserError(
            f"config.documents={documents} cannot be dealt out equally over {len(by_source)}"
            f" sources x {bins} bins of length; give a multiple of {cells}"
        )
    aside = _SET_ASIDE * -(-heldout // cells)
    needed = bins * (corpora * documents // cells + aside)
    share = settings["candidates"] // len(by_source)
    rng = np.random.default_rng(settings["seed"])
    chosen: list[Candidate] = []
    strata: list[int] = []
    aside_M: list[bool] = []
    for number, (source, there) in enumerate(by_source.items()):
        if min(len(there), share) < needed:
            raise UserError(
                f"source {source}: {len(there)} documents of {settings['min_words']} to"
                f" {settings['max_words']} words, and {share} may be candidates; {corpora} corpora"
                f" of {documents // len(by_source)} and held-out text need {needed}: give more"
                " text, or a smaller config.documents"
            )
        taken = [there[place] for place in rng.permutation(len(there))[:share]]
        by_length = sorted(taken, key=lambda candidate: candidate.words)
        for place, rows in enumerate(np.array_split(np.arange(len(by_length)), bins)):
            # By a permutation, so that those set aside are a random sample of the bin.
            chosen += [by_length[row] for row in rng.permutation(rows)]
            strata += [number * bins + place] * len(rows)
            aside_M += [True] * aside + [False] * (len(rows) - aside)
    return Dealt(chosen, np.array(strata), np.array(aside_M))


def facet_sums(
    names: Sequence[str], candidates: Sequence[Candidate], model: str | None, cache: pathlib.Path
) -> FacetSums:
    """The sums of these facets over the pairs of the candidates.

    Raises `UserError` for text that the embedding model or a facet cannot read."""
    vectors_ME = None
    if any(FACETS[name].vectors for name in names):
        embedder = models.load(model)
        read = embedder.read([candidate.text for candidate in candidates])
        summarise_reading(read, embedder).require_readable("the pools")
        vectors_ME = embeddings.embed(read, embedder, cache, "pools")
    pairs = FacetPairs([candidate.text for candidate in candidates], vectors_ME)
    english = [name for name in names if FACETS[name].english]
    if english and pairs.closed < LEAST_CLOSED:
        raise UserError(
            f"the pools: closed-class English words are {pairs.closed:.0%} of the words, so that"
            f" {' and '.join(english)} cannot be measured; leave them out of config.factors"
        )
    return FacetSums(names, pairs)


def unlike_first(sums: FacetSums, facet: str, rows_M: np.ndarray) -> np.ndarray:
    """Rows of the collection, those first that are least like it in a facet."""
    place = sums.names.index(facet)
    others = sums.of_pairs_SMM[place].sum(axis=1, dtype=np.float64)
    if facet == "wording":  # a ratio: of choices that agree to all
        others = others / np.maximum(sums.of_pairs_SMM[-1].sum(axis=1, dtype=np.float64), 1e-12)
    return rows_M[np.argsort(others[rows_M], kind="stable")]


def heldout_rows(
    sums: FacetSums, dealt: Dealt, source: str, documents: int, seed: int
) -> np.ndarray:
    """Rows of the documents of a held-out domain of the pools: of those set aside in each stratum
    as many, at random or the most unlike in a facet."""
    each = -(-documents // dealt.strata)
    rng = np.random.default_rng(seed)
    facet, found = pools.unlike_in(source), []
    for stratum in range(dealt.strata):
        rows_M = np.flatnonzero(dealt.aside_M & (dealt.strata_M == stratum))
        ordered = rng.permutation(rows_M) if facet is None else unlike_first(sums, facet, rows_M)
        found.append(ordered[:each])
    return np.concatenate(found)[: documents or None]


def check_reached(design: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise `UserError` where facets do not vary enough, or not independently."""
    for name, facet in design["facets"].items():
        if facet["high"][0] < settings["least_ratio"] * facet["low"][1]:
            raise UserError(
                f"{name}: a high corpus has {facet['high'][0]:.3g} kinds and a low one"
                f" {facet['low'][1]:.3g}, which is no ratio of {settings['least_ratio']:g}"
                " (config.selection.least_ratio); give pools with more variety in it, more"
                " candidates, fewer config.documents, or leave the factor out"
            )
    if design["largest_r"] >= settings["largest_r"]:
        pair = max(design["correlations"], key=lambda key: abs(design["correlations"][key]))
        raise UserError(
            f"{pair}: r = {design['correlations'][pair]:+.2f} over the corpora, which is not under"
            f" {settings['largest_r']:g} (config.selection.largest_r); give more candidates, fewer"
            " config.documents or fewer factors"
        )


def selection_record(
    steered: exchange.Steered,
    sums: FacetSums,
    at_random_CF: np.ndarray,
    signs_CF: np.ndarray,
    dealt: Dealt,
    levels: Sequence[str],
) -> dict[str, Any]:
    """What the selection reached. The last corpora may be twins: correlations leave them out.

    Args:
      at_random_CF: [C, F] log2 facets of a random deal.
      signs_CF: [C', F] the design of the first C' corpora.
      levels: names of the C corpora.
    """
    reached_CF = 2**steered.facets_CF
    design_CF = steered.facets_CF[: len(signs_CF)]
    correlations = {
        f"{one}, {other}": r
        for (one, other), r in exchange.facet_correlations(sums.names, design_CF).items()
    }
    facets = {}
    for place, name in enumerate(sums.names):
        ends = {}
        for level, sign in ((pools.LOW, -1), (pools.HIGH, 1)):
            values = reached_CF[: len(signs_CF)][signs_CF[:, place] == sign, place]
            ends[level] = [float(values.min()), float(values.max())]
        facets[name] = {**ends, "at_random": float(2 ** at_random_CF[:, place].mean())}
    corpora = {}
    for name, members_D, values_F in zip(levels, steered.members_CD, reached_CF, strict=True):
        chosen = [dealt.documents[row] for row in members_D]
        corpora[name] = {
            "documents": len(chosen),
            "words": float(np.mean([each.words for each in chosen])),
            "sources": dict(sorted(Counter(each.source for each in chosen).items())),
            "facets": dict(zip(sums.names, map(float, values_F), strict=True)),
        }
    return {
        "facets": facets,
        "correlations": correlations,
        "largest_r": max((abs(r) for r in correlations.values()), default=0.0),
        "corpora": corpora,
    }


def select_corpora(workdir: pathlib.Path) -> None:
    """Select and write the corpora of the study in this folder."""
    recipe = files.read_json(workdir / "recipe.json")["recipe"]
    settings, names = pools.selection_settings(recipe), list(recipe["factors"])
    levels = recipe["levels"]
    domains = [each["source"] for each in recipe["heldout"].values()]
    of_pools = [source for source in domains if source in pools.HELDOUT_OF_POOLS]
    heldout = recipe["heldout_documents"] if of_pools else 0
    by_source = read_pools(recipe)
    dealt = stratify(by_source, settings, len(levels), recipe["documents"], heldout)
    sums = facet_sums(
        names,
        dealt.documents,
        recipe["score"].get("embedding_model"),
        workdir / "scores" / "embeddings",
    )
    signs_CF = design_of(recipe).signs_CF[:, : len(names)]
    all_CF = np.array(
        [[1 if level["at"][name] == pools.HIGH else -1 for name in names] for level in levels]
    )
    # Documents set aside are in a stratum of their own, which nothing is dealt or exchanged from.
    strata_M = np.where(dealt.aside_M, -1, dealt.strata_M)
    each = recipe["documents"] // dealt.strata
    members_CD = exchange.deal(strata_M, len(levels), each, settings["seed"])
    steered = exchange.steer_apart(sums, strata_M, members_CD, all_CF, settings["seed"])
    at_random_CF = exchange.log2_facets_of(sums, members_CD)
    level_names = [level["name"] for level in levels]
    design = selection_record(steered, sums, at_random_CF, signs_CF, dealt, level_names)
    check_reached(design, settings)
    design["sources"] = {name: len(there) for name, there in by_source.items()}
    design["candidates"] = len(dealt.documents)
    design["heldout"] = {}
    field = recipe["text_field"]
    for source in dict.fromkeys(of_pools):
        rows = heldout_rows(sums, dealt, source, heldout, settings["seed"])
        design["heldout"][source] = len(rows)
        _write(pools.heldout_path(workdir, source), [dealt.documents[row] for row in rows], field)
    for level, members_D in zip(levels, steered.members_CD, strict=True):
        # Rows are sorted by source and length; a corpus is not.
        chosen = [dealt.documents[row] for row in _shuffled(members_D, settings["seed"])]
        _write(pools.selected_path(workdir, level), chosen, field)
    files.write_json(pools.design_path(workdir), design)


def _shuffled(members_D: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.sort(members_D))


def _write(path: pathlib.Path, chosen: Iterable[Candidate], field: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    texts.write_jsonl(path, ({field: each.text, "source": each.source} for each in chosen))


def main(arguments: list[str]) -> None:
    """Select the corpora of the study that the argument names."""
    if len(arguments) != 1:
        raise UserError("name one study folder")
    select_corpora(pathlib.Path(arguments[0]))


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
