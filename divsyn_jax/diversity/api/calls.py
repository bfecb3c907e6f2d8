"""`score` and `compare`: the two functions that people call."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, split_name
from divsyn_jax.data.readers.given_records import GivenRecords
from divsyn_jax.diversity import baselines, comparison, rounds, scoring
from divsyn_jax.diversity.api.keywords import documented, errors_in_python, settings_from
from divsyn_jax.diversity.api.results import ComparedCorpora, ScoredCorpus
from divsyn_jax.diversity.pairs import of_corpus
from divsyn_jax.diversity.settings import ScoreSettings

Corpus = str | os.PathLike[str] | Iterable[Any]


@documented
def score(corpus: Corpus, agent: str = "embedding", **settings: Any) -> ScoredCorpus:
    """Score one corpus; nothing is written but the caches, if named.

        score(["one text", "another", ...])
        score("corpus.jsonl.gz", text_field="body", max_documents=2000)
        score(frame["text"]).effective_clusters.low

    Args:
      corpus: texts or records in a list, a column or table (pandas, Polars, Arrow), a Dataset or
        any other iterable; or a path, or any other corpus that score_corpus reads, or `name=path`.
      agent: who clusters: `embedding`, `openai` or `oracle`.
      settings: the flags of score_corpus by their names.

    Raises:
      TypeError: a keyword that there is not.
      UserError: the corpus or a setting cannot be used; the message says what to do.
      Unfinished: the endpoint stopped answering or a budget is used up.
    """
    with errors_in_python():
        chosen = settings_from(agent, settings, "score")
        name = "corpus"
        if isinstance(corpus, str | os.PathLike):
            name, corpus = split_name(_path(corpus))
        return _scored({name: _reader(corpus, name, chosen)}, chosen)[name]


@documented
def compare(
    corpora: Mapping[str, Corpus], agent: str = "embedding", **settings: Any
) -> ComparedCorpora:
    """Score corpora by one measure and test their differences; `.verdict` says which is the more
    diverse.

        compare({"v1": texts, "v2": "v2.jsonl"}).verdict

    Args:
      corpora: by name, each in a form that `score` takes.
      agent: who clusters: `embedding`, `openai` or `oracle`.
      settings: the flags of score_corpus by their names.

    Raises: as `score` does.
    """
    with errors_in_python():
        if not isinstance(corpora, Mapping) or not corpora:
            raise UserError('compare() takes corpora by name, e.g. {"v1": texts, "v2": others}')
        for name in corpora:
            if not isinstance(name, str) or not name:
                raise UserError(f"compare(): {name!r} names a corpus; names are text")
        chosen = settings_from(agent, settings, "compare")
        readers = {name: _reader(given, name, chosen) for name, given in corpora.items()}
        scores = _scored(readers, chosen)
        return ComparedCorpora(comparison.comparison_of(list(scores.values())), scores)  # type: ignore[arg-type]


def _scored(
    readers: Mapping[str, CorpusReader], settings: ScoreSettings
) -> dict[str, ScoredCorpus]:
    of_corpus.check_corpora(list(readers), settings.pairs)
    samples = {name: scoring.sample_corpus(reader, settings) for name, reader in readers.items()}
    shared = baselines.common_shared_text(
        [scoring.corpus_shared_text(sample, settings) for sample in samples.values()],
        settings.match_lengths,
    )
    with contextlib.closing(scoring.make_agent(settings, samples)) as made:
        inputs = of_corpus.read_inputs(samples, made, shared, settings)
        found = {
            name: score
            for name, (score, _) in scoring.score_corpora(samples, made, shared, settings).items()
        }
        if settings.rounds > 1:
            rounds.add_rounds(found, readers, made, shared, settings)
        of_corpus.add_pairs(found, samples, inputs, made, shared, settings)
    return {name: ScoredCorpus(score) for name, score in found.items()}


def _reader(corpus: Corpus, name: str, settings: ScoreSettings) -> CorpusReader:
    if isinstance(corpus, str | os.PathLike):
        asked = (settings.label_field, settings.pairs.group_field)
        fields = tuple(field for field in asked if field is not None)
        return CorpusReader(_path(corpus), settings.read, fields)
    return GivenRecords(corpus, name, settings.read)


def _path(corpus: str | os.PathLike[str]) -> str:
    path = os.fspath(corpus)
    if "\n" in path or len(path) > 4096:
        raise UserError("one text is no corpus: give texts as a list, or the path of a file")
    return path
